using System.Collections.Concurrent;
using System.Text.Json;

namespace QwenServe.Text.Grammar;

/// <summary>
/// JSON schema to rules. One rule for each distinct conjunction of subschemas, found again by its paths, which is what makes recursion end;
/// properties come in the order of their declaration, undeclared ones behind them.
/// </summary>
internal sealed class SchemaCompiler
{
    private const int MaxCounted = 20_000;
    private const int MaxStrings = 500;
    private const int MaxKeptStates = 500;

    private static readonly ConcurrentDictionary<string, Rule> Strings = new(StringComparer.Ordinal);

    private readonly SchemaReader _reader;
    private readonly SchemaValidator _validator;
    private readonly Dictionary<string, Rule> _rules = new(StringComparer.Ordinal);
    private readonly Queue<Action> _pending = new();

    private SchemaCompiler(JsonElement root)
    {
        _reader = new SchemaReader(root);
        _validator = new SchemaValidator(_reader);
        _reader.AreDisjoint = new SchemaDisjointness(_reader, _validator).AreDisjoint;
    }

    /// <exception cref="GrammarException">The schema is malformed, or asks for what cannot be enforced.</exception>
    public static Rule Compile(JsonElement schema, bool objectOnly = false)
    {
        var compiler = new SchemaCompiler(schema);
        List<SchemaNode> nodes = [new(schema, "#")];
        if (objectOnly) nodes.Add(new(JsonElement.Parse("""{"type":"object"}"""), "object"));
        try
        {
            var rule = compiler.RuleFor(nodes);
            while (compiler._pending.TryDequeue(out var build)) build();
            return rule;
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or OverflowException)
        {
            throw new GrammarException($"The schema is malformed: {e.Message}", e);
        }
    }

    private Rule RuleFor(List<SchemaNode> nodes)
    {
        var alternatives = _reader.Alternatives(nodes);
        if (alternatives is [{ } only]) return RuleForShape(only);
        var key = "any " + string.Join(" | ", alternatives.Select(Key));
        if (_rules.TryGetValue(key, out var known)) return known;
        var rule = _rules[key] = new Rule(nodes.Count > 0 ? nodes[0].Path : "#");
        _pending.Enqueue(() =>
        {
            var nfa = new Nfa();
            int start = nfa.NewState(), end = nfa.NewState();
            foreach (var alternative in alternatives) nfa.Call(start, RuleForShape(alternative), end);
            rule.Start = nfa.ToStates(start, end);
        });
        return rule;
    }

    private static string Key(List<SchemaNode> nodes) => string.Join(" & ", nodes.Select(n => n.Path).Distinct(StringComparer.Ordinal));

    private Rule RuleForShape(List<SchemaNode> nodes)
    {
        if (nodes.Count == 0) return JsonRules.Any;
        var key = Key(nodes);
        if (_rules.TryGetValue(key, out var known)) return known;
        var shape = new SchemaShape(nodes);
        if (Simple(shape) is { } simple) return _rules[key] = simple;
        var rule = _rules[key] = new Rule(nodes[0].Path);
        // Later, so that a deep schema does not become a deep stack.
        _pending.Enqueue(() => rule.Start = Build(shape));
        return rule;
    }

    /// <summary>The rule of a shape of one scalar type; null for other shapes.</summary>
    private static Rule? Simple(SchemaShape shape)
    {
        if (shape.HasAny("enum", "const")) return null;
        return shape.Types switch
        {
            SchemaTypes.Null => JsonRules.Null,
            SchemaTypes.Boolean => JsonRules.Boolean,
            SchemaTypes.Integer or SchemaTypes.Number => NumberFor(shape, shape.Types == SchemaTypes.Integer),
            SchemaTypes.String => StringFor(shape),
            _ => null,
        };
    }

    private State Build(SchemaShape shape)
    {
        var nfa = new Nfa();
        int start = nfa.NewState(), end = nfa.NewState();
        if (shape.Values is { } values)
        {
            foreach (var value in values)
                if (_validator.IsValid(value, shape.Nodes)) Value(nfa, start, value, end);
            return nfa.ToStates(start, end);
        }
        var types = shape.Types;
        if ((types & SchemaTypes.Null) != 0) nfa.Call(start, JsonRules.Null, end);
        if ((types & SchemaTypes.Boolean) != 0) nfa.Call(start, JsonRules.Boolean, end);
        if ((types & SchemaTypes.Number) != 0) nfa.Call(start, NumberFor(shape, (types & SchemaTypes.Fraction) == 0), end);
        if ((types & SchemaTypes.String) != 0) nfa.Call(start, StringFor(shape), end);
        if ((types & SchemaTypes.Array) != 0) Array(nfa, start, shape, end);
        if ((types & SchemaTypes.Object) != 0) Object(nfa, start, shape, end);
        return nfa.ToStates(start, end);
    }

    private static Rule NumberFor(SchemaShape shape, bool integer)
    {
        var (lo, hi) = shape.Bounds;
        var multiple = shape.Multiple;
        if (lo > hi) return new Rule("nothing") { Start = new State() };
        return NumberRule.Of(integer, lo, hi, multiple)
            ?? throw shape.Nodes.First(n => n.Has("multipleOf")).Refuse("multipleOf", "cannot be enforced: the number is too large to count by");
    }

