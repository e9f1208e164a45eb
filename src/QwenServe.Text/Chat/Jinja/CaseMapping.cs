using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>
/// upper, lower, title and their kin as str has them. The framework's invariant mapping is one to one; the characters that become several
/// are listed (Unicode SpecialCasing.txt, unconditional).
/// </summary>
internal static class CaseMapping
{
    private static readonly FrozenDictionary<char, string> LongUpper = new Dictionary<char, string>
    {
        ['\u00df'] = "\u0053\u0053",
        ['\u0149'] = "\u02bc\u004e",
        ['\u01f0'] = "\u004a\u030c",
        ['\u0390'] = "\u0399\u0308\u0301",
        ['\u03b0'] = "\u03a5\u0308\u0301",
        ['\u0587'] = "\u0535\u0552",
        ['\u1e96'] = "\u0048\u0331",
        ['\u1e97'] = "\u0054\u0308",
        ['\u1e98'] = "\u0057\u030a",
        ['\u1e99'] = "\u0059\u030a",
        ['\u1e9a'] = "\u0041\u02be",
        ['\u1f50'] = "\u03a5\u0313",
        ['\u1f52'] = "\u03a5\u0313\u0300",
        ['\u1f54'] = "\u03a5\u0313\u0301",
        ['\u1f56'] = "\u03a5\u0313\u0342",
        ['\u1f80'] = "\u1f08\u0399",
        ['\u1f81'] = "\u1f09\u0399",
        ['\u1f82'] = "\u1f0a\u0399",
        ['\u1f83'] = "\u1f0b\u0399",
        ['\u1f84'] = "\u1f0c\u0399",
        ['\u1f85'] = "\u1f0d\u0399",
        ['\u1f86'] = "\u1f0e\u0399",
        ['\u1f87'] = "\u1f0f\u0399",
        ['\u1f88'] = "\u1f08\u0399",
        ['\u1f89'] = "\u1f09\u0399",
        ['\u1f8a'] = "\u1f0a\u0399",
        ['\u1f8b'] = "\u1f0b\u0399",
        ['\u1f8c'] = "\u1f0c\u0399",
        ['\u1f8d'] = "\u1f0d\u0399",
        ['\u1f8e'] = "\u1f0e\u0399",
        ['\u1f8f'] = "\u1f0f\u0399",
        ['\u1f90'] = "\u1f28\u0399",
        ['\u1f91'] = "\u1f29\u0399",
        ['\u1f92'] = "\u1f2a\u0399",
        ['\u1f93'] = "\u1f2b\u0399",
        ['\u1f94'] = "\u1f2c\u0399",
        ['\u1f95'] = "\u1f2d\u0399",
        ['\u1f96'] = "\u1f2e\u0399",
        ['\u1f97'] = "\u1f2f\u0399",
        ['\u1f98'] = "\u1f28\u0399",
        ['\u1f99'] = "\u1f29\u0399",
        ['\u1f9a'] = "\u1f2a\u0399",
        ['\u1f9b'] = "\u1f2b\u0399",
        ['\u1f9c'] = "\u1f2c\u0399",
        ['\u1f9d'] = "\u1f2d\u0399",
        ['\u1f9e'] = "\u1f2e\u0399",
        ['\u1f9f'] = "\u1f2f\u0399",
        ['\u1fa0'] = "\u1f68\u0399",
        ['\u1fa1'] = "\u1f69\u0399",
        ['\u1fa2'] = "\u1f6a\u0399",
        ['\u1fa3'] = "\u1f6b\u0399",
        ['\u1fa4'] = "\u1f6c\u0399",
        ['\u1fa5'] = "\u1f6d\u0399",
        ['\u1fa6'] = "\u1f6e\u0399",
        ['\u1fa7'] = "\u1f6f\u0399",
        ['\u1fa8'] = "\u1f68\u0399",
        ['\u1fa9'] = "\u1f69\u0399",
        ['\u1faa'] = "\u1f6a\u0399",
        ['\u1fab'] = "\u1f6b\u0399",
        ['\u1fac'] = "\u1f6c\u0399",
        ['\u1fad'] = "\u1f6d\u0399",
        ['\u1fae'] = "\u1f6e\u0399",
        ['\u1faf'] = "\u1f6f\u0399",
        ['\u1fb2'] = "\u1fba\u0399",
        ['\u1fb3'] = "\u0391\u0399",
        ['\u1fb4'] = "\u0386\u0399",
        ['\u1fb6'] = "\u0391\u0342",
        ['\u1fb7'] = "\u0391\u0342\u0399",
        ['\u1fbc'] = "\u0391\u0399",
        ['\u1fc2'] = "\u1fca\u0399",
        ['\u1fc3'] = "\u0397\u0399",
        ['\u1fc4'] = "\u0389\u0399",
        ['\u1fc6'] = "\u0397\u0342",
        ['\u1fc7'] = "\u0397\u0342\u0399",
        ['\u1fcc'] = "\u0397\u0399",
        ['\u1fd2'] = "\u0399\u0308\u0300",
        ['\u1fd3'] = "\u0399\u0308\u0301",
        ['\u1fd6'] = "\u0399\u0342",
        ['\u1fd7'] = "\u0399\u0308\u0342",
        ['\u1fe2'] = "\u03a5\u0308\u0300",
        ['\u1fe3'] = "\u03a5\u0308\u0301",
        ['\u1fe4'] = "\u03a1\u0313",
        ['\u1fe6'] = "\u03a5\u0342",
        ['\u1fe7'] = "\u03a5\u0308\u0342",
        ['\u1ff2'] = "\u1ffa\u0399",
        ['\u1ff3'] = "\u03a9\u0399",
        ['\u1ff4'] = "\u038f\u0399",
        ['\u1ff6'] = "\u03a9\u0342",
        ['\u1ff7'] = "\u03a9\u0342\u0399",
        ['\u1ffc'] = "\u03a9\u0399",
        ['\ufb00'] = "\u0046\u0046",
        ['\ufb01'] = "\u0046\u0049",
        ['\ufb02'] = "\u0046\u004c",
        ['\ufb03'] = "\u0046\u0046\u0049",
        ['\ufb04'] = "\u0046\u0046\u004c",
        ['\ufb05'] = "\u0053\u0054",
        ['\ufb06'] = "\u0053\u0054",
        ['\ufb13'] = "\u0544\u0546",
        ['\ufb14'] = "\u0544\u0535",
        ['\ufb15'] = "\u0544\u053b",
        ['\ufb16'] = "\u054e\u0546",
        ['\ufb17'] = "\u0544\u053d",
    }.ToFrozenDictionary();

