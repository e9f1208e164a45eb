namespace QwenServe.Engine.Model;

/// <summary>
/// A checkpoint's <c>generation_config.json</c>: the sampling its authors recommend, and the full stop set, which config.json does not have.
/// A field that is absent is null.
/// </summary>
public sealed record GenerationConfig
{
    public float? Temperature { get; init; }

    public float? TopP { get; init; }

    public int? TopK { get; init; }

    public float? MinP { get; init; }

    public float? RepetitionPenalty { get; init; }

    public int? MaxNewTokens { get; init; }

    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>The directory's file, or an empty configuration where there is none.</summary>
    public static GenerationConfig Load(string directory)
    {
        string path = Path.Combine(directory, "generation_config.json");
        if (!File.Exists(path)) return new GenerationConfig();
        var fields = JsonFields.Load(path);
        // do_sample: false is transformers' spelling of temperature 0.
        bool greedy = fields.Bool("do_sample") == false && !fields.Has("temperature");
        return new GenerationConfig
        {
            Temperature = greedy ? 0 : (float?)fields.Number("temperature"),
            TopP = (float?)fields.Number("top_p"),
            TopK = fields.Integer("top_k"),
            MinP = (float?)fields.Number("min_p"),
            RepetitionPenalty = (float?)fields.Number("repetition_penalty"),
            MaxNewTokens = fields.Integer("max_new_tokens"),
            EosTokenIds = fields.IntegerList("eos_token_id"),
        };
    }
}
