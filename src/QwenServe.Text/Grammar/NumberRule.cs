using System.Collections.Concurrent;
using System.Globalization;
using System.Numerics;

namespace QwenServe.Text.Grammar;

/// <summary>
/// JSON numbers, bounded ones by an automaton that compares digit by digit. Every number ends: at most <see cref="IntegerDigits"/> digits
/// before the point and <see cref="FractionDigits"/> behind it, which holds all that JavaScript prints for a double.
/// </summary>
/// <remarks>
/// A reader rounds what is written to a double, and rounding keeps order: a text that is at most the shortest spelling of a double d is
/// read as at most d. So bounds are inclusive and spelled that way, an exclusive one being moved to the neighbouring double. Multiples are
/// held to 15 digits, which doubles keep exactly. Bounded numbers are written without exponent.
/// </remarks>
internal static class NumberRule
{
    private const int IntegerDigits = 21;
    private const int FractionDigits = 24;
    private const int ExactDigits = 15;
    private const int MaxMultiple = 2_000;
    private const int MaxLiterals = 1_000;

    private static readonly ConcurrentDictionary<(bool Integer, double Lo, double Hi, long Multiple), Rule> Known = new();

    /// <param name="integer">No point, no exponent.</param>
    /// <param name="lo">The least value, −∞ for none.</param>
    /// <param name="hi">The greatest value, +∞ for none.</param>
    /// <param name="multiple">Integers only: all are multiples of it.</param>
    /// <returns>The rule, whose start is dead when no number fits; null when the multiple is too large to count.</returns>
    public static Rule? Of(bool integer, double lo, double hi, long multiple = 1)
    {
        var key = (integer, lo, hi, multiple);
        if (Known.TryGetValue(key, out var known)) return known;
        var rule = integer ? Integer(lo, hi, multiple) : Number(lo, hi);
        if (rule is not null && Known.Count < 1_000) Known.TryAdd(key, rule);
        return rule;
    }

    private static Rule? Integer(double lo, double hi, long multiple)
    {
        var nfa = new Nfa();
        int start = nfa.NewState(), end = nfa.NewState();
        var digits = multiple > 1 ? ExactDigits : IntegerDigits;
        var limit = BigInteger.Pow(10, digits) - 1;
        var from = double.IsNegativeInfinity(lo) ? -limit : BigInteger.Max(-limit, Ceiling(lo));
        var to = double.IsPositiveInfinity(hi) ? limit : BigInteger.Min(limit, Floor(hi));
        if (multiple > 1)
        {
            from = -Floor(-from, multiple);
            to = Floor(to, multiple);
            if (from <= to && (to - from) / multiple < MaxLiterals)
            {
                for (var v = from; v <= to; v += multiple) nfa.Epsilon(nfa.Literal(start, v.ToString(CultureInfo.InvariantCulture)), end);
                return Rule.Of("integer", nfa, start, end);
            }
            if (multiple > MaxMultiple) return null;
        }
        var writer = new Digits(nfa, end, multiple);
        if (to >= 0 && from <= to) writer.Integers(start, BigInteger.Max(0, from), to);
        if (from <= 0 && from <= to)
        {
            var minus = nfa.Literal(start, "-");
            // −0 only where no bound would have to compare it.
            var least = to < 0 ? -to : double.IsInfinity(lo) && double.IsInfinity(hi) ? 0 : 1;
            if (-from >= least) writer.Integers(minus, least, -from);
        }
        return Rule.Of("integer", nfa, start, end);
    }

    private static Rule Number(double lo, double hi)
    {
        var nfa = new Nfa();
        int start = nfa.NewState(), end = nfa.NewState();
        if (double.IsPositiveInfinity(hi) && (double.IsNegativeInfinity(lo) || lo == 0))
        {
            var sign = lo == 0 ? "" : "-?";
            // Up to 1e99 of 21 digits, and up to 9e307 of one: finite as a double.
            Regex($"{sign}(0|[1-9][0-9]{{0,{IntegerDigits - 1}}})([.][0-9]{{1,{FractionDigits}}})?([eE][+-]?[0-9]{{1,2}})?");
            Regex($"{sign}[0-9]([.][0-9]{{1,{FractionDigits}}})?[eE]([+]?([12][0-9][0-9]|30[0-7])|-[1-3][0-9][0-9])");
            return Rule.Of("number", nfa, start, end);
        }
        var limit = Decimal.Parse("999999999999999999999");
        Decimal from = double.IsNegativeInfinity(lo) ? limit with { Negative = true } : Decimal.Parse(Plain(lo));
        Decimal to = double.IsPositiveInfinity(hi) ? limit : Decimal.Parse(Plain(hi));
        if (from.CompareTo(to) > 0) return Rule.Of("number", nfa, start, end);
        var writer = new Digits(nfa, end, 1);
        if (!to.Negative) writer.Decimals(start, from.Negative ? Decimal.Zero : from, to);
        if (from.Negative) writer.Decimals(nfa.Literal(start, "-"), to.Negative ? to.Magnitude : Decimal.Zero, from.Magnitude);
        return Rule.Of("number", nfa, start, end);

        void Regex(string pattern) => RegexParser.Parse(pattern).AddTo(nfa, start, end, utf8: true);
    }

