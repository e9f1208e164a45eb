using System.Collections.Frozen;
using System.Numerics;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>The filters of Jinja2 that chat templates can meet, with the tojson of transformers.</summary>
internal static class Filters
{
    private static readonly object Missing = Arguments.Missing;

    private static readonly FrozenDictionary<string, Filter> Table = Build();

    public static Filter? Find(string name) => Table.GetValueOrDefault(name);

    /// <summary>An argument that must be a string.</summary>
    public static MarkedString Text(object? value) => value switch
    {
        MarkedString text => text,
        Undefined undefined => throw undefined.Error(),
        _ => throw new ConversionException($"must be str, not {PythonText.TypeName(value)}"),
    };

    private static FrozenDictionary<string, Filter> Build()
    {
        var filters = new Dictionary<string, Filter>
        {
            ["abs"] = Abs,
            ["attr"] = (_, v, a) => Attributes.FindOwn(v, Text(a.Bind("attr", 1, "name")[0]).Text)
                ?? Attributes.Missing(v, a.Positional.Length > 0 ? a.Positional[0] : a.Named[0].Value),
            ["batch"] = (r, v, a) =>
            {
                object?[] b = a.Bind("batch", 1, "linecount", "fill_with");
                return new PyIterator(SequenceFilters.Batch(Operators.Iterate(r, v), Operators.ToLong(b[0]), Or(b[1], null)));
            },
            ["capitalize"] = (r, v, a) => CaseMapping.Capitalize(r, Bare(r, v, a)),
            ["center"] = (r, v, a) => StringMethods.Pad(r, PythonText.Str(r, v), Operators.ToLong(Or(a.Bind("center", 0, "width")[0], 80L)), new MarkedString(" "), '^'),
            ["default"] = Default,
            ["d"] = Default,
            ["dictsort"] = SequenceFilters.DictSort,
            ["e"] = (r, v, a) => StringFilters.Escape(r, Bare(r, v, a)),
            ["escape"] = (r, v, a) => StringFilters.Escape(r, Bare(r, v, a)),
            ["forceescape"] = (r, v, a) => StringFilters.Escape(r, Bare(r, v, a).AsSafe(false)),
            ["filesizeformat"] = (r, v, a) => StringFilters.FileSize(ToFloat(v), Operators.IsTrue(Or(a.Bind("filesizeformat", 0, "binary")[0], Boxes.False))),
            ["first"] = (r, v, a) =>
            {
                a.Bind("first", 0);
                var walk = Operators.Iterate(r, v);
                return walk.MoveNext() ? walk.Current : new Undefined("No first item, sequence was empty.");
            },
            ["float"] = (_, v, a) => Float(v, a),
            ["format"] = (r, v, a) =>
            {
                if (a.Positional.Length > 0 && a.Named.Length > 0)
                    throw new JinjaException("can't handle positional and keyword arguments at the same time");
                if (a.Named.Length == 0)
                    return PrintfFormat.Apply(r, PythonText.Str(r, v), new PyTuple(a.Positional));
                var named = new PyDict();
                foreach (var (name, value) in a.Named)
                    named.Set(name, value);
                return PrintfFormat.Apply(r, PythonText.Str(r, v), named);
            },
            ["groupby"] = SequenceFilters.GroupBy,
            ["indent"] = (r, v, a) =>
            {
                object?[] b = a.Bind("indent", 0, "width", "first", "blank");
                return StringFilters.Indent(r, Text(v), b[0], Flag(b[1]), Flag(b[2]));
            },
            ["int"] = (_, v, a) => Int(v, a),
            ["items"] = (r, v, a) =>
            {
                a.Bind("items", 0);
                return v switch
                {
                    Undefined => new PyIterator([]),
                    PyDict dict => new PyIterator(new DictView(dict, "items").Items()),
                    _ => throw new JinjaException("Can only get item pairs from a mapping."),
                };
            },
            ["join"] = SequenceFilters.Join,
            ["last"] = SequenceFilters.Last,
            ["length"] = Length,
            ["count"] = Length,
            ["list"] = (r, v, a) =>
            {
                a.Bind("list", 0);
                return new PyList(Operators.ToList(r, v)) { FromConversation = v is PyList { FromConversation: true } };
            },
            ["lower"] = (r, v, a) => CaseMapping.Lower(r, Bare(r, v, a)),
            ["map"] = SequenceFilters.Map,
            ["max"] = (r, v, a) => SequenceFilters.Extreme(r, v, a, false),
            ["min"] = (r, v, a) => SequenceFilters.Extreme(r, v, a, true),
            ["pprint"] = (r, v, a) => PythonText.Repr(r, v),
            ["reject"] = (r, v, a) => SequenceFilters.Select(r, v, a, false, false),
            ["rejectattr"] = (r, v, a) => SequenceFilters.Select(r, v, a, false, true),
            ["replace"] = (r, v, a) =>
            {
                object?[] b = a.Bind("replace", 2, "old", "new", "count");
                return StringMethods.Replace(r, PythonText.Str(r, v).AsSafe(false), PythonText.Str(r, b[0]), PythonText.Str(r, b[1]),
                    b[2] == Missing || b[2] is null ? -1 : Operators.ToLong(b[2]));
            },
            ["reverse"] = SequenceFilters.Reverse,
            ["round"] = Round,
            ["safe"] = (r, v, a) => Bare(r, v, a).AsSafe(true),
            ["select"] = (r, v, a) => SequenceFilters.Select(r, v, a, true, false),
            ["selectattr"] = (r, v, a) => SequenceFilters.Select(r, v, a, true, true),
            ["slice"] = SequenceFilters.Slice,
            ["sort"] = SequenceFilters.Sort,
            ["string"] = (r, v, a) => Bare(r, v, a),
            ["sum"] = SequenceFilters.Sum,
            ["title"] = (r, v, a) => StringFilters.Title(r, Bare(r, v, a)),
            ["tojson"] = ToJson,
            ["trim"] = (r, v, a) =>
            {
                object? chars = a.Bind("trim", 0, "chars")[0];
                return StringMethods.Strip(PythonText.Str(r, v), chars == Missing || chars is null ? null : Text(chars).Text, true, true);
            },
            ["truncate"] = (r, v, a) =>
            {
                object?[] b = a.Bind("truncate", 0, "length", "killwords", "end", "leeway");
                return StringFilters.Truncate(r, Text(v), Operators.ToLong(Or(b[0], 255L)), Flag(b[1]), b[2] == Missing ? new MarkedString("...") : Text(b[2]),
                    b[3] == Missing || b[3] is null ? 5 : Operators.ToLong(b[3]));
            },
            ["unique"] = SequenceFilters.Unique,
            ["upper"] = (r, v, a) => CaseMapping.Upper(r, Bare(r, v, a)),
            ["urlencode"] = UrlEncode,
            ["wordcount"] = (r, v, a) => Boxes.Of(StringFilters.WordCount(Bare(r, v, a))),
        };
        return filters.ToFrozenDictionary();
    }

