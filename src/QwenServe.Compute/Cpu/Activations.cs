using QwenServe.Compute.Cpu.Kernels;

namespace QwenServe.Compute.Cpu;

/// <summary>A step's inputs as the kernels read them, its activations, and the jobs that work on them: allocated once, for the largest step.</summary>
internal sealed unsafe class Activations : IDisposable
{
    private readonly ModelGeometry _geometry;
    private readonly StepLimits _limits;
    private readonly List<IDisposable> _owned = [];
    private CpuRope? _anglesOf;

    public Activations(ModelGeometry geometry, StepLimits limits, int threads)
    {
        _geometry = geometry;
        _limits = limits;
        int tokens = limits.Tokens;
        int rows = Math.Max(tokens, limits.LogitRows);
        int attended = geometry.HeadCount * geometry.HeadDim;
        int mlp = Math.Max(geometry.IntermediateSize, Math.Max(geometry.ExpertIntermediateSize, geometry.SharedExpertIntermediateSize));
        int widest = Math.Max(Math.Max(geometry.HiddenSize, attended), mlp);

        Tiles = new RowTiles(rows);
        Hidden = Floats((long)tokens * geometry.HiddenSize);
        QkvStride = geometry.QkvSize;
        Qkv = Floats(tokens * QkvStride);
        Attended = Floats((long)tokens * attended);
        Mlp = Floats((long)tokens * mlp);
        Packed = Floats((long)RowTiles.MaxPadded(rows) * (widest + 1));
        LogitStride = (geometry.VocabularySize + 15) / 16 * 16;
        Logits = Floats(limits.LogitRows * LogitStride);
        Angles = Floats((long)tokens * geometry.HeadDim);
        Places = (long*)Own(new NativeBuffer(tokens * sizeof(long))).Pointer;
        LogitTokens = (int*)Own(new NativeBuffer(limits.LogitRows * sizeof(int))).Pointer;
        TokenIds = new int[tokens];
        Positions = new int[tokens];

        PackRows = Own(new PackRowsJob(Tiles, threads, widest));
        Linear = Own(new LinearJob(Tiles, threads, rows));
        RopeStore = new RopeStoreJob();
        Attention = Own(new AttentionJob(geometry, threads));
        Runs = new AttentionRun[limits.Sequences + tokens / Attention.RunTokens + 1];
        Slots = Own(new SlotTable(limits.Sequences, geometry.VocabularySize));
        Sampler = Own(new SampleJob(geometry.VocabularySize, Slots, threads));
        Sampler.VocabularyEnd = geometry.VocabularySize;
        if (geometry.ExpertCount == 0) return;
        RouterStride = geometry.ExpertCount + 1;
        RouterLogits = Floats(tokens * RouterStride);
        Mixed = Floats((long)tokens * geometry.HiddenSize);
        Routing = Own(new Routing(geometry, tokens));
    }

    public int TokenCount { get; private set; }

    public int LogitCount { get; private set; }

    public int RunCount { get; private set; }

    public int[] TokenIds { get; }

    public int[] Positions { get; }

    public AttentionRun[] Runs { get; }

    public int[] BlockTables { get; private set; } = [];

    public int BlockTableStride { get; private set; }

    /// <summary>[LogitCount]</summary>
    public int* LogitTokens { get; }

    /// <summary>[tokens]: where in the cache each token's key goes, block · BlockSize + place.</summary>
    public long* Places { get; }

    /// <summary>[tokens, HiddenSize]: the residual stream.</summary>
    public float* Hidden { get; }

    /// <summary>[tokens, QkvStride]</summary>
    public float* Qkv { get; }

    public long QkvStride { get; }

    /// <summary>[tokens, HeadCount · HeadDim]</summary>
    public float* Attended { get; }

    /// <summary>[tokens, IntermediateSize]</summary>
    public float* Mlp { get; }

    /// <summary>The input of the product in hand in tile order.</summary>
    public float* Packed { get; }

    /// <summary>[LogitCount, LogitStride]</summary>
    public float* Logits { get; }

    public long LogitStride { get; }

    /// <summary>[tokens, HeadDim]: cosines, then sines.</summary>
    public float* Angles { get; }

    public float* RouterLogits { get; }