    public static MarkedString Upper(Rendering rendering, MarkedString value)
    {
        rendering.ChargeText(value.Text.Length);
        return Ascii.IsValid(value.Text) ? value.WithText(value.Text.ToUpperInvariant()) : Map(rendering, value, (rune, _, _) => UpperOf(rune));
    }

    public static MarkedString Lower(Rendering rendering, MarkedString value)
    {
        rendering.ChargeText(value.Text.Length);
        return Ascii.IsValid(value.Text) ? value.WithText(value.Text.ToLowerInvariant()) : Map(rendering, value, (rune, text, at) => LowerOf(rune, text, at));
    }

    /// <summary>str.casefold: what upper and lower case agree on, with the dotless i left alone.</summary>
    public static MarkedString Fold(Rendering rendering, MarkedString value) => Map(rendering, value, (rune, _, _) =>
        rune.Value == 0x131 ? rune.ToString() : rune.Value == 0x130 ? "i\u0307" : UpperOf(rune).ToLowerInvariant());

    public static MarkedString Capitalize(Rendering rendering, MarkedString value) =>
        Map(rendering, value, (rune, text, at) => at == 0 ? TitleOf(rune) : LowerOf(rune, text, at));

    /// <summary>str.title: a letter after anything without case is a capital.</summary>
    public static MarkedString Title(Rendering rendering, MarkedString value)
    {
        bool afterCased = false;
        return Map(rendering, value, (rune, text, at) =>
        {
            string mapped = afterCased ? LowerOf(rune, text, at) : TitleOf(rune);
            afterCased = IsCased(rune);
            return mapped;
        });
    }

