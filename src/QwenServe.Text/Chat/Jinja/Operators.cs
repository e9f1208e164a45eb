using System.Numerics;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>Python's operators on values: truth, equality, order, arithmetic, membership, iteration, subscripts.</summary>
internal static class Operators
{
    /// <summary>Integers beyond this are refused (Python would print none of more than 4,300 digits anyway).</summary>
    private const long MaximumIntegerBits = 1 << 16;

    public static JinjaException Unsupported(string symbol, object? left, object? right) =>
        new ConversionException($"unsupported operand type(s) for {symbol}: '{PythonText.TypeName(left)}' and '{PythonText.TypeName(right)}'");

    public static bool IsTrue(object? value) => value switch
    {
        null or Undefined => false,
        bool flag => flag,
        MarkedString text => text.Text.Length > 0,
        PySequence list => list.Items.Count > 0,
        PyDict dict => dict.Count > 0,
        long number => number != 0,
        double number => number != 0,
        BigInteger => true,
        PyRange range => range.Count > 0,
        DictView view => view.Dict.Count > 0,
        LoopContext loop => loop.Length > 0,
        _ => true,
    };

    public static bool AreEqual(object? left, object? right) => AreEqual(left, right, 0);

    private static bool AreEqual(object? left, object? right, int depth)
    {
        if (depth > Rendering.MaximumDepth)
            throw new SandboxLimitException("values are nested too deep to be compared");
        if (ReferenceEquals(left, right))
            return left is not double number || !double.IsNaN(number);
        switch (left)
        {
            case MarkedString text:
                return right is MarkedString other && text.Text == other.Text;
            case bool or long or BigInteger or double:
                return right is bool or long or BigInteger or double && CompareNumbers(left, right) == 0;
            case PyList or PyTuple:
                if (right is not PySequence sequence || left.GetType() != right.GetType())
                    return false;
                var items = ((PySequence)left).Items;
                if (items.Count != sequence.Items.Count)
                    return false;
                for (int i = 0; i < items.Count; i++)
                    if (!AreEqual(items[i], sequence.Items[i], depth + 1))
                        return false;
                return true;
            case PyDict dict:
                if (right is not PyDict others || dict.Count != others.Count)
                    return false;
                foreach (var entry in dict.Entries)
                    if (!others.TryGetValue(entry.Key, out object? value) || !AreEqual(entry.Value, value, depth + 1))
                        return false;
                return true;
            case Undefined:
                return right is Undefined;
            case PyRange range:
                return right is PyRange o && range.Count == o.Count
                    && (range.Count == 0 || (range.Start == o.Start && (range.Count == 1 || range.Step == o.Step)));
            default:
                return false;
        }
    }

    public static int Hash(object? value) => value switch
    {
        null => 0,
        bool flag => flag ? 1.0.GetHashCode() : 0,
        long number => ((double)number).GetHashCode(),
        BigInteger number => ((double)number).GetHashCode(),
        double number => number == 0 ? 0 : number.GetHashCode(),
        PyTuple tuple => tuple.Items.Aggregate(17, (hash, item) => (hash * 31) + Hash(item)),
        Undefined => 1,
        _ => value.GetHashCode(),
    };

    /// <summary>-1, 0, 1, or null where NaN is involved.</summary>
    public static int? CompareNumbers(object? left, object? right)
    {
        if (left is double || right is double)
        {
            if ((left is double a && double.IsNaN(a)) || (right is double b && double.IsNaN(b)))
                return null;
            if (left is double x && right is double y)
                return x.CompareTo(y) == 0 || x == y ? 0 : x.CompareTo(y);
            if (left is double l)
                return double.IsInfinity(l) ? (l > 0 ? 1 : -1) : CompareExact(l, ToBig(right));
            return double.IsInfinity((double)right!) ? ((double)right > 0 ? -1 : 1) : -CompareExact((double)right, ToBig(left));
        }

        return left is BigInteger || right is BigInteger ? ToBig(left).CompareTo(ToBig(right)) : ToLong(left).CompareTo(ToLong(right));
    }

    private static int CompareExact(double value, BigInteger integer)
    {
        double floor = Math.Floor(value);
        int order = new BigInteger(floor).CompareTo(integer);
        return order != 0 ? order : value > floor ? 1 : 0;
    }

    public static bool IsNumber(object? value) => value is long or bool or double or BigInteger;

