using System.Globalization;
using System.Text;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>Filters on text.</summary>
internal static class StringFilters
{
    /// <summary>markupsafe.escape: &amp; &lt; &gt; " ' become references.</summary>
    public static MarkedString Escape(Rendering rendering, MarkedString value)
    {
        if (value.Safe)
            return value;
        if (value.Text.AsSpan().IndexOfAny("&<>\"'") < 0)
            return value.AsSafe(true);
        var builder = new MarkedStringBuilder(rendering);
        for (int i = 0; i < value.Text.Length; i++)
        {
            string? reference = value.Text[i] switch
            {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&#34;",
                '\'' => "&#39;",
                _ => null,
            };
            if (reference is null)
                builder.Append(value, i, 1);
            else
                builder.Append(reference, value.Units(i, 1).Marks.Length > 0);
        }

        return builder.ToMarkedString().AsSafe(true);
    }

    /// <summary>The filter title: a capital after white space, '-', '(', '{', '[' or '&lt;'.</summary>
    public static MarkedString Title(Rendering rendering, MarkedString value)
    {
        var builder = new MarkedStringBuilder(rendering);
        string text = value.Text;
        int from = 0;
        while (from < text.Length)
        {
            bool separator = IsSeparator(text[from]);
            int to = from;
            while (to < text.Length && IsSeparator(text[to]) == separator)
                to++;
            var piece = value.Units(from, to - from);
            builder.Append(separator ? piece : Word(rendering, piece));
            from = to;
        }

        return builder.ToMarkedString();

        static bool IsSeparator(char c) => c is '-' or '(' or '{' or '[' or '<' || PythonText.IsSpace(c);
    }

    private static MarkedString Word(Rendering rendering, MarkedString word)
    {
        var first = word.CodePoint(0);
        return MarkedString.Concat(
            CaseMapping.Upper(rendering, first), CaseMapping.Lower(rendering, word.Units(first.Text.Length, word.Text.Length - first.Text.Length)));
    }

    public static MarkedString Indent(Rendering rendering, MarkedString value, object? width, bool first, bool blank)
    {
        var indentation = width == Arguments.Missing ? new MarkedString("    ")
            : width is MarkedString text ? text
            : (MarkedString)Operators.Multiply(rendering, new MarkedString(" "), width)!;
        var lines = StringMethods.SplitLines(MarkedString.Concat(value, new MarkedString("\n")), false);
        var builder = new MarkedStringBuilder(rendering);
        for (int i = 0; i < lines.Count; i++)
        {
            if (i > 0)
                builder.Append('\n');
            if (i == 0 ? first : blank || lines[i].Text.Length > 0)
                builder.Append(indentation);
            builder.Append(lines[i]);
        }

        return builder.ToMarkedString();
    }

    public static MarkedString Truncate(Rendering rendering, MarkedString value, long length, bool killWords, MarkedString end, long leeway)
    {
        if (length < end.Length || leeway < 0)
            throw new JinjaException($"expected length >= {end.Length}, got {length}");
        if (value.Length <= length + leeway)
            return value;
        var cut = value.Units(0, value.Offset((int)(length - end.Length)));
        if (!killWords)
        {
            int space = cut.Text.LastIndexOf(' ');
            if (space >= 0)
                cut = cut.Units(0, space);
        }

        rendering.ChargeText(cut.Text.Length);
        return MarkedString.Concat(cut, end);
    }

    public static long WordCount(MarkedString value)
    {
        long words = 0;
        bool inside = false;
        foreach (var rune in value.Text.EnumerateRunes())
        {
            bool word = rune.Value == '_' || Rune.IsLetter(rune) || Rune.IsNumber(rune);
            if (word && !inside)
                words++;
            inside = word;
        }

        return words;
    }

    public static MarkedString UrlQuote(Rendering rendering, MarkedString value, bool query)
    {
        var builder = new MarkedStringBuilder(rendering);
        int at = 0;
        foreach (var rune in value.Text.EnumerateRunes())
        {
            bool marked = value.Units(at, rune.Utf16SequenceLength).Marks.Length > 0;
            at += rune.Utf16SequenceLength;
            if (rune.IsAscii && (char.IsAsciiLetterOrDigit((char)rune.Value) || rune.Value is '_' or '.' or '-' or '~' || (rune.Value == '/' && !query)))
                builder.Append((char)rune.Value, marked);
            else if (rune.Value == ' ' && query)
                builder.Append('+', marked);
            else
                foreach (byte b in Encoding.UTF8.GetBytes(rune.ToString()))
                    builder.Append("%" + b.ToString("X2", CultureInfo.InvariantCulture), marked);
        }

        return builder.ToMarkedString();
    }

    public static MarkedString FileSize(double bytes, bool binary)
    {
        double unit = binary ? 1024 : 1000;
        string[] prefixes = binary
            ? ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
            : ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
        if (bytes == 1)
            return new MarkedString("1 Byte");
        if (bytes < unit)
            return new MarkedString(PythonText.Scalar(Numbers.Truncate(bytes)) + " Bytes");
        for (int i = 0; ; i++)
        {
            double next = Math.Pow(unit, i + 2);
            if (bytes < next || i == prefixes.Length - 1)
                return new MarkedString(Numbers.Fixed(unit * bytes / next, 1) + " " + prefixes[i]);
        }
    }
}
