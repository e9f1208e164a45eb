using QwenServe.Compute.Cpu;

namespace QwenServe.Compute.Reference;

/// <summary>
/// The oracle: every operation as a plain loop in double precision, written to be checked by eye against the paper and not to be
/// fast. Other devices are compared with it operation by operation and over whole models.
///
/// It rounds where storage rounds and nowhere else: weights when converted, keys and values in the cache, activations between
/// operations to fp32.
/// </summary>
public sealed class ReferenceDevice : IDevice
{
    private ModelGeometry? _geometry;
    private DType? _weightType;
    private bool[] _hasToken = [];
    private StepLimits _limits;

    private float[] _cache = [];
    private int _blocks;
    private int _blockSize;
    private DType _kvType;

    private int _tokens;
    private int _logitCount;
    private int[] _ids = [];
    private int[] _positions = [];
    private int[] _sequenceOf = [];
    private int[] _blockTables = [];
    private int _blockTableStride;
    private int[] _logitTokens = [];
    private float[] _h = [];
    private float[] _q = [];
    private float[] _a = [];
    private float[] _m = [];
    private float[] _logits = [];

    private Slot[] _slots = [];
    private readonly Queue<SamplingResults> _pending = new();

    public string Description => "plain loops in double precision";

    public string Kind => "reference";

    public DType DefaultKvType => DType.F32;

    private ModelGeometry G => _geometry ?? throw new InvalidOperationException("Configure comes first");

    public void Configure(ModelGeometry geometry, DType? weightType)
    {
        _geometry = geometry;
        _weightType = weightType;
        _hasToken = new bool[geometry.VocabularySize];
        Array.Fill(_hasToken, true);
    }

    public Weights LoadVector(HostTensor source) => new Matrix([Read(source, null)]);

    public Weights LoadLinear(ReadOnlySpan<HostTensor> parts, ReadOnlySpan<HostTensor> biases)
    {
        float[]? bias = biases.IsEmpty ? null : Concatenate(biases, null);
        return new Linear(Concatenate(parts, _weightType), bias);
    }

    public Weights LoadGateUp(HostTensor gate, HostTensor up) => new Matrix([Read(gate, _weightType), Read(up, _weightType)]);

    public Weights LoadEmbedding(HostTensor table, bool tied) => new Linear(Read(table, _weightType), null);

    public Weights LoadMoe(MoeSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return new Moe
        {
            Router = Read(source.Router, _weightType),
            Experts = [.. source.Experts.Select(e => (Read(e.Gate, _weightType), Read(e.Up, _weightType), Read(e.Down, _weightType)))],
            SharedExpert = (Read(source.SharedExpert.Gate, _weightType), Read(source.SharedExpert.Up, _weightType),
                Read(source.SharedExpert.Down, _weightType)),
            SharedExpertGate = Read(source.SharedExpertGate, _weightType),
        };
    }

    public Weights LoadRope(ReadOnlySpan<float> inverseFrequencies, float scale, int maxPositions)
        => new Matrix([inverseFrequencies.ToArray(), [scale]]);

    public void SetVocabulary(ReadOnlySpan<uint> tokenIds)
    {
        for (int id = 0; id < _hasToken.Length; id++)
            _hasToken[id] = id / 32 < tokenIds.Length && (tokenIds[id / 32] >> (id % 32) & 1) != 0;
    }

    public void AllocateStep(StepLimits limits)
    {
        _limits = limits;
        _slots = new Slot[limits.Sequences];
        for (int i = 0; i < _slots.Length; i++) _slots[i] = new Slot();
    }

    public long AvailableMemory => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    public long KvCacheBudget(double utilization) => 64 << 20;

    public void AllocateKvCache(int blocks, int blockSize, DType type)
    {
        _blocks = blocks;
        _blockSize = blockSize;
        _kvType = type;
        _cache = new float[blocks * blockSize * G.KvElementsPerToken];
    }

    public void CopyBlock(int source, int destination)
    {
        for (int layer = 0; layer < G.LayerCount; layer++)
        {
            for (int value = 0; value < 2; value++)
            {
                for (int head = 0; head < G.KvHeadCount; head++)
                {
                    for (int i = 0; i < _blockSize; i++)
                    {
                        Array.Copy(
                            _cache,
                            CacheIndex(layer, value, head, source * _blockSize + i),
                            _cache,
                            CacheIndex(layer, value, head, destination * _blockSize + i),
                            G.HeadDim);
                    }
                }
            }
        }
    }

    public void AssignSlot(int slot, ReadOnlySpan<int> prompt, ReadOnlySpan<int> output)
    {
        _slots[slot] = new Slot { Last = output.IsEmpty ? 0 : output[^1] };
        foreach (int token in prompt) _slots[slot].Prompt.Add(token);
        foreach (int token in output) _slots[slot].Count(token);
    }

