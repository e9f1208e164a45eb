using System.Text;
using System.Text.Json;

namespace QwenServe.Text.Grammar;

/// <summary>
/// What a conjunction of subschemas without combinators says, keyword by keyword. Nothing is merged: each question asks every subschema, so
/// that any number of them come together as <c>allOf</c> means.
/// </summary>
internal sealed class SchemaShape(IReadOnlyList<SchemaNode> nodes)
{
    private readonly Dictionary<string, Dfa> _patterns = new(StringComparer.Ordinal);

    public IReadOnlyList<SchemaNode> Nodes => nodes;

    public SchemaTypes Types
    {
        get
        {
            var types = SchemaTypes.All;
            foreach (var node in nodes)
            {
                if (!node.TryGet("type", out var value)) continue;
                var named = value.ValueKind == JsonValueKind.Array
                    ? value.EnumerateArray().Aggregate(SchemaTypes.None, (t, v) => t | Type(node, v))
                    : Type(node, value);
                if (node.TryGet("nullable", out var nullable) && nullable.ValueKind == JsonValueKind.True) named |= SchemaTypes.Null;
                types &= named;
            }
            if ((types & SchemaTypes.Fraction) != 0 && nodes.Any(n => n.Has("multipleOf"))) types &= ~SchemaTypes.Fraction;
            return types;
        }
    }

    /// <summary>The values of the first <c>enum</c> or <c>const</c>, or null.</summary>
    public List<JsonElement>? Values
    {
        get
        {
            foreach (var node in nodes)
            {
                if (node.TryGet("const", out var value)) return [value];
                if (!node.TryGet("enum", out var values)) continue;
                if (values.ValueKind != JsonValueKind.Array) throw node.Refuse("enum", "is not a list");
                return [.. values.EnumerateArray()];
            }
            return null;
        }
    }

    public bool HasAny(params ReadOnlySpan<string> keywords)
    {
        foreach (var node in nodes)
            foreach (var keyword in keywords)
                if (node.Has(keyword)) return true;
        return false;
    }

    // Strings

    /// <summary>The least and greatest number of code points.</summary>
    public (int Min, int Max) Length => (Greatest("minLength"), Least("maxLength"));

    /// <summary>What patterns and formats leave of all strings; null when there are none.</summary>
    public Dfa? Text
    {
        get
        {
            Dfa? text = null;
            foreach (var node in nodes)
            {
                if (node.TryGet("pattern", out var pattern)) Narrow(Pattern(node, "pattern", pattern.ToString()));
                if (!node.TryGet("format", out var format)) continue;
                var name = format.ToString();
                if (name is "password" or "binary" or "int32" or "int64" or "float" or "double") continue;
                Narrow(StringFormats.Find(name) ?? throw node.Refuse("format", $"cannot be enforced: '{name}' is unknown or not regular"));
            }
            return text;

            void Narrow(Dfa by) => text = text is null ? by : text.Intersect(by);
        }
    }

    /// <summary>All strings that are admitted; null for any.</summary>
    public Dfa? Strings
    {
        get
        {
            var text = Text;
            var (min, max) = Length;
            if (min == 0 && max == StringStates.Unbounded) return text;
            if (min > 20_000 || (max > 20_000 && max != StringStates.Unbounded)) return text;
            var length = Dfa.OfLength(min, max == StringStates.Unbounded ? null : max);
            return text is null ? length : text.Intersect(length);
        }
    }

    // Numbers

    public (double Lo, double Hi) Bounds
    {
        get
        {
            var (lo, hi) = (double.NegativeInfinity, double.PositiveInfinity);
            foreach (var node in nodes)
            {
                if (Number(node, "minimum") is { } a) lo = Math.Max(lo, a);
                if (Number(node, "exclusiveMinimum") is { } b) lo = Math.Max(lo, Math.BitIncrement(b));
                if (Number(node, "maximum") is { } c) hi = Math.Min(hi, c);
                if (Number(node, "exclusiveMaximum") is { } d) hi = Math.Min(hi, Math.BitDecrement(d));
                if (!node.TryGet("format", out var format)) continue;
                if (format.ValueEquals("int32")) (lo, hi) = (Math.Max(lo, int.MinValue), Math.Min(hi, int.MaxValue));
                if (format.ValueEquals("int64")) (lo, hi) = (Math.Max(lo, long.MinValue), Math.Min(hi, 9223372036854774784));
            }
            return (lo, hi);
        }
    }