    private static object? Or(object? given, object? missing) => given == Missing ? missing : given;

    private static bool Flag(object? given) => given != Missing && Operators.IsTrue(given);

    private static MarkedString Bare(Rendering rendering, object? value, Arguments arguments)
    {
        arguments.Bind("filter", 0);
        return PythonText.Str(rendering, value);
    }

    private static object? Abs(Rendering rendering, object? value, Arguments arguments)
    {
        arguments.Bind("abs", 0);
        return value switch
        {
            double number => Math.Abs(number),
            bool or long or BigInteger => Boxes.Of(BigInteger.Abs(Operators.ToBig(value))),
            Undefined undefined => throw undefined.Error(),
            _ => throw new JinjaException($"bad operand type for abs(): '{PythonText.TypeName(value)}'"),
        };
    }

    private static object? Default(Rendering rendering, object? value, Arguments arguments)
    {
        object?[] bound = arguments.Bind("default", 0, "default_value", "boolean");
        return value is Undefined || (Flag(bound[1]) && !Operators.IsTrue(value)) ? Or(bound[0], MarkedString.Empty) : value;
    }

    private static object? Length(Rendering rendering, object? value, Arguments arguments)
    {
        arguments.Bind("length", 0);
        return Operators.Length(value) is { } length ? Boxes.Of(length)
            : throw new JinjaException($"object of type '{PythonText.TypeName(value)}' has no len()");
    }

    private static double ToFloat(object? value) => value is MarkedString text ? Numbers.ParseFloat(text.Text) : Operators.ToDouble(value);

    private static object? Float(object? value, Arguments arguments)
    {
        object? missing = Or(arguments.Bind("float", 0, "default")[0], 0.0);
        try
        {
            return ToFloat(value);
        }
        catch (ConversionException)
        {
            return missing;
        }
    }

