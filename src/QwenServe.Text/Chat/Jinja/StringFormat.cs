using System.Globalization;
using System.Numerics;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>str.format: fields by position or name with attributes and items, conversions, and format specifications.</summary>
internal static class StringFormat
{
    public static MarkedString Apply(Rendering rendering, MarkedString format, Arguments arguments)
    {
        var builder = new MarkedStringBuilder(rendering);
        int automatic = 0;
        Format(rendering, builder, format, arguments, ref automatic, 0);
        return builder.ToMarkedString().AsSafe(format.Safe);
    }

    private static void Format(
        Rendering rendering, MarkedStringBuilder builder, MarkedString format, Arguments arguments, ref int automatic, int depth)
    {
        if (depth > 2)
            throw new ConversionException("Max string recursion exceeded");
        string text = format.Text;
        for (int i = 0; i < text.Length;)
        {
            int brace = text.AsSpan(i).IndexOfAny('{', '}');
            brace = brace < 0 ? text.Length : brace + i;
            builder.Append(format, i, brace - i);
            if (brace == text.Length)
                return;
            if (brace + 1 < text.Length && text[brace + 1] == text[brace])
            {
                builder.Append(format, brace, 1);
                i = brace + 2;
                continue;
            }

            if (text[brace] == '}')
                throw new ConversionException("Single '}' encountered in format string");
            int close = brace + 1;
            for (int open = 1; ; close++)
            {
                if (close >= text.Length)
                    throw new ConversionException("expected '}' before end of string");
                if (text[close] == '{')
                    open++;
                else if (text[close] == '}' && --open == 0)
                    break;
            }

            Field(rendering, builder, format.Units(brace + 1, close - brace - 1), arguments, ref automatic, depth);
            i = close + 1;
        }
    }

    private static void Field(
        Rendering rendering, MarkedStringBuilder builder, MarkedString field, Arguments arguments, ref int automatic, int depth)
    {
        string text = field.Text;
        int end = 0;
        for (bool inside = false; end < text.Length && (inside || text[end] is not (':' or '!')); end++)
            inside = text[end] == '[' || (inside && text[end] != ']');
        string name = text[..end];
        char conversion = '\0';
        if (end < text.Length && text[end] == '!')
        {
            if (end + 1 >= text.Length || (end + 2 < text.Length && text[end + 2] != ':'))
                throw new ConversionException("expected ':' after conversion specifier");
            conversion = text[end + 1];
            end += 2;
        }

        var specification = end < text.Length ? field.Units(end + 1, text.Length - end - 1) : MarkedString.Empty;
        object? value = Lookup(rendering, name, arguments, ref automatic);
        if (specification.Text.Contains('{', StringComparison.Ordinal))
        {
            var inner = new MarkedStringBuilder(rendering);
            Format(rendering, inner, specification, arguments, ref automatic, depth + 1);
            specification = inner.ToMarkedString();
        }

        value = conversion switch
        {
            '\0' => value,
            's' => PythonText.Str(rendering, value),
            'r' or 'a' => PythonText.Repr(rendering, value),
            _ => throw new ConversionException($"Unknown conversion specifier {conversion}"),
        };
        builder.Append(Specify(rendering, value, specification.Text));
    }

    private static object? Lookup(Rendering rendering, string name, Arguments arguments, ref int automatic)
    {
        int end = name.AsSpan().IndexOfAny('.', '[');
        string first = end < 0 ? name : name[..end];
        object? value;
        if (first.Length == 0 || first.All(char.IsAsciiDigit))
        {
            bool numbered = first.Length > 0;
            if (numbered ? automatic > 0 : automatic < 0)
                throw new ConversionException("cannot switch between manual field specification and automatic field numbering");
            int at = numbered ? (first.Length > 6 ? int.MaxValue : int.Parse(first, CultureInfo.InvariantCulture)) : automatic++;
            if (numbered)
                automatic = -1;
            value = at < arguments.Positional.Length ? arguments.Positional[at]
                : throw new JinjaException($"Replacement index {at} out of range for positional args tuple");
        }
        else
        {
            int at = Array.FindIndex(arguments.Named, n => n.Key == first);
            value = at >= 0 ? arguments.Named[at].Value : throw new JinjaException($"KeyError: '{first}'");
        }

        for (int i = first.Length; i < name.Length;)
        {
            if (name[i] == '.')
            {
                int stop = name.AsSpan(i + 1).IndexOfAny('.', '[');
                stop = stop < 0 ? name.Length : i + 1 + stop;
                value = Attributes.Get(value, name[(i + 1)..stop]);
                i = stop;
            }
            else
            {
                int close = name.IndexOf(']', i);
                if (name[i] != '[' || close < 0)
                    throw new ConversionException("Only '.' or '[' may follow ']' in format field specifier");
                string key = name[(i + 1)..close];
                value = Operators.GetItem(rendering, value, key.Length is > 0 and < 10 && key.All(char.IsAsciiDigit)
                    ? Boxes.Of(long.Parse(key, CultureInfo.InvariantCulture)) : new MarkedString(key));
                i = close + 1;
            }
        }

        return value;
    }