    /// <summary>What integers must be a multiple of: 1 for anything.</summary>
    public long Multiple
    {
        get
        {
            long multiple = 1;
            foreach (var node in nodes)
            {
                if (Number(node, "multipleOf") is not { } m) continue;
                if (m <= 0) throw node.Refuse("multipleOf", "is not positive");
                if (m != Math.Floor(m) || m > 1e12) throw node.Refuse("multipleOf", "cannot be enforced: only integers can be counted");
                multiple = checked(multiple / Gcd(multiple, (long)m) * (long)m);
            }
            return multiple;
        }
    }

    // Arrays

    public (int Min, int Max) ItemCount
    {
        get
        {
            var max = Least("maxItems");
            foreach (var node in nodes)
            {
                // A place that nothing fits ends the array before it.
                var (prefix, rest) = Items(node);
                if (rest is { Schema.ValueKind: JsonValueKind.False }) max = Math.Min(max, prefix.Count);
            }
            return (Greatest("minItems"), max);
        }
    }

    /// <summary>How many places have subschemas of their own.</summary>
    public int PrefixLength => nodes.Count == 0 ? 0 : nodes.Max(n => Items(n).Prefix.Count);

    /// <summary>What the item at a place must meet.</summary>
    public List<SchemaNode> Item(int index)
    {
        var result = new List<SchemaNode>();
        foreach (var node in nodes)
        {
            var (prefix, rest) = Items(node);
            if (index < prefix.Count) result.Add(prefix[index]);
            else if (rest is { } r) result.Add(r);
        }
        return result;
    }

    // Objects

    /// <summary>Declared names in the order of their declaration, then required ones that are declared nowhere.</summary>
    public List<string> Names
    {
        get
        {
            var names = new List<string>();
            var seen = new HashSet<string>(StringComparer.Ordinal);
            foreach (var node in nodes)
            {
                if (!node.TryGet("properties", out var properties)) continue;
                if (properties.ValueKind != JsonValueKind.Object) throw node.Refuse("properties", "is not an object");
                foreach (var property in properties.EnumerateObject())
                    if (seen.Add(property.Name)) names.Add(property.Name);
            }
            foreach (var name in Required)
                if (seen.Add(name)) names.Add(name);
            return names;
        }
    }

    public List<string> Required
    {
        get
        {
            var names = new List<string>();
            foreach (var node in nodes)
            {
                if (!node.TryGet("required", out var required)) continue;
                if (required.ValueKind != JsonValueKind.Array) throw node.Refuse("required", "is not a list of names");
                names.AddRange(required.EnumerateArray().Select(r => r.ToString()));
            }
            return [.. names.Distinct(StringComparer.Ordinal)];
        }
    }

    public (int Min, int Max) PropertyCount => (Greatest("minProperties"), Least("maxProperties"));

    /// <summary>All patterns of <c>patternProperties</c>.</summary>
    public List<string> NamePatterns =>
        [.. nodes.SelectMany(n => Members(n, "patternProperties")).Select(p => p.Name).Distinct(StringComparer.Ordinal)];

    /// <summary>What <c>propertyNames</c> asks of names.</summary>
    public List<SchemaNode> NameSchemas =>
        [.. nodes.Where(n => n.Has("propertyNames")).Select(n => n.Child("propertyNames", n.Schema.GetProperty("propertyNames")))];

    /// <summary>What the value of a declared property must meet.</summary>
    public List<SchemaNode> Property(string name) => Property(name, (node, pattern) => Pattern(node, "patternProperties", pattern).Matches(name));

    /// <summary>What the value of an undeclared property must meet whose name matches just these patterns.</summary>
    public List<SchemaNode> Undeclared(HashSet<string> patterns) => Property(null, (_, pattern) => patterns.Contains(pattern));

    public Dfa Pattern(SchemaNode node, string keyword, string pattern)
    {
        if (_patterns.TryGetValue(pattern, out var known)) return known;
        try
        {
            return _patterns[pattern] = Dfa.Of(RegexParser.ParseSearch(pattern));
        }
        catch (GrammarException e)
        {
            throw node.Refuse(keyword, $"cannot be enforced: {e.Message}");
        }
    }