    public void Begin(StepInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        if (inputs.TokenCount > _limits.Tokens || inputs.SequenceCount > _limits.Sequences || inputs.LogitCount > _limits.LogitRows)
            throw new ArgumentException($"the step exceeds {_limits}", nameof(inputs));
        _tokens = inputs.TokenCount;
        _logitCount = inputs.LogitCount;
        _positions = inputs.Positions[.._tokens];
        _ids = inputs.TokenIds[.._tokens];
        _sequenceOf = new int[_tokens];
        for (int s = 0; s < inputs.SequenceCount; s++)
        {
            for (int t = inputs.QueryStarts[s]; t < inputs.QueryStarts[s + 1]; t++)
            {
                _sequenceOf[t] = s;
                if (_ids[t] == StepInputs.SampledInSlot) _ids[t] = _slots[inputs.Slots[s]].Last;
            }
        }
        _blockTables = (int[])inputs.BlockTables.Clone();
        _blockTableStride = inputs.BlockTableStride;
        _logitTokens = inputs.LogitTokens[.._logitCount];
        _h = new float[(long)_tokens * G.HiddenSize];
        _q = new float[(long)_tokens * G.HeadCount * G.HeadDim];
        _a = new float[(long)_tokens * G.HeadCount * G.HeadDim];
        _logits = new float[(long)_logitCount * G.VocabularySize];
    }

    public void Run(Action forward)
    {
        ArgumentNullException.ThrowIfNull(forward);
        forward();
    }

    public void Embed(Weights embedding)
    {
        var table = (Linear)embedding;
        for (int t = 0; t < _tokens; t++) Array.Copy(table.Values, (long)_ids[t] * G.HiddenSize, _h, (long)t * G.HiddenSize, G.HiddenSize);
    }

    public void NormQkvRopeStore(int layer, Weights norm, Weights qkv, Weights rope)
    {
        int d = G.HeadDim;
        float[] frequencies = ((Matrix)rope).Parts[0];
        float scale = ((Matrix)rope).Parts[1][0];
        for (int t = 0; t < _tokens; t++)
        {
            float[] y = Multiply((Linear)qkv, Normalize(_h, t, (Matrix)norm));
            for (int head = 0; head < G.HeadCount + G.KvHeadCount; head++) Rotate(y.AsSpan(head * d, d), _positions[t], frequencies, scale);
            Array.Copy(y, 0, _q, (long)t * G.HeadCount * d, G.HeadCount * d);
            for (int value = 0; value < 2; value++)
            {
                for (int head = 0; head < G.KvHeadCount; head++)
                {
                    long to = CacheIndex(layer, value, head, Place(t, _positions[t]));
                    int from = (G.HeadCount + value * G.KvHeadCount + head) * d;
                    for (int i = 0; i < d; i++) _cache[to + i] = Round(y[from + i], _kvType);
                }
            }
        }
    }

    public void Attend(int layer, int window)
    {
        int d = G.HeadDim;
        int ratio = G.HeadCount / G.KvHeadCount;
        for (int t = 0; t < _tokens; t++)
        {
            int position = _positions[t];
            int first = window > 0 ? Math.Max(0, position - window + 1) : 0;
            for (int head = 0; head < G.HeadCount; head++)
            {
                long q = ((long)t * G.HeadCount + head) * d;
                double[] scores = new double[position + 1 - first];
                double maximum = double.NegativeInfinity;
                for (int j = first; j <= position; j++)
                {
                    long k = CacheIndex(layer, 0, head / ratio, Place(t, j));
                    double s = 0;
                    for (int i = 0; i < d; i++) s += (double)_q[q + i] * _cache[k + i];
                    scores[j - first] = s / Math.Sqrt(d);
                    maximum = Math.Max(maximum, scores[j - first]);
                }
                double total = 0;
                double[] sum = new double[d];
                for (int j = first; j <= position; j++)
                {
                    double p = Math.Exp(scores[j - first] - maximum);
                    long v = CacheIndex(layer, 1, head / ratio, Place(t, j));
                    total += p;
                    for (int i = 0; i < d; i++) sum[i] += p * _cache[v + i];
                }
                for (int i = 0; i < d; i++) _a[q + i] = (float)(sum[i] / total);
            }
        }
    }

    public void OutputAdd(Weights output, Weights next) => AddProduct(_a, G.HeadCount * G.HeadDim, (Linear)output);

