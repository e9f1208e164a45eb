using System.Text;
using System.Text.Json;

namespace QwenServe.Tests.Output;

/// <summary>An independent reader of JSON: closes a prefix of it, and judges strictly what is whole.</summary>
internal static class JsonCloser
{
    /// <summary>Completes a prefix of JSON by the shortest means it knows. What is not a prefix does not parse afterwards.</summary>
    internal static string Close(string prefix)
    {
        var open = new Stack<char>();
        var text = new StringBuilder(prefix);
        var inString = false;
        var isKey = false;
        var expectKey = false;
        var last = '\0';            // last character outside strings that is not white space; '"' a value's string, 'k' a key
        for (var i = 0; i < prefix.Length; i++)
        {
            var c = prefix[i];
            if (inString)
            {
                if (c == '\\')
                {
                    if (i + 1 == prefix.Length)
                    {
                        text.Append('\\');
                    }
                    else if (prefix[i + 1] == 'u')
                    {
                        var digits = Math.Min(4, prefix.Length - i - 2);
                        text.Append('0', i + 6 > prefix.Length ? 4 - digits : 0);
                        i += digits;
                    }
                    i++;
                }
                else if (c == '"')
                {
                    inString = false;
                    last = isKey ? 'k' : '"';
                }
                continue;
            }
            if (c is ' ' or '\n' or '\r' or '\t') continue;
            switch (c)
            {
                case '"':
                    inString = true;
                    isKey = expectKey;
                    break;
                case '{' or '[':
                    open.Push(c);
                    expectKey = c == '{';
                    break;
                case '}' or ']':
                    if (open.Count > 0) open.Pop();
                    break;
                case ',':
                    expectKey = open.Count > 0 && open.Peek() == '{';
                    break;
                case ':':
                    expectKey = false;
                    break;
            }
            last = c;
        }
        if (inString)
        {
            text.Append('"');
            last = isKey ? 'k' : '"';
        }
        if (last == 'k') text.Append(":0");
        else if (last == ':') text.Append('0');
        else if (last == ',') text.Append(open.Count > 0 && open.Peek() == '{' ? "\"\":0" : "0");
        else if (!inString && prefix.Length > 0 && last == prefix[^1]) text.Append(RestOfToken(prefix));
        foreach (var bracket in open) text.Append(bracket == '{' ? '}' : ']');
        return text.ToString();
    }

    /// <summary>Whether a text is one JSON object whose strings are all Unicode; otherwise why not.</summary>
    internal static string? WhyNotAnObject(string text)
    {
        try
        {
            using var json = JsonDocument.Parse(text);
            if (json.RootElement.ValueKind != JsonValueKind.Object) return "a " + json.RootElement.ValueKind;
            Visit(json.RootElement);
            return null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return e.Message;
        }
    }

    private static void Visit(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.String:
                element.GetString();
                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray()) Visit(item);
                break;
            case JsonValueKind.Object:
                foreach (var property in element.EnumerateObject())
                {
                    _ = property.Name;
                    Visit(property.Value);
                }
                break;
        }
    }

    private static string RestOfToken(string prefix)
    {
        var start = prefix.Length;
        while (start > 0 && (char.IsAsciiLetterOrDigit(prefix[start - 1]) || prefix[start - 1] is '-' or '+' or '.')) start--;
        var token = prefix[start..];
        if (token.Length == 0) return "";
        foreach (var literal in (string[])["true", "false", "null"])
            if (literal.StartsWith(token, StringComparison.Ordinal))
                return literal[token.Length..];
        return token[^1] is '-' or '+' or '.' or 'e' or 'E' ? "0" : "";
    }
}