    /// <summary>format(value, specification): [[fill]align][sign][#][0][width][,_][.precision][type].</summary>
    private static MarkedString Specify(Rendering rendering, object? value, string specification)
    {
        if (specification.Length == 0)
            return PythonText.Str(rendering, value).AsSafe(false);
        if (value is Undefined || !(value is MarkedString || Operators.IsNumber(value)))
            throw new ConversionException($"unsupported format string passed to {PythonText.TypeName(value)}.__format__");
        int i = 0;
        var fill = new MarkedString(" ");
        char align = '\0';
        var units = new MarkedString(specification);
        int firstLength = units.CodePoint(0).Text.Length;
        if (specification.Length > firstLength && specification[firstLength] is '<' or '>' or '^' or '=')
        {
            fill = units.CodePoint(0);
            align = specification[firstLength];
            i = firstLength + 1;
        }
        else if (specification[0] is '<' or '>' or '^' or '=')
            align = specification[i++];
        char signMode = i < specification.Length && specification[i] is '+' or '-' or ' ' ? specification[i++] : '-';
        bool alternate = i < specification.Length && specification[i] == '#' && ++i > 0;
        if (i < specification.Length && specification[i] == '0')
        {
            i++;
            if (align == '\0')
            {
                fill = new MarkedString("0");
                align = value is MarkedString ? '<' : '=';
            }
        }

        long width = Digits(ref i) ?? 0;
        char grouping = i < specification.Length && specification[i] is ',' or '_' ? specification[i++] : '\0';
        long? precision = null;
        if (i < specification.Length && specification[i] == '.')
        {
            i++;
            precision = Digits(ref i) ?? throw new ConversionException("Format specifier missing precision");
        }

        char type = i < specification.Length ? specification[i++] : '\0';
        if (i < specification.Length)
            throw new ConversionException("Invalid format specifier");
        string sign = "";
        MarkedString body;
        if (value is MarkedString text)
        {
            if (type is not ('\0' or 's') || grouping != '\0' || signMode != '-' || align == '=')
                throw new ConversionException($"Unknown format code '{type}' for object of type 'str'");
            body = precision < text.Length ? text.Units(0, text.Offset((int)precision.Value)) : text.AsSafe(false);
            align = align == '\0' ? '<' : align;
        }
        else
        {
            (sign, string digits) = Number(value, type, precision, signMode, alternate);
            body = new MarkedString(grouping == '\0' ? digits : Group(digits, grouping));
            align = align == '\0' ? '>' : align;
        }

        long padding = width - body.Length - sign.Length;
        if (padding <= 0)
            return MarkedString.Concat(new MarkedString(sign), body);
        rendering.ChargeText(0, padding);
        var builder = new MarkedStringBuilder(rendering);
        long before = align switch { '<' or '=' => 0, '>' => padding, _ => padding / 2 };
        builder.AppendRepeated(fill, before);
        builder.Append(sign);
        if (align == '=')
            builder.AppendRepeated(fill, padding);
        builder.Append(body);
        if (align != '=')
            builder.AppendRepeated(fill, padding - before);
        return builder.ToMarkedString();

        long? Digits(ref int at)
        {
            int from = at;
            while (at < specification.Length && char.IsAsciiDigit(specification[at]))
                at++;
            if (at == from)
                return null;
            return at - from > 8 ? throw new SandboxLimitException("a format's width is too large")
                : long.Parse(specification.AsSpan(from, at - from), NumberStyles.None, CultureInfo.InvariantCulture);
        }
    }

    private static (string Sign, string Digits) Number(object? value, char type, long? precision, char signMode, bool alternate)
    {
        bool integer = Operators.IsInteger(value);
        if (integer && type is '\0' or 'd' or 'n' or 'x' or 'X' or 'o' or 'b' or 'c')
        {
            if (precision is not null)
                throw new ConversionException("Precision not allowed in integer format specifier");
            var number = Operators.ToBig(value);
            if (type == 'c')
                return ("", char.ConvertFromUtf32((int)BigInteger.Min(0xD7FF, BigInteger.Abs(number))));
            string prefix = alternate ? type switch { 'x' => "0x", 'X' => "0X", 'o' => "0o", 'b' => "0b", _ => "" } : "";
            return (Sign(number.Sign < 0, signMode) + prefix, PrintfFormat.Digits(BigInteger.Abs(number), type));
        }

        if (type is not ('\0' or 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or 'n' or '%'))
            throw new ConversionException($"Unknown format code '{type}' for object of type '{PythonText.TypeName(value)}'");
        double real = Operators.ToDouble(value);
        string sign = Sign(double.IsNegative(real) && !double.IsNaN(real), signMode);
        int places = (int)Math.Min(precision ?? 6, 1000);
        if (type == '%')
            return (sign, PrintfFormat.Real(real * 100, 'f', places, alternate) + "%");
        if (type == '\0')
        {
            if (precision is null)
                return (sign, PythonText.Float(Math.Abs(real)));
            string text = PrintfFormat.Real(real, 'g', places, alternate);
            bool plain = double.IsFinite(real) && !text.Contains('e', StringComparison.Ordinal) && !text.Contains('.', StringComparison.Ordinal);
            return (sign, plain ? text + ".0" : text);
        }

        return (sign, PrintfFormat.Real(real, type == 'n' ? 'g' : type, places, alternate));
    }

    private static string Sign(bool negative, char mode) => negative ? "-" : mode == '-' ? "" : mode.ToString();

    private static string Group(string digits, char separator)
    {
        int end = 0;
        while (end < digits.Length && char.IsAsciiDigit(digits[end]))
            end++;
        string grouped = digits[..end];
        for (int at = grouped.Length - 3; at > 0; at -= 3)
            grouped = grouped.Insert(at, separator.ToString());
        return grouped + digits[end..];
    }
}