    public long RouterStride { get; }

    /// <summary>[tokens, HiddenSize]: the sum over experts.</summary>
    public float* Mixed { get; }

    public RowTiles Tiles { get; }

    public PackRowsJob PackRows { get; }

    public LinearJob Linear { get; }

    public RopeStoreJob RopeStore { get; }

    public AttentionJob Attention { get; }

    public SlotTable Slots { get; }

    public SampleJob Sampler { get; }

    public Routing? Routing { get; }

    public PendingResults Results { get; } = new();

    public void SetVocabulary(ReadOnlySpan<uint> tokenIds)
    {
        int end = 0;
        var holes = new List<int>();
        for (int id = 0; id < Math.Min(_geometry.VocabularySize, tokenIds.Length * 32); id++)
        {
            if ((tokenIds[id / 32] >> (id % 32) & 1) == 0) continue;
            for (; end < id; end++) holes.Add(end);
            end = id + 1;
        }
        if (end == 0) throw new ArgumentException("no id has a token", nameof(tokenIds));
        Sampler.VocabularyEnd = end;
        Sampler.Holes = [.. holes];
    }

    public void Begin(StepInputs inputs, KvStore cache)
    {
        if (inputs.TokenCount > _limits.Tokens || inputs.SequenceCount > _limits.Sequences || inputs.LogitCount > _limits.LogitRows)
        {
            throw new ArgumentException(
                $"{inputs.TokenCount} tokens of {inputs.SequenceCount} sequences with {inputs.LogitCount} rows of logits exceed {_limits}",
                nameof(inputs));
        }
        TokenCount = inputs.TokenCount;
        LogitCount = inputs.LogitCount;
        _anglesOf = null;
        inputs.Positions.AsSpan(0, TokenCount).CopyTo(Positions);
        inputs.LogitTokens.AsSpan(0, LogitCount).CopyTo(new Span<int>(LogitTokens, LogitCount));
        BlockTableStride = inputs.BlockTableStride;
        int entries = inputs.SequenceCount * BlockTableStride;
        if (BlockTables.Length < entries) BlockTables = new int[Math.Max(entries, _limits.Sequences * BlockTableStride)];
        inputs.BlockTables.AsSpan(0, entries).CopyTo(BlockTables);

        RunCount = 0;
        for (int s = 0; s < inputs.SequenceCount; s++)
        {
            int first = inputs.QueryStarts[s];
            int end = inputs.QueryStarts[s + 1];
            for (int t = first; t < end; t++)
            {
                int id = inputs.TokenIds[t];
                TokenIds[t] = id == StepInputs.SampledInSlot ? Slots.Last(inputs.Slots[s]) : id;
                int block = BlockTables[s * BlockTableStride + Positions[t] / cache.BlockSize];
                cache.Check(block);
                Places[t] = (long)block * cache.BlockSize + Positions[t] % cache.BlockSize;
            }
            // Late queries see the most keys: hand out their runs first.
            int runs = (end - first + Attention.RunTokens - 1) / Attention.RunTokens;
            for (int r = runs - 1; r >= 0; r--)
            {
                int from = first + r * Attention.RunTokens;
                Runs[RunCount++] = new AttentionRun(s, from, Math.Min(Attention.RunTokens, end - from), Positions[from]);
            }
        }
    }

    /// <summary>Once a step, for the rotary tables that its layers share.</summary>
    public void ComputeAngles(CpuRope rope)
    {
        if (ReferenceEquals(_anglesOf, rope)) return;
        _anglesOf = rope;
        int half = _geometry.HeadDim / 2;
        for (int t = 0; t < TokenCount; t++)
        {
            float* cos = Angles + (long)t * _geometry.HeadDim;
            for (int i = 0; i < half; i++)
            {
                float angle = Positions[t] * rope.InverseFrequencies[i];
                (float sin, float c) = MathF.SinCos(angle);
                cos[i] = c * rope.Scale;
                cos[half + i] = sin * rope.Scale;
            }
        }
    }

    public void Dispose()
    {
        foreach (var owned in _owned) owned.Dispose();
    }

    private float* Floats(long count) => Own(NativeBuffer.OfFloats(count)).Floats;

    private T Own<T>(T owned) where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }
}