    public static bool IsInteger(object? value) => value is long or bool or BigInteger;

    public static BigInteger ToBig(object? value) => value switch
    {
        BigInteger big => big,
        bool flag => flag ? 1 : 0,
        long number => number,
        _ => throw new ConversionException($"'{PythonText.TypeName(value)}' object cannot be interpreted as an integer"),
    };

    /// <summary>A number that counts or indexes.</summary>
    public static long ToLong(object? value) => value switch
    {
        long number => number,
        bool flag => flag ? 1 : 0,
        BigInteger big => big > 0 ? long.MaxValue : long.MinValue,
        Undefined undefined => throw undefined.Error(),
        _ => throw new ConversionException($"'{PythonText.TypeName(value)}' object cannot be interpreted as an integer"),
    };

    public static double ToDouble(object? value)
    {
        switch (value)
        {
            case double number:
                return number;
            case long number:
                return number;
            case bool flag:
                return flag ? 1 : 0;
            case BigInteger big:
                double converted = RoundToDouble(big);
                return double.IsInfinity(converted) ? throw new ConversionException("int too large to convert to float") : converted;
            case Undefined undefined:
                throw undefined.Error();
            default:
                throw new ConversionException($"must be real number, not {PythonText.TypeName(value)}");
        }
    }

    public static bool Less(Rendering rendering, object? left, object? right) => Compare(rendering, "<", left, right);

    /// <summary>&lt;, &lt;=, &gt; or &gt;= of two values.</summary>
    public static bool Compare(Rendering rendering, string symbol, object? left, object? right)
    {
        rendering.Charge();
        if (left is Undefined undefinedLeft)
            throw undefinedLeft.Error();
        if (right is Undefined undefinedRight)
            throw undefinedRight.Error();
        int? order;
        if (IsNumber(left) && IsNumber(right))
            order = CompareNumbers(left, right);
        else if (left is MarkedString a && right is MarkedString b)
            order = MarkedString.Compare(a.Text, b.Text);
        else if (left is PySequence l && right is PySequence r && l.GetType() == r.GetType())
        {
            int count = Math.Min(l.Items.Count, r.Items.Count);
            int i = 0;
            while (i < count && AreEqual(l.Items[i], r.Items[i]))
                i++;
            if (i < count)
            {
                rendering.Enter();
                bool result = Compare(rendering, symbol, l.Items[i], r.Items[i]);
                rendering.Leave();
                return result;
            }

            order = l.Items.Count.CompareTo(r.Items.Count);
        }
        else
            throw new JinjaException(
                $"'{symbol}' not supported between instances of '{PythonText.TypeName(left)}' and '{PythonText.TypeName(right)}'");
        return order is { } o && symbol switch
        {
            "<" => o < 0,
            "<=" => o <= 0,
            ">" => o > 0,
            _ => o >= 0,
        };
    }

    public static bool Contains(Rendering rendering, object? container, object? item)
    {
        switch (container)
        {
            case MarkedString text:
                if (item is not MarkedString part)
                    throw new JinjaException($"'in <string>' requires string as left operand, not {PythonText.TypeName(item)}");
                rendering.ChargeText(text.Text.Length);
                return text.Text.Contains(part.Text, StringComparison.Ordinal);
            case PyDict dict:
                return dict.TryGetValue(item, out _);
            case DictView { Kind: "keys" } keys:
                return keys.Dict.TryGetValue(item, out _);
            case PyRange range:
                if (!IsInteger(item))
                    return item is double d && d == Math.Floor(d) && Contains(rendering, range, Boxes.Of(new BigInteger(d)));
                long value = ToLong(item);
                long offset = value - range.Start;
                return range.Count > 0 && offset % range.Step == 0 && offset / range.Step >= 0 && offset / range.Step < range.Count;
            default:
                var items = Iterate(rendering, container, "argument of type '{0}' is not iterable");
                while (items.MoveNext())
                    if (AreEqual(items.Current, item))
                        return true;
                return false;
        }
    }

    public static object? Add(Rendering rendering, object? left, object? right)
    {
        if (left is MarkedString a && right is MarkedString b)
        {
            if (a.Safe != b.Safe)
            {
                a = a.Safe ? a : StringFilters.Escape(rendering, a);
                b = b.Safe ? b : StringFilters.Escape(rendering, b);
            }

            long length = (long)a.Text.Length + b.Text.Length;
            rendering.ChargeText(length);
            return MarkedString.Concat(a, b);
        }

