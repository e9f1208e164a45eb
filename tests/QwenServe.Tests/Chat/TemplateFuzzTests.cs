using System.Globalization;
using System.Text;

namespace QwenServe.Tests.Chat;

/// <summary>Random small templates, printed here and by Jinja2.</summary>
public class TemplateFuzzTests
{
    private const string Variables = """
        {"s": "Hello World <b> </think> x", "t": "  a,b ;c\n\n日本😀 ß ", "e": "", "n": 7, "m": -3, "z": 0, "f": 2.5, "g": -0.125, "h": 1e20,
         "big": 123456789012345678901234567890, "yes": true, "no": false, "nil": null, "l": [3, 1, 2], "w": ["b", "A", "c", "a"], "d": {"k": "v", "a": 1, "items": [1]},
         "ms": [{"role": "user", "content": "hi", "n": 2}, {"role": "assistant", "content": "yo", "n": 1}, {"role": "user", "content": "", "n": 3}], "mix": [1, "a", null, 2.5, [1], {"q": 1}]}
        """;

    private static readonly string[] Strings = ["s", "t", "e", "'abc'", "'a b a'", "s[2:8]", "t.strip()", "'%s'", "d.k", "ms[0].role", "'X' ~ n", "'x' * 2"];
    private static readonly string[] Numbers = ["n", "m", "z", "f", "g", "big", "h", "2", "10", "0.5", "1e3", "l[0]", "yes", "s|length", "l|sum"];
    private static readonly string[] Lists = ["l", "w", "ms", "mix", "[]", "[1, 2, 2]", "range(4)|list", "w[1:]", "(1, 'b')", "d.keys()|list", "s.split()"];
    private static readonly string[] Others = ["nil", "missing", "d", "{}", "d.missing", "yes", "no", "ms[9]", "{'p': [1, {'r': 'é\"'}]}", "range(3)"];

    private static readonly string[] StringFilters =
    [
        "upper", "lower", "title", "capitalize", "trim", "length", "reverse", "list", "first", "last", "string", "tojson", "wordcount", "replace('a', 'ZZ')", "replace('l', '', 1)",
        "default('d')", "default('d', true)", "indent(2)", "indent(1, true, true)", "truncate(8)", "truncate(7, true)", "center(12)", "int", "int(5)", "float", "e", "urlencode", "join('-')", "sort", "unique|list", "trim('a x')",
    ];

    private static readonly string[] NumberFilters =
        ["abs", "int", "float", "round", "round(1)", "round(2, 'floor')", "round(0, 'ceil')", "string", "tojson", "default(3)", "filesizeformat", "length"];

    private static readonly string[] ListFilters =
    [
        "length", "first", "last", "join(', ')", "sort", "sort(reverse=true)", "reverse|list", "list", "unique|list", "map('string')|list", "map('upper')|join", "map(attribute='n')|list", "map(attribute='role', default='?')|join('|')",
        "select|list", "reject('none')|list", "select('string')|list", "select('number')|list", "selectattr('role', 'equalto', 'user')|list", "rejectattr('content')|list", "batch(2)|list", "batch(2, 0)|list", "slice(2)|list", "tojson", "tojson(indent=2)",
        "min", "max", "sum", "string", "groupby('role')", "sort(attribute='n')", "sort(attribute='role,n')", "sum(attribute='n')", "min(attribute='n')", "unique(attribute='role')|list", "map('length')|list", "map('tojson')|list", "map('int')|list",
    ];

    private static readonly string[] DictFilters = ["dictsort", "items|list", "tojson", "tojson(indent=1)", "tojson(sort_keys=true)", "length", "list", "string", "default('q')", "default('q', true)", "first", "urlencode"];

