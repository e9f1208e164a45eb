namespace QwenServe.Engine;

/// <summary>The queue is full; nothing of the request was kept.</summary>
public sealed class EngineOverloadedException(int queuedRequests, long queuedTokens, TimeSpan retryAfter) : Exception(
    $"The server is overloaded: {queuedRequests} requests with {queuedTokens} prompt tokens are waiting. Try again later.")
{
    /// <summary>Requests waiting for their first step.</summary>
    public int QueuedRequests { get; } = queuedRequests;

    /// <summary>Prompt tokens of these requests.</summary>
    public long QueuedTokens { get; } = queuedTokens;

    /// <summary>When there will be room, at the pace measured; 1 to 60 seconds.</summary>
    public TimeSpan RetryAfter { get; } = retryAfter;
}