    public void NormGateUpSwiglu(Weights norm, Weights gateUp)
    {
        var parts = ((Matrix)gateUp).Parts;
        _m = new float[(long)_tokens * G.IntermediateSize];
        for (int t = 0; t < _tokens; t++)
        {
            float[] y = Swiglu(parts[0], parts[1], Normalize(_h, t, (Matrix)norm));
            Array.Copy(y, 0, _m, (long)t * G.IntermediateSize, y.Length);
        }
    }

    public void DownAdd(Weights down, Weights next) => AddProduct(_m, G.IntermediateSize, (Linear)down);

    public void NormRouteExperts(Weights norm, Weights moe)
    {
        var weights = (Moe)moe;
        for (int t = 0; t < _tokens; t++)
        {
            float[] x = Normalize(_h, t, (Matrix)norm);
            float[] logits = Multiply(weights.Router, x);
            double maximum = logits.Max();
            double[] p = [.. logits.Select(l => Math.Exp(l - maximum))];
            double total = p.Sum();
            int[] chosen = [.. Enumerable.Range(0, p.Length).OrderByDescending(e => p[e]).Take(G.ExpertsPerToken)];
            double kept = G.NormalizeExpertWeights ? chosen.Sum(e => p[e]) : total;
            double[] sum = new double[G.HiddenSize];
            foreach (int e in chosen.Order())
            {
                float[] y = Multiply(weights.Experts[e].Down, Swiglu(weights.Experts[e].Gate, weights.Experts[e].Up, x));
                for (int i = 0; i < sum.Length; i++) sum[i] += p[e] / kept * y[i];
            }
            double gate = 1 / (1 + Math.Exp(-Multiply(weights.SharedExpertGate, x)[0]));
            float[] shared = Multiply(weights.SharedExpert.Down, Swiglu(weights.SharedExpert.Gate, weights.SharedExpert.Up, x));
            for (int i = 0; i < sum.Length; i++)
                _h[(long)t * G.HiddenSize + i] = (float)(_h[(long)t * G.HiddenSize + i] + sum[i] + gate * shared[i]);
        }
    }

    public void NormLogits(Weights norm, Weights head)
    {
        for (int r = 0; r < _logitCount; r++)
        {
            float[] y = Multiply((Linear)head, Normalize(_h, _logitTokens[r], (Matrix)norm));
            Array.Copy(y, 0, _logits, (long)r * G.VocabularySize, y.Length);
        }
    }

    /// <summary>Replaces the logits of the step in hand, so that sampling can be compared on another device's.</summary>
    public void SetLogits(float[] logits) => _logits = logits;

    public void Sample(SamplingInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        var results = new SamplingResults(Math.Max(1, inputs.Count)) { Count = inputs.Count };
        for (int i = 0; i < inputs.Count; i++)
        {
            ref readonly var row = ref inputs.Rows[i];
            var logits = _logits.AsSpan(row.LogitRow * G.VocabularySize, G.VocabularySize);
            ReferenceSampler.Sample(inputs, i, logits, _hasToken, _slots[row.Slot].Prompt, _slots[row.Slot].Output, results);
        }
        for (int i = 0; i < inputs.Count; i++)
            if (inputs.Rows[i].Target < 0 && results.Status[i] == SampleStatus.Sampled) _slots[inputs.Rows[i].Slot].Count(results.Tokens[i]);
        _pending.Enqueue(results);
    }

    public void Complete(SamplingResults results)
    {
        ArgumentNullException.ThrowIfNull(results);
        var source = _pending.Dequeue();
        results.Count = source.Count;
        Array.Copy(source.Tokens, results.Tokens, source.Count);
        Array.Copy(source.Status, results.Status, source.Count);
        Array.Copy(source.LogProbs, results.LogProbs, source.Count);
        Array.Copy(source.TopTokens, results.TopTokens, source.Count * SamplingResults.MaxTopLogProbs);
        Array.Copy(source.TopLogProbs, results.TopLogProbs, source.Count * SamplingResults.MaxTopLogProbs);
    }

    public void ReadLogits(int row, Span<float> destination)
        => _logits.AsSpan(row * G.VocabularySize, G.VocabularySize).CopyTo(destination);

    public void ReadHidden(Weights norm, ReadOnlySpan<int> tokens, Span<float> destination)
    {
        for (int i = 0; i < tokens.Length; i++) Normalize(_h, tokens[i], (Matrix)norm).CopyTo(destination[(i * G.HiddenSize)..]);
    }

    public void Dispose()
    {
    }

    private void AddProduct(float[] x, int width, Linear linear)
    {
        for (int t = 0; t < _tokens; t++)
        {
            float[] y = Multiply(linear, x.AsSpan(t * width, width));
            for (int i = 0; i < y.Length; i++) _h[(long)t * G.HiddenSize + i] += y[i];
        }
    }