        if (left is long x && right is long y)
        {
            long sum = unchecked(x + y);
            return ((x ^ sum) & (y ^ sum)) < 0 ? (BigInteger)x + y : Boxes.Of(sum);
        }

        if (IsNumber(left) && IsNumber(right))
            return left is double || right is double ? ToDouble(left) + ToDouble(right) : Boxes.Of(ToBig(left) + ToBig(right));
        if (left is PySequence l && right is PySequence r && l.GetType() == r.GetType())
        {
            rendering.ChargeItems(l.Items.Count + r.Items.Count);
            List<object?> items = [.. l.Items, .. r.Items];
            bool both = l.FromConversation && r.FromConversation;
            return l is PyList ? new PyList(items) { FromConversation = both } : new PyTuple(items);
        }

        throw Fail("+", left, right);
    }

    private static JinjaException Fail(string symbol, object? left, object? right) =>
        left is Undefined l ? l.Error() : right is Undefined r ? r.Error() : Unsupported(symbol, left, right);

    public static object? Subtract(object? left, object? right)
    {
        if (!IsNumber(left) || !IsNumber(right))
            throw Fail("-", left, right);
        return left is double || right is double ? ToDouble(left) - ToDouble(right) : Boxes.Of(ToBig(left) - ToBig(right));
    }

    public static object? Multiply(Rendering rendering, object? left, object? right)
    {
        if (IsNumber(left) && IsNumber(right))
        {
            if (left is double || right is double)
                return ToDouble(left) * ToDouble(right);
            var a = ToBig(left);
            var b = ToBig(right);
            CheckBits(rendering, a.GetBitLength() + b.GetBitLength());
            return Boxes.Of(a * b);
        }

        if (IsInteger(left) && right is MarkedString or PySequence)
            (left, right) = (right, left);
        if (left is MarkedString text && IsInteger(right))
        {
            long count = Math.Max(0, ToLong(right));
            if (text.Text.Length == 0 || count == 0)
                return MarkedString.Empty.AsSafe(text.Safe);
            CheckTotal(count, text.Text.Length);
            var builder = new MarkedStringBuilder(rendering);
            builder.AppendRepeated(text, count);
            return builder.ToMarkedString().AsSafe(text.Safe);
        }

        if (left is PySequence list && IsInteger(right))
        {
            long count = list.Items.Count == 0 ? 0 : Math.Max(0, ToLong(right));
            CheckTotal(count, list.Items.Count);
            rendering.ChargeItems(count * list.Items.Count);
            var items = new List<object?>();
            for (long i = 0; i < count; i++)
                items.AddRange(list.Items);
            return list is PyList ? new PyList(items) : new PyTuple(items);
        }

        throw Fail("*", left, right);
    }

    private static void CheckTotal(long count, int length)
    {
        if (count > Rendering.MaximumLength || count * length > Rendering.MaximumLength)
            throw new SandboxLimitException($"the template made a value of more than {Rendering.MaximumLength} items");
    }

    private static void CheckBits(Rendering rendering, long bits)
    {
        if (bits > MaximumIntegerBits)
            throw new SandboxLimitException("the template made an integer that is too large");
        rendering.Charge(1 + (bits >> 8));
    }

    public static object? Divide(object? left, object? right)
    {
        if (!IsNumber(left) || !IsNumber(right))
            throw Fail("/", left, right);
        if (CompareNumbers(right, 0L) == 0)
            throw new ConversionException("division by zero");
        if (left is BigInteger || right is BigInteger || (left is long a && Math.Abs((double)a) >= 1L << 53) || (right is long b && Math.Abs((double)b) >= 1L << 53))
            if (left is not double && right is not double)
                return Quotient(ToBig(left), ToBig(right));
        return ToDouble(left) / ToDouble(right);
    }

