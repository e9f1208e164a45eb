using System.Globalization;
using QwenServe.Compute.Cpu.Kernels;

namespace QwenServe.Compute.Cpu;

/// <summary>
/// The processor as a device. Owns a pool of threads, the packed weights' layout, the KV cache and the activations of one step; every operation is
/// done when its call returns.
///
/// Results are batch invariant: each number is computed by one fixed chain of operations, whatever else is in the step, however a
/// prompt was cut and however many threads took part (see <see cref="Tile"/> and <see cref="AttentionJob"/>). They may
/// differ between instruction sets. Activations and sums are fp32; weights and the cache keep their types.
/// </summary>
public sealed unsafe class CpuDevice : IDevice
{
    private const long LargestDefaultKvCache = 4L << 30;

    private readonly WorkerPool _pool;
    private readonly int _sharers;
    private readonly WeightArena _arena = new();
    private ModelGeometry? _geometry;
    private DType? _weightType;
    private uint[]? _vocabulary;
    private KvStore? _cache;
    private Activations? _step;

    public CpuDevice(CpuOptions? options = null)
    {
        int threads = options?.Threads ?? 0;
        _sharers = Math.Max(1, options?.Sharers ?? 1);
        _pool = new WorkerPool(threads > 0 ? threads : Math.Max(1, PhysicalCores.Count() / _sharers));
    }

    public string Description
    {
        get
        {
            string gibibytes = (FreeMemory.Bytes() / (double)(1 << 30)).ToString("0.0", CultureInfo.InvariantCulture);
            string threads = _pool.Threads == 1 ? "1 thread" : $"{_pool.Threads} threads";
            return $"CPU, {threads}, {Simd.Name}, {gibibytes} GiB free";
        }
    }

    public string Kind => "cpu";

    public DType DefaultKvType => DType.F32;

    internal int Threads => _pool.Threads;

    private ModelGeometry Geometry => _geometry ?? throw new InvalidOperationException("Configure comes first");

    private Activations Step => _step ?? throw new InvalidOperationException("AllocateStep comes first");

    private KvStore Cache => _cache ?? throw new InvalidOperationException("AllocateKvCache comes first");

    public void Configure(ModelGeometry geometry, DType? weightType)
    {
        ArgumentNullException.ThrowIfNull(geometry);
        if (geometry.HeadDim % 2 != 0) throw new ArgumentException($"head_dim {geometry.HeadDim} is odd", nameof(geometry));
        if (geometry.HeadCount % geometry.KvHeadCount != 0)
            throw new ArgumentException($"{geometry.HeadCount} heads do not divide among {geometry.KvHeadCount} key heads", nameof(geometry));
        _geometry = geometry;
        _weightType = weightType;
    }

    public Weights LoadVector(HostTensor source)
    {
        int n = checked((int)(source.Rows * source.Columns));
        var values = NativeBuffer.OfFloats(n);
        for (int i = 0; i < n; i++) values.Floats[i] = PackedMatrix.ReadElement(source.Pointer, source.Type, i);
        return new CpuVector(values, n);
    }

    public Weights LoadLinear(ReadOnlySpan<HostTensor> parts, ReadOnlySpan<HostTensor> biases)
        => new CpuMatrix(PackedMatrix.Stack(_pool, _arena, parts, biases, _weightType));

    public Weights LoadGateUp(HostTensor gate, HostTensor up) => new CpuMatrix(PackedMatrix.Interleave(_pool, _arena, gate, up, _weightType));

    public Weights LoadEmbedding(HostTensor table, bool tied) => new CpuMatrix(PackedMatrix.Stack(_pool, _arena, [table], [], _weightType));

