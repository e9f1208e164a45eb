namespace QwenServe.Text.Chat.Jinja;

/// <summary>Filters on sequences. Those that are generators in Jinja2 are lazy here too.</summary>
internal static class SequenceFilters
{
    private static readonly object Missing = Arguments.Missing;

    private static object? Or(object? given, object? missing) => given == Missing ? missing : given;

    private static bool Flag(object? given) => given != Missing && Operators.IsTrue(given);

    private static object? IgnoreCase(Rendering rendering, object? value) =>
        value is MarkedString text ? CaseMapping.Lower(rendering, text) : value;

    /// <summary>item → item.a.0.b for the attribute "a.0.b".</summary>
    private static Func<object?, object?> Getter(Rendering rendering, object? attribute, object? missing = null)
    {
        List<object?> parts = attribute switch
        {
            null => [],
            MarkedString text => [.. text.Text.Split('.').Select(p =>
                p.Length is > 0 and < 10 && p.All(char.IsAsciiDigit)
                    ? Boxes.Of(long.Parse(p, System.Globalization.CultureInfo.InvariantCulture)) : (object?)new MarkedString(p))],
            _ => [attribute],
        };
        return item =>
        {
            foreach (object? part in parts)
            {
                item = Operators.GetItem(rendering, item, part);
                if (missing is not null && item is Undefined)
                    item = missing;
            }

            return item;
        };
    }

    public static object? Map(Rendering rendering, object? value, Arguments arguments)
    {
        return new PyIterator(Walk());

        IEnumerable<object?> Walk()
        {
            if (!Operators.IsTrue(value))
                yield break;
            Func<object?, object?> function;
            if (arguments.Positional.Length == 0 && arguments.Named.Any(n => n.Key == "attribute"))
            {
                object?[] bound = arguments.Bind("map", 0, "attribute", "default");
                function = Getter(rendering, bound[0], Or(bound[1], null));
            }
            else
            {
                if (arguments.Positional.Length == 0)
                    throw new JinjaException("map requires a filter argument");
                string name = Filters.Text(arguments.Positional[0]).Text;
                var filter = Filters.Find(name) ?? throw new JinjaException($"No filter named '{name}'.");
                var rest = arguments.Skip(1);
                function = item => filter(rendering, item, rest);
            }

            var walk = Operators.Iterate(rendering, value);
            while (walk.MoveNext())
                yield return function(walk.Current);
        }
    }

    public static object? Select(Rendering rendering, object? value, Arguments arguments, bool keep, bool byAttribute)
    {
        return new PyIterator(Walk());

        IEnumerable<object?> Walk()
        {
            if (!Operators.IsTrue(value))
                yield break;
            int at = byAttribute ? 1 : 0;
            if (byAttribute && arguments.Positional.Length == 0)
                throw new JinjaException("Missing parameter for attribute name");
            Func<object?, object?> get = byAttribute ? Getter(rendering, arguments.Positional[0]) : item => item;
            Func<object?, bool> holds = Operators.IsTrue;
            if (arguments.Positional.Length > at)
            {
                string name = Filters.Text(arguments.Positional[at]).Text;
                var test = Tests.Find(name) ?? throw new JinjaException($"No test named '{name}'.");
                var rest = arguments.Skip(at + 1);
                holds = item => Operators.IsTrue(test(rendering, item, rest));
            }

            var walk = Operators.Iterate(rendering, value);
            while (walk.MoveNext())
            {
                object? item = walk.Current;
                if (holds(get(item)) == keep)
                    yield return item;
            }
        }
    }

    public static object? Join(Rendering rendering, object? value, Arguments arguments)
    {
        object?[] bound = arguments.Bind("join", 0, "d", "attribute");
        var separator = bound[0] == Missing ? MarkedString.Empty : PythonText.Str(rendering, bound[0]);
        var get = Getter(rendering, Or(bound[1], null));
        var builder = new MarkedStringBuilder(rendering);
        var walk = Operators.Iterate(rendering, value);
        for (bool first = true; walk.MoveNext(); first = false)
        {
            if (!first)
                builder.Append(separator);
            builder.Append(PythonText.Str(rendering, get(walk.Current)));
        }

