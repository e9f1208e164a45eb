namespace QwenServe.Generation;

/// <summary>Tokens of a request: prompts once each, completions over all choices.</summary>
internal readonly record struct Usage(int PromptTokens, int CompletionTokens, int CachedTokens, int ReasoningTokens)
{
    public static Usage Of(IEnumerable<TextGeneration> generations)
    {
        var sum = default(Usage);
        foreach (var g in generations)
            sum = new Usage(sum.PromptTokens + g.PromptTokens, sum.CompletionTokens + g.CompletionTokens, sum.CachedTokens + g.CachedTokens, sum.ReasoningTokens + g.ReasoningTokens);
        return sum;
    }
}