    public Weights LoadMoe(MoeSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        var router = PackedMatrix.Stack(_pool, _arena, [source.Router, source.SharedExpertGate], [], _weightType);
        var gateUp = new PackedMatrix[source.Experts.Count];
        var down = new PackedMatrix[source.Experts.Count];
        for (int e = 0; e < gateUp.Length; e++)
        {
            gateUp[e] = PackedMatrix.Interleave(_pool, _arena, source.Experts[e].Gate, source.Experts[e].Up, _weightType);
            down[e] = PackedMatrix.Stack(_pool, _arena, [source.Experts[e].Down], [], _weightType);
        }
        return new CpuMoe(
            router,
            gateUp,
            down,
            PackedMatrix.Interleave(_pool, _arena, source.SharedExpert.Gate, source.SharedExpert.Up, _weightType),
            PackedMatrix.Stack(_pool, _arena, [source.SharedExpert.Down], [], _weightType));
    }

    public Weights LoadRope(ReadOnlySpan<float> inverseFrequencies, float scale, int maxPositions)
    {
        if (inverseFrequencies.Length != Geometry.HeadDim / 2)
            throw new ArgumentException($"{inverseFrequencies.Length} frequencies for head_dim {Geometry.HeadDim}", nameof(inverseFrequencies));
        return new CpuRope(inverseFrequencies.ToArray(), scale);
    }

    public void SetVocabulary(ReadOnlySpan<uint> tokenIds)
    {
        _vocabulary = tokenIds.ToArray();
        _step?.SetVocabulary(_vocabulary);
    }

    public void AllocateStep(StepLimits limits)
    {
        _arena.Close();
        _step?.Dispose();
        _step = new Activations(Geometry, limits, _pool.Threads);
        if (_vocabulary is not null) _step.SetVocabulary(_vocabulary);
    }

    public long AvailableMemory => FreeMemory.Bytes();

    public long KvCacheBudget(double utilization) => Math.Min(FreeMemory.Bytes() / 4, LargestDefaultKvCache) / _sharers;

    public void AllocateKvCache(int blocks, int blockSize, DType type)
    {
        _cache?.Dispose();
        _cache = new KvStore(Geometry, blocks, blockSize, type);
    }

    public void CopyBlock(int source, int destination) => Cache.Copy(source, destination);

    public void AssignSlot(int slot, ReadOnlySpan<int> prompt, ReadOnlySpan<int> output) => Step.Slots.Assign(slot, prompt, output);

    public void Begin(StepInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        Step.Begin(inputs, Cache);
    }

    public void Run(Action forward)
    {
        ArgumentNullException.ThrowIfNull(forward);
        forward();
    }

    public void Embed(Weights embedding)
    {
        var table = Matrix(embedding);
        var step = Step;
        for (int t = 0; t < step.TokenCount; t++)
        {
            int id = step.TokenIds[t];
            if ((uint)id >= (uint)table.Rows) throw new ArgumentOutOfRangeException(nameof(embedding), $"token {id} of {table.Rows}");
            table.CopyRow(id, step.Hidden + (long)t * Geometry.HiddenSize);
        }
    }

    public void NormQkvRopeStore(int layer, Weights norm, Weights qkv, Weights rope)
    {
        var step = Step;
        step.ComputeAngles((CpuRope)rope);
        step.Tiles.Cut(step.TokenCount);
        Pack(step.Hidden, Geometry.HiddenSize, Geometry.HiddenSize, norm);
        Multiply(Matrix(qkv), Epilogue.Store, step.Qkv, step.QkvStride, Geometry.QkvSize);
        var store = step.RopeStore;
        store.Geometry = Geometry;
        store.Cache = Cache;
        store.Layer = layer;
        store.Qkv = step.Qkv;
        store.QkvStride = step.QkvStride;
        store.Angles = step.Angles;
        store.Places = step.Places;
        RunSmall(store, step.TokenCount, 4);
    }

    public void Attend(int layer, int window)
    {
        var step = Step;
        var attention = step.Attention;
        attention.Cache = Cache;
        attention.Layer = layer;
        attention.Window = window;
        attention.Queries = step.Qkv;
        attention.QueryStride = step.QkvStride;
        attention.Destination = step.Attended;
        attention.Runs = step.Runs;
        attention.RunCount = step.RunCount;
        attention.BlockTables = step.BlockTables;
        attention.BlockTableStride = step.BlockTableStride;
        _pool.Run(attention, attention.Prepare());
        attention.Finish();
    }

