using QwenServe.Compute;

namespace QwenServe.Benchmarks.Numerics;

/// <summary>
/// A device that passes every call on to another, and writes down the logits of each row that is sampled while <see cref="Record"/> is set. Beneath an
/// engine it shows what the engine's own steps compute, whatever the scheduler put together, without any change to the engine.
///
/// It outlives the engines above it: their Dispose leaves the device open, so that the next engine finds the weights loaded and the same
/// algorithms chosen.
/// </summary>
internal sealed class ProbeDevice(IDevice inner) : IDevice
{
    private const int RowsAtOnce = 64;

    private readonly Dictionary<int, int[]> _prompts = [];
    private float[][] _rows = [];

    /// <summary>Takes the prompt of the row's sequence, the position that its logits are for, and the logits; by several threads at once.</summary>
    public Action<int[], int, float[]>? Record { get; set; }

    public string Description => inner.Description;

    public string Kind => inner.Kind;

    public long AvailableMemory => inner.AvailableMemory;

    public DType DefaultKvType => inner.DefaultKvType;

    public void AssignSlot(int slot, ReadOnlySpan<int> prompt, ReadOnlySpan<int> output)
    {
        _prompts[slot] = prompt.ToArray();
        inner.AssignSlot(slot, prompt, output);
    }

    public void Sample(SamplingInputs inputs)
    {
        if (Record is { } record) Read(inputs, record);
        inner.Sample(inputs);
    }

    private void Read(SamplingInputs inputs, Action<int[], int, float[]> record)
    {
        if (_rows.Length == 0) _rows = [.. Enumerable.Range(0, RowsAtOnce).Select(_ => new float[VocabularySize])];
        for (int first = 0; first < inputs.Count; first += RowsAtOnce)
        {
            int count = Math.Min(RowsAtOnce, inputs.Count - first);
            for (int i = 0; i < count; i++) inner.ReadLogits(inputs.Rows[first + i].LogitRow, _rows[i]);
            Parallel.For(0, count, i =>
            {
                ref readonly var row = ref inputs.Rows[first + i];
                record(_prompts[row.Slot], row.Position, _rows[i]);
            });
        }
    }

    private int VocabularySize { get; set; }

    public void Configure(ModelGeometry geometry, DType? weightType)
    {
        VocabularySize = geometry.VocabularySize;
        inner.Configure(geometry, weightType);
    }

    public void Dispose()
    {
    }

    public Weights LoadVector(HostTensor source) => inner.LoadVector(source);

    public Weights LoadLinear(ReadOnlySpan<HostTensor> parts, ReadOnlySpan<HostTensor> biases) => inner.LoadLinear(parts, biases);

    public Weights LoadGateUp(HostTensor gate, HostTensor up) => inner.LoadGateUp(gate, up);

    public Weights LoadEmbedding(HostTensor table, bool tied) => inner.LoadEmbedding(table, tied);

    public Weights LoadMoe(MoeSource source) => inner.LoadMoe(source);

    public Weights LoadRope(ReadOnlySpan<float> inverseFrequencies, float scale, int maxPositions) => inner.LoadRope(inverseFrequencies, scale, maxPositions);

    public void SetVocabulary(ReadOnlySpan<uint> tokenIds) => inner.SetVocabulary(tokenIds);

    public void AllocateStep(StepLimits limits) => inner.AllocateStep(limits);

    public long KvCacheBudget(double utilization) => inner.KvCacheBudget(utilization);

    public void AllocateKvCache(int blocks, int blockSize, DType type) => inner.AllocateKvCache(blocks, blockSize, type);

    public void CopyBlock(int source, int destination) => inner.CopyBlock(source, destination);

    public void Begin(StepInputs inputs) => inner.Begin(inputs);

    public void Run(Action forward) => inner.Run(forward);

    public void Embed(Weights embedding) => inner.Embed(embedding);

    public void NormQkvRopeStore(int layer, Weights norm, Weights qkv, Weights rope) => inner.NormQkvRopeStore(layer, norm, qkv, rope);

    public void Attend(int layer, int window) => inner.Attend(layer, window);

    public void OutputAdd(Weights output, Weights next) => inner.OutputAdd(output, next);

    public void NormGateUpSwiglu(Weights norm, Weights gateUp) => inner.NormGateUpSwiglu(norm, gateUp);

    public void DownAdd(Weights down, Weights next) => inner.DownAdd(down, next);

    public void NormRouteExperts(Weights norm, Weights moe) => inner.NormRouteExperts(norm, moe);

    public void NormLogits(Weights norm, Weights head) => inner.NormLogits(norm, head);

    public void Complete(SamplingResults results) => inner.Complete(results);

    public void ReadLogits(int row, Span<float> destination) => inner.ReadLogits(row, destination);

    public void ReadHidden(Weights norm, ReadOnlySpan<int> tokens, Span<float> destination) => inner.ReadHidden(norm, tokens, destination);
}
