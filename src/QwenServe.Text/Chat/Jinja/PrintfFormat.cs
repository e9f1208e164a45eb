using System.Globalization;
using System.Numerics;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>format % values.</summary>
internal static class PrintfFormat
{
    private const long MaximumPrecision = 1000;

    public static MarkedString Apply(Rendering rendering, MarkedString format, object? values)
    {
        var builder = new MarkedStringBuilder(rendering);
        string text = format.Text;
        var tuple = values as PyTuple;
        int next = 0;
        bool usedMapping = false;
        for (int i = 0; i < text.Length;)
        {
            int percent = text.IndexOf('%', i);
            if (percent < 0)
                percent = text.Length;
            builder.Append(format, i, percent - i);
            if (percent == text.Length)
                break;
            i = percent + 1;
            object? keyed = null;
            bool isKeyed = false;
            if (i < text.Length && text[i] == '(')
            {
                int close = text.IndexOf(')', i);
                if (close < 0)
                    throw new ConversionException("incomplete format key");
                if (values is not PyDict mapping)
                    throw new ConversionException("format requires a mapping");
                string key = text[(i + 1)..close];
                if (!mapping.TryGetValue(new MarkedString(key), out keyed))
                    throw new JinjaException($"KeyError: '{key}'");
                isKeyed = usedMapping = true;
                i = close + 1;
            }

            bool left = false, plus = false, space = false, alternate = false, zero = false;
            for (; i < text.Length && text[i] is '-' or '+' or ' ' or '#' or '0'; i++)
                _ = text[i] switch
                {
                    '-' => left = true,
                    '+' => plus = true,
                    ' ' => space = true,
                    '#' => alternate = true,
                    _ => zero = true,
                };
            long width = Number(ref i) ?? 0;
            if (width < 0)
            {
                left = true;
                width = -width;
            }

            long? precision = null;
            if (i < text.Length && text[i] == '.')
            {
                i++;
                precision = Math.Max(0, Number(ref i) ?? 0);
            }

            while (i < text.Length && text[i] is 'l' or 'h' or 'L')
                i++;
            if (i >= text.Length)
                throw new ConversionException("incomplete format");
            char type = text[i++];
            if (type == '%')
            {
                builder.Append('%');
                continue;
            }

            if (width > Rendering.MaximumLength || precision > Rendering.MaximumLength)
                throw new SandboxLimitException("a format's width is too large");
            object? value = isKeyed ? keyed : Take();
            MarkedString body;
            string sign = "";
            bool numeric = true;
            switch (type)
            {
                case 's' or 'r' or 'a':
                    numeric = false;
                    body = type == 's' ? PythonText.Str(rendering, value).AsSafe(false) : PythonText.Repr(rendering, value);
                    if (precision < body.Length)
                        body = body.Units(0, body.Offset((int)precision.Value));
                    break;
                case 'c':
                    numeric = false;
                    body = value is MarkedString { Length: 1 } one ? one
                        : value is MarkedString ? throw new ConversionException("%c requires int or char")
                        : new MarkedString(char.ConvertFromUtf32((int)Math.Clamp(Operators.ToLong(value), 0, 0xD7FF)));
                    break;
                case 'd' or 'i' or 'u' or 'x' or 'X' or 'o':
                    if (value is double && type is 'x' or 'X' or 'o')
                        throw new ConversionException($"%{type} format: an integer is required, not float");
                    if (!Operators.IsNumber(value))
                        throw value is Undefined undefined ? undefined.Error()
                            : new ConversionException($"%{type} format: a real number is required, not {PythonText.TypeName(value)}");
                    var integer = Operators.ToBig(value is double real ? Truncate(real) : value);
                    sign = integer.Sign < 0 ? "-" : plus ? "+" : space ? " " : "";
                    string digits = Digits(BigInteger.Abs(integer), type);
                    if (precision is { } least)
                        digits = digits.PadLeft((int)Math.Min(least, MaximumPrecision), '0');
                    if (alternate)
                        sign += type switch { 'x' => "0x", 'X' => "0X", 'o' => "0o", _ => "" };
                    body = new MarkedString(digits);
                    break;
                case 'f' or 'F' or 'e' or 'E' or 'g' or 'G':
                    if (!Operators.IsNumber(value))
                        throw value is Undefined missing ? missing.Error()
                            : new ConversionException($"must be real number, not {PythonText.TypeName(value)}");
                    double number = Operators.ToDouble(value);
                    sign = double.IsNegative(number) && !double.IsNaN(number) ? "-" : plus ? "+" : space ? " " : "";
                    body = new MarkedString(Real(number, type, (int)Math.Min(precision ?? 6, MaximumPrecision), alternate));
                    zero &= double.IsFinite(number);
                    break;
                default:
                    throw new ConversionException($"unsupported format character '{type}'");
            }

            long padding = width - body.Length - sign.Length;
            if (padding > 0)
                rendering.ChargeText(0, builder.Length + padding);
            if (padding > 0 && !left && !(zero && numeric))
                builder.AppendRepeated(new MarkedString(" "), padding);
            builder.Append(sign);
            if (padding > 0 && !left && zero && numeric)
                builder.AppendRepeated(new MarkedString("0"), padding);
            builder.Append(body);
            if (padding > 0 && left)
                builder.AppendRepeated(new MarkedString(" "), padding);
        }

        bool leftOver = tuple is not null ? next < tuple.Items.Count : next == 0 && !usedMapping && values is not (PyDict or PyList);
        if (leftOver)
            throw new ConversionException("not all arguments converted during string formatting");
        return builder.ToMarkedString().AsSafe(format.Safe);

        long? Number(ref int at)
        {
            if (at < text.Length && text[at] == '*')
            {
                at++;
                return Operators.ToLong(Take());
            }

            int from = at;
            while (at < text.Length && char.IsAsciiDigit(text[at]))
                at++;
            if (at == from)
                return null;
            return at - from > 9 ? Rendering.MaximumLength + 1 : long.Parse(text.AsSpan(from, at - from), NumberStyles.None, CultureInfo.InvariantCulture);
        }

        object? Take()
        {
            if (tuple is not null)
                return next < tuple.Items.Count ? tuple.Items[next++] : throw new ConversionException("not enough arguments for format string");
            return next++ == 0 ? values : throw new ConversionException("not enough arguments for format string");
        }
    }

