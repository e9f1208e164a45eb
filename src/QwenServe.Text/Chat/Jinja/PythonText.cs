using System.Globalization;
using System.Numerics;
using System.Text;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>str() and repr() of values, as Python prints them.</summary>
internal static class PythonText
{
    /// <summary>Python refuses to print longer integers (sys.get_int_max_str_digits).</summary>
    private const int MaximumDigits = 4300;

    public static string TypeName(object? value) => value switch
    {
        null => "NoneType",
        bool => "bool",
        long or BigInteger => "int",
        double => "float",
        MarkedString => "str",
        PyList => "list",
        PyTuple => "tuple",
        PyDict => "dict",
        PyRange => "range",
        DictView view => "dict_" + view.Kind,
        PyIterator => "generator",
        Undefined => "Undefined",
        NamespaceObject => "Namespace",
        Slice => "slice",
        Macro => "Macro",
        LoopContext => "LoopContext",
        Callable => "function",
        _ => value.GetType().Name,
    };

    /// <summary>How a value prints in <c>{{ }}</c>.</summary>
    public static MarkedString Str(Rendering rendering, object? value)
    {
        switch (value)
        {
            case MarkedString text:
                return text;
            case Undefined:
                return MarkedString.Empty;
            case null or bool or long or double or BigInteger:
                return new MarkedString(Scalar(value));
            default:
                var builder = new MarkedStringBuilder(rendering);
                Repr(rendering, builder, value, false);
                return builder.ToMarkedString();
        }
    }

    public static MarkedString Repr(Rendering rendering, object? value)
    {
        var builder = new MarkedStringBuilder(rendering);
        Repr(rendering, builder, value, false);
        return builder.ToMarkedString();
    }

    public static string Scalar(object? value) => value switch
    {
        null => "None",
        true => "True",
        false => "False",
        long number => number.ToString(CultureInfo.InvariantCulture),
        BigInteger number => Integer(number),
        double number => Float(number),
        _ => throw new ArgumentException("not a scalar", nameof(value)),
    };

    public static string Integer(BigInteger number)
    {
        string text = number.ToString(CultureInfo.InvariantCulture);
        return text.Length > MaximumDigits + 1
            ? throw new ConversionException($"Exceeds the limit ({MaximumDigits} digits) for integer string conversion")
            : text;
    }

    /// <summary>repr(float): the shortest digits that read back, with an exponent below 1e-4 and from 1e16.</summary>
    public static string Float(double value)
    {
        if (double.IsNaN(value))
            return "nan";
        if (double.IsInfinity(value))
            return value > 0 ? "inf" : "-inf";
        if (value == 0)
            return double.IsNegative(value) ? "-0.0" : "0.0";
        string shortest = value.ToString("E16", CultureInfo.InvariantCulture);
        string round = value.ToString("R", CultureInfo.InvariantCulture);
        // "R" gives the digits; their place comes from wherever "R" put the point or the exponent.
        string sign = round[0] == '-' ? "-" : "";
        string body = sign.Length > 0 ? round[1..] : round;
        int exponent = 0;
        int e = body.IndexOf('E', StringComparison.Ordinal);
        if (e >= 0)
        {
            exponent = int.Parse(body.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
            body = body[..e];
        }

        int point = body.IndexOf('.', StringComparison.Ordinal);
        string digits = point < 0 ? body : body.Remove(point, 1);
        int scale = (point < 0 ? body.Length : point) + exponent;
        string trimmed = digits.TrimStart('0');
        scale -= digits.Length - trimmed.Length;
        trimmed = trimmed.TrimEnd('0');
        if (trimmed.Length == 0)
            return sign + shortest;
        return sign + Place(trimmed, scale);
    }

    private static string Place(string digits, int scale)
    {
        if (scale is > -4 and <= 16)
        {
            if (scale <= 0)
                return "0." + new string('0', -scale) + digits;
            return digits.Length <= scale
                ? digits + new string('0', scale - digits.Length) + ".0"
                : digits[..scale] + "." + digits[scale..];
        }

        int exponent = scale - 1;
        string mantissa = digits.Length == 1 ? digits : digits[..1] + "." + digits[1..];
        return mantissa + "e" + (exponent < 0 ? "-" : "+") + Math.Abs(exponent).ToString("00", CultureInfo.InvariantCulture);
    }

    public static void Repr(Rendering rendering, MarkedStringBuilder builder, object? value, bool marked)
    {
        rendering.Charge();
        switch (value)
        {
            case MarkedString text:
                ReprString(builder, text, marked);
                return;
            case null or bool or long or double or BigInteger:
                builder.Append(Scalar(value), marked);
                return;
            case Undefined:
                builder.Append("Undefined", marked);
                return;
            case BuiltinFunction function:
                builder.Append($"<function {function.Name}>", marked);
                return;
            case Macro macro:
                builder.Append($"<Macro '{macro.Name}'>", marked);
                return;
            case LoopContext loop:
                builder.Append($"<LoopContext {loop.Index}/{loop.Length}>", marked);
                return;
            case PyRange range:
                builder.Append(range.Step == 1 ? $"range({range.Start}, {range.Stop})" : $"range({range.Start}, {range.Stop}, {range.Step})", marked);
                return;
            case PyIterator or Callable or Slice:
                builder.Append($"<{TypeName(value)} object>", marked);
                return;
        }

        rendering.Enter();
        switch (value)
        {
            case PyList list:
                ReprItems(rendering, builder, list.Items, "[", "]", marked || list.FromConversation);
                break;
            case PyTuple tuple:
                ReprItems(rendering, builder, tuple.Items, "(", tuple.Items.Count == 1 ? ",)" : ")", marked || tuple.FromConversation);
                break;
            case DictView view:
                builder.Append($"dict_{view.Kind}(", marked);
                ReprItems(rendering, builder, [.. view.Items()], "[", "]", marked || view.Dict.FromConversation);
                builder.Append(")", marked);
                break;
            case NamespaceObject space:
                builder.Append("<Namespace ", marked);
                Repr(rendering, builder, space.Attributes, marked);
                builder.Append(">", marked);
                break;
            case PyDict dict:
                marked |= dict.FromConversation;
                builder.Append("{", marked);
                bool first = true;
                foreach (var entry in dict.Entries)
                {
                    if (!first)
                        builder.Append(", ", marked);
                    first = false;
                    Repr(rendering, builder, entry.Key, marked);
                    builder.Append(": ", marked);
                    Repr(rendering, builder, entry.Value, marked);
                }

                builder.Append("}", marked);
                break;
            default:
                builder.Append($"<{TypeName(value)} object>", marked);
                break;
        }

        rendering.Leave();
    }

    private static void ReprItems(
        Rendering rendering, MarkedStringBuilder builder, IReadOnlyList<object?> items, string open, string close, bool marked)
    {
        builder.Append(open, marked);
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0)
                builder.Append(", ", marked);
            Repr(rendering, builder, items[i], marked);
        }

