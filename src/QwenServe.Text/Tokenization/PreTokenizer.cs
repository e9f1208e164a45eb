namespace QwenServe.Text.Tokenization;

/// <summary>
/// Cuts text into the pieces that byte-pair merges never cross, exactly as Qwen2's expression does:
/// <code>(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+</code>
/// Written by hand over well-formed UTF-8, because .NET's <c>Regex</c> sees UTF-16 units and so misjudges every letter and
/// digit above U+FFFF. Each alternative becomes one forward scan; where the expression would backtrack (white space before
/// a line break, the last space before a word) the scan remembers the position it would come back to, so the whole cut is linear.
/// <c>(?i:s)</c> also folds U+017F (long s), as Oniguruma, Rust's regex and Python's all do.
/// </summary>
internal static class PreTokenizer
{
    /// <summary>Zero bytes that must follow the text, so that looking ahead needs no bounds of its own.</summary>
    public const int Padding = 8;

    /// <param name="text">Well-formed UTF-8 followed by at least <see cref="Padding"/> bytes that are not part of it.</param>
    /// <param name="length">Bytes of <paramref name="text"/> without the padding.</param>
    /// <param name="start">Where the piece starts; less than <paramref name="length"/>.</param>
    /// <returns>Where the piece ends.</returns>
    public static int NextPiece(ReadOnlySpan<byte> text, int length, int start)
    {
        var kind = ClassAt(text, start, out var size);
        var next = start + size;
        switch (kind)
        {
            case CharacterClass.Letter:
                return SkipLetters(text, length, next);

            case CharacterClass.Number:
                return next;

            case CharacterClass.Other:
                if (text[start] == (byte)'\'')
                {
                    var contraction = Contraction(text, length, next);
                    if (contraction > 0) return next + contraction;
                }
                if (next < length && ClassAt(text, next, out size) == CharacterClass.Letter) return SkipLetters(text, length, next + size);
                return SkipOthers(text, length, next);

            case CharacterClass.Space:
                if (next < length)
                {
                    var following = ClassAt(text, next, out size);
                    if (following == CharacterClass.Letter) return SkipLetters(text, length, next + size);
                    if (following == CharacterClass.Other && text[start] == (byte)' ') return SkipOthers(text, length, next + size);
                }
                return WhiteSpace(text, length, start);

            default:
                return WhiteSpace(text, length, start);
        }
    }

    /// <summary>Bytes after the apostrophe at the start of <paramref name="at"/> that make a contraction, or 0.</summary>
    private static int Contraction(ReadOnlySpan<byte> text, int length, int at)
    {
        if (at >= length) return 0;
        switch (text[at] | 0x20)
        {
            case 's' or 't' or 'm' or 'd':
                return 1;
            case 'r' or 'v':
                return at + 1 < length && (text[at + 1] | 0x20) == 'e' ? 2 : 0;
            case 'l':
                return at + 1 < length && (text[at + 1] | 0x20) == 'l' ? 2 : 0;
            default:
                return text[at] == 0xC5 && text[at + 1] == 0xBF ? 2 : 0;
        }
    }

    private static int SkipLetters(ReadOnlySpan<byte> text, int length, int at)
    {
        var ascii = CharacterTable.Ascii;
        while (at < length)
        {
            var b = text[at];
            if (b < 0x80)
            {
                if (ascii[b] != CharacterClass.Letter) break;
                at++;
            }
            else
            {
                if (ClassAt(text, at, out var size) != CharacterClass.Letter) break;
                at += size;
            }
        }
        return at;
    }

    private static int SkipOthers(ReadOnlySpan<byte> text, int length, int at)
    {
        while (at < length && ClassAt(text, at, out var size) == CharacterClass.Other) at += size;
        while (at < length && text[at] is (byte)'\r' or (byte)'\n') at++;
        return at;
    }

    private static int WhiteSpace(ReadOnlySpan<byte> text, int length, int start)
    {
        var at = start;
        var afterNewline = -1;
        var last = start;
        while (at < length)
        {
            var kind = ClassAt(text, at, out var size);
            if (kind < CharacterClass.Space) break;
            last = at;
            at += size;
            if (kind == CharacterClass.Newline) afterNewline = at;
        }
        if (afterNewline > 0) return afterNewline;
        return at == length || last == start ? at : last;
    }

    private static byte ClassAt(ReadOnlySpan<byte> text, int at, out int size)
    {
        int b = text[at];
        if (b < 0x80)
        {
            size = 1;
            return CharacterTable.Ascii[b];
        }
        int codePoint;
        if (b < 0xE0)
        {
            size = 2;
            codePoint = ((b & 0x1F) << 6) | (text[at + 1] & 0x3F);
        }
        else if (b < 0xF0)
        {
            size = 3;
            codePoint = ((b & 0x0F) << 12) | ((text[at + 1] & 0x3F) << 6) | (text[at + 2] & 0x3F);
        }
        else
        {
            size = 4;
            codePoint = ((b & 0x07) << 18) | ((text[at + 1] & 0x3F) << 12) | ((text[at + 2] & 0x3F) << 6) | (text[at + 3] & 0x3F);
        }
        return CharacterTable.ClassOf(codePoint);
    }
}
