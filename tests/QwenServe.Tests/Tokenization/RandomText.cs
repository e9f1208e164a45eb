using System.Text;

namespace QwenServe.Tests.Tokenization;

/// <summary>Text that a tokenizer has reasons to get wrong.</summary>
internal static class RandomText
{
    private static readonly string[] Parts =
    [
        " ", "  ", "   ", "\n", "\r\n", "\r", "\t", "\n\n", "'s", "'S", "'ſ", "'RE", "'ll", "'Ve", "'v", "'", "’s", "a", "B", "the", "hello", "ſ", "\u212A",
        "é", "e\u0301", "\u0301", "\u0323", "\u0316", "q\u0307\u0323", "中", "文字", "，", "。", "가", "ㄱ", "\u1100\u1161\u11A8", "가\u11A8",
        "🤗", "😶‍🌫️", "👨‍👩‍👧", "1", "23", "٣", "½", "Ⅷ", "𝟘", "𠀀", "𝒳", "\u0085", "\u00A0", "\u2028", "\u3000", "\u200B", "\u180E", "\0", "\u001C", "\u007F",
        "func", "()", "{}", "==", ";", "//", "_", "--", "...", "ไทย", "ก็", "कि", "ह", "ك", "\u064E", "\u212B", "\uF900", "ﬁ", "\uFEFF", "\uFFFD", "\uFFFE",
    ];

    public static string Next(Random random, int maxParts, bool loneSurrogates = false)
    {
        var text = new StringBuilder();
        for (var parts = random.Next(maxParts + 1); parts > 0; parts--)
        {
            switch (random.Next(20))
            {
                case 0:
                    var rune = random.Next(0x10F800);
                    text.Append(new Rune(rune < 0xD800 ? rune : rune + 0x800).ToString());
                    break;
                case 1 when loneSurrogates:
                    text.Append((char)random.Next(0xD800, 0xE000));
                    break;
                default:
                    text.Append(Parts[random.Next(Parts.Length)]);
                    break;
            }
        }
        return text.ToString();
    }
}
