using System.Globalization;
using System.Numerics;
using System.Text;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>int() and float() of strings, and exact decimal rounding as Python does it.</summary>
internal static class Numbers
{
    /// <summary>int(text, base).</summary>
    /// <exception cref="ConversionException">Not an integer in that base.</exception>
    public static object ParseInteger(string text, int radix)
    {
        string body = Trim(text);
        int at = 0;
        bool negative = false;
        if (at < body.Length && body[at] is '+' or '-')
            negative = body[at++] == '-';
        if (at + 1 < body.Length && body[at] == '0')
        {
            int prefix = char.ToLowerInvariant(body[at + 1]) switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 0 };
            if (prefix != 0 && (radix == prefix || radix == 0))
            {
                radix = prefix;
                at += 2;
                if (at < body.Length && body[at] == '_')
                    at++;
            }
        }

        bool zeroBased = radix == 0;
        if (zeroBased)
            radix = 10;
        if (radix is < 2 or > 36)
            throw new ConversionException("int() base must be >= 2 and <= 36, or 0");
        if (body.Length > 4400)
            throw new ConversionException("Exceeds the limit (4300 digits) for integer string conversion");
        var value = BigInteger.Zero;
        bool digit = false;
        for (; at < body.Length; at++)
        {
            char c = body[at];
            if (c == '_' && digit)
            {
                digit = false;
                continue;
            }

            int d = c < 128 ? (char.IsAsciiDigit(c) ? c - '0' : char.IsAsciiLetter(c) ? (c | 0x20) - 'a' + 10 : 99)
                : char.IsDigit(c) ? (int)char.GetNumericValue(c) : 99;
            if (d >= radix)
                throw Bad();
            value = (value * radix) + d;
            digit = true;
        }

        if (!digit || (zeroBased && body.TrimStart('+', '-').StartsWith('0') && !value.IsZero))
            throw Bad();
        return Boxes.Of(negative ? -value : value);

