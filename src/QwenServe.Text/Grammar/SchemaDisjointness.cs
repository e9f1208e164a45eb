using System.Text.Json;

namespace QwenServe.Text.Grammar;

/// <summary>
/// Whether two conjunctions have provably no instance in common: what makes <c>oneOf</c> the same as <c>anyOf</c>. Says no wherever it
/// cannot tell.
/// </summary>
internal sealed class SchemaDisjointness(SchemaReader reader, SchemaValidator validator)
{
    private const int MaxDepth = 4;

    public bool AreDisjoint(IReadOnlyList<SchemaNode> a, IReadOnlyList<SchemaNode> b) => AreDisjoint(a, b, 0);

    private bool AreDisjoint(IReadOnlyList<SchemaNode> a, IReadOnlyList<SchemaNode> b, int depth)
    {
        if (depth > MaxDepth) return false;
        var left = reader.Alternatives(a);
        var right = reader.Alternatives(b);
        return left.TrueForAll(x => right.TrueForAll(y => ShapesAreDisjoint(x, y, depth)));
    }

    private bool ShapesAreDisjoint(List<SchemaNode> a, List<SchemaNode> b, int depth)
    {
        SchemaShape x = new(a), y = new(b);
        if (x.Values is { } values && values.TrueForAll(v => !validator.IsValid(v, a) || !validator.IsValid(v, b))) return true;
        if (y.Values is { } others && others.TrueForAll(v => !validator.IsValid(v, b) || !validator.IsValid(v, a))) return true;
        SchemaShape both = new([.. a, .. b]);
        var types = both.Types;
        foreach (var type in Enum.GetValues<SchemaTypes>())
        {
            if ((types & type) == 0 || (type & (type - 1)) != 0) continue;
            var disjoint = type switch
            {
                SchemaTypes.String => both.Strings is { IsEmpty: true },
                SchemaTypes.Integer or SchemaTypes.Fraction => both.Bounds.Lo > both.Bounds.Hi,
                SchemaTypes.Array => ArraysAreDisjoint(x, y, both, depth),
                SchemaTypes.Object => ObjectsAreDisjoint(x, y, both, depth),
                _ => false,
            };
            if (!disjoint) return false;
        }
        return true;
    }

    private bool ArraysAreDisjoint(SchemaShape x, SchemaShape y, SchemaShape both, int depth)
    {
        var (min, max) = both.ItemCount;
        if (min > max) return true;
        for (var i = 0; i < Math.Min(min, Math.Max(1, both.PrefixLength)); i++)
            if (AreDisjoint(x.Item(i), y.Item(i), depth + 1)) return true;
        return false;
    }

    private bool ObjectsAreDisjoint(SchemaShape x, SchemaShape y, SchemaShape both, int depth)
    {
        var (min, max) = both.PropertyCount;
        if (min > max || both.Required.Count > max) return true;
        foreach (var name in both.Required)
        {
            var left = x.Property(name);
            var right = y.Property(name);
            if (Forbids(left) || Forbids(right) || AreDisjoint(left, right, depth + 1)) return true;
        }
        return false;
    }

    private static bool Forbids(List<SchemaNode> nodes) => nodes.Exists(n => n.Schema.ValueKind == JsonValueKind.False);
}
