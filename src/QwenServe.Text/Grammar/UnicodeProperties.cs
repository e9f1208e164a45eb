using System.Globalization;

namespace QwenServe.Text.Grammar;

/// <summary>The general categories that <c>\p{…}</c> may name, from the runtime's Unicode data.</summary>
internal static class UnicodeProperties
{
    // UAX 44, table 12, in the order of UnicodeCategory.
    private static readonly string[] Short =
    [
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Pc", "Pd", "Ps", "Pe", "Pi",
        "Pf", "Po", "Sm", "Sc", "Sk", "So", "Cn",
    ];

    private static readonly string[] Long =
    [
        "Uppercase_Letter", "Lowercase_Letter", "Titlecase_Letter", "Modifier_Letter", "Other_Letter", "Nonspacing_Mark", "Spacing_Mark",
        "Enclosing_Mark", "Decimal_Number", "Letter_Number", "Other_Number", "Space_Separator", "Line_Separator", "Paragraph_Separator", "Control",
        "Format", "Surrogate", "Private_Use", "Connector_Punctuation", "Dash_Punctuation", "Open_Punctuation", "Close_Punctuation",
        "Initial_Punctuation", "Final_Punctuation", "Other_Punctuation", "Math_Symbol", "Currency_Symbol", "Modifier_Symbol", "Other_Symbol",
        "Unassigned",
    ];

    private static readonly Dictionary<string, char> Groups = new(StringComparer.Ordinal)
    {
        ["Letter"] = 'L',
        ["Mark"] = 'M',
        ["Number"] = 'N',
        ["Separator"] = 'Z',
        ["Other"] = 'C',
        ["Punctuation"] = 'P',
        ["Symbol"] = 'S',
    };

    /// <summary>The code points of a property expression (<c>L</c>, <c>Lu</c>, <c>Letter</c>, <c>gc=Lu</c>), or null when it is not a category.</summary>
    public static SymbolRange[]? Find(string name)
    {
        foreach (var prefix in (ReadOnlySpan<string>)["gc=", "General_Category="])
            if (name.StartsWith(prefix, StringComparison.Ordinal)) name = name[prefix.Length..];
        switch (name)
        {
            case "Any": return Ranges.All;
            case "ASCII": return [new(0, 0x7F)];
        }
        var index = Array.IndexOf(Short, name);
        if (index < 0) index = Array.IndexOf(Long, name);
        if (index >= 0) return Ranges.Category((UnicodeCategory)index);
        var group = name.Length == 1 ? name[0] : Groups.GetValueOrDefault(name);
        if (group == 0 || !Short.Any(s => s[0] == group)) return null;
        return Ranges.Normalize(Enumerable.Range(0, Short.Length).Where(i => Short[i][0] == group).SelectMany(i => Ranges.Category((UnicodeCategory)i)));
    }
}
