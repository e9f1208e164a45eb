using System.Text;

namespace QwenServe.Text.Tokenization;

/// <summary>
/// Turns one sequence's ids into text as they come. Bytes that begin a character wait for its end, so no string returned
/// ever holds half of one; bytes that can no longer become a character turn into U+FFFD, one for each maximal beginning of
/// a character (as Python's <c>errors="replace"</c>). Whatever the cuts, the strings joined equal
/// <see cref="Tokenizer.Decode"/> of all ids. Not for use by two threads at once.
/// </summary>
public sealed class Detokenizer
{
    private readonly Tokenizer _tokenizer;
    private readonly bool _skipSpecialTokens;
    private byte[] _pending = new byte[64];
    private int _count;

    internal Detokenizer(Tokenizer tokenizer, bool skipSpecialTokens)
    {
        _tokenizer = tokenizer;
        _skipSpecialTokens = skipSpecialTokens;
    }

    /// <summary>The text that this token completes; empty when it completes none, is a skipped control token or has no bytes.</summary>
    public string Push(int id)
    {
        if (_skipSpecialTokens && _tokenizer.IsSpecial(id)) return "";
        var bytes = _tokenizer.TokenBytes(id);
        if (bytes.IsEmpty) return "";
        if (_pending.Length - _count < bytes.Length) Array.Resize(ref _pending, _count + bytes.Length);
        bytes.CopyTo(_pending.AsSpan(_count));
        _count += bytes.Length;
        var whole = _count - UnfinishedLength(_pending.AsSpan(0, _count));
        if (whole == 0) return "";
        var text = Encoding.UTF8.GetString(_pending, 0, whole);
        _pending.AsSpan(whole, _count - whole).CopyTo(_pending);
        _count -= whole;
        return text;
    }

    /// <summary>What is left of a character that never ended: one U+FFFD, or nothing. The detokenizer is then as new.</summary>
    public string Flush()
    {
        if (_count == 0) return "";
        var text = Encoding.UTF8.GetString(_pending, 0, _count);
        _count = 0;
        return text;
    }

    /// <summary>Bytes at the end (0-3) that begin a character and could still become one.</summary>
    private static int UnfinishedLength(ReadOnlySpan<byte> bytes)
    {
        for (var length = 1; length <= 3 && length <= bytes.Length; length++)
        {
            var b = bytes[^length];
            if ((b & 0xC0) == 0x80) continue;
            return b >= 0xC0 && Rune.DecodeFromUtf8(bytes[^length..], out _, out _) == System.Buffers.OperationStatus.NeedMoreData ? length : 0;
        }
        return 0;
    }
}
