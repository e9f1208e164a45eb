using QwenServe.Compute;

namespace QwenServe.Tests.Api;

/// <summary>
/// A device without a model: each sequence says what a script has for its prompt, and the least admitted id where a mask forbids that. The
/// engine around it is the real one.
/// </summary>
/// <param name="script">From a prompt to the ids that follow it; the last one repeats.</param>
internal sealed class ScriptedDevice(Func<int[], int[]> script) : IDevice
{
    private readonly Dictionary<int, (int[] Prompt, int[] Script)> _slots = [];
    private readonly Queue<Action<SamplingResults>> _pending = new();

    /// <summary>While reset, steps wait.</summary>
    public ManualResetEventSlim Gate { get; } = new(initialState: true);

    /// <summary>Whether a step waits, and with it the engine's thread: nothing leaves the queue.</summary>
    public bool AtGate { get; private set; }

    /// <summary>Time of a step.</summary>
    public TimeSpan StepTime { get; set; }

    /// <summary>Called at the start of each step, on the engine's thread.</summary>
    public Action? OnStep { get; set; }

    /// <summary>Set to make the next step fail.</summary>
    public Exception? Fault { get; set; }

    public string Description => "script";

    public string Kind => "cpu";

    public long AvailableMemory => Memory();

    /// <summary>Asked while the model loads and, between steps, when the engine looks again.</summary>
    public Func<long> Memory { get; set; } = () => long.MaxValue;

    public DType DefaultKvType => DType.F32;

    public long KvCacheBudget(double utilization) => 1L << 24;

    /// <summary>The script is asked once a prompt, however often its tokens are told anew.</summary>
    public void AssignSlot(int slot, ReadOnlySpan<int> prompt, ReadOnlySpan<int> output)
    {
        if (!output.IsEmpty && _slots.TryGetValue(slot, out var known) && prompt.SequenceEqual(known.Prompt)) return;
        int[] ids = prompt.ToArray();
        _slots[slot] = (ids, script(ids));
    }

    public void Begin(StepInputs inputs)
    {
        AtGate = true;
        Gate.Wait();
        AtGate = false;
        OnStep?.Invoke();
        if (StepTime > TimeSpan.Zero) Thread.Sleep(StepTime);
        if (Fault is { } fault) throw fault;
    }

    public void Run(Action forward)
    {
    }

    public void Sample(SamplingInputs inputs)
    {
        var rows = inputs.Rows.AsSpan(0, inputs.Count).ToArray();
        int[] tokens = [.. rows.Select(row => Draw(row, inputs))];
        _pending.Enqueue(results =>
        {
            results.Count = rows.Length;
            for (int i = 0; i < rows.Length; i++)
            {
                results.Tokens[i] = tokens[i];
                results.Status[i] = SampleStatus.Sampled;
                results.LogProbs[i] = -0.5f;
                for (int k = 0; k < Math.Max(0, rows[i].TopLogProbs); k++)
                {
                    results.TopTokens[i * SamplingResults.MaxTopLogProbs + k] = k == 0 ? tokens[i] : (tokens[i] + k) % 4000;
                    results.TopLogProbs[i * SamplingResults.MaxTopLogProbs + k] = -0.5f - k;
                }
            }
        });
    }

    public void Complete(SamplingResults results) => _pending.Dequeue()(results);

    public void Configure(ModelGeometry geometry, DType? weightType) => throw new NotSupportedException();

    public Weights LoadVector(HostTensor source) => throw new NotSupportedException();

    public Weights LoadLinear(ReadOnlySpan<HostTensor> parts, ReadOnlySpan<HostTensor> biases) => throw new NotSupportedException();

    public Weights LoadGateUp(HostTensor gate, HostTensor up) => throw new NotSupportedException();

    public Weights LoadEmbedding(HostTensor table, bool tied) => throw new NotSupportedException();

    public Weights LoadMoe(MoeSource source) => throw new NotSupportedException();

    public Weights LoadRope(ReadOnlySpan<float> inverseFrequencies, float scale, int maxPositions) => throw new NotSupportedException();

    public void SetVocabulary(ReadOnlySpan<uint> tokenIds)
    {
    }

    public void AllocateStep(StepLimits limits)
    {
    }

    public void AllocateKvCache(int blocks, int blockSize, DType type)
    {
    }

    public void CopyBlock(int source, int destination)
    {
    }

    public void Embed(Weights embedding)
    {
    }

    public void NormQkvRopeStore(int layer, Weights norm, Weights qkv, Weights rope)
    {
    }

    public void Attend(int layer, int window)
    {
    }

    public void OutputAdd(Weights output, Weights next)
    {
    }

    public void NormGateUpSwiglu(Weights norm, Weights gateUp)
    {
    }

    public void DownAdd(Weights down, Weights next)
    {
    }

    public void NormRouteExperts(Weights norm, Weights moe)
    {
    }

    public void NormLogits(Weights norm, Weights head)
    {
    }

    public void ReadLogits(int row, Span<float> destination) => throw new NotSupportedException();

    public void ReadHidden(Weights norm, ReadOnlySpan<int> tokens, Span<float> destination) => throw new NotSupportedException();

    public void Dispose() => Gate.Dispose();

    private int Draw(SamplingRow row, SamplingInputs inputs)
    {
        if (row.Target >= 0) return row.Target;
        var (prompt, ids) = _slots[row.Slot];
        int id = ids[Math.Min(row.Position - prompt.Length, ids.Length - 1)];
        if (row.MaskRow < 0) return id;
        var mask = inputs.Masks.AsSpan(row.MaskRow * inputs.MaskStride, inputs.MaskStride);
        if ((mask[id >> 5] & (1u << id)) != 0) return id;
        int word = mask.IndexOfAnyExcept(0u);
        return word * 32 + System.Numerics.BitOperations.TrailingZeroCount(mask[word]);
    }
}
