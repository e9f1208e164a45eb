using System.Globalization;
using System.Numerics;
using System.Text;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>json.loads and json.dumps as Python has them: exact integers, float repr, key order, NaN, lone surrogates.</summary>
internal static class PythonJson
{
    private const int MaximumDepth = 128;

    /// <summary>Parses JSON into values marked as coming from the conversation.</summary>
    /// <exception cref="FormatException">The text is not JSON, or is nested deeper than 128.</exception>
    public static object? Parse(string json)
    {
        int at = 0;
        var value = ParseValue(json, ref at, 0);
        SkipSpace(json, ref at);
        return at == json.Length ? value : throw Bad(json, at);
    }

    public static bool TryParse(string json, out object? value)
    {
        try
        {
            value = Parse(json);
            return true;
        }
        catch (FormatException)
        {
            value = null;
            return false;
        }
    }

    private static FormatException Bad(string json, int at) =>
        new(at >= json.Length ? "the JSON ends too early" : $"unexpected character in JSON at {at}");

    private static void SkipSpace(string json, ref int at)
    {
        while (at < json.Length && json[at] is ' ' or '\t' or '\n' or '\r')
            at++;
    }

    private static object? ParseValue(string json, ref int at, int depth)
    {
        if (depth > MaximumDepth)
            throw new FormatException($"the JSON is nested more than {MaximumDepth} deep");
        SkipSpace(json, ref at);
        if (at >= json.Length)
            throw Bad(json, at);
        switch (json[at])
        {
            case '{':
                return ParseObject(json, ref at, depth);
            case '[':
                return ParseArray(json, ref at, depth);
            case '"':
                return MarkedString.FromConversation(ParseString(json, ref at));
            case 't' when Take(json, ref at, "true"):
                return Boxes.True;
            case 'f' when Take(json, ref at, "false"):
                return Boxes.False;
            case 'n' when Take(json, ref at, "null"):
                return null;
            case 'N' when Take(json, ref at, "NaN"):
                return double.NaN;
            case 'I' when Take(json, ref at, "Infinity"):
                return double.PositiveInfinity;
            case '-' when Take(json, ref at, "-Infinity"):
                return double.NegativeInfinity;
            default:
                return ParseNumber(json, ref at);
        }
    }

    private static bool Take(string json, ref int at, string word)
    {
        if (!json.AsSpan(at).StartsWith(word, StringComparison.Ordinal))
            return false;
        at += word.Length;
        return true;
    }

    private static PyDict ParseObject(string json, ref int at, int depth)
    {
        var dict = new PyDict { FromConversation = true };
        at++;
        SkipSpace(json, ref at);
        if (at < json.Length && json[at] == '}')
        {
            at++;
            return dict;
        }

        while (true)
        {
            SkipSpace(json, ref at);
            if (at >= json.Length || json[at] != '"')
                throw Bad(json, at);
            var key = MarkedString.FromConversation(ParseString(json, ref at));
            SkipSpace(json, ref at);
            if (at >= json.Length || json[at++] != ':')
                throw Bad(json, at - 1);
            dict.Set(key, ParseValue(json, ref at, depth + 1));
            SkipSpace(json, ref at);
            if (at >= json.Length)
                throw Bad(json, at);
            char c = json[at++];
            if (c == '}')
                return dict;
            if (c != ',')
                throw Bad(json, at - 1);
        }
    }

    private static PyList ParseArray(string json, ref int at, int depth)
    {
        var items = new List<object?>();
        at++;
        SkipSpace(json, ref at);
        if (at < json.Length && json[at] == ']')
        {
            at++;
            return new PyList(items) { FromConversation = true };
        }

        while (true)
        {
            items.Add(ParseValue(json, ref at, depth + 1));
            SkipSpace(json, ref at);
            if (at >= json.Length)
                throw Bad(json, at);
            char c = json[at++];
            if (c == ']')
                return new PyList(items) { FromConversation = true };
            if (c != ',')
                throw Bad(json, at - 1);
        }
    }