        builder.Append(close, marked);
    }

    private static void ReprString(MarkedStringBuilder builder, MarkedString value, bool marked)
    {
        string text = value.Text;
        char quote = text.Contains('\'', StringComparison.Ordinal) && !text.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        // The quotes and escapes of a conversation's string belong to the conversation as the string does.
        bool whole = marked || (value.Marks.Length == 1 && value.Marks[0].Length == text.Length);
        if (value.Safe)
            builder.Append("Markup(", whole);
        builder.Append(quote, whole);
        int mark = 0;
        for (int i = 0; i < text.Length; i++)
        {
            while (mark < value.Marks.Length && value.Marks[mark].Start + value.Marks[mark].Length <= i)
                mark++;
            bool here = whole || (mark < value.Marks.Length && value.Marks[mark].Start <= i);
            char c = text[i];
            if (c == quote || c == '\\')
                builder.Append("\\" + c, here);
            else if (c == '\n')
                builder.Append("\\n", here);
            else if (c == '\r')
                builder.Append("\\r", here);
            else if (c == '\t')
                builder.Append("\\t", here);
            else if (c is >= ' ' and < '\x7f')
                builder.Append(c, here);
            else if (Rune.TryGetRuneAt(text, i, out var rune))
            {
                if (IsPrintable(rune))
                    builder.Append(text.Substring(i, rune.Utf16SequenceLength), here);
                else
                    builder.Append(Escape(rune.Value), here);
                i += rune.Utf16SequenceLength - 1;
            }
            else
                builder.Append(Escape(c), here);
        }

        builder.Append(quote, whole);
        if (value.Safe)
            builder.Append(")", whole);
    }

    private static string Escape(int codePoint) => codePoint switch
    {
        < 0x100 => "\\x" + codePoint.ToString("x2", CultureInfo.InvariantCulture),
        < 0x10000 => "\\u" + codePoint.ToString("x4", CultureInfo.InvariantCulture),
        _ => "\\U" + codePoint.ToString("x8", CultureInfo.InvariantCulture),
    };

    /// <summary>str.isprintable of one character.</summary>
    public static bool IsPrintable(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not
        (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.SpaceSeparator);

    /// <summary>str.isspace of one UTF-16 unit (no white space is outside the basic plane).</summary>
    public static bool IsSpace(char c) =>
        c is (>= '\t' and <= '\r') or (>= '\x1c' and <= ' ') or '\x85' or '\xa0' or '\u1680' or (>= '\u2000' and <= '\u200a')
            or '\u2028' or '\u2029' or '\u202f' or '\u205f' or '\u3000';
}