    private static readonly string[] Methods =
    [
        "strip()", "lstrip()", "rstrip('x ')", "split()", "split(',')", "split(' ', 1)", "rsplit(' ', 1)", "rsplit(none, 2)", "splitlines()", "upper()", "lower()", "title()", "capitalize()", "swapcase()", "startswith('H')", "endswith(('x', ' '))",
        "find('l')", "rfind('o')", "count('a')", "count('')", "replace('l', 'L')", "replace('', '_')", "zfill(9)", "center(9, '*')", "ljust(6)", "rjust(6, '.')", "isdigit()", "isalpha()", "isspace()", "isupper()", "islower()", "istitle()", "isalnum()",
        "partition(' ')", "rpartition(' ')", "removeprefix('He')", "removesuffix('x')", "index('b')", "join(w)", "format(n, k=s)", "expandtabs(4)", "isidentifier()", "casefold()", "isnumeric()", "isascii()", "splitlines(true)",
    ];

    private static readonly string[] TestNames =
    [
        "defined", "undefined", "none", "string", "mapping", "sequence", "iterable", "number", "integer", "float", "boolean", "true", "false", "odd", "even", "divisibleby 2", "eq 2", "ne('a')", "in l", "in [1, 'a']", "lt 3", "ge(2)", "lower", "upper", "callable", "not none", "not string",
    ];

    private static readonly string[] Operators = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"];

    private static readonly string[] Slices = ["[0]", "[-1]", "[1:]", "[:-1]", "[::-1]", "[::2]", "[-3:2]", "[5:1:-1]", "[9]", "['k']", "[n]", "[:z]"];

    private static readonly string[] Formats = ["%s", "%d", "%5.1f|", "%-6s|", "%r", "%x", "%05d", "%e", "%g", "%+d", "%%%s", "%c", "%s %s"];

    private static readonly string[] BraceFormats = ["{}", "{:>8}|", "{!r}", "{:.2f}", "{:05}", "{:,}", "{:e}", "{:g}", "{:%}", "{0} {0}", "{:^9}|", "{:x}", "{:+}", "{:.3}"];

    private readonly Random _random = new(20260);

    [JinjaFact]
    public void Random_templates_print_what_Jinja2_prints()
    {
        int count = int.Parse(Environment.GetEnvironmentVariable("QWENSERVE_FUZZ_TEMPLATES") ?? "2000", CultureInfo.InvariantCulture);
        using var reference = JinjaReference.Start();
        var failures = new List<string>();
        int printed = 0;
        for (int i = 0; i < count; i++)
        {
            string template = Template();
            var (expected, expectedError) = reference.Render(template, Variables);
            // Objects print with their address there.
            if (expected?.Contains(" at 0x", StringComparison.Ordinal) == true)
                continue;
            var (text, error) = Interpreter.TryRender(template, Variables);
            if (expected is not null)
                printed++;
            if (text != expected)
                failures.Add($"{template}\n  expected {expected ?? "an error: " + expectedError}\n  got      {text ?? "an error: " + error}");
        }

        Assert.True(printed > count / 3, $"only {printed} of {count} templates print anything");
        Assert.True(failures.Count == 0, $"{failures.Count} of {count} differ\n" + string.Join("\n", failures.Take(60)));
    }

    private string Pick(string[] choices) => choices[_random.Next(choices.Length)];

    private string Value(int depth) => _random.Next(4) switch
    {
        0 => String(depth),
        1 => Number(depth),
        2 => List(depth),
        _ => Pick(Others),
    };

    private string String(int depth) => depth <= 0 || _random.Next(3) == 0 ? Pick(Strings) : _random.Next(6) switch
    {
        0 => $"({String(depth - 1)} ~ {Value(depth - 1)})",
        1 => $"({String(depth - 1)} + {String(depth - 1)})",
        2 => $"{String(depth - 1)}{Pick(Slices)}",
        3 => $"({String(depth - 1)})|{Pick(StringFilters)}",
        4 => $"({String(depth - 1)}).{Pick(Methods)}",
        _ => $"({Value(depth - 1)})|string",
    };