    /// <summary>The correctly rounded quotient of integers that a double does not hold.</summary>
    private static double Quotient(BigInteger numerator, BigInteger denominator)
    {
        bool negative = (numerator.Sign < 0) != (denominator.Sign < 0);
        numerator = BigInteger.Abs(numerator);
        denominator = BigInteger.Abs(denominator);
        if (numerator.IsZero)
            return 0.0;
        // 66 bits of quotient and a sticky bit round once, in the conversion of an integer below 2^68.
        int shift = (int)(66 - (numerator.GetBitLength() - denominator.GetBitLength()));
        var scaled = shift > 0 ? numerator << shift : numerator;
        var divisor = shift < 0 ? denominator << -shift : denominator;
        var quotient = BigInteger.DivRem(scaled, divisor, out var remainder);
        if (!remainder.IsZero)
            quotient |= BigInteger.One;
        double result = Math.ScaleB(RoundToDouble(quotient), -shift);
        if (double.IsInfinity(result))
            throw new ConversionException("integer division result too large for a float");
        return negative ? -result : result;
    }

    /// <summary>Half-to-even conversion (the framework's truncates).</summary>
    public static double RoundToDouble(BigInteger value)
    {
        if (value.Sign < 0)
            return -RoundToDouble(-value);
        int bits = (int)value.GetBitLength();
        if (bits <= 53)
            return (double)value;
        int drop = bits - 53;
        var top = value >> drop;
        var rest = value - (top << drop);
        int order = rest.CompareTo(BigInteger.One << (drop - 1));
        if (order > 0 || (order == 0 && !top.IsEven))
            top += 1;
        return Math.ScaleB((double)top, drop);
    }

    public static object? FloorDivide(object? left, object? right)
    {
        if (!IsNumber(left) || !IsNumber(right))
            throw Fail("//", left, right);
        if (CompareNumbers(right, 0L) == 0)
            throw new ConversionException("integer division or modulo by zero");
        if (left is double || right is double)
            return FloatDivMod(ToDouble(left), ToDouble(right)).Quotient;
        var a = ToBig(left);
        var b = ToBig(right);
        var quotient = BigInteger.DivRem(a, b, out var remainder);
        return Boxes.Of(!remainder.IsZero && (remainder.Sign < 0) != (b.Sign < 0) ? quotient - 1 : quotient);
    }

    private static (double Quotient, double Remainder) FloatDivMod(double a, double b)
    {
        double mod = a % b;
        double div = (a - mod) / b;
        if (mod != 0)
        {
            if (b < 0 != mod < 0)
            {
                mod += b;
                div -= 1.0;
            }
        }
        else
            mod = Math.CopySign(0.0, b);
        double floor;
        if (div != 0)
        {
            floor = Math.Floor(div);
            if (div - floor > 0.5)
                floor += 1.0;
        }
        else
            floor = Math.CopySign(0.0, a / b);
        return (floor, mod);
    }

    public static object? Modulo(Rendering rendering, object? left, object? right)
    {
        if (left is MarkedString text)
            return PrintfFormat.Apply(rendering, text, right);
        if (!IsNumber(left) || !IsNumber(right))
            throw Fail("%", left, right);
        if (CompareNumbers(right, 0L) == 0)
            throw new ConversionException("integer modulo by zero");
        if (left is double || right is double)
            return FloatDivMod(ToDouble(left), ToDouble(right)).Remainder;
        var b = ToBig(right);
        var remainder = BigInteger.Remainder(ToBig(left), b);
        return Boxes.Of(!remainder.IsZero && (remainder.Sign < 0) != (b.Sign < 0) ? remainder + b : remainder);
    }

    public static object? Power(Rendering rendering, object? left, object? right)
    {
        if (!IsNumber(left) || !IsNumber(right))
            throw Fail("**", left, right);
        if (left is double || right is double || ToBig(right).Sign < 0)
        {
            double a = ToDouble(left), b = ToDouble(right);
            if (a == 0 && b < 0)
                throw new JinjaException("0.0 cannot be raised to a negative power");
            double power = Math.Pow(a, b);
            if (double.IsInfinity(power) && !double.IsInfinity(a) && !double.IsInfinity(b))
                throw new JinjaException("Numerical result out of range");
            if (double.IsNaN(power) && !double.IsNaN(a) && !double.IsNaN(b))
                throw new JinjaException("complex numbers are not supported");
            return power;
        }

        var value = ToBig(left);
        var exponent = ToBig(right);
        if (value.IsZero || value.IsOne)
            return Boxes.Of(exponent.IsZero ? BigInteger.One : value);
        if (exponent > MaximumIntegerBits)
            throw new SandboxLimitException("the template made an integer that is too large");
        CheckBits(rendering, value.GetBitLength() * (long)exponent);
        return Boxes.Of(BigInteger.Pow(value, (int)exponent));
    }

