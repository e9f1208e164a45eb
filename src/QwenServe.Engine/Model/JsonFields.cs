using System.Text.Json;

namespace QwenServe.Engine.Model;

/// <summary>Reads fields of a checkpoint's JSON file; absent and null are the same, anything of another kind is an error that names file and field.</summary>
internal readonly struct JsonFields(JsonElement element, string file)
{
    public static JsonFields Load(string path)
    {
        try
        {
            using var document = JsonDocument.Parse(System.IO.File.ReadAllBytes(path), new JsonDocumentOptions { MaxDepth = 32 });
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new CheckpointException($"{path}: not a JSON object");
            return new JsonFields(document.RootElement.Clone(), path);
        }
        catch (JsonException e)
        {
            throw new CheckpointException($"{path}: not valid JSON ({e.Message})", e);
        }
        catch (IOException e)
        {
            throw new CheckpointException($"{path}: cannot be read ({e.Message})", e);
        }
    }

    public string File => file;

    public bool Has(string name) => Find(name) is not null;

    public JsonFields? Object(string name)
        => Find(name) is { } e ? e.ValueKind == JsonValueKind.Object ? new JsonFields(e, file) : throw Wrong(name, "an object") : null;

    public string? String(string name)
        => Find(name) is { } e ? e.ValueKind == JsonValueKind.String ? e.GetString() : throw Wrong(name, "a string") : null;

    public bool? Bool(string name) => Find(name) is { } e
        ? e.ValueKind switch { JsonValueKind.True => true, JsonValueKind.False => false, _ => throw Wrong(name, "true or false") }
        : null;

    public double? Number(string name)
        => Find(name) is { } e ? e.ValueKind == JsonValueKind.Number ? e.GetDouble() : throw Wrong(name, "a number") : null;

    /// <summary>An integer; 32768.0, as some tools write it, counts as one.</summary>
    public int? Integer(string name)
    {
        if (Number(name) is not { } value) return null;
        if (value != Math.Floor(value) || Math.Abs(value) > int.MaxValue) throw Wrong(name, "an integer");
        return (int)value;
    }

    public int Required(string name)
    {
        int value = Integer(name) ?? throw new CheckpointException($"{file}: '{name}' is missing");
        return value > 0 ? value : throw new CheckpointException($"{file}: '{name}' is {value}, which must be positive");
    }

    /// <summary>An integer or a list of integers.</summary>
    public int[] IntegerList(string name)
    {
        if (Find(name) is not { } e) return [];
        if (e.ValueKind == JsonValueKind.Number) return [Integer(name)!.Value];
        if (e.ValueKind != JsonValueKind.Array) throw Wrong(name, "an integer or a list of integers");
        var field = this;
        return [.. e.EnumerateArray().Select(i => i.ValueKind == JsonValueKind.Number && i.TryGetInt32(out int value)
            ? value : throw field.Wrong(name, "an integer or a list of integers"))];
    }

    public string[] StringList(string name)
    {
        if (Find(name) is not { } e) return [];
        if (e.ValueKind != JsonValueKind.Array || e.EnumerateArray().Any(i => i.ValueKind != JsonValueKind.String)) throw Wrong(name, "a list of strings");
        return [.. e.EnumerateArray().Select(i => i.GetString()!)];
    }

    public Exception Wrong(string name, string expected) => new CheckpointException($"{file}: '{name}' must be {expected}");

    private JsonElement? Find(string name)
        => element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