    public static MarkedString Swap(Rendering rendering, MarkedString value) =>
        Map(rendering, value, (rune, text, at) => Rune.IsUpper(rune) ? LowerOf(rune, text, at) : Rune.IsLower(rune) ? UpperOf(rune) : rune.ToString());

    public static bool IsUpper(string text)
    {
        bool any = false;
        foreach (var rune in text.EnumerateRunes())
        {
            if (Rune.IsLower(rune) || Rune.GetUnicodeCategory(rune) == UnicodeCategory.TitlecaseLetter)
                return false;
            any |= Rune.IsUpper(rune);
        }

        return any;
    }

    public static bool IsLower(string text)
    {
        bool any = false;
        foreach (var rune in text.EnumerateRunes())
        {
            if (Rune.IsUpper(rune) || Rune.GetUnicodeCategory(rune) == UnicodeCategory.TitlecaseLetter)
                return false;
            any |= Rune.IsLower(rune);
        }

        return any;
    }

    public static bool IsTitle(string text)
    {
        bool any = false, afterCased = false;
        foreach (var rune in text.EnumerateRunes())
        {
            bool upper = Rune.IsUpper(rune) || Rune.GetUnicodeCategory(rune) == UnicodeCategory.TitlecaseLetter;
            if ((upper && afterCased) || (Rune.IsLower(rune) && !afterCased))
                return false;
            afterCased = IsCased(rune);
            any |= afterCased;
        }

        return any;
    }

    private static bool IsCased(Rune rune) => Rune.GetUnicodeCategory(rune) is
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter;

    private static string UpperOf(Rune rune) =>
        rune.IsBmp && LongUpper.TryGetValue((char)rune.Value, out string? text) ? text
        : rune.Value == 0x131 ? "I" : Rune.ToUpperInvariant(rune).ToString();

    private static string TitleOf(Rune rune)
    {
        if (rune.Value is >= 0x1C4 and <= 0x1CC or >= 0x1F1 and <= 0x1F3)
            return ((char)(rune.Value switch { <= 0x1C6 => 0x1C5, <= 0x1C9 => 0x1C8, <= 0x1CC => 0x1CB, _ => 0x1F2 })).ToString();
        string upper = UpperOf(rune);
        return upper.Length > rune.Utf16SequenceLength && char.IsLetter(upper[1]) ? upper[..1] + upper[1..].ToLowerInvariant() : upper;
    }

    private static string LowerOf(Rune rune, string text, int at)
    {
        if (rune.Value == 0x130)
            return "i\u0307";
        // A sigma that ends a word has a form of its own.
        if (rune.Value == 0x3A3)
            return at > 0 && IsCased(RuneBefore(text, at)) && !(at + 1 < text.Length && IsCased(RuneAt(text, at + 1))) ? "\u03c2" : "\u03c3";
        return Rune.ToLowerInvariant(rune).ToString();
    }

    private static Rune RuneAt(string text, int at) => Rune.TryGetRuneAt(text, at, out var rune) ? rune : Rune.ReplacementChar;

    private static Rune RuneBefore(string text, int at) =>
        at > 1 && char.IsSurrogatePair(text[at - 2], text[at - 1]) ? RuneAt(text, at - 2) : RuneAt(text, at - 1);

    private static MarkedString Map(Rendering rendering, MarkedString value, Func<Rune, string, int, string> map)
    {
        var builder = new MarkedStringBuilder(rendering);
        string text = value.Text;
        int mark = 0;
        for (int i = 0; i < text.Length;)
        {
            while (mark < value.Marks.Length && value.Marks[mark].End <= i)
                mark++;
            bool marked = mark < value.Marks.Length && value.Marks[mark].Start <= i;
            if (!Rune.TryGetRuneAt(text, i, out var rune))
            {
                builder.Append(text[i++], marked);
                continue;
            }

            builder.Append(map(rune, text, i), marked);
            i += rune.Utf16SequenceLength;
        }

        return builder.ToMarkedString().AsSafe(value.Safe);
    }
}