        ConversionException Bad() => new($"invalid literal for int() with base {radix}: '{text}'");
    }

    /// <summary>float(text).</summary>
    /// <exception cref="ConversionException">Not a number.</exception>
    public static double ParseFloat(string text)
    {
        string body = Trim(text);
        string lower = body.ToLowerInvariant();
        string unsigned = lower.TrimStart('+', '-');
        if (lower.Length - unsigned.Length <= 1)
        {
            double sign = lower.StartsWith('-') ? -1 : 1;
            if (unsigned is "inf" or "infinity")
                return sign * double.PositiveInfinity;
            if (unsigned == "nan")
                return double.NaN;
        }

        for (int i = 0; i < body.Length; i++)
            if (body[i] == '_' && (i == 0 || i + 1 == body.Length || !char.IsAsciiDigit(body[i - 1]) || !char.IsAsciiDigit(body[i + 1])))
                throw Bad();
        string plain = body.Replace("_", "", StringComparison.Ordinal);
        bool valid = plain.Length > 0 && plain.All(c => char.IsAsciiDigit(c) || c is '+' or '-' or '.' or 'e' or 'E');
        return valid && double.TryParse(plain, NumberStyles.Float & ~NumberStyles.AllowLeadingWhite & ~NumberStyles.AllowTrailingWhite,
            CultureInfo.InvariantCulture, out double value) ? value : throw Bad();

        ConversionException Bad() => new($"could not convert string to float: '{text}'");
    }

    private static string Trim(string text) => StringMethods.Strip(new MarkedString(text), null, true, true).Text;

    /// <summary>int(value) of a float.</summary>
    public static object Truncate(double value) =>
        double.IsNaN(value) ? throw new ConversionException("cannot convert float NaN to integer")
        : double.IsInfinity(value) ? throw new OverflowException("cannot convert float infinity to integer")
        : Boxes.Of(new BigInteger(value));

    /// <summary>|value| * 10^places rounded half to even, exactly.</summary>
    public static BigInteger ScaleExactly(double value, int places)
    {
        long bits = BitConverter.DoubleToInt64Bits(Math.Abs(value));
        int exponent = (int)(bits >> 52);
        BigInteger mantissa = bits & ((1L << 52) - 1);
        if (exponent == 0)
            exponent = 1;
        else
            mantissa += BigInteger.One << 52;
        exponent -= 1075;
        var numerator = mantissa;
        var denominator = BigInteger.One;
        if (exponent > 0)
            numerator <<= exponent;
        else
            denominator <<= -exponent;
        if (places > 0)
            numerator *= BigInteger.Pow(10, places);
        else
            denominator *= BigInteger.Pow(10, -places);
        return DivideHalfEven(numerator, denominator);
    }

    public static BigInteger DivideHalfEven(BigInteger numerator, BigInteger denominator)
    {
        var quotient = BigInteger.DivRem(numerator, denominator, out var remainder);
        int order = (remainder * 2).CompareTo(denominator);
        return order > 0 || (order == 0 && !quotient.IsEven) ? quotient + 1 : quotient;
    }

    /// <summary>'%.{places}f' of |value|.</summary>
    public static string Fixed(double value, int places)
    {
        string digits = ScaleExactly(value, places).ToString(CultureInfo.InvariantCulture);
        if (places == 0)
            return digits;
        digits = digits.PadLeft(places + 1, '0');
        return digits[..^places] + "." + digits[^places..];
    }

    /// <summary>'%.{places}e' of |value|.</summary>
    public static string Scientific(double value, int places, out int exponent)
    {
        value = Math.Abs(value);
        exponent = value == 0 ? 0 : (int)Math.Floor(Math.Log10(value));
        string digits;
        if (value == 0)
            digits = new string('0', places + 1);
        else
        {
            // The estimate of the exponent may be off by one, and rounding may carry into a new digit.
            digits = ScaleExactly(value, places - exponent).ToString(CultureInfo.InvariantCulture);
            if (digits.Length > places + 1)
                digits = ScaleExactly(value, places - ++exponent).ToString(CultureInfo.InvariantCulture);
            else if (digits.Length < places + 1)
                digits = ScaleExactly(value, places - --exponent).ToString(CultureInfo.InvariantCulture);
            if (digits.Length > places + 1)
            {
                digits = digits[..(places + 1)];
                exponent++;
            }
        }

        var text = new StringBuilder().Append(digits[0]);
        if (places > 0)
            text.Append('.').Append(digits, 1, digits.Length - 1);
        return text.Append('e').Append(exponent < 0 ? '-' : '+')
            .Append(Math.Abs(exponent).ToString("00", CultureInfo.InvariantCulture)).ToString();
    }

    /// <summary>'%.{precision}g' of |value|.</summary>
    public static string General(double value, int precision, bool keepZeros)
    {
        precision = Math.Max(1, precision);
        string scientific = Scientific(value, precision - 1, out int exponent);
        if (exponent >= -4 && exponent < precision)
        {
            string plain = Fixed(value, precision - 1 - exponent);
            return keepZeros || !plain.Contains('.', StringComparison.Ordinal) ? plain : plain.TrimEnd('0').TrimEnd('.');
        }

        if (keepZeros)
            return scientific;
        int e = scientific.IndexOf('e', StringComparison.Ordinal);
        string mantissa = scientific[..e];
        if (mantissa.Contains('.', StringComparison.Ordinal))
            mantissa = mantissa.TrimEnd('0').TrimEnd('.');
        return mantissa + scientific[e..];
    }

    /// <summary>round(value, places) of a float.</summary>
    public static double Round(double value, int places)
    {
        if (!double.IsFinite(value) || value == 0 || places > 323)
            return value;
        if (places < -308)
            return Math.CopySign(0.0, value);
        var scaled = ScaleExactly(value, places);
        string text = scaled.ToString(CultureInfo.InvariantCulture) + "e" + (-places).ToString(CultureInfo.InvariantCulture);
        return Math.CopySign(double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture), value);
    }
}
