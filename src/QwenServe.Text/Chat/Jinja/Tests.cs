using System.Collections.Frozen;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>The tests of <c>value is name</c>.</summary>
internal static class Tests
{
    private static readonly FrozenDictionary<string, Filter> Table = Build();

    public static Filter? Find(string name) => Table.GetValueOrDefault(name);

    public static bool Exists(string name) => Table.ContainsKey(name);

    private static FrozenDictionary<string, Filter> Build()
    {
        var tests = new Dictionary<string, Filter>
        {
            ["defined"] = Simple(v => v is not Undefined),
            ["undefined"] = Simple(v => v is Undefined),
            ["none"] = Simple(v => v is null),
            ["boolean"] = Simple(v => v is bool),
            ["true"] = Simple(v => v is true),
            ["false"] = Simple(v => v is false),
            ["integer"] = Simple(v => v is long or System.Numerics.BigInteger),
            ["float"] = Simple(v => v is double),
            ["number"] = Simple(Operators.IsNumber),
            ["string"] = Simple(v => v is MarkedString),
            ["mapping"] = Simple(v => v is PyDict),
            ["sequence"] = Simple(v => v is MarkedString or PySequence or PyDict or PyRange or Undefined),
            ["iterable"] = Simple(Operators.IsIterable),
            ["callable"] = Simple(v => v is Callable or Undefined),
            ["escaped"] = Simple(v => v is MarkedString { Safe: true }),
            ["odd"] = (r, v, a) => Modulo(r, v, 2L, 1L, a),
            ["even"] = (r, v, a) => Modulo(r, v, 2L, 0L, a),
            ["divisibleby"] = (r, v, a) => Boxes.Of(Operators.AreEqual(Operators.Modulo(r, v, a.Bind("divisibleby", 1, "num")[0]), 0L)),
            ["in"] = (r, v, a) => Boxes.Of(Operators.Contains(r, a.Bind("in", 1, "seq")[0], v)),
            ["sameas"] = (_, v, a) => Boxes.Of(SameAs(v, a.Bind("sameas", 1, "other")[0])),
            ["lower"] = (r, v, a) => None(a, "lower", CaseMapping.IsLower(PythonText.Str(r, v).Text)),
            ["upper"] = (r, v, a) => None(a, "upper", CaseMapping.IsUpper(PythonText.Str(r, v).Text)),
            ["filter"] = (_, v, a) => None(a, "filter", v is MarkedString name && Filters.Find(name.Text) is not null),
            ["test"] = (_, v, a) => None(a, "test", v is MarkedString name && Exists(name.Text)),
        };
        foreach (string name in new[] { "==", "eq", "equalto" })
            tests[name] = (_, v, a) => Boxes.Of(Operators.AreEqual(v, Other(a)));
        foreach (string name in new[] { "!=", "ne" })
            tests[name] = (_, v, a) => Boxes.Of(!Operators.AreEqual(v, Other(a)));
        foreach (var (name, symbol) in new[]
        {
            (">", ">"), ("gt", ">"), ("greaterthan", ">"), (">=", ">="), ("ge", ">="),
            ("<", "<"), ("lt", "<"), ("lessthan", "<"), ("<=", "<="), ("le", "<="),
        })
            tests[name] = (r, v, a) => Boxes.Of(Operators.Compare(r, symbol, v, Other(a)));
        return tests.ToFrozenDictionary();
    }

    private static object? Other(Arguments arguments)
    {
        Attributes.Positional(arguments, "test", 1, 1);
        return arguments.Positional[0];
    }

    private static Filter Simple(Func<object?, bool> test) => (_, value, arguments) => None(arguments, "test", test(value));

    private static object None(Arguments arguments, string name, bool result)
    {
        arguments.Bind(name, 0);
        return Boxes.Of(result);
    }

    private static object Modulo(Rendering rendering, object? value, object divisor, object expected, Arguments arguments)
    {
        arguments.Bind("test", 0);
        return Boxes.Of(Operators.AreEqual(Operators.Modulo(rendering, value, divisor), expected));
    }

    private static bool SameAs(object? left, object? right) =>
        ReferenceEquals(left, right) || (left is bool a && right is bool b && a == b) || (left is long x && right is long y && x == y && x is >= -5 and <= 256);
}