    private static object? Int(object? value, Arguments arguments)
    {
        object?[] bound = arguments.Bind("int", 0, "default", "base");
        try
        {
            return value switch
            {
                MarkedString text => Numbers.ParseInteger(text.Text, (int)Operators.ToLong(Or(bound[1], 10L))),
                double number => Numbers.Truncate(number),
                bool or long or BigInteger => Boxes.Of(Operators.ToBig(value)),
                Undefined undefined => throw undefined.Error(),
                _ => throw new ConversionException($"int() argument must be a string or a number, not '{PythonText.TypeName(value)}'"),
            };
        }
        catch (ConversionException)
        {
            try
            {
                return Numbers.Truncate(ToFloat(value));
            }
            catch (Exception error) when (error is ConversionException or OverflowException)
            {
                return Or(bound[0], 0L);
            }
        }
        catch (OverflowException)
        {
            throw new JinjaException("cannot convert float infinity to integer");
        }
    }

    private static object? Round(Rendering rendering, object? value, Arguments arguments)
    {
        object?[] bound = arguments.Bind("round", 0, "precision", "method");
        string method = bound[1] == Missing ? "common" : Text(bound[1]).Text;
        object? precision = Or(bound[0], 0L);
        if (method is not ("common" or "ceil" or "floor"))
            throw new JinjaException("method must be common, ceil or floor");
        if (method == "common")
        {
            int places = (int)Math.Clamp(Operators.ToLong(precision), -10000, 10000);
            if (value is double number)
                return Numbers.Round(number, places);
            var integer = Operators.ToBig(value is Undefined undefined ? throw undefined.Error() : value);
            if (places >= 0)
                return Boxes.Of(integer);
            var scale = BigInteger.Pow(10, -places);
            var rounded = Numbers.DivideHalfEven(BigInteger.Abs(integer), scale) * scale;
            return Boxes.Of(integer.Sign < 0 ? -rounded : rounded);
        }

        object? power = Operators.Power(rendering, 10L, precision);
        object? scaled = Operators.Multiply(rendering, value, power);
        object whole = scaled is double d
            ? Numbers.Truncate(method == "ceil" ? Math.Ceiling(d) : Math.Floor(d))
            : Boxes.Of(Operators.ToBig(scaled));
        return Operators.Divide(whole, power);
    }

    private static MarkedString UrlEncode(Rendering rendering, object? value, Arguments arguments)
    {
        arguments.Bind("urlencode", 0);
        if (value is MarkedString || !Operators.IsIterable(value))
            return StringFilters.UrlQuote(rendering, PythonText.Str(rendering, value), false);
        var builder = new MarkedStringBuilder(rendering);
        IEnumerable<object?> pairs = value is PyDict dict ? new DictView(dict, "items").Items() : Operators.ToList(rendering, value);
        foreach (object? item in pairs)
        {
            var pair = Operators.ToList(rendering, item);
            if (pair.Count != 2)
                throw new JinjaException("urlencode takes pairs");
            if (builder.Length > 0)
                builder.Append('&');
            builder.Append(StringFilters.UrlQuote(rendering, PythonText.Str(rendering, pair[0]), true));
            builder.Append('=');
            builder.Append(StringFilters.UrlQuote(rendering, PythonText.Str(rendering, pair[1]), true));
        }

        return builder.ToMarkedString();
    }

    /// <summary>tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False), as transformers defines it.</summary>
    private static MarkedString ToJson(Rendering rendering, object? value, Arguments arguments)
    {
        object?[] bound = arguments.Bind("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys");
        object? indent = Or(bound[1], null);
        string? unit = indent switch
        {
            null => null,
            MarkedString text => text.Text,
            _ => new string(' ', (int)Math.Clamp(Operators.ToLong(indent), 0, 1000)),
        };
        string item = unit is null ? ", " : ",", key = ": ";
        if (Or(bound[2], null) is { } separators)
        {
            if (separators is not PySequence { Items.Count: 2 } pair)
                throw new JinjaException("separators must be a pair of strings");
            item = Text(pair.Items[0]).Text;
            key = Text(pair.Items[1]).Text;
        }

        return PythonJson.Write(rendering, value, new PythonJson.Format(unit, item, key, Flag(bound[3]), Flag(bound[0])));
    }
}
