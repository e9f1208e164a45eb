using System.Text.Json;

namespace QwenServe.OpenAI.Responses;

/// <summary>What a response repeats of its request. The JSON texts are on one line.</summary>
internal sealed record ResponseParameters
{
    public string? Instructions { get; init; }

    public int? MaxOutputTokens { get; init; }

    public int? MaxToolCalls { get; init; }

    public bool ParallelToolCalls { get; init; } = true;

    public string? PreviousResponseId { get; init; }

    public string? PromptCacheKey { get; init; }

    public string? ReasoningEffort { get; init; }

    public string? ReasoningSummary { get; init; }

    public string? SafetyIdentifier { get; init; }

    /// <summary>Whether it is kept.</summary>
    public bool Store { get; init; }

    public float Temperature { get; init; }

    public float TopP { get; init; }

    public int TopLogProbs { get; init; }

    public string Truncation { get; init; } = "disabled";

    public string? User { get; init; }

    public string? Verbosity { get; init; }

    /// <summary>JSON of <c>text.format</c>.</summary>
    public string Format { get; init; } = "{\"type\":\"text\"}";

    /// <summary>JSON of <c>tools</c>.</summary>
    public string Tools { get; init; } = "[]";

    /// <summary>JSON of <c>tool_choice</c>.</summary>
    public string ToolChoice { get; init; } = "\"auto\"";

    /// <summary>JSON of <c>metadata</c>.</summary>
    public string Metadata { get; init; } = "{}";
}