    private float[] Normalize(float[] h, int token, Matrix weight)
    {
        var x = h.AsSpan(token * G.HiddenSize, G.HiddenSize);
        double squares = 0;
        foreach (float v in x) squares += (double)v * v;
        double inverse = 1 / Math.Sqrt(squares / x.Length + G.RmsNormEpsilon);
        float[] y = new float[x.Length];
        for (int i = 0; i < y.Length; i++) y[i] = (float)(x[i] * inverse * weight.Parts[0][i]);
        return y;
    }

    private static void Rotate(Span<float> head, int position, float[] frequencies, float scale)
    {
        int half = head.Length / 2;
        for (int i = 0; i < half; i++)
        {
            // transformers forms the angle in fp32; at long positions the rounding of the product matters more than the device does.
            double angle = position * frequencies[i];
            double cos = Math.Cos(angle) * scale, sin = Math.Sin(angle) * scale;
            double a = head[i], b = head[i + half];
            head[i] = (float)(a * cos - b * sin);
            head[i + half] = (float)(b * cos + a * sin);
        }
    }

    private static float[] Swiglu(float[] gate, float[] up, ReadOnlySpan<float> x)
    {
        float[] g = Multiply(gate, x);
        float[] u = Multiply(up, x);
        for (int i = 0; i < g.Length; i++) g[i] = (float)(g[i] / (1 + Math.Exp(-g[i])) * u[i]);
        return g;
    }

    private static float[] Multiply(Linear linear, ReadOnlySpan<float> x)
    {
        float[] y = Multiply(linear.Values, x);
        for (int i = 0; i < y.Length && linear.Bias is not null; i++) y[i] += linear.Bias[i];
        return y;
    }

    private static float[] Multiply(float[] matrix, ReadOnlySpan<float> x)
    {
        float[] y = new float[matrix.Length / x.Length];
        for (int r = 0; r < y.Length; r++)
        {
            double sum = 0;
            for (int i = 0; i < x.Length; i++) sum += (double)matrix[(long)r * x.Length + i] * x[i];
            y[r] = (float)sum;
        }
        return y;
    }

    private int Place(int token, int position)
        => _blockTables[_sequenceOf[token] * _blockTableStride + position / _blockSize] * _blockSize + position % _blockSize;

    private long CacheIndex(int layer, int value, int head, int place)
        => ((((long)layer * 2 + value) * G.KvHeadCount + head) * _blocks * _blockSize + place) * G.HeadDim;

    private static float[] Concatenate(ReadOnlySpan<HostTensor> parts, DType? type)
    {
        var all = new List<float>();
        foreach (var part in parts) all.AddRange(Read(part, type));
        return [.. all];
    }

    private static float[] Read(HostTensor tensor, DType? type)
    {
        float[] values = new float[tensor.Rows * tensor.Columns];
        for (long i = 0; i < values.Length; i++)
        {
            var bytes = tensor.Memory.Slice(tensor.Offset + i * tensor.Type.Size(), tensor.Type.Size());
            float value = tensor.Type == DType.F32
                ? BitConverter.ToSingle(bytes)
                : PackedMatrix.Widen(BitConverter.ToUInt16(bytes), tensor.Type);
            values[i] = Round(value, type ?? tensor.Type);
        }
        return values;
    }

    private static float Round(float value, DType type)
        => type == DType.F32 ? value : PackedMatrix.Widen(PackedMatrix.Narrow(value, type), type);

    private sealed class Slot
    {
        public int Last { get; set; }

        public HashSet<int> Prompt { get; } = [];

        public Dictionary<int, int> Output { get; } = [];

        public void Count(int token)
        {
            Output[token] = Output.GetValueOrDefault(token) + 1;
            Last = token;
        }
    }

    private sealed class Matrix(float[][] parts) : Weights
    {
        public float[][] Parts => parts;

        public override long Bytes => parts.Sum(p => p.Length * 4L);

        public override void Dispose()
        {
        }
    }

    private sealed class Linear(float[] values, float[]? bias) : Weights
    {
        public float[] Values => values;

        public float[]? Bias => bias;

        public override long Bytes => values.Length * 4L;

        public override void Dispose()
        {
        }
    }

    private sealed class Moe : Weights
    {
        public required float[] Router { get; init; }

        public required (float[] Gate, float[] Up, float[] Down)[] Experts { get; init; }

        public required (float[] Gate, float[] Up, float[] Down) SharedExpert { get; init; }

        public required float[] SharedExpertGate { get; init; }

        public override long Bytes => 4 * (Router.LongLength + Experts.Sum(e => e.Gate.LongLength * 3));

        public override void Dispose()
        {
        }
    }
}