    private static string ParseString(string json, ref int at)
    {
        int start = ++at;
        while (at < json.Length && json[at] is not ('"' or '\\') and >= ' ')
            at++;
        if (at < json.Length && json[at] == '"')
            return json[start..at++];
        var text = new StringBuilder(json, start, at - start, Math.Max(16, 2 * (at - start)));
        while (at < json.Length)
        {
            char c = json[at++];
            if (c == '"')
                return text.ToString();
            if (c < ' ')
                throw Bad(json, at - 1);
            if (c != '\\')
            {
                text.Append(c);
                continue;
            }

            if (at >= json.Length)
                break;
            char escape = json[at++];
            switch (escape)
            {
                case '"' or '\\' or '/':
                    text.Append(escape);
                    break;
                case 'b':
                    text.Append('\b');
                    break;
                case 'f':
                    text.Append('\f');
                    break;
                case 'n':
                    text.Append('\n');
                    break;
                case 'r':
                    text.Append('\r');
                    break;
                case 't':
                    text.Append('\t');
                    break;
                case 'u':
                    if (at + 4 > json.Length
                        || !ushort.TryParse(json.AsSpan(at, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort unit))
                        throw Bad(json, at);
                    text.Append((char)unit);
                    at += 4;
                    break;
                default:
                    throw Bad(json, at - 1);
            }
        }

        throw Bad(json, at);
    }

    private static object ParseNumber(string json, ref int at)
    {
        int start = at;
        if (json[at] == '-')
            at++;
        int digits = at;
        SkipDigits(json, ref at);
        if (at == digits || (json[digits] == '0' && at - digits > 1))
            throw Bad(json, digits);
        bool integer = true;
        if (at + 1 < json.Length && json[at] == '.' && char.IsAsciiDigit(json[at + 1]))
        {
            integer = false;
            at++;
            SkipDigits(json, ref at);
        }

        if (at < json.Length && json[at] is 'e' or 'E')
        {
            int exponent = at + 1;
            if (exponent < json.Length && json[exponent] is '+' or '-')
                exponent++;
            if (exponent < json.Length && char.IsAsciiDigit(json[exponent]))
            {
                integer = false;
                at = exponent;
                SkipDigits(json, ref at);
            }
        }

        var text = json.AsSpan(start, at - start);
        if (!integer)
            return double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number))
            return Boxes.Of(number);
        if (text.Length > 4300)
            throw new FormatException("a number in the JSON has more than 4300 digits");
        return BigInteger.Parse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
    }

    private static void SkipDigits(string json, ref int at)
    {
        while (at < json.Length && char.IsAsciiDigit(json[at]))
            at++;
    }

    /// <summary>Settings of json.dumps.</summary>
    public sealed record Format(string? Indent, string ItemSeparator, string KeySeparator, bool SortKeys, bool EnsureAscii)
    {
        public static readonly Format Default = new(null, ", ", ": ", false, false);
    }

    public static MarkedString Write(Rendering rendering, object? value, Format format)
    {
        var builder = new MarkedStringBuilder(rendering);
        Write(rendering, builder, value, format, 0, false);
        return builder.ToMarkedString();
    }

    private static void Write(Rendering rendering, MarkedStringBuilder builder, object? value, Format format, int depth, bool marked)
    {
        rendering.Charge();
        switch (value)
        {
            case null:
                builder.Append("null", marked);
                return;
            case bool flag:
                builder.Append(flag ? "true" : "false", marked);
                return;
            case long or BigInteger:
                builder.Append(PythonText.Scalar(value), marked);
                return;
            case double number:
                builder.Append(Number(number), marked);
                return;
            case MarkedString text:
                WriteString(builder, text, format.EnsureAscii, marked);
                return;
        }

        rendering.Enter();
        switch (value)
        {
            case PySequence list:
                marked |= list.FromConversation;
                if (list.Items.Count == 0)
                    builder.Append("[]", marked);
                else
                {
                    builder.Append('[', marked);
                    for (int i = 0; i < list.Items.Count; i++)
                    {
                        Separate(builder, format, i == 0, depth + 1, marked);
                        Write(rendering, builder, list.Items[i], format, depth + 1, marked);
                    }

                    NewLine(builder, format, depth, marked);
                    builder.Append(']', marked);
                }

                break;
            case PyDict dict:
                marked |= dict.FromConversation;
                if (dict.Count == 0)
                    builder.Append("{}", marked);
                else
                {
                    builder.Append('{', marked);
                    bool first = true;
                    IEnumerable<KeyValuePair<object?, object?>> entries = dict.Entries;
                    if (format.SortKeys)
                        entries = Sorting.Sort(rendering, [.. dict.Entries], e => e.Key, false);
                    foreach (var entry in entries)
                    {
                        Separate(builder, format, first, depth + 1, marked);
                        first = false;
                        WriteString(builder, KeyText(entry.Key), format.EnsureAscii, marked);
                        builder.Append(format.KeySeparator, marked);
                        Write(rendering, builder, entry.Value, format, depth + 1, marked);
                    }

                    NewLine(builder, format, depth, marked);
                    builder.Append('}', marked);
                }

                break;
            default:
                throw new JinjaException($"Object of type {PythonText.TypeName(value)} is not JSON serializable");
        }

        rendering.Leave();
    }

    private static string Number(double number) =>
        double.IsNaN(number) ? "NaN"
        : double.IsInfinity(number) ? (number > 0 ? "Infinity" : "-Infinity")
        : PythonText.Float(number);

    private static MarkedString KeyText(object? key) => key switch
    {
        MarkedString text => text,
        null => new MarkedString("null"),
        bool flag => new MarkedString(flag ? "true" : "false"),
        long or BigInteger => new MarkedString(PythonText.Scalar(key)),
        double number => new MarkedString(Number(number)),
        _ => throw new JinjaException($"keys must be str, int, float, bool or None, not {PythonText.TypeName(key)}"),
    };

    private static void Separate(MarkedStringBuilder builder, Format format, bool first, int depth, bool marked)
    {
        if (!first)
            builder.Append(format.ItemSeparator, marked);
        NewLine(builder, format, depth, marked);
    }

    private static void NewLine(MarkedStringBuilder builder, Format format, int depth, bool marked)
    {
        if (format.Indent is null)
            return;
        builder.Append('\n', marked);
        for (int i = 0; i < depth; i++)
            builder.Append(format.Indent, marked);
    }

    private static void WriteString(MarkedStringBuilder builder, MarkedString value, bool ensureAscii, bool marked)
    {
        string text = value.Text;
        // The quotes of a conversation's string belong to it, so that a marked JSON text is one range.
        bool whole = marked || (value.Marks.Length == 1 && value.Marks[0].Length == text.Length);
        builder.Append('"', whole);
        int run = 0;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (c is >= ' ' and not ('"' or '\\') && (!ensureAscii || c < '\x7f'))
                continue;
            Piece(builder, value, run, i, whole);
            string escape = c switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\f' => "\\f",
                '\b' => "\\b",
                '\x7f' => "\x7f",
                _ => "\\u" + ((int)c).ToString("x4", CultureInfo.InvariantCulture),
            };
            builder.Append(escape, whole || IsMarked(value, i));
            run = i + 1;
        }

        Piece(builder, value, run, text.Length, whole);
        builder.Append('"', whole);
    }

    private static void Piece(MarkedStringBuilder builder, MarkedString value, int from, int to, bool whole)
    {
        if (from >= to)
            return;
        if (whole)
            builder.Append(from == 0 && to == value.Text.Length ? value.Text : value.Text[from..to], true);
        else
            builder.Append(value, from, to - from);
    }

    private static bool IsMarked(MarkedString value, int at)
    {
        foreach (var mark in value.Marks)
            if (at >= mark.Start && at < mark.Start + mark.Length)
                return true;
        return false;
    }
}
