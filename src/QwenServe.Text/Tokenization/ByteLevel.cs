using System.Runtime.CompilerServices;

namespace QwenServe.Text.Tokenization;

/// <summary>
/// GPT-2's byte alphabet: vocabulary files spell every byte as one printable character. Bytes 33-126, 161-172 and 174-255
/// stand for themselves, the other 68 are U+0100, U+0101, ... in order.
/// </summary>
internal static class ByteLevel
{
    private const int Highest = 0x143;

    private static readonly short[] ByteOf = Build();

    /// <summary>
    /// Turns a token as vocabulary files spell it (UTF-8) into the bytes it stands for. A token with a character outside the
    /// alphabet stands for its own UTF-8, as in the reference decoder; it can never be the result of merges.
    /// </summary>
    /// <param name="spelled">The token in the byte alphabet.</param>
    /// <param name="destination">At least as long as <paramref name="spelled"/>.</param>
    /// <param name="inAlphabet">Whether every character was in the alphabet.</param>
    /// <returns>Bytes written.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static int Decode(ReadOnlySpan<byte> spelled, Span<byte> destination, out bool inAlphabet)
    {
        var written = 0;
        for (var i = 0; i < spelled.Length; i++)
        {
            int codePoint = spelled[i];
            if (codePoint >= 0x80)
            {
                if (codePoint is < 0xC2 or > 0xC5 || i + 1 == spelled.Length) return AsIs(spelled, destination, out inAlphabet);
                codePoint = ((codePoint & 0x1F) << 6) | (spelled[++i] & 0x3F);
            }
            var value = codePoint <= Highest ? ByteOf[codePoint] : (short)-1;
            if (value < 0) return AsIs(spelled, destination, out inAlphabet);
            destination[written++] = (byte)value;
        }
        inAlphabet = true;
        return written;
    }

    /// <summary>The character that spells <paramref name="value"/>.</summary>
    public static char Spell(byte value) => (char)Array.IndexOf(ByteOf, value);

    private static int AsIs(ReadOnlySpan<byte> spelled, Span<byte> destination, out bool inAlphabet)
    {
        spelled.CopyTo(destination);
        inAlphabet = false;
        return spelled.Length;
    }

    private static short[] Build()
    {
        var byteOf = new short[Highest + 1];
        Array.Fill(byteOf, (short)-1);
        var next = 0x100;
        for (var b = 0; b < 256; b++)
        {
            var itself = b is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174;
            byteOf[itself ? b : next++] = (short)b;
        }
        return byteOf;
    }
}