        return builder.ToMarkedString();
    }

    public static object? Last(Rendering rendering, object? value, Arguments arguments)
    {
        arguments.Bind("last", 0);
        if (value is PyIterator or LoopContext or null || !Operators.IsIterable(value))
            throw new JinjaException($"'{PythonText.TypeName(value)}' object is not reversible");
        if (value is Undefined)
            throw new JinjaException("'Undefined' object is not reversible");
        if (value is MarkedString or PySequence or PyRange)
        {
            long length = Operators.Length(value)!.Value;
            return length == 0 ? new Undefined("No last item, sequence was empty.") : Operators.GetItem(rendering, value, Boxes.Of(length - 1));
        }

        var items = Operators.ToList(rendering, value);
        return items.Count > 0 ? items[^1] : new Undefined("No last item, sequence was empty.");
    }

    public static object? Reverse(Rendering rendering, object? value, Arguments arguments)
    {
        arguments.Bind("reverse", 0);
        if (value is MarkedString)
            return Slicing.Apply(rendering, value, new Slice(null, null, -1L));
        var items = Operators.ToList(rendering, value);
        items.Reverse();
        return value is PyIterator or Undefined ? new PyList(items) : new PyIterator(items);
    }

    public static object? Sort(Rendering rendering, object? value, Arguments arguments)
    {
        object?[] bound = arguments.Bind("sort", 0, "reverse", "case_sensitive", "attribute");
        bool caseSensitive = Flag(bound[1]);
        object? attribute = Or(bound[2], null);
        var getters = attribute is MarkedString text
            ? text.Text.Split(',').Select(a => Getter(rendering, new MarkedString(a))).ToArray()
            : [Getter(rendering, attribute)];
        var items = Operators.ToList(rendering, value).ToArray();
        return new PyList([.. Sorting.Sort(rendering, items, item => new PyList(
            [.. getters.Select(get => caseSensitive ? get(item) : IgnoreCase(rendering, get(item)))]), Flag(bound[0]))])
        { FromConversation = value is PyList { FromConversation: true } };
    }

    public static object? DictSort(Rendering rendering, object? value, Arguments arguments)
    {
        object?[] bound = arguments.Bind("dictsort", 0, "case_sensitive", "by", "reverse");
        string by = bound[1] == Missing ? "key" : Filters.Text(bound[1]).Text;
        if (by is not ("key" or "value"))
            throw new JinjaException("You can only sort by either \"key\" or \"value\"");
        if (value is not PyDict dict)
            throw value is Undefined undefined ? undefined.Error() : new JinjaException($"'{PythonText.TypeName(value)}' object has no attribute 'items'");
        bool caseSensitive = Flag(bound[0]);
        var pairs = Sorting.Sort(rendering, [.. dict.Entries], entry =>
        {
            object? key = by == "key" ? entry.Key : entry.Value;
            return caseSensitive ? key : IgnoreCase(rendering, key);
        }, Flag(bound[2]));
        return new PyList([.. pairs.Select(p => new PyTuple([p.Key, p.Value]))]);
    }

    public static object? Unique(Rendering rendering, object? value, Arguments arguments)
    {
        object?[] bound = arguments.Bind("unique", 0, "case_sensitive", "attribute");
        bool caseSensitive = Flag(bound[0]);
        var get = Getter(rendering, Or(bound[1], null));
        return new PyIterator(Walk());

        IEnumerable<object?> Walk()
        {
            var seen = new HashSet<PyDict.Key>();
            var walk = Operators.Iterate(rendering, value);
            while (walk.MoveNext())
            {
                object? key = get(walk.Current);
                if (!caseSensitive)
                    key = IgnoreCase(rendering, key);
                if (!PyDict.Key.IsHashable(key))
                    throw new JinjaException($"unhashable type: '{PythonText.TypeName(key)}'");
                if (seen.Add(new PyDict.Key(key)))
                    yield return walk.Current;
            }
        }
    }