    public Dfa NamePattern(string pattern) =>
        Pattern(nodes.First(n => Members(n, "patternProperties").Any(p => p.Name == pattern)), "patternProperties", pattern);

    private List<SchemaNode> Property(string? name, Func<SchemaNode, string, bool> matches)
    {
        var result = new List<SchemaNode>();
        foreach (var node in nodes)
        {
            var covered = false;
            if (name is not null && node.TryGet("properties", out var properties) && properties.TryGetProperty(name, out var declared))
            {
                covered = true;
                result.Add(node.Child("properties", name, declared));
            }
            foreach (var pattern in Members(node, "patternProperties"))
            {
                if (!matches(node, pattern.Name)) continue;
                covered = true;
                result.Add(node.Child("patternProperties", pattern.Name, pattern.Value));
            }
            if (!covered && node.TryGet("additionalProperties", out var additional)) result.Add(node.Child("additionalProperties", additional));
        }
        return result;
    }

    private static JsonElement.ObjectEnumerator Members(SchemaNode node, string keyword)
    {
        if (!node.TryGet(keyword, out var value)) return default;
        return value.ValueKind == JsonValueKind.Object ? value.EnumerateObject() : throw node.Refuse(keyword, "is not an object");
    }

    private static (List<SchemaNode> Prefix, SchemaNode? Others) Items(SchemaNode node)
    {
        var prefix = new List<SchemaNode>();
        SchemaNode? rest = null;
        if (node.TryGet("prefixItems", out var places)) Add("prefixItems", places);
        if (node.TryGet("items", out var items))
        {
            // Before draft 2020-12 the list stood under "items" and the rest under "additionalItems".
            if (items.ValueKind == JsonValueKind.Array)
            {
                Add("items", items);
                if (node.TryGet("additionalItems", out var additional)) rest = node.Child("additionalItems", additional);
            }
            else rest = node.Child("items", items);
        }
        return (prefix, rest);

        void Add(string keyword, JsonElement list)
        {
            if (list.ValueKind != JsonValueKind.Array) throw node.Refuse(keyword, "is not a list");
            var i = 0;
            foreach (var item in list.EnumerateArray()) prefix.Add(node.Child(keyword, i++, item));
        }
    }

    private static SchemaTypes Type(SchemaNode node, JsonElement name) => name.ValueKind != JsonValueKind.String
        ? throw node.Refuse("type", "is not a type's name")
        : name.GetString() switch
        {
            "null" => SchemaTypes.Null,
            "boolean" => SchemaTypes.Boolean,
            "integer" => SchemaTypes.Integer,
            "number" => SchemaTypes.Number,
            "string" => SchemaTypes.String,
            "array" => SchemaTypes.Array,
            "object" => SchemaTypes.Object,
            var other => throw node.Refuse("type", $"is unknown: '{other}'"),
        };

    private int Greatest(string keyword) => nodes.Aggregate(0, (most, n) => Math.Max(most, Count(n, keyword) ?? 0));

    private int Least(string keyword) => nodes.Aggregate(int.MaxValue, (least, n) => Math.Min(least, Count(n, keyword) ?? int.MaxValue));

    private static int? Count(SchemaNode node, string keyword)
    {
        if (Number(node, keyword) is not { } value) return null;
        if (value < 0 || value != Math.Floor(value)) throw node.Refuse(keyword, "is not a count");
        return value >= int.MaxValue ? int.MaxValue : (int)value;
    }

    private static double? Number(SchemaNode node, string keyword)
    {
        if (!node.TryGet(keyword, out var value)) return null;
        return value.ValueKind == JsonValueKind.Number ? value.GetDouble() : throw node.Refuse(keyword, "is not a number");
    }

    private static long Gcd(long a, long b) => b == 0 ? a : Gcd(b, a % b);

    /// <summary>A text as <c>JSON.stringify</c> writes it.</summary>
    public static string Quote(string text)
    {
        var result = new StringBuilder("\"");
        foreach (var c in text)
        {
            result.Append(c switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\b' => "\\b",
                '\t' => "\\t",
                '\n' => "\\n",
                '\f' => "\\f",
                '\r' => "\\r",
                < ' ' => $"\\u{(int)c:x4}",
                _ => c.ToString(),
            });
        }
        return result.Append('"').ToString();
    }
}