    public void OutputAdd(Weights output, Weights next)
    {
        var step = Step;
        int width = Geometry.HeadCount * Geometry.HeadDim;
        step.Tiles.Cut(step.TokenCount);
        Pack(step.Attended, width, width, null);
        Multiply(Matrix(output), Epilogue.Add, step.Hidden, Geometry.HiddenSize, Geometry.HiddenSize);
    }

    public void NormGateUpSwiglu(Weights norm, Weights gateUp)
    {
        var step = Step;
        step.Tiles.Cut(step.TokenCount);
        Pack(step.Hidden, Geometry.HiddenSize, Geometry.HiddenSize, norm);
        Multiply(Matrix(gateUp), Epilogue.Swiglu, step.Mlp, Geometry.IntermediateSize, Geometry.IntermediateSize);
    }

    public void DownAdd(Weights down, Weights next)
    {
        var step = Step;
        step.Tiles.Cut(step.TokenCount);
        Pack(step.Mlp, Geometry.IntermediateSize, Geometry.IntermediateSize, null);
        Multiply(Matrix(down), Epilogue.Add, step.Hidden, Geometry.HiddenSize, Geometry.HiddenSize);
    }

    public void NormRouteExperts(Weights norm, Weights moe)
    {
        var step = Step;
        var weights = (CpuMoe)moe;
        int hidden = Geometry.HiddenSize;
        int tokens = step.TokenCount;
        var routing = step.Routing!;

        step.Tiles.Cut(tokens);
        Pack(step.Hidden, hidden, hidden, norm);
        Multiply(weights.Router, Epilogue.Store, step.RouterLogits, step.RouterStride, Geometry.ExpertCount + 1);
        routing.Route(step.RouterLogits, step.RouterStride, tokens);

        // A token adds up its experts in ascending order, then the shared one, whatever the others in the step chose.
        new Span<byte>(step.Mixed, checked((int)((long)tokens * hidden * sizeof(float)))).Clear();
        for (int e = 0; e < Geometry.ExpertCount; e++)
        {
            if (routing.Count(e) == 0) continue;
            Expert(norm, weights.GateUp[e], weights.Down[e], Geometry.ExpertIntermediateSize, routing.Count(e), routing.Rows(e), routing.Scales(e));
        }
        Expert(norm, weights.SharedGateUp, weights.SharedDown, Geometry.SharedExpertIntermediateSize, tokens, null, routing.SharedScales.Floats);
        for (long i = 0; i < (long)tokens * hidden; i++) step.Hidden[i] += step.Mixed[i];
    }

    public void NormLogits(Weights norm, Weights head)
    {
        var step = Step;
        if (step.LogitCount == 0) return;
        step.Tiles.Cut(step.LogitCount);
        Pack(step.Hidden, Geometry.HiddenSize, Geometry.HiddenSize, norm, step.LogitTokens);
        Multiply(Matrix(head), Epilogue.Store, step.Logits, step.LogitStride, Geometry.VocabularySize);
    }

    public void Sample(SamplingInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        var step = Step;
        for (int i = 0; i < inputs.Count; i++)
            if ((uint)inputs.Rows[i].LogitRow >= (uint)step.LogitCount)
                throw new ArgumentOutOfRangeException(nameof(inputs), $"row {inputs.Rows[i].LogitRow} of {step.LogitCount} rows of logits");
        var results = step.Results.Add(inputs.Count);
        var sampler = step.Sampler;
        sampler.Inputs = inputs;
        sampler.Results = results;
        sampler.Logits = step.Logits;
        sampler.LogitStride = step.LogitStride;
        _pool.Run(sampler, inputs.Count);
        for (int i = 0; i < inputs.Count; i++)
        {
            if (inputs.Rows[i].Target >= 0 || results.Status[i] != SampleStatus.Sampled) continue;
            step.Slots.Append(inputs.Rows[i].Slot, results.Tokens[i]);
        }
    }