    public static object? Extreme(Rendering rendering, object? value, Arguments arguments, bool minimum)
    {
        object?[] bound = arguments.Bind("min", 0, "case_sensitive", "attribute");
        bool caseSensitive = Flag(bound[0]);
        var get = Getter(rendering, Or(bound[1], null));
        var walk = Operators.Iterate(rendering, value);
        if (!walk.MoveNext())
            return new Undefined("No aggregated item, sequence was empty.");
        object? best = walk.Current;
        object? bestKey = Key(best);
        while (walk.MoveNext())
        {
            object? key = Key(walk.Current);
            if (minimum ? Operators.Less(rendering, key, bestKey) : Operators.Compare(rendering, ">", key, bestKey))
            {
                best = walk.Current;
                bestKey = key;
            }
        }

        return best;

        object? Key(object? item) => caseSensitive ? get(item) : IgnoreCase(rendering, get(item));
    }

    public static object? Sum(Rendering rendering, object? value, Arguments arguments)
    {
        object?[] bound = arguments.Bind("sum", 0, "attribute", "start");
        var get = Getter(rendering, Or(bound[0], null));
        object? total = Or(bound[1], 0L);
        if (total is MarkedString)
            throw new JinjaException("sum() can't sum strings [use ''.join(seq) instead]");
        var walk = Operators.Iterate(rendering, value);
        while (walk.MoveNext())
            total = Operators.Add(rendering, total, get(walk.Current));
        return total;
    }

    public static object? GroupBy(Rendering rendering, object? value, Arguments arguments)
    {
        object?[] bound = arguments.Bind("groupby", 1, "attribute", "default", "case_sensitive");
        bool caseSensitive = Flag(bound[2]);
        var get = Getter(rendering, bound[0], Or(bound[1], null));
        Func<object?, object?> key = caseSensitive ? get : item => IgnoreCase(rendering, get(item));
        var sorted = Sorting.Sort(rendering, [.. Operators.ToList(rendering, value)], key, false);
        var groups = new List<object?>();
        for (int from = 0; from < sorted.Length;)
        {
            object? group = key(sorted[from]);
            int to = from;
            while (to < sorted.Length && Operators.AreEqual(key(sorted[to]), group))
                to++;
            if (to == from)
                to++;
            groups.Add(new PyTuple([get(sorted[from]), new PyList([.. sorted[from..to]])]) { IsGroup = true });
            from = to;
        }

        return new PyList(groups);
    }

    public static IEnumerable<object?> Batch(IEnumerator<object?> walk, long size, object? fill)
    {
        var batch = new List<object?>();
        while (walk.MoveNext())
        {
            if (batch.Count == size)
            {
                yield return new PyList(batch);
                batch = [];
            }

            batch.Add(walk.Current);
        }

        if (batch.Count == 0)
            yield break;
        if (fill is not null)
        {
            if (size > 1_000_000)
                throw new SandboxLimitException("a batch is too large");
            while (batch.Count < size)
                batch.Add(fill);
        }

        yield return new PyList(batch);
    }

    public static object? Slice(Rendering rendering, object? value, Arguments arguments)
    {
        object?[] bound = arguments.Bind("slice", 1, "slices", "fill_with");
        return new PyIterator(Walk());

        IEnumerable<object?> Walk()
        {
            var items = Operators.ToList(rendering, value);
            long slices = Operators.ToLong(bound[0]);
            if (slices == 0)
                throw new JinjaException("integer division or modulo by zero");
            object? fill = Or(bound[1], null);
            long each = (long)Math.Floor(items.Count / (double)slices);
            long extra = items.Count - (each * slices);
            long offset = 0;
            for (long i = 0; i < slices; i++)
            {
                rendering.Charge();
                long start = offset + (i * each);
                if (i < extra)
                    offset++;
                long end = offset + ((i + 1) * each);
                var part = items.GetRange((int)start, (int)(end - start));
                if (fill is not null && i >= extra)
                    part.Add(fill);
                yield return new PyList(part);
            }
        }
    }
}
