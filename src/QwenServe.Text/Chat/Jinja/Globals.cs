using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>Functions every template has: Jinja2's own, raise_exception and strftime_now.</summary>
internal static class Globals
{
    /// <summary>The sandbox's limit on range().</summary>
    private const long MaximumRange = 100_000;

    private static readonly FrozenDictionary<string, object> Functions = new Dictionary<string, object>
    {
        ["range"] = new BuiltinFunction("range", (_, arguments) => Range(arguments)),
        ["dict"] = new BuiltinFunction("dict", Dict),
        ["namespace"] = new BuiltinFunction("namespace", (rendering, arguments) =>
        {
            var space = new NamespaceObject();
            foreach (var entry in Dict(rendering, arguments).Entries)
                space.Attributes.Set(entry.Key, entry.Value);
            return space;
        }),
        ["cycler"] = new BuiltinFunction("cycler", (_, arguments) =>
            arguments.Positional.Length == 0 ? throw new JinjaException("at least one item has to be provided") : new Cycler(arguments.Positional)),
        ["joiner"] = new BuiltinFunction("joiner", (_, arguments) =>
        {
            object? separator = arguments.Bind("joiner", 0, "sep")[0];
            bool used = false;
            return new BuiltinFunction("joiner", (_, _) =>
            {
                if (!used)
                {
                    used = true;
                    return MarkedString.Empty;
                }

                return separator == Arguments.Missing ? new MarkedString(", ") : separator;
            });
        }),
        ["raise_exception"] = new BuiltinFunction("raise_exception", (rendering, arguments) =>
            throw new JinjaException(PythonText.Str(rendering, arguments.Bind("raise_exception", 1, "message")[0]).Text, true)),
        ["strftime_now"] = new BuiltinFunction("strftime_now", (rendering, arguments) =>
            new MarkedString(FormatTime(rendering.Now(), Filters.Text(arguments.Bind("strftime_now", 1, "format")[0]).Text))),
    }.ToFrozenDictionary();

    public static bool TryGet(string name, out object? value)
    {
        bool found = Functions.TryGetValue(name, out object? function);
        value = function;
        return found;
    }

    private static PyRange Range(Arguments arguments)
    {
        Attributes.Positional(arguments, "range", 1, 3);
        var bounds = arguments.Positional.Select(Operators.ToLong).ToArray();
        long step = bounds.Length == 3 ? bounds[2] : 1;
        if (step == 0)
            throw new JinjaException("range() arg 3 must not be zero");
        const long Far = 1L << 40;
        if (bounds.Any(b => b is > Far or < -Far))
            throw new JinjaException("range() bounds are too large");
        var range = bounds.Length == 1 ? new PyRange(0, bounds[0], 1) : new PyRange(bounds[0], bounds[1], step);
        return range.Count > MaximumRange ? throw new JinjaException($"Range too big. The sandbox blocks ranges larger than MAX_RANGE ({MaximumRange}).") : range;
    }

    private static PyDict Dict(Rendering rendering, Arguments arguments)
    {
        var dict = new PyDict();
        if (arguments.Positional.Length > 1)
            throw new ConversionException("dict expected at most 1 argument");
        if (arguments.Positional.Length == 1)
        {
            if (arguments.Positional[0] is PyDict source)
                foreach (var entry in source.Entries)
                    dict.Set(entry.Key, entry.Value);
            else
                foreach (object? item in Operators.ToList(rendering, arguments.Positional[0]))
                {
                    var pair = Operators.ToList(rendering, item);
                    if (pair.Count != 2)
                        throw new ConversionException("dictionary update sequence elements must have length 2");
                    dict.Set(pair[0], pair[1]);
                }
        }

        foreach (var (name, value) in arguments.Named)
            dict.Set(name, value);
        return dict;
    }

    /// <summary>datetime.strftime in the C locale.</summary>
    internal static string FormatTime(DateTime time, string format)
    {
        var text = new StringBuilder();
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }

            char directive = format[++i];
            bool unpadded = directive == '-' && i + 1 < format.Length;
            if (unpadded)
                directive = format[++i];
            string part = directive switch
            {
                'Y' => Net("yyyy"),
                'y' => Net("yy"),
                'm' => Net("MM"),
                'd' => Net("dd"),
                'e' => time.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2),
                'H' => Net("HH"),
                'I' => Net("hh"),
                'M' => Net("mm"),
                'S' => Net("ss"),
                'f' => Net("ffffff"),
                'p' => Net("tt"),
                'a' => Net("ddd"),
                'A' => Net("dddd"),
                'b' or 'h' => Net("MMM"),
                'B' => Net("MMMM"),
                'j' => time.DayOfYear.ToString("000", CultureInfo.InvariantCulture),
                'w' => ((int)time.DayOfWeek).ToString(CultureInfo.InvariantCulture),
                'u' => (((int)time.DayOfWeek + 6) % 7 + 1).ToString(CultureInfo.InvariantCulture),
                'D' => Net("MM/dd/yy"),
                'F' => Net("yyyy-MM-dd"),
                'T' or 'X' => Net("HH:mm:ss"),
                'R' => Net("HH:mm"),
                'x' => Net("MM/dd/yy"),
                'c' => Net("ddd MMM ") + time.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2) + Net(" HH:mm:ss yyyy"),
                'n' => "\n",
                't' => "\t",
                'Z' or 'z' => "",
                '%' => "%",
                _ => (unpadded ? "%-" : "%") + directive,
            };
            text.Append(unpadded && part.Length > 1 && part.All(char.IsAsciiDigit) ? part.TrimStart('0').PadLeft(1, '0') : part);
        }

        return text.ToString();

        string Net(string net) => time.ToString(net.Length == 1 ? "%" + net : net, CultureInfo.InvariantCulture);
    }
}

/// <summary>cycler(a, b, ...).</summary>
internal sealed class Cycler(object?[] items)
{
    private int _at;

    public object? Attribute(string name) => name switch
    {
        "current" => items[_at],
        "next" => new BuiltinFunction("next", (_, _) =>
        {
            object? item = items[_at];
            _at = (_at + 1) % items.Length;
            return item;
        }),
        "reset" => new BuiltinFunction("reset", (_, _) =>
        {
            _at = 0;
            return null;
        }),
        _ => null,
    };
}