    public static object? Negate(object? value) => value switch
    {
        double number => -number,
        bool or long or BigInteger => Boxes.Of(-ToBig(value)),
        Undefined undefined => throw undefined.Error(),
        _ => throw new JinjaException($"bad operand type for unary -: '{PythonText.TypeName(value)}'"),
    };

    public static object? Plus(object? value) => value switch
    {
        double => value,
        bool or long or BigInteger => Boxes.Of(ToBig(value)),
        Undefined undefined => throw undefined.Error(),
        _ => throw new JinjaException($"bad operand type for unary +: '{PythonText.TypeName(value)}'"),
    };

    /// <summary>iter(value); every item is charged.</summary>
    public static IEnumerator<object?> Iterate(Rendering rendering, object? value, string error = "'{0}' object is not iterable") =>
        value switch
        {
            PyIterator iterator => iterator.Enumerator,
            LoopContext loop => loop.Remaining().GetEnumerator(),
            PySequence or PyDict or MarkedString or Undefined or PyRange or DictView => Walk(rendering, value).GetEnumerator(),
            _ => throw new ConversionException(string.Format(null, error, PythonText.TypeName(value))),
        };

    public static bool IsIterable(object? value) =>
        value is PySequence or PyDict or MarkedString or Undefined or PyRange or DictView or PyIterator or LoopContext;

    private static IEnumerable<object?> Walk(Rendering rendering, object value)
    {
        switch (value)
        {
            case PySequence list:
                for (int i = 0; i < list.Items.Count; i++)
                {
                    rendering.Charge();
                    yield return list.Items[i];
                }

                break;
            case PyDict dict:
                for (int i = 0; i < dict.Count; i++)
                {
                    rendering.Charge();
                    yield return dict.Entries[i].Key;
                }

                break;
            case MarkedString text:
                for (int i = 0; i < text.Length; i++)
                {
                    rendering.Charge();
                    yield return text.CodePoint(i);
                }

                break;
            case PyRange range:
                for (long i = 0; i < range.Count; i++)
                {
                    rendering.Charge();
                    yield return Boxes.Of(range.Start + (i * range.Step));
                }

                break;
            case DictView view:
                foreach (object? item in view.Items())
                {
                    rendering.Charge();
                    yield return item;
                }

                break;
        }
    }

    /// <summary>list(value).</summary>
    public static List<object?> ToList(Rendering rendering, object? value)
    {
        var items = new List<object?>();
        var walk = Iterate(rendering, value);
        while (walk.MoveNext())
            items.Add(walk.Current);
        return items;
    }

    /// <summary>len(value), or null where there is none.</summary>
    public static long? Length(object? value) => value switch
    {
        MarkedString text => text.Length,
        PySequence list => list.Items.Count,
        PyDict dict => dict.Count,
        PyRange range => range.Count,
        DictView view => view.Dict.Count,
        LoopContext loop => loop.Length,
        Undefined => 0,
        _ => null,
    };

    /// <summary>value[key] as Jinja has it: missing keys and wrong types give an undefined value.</summary>
    public static object? GetItem(Rendering rendering, object? value, object? key)
    {
        switch (value)
        {
            case Undefined undefined:
                throw undefined.Error();
            case PyDict dict:
                if (PyDict.Key.IsHashable(key) && key is not Slice && dict.TryGetValue(key, out object? found))
                    return found;
                break;
            case MarkedString or PySequence or PyRange:
                if (key is Slice slice)
                    return Slicing.Apply(rendering, value, slice);
                if (key is long or bool or BigInteger)
                {
                    long length = Length(value)!.Value;
                    long at = ToLong(key);
                    if (at < 0)
                        at += length;
                    if (at >= 0 && at < length)
                        return value switch
                        {
                            MarkedString text => text.CodePoint((int)at),
                            PySequence list => list.Items[(int)at],
                            _ => Boxes.Of(((PyRange)value).Start + (at * ((PyRange)value).Step)),
                        };
                    return Attributes.Missing(value, key);
                }

                break;
        }

        return key is MarkedString name ? Attributes.FindOwn(value, name.Text) ?? Attributes.Missing(value, key) : Attributes.Missing(value, key);
    }
}
