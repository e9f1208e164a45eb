using System.Runtime.CompilerServices;

namespace QwenServe.Text.Tokenization;

/// <summary>
/// Where a piece falls apart: between two characters that stand side by side in no token, no merge can ever reach across,
/// so the two sides may be merged, and remembered, by themselves. Long runs without spaces (Chinese clauses, rows of
/// emoji) become short parts that the cache knows, with the ids they would have had together.
/// </summary>
/// <remarks>
/// A token can span a boundary holding both neighbours whole, or only a part of one when it starts or ends inside a
/// character. Whole neighbours are kept as pairs in a hashed bit set, whose collisions only hide a barrier; partial ones as
/// (last byte, first byte), which bars the pair of bytes altogether.
/// </remarks>
internal sealed class MergeBarriers
{
    private const int PairBits = 20;

    private readonly ulong[] _joinedBytes = new ulong[256 * 256 / 64];
    private readonly ulong[] _joinedPairs = new ulong[(1 << PairBits) / 64];

    /// <param name="vocabulary">Every token that merges may make; others in it only hide barriers.</param>
    public MergeBarriers(Vocabulary vocabulary)
    {
        for (var id = 0; id < vocabulary.Count; id++) Add(vocabulary.Token(id));
    }

    /// <summary>The first barrier after <paramref name="start"/>, or <paramref name="end"/>.</summary>
    /// <param name="text">Well-formed UTF-8.</param>
    /// <param name="start">Where a character starts.</param>
    /// <param name="end">Where the piece ends.</param>
    public int Next(ReadOnlySpan<byte> text, int start, int end)
    {
        var left = Character(text, start, out var size);
        var at = start + size;
        while (at < end)
        {
            var right = Character(text, at, out size);
            var bytes = (text[at - 1] << 8) | text[at];
            if ((_joinedBytes[bytes >> 6] & (1UL << bytes)) == 0)
            {
                if ((left | right) < 0x80) return at;
                var pair = Pair(left, right);
                if ((_joinedPairs[pair >> 6] & (1UL << pair)) == 0) return at;
            }
            left = right;
            at += size;
        }
        return end;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Add(ReadOnlySpan<byte> token)
    {
        uint left = 0;
        var whole = false;
        for (var at = 0; at < token.Length;)
        {
            var size = SizeOf(token[at]);
            var complete = size > 0 && at + size <= token.Length;
            for (var i = 1; complete && i < size; i++) complete = (token[at + i] & 0xC0) == 0x80;
            if (!complete)
            {
                // Part of a character, or bytes that are none: one byte by itself.
                if (at > 0) JoinBytes(token[at - 1], token[at]);
                whole = false;
                at++;
                continue;
            }
            var right = Character(token, at, out size);
            if (at > 0)
            {
                if (!whole || (left | right) < 0x80) JoinBytes(token[at - 1], token[at]);
                else JoinPair(left, right);
            }
            left = right;
            whole = true;
            at += size;
        }
    }

    private void JoinBytes(byte last, byte first)
    {
        var bytes = (last << 8) | first;
        _joinedBytes[bytes >> 6] |= 1UL << bytes;
    }

    private void JoinPair(uint left, uint right)
    {
        var pair = Pair(left, right);
        _joinedPairs[pair >> 6] |= 1UL << pair;
    }

    private static int Pair(uint left, uint right) =>
        (int)(((((ulong)left << 32) | right) * 0x9E3779B97F4A7C15) >> (64 - PairBits));

    /// <summary>A character's bytes as one number.</summary>
    private static uint Character(ReadOnlySpan<byte> text, int at, out int size)
    {
        uint b = text[at];
        if (b < 0x80)
        {
            size = 1;
            return b;
        }
        if (b < 0xE0)
        {
            size = 2;
            return (b << 8) | text[at + 1];
        }
        if (b < 0xF0)
        {
            size = 3;
            return (b << 16) | ((uint)text[at + 1] << 8) | text[at + 2];
        }
        size = 4;
        return (b << 24) | ((uint)text[at + 1] << 16) | ((uint)text[at + 2] << 8) | text[at + 3];
    }

    private static int SizeOf(byte first) => first switch
    {
        < 0x80 => 1,
        < 0xC2 => 0,
        < 0xE0 => 2,
        < 0xF0 => 3,
        < 0xF5 => 4,
        _ => 0,
    };
}
