using QwenServe.Compute;

namespace QwenServe.Benchmarks;

/// <summary>A device that computes nothing and draws token 7, so that what remains is the engine's own work.</summary>
internal sealed class IdleDevice : IDevice
{
    private int _oldest;
    private int _newest;
    private readonly int[] _counts = new int[2];

    public string Description => "idle";

    public string Kind => "idle";

    public long AvailableMemory => long.MaxValue;

    public DType DefaultKvType => DType.F32;

    public long KvCacheBudget(double utilization) => 1L << 40;

    public void AllocateStep(StepLimits limits)
    {
    }

    public void AllocateKvCache(int blocks, int blockSize, DType type)
    {
    }

    public void CopyBlock(int source, int destination)
    {
    }

    public void AssignSlot(int slot, ReadOnlySpan<int> prompt, ReadOnlySpan<int> output)
    {
    }

    /// <summary>Pretended time of a step.</summary>
    public TimeSpan StepTime { get; set; }

    public void Begin(StepInputs inputs)
    {
        if (StepTime > TimeSpan.Zero) Thread.Sleep(StepTime);
    }

    public void Run(Action forward) => forward();

    public void Sample(SamplingInputs inputs) => _counts[_newest++ & 1] = inputs.Count;

    public void Complete(SamplingResults results)
    {
        results.Count = _counts[_oldest++ & 1];
        results.Tokens.AsSpan(0, results.Count).Fill(7);
        results.Status.AsSpan(0, results.Count).Clear();
    }

    public void Dispose()
    {
    }

    public void Configure(ModelGeometry geometry, DType? weightType) => throw new NotSupportedException();

    public Weights LoadVector(HostTensor source) => throw new NotSupportedException();

    public Weights LoadLinear(ReadOnlySpan<HostTensor> parts, ReadOnlySpan<HostTensor> biases) => throw new NotSupportedException();

    public Weights LoadGateUp(HostTensor gate, HostTensor up) => throw new NotSupportedException();

    public Weights LoadEmbedding(HostTensor table, bool tied) => throw new NotSupportedException();

    public Weights LoadMoe(MoeSource source) => throw new NotSupportedException();

    public Weights LoadRope(ReadOnlySpan<float> inverseFrequencies, float scale, int maxPositions) => throw new NotSupportedException();

    public void SetVocabulary(ReadOnlySpan<uint> tokenIds) => throw new NotSupportedException();

    public void Embed(Weights embedding) => throw new NotSupportedException();

    public void NormQkvRopeStore(int layer, Weights norm, Weights qkv, Weights rope) => throw new NotSupportedException();

    public void Attend(int layer, int window) => throw new NotSupportedException();

    public void OutputAdd(Weights output, Weights next) => throw new NotSupportedException();

    public void NormGateUpSwiglu(Weights norm, Weights gateUp) => throw new NotSupportedException();

    public void DownAdd(Weights down, Weights next) => throw new NotSupportedException();

    public void NormRouteExperts(Weights norm, Weights moe) => throw new NotSupportedException();

    public void NormLogits(Weights norm, Weights head) => throw new NotSupportedException();

    public void ReadLogits(int row, Span<float> destination) => throw new NotSupportedException();

    public void ReadHidden(Weights norm, ReadOnlySpan<int> tokens, Span<float> destination) => throw new NotSupportedException();
}
