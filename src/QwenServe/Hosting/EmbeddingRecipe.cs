using System.Text.Json;
using QwenServe.Engine;
using QwenServe.Text.Tokenization;

namespace QwenServe.Hosting;

/// <summary>
/// How a checkpoint makes an embedding of a text, beyond its weights: what sentence-transformers keeps in <c>modules.json</c> and
/// <c>1_Pooling/config.json</c>, and whether its tokenizer ends each text with a token (<c>add_eos_token</c>). Without these files it is the last
/// token's hidden state, as for all decoder models.
/// </summary>
internal sealed record EmbeddingRecipe
{
    public Pooling Pooling { get; init; } = Pooling.Last;

    /// <summary>Put after each text; null: nothing.</summary>
    public int? EndToken { get; init; }

    /// <summary>Why the checkpoint's embeddings are not served, or null.</summary>
    public string? Unserved { get; init; }

    /// <param name="directory">The checkpoint.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="pooling">auto, last or mean.</param>
    /// <exception cref="StartupException">A file is not JSON.</exception>
    public static EmbeddingRecipe Load(string directory, Tokenizer tokenizer, string pooling)
    {
        var recipe = new EmbeddingRecipe { EndToken = FindEndToken(directory, tokenizer) };
        if (pooling != "auto") return recipe with { Pooling = pooling == "mean" ? Pooling.Mean : Pooling.Last };
        if (Read(Path.Combine(directory, "modules.json")) is { ValueKind: JsonValueKind.Array } modules)
        {
            foreach (var module in modules.EnumerateArray())
            {
                string type = module.ValueKind == JsonValueKind.Object && module.TryGetProperty("type", out var t) && t.ValueKind == JsonValueKind.String ? t.GetString()!.Split('.')[^1] : "";
                if (type is not ("Transformer" or "Pooling" or "Normalize")) return recipe with { Unserved = $"its modules.json has a {type} layer, which is not served" };
            }
        }
        if (Read(Path.Combine(directory, "1_Pooling", "config.json")) is not { ValueKind: JsonValueKind.Object } modes) return recipe;
        string[] on = [.. modes.EnumerateObject().Where(p => p.Name.StartsWith("pooling_mode_", StringComparison.Ordinal) && p.Value.ValueKind == JsonValueKind.True).Select(p => p.Name)];
        // Newer files say it in one word.
        if (modes.TryGetProperty("pooling_mode", out var mode) && mode.ValueKind == JsonValueKind.String) on = ["pooling_mode_" + mode.GetString()];
        return on switch
        {
            [] or ["pooling_mode_lasttoken"] => recipe,
            ["pooling_mode_mean_tokens" or "pooling_mode_mean"] => recipe with { Pooling = Pooling.Mean },
            _ => recipe with { Unserved = $"its pooling ({string.Join(", ", on)}) is not served; --pooling-type takes last and mean" },
        };
    }

    private static int? FindEndToken(string directory, Tokenizer tokenizer)
    {
        if (Read(Path.Combine(directory, "tokenizer_config.json")) is not { ValueKind: JsonValueKind.Object } config) return null;
        if (!config.TryGetProperty("add_eos_token", out var adds) || adds.ValueKind != JsonValueKind.True || !config.TryGetProperty("eos_token", out var token)) return null;
        // A name, or an added token's whole description.
        if (token.ValueKind == JsonValueKind.Object && token.TryGetProperty("content", out var content)) token = content;
        return token.ValueKind == JsonValueKind.String ? tokenizer.FindAddedToken(token.GetString()!) : null;
    }

    private static JsonElement? Read(string path)
    {
        if (!File.Exists(path)) return null;
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new StartupException($"{path}: not valid JSON ({e.Message})", e);
        }
    }
}
