using System.Text.Json;

namespace QwenServe.Text.Grammar;

/// <summary>Whether a given value meets subschemas: chooses among the values of an <c>enum</c>.</summary>
internal sealed class SchemaValidator(SchemaReader reader)
{
    public bool IsValid(JsonElement value, IReadOnlyList<SchemaNode> nodes) =>
        nodes.Count == 0 || reader.Alternatives(nodes).Exists(alternative => IsValid(value, new SchemaShape(alternative)));

    public static bool AreEqual(JsonElement a, JsonElement b)
    {
        if (a.ValueKind != b.ValueKind) return false;
        switch (a.ValueKind)
        {
            case JsonValueKind.Number:
                return a.GetDouble().Equals(b.GetDouble());
            case JsonValueKind.String:
                return a.ValueEquals(b.GetString());
            case JsonValueKind.Array:
                return a.GetArrayLength() == b.GetArrayLength() && a.EnumerateArray().Zip(b.EnumerateArray()).All(p => AreEqual(p.First, p.Second));
            case JsonValueKind.Object:
                var members = a.EnumerateObject().ToDictionary(m => m.Name, m => m.Value, StringComparer.Ordinal);
                var others = b.EnumerateObject().ToDictionary(m => m.Name, m => m.Value, StringComparer.Ordinal);
                return members.Count == others.Count && members.All(m => others.TryGetValue(m.Key, out var other) && AreEqual(m.Value, other));
            default:
                return true;
        }
    }

    public static SchemaTypes TypeOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => SchemaTypes.Null,
        JsonValueKind.True or JsonValueKind.False => SchemaTypes.Boolean,
        JsonValueKind.Number => value.GetDouble() == Math.Floor(value.GetDouble()) ? SchemaTypes.Integer : SchemaTypes.Fraction,
        JsonValueKind.String => SchemaTypes.String,
        JsonValueKind.Array => SchemaTypes.Array,
        _ => SchemaTypes.Object,
    };

    private bool IsValid(JsonElement value, SchemaShape shape)
    {
        var type = TypeOf(value);
        if ((shape.Types & type) == 0) return false;
        foreach (var node in shape.Nodes)
        {
            if (node.TryGet("const", out var constant) && !AreEqual(value, constant)) return false;
            if (node.TryGet("enum", out var values) && !values.EnumerateArray().Any(v => AreEqual(v, value))) return false;
        }
        switch (type)
        {
            case SchemaTypes.String:
                var text = value.GetString()!;
                var length = text.EnumerateRunes().Count();
                var (min, max) = shape.Length;
                return length >= min && length <= max && shape.Text?.Matches(text) != false;
            case SchemaTypes.Integer or SchemaTypes.Fraction:
                var (lo, hi) = shape.Bounds;
                var number = value.GetDouble();
                return number >= lo && number <= hi && (type != SchemaTypes.Integer || number % shape.Multiple == 0);
            case SchemaTypes.Array:
                var (least, most) = shape.ItemCount;
                var count = value.GetArrayLength();
                return count >= least && count <= most && value.EnumerateArray().Select((v, i) => IsValid(v, shape.Item(i))).All(v => v);
            case SchemaTypes.Object:
                var (fewest, greatest) = shape.PropertyCount;
                var members = value.EnumerateObject().ToDictionary(m => m.Name, m => m.Value, StringComparer.Ordinal);
                return members.Count >= fewest && members.Count <= greatest && shape.Required.TrueForAll(members.ContainsKey)
                    && members.All(m => IsValid(m.Value, shape.Property(m.Key)))
                    && members.All(m => IsValid(JsonSerializer.SerializeToElement(m.Key, TextJson.Default.String), shape.NameSchemas));
            default:
                return true;
        }
    }
}