    public void Complete(SamplingResults results)
    {
        ArgumentNullException.ThrowIfNull(results);
        Step.Results.Take(results);
    }

    public void ReadLogits(int row, Span<float> destination)
    {
        if ((uint)row >= (uint)Step.LogitCount) throw new ArgumentOutOfRangeException(nameof(row));
        new ReadOnlySpan<float>(Step.Logits + row * Step.LogitStride, Geometry.VocabularySize).CopyTo(destination);
    }

    public void ReadHidden(Weights norm, ReadOnlySpan<int> tokens, Span<float> destination)
    {
        var step = Step;
        int hidden = Geometry.HiddenSize;
        var weight = (CpuVector)norm;
        for (int i = 0; i < tokens.Length; i++)
        {
            if ((uint)tokens[i] >= (uint)step.TokenCount) throw new ArgumentOutOfRangeException(nameof(tokens), $"token {tokens[i]} of {step.TokenCount}");
            HiddenNorm.Apply(new ReadOnlySpan<float>(step.Hidden + (long)tokens[i] * hidden, hidden), new ReadOnlySpan<float>(weight.Values.Floats, hidden),
                Geometry.RmsNormEpsilon, destination.Slice(i * hidden, hidden));
        }
    }

    public void Dispose()
    {
        _pool.Dispose();
        _step?.Dispose();
        _cache?.Dispose();
        _arena.Close();
    }

    private static PackedMatrix Matrix(Weights weights) => ((CpuMatrix)weights).Matrix;

    private void Expert(Weights norm, PackedMatrix gateUp, PackedMatrix down, int width, int count, int* rows, float* scales)
    {
        var step = Step;
        step.Tiles.Cut(count);
        Pack(step.Hidden, Geometry.HiddenSize, Geometry.HiddenSize, norm, rows);
        Multiply(gateUp, Epilogue.Swiglu, step.Mlp, width, width);
        Pack(step.Mlp, width, width, null);
        Multiply(down, Epilogue.AddScaled, step.Mixed, Geometry.HiddenSize, Geometry.HiddenSize, rows, scales);
    }

    private void Pack(float* source, long stride, int columns, Weights? norm, int* rows = null)
    {
        var step = Step;
        if (step.Tiles.Rows == 1 && norm is null && columns % 2 == 0)
        {
            // One row in order of k is already what a tile of one row reads.
            step.Linear.Source = rows == null ? source : source + rows[0] * stride;
            return;
        }
        step.Linear.Source = step.Packed;
        var pack = step.PackRows;
        pack.Source = source;
        pack.SourceStride = stride;
        pack.Rows = rows;
        pack.Columns = columns;
        pack.NormWeight = norm is null ? null : ((CpuVector)norm).Values.Floats;
        pack.Epsilon = Geometry.RmsNormEpsilon;
        pack.Destination = step.Packed;
        RunSmall(pack, step.Tiles.Count, 1);
    }

    private void Multiply(
        PackedMatrix weights, Epilogue epilogue, float* destination, long stride, int columns, int* rows = null, float* scales = null)
    {
        var step = Step;
        var linear = step.Linear;
        linear.Weights = weights;
        linear.Epilogue = epilogue;
        linear.Destination = destination;
        linear.Stride = stride;
        linear.Columns = columns;
        linear.Rows = rows;
        linear.Scales = scales;
        _pool.Run(linear, linear.Prepare(_pool.Threads));
    }

    /// <summary>Waking the pool costs more than a few short items.</summary>
    private void RunSmall(IPoolJob job, int items, int alone)
    {
        if (items > alone)
        {
            _pool.Run(job, items);
            return;
        }
        for (int i = 0; i < items; i++) job.Execute(i, 0);
    }
}
