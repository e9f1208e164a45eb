using System.Diagnostics;
using System.Security.Cryptography;
using QwenServe.Compute;
using QwenServe.Engine.Cache;

namespace QwenServe.Engine.Scheduling;

/// <summary>
/// A request inside the engine: its sequences, one a choice, and its stream. Made by the submitting thread, which also pays for everything
/// that grows with the prompt (arrays, block keys, masks); from the mailbox on it belongs to the engine thread.
/// </summary>
internal sealed class SequenceGroup
{
    /// <summary>Output tokens for which room is made in advance.</summary>
    private const int OutputRoom = 2048;

    public SequenceGroup(GenerationRequest request, int maxOutput, int vocabularySize, int hiddenSize, EngineOptions options)
    {
        Request = request;
        MaxOutput = maxOutput;
        Priority = options.SchedulingPolicy == SchedulingPolicy.Priority ? request.Priority : 0;
        Stream = new GenerationStream(this);
        StopIds = [.. options.EosTokenIds.Where(id => (uint)id < (uint)vocabularySize && !request.Sampling.IgnoreEos).Concat(request.Sampling.StopTokenIds).Distinct()];
        // min_tokens keeps even an ignored end token from being drawn, as vLLM does.
        int[] banned = request.Sampling.MinTokens > 0
            ? [.. StopIds.Concat(options.EosTokenIds.Where(id => (uint)id < (uint)vocabularySize)).Distinct()]
            : [];
        Biases = [.. request.Sampling.LogitBias];
        EarlyBiases = [.. Biases, .. banned.Select(id => new TokenBias(id, float.NegativeInfinity))];
        TimeoutTimestamp = request.Timeout is { } timeout ? request.ArrivalTimestamp + (long)(timeout.TotalSeconds * Stopwatch.Frequency) : long.MaxValue;

        int blocks = request.Prompt.Length / options.BlockSize;
        int capacity = request.Prompt.Length + Math.Min(maxOutput, OutputRoom) + 1;
        PrefixKey[] keys = [];
        if (options.EnablePrefixCaching)
        {
            keys = new PrefixKey[capacity / options.BlockSize + 1];
            var key = PrefixKey.Root(request.CacheSalt);
            for (int i = 0; i < blocks; i++) keys[i] = key = key.Next(request.Prompt.AsSpan(i * options.BlockSize, options.BlockSize));
        }
        ulong seed = request.Sampling.Seed is { } given ? (ulong)given : BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));
        Choices = new Sequence[request.Choices];
        for (int i = 0; i < Choices.Length; i++)
        {
            var tokens = new int[capacity];
            request.Prompt.CopyTo(tokens, 0);
            Choices[i] = new Sequence(this, i, tokens, request.Prompt.Length, i == 0 ? keys : [.. keys], blocks, new BlockTable(capacity / options.BlockSize + 1))
            {
                Draw = MakeDraw(request.Sampling, SeedOf(seed, i)),
                Mask = request.MaskFactory?.Invoke(i),
                MayJump = options.JumpAhead && request.MaskFactory is not null && request.Sampling.LogProbs is null && request.PromptLogProbs is null && request.Sampling.LogitBias.Count == 0,
            };
        }
        Unforked = Choices.Length - 1;
        Open = Choices.Length;
        if (request.Pooling is { } pooling) Pooled = new PooledRows(pooling, request.Prompt.Length, hiddenSize);
        if (request.PromptLogProbs is not null) PromptLogProbs = new List<PromptLogProb?>(request.Prompt.Length) { null };
    }

    public GenerationRequest Request { get; }

    public GenerationStream Stream { get; }

    public Sequence[] Choices { get; }

    /// <summary>Tokens a choice may have.</summary>
    public int MaxOutput { get; }

    /// <summary>Ids that end a choice.</summary>
    public int[] StopIds { get; }

    public TokenBias[] Biases { get; }

    /// <summary><see cref="Biases"/> and the bans that hold until min_tokens.</summary>
    public TokenBias[] EarlyBiases { get; }

    public long TimeoutTimestamp { get; }

    /// <summary>Choices that have not begun because the first one still computes the prompt for all.</summary>
    public int Unforked { get; set; }

    /// <summary>Choices that have not ended.</summary>
    public int Open { get; set; }

    /// <summary>Lower is earlier; 0 where the policy knows no priorities.</summary>
    public int Priority { get; }

    /// <summary>Set by the scheduler when it takes the group in.</summary>
    public Tenant? Tenant { get; set; }

    /// <summary>Accepted and not yet in any step.</summary>
    public bool Queued { get; set; } = true;

    /// <summary>Whether it counts against the bounds of the queue; guarded by the mailbox.</summary>
    public bool Counted { get; set; }

    /// <summary>What is known so far of the prompt's log-probs; null when none are wanted or all are delivered.</summary>
    public List<PromptLogProb?>? PromptLogProbs { get; set; }

    /// <summary>Hidden states gathered so far; null when none are wanted.</summary>
    public PooledRows? Pooled { get; }

    /// <summary>Prompt tokens whose KV came from the prefix cache.</summary>
    public int CachedTokens { get; set; }

    /// <summary>Whether the prompt has been counted as computed.</summary>
    public bool PromptDone { get; set; }

    public long ScheduledTimestamp { get; set; }

    public int GeneratedTokens { get; set; }

    /// <summary>Any thread; what is still under way may be a step old.</summary>
    public RequestTimes Times
    {
        get
        {
            long first = 0, last = 0;
            foreach (var choice in Choices)
            {
                if (choice.FirstTokenTimestamp != 0 && (first == 0 || choice.FirstTokenTimestamp < first)) first = choice.FirstTokenTimestamp;
                last = Math.Max(last, choice.LastTokenTimestamp);
            }
            return new RequestTimes(Request.ArrivalTimestamp, ScheduledTimestamp, first, last);
        }
    }

    private static SamplingRow MakeDraw(SamplingParameters sampling, ulong seed) => new()
    {
        Target = -1,
        Temperature = sampling.Temperature,
        TopK = Math.Max(sampling.TopK, 0),
        TopP = sampling.TopP,
        MinP = sampling.MinP,
        PresencePenalty = sampling.PresencePenalty,
        FrequencyPenalty = sampling.FrequencyPenalty,
        RepetitionPenalty = sampling.RepetitionPenalty,
        Seed = seed,
        TopLogProbs = sampling.LogProbs ?? -1,
        MaskRow = -1,
    };

    /// <summary>SplitMix64 (Steele, Lea and Flood 2014) started at the seed: choices, and neighbouring seeds, become unrelated.</summary>
    internal static ulong SeedOf(ulong seed, int choice)
    {
        ulong x = seed + (ulong)choice * 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
