namespace QwenServe.Hub;

/// <summary>Which files of a repository serve a model: configuration, tokenizer, template, and safetensors weights; no pickles, no other formats.</summary>
internal static class ModelFiles
{
    public const string Index = "model.safetensors.index.json";

    private static readonly string[] Small =
    [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt",
        "added_tokens.json", "special_tokens_map.json", "chat_template.jinja", "chat_template.json",
        "modules.json", "1_Pooling/config.json",
    ];

    /// <exception cref="Hosting.StartupException">The repository has no model of a kind that is served.</exception>
    public static IReadOnlyList<string> Select(string repository, IEnumerable<string> all)
    {
        var files = all.ToHashSet(StringComparer.Ordinal);
        if (!files.Contains("config.json")) throw new Hosting.StartupException($"{repository}: no config.json in the repository; is it a model?");
        var chosen = Small.Where(files.Contains).ToList();
        var shards = files.Where(IsWeights).Order(StringComparer.Ordinal).ToList();
        if (files.Contains(Index))
        {
            chosen.Add(Index);
            chosen.AddRange(shards.Where(s => s != "model.safetensors"));
        }
        else if (files.Contains("model.safetensors")) chosen.Add("model.safetensors");
        else
        {
            string others = files.Any(f => f.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)) ? "GGUF"
                : files.Any(f => f.EndsWith(".bin", StringComparison.OrdinalIgnoreCase)) ? "PyTorch .bin" : "no";
            throw new Hosting.StartupException($"{repository}: no safetensors weights in the repository (it has {others} weights); choose one with model.safetensors");
        }
        return chosen;
    }

    /// <summary>Whether a folder has all it takes, so that nothing needs to be asked of the hub.</summary>
    public static bool IsComplete(string folder)
    {
        if (!File.Exists(Path.Combine(folder, "config.json"))) return false;
        if (!File.Exists(Path.Combine(folder, "tokenizer.json")) && !File.Exists(Path.Combine(folder, "vocab.json"))) return false;
        string index = Path.Combine(folder, Index);
        if (!File.Exists(index)) return File.Exists(Path.Combine(folder, "model.safetensors"));
        try
        {
            using var document = System.Text.Json.JsonDocument.Parse(File.ReadAllBytes(index));
            return document.RootElement.GetProperty("weight_map").EnumerateObject()
                .Select(p => p.Value.GetString()!).Distinct().All(shard => File.Exists(Path.Combine(folder, shard)));
        }
        catch (Exception e) when (e is System.Text.Json.JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>A plain file name in the root of the repository, so that a hostile list cannot write elsewhere.</summary>
    private static bool IsWeights(string name)
        => name.StartsWith("model", StringComparison.Ordinal) && name.EndsWith(".safetensors", StringComparison.Ordinal)
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');
}