    private static object Truncate(double value)
    {
        try
        {
            return Numbers.Truncate(value);
        }
        catch (OverflowException)
        {
            throw new JinjaException("cannot convert float infinity to integer");
        }
    }

    /// <summary>Digits of a non-negative integer in the radix of d, x, X, o or b.</summary>
    public static string Digits(BigInteger value, char type)
    {
        switch (type)
        {
            case 'x' or 'X':
                string hex = value.ToString(type == 'x' ? "x" : "X", CultureInfo.InvariantCulture).TrimStart('0');
                return hex.Length == 0 ? "0" : hex;
            case 'o' or 'b':
                string bits = value.ToString("B", CultureInfo.InvariantCulture).TrimStart('0');
                if (bits.Length == 0)
                    return "0";
                if (type == 'b')
                    return bits;
                bits = bits.PadLeft((bits.Length + 2) / 3 * 3, '0');
                return string.Concat(bits.Chunk(3).Select(c => (char)('0' + ((c[0] - '0') * 4) + ((c[1] - '0') * 2) + (c[2] - '0'))));
            default:
                return PythonText.Integer(value);
        }
    }

    /// <summary>The magnitude of a float in one of the types f, e, g and their capitals.</summary>
    public static string Real(double number, char type, int precision, bool alternate)
    {
        string text;
        if (double.IsNaN(number))
            text = "nan";
        else if (double.IsInfinity(number))
            text = "inf";
        else
            text = char.ToLowerInvariant(type) switch
            {
                'f' => Numbers.Fixed(number, precision),
                'e' => Numbers.Scientific(number, precision, out _),
                _ => Numbers.General(number, precision, alternate),
            };
        return char.IsUpper(type) ? text.ToUpperInvariant() : text;
    }
}
