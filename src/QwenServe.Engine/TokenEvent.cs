namespace QwenServe.Engine;

/// <summary>Why a choice ended.</summary>
public enum FinishReason : byte
{
    /// <summary>It goes on.</summary>
    None,

    /// <summary>At a stop id, which is the event's token, or by <see cref="GenerationStream.StopChoice"/>.</summary>
    Stop,

    /// <summary>At max_tokens or the end of the context.</summary>
    Length,

    /// <summary>By the reader.</summary>
    Abort,

    /// <summary>By a fault that <see cref="TokenEvent.Error"/> words.</summary>
    Error,

    /// <summary>By <see cref="GenerationRequest.Timeout"/>.</summary>
    Timeout,
}

/// <summary>An id and the natural log of its probability.</summary>
public readonly record struct TokenLogProb(int Token, float LogProb);

/// <summary>A prompt token with its log-prob and the most probable ids at its place.</summary>
public sealed record PromptLogProb(int Token, float LogProb, IReadOnlyList<TokenLogProb> Top);

/// <summary>What a step brought for one choice.</summary>
public readonly record struct TokenEvent
{
    public TokenEvent()
    {
    }

    /// <summary>0 .. n-1.</summary>
    public int Choice { get; init; }

    /// <summary>
    /// The drawn id, or -1 when the event brings none (prompt log-probs, abort, error). With <see cref="FinishReason.Stop"/> it is the stop id, if
    /// one was drawn: part of the token count but not of the text.
    /// </summary>
    public int Token { get; init; } = -1;

    /// <summary>Of <see cref="Token"/> under the raw logits; NaN when not asked for.</summary>
    public float LogProb { get; init; } = float.NaN;

    /// <summary>The most probable ids, when asked for.</summary>
    public IReadOnlyList<TokenLogProb> TopLogProbs { get; init; } = [];

    /// <summary>One entry a prompt token, null for the first; comes once a request, before any token.</summary>
    public IReadOnlyList<PromptLogProb?>? PromptLogProbs { get; init; }

    /// <summary>
    /// What a request with <see cref="GenerationRequest.Pooling"/> asked for, in its only event: one row of [HiddenSize], or one a position.
    /// </summary>
    public IReadOnlyList<float[]>? Pooled { get; init; }

    /// <summary>Set in the last event of the choice.</summary>
    public FinishReason Finish { get; init; }

    /// <summary>A sentence for the client, with <see cref="FinishReason.Error"/> and deadlines.</summary>
    public string? Error { get; init; }
}
