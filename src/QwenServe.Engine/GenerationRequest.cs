using System.Diagnostics;

namespace QwenServe.Engine;

/// <summary>A prompt to be continued, in token ids.</summary>
public sealed class GenerationRequest
{
    public required string Id { get; init; }

    /// <summary>At least one id of the vocabulary. Must not change afterwards.</summary>
    public required int[] Prompt { get; init; }

    public SamplingParameters Sampling { get; init; } = new();

    /// <summary>Independent continuations of the prompt, <c>n</c> on the wire; the prompt is computed once.</summary>
    public int Choices { get; init; } = 1;

    /// <summary>Tokens a choice may have; null: to the end of the context; 0: nothing is drawn (prompt log-probs).</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Requests share cached prefixes only with requests of the same salt.</summary>
    public string? CacheSalt { get; init; }

    /// <summary>null: none; k up to 20: log-probs of the prompt's tokens and of the k most probable at each place.</summary>
    public int? PromptLogProbs { get; init; }

    /// <summary>Hidden states of the prompt in place of a continuation; nothing is drawn, and choices and prompt log-probs are not available.</summary>
    public Pooling? Pooling { get; init; }

    /// <summary>Makes the mask of choice i; called by the submitting thread.</summary>
    public Func<int, ITokenMask>? MaskFactory { get; init; }

    /// <summary>Whose request it is; service is shared out fairly between tenants. Few values: the engine keeps account of each.</summary>
    public string Tenant { get; init; } = "";

    /// <summary>Lower is earlier; must be 0 unless the engine schedules by <see cref="SchedulingPolicy.Priority"/>.</summary>
    public int Priority { get; init; }

    /// <summary>When the request came, in <see cref="Stopwatch"/> ticks; times in the metrics count from here.</summary>
    public long ArrivalTimestamp { get; init; } = Stopwatch.GetTimestamp();

    /// <summary>Ends the request with <see cref="FinishReason.Timeout"/> this long after its arrival.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Whether it only makes the engine warm: metrics count nothing until the next request that does not.</summary>
    public bool WarmUp { get; init; }

    /// <summary>Tokens that it counts for in the queue.</summary>
    internal long Weight => (long)Prompt.Length * Choices;
}