    private static Rule StringFor(SchemaShape shape)
    {
        var (min, max) = shape.Length;
        if (!shape.HasAny("pattern", "format") || shape.Text is null)
        {
            if (min > max) return new Rule("nothing") { Start = new State() };
            return min == 0 && max == StringStates.Unbounded ? JsonRules.AnyString : JsonRules.String(min, max);
        }
        if (min > MaxCounted || (max > MaxCounted && max != StringStates.Unbounded))
            throw shape.Nodes[0].Refuse(min > MaxCounted ? "minLength" : "maxLength", "cannot be enforced beside a pattern: the number is too large");
        // The same formats and patterns come again and again, in one schema and in others; what their states know of a vocabulary is shared.
        var key = string.Join('\n', shape.Nodes.Where(n => n.Has("pattern")).Select(n => n.Schema.GetProperty("pattern").ToString())
            .Concat(shape.Nodes.Where(n => n.Has("format")).Select(n => "\0" + n.Schema.GetProperty("format").ToString())).Append($"\0{min},{max}"));
        if (Strings.TryGetValue(key, out var known)) return known;
        var strings = shape.Strings!;
        var rule = StringRule.Of("string", strings);
        if (Strings.Count < MaxStrings && strings.States.Count <= MaxKeptStates) Strings.TryAdd(key, rule);
        return rule;
    }

    private static void Value(Nfa nfa, int from, JsonElement value, int to)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                nfa.Epsilon(nfa.Literal(from, SchemaShape.Quote(value.GetString()!)), to);
                break;
            case JsonValueKind.Number:
                nfa.Epsilon(nfa.Literal(from, value.GetRawText()), to);
                nfa.Epsilon(nfa.Literal(from, NumberRule.Plain(value.GetDouble())), to);
                break;
            case JsonValueKind.Array or JsonValueKind.Object:
                var isObject = value.ValueKind == JsonValueKind.Object;
                var at = nfa.Literal(from, isObject ? "{" : "[");
                var members = isObject ? value.EnumerateObject().Select(m => (m.Name, m.Value)).ToList() : [.. value.EnumerateArray().Select(v => ("", v))];
                for (var i = 0; i < members.Count; i++)
                {
                    at = nfa.Call(i == 0 ? at : nfa.Literal(at, ","), JsonRules.Space);
                    if (isObject) at = nfa.Call(nfa.Literal(at, SchemaShape.Quote(members[i].Item1) + ":"), JsonRules.Space);
                    var next = nfa.NewState();
                    Value(nfa, at, members[i].Item2, next);
                    at = next;
                }
                nfa.Epsilon(nfa.Literal(nfa.Call(at, JsonRules.Space), isObject ? "}" : "]"), to);
                break;
            default:
                nfa.Epsilon(nfa.Literal(from, value.GetRawText()), to);
                break;
        }
    }

    private void Array(Nfa nfa, int start, SchemaShape shape, int end)
    {
        var (min, max) = shape.ItemCount;
        if (min > max) return;
        if (shape.Nodes.All(n => !n.Has("items") && !n.Has("prefixItems")) && min == 0 && max == int.MaxValue)
        {
            nfa.Call(start, JsonRules.AnyArray, end);
            return;
        }
        var counted = Math.Max(shape.PrefixLength, max == int.MaxValue ? min : max);
        if (counted > MaxCounted) throw Holder(shape, max == int.MaxValue ? "minItems" : "maxItems").Refuse(max == int.MaxValue ? "minItems" : "maxItems", "cannot be enforced: the number is too large");
        var opened = nfa.Call(nfa.Literal(start, "["), JsonRules.Space);
        if (min == 0) nfa.Epsilon(nfa.Literal(opened, "]"), end);
        var item = opened;
        for (var i = 0; i < max; i++)
        {
            var loops = i >= counted;
            if (i == 0 && loops)
            {
                // The loop comes back to a place from which the array cannot close.
                item = nfa.NewState();
                nfa.Epsilon(opened, item);
            }
            var behind = nfa.Call(item, RuleFor(shape.Item(i)));
            if (i + 1 >= min) nfa.Epsilon(nfa.Literal(nfa.Call(behind, JsonRules.Space), "]"), end);
            if (i + 1 == max) break;
            var next = nfa.Call(nfa.Literal(behind, ","), JsonRules.Space);
            if (loops)
            {
                nfa.Epsilon(next, item);
                break;
            }
            item = next;
        }
    }

    private static SchemaNode Holder(SchemaShape shape, string keyword) => shape.Nodes.First(n => n.Has(keyword));

    private void Object(Nfa nfa, int start, SchemaShape shape, int end)
    {
        if (!shape.HasAny("properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties"))
        {
            nfa.Call(start, JsonRules.AnyObject, end);
            return;
        }
        new ObjectBuilder(nfa, shape, end, RuleFor, Names(shape)).Build(start);
    }

    /// <summary>What <c>propertyNames</c> leaves of all names; null for all.</summary>
    private Dfa? Names(SchemaShape shape)
    {
        if (shape.NameSchemas is not { Count: > 0 } schemas) return null;
        if (_reader.Alternatives(schemas) is not [{ } only])
            throw Holder(shape, "propertyNames").Refuse("propertyNames", "cannot be enforced: it has alternatives");
        var names = new SchemaShape(only);
        if ((names.Types & SchemaTypes.String) == 0) return new Dfa();
        var strings = names.Strings;
        if (names.Values is not { } values) return strings;
        return Dfa.Of(new Expression.Choice(
            [.. values.Where(v => v.ValueKind == JsonValueKind.String && _validator.IsValid(v, only)).Select(v => Expression.Text(v.GetString()!))]));
    }
}
