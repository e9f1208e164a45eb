using System.Globalization;
using System.Runtime.CompilerServices;

namespace QwenServe.Text.Tokenization;

/// <summary>The classes of Qwen's pre-tokenizer expression; every code point is in exactly one.</summary>
internal static class CharacterClass
{
    /// <summary><c>[^\s\p{L}\p{N}]</c></summary>
    public const byte Other = 0;

    /// <summary><c>\p{L}</c></summary>
    public const byte Letter = 1;

    /// <summary><c>\p{N}</c></summary>
    public const byte Number = 2;

    /// <summary><c>\s</c> (Unicode White_Space) less carriage return and line feed.</summary>
    public const byte Space = 3;

    /// <summary><c>[\r\n]</c></summary>
    public const byte Newline = 4;
}

/// <summary>
/// One byte a code point for planes 0 and 1, filled once at start from the runtime's own Unicode data: the
/// <see cref="CharacterClass"/> and whether normalization has to look at it. Planes above hold almost only ideographs and are asked directly.
/// </summary>
internal static class CharacterTable
{
    private const int Tabulated = 0x20000;
    private const byte ClassMask = 0x7F;
    private const byte NormalizationFlag = 0x80;

    private static readonly byte[] Table = Build();

    /// <summary>The class of each ASCII character, for loops over bytes.</summary>
    public static ReadOnlySpan<byte> Ascii =>
    [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4, 3, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0,
        0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0,
        0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0,
    ];

    /// <summary>Builds the table now, at load, rather than under the first request.</summary>
    public static void Prepare() => _ = Table[0];

    public static byte ClassOf(int codePoint) =>
        codePoint < Tabulated ? (byte)(Table[codePoint] & ClassMask) : Classify(codePoint);

    /// <summary>False when the character is a starter that NFC keeps and that never joins what precedes it.</summary>
    public static bool NeedsNormalization(int codePoint) =>
        codePoint < Tabulated ? Table[codePoint] >= NormalizationFlag : Nfc.IsRelevant(codePoint);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static byte Classify(int codePoint)
    {
        switch (CharUnicodeInfo.GetUnicodeCategory(codePoint))
        {
            case UnicodeCategory.UppercaseLetter:
            case UnicodeCategory.LowercaseLetter:
            case UnicodeCategory.TitlecaseLetter:
            case UnicodeCategory.ModifierLetter:
            case UnicodeCategory.OtherLetter:
                return CharacterClass.Letter;
            case UnicodeCategory.DecimalDigitNumber:
            case UnicodeCategory.LetterNumber:
            case UnicodeCategory.OtherNumber:
                return CharacterClass.Number;
            case UnicodeCategory.SpaceSeparator:
            case UnicodeCategory.LineSeparator:
            case UnicodeCategory.ParagraphSeparator:
                return CharacterClass.Space;
            default:
                return codePoint switch
                {
                    '\r' or '\n' => CharacterClass.Newline,
                    '\t' or '\v' or '\f' or 0x85 => CharacterClass.Space,
                    _ => CharacterClass.Other,
                };
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static byte[] Build()
    {
        var table = new byte[Tabulated];
        for (var codePoint = 0; codePoint < table.Length; codePoint++) table[codePoint] = Classify(codePoint);
        Nfc.FlagRelevant(table, NormalizationFlag);
        return table;
    }
}
