using System.Text;

namespace QwenServe.Text.Output;

/// <summary>Spelling of JSON tokens: what is strict already, and what a near miss means.</summary>
internal static class LenientJson
{
    private static readonly string[] ControlEscapes = [.. Enumerable.Range(0, 32).Select(c => c switch
    {
        '\b' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\f' => "\\f",
        '\r' => "\\r",
        _ => $"\\u{c:x4}",
    })];

    /// <summary>The JSON text of one character inside a string, or null where it stands for itself.</summary>
    internal static string? Escape(char c) => c switch
    {
        < ' ' => ControlEscapes[c],
        '"' => "\\\"",
        '\\' => "\\\\",
        _ => null,
    };

    /// <summary>White space that JSON knows stays; other white space becomes a space.</summary>
    internal static char Space(char c) => c is ' ' or '\t' or '\n' or '\r' ? c : ' ';

    internal static bool StartsWord(char c) => char.IsLetterOrDigit(c) || c is '_' or '-' or '+' or '.' or '$';

    internal static bool EndsWord(char c) => char.IsWhiteSpace(c) || c is ',' or '}' or ']' or ':' or '{' or '[' or '"' or '\'' or '<' or '`';

    /// <summary>
    /// The JSON value that a bare word stands for: JSON's numbers and literals as they are, those of Python and JavaScript translated,
    /// anything else as a string with its characters kept (a date, a code with leading zeros, an identifier).
    /// </summary>
    internal static string Value(string word)
    {
        if (IsNumber(word)) return word;
        switch (word)
        {
            case "true" or "True" or "TRUE": return "true";
            case "false" or "False" or "FALSE": return "false";
            case "null" or "None" or "NULL" or "undefined" or "NaN" or "Infinity" or "-Infinity": return "null";
        }
        var positive = word.StartsWith('+') ? word[1..] : word;
        var sign = positive.StartsWith('-') ? "-" : "";
        var digits = positive[sign.Length..];
        if (digits.StartsWith('.')) digits = "0" + digits;
        if (digits.EndsWith('.')) digits += "0";
        if (IsNumber(sign + digits)) return sign + digits;
        return Quote(word);
    }

    internal static bool IsNull(string word) => word is "null" or "None" or "NULL" or "undefined";

    internal static string Quote(string text)
    {
        var quoted = new StringBuilder(text.Length + 2).Append('"');
        foreach (var c in text)
        {
            if (Escape(c) is { } escape) quoted.Append(escape);
            else quoted.Append(c);
        }
        return quoted.Append('"').ToString();
    }

    /// <summary>Whether a word can be continued to a number or a literal of JSON.</summary>
    internal static bool IsPrefixOfValue(string word)
        => IsNumber(word) || IsNumber(word + "0")
        || "true".StartsWith(word, StringComparison.Ordinal) || "false".StartsWith(word, StringComparison.Ordinal)
        || "null".StartsWith(word, StringComparison.Ordinal);

    /// <summary>JSON's number grammar (RFC 8259, section 6).</summary>
    internal static bool IsNumber(ReadOnlySpan<char> word)
    {
        var i = 0;
        if (i < word.Length && word[i] == '-') i++;
        var first = i;
        if (!Digits(word, ref i)) return false;
        if (word[first] == '0' && i > first + 1) return false;
        if (i < word.Length && word[i] == '.')
        {
            i++;
            if (!Digits(word, ref i)) return false;
        }
        if (i < word.Length && word[i] is 'e' or 'E')
        {
            i++;
            if (i < word.Length && word[i] is '+' or '-') i++;
            if (!Digits(word, ref i)) return false;
        }
        return i == word.Length;
    }

    private static bool Digits(ReadOnlySpan<char> word, ref int i)
    {
        var start = i;
        while (i < word.Length && char.IsAsciiDigit(word[i])) i++;
        return i > start;
    }
}
