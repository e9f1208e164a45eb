using System.Text.Json;

namespace QwenServe.Text.Grammar;

/// <summary>A subschema and where it stands (<c>#/properties/name</c>).</summary>
internal readonly record struct SchemaNode(JsonElement Schema, string Path)
{
    public bool Has(string keyword) => Schema.ValueKind == JsonValueKind.Object && Schema.TryGetProperty(keyword, out _);

    public bool TryGet(string keyword, out JsonElement value)
    {
        value = default;
        return Schema.ValueKind == JsonValueKind.Object && Schema.TryGetProperty(keyword, out value);
    }

    public SchemaNode Child(string keyword, JsonElement schema) => new(schema, $"{Path}/{Escape(keyword)}");

    public SchemaNode Child(string keyword, string name, JsonElement schema) => new(schema, $"{Path}/{Escape(keyword)}/{Escape(name)}");

    public SchemaNode Child(string keyword, int index, JsonElement schema) => new(schema, $"{Path}/{Escape(keyword)}/{index}");

    public GrammarException Refuse(string keyword, string reason) => new(keyword, Path, reason);

    private static string Escape(string name) => name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal);
}