    /// <summary>A double's shortest spelling without exponent.</summary>
    internal static string Plain(double value)
    {
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        var e = text.IndexOf('E', StringComparison.Ordinal);
        if (e < 0) return text;
        var exponent = int.Parse(text.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        var negative = text[0] == '-';
        var mantissa = text[(negative ? 1 : 0)..e];
        var point = mantissa.IndexOf('.', StringComparison.Ordinal);
        var digits = mantissa.Replace(".", "", StringComparison.Ordinal);
        var at = (point < 0 ? mantissa.Length : point) + exponent;
        var plain = at <= 0 ? "0." + new string('0', -at) + digits : at >= digits.Length ? digits + new string('0', at - digits.Length) : digits[..at] + "." + digits[at..];
        return negative ? "-" + plain : plain;
    }

    private static BigInteger Floor(double value) => BigInteger.Parse(Plain(Math.Floor(value)), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);

    private static BigInteger Ceiling(double value) => BigInteger.Parse(Plain(Math.Ceiling(value)), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);

    /// <summary>The greatest multiple that is not greater.</summary>
    private static BigInteger Floor(BigInteger value, long multiple)
    {
        var rest = value % multiple;
        return rest < 0 ? value - rest - multiple : value - rest;
    }

    /// <summary>A decimal fraction as its digits: no leading zeros before the point but for a single one, no trailing ones behind it.</summary>
    private readonly record struct Decimal(bool Negative, string Whole, string Fraction)
    {
        public static Decimal Zero => new(false, "0", "");

        public string Text => Whole + "." + Fraction;

        public Decimal Magnitude => this with { Negative = false };

        private bool IsZero => Whole == "0" && Fraction.Length == 0;

        public static Decimal Parse(string text)
        {
            var negative = text[0] == '-';
            var parts = text.TrimStart('-').Split('.');
            var result = new Decimal(negative, parts[0], parts.Length > 1 ? parts[1].TrimEnd('0') : "");
            return result.IsZero ? Zero : result;
        }

        public int CompareTo(Decimal other)
        {
            if (Negative != other.Negative) return Negative ? -1 : 1;
            var sign = Negative ? -1 : 1;
            if (Whole.Length != other.Whole.Length) return sign * Whole.Length.CompareTo(other.Whole.Length);
            var whole = string.CompareOrdinal(Whole, other.Whole);
            return sign * (whole != 0 ? whole : string.CompareOrdinal(Fraction, other.Fraction));
        }
    }

    /// <summary>Writes digits that lie between two magnitudes, tight against a bound as long as all digits were the bound's own.</summary>
    private sealed class Digits(Nfa nfa, int end, long multiple)
    {
        private readonly Dictionary<(string, int, bool, bool, long, string, string), int> _known = [];

        public void Integers(int start, BigInteger lo, BigInteger hi) =>
            Write(start, new(false, lo.ToString(CultureInfo.InvariantCulture), ""), new(false, hi.ToString(CultureInfo.InvariantCulture), ""), fractions: false);

        public void Decimals(int start, Decimal lo, Decimal hi) => Write(start, lo, hi, fractions: true);

        private void Write(int start, Decimal lo, Decimal hi, bool fractions)
        {
            for (var length = lo.Whole.Length; length <= hi.Whole.Length; length++)
            {
                var tightLo = length == lo.Whole.Length;
                var tightHi = length == hi.Whole.Length;
                for (var digit = length == 1 ? '0' : '1'; digit <= '9'; digit++)
                {
                    if (tightLo && digit < lo.Whole[0]) continue;
                    if (tightHi && digit > hi.Whole[0]) continue;
                    nfa.Edge(start, digit, digit, Whole(length - 1, tightLo && digit == lo.Whole[0], tightHi && digit == hi.Whole[0], (digit - '0') % multiple));
                }
            }

            int Whole(int left, bool tightLo, bool tightHi, long rest)
            {
                var key = ("whole", left, tightLo, tightHi, rest, tightLo ? lo.Text : "", tightHi ? hi.Text : "");
                if (_known.TryGetValue(key, out var state)) return state;
                _known[key] = state = nfa.NewState();
                if (left == 0)
                {
                    if (rest == 0 && !(tightLo && lo.Fraction.Length > 0)) nfa.Epsilon(state, end);
                    if (fractions)
                    {
                        var point = nfa.Literal(state, ".");
                        FractionDigit(point, 0, tightLo, tightHi);
                    }
                    return state;
                }
                for (var digit = '0'; digit <= '9'; digit++)
                {
                    var l = tightLo ? lo.Whole[^left] : '0';
                    var h = tightHi ? hi.Whole[^left] : '9';
                    if (digit < l || digit > h) continue;
                    nfa.Edge(state, digit, digit, Whole(left - 1, tightLo && digit == l, tightHi && digit == h, ((rest * 10) + (digit - '0')) % multiple));
                }
                return state;
            }

            void FractionDigit(int from, int at, bool tightLo, bool tightHi)
            {
                if (at == FractionDigits) return;
                var l = tightLo && at < lo.Fraction.Length ? lo.Fraction[at] : '0';
                var h = tightHi ? at < hi.Fraction.Length ? hi.Fraction[at] : '0' : '9';
                for (var digit = l; digit <= h; digit++)
                    nfa.Edge(from, digit, digit, Fraction(at + 1, tightLo && digit == l && at < lo.Fraction.Length, tightHi && digit == h));
            }

            int Fraction(int at, bool tightLo, bool tightHi)
            {
                var key = ("fraction", at, tightLo, tightHi, 0L, tightLo ? lo.Fraction : "", tightHi ? hi.Fraction : "");
                if (_known.TryGetValue(key, out var state)) return state;
                _known[key] = state = nfa.NewState();
                if (!tightLo || at >= lo.Fraction.Length) nfa.Epsilon(state, end);
                FractionDigit(state, at, tightLo, tightHi);
                return state;
            }
        }
    }
}
