using System.Text.Json;

namespace QwenServe.Text.Grammar;

/// <summary>
/// Reads subschemas down to conjunctions of plain keywords: follows references, takes <c>allOf</c> apart and multiplies <c>anyOf</c> and
/// <c>oneOf</c> out. Refuses every keyword that it does not know to be enforced elsewhere or to say nothing about instances.
/// </summary>
internal sealed class SchemaReader(JsonElement root)
{
    private const int MaxAlternatives = 1_000;

    private static readonly HashSet<string> Annotations = new(StringComparer.Ordinal)
    {
        "title", "description", "default", "example", "examples", "$schema", "$id", "id", "$anchor", "$comment", "deprecated", "readOnly", "writeOnly", "$defs",
        "definitions", "$vocabulary", "contentMediaType", "contentEncoding", "contentSchema", "strict", "name", "discriminator", "externalDocs", "xml",
    };

    private static readonly HashSet<string> Assertions = new(StringComparer.Ordinal)
    {
        "type", "nullable", "enum", "const", "properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties",
        "maxProperties", "items", "prefixItems", "additionalItems", "minItems", "maxItems", "minLength", "maxLength", "pattern", "format", "minimum",
        "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    };

    /// <summary>Set once the compiler can tell whether two conjunctions have an instance in common.</summary>
    public Func<IReadOnlyList<SchemaNode>, IReadOnlyList<SchemaNode>, bool>? AreDisjoint { get; set; }

    /// <summary>The alternatives that an instance must meet one of: each a list of subschemas without references and combinators.</summary>
    public List<List<SchemaNode>> Alternatives(IReadOnlyList<SchemaNode> nodes) => Alternatives(nodes, []);

    private List<List<SchemaNode>> Alternatives(IReadOnlyList<SchemaNode> nodes, HashSet<string> entered)
    {
        var plain = new List<SchemaNode>();
        var choices = new List<List<List<SchemaNode>>>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var work = new Queue<SchemaNode>(nodes);
        while (work.TryDequeue(out var node))
        {
            if (!seen.Add(node.Path)) continue;
            if (entered.Contains(node.Path)) throw new GrammarException("$ref", node.Path, "refers to itself without anything between");
            if (node.Schema.ValueKind == JsonValueKind.True) continue;
            if (node.Schema.ValueKind == JsonValueKind.False) return [];
            if (node.Schema.ValueKind != JsonValueKind.Object) throw new GrammarException("schema", node.Path, "is neither an object nor a boolean");
            var asserts = false;
            foreach (var property in node.Schema.EnumerateObject())
            {
                var value = property.Value;
                switch (property.Name)
                {
                    case "$ref":
                        work.Enqueue(Resolve(node, value));
                        break;
                    case "allOf":
                        var all = Array(node, property.Name, value);
                        for (var i = 0; i < all.Length; i++) work.Enqueue(node.Child("allOf", i, all[i]));
                        break;
                    case "anyOf" or "oneOf":
                        choices.Add(Choice(node, property.Name, value, [.. entered, .. seen]));
                        break;
                    case "uniqueItems" when value.ValueKind == JsonValueKind.False:
                        break;
                    case "unevaluatedProperties" or "unevaluatedItems" when value.ValueKind == JsonValueKind.True:
                        break;
                    default:
                        if (Assertions.Contains(property.Name)) asserts = true;
                        else if (!Annotations.Contains(property.Name) && !property.Name.StartsWith("x-", StringComparison.Ordinal))
                            throw node.Refuse(property.Name, "cannot be enforced");
                        break;
                }
            }
            if (asserts) plain.Add(node);
        }
        var result = new List<List<SchemaNode>> { plain };
        foreach (var choice in choices)
        {
            result = [.. result.SelectMany(left => choice.Select(right => (List<SchemaNode>)[.. left, .. right]))];
            if (result.Count > MaxAlternatives) throw new GrammarException("The schema is too large: its anyOf and oneOf have too many combinations.");
        }
        return result;
    }

    private List<List<SchemaNode>> Choice(SchemaNode node, string keyword, JsonElement value, HashSet<string> entered)
    {
        var options = Array(node, keyword, value).Select((s, i) => node.Child(keyword, i, s)).ToList();
        if (keyword == "oneOf")
        {
            for (var i = 0; i < options.Count; i++)
            {
                for (var k = i + 1; k < options.Count; k++)
                {
                    if (!AreDisjoint!([options[i]], [options[k]]))
                        throw node.Refuse(keyword, $"cannot be enforced: its branches {i} and {k} may both match");
                }
            }
        }
        return [.. options.SelectMany(option => Alternatives([option], entered))];
    }

    private static JsonElement[] Array(SchemaNode node, string keyword, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0) throw node.Refuse(keyword, "is not a list of schemas");
        return [.. value.EnumerateArray()];
    }

    private SchemaNode Resolve(SchemaNode node, JsonElement reference)
    {
        if (reference.ValueKind != JsonValueKind.String) throw node.Refuse("$ref", "is not a string");
        var text = reference.GetString()!;
        if (text is not ['#', ..]) throw node.Refuse("$ref", $"cannot be followed: '{text}' is outside of the schema");
        var pointer = Uri.UnescapeDataString(text[1..]);
        if (pointer.Length > 0 && pointer[0] != '/')
        {
            foreach (var holder in (ReadOnlySpan<string>)["$defs", "definitions"])
            {
                if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty(holder, out var definitions)) continue;
                foreach (var definition in definitions.EnumerateObject())
                {
                    var found = new SchemaNode(definition.Value, $"#/{holder}/{definition.Name}");
                    if (found.TryGet("$anchor", out var anchor) && anchor.ValueKind == JsonValueKind.String && anchor.ValueEquals(pointer)) return found;
                }
            }
            throw node.Refuse("$ref", $"cannot be followed: there is no '{text}'");
        }
        var at = root;
        foreach (var part in pointer.Split('/').Skip(1))
        {
            var name = part.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            var found = at.ValueKind switch
            {
                JsonValueKind.Object => at.TryGetProperty(name, out at),
                JsonValueKind.Array => int.TryParse(name, out var index) && index >= 0 && index < at.GetArrayLength() && Set(out at, at[index]),
                _ => false,
            };
            if (!found) throw node.Refuse("$ref", $"cannot be followed: there is no '{text}'");
        }
        return new SchemaNode(at, "#" + pointer);

        static bool Set(out JsonElement target, JsonElement value)
        {
            target = value;
            return true;
        }
    }
}
