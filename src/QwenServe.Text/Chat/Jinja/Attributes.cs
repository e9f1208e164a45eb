using System.Collections.Frozen;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>
/// value.name. A fixed table of methods per type is all there is to find: nothing of the host can be reached. Methods that would change a
/// list or dict are refused, as the immutable sandbox does.
/// </summary>
internal static class Attributes
{
    private static readonly FrozenSet<string> DictMutators = new[] { "clear", "pop", "popitem", "setdefault", "update" }.ToFrozenSet();

    private static readonly FrozenSet<string> ListMutators =
        new[] { "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove" }.ToFrozenSet();

    private static readonly FrozenDictionary<string, Filter> DictMethods = new Dictionary<string, Filter>
    {
        ["get"] = (_, self, arguments) =>
        {
            Positional(arguments, "get", 1, 2);
            return ((PyDict)self!).TryGetValue(arguments.Positional[0], out object? value) ? value
                : arguments.Positional.Length > 1 ? arguments.Positional[1] : null;
        },
        ["keys"] = (_, self, arguments) => View(self, arguments, "keys"),
        ["values"] = (_, self, arguments) => View(self, arguments, "values"),
        ["items"] = (_, self, arguments) => View(self, arguments, "items"),
        ["copy"] = (_, self, arguments) =>
        {
            Positional(arguments, "copy", 0, 0);
            return self;
        },
    }.ToFrozenDictionary();

    private static readonly FrozenDictionary<string, Filter> ListMethods = new Dictionary<string, Filter>
    {
        ["index"] = (rendering, self, arguments) =>
        {
            Positional(arguments, "index", 1, 3);
            var items = ((PySequence)self!).Items;
            long from = arguments.Positional.Length > 1 ? Operators.ToLong(arguments.Positional[1]) : 0;
            long to = arguments.Positional.Length > 2 ? Operators.ToLong(arguments.Positional[2]) : items.Count;
            from = from < 0 ? Math.Max(0, from + items.Count) : from;
            to = Math.Min(items.Count, to < 0 ? to + items.Count : to);
            rendering.ChargeItems(items.Count);
            for (long i = from; i < to; i++)
                if (Operators.AreEqual(items[(int)i], arguments.Positional[0]))
                    return Boxes.Of(i);
            throw new JinjaException("the value is not in the list");
        },
        ["count"] = (rendering, self, arguments) =>
        {
            Positional(arguments, "count", 1, 1);
            rendering.ChargeItems(((PySequence)self!).Items.Count);
            return Boxes.Of((long)((PySequence)self).Items.Count(i => Operators.AreEqual(i, arguments.Positional[0])));
        },
        ["copy"] = (_, self, arguments) =>
        {
            Positional(arguments, "copy", 0, 0);
            return self;
        },
    }.ToFrozenDictionary();

    public static bool IsDictMethod(string name) => DictMethods.ContainsKey(name) || DictMutators.Contains(name);

    public static void Positional(Arguments arguments, string method, int minimum, int maximum)
    {
        if (arguments.Named.Length > 0)
            throw new ConversionException($"{method}() takes no keyword arguments");
        if (arguments.Positional.Length < minimum || arguments.Positional.Length > maximum)
            throw new ConversionException($"{method}() takes {minimum} to {maximum} arguments ({arguments.Positional.Length} given)");
    }

    private static DictView View(object? self, Arguments arguments, string kind)
    {
        Positional(arguments, kind, 0, 0);
        return new DictView((PyDict)self!, kind);
    }

    /// <summary>value.name: the type's own attribute, else the item of that name, else undefined.</summary>
    public static object? Get(object? value, string name)
    {
        if (value is Undefined undefined)
            throw undefined.Error();
        object? own = FindOwn(value, name);
        if (own is not null)
            return own is NullValue ? null : own;
        if (value is PyDict dict && dict.TryGetValue(name, out object? found))
            return found;
        return Missing(value, new MarkedString(name));
    }

    /// <summary>Stands for an attribute that exists and is None.</summary>
    private sealed class NullValue
    {
        public static readonly NullValue Instance = new();
    }

    public static Undefined Missing(object? value, object? key) => new(
        key is MarkedString name
            ? $"'{(value is null ? "None" : PythonText.TypeName(value) + " object")}' has no attribute '{name.Text}'"
            : $"{(value is null ? "None" : PythonText.TypeName(value) + " object")} has no element {(key is long or bool ? PythonText.Scalar(key) : "of that key")}");

    /// <summary>A method or attribute that belongs to the value's type, or null.</summary>
    public static object? FindOwn(object? value, string name)
    {
        switch (value)
        {
            case MarkedString:
                return StringMethods.Find(name) is { } method ? new BoundMethod(value, name, method) : null;
            case PyDict:
                return DictMutators.Contains(name) ? Unsafe(value, name) : Bind(DictMethods, value, name);
            case PyList:
                return ListMutators.Contains(name) ? Unsafe(value, name) : Bind(ListMethods, value, name);
            case PyTuple tuple:
                if (tuple.IsGroup && name is "grouper" or "list")
                    return tuple.IsGroup ? tuple.Items[name == "grouper" ? 0 : 1] ?? NullValue.Instance : null;
                return name == "copy" ? null : Bind(ListMethods, value, name);
            case LoopContext loop:
                return loop.TryGetAttribute(name, out object? attribute) ? attribute ?? NullValue.Instance : null;
            case NamespaceObject space:
                return space.Attributes.TryGetValue(name, out object? found) ? found ?? NullValue.Instance : null;
            case Macro macro:
                return macro.Attribute(name);
            case Cycler cycler:
                return cycler.Attribute(name);
            case double number when name == "is_integer":
                return new BuiltinFunction(name, (_, _) => Boxes.Of(double.IsInteger(number)));
            default:
                return null;
        }
    }

    private static Undefined Unsafe(object value, string name) =>
        new($"access to attribute '{name}' of '{PythonText.TypeName(value)}' object is unsafe.");

    private static BoundMethod? Bind(FrozenDictionary<string, Filter> methods, object self, string name) =>
        methods.TryGetValue(name, out var method) ? new BoundMethod(self, name, method) : null;
}
