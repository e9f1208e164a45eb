namespace QwenServe.Engine;

/// <summary>In which order waiting requests of a tenant are taken; vLLM's names.</summary>
public enum SchedulingPolicy
{
    /// <summary>By arrival; requests have no priority.</summary>
    Fcfs,

    /// <summary>By <see cref="GenerationRequest.Priority"/>, then by arrival. The lowest priority also gives up its blocks first.</summary>
    Priority,
}
