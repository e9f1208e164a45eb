using QwenServe.Compute;

namespace QwenServe.Engine;

/// <summary>What the engine is allowed. Names follow vLLM's flags.</summary>
public sealed record EngineOptions
{
    /// <summary>Tokens of the longest sequence, prompt and completion; lowered at start to what the KV cache holds.</summary>
    public required int MaxModelLength { get; init; }

    /// <summary>Ids that end a choice: those of generation_config.json and config.json.</summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>Positions a KV block.</summary>
    public int BlockSize { get; init; } = 16;

    /// <summary>Sequences that run at once.</summary>
    public int MaxNumSeqs { get; init; } = 64;

    /// <summary>Tokens a step over all sequences; raised to MaxNumSeqs if lower.</summary>
    public int MaxNumBatchedTokens { get; init; } = 2048;

    /// <summary>Bytes of KV cache; null takes the device's own budget.</summary>
    public long? KvCacheBytes { get; init; }

    /// <summary>Share of a GPU's memory the process may use.</summary>
    public double GpuMemoryUtilization { get; init; } = 0.9;

    /// <summary>Null is the device's default.</summary>
    public DType? KvCacheType { get; init; }

    public bool EnablePrefixCaching { get; init; } = true;

    /// <summary>Requests that may wait for their first step; one more is refused.</summary>
    public int MaxQueuedRequests { get; init; } = 1024;

    /// <summary>Prompt tokens that may wait for their first step. A request is taken whatever its length when nothing of its tenant waits.</summary>
    public long MaxQueuedTokens { get; init; } = 4L << 20;

    /// <summary>The order in which requests of a tenant are taken.</summary>
    public SchedulingPolicy SchedulingPolicy { get; init; }

    /// <summary>Choices a request may ask for.</summary>
    public int MaxChoices { get; init; } = 128;

    /// <summary>Queue a step before the results of the one before it are known: for devices that work beside the host.</summary>
    public bool OverlapSteps { get; init; }

    /// <summary>
    /// Where a grammar leaves no choice, compute what it forces in one step instead of drawing it token by token. Off where a step of one token a
    /// sequence is much cheaper than any other, as a recorded graph is.
    /// </summary>
    public bool JumpAhead { get; init; } = true;

    /// <summary>Takes lines for people, such as that max-model-len was lowered.</summary>
    public Action<string>? Log { get; init; }

    /// <summary>Defaults for a kind of device, <see cref="IDevice.Kind"/>.</summary>
    public static EngineOptions For(string deviceKind, int maxModelLength) => deviceKind == "cuda"
        ? new() { MaxModelLength = maxModelLength, MaxNumSeqs = 256, MaxNumBatchedTokens = 8192, OverlapSteps = true, JumpAhead = false }
        : new() { MaxModelLength = maxModelLength };

    /// <exception cref="InvalidParameterException">A value is out of range; names the flag.</exception>
    public void Validate()
    {
        Require(MaxModelLength >= 1, "max-model-len", MaxModelLength);
        Require(BlockSize is >= 1 and <= 1024, "block-size", BlockSize);
        Require(MaxNumSeqs is >= 1 and <= 65536, "max-num-seqs", MaxNumSeqs);
        Require(MaxNumBatchedTokens >= 1, "max-num-batched-tokens", MaxNumBatchedTokens);
        Require(KvCacheBytes is null or > 0, "kv-cache-memory", KvCacheBytes ?? 0);
        Require(GpuMemoryUtilization is > 0 and <= 1, "gpu-memory-utilization", GpuMemoryUtilization);
        Require(MaxQueuedRequests >= 1, "max-queued-requests", MaxQueuedRequests);
        Require(MaxQueuedTokens >= 1, "max-queued-tokens", MaxQueuedTokens);
        Require(MaxChoices >= 1, "max-choices", MaxChoices);
    }

    private static void Require(bool holds, string flag, double value)
    {
        if (!holds) throw new InvalidParameterException(flag, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{flag} cannot be {value}"));
    }
}