    private string Number(int depth) => depth <= 0 || _random.Next(3) == 0 ? Pick(Numbers) : _random.Next(4) switch
    {
        0 => $"({Number(depth - 1)} {Pick(["+", "-", "*", "/", "//", "%"])} {Number(depth - 1)})",
        1 => $"-{Number(depth - 1)}",
        2 => $"({Number(depth - 1)})|{Pick(NumberFilters)}",
        _ => _random.Next(2) == 0 ? $"({List(depth - 1)})|length" : $"{Pick(["n", "m", "2", "f", "big"])} ** {Pick(["2", "3", "-1", "z"])}",
    };

    private string List(int depth) => depth <= 0 || _random.Next(3) == 0 ? Pick(Lists) : _random.Next(4) switch
    {
        0 => $"[{Value(depth - 1)}, {Value(depth - 1)}]",
        1 => $"({List(depth - 1)}){Pick(Slices)}",
        2 => $"({List(depth - 1)})|{Pick(ListFilters)}",
        _ => $"({List(depth - 1)} + {List(depth - 1)})",
    };

    private string Expression() => _random.Next(13) switch
    {
        0 => $"{Value(1)} {Pick(Operators)} {Value(1)}",
        1 => $"({Value(1)}) is {Pick(TestNames)}",
        2 => $"{Value(1)} if {Value(1)} else {Value(1)}",
        3 => $"({String(2)})|{Pick(StringFilters)}",
        4 => $"({List(2)})|{Pick(ListFilters)}",
        5 => $"({Number(2)})|{Pick(NumberFilters)}",
        6 => $"({Pick(Others)})|{Pick(DictFilters)}",
        7 => $"'{Pick(Formats)}' % {(_random.Next(2) == 0 ? Number(1) : "(" + Value(1) + ", " + Number(1) + ")")}",
        8 => $"'{Pick(BraceFormats)}'.format({Value(1)})",
        9 => $"({String(2)}).{Pick(Methods)}",
        10 => $"not {Value(1)} {Pick(["and", "or"])} {Value(1)}",
        11 => $"{Number(2)} {Pick(Operators)} {Number(2)}",
        _ => Value(3),
    };

    private string Template()
    {
        var text = new StringBuilder();
        for (int i = _random.Next(2); i >= 0; i--)
            text.Append(Statement(2));
        return text.ToString();
    }

    private string Open() => Pick(["{%", "{%", "{%-", "{%+", "\n  {%", " {%"]);

    private string Close() => Pick(["%}", "%}", "-%}", "+%}", "%}\n", "%} \n"]);

    private string Statement(int depth)
    {
        switch (_random.Next(depth > 0 ? 12 : 6))
        {
            case 0:
                return Pick([" text\n", "\n\n", "  ", "x", "{# note #}\n", "  {#- n -#} \n", "{% raw %}{{ x }}{% endraw %}"]);
            case 6:
                return $"{Open()} if {Value(1)} {Close()}{Statement(depth - 1)}{Open()} else {Close()}{Statement(depth - 1)}{Open()} endif {Close()}";
            case 7:
                return $"{Open()} for x in {List(1)}{Pick(["", "", " if x"])} {Close()}{Statement(depth - 1)}{{{{ x }}}}{Pick(["{{ loop.index }}{{ loop.last }}", "{{ loop.length }}", "{{ loop.nextitem }}", "{{ loop.revindex0 }}{{ loop.previtem }}", ""])}{Open()} endfor {Close()}";
            case 8:
                return $"{Open()} set v = {Expression()} {Close()}{Statement(depth - 1)}{{{{ v }}}}";
            case 9:
                return $"{Open()} set v {Close()}{Statement(depth - 1)}{Open()} endset {Close()}[{{{{ v|trim }}}}]";
            case 10:
                return $"{Open()} macro f(a, b={Value(0)}) {Close()}{{{{ a }}}}{{{{ b }}}}{Open()} endmacro {Close()}{{{{ f({Value(1)}) }}}}";
            case 11:
                return $"{Open()} set ns = namespace(c=0) {Close()}{{% for y in l %}}{{% set ns.c = ns.c + y %}}{{% endfor %}}{{{{ ns.c }}}}";
            default:
                return $"{Pick(["{{", "{{-", "{{ "])} {Expression()} {Pick(["}}", "-}}", " }}"])}";
        }
    }
}
