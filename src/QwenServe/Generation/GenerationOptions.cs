using QwenServe.Engine;
using QwenServe.Text.Grammar;

namespace QwenServe.Generation;

/// <summary>How a prompt is to be continued, whatever endpoint asked.</summary>
internal sealed record GenerationOptions
{
    public SamplingParameters Sampling { get; init; } = new();

    /// <summary>Continuations of each prompt.</summary>
    public int Choices { get; init; } = 1;

    /// <summary>What the request asks for, which must fit the context; null: it leaves it open.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>For a request that leaves it open, as far as the context goes; null: to its end.</summary>
    public int? DefaultMaxTokens { get; init; }

    public IReadOnlyList<string> Stop { get; init; } = [];

    public bool IncludeStop { get; init; }

    public bool SkipSpecialTokens { get; init; } = true;

    /// <summary>What the output is held to; null: any text.</summary>
    public Grammar? Grammar { get; init; }

    public string? CacheSalt { get; init; }

    /// <summary>Lower is earlier.</summary>
    public int Priority { get; init; }

    /// <summary>How long the request may take, from its arrival; null: as long as the server allows.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Null: none; otherwise how many of the most probable tokens at each place of the prompt.</summary>
    public int? PromptLogProbs { get; init; }
}
