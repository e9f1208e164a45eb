namespace QwenServe.Compute.Reference;

/// <summary>A model of any geometry with random weights: what devices are compared and timed on.</summary>
public sealed class RandomModel
{
    /// <summary>Large tensors repeat a run of this many numbers, a prime, so that rows differ and gigabytes are filled quickly.</summary>
    private const int Period = 1_048_573;

    private readonly DType _type;
    private readonly bool _tied;
    private readonly int _seed;
    private int _tensors;

    /// <param name="geometry">Sizes; layers are sparse when it has experts.</param>
    /// <param name="type">Type of all tensors.</param>
    /// <param name="tied">Whether the embedding is also the head.</param>
    /// <param name="seed">Equal seeds give equal weights.</param>
    public RandomModel(ModelGeometry geometry, DType type, bool tied, int seed)
    {
        ArgumentNullException.ThrowIfNull(geometry);
        Geometry = geometry;
        _type = type;
        _tied = tied;
        _seed = seed;
    }

    public ModelGeometry Geometry { get; }

    /// <summary>Makes the tensors and loads them, one at a time, into a device that has not been configured yet.</summary>
    /// <param name="device">The device.</param>
    /// <param name="weightType">Convert to this type on the way; null keeps the tensors' own.</param>
    public LoadedModel Load(IDevice device, DType? weightType = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        device.Configure(Geometry, weightType);
        _tensors = 0;
        int h = Geometry.HiddenSize;
        float[] frequencies = new float[Geometry.HeadDim / 2];
        for (int i = 0; i < frequencies.Length; i++) frequencies[i] = (float)Math.Pow(10_000, -2.0 * i / Geometry.HeadDim);
        var embedding = Load([Tensor("embed_tokens", Geometry.VocabularySize, h, 1)], t => device.LoadEmbedding(t[0], _tied));
        return new LoadedModel(device)
        {
            Embedding = embedding,
            Head = _tied ? embedding : Load([Linear("lm_head", Geometry.VocabularySize, h)], t => device.LoadLinear(t, [])),
            FinalNorm = Load([Norm("norm")], t => device.LoadVector(t[0])),
            Rope = device.LoadRope(frequencies, 1.1f, 4096),
            Layers = [.. Enumerable.Range(0, Geometry.LayerCount).Select(_ => LoadLayer(device))],
        };
    }

    private LoadedLayer LoadLayer(IDevice device)
    {
        int h = Geometry.HiddenSize, q = Geometry.HeadCount * Geometry.HeadDim, kv = Geometry.KvHeadCount * Geometry.HeadDim;
        bool sparse = Geometry.ExpertCount > 0;
        return new LoadedLayer
        {
            InputNorm = Load([Norm("input_layernorm")], t => device.LoadVector(t[0])),
            Qkv = Load(
                [Linear("q_proj", q, h), Linear("k_proj", kv, h), Linear("v_proj", kv, h),
                    Tensor("q_proj.bias", 1, q, 0.5), Tensor("k_proj.bias", 1, kv, 0.5), Tensor("v_proj.bias", 1, kv, 0.5)],
                t => device.LoadLinear(t.AsSpan(0, 3), t.AsSpan(3))),
            Output = Load([Linear("o_proj", h, q)], t => device.LoadLinear(t, [])),
            MlpNorm = Load([Norm("post_attention_layernorm")], t => device.LoadVector(t[0])),
            GateUp = sparse ? null : Load(
                [Linear("gate_proj", Geometry.IntermediateSize, h), Linear("up_proj", Geometry.IntermediateSize, h)],
                t => device.LoadGateUp(t[0], t[1])),
            Down = sparse ? null : Load([Linear("down_proj", h, Geometry.IntermediateSize)], t => device.LoadLinear(t, [])),
            Moe = sparse ? LoadMoe(device) : null,
        };
    }

    private Weights LoadMoe(IDevice device)
    {
        int h = Geometry.HiddenSize;
        var tensors = new List<HostTensor> { Linear("gate", Geometry.ExpertCount, h), Linear("shared_expert_gate", 1, h) };
        for (int e = 0; e <= Geometry.ExpertCount; e++)
        {
            int width = e == Geometry.ExpertCount ? Geometry.SharedExpertIntermediateSize : Geometry.ExpertIntermediateSize;
            tensors.AddRange([Linear("gate_proj", width, h), Linear("up_proj", width, h), Linear("down_proj", h, width)]);
        }
        return Load([.. tensors], t => device.LoadMoe(new MoeSource
        {
            Router = t[0],
            SharedExpertGate = t[1],
            Experts = [.. Enumerable.Range(0, Geometry.ExpertCount).Select(e => (t[2 + 3 * e], t[3 + 3 * e], t[4 + 3 * e]))],
            SharedExpert = (t[^3], t[^2], t[^1]),
        }));
    }

    private static Weights Load(HostTensor[] tensors, Func<HostTensor[], Weights> load)
    {
        try
        {
            return load(tensors);
        }
        finally
        {
            foreach (var tensor in tensors) tensor.Memory.Dispose();
        }
    }

    private HostTensor Linear(string name, int rows, int columns) => Tensor(name, rows, columns, 1 / Math.Sqrt(columns));

    private HostTensor Norm(string name)
    {
        var random = new Random(_seed + _tensors++);
        return Store(name, 1, Geometry.HiddenSize, () => 0.5f + random.NextSingle());
    }

    private HostTensor Tensor(string name, int rows, int columns, double deviation)
    {
        var random = new Random(_seed + _tensors++);
        return Store(name, rows, columns, () => (float)(deviation
            * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())));
    }

    private unsafe HostTensor Store(string name, int rows, int columns, Func<float> next)
    {
        long count = (long)rows * columns;
        int size = _type.Size();
        var memory = HostMemory.Allocate(count * size);
        byte* to = memory.Pointer;
        for (long i = 0; i < Math.Min(count, Period); i++)
        {
            float value = next();
            if (_type == DType.F32) ((float*)to)[i] = value;
            else ((ushort*)to)[i] = Cpu.PackedMatrix.Narrow(value, _type);
        }
        for (long done = Period; done < count; done += Period)
            Buffer.MemoryCopy(to, to + done * size, (count - done) * size, Math.Min(Period, count - done) * size);
        return new HostTensor(name, _type, rows, columns, memory, 0);
    }
}

/// <summary>A <see cref="RandomModel"/> on a device.</summary>
public sealed class LoadedModel(IDevice device) : IDisposable
{
    public IDevice Device => device;

    public required Weights Embedding { get; init; }

    public required Weights Head { get; init; }

    public required Weights FinalNorm { get; init; }

    public required Weights Rope { get; init; }

    public required LoadedLayer[] Layers { get; init; }

    public long Bytes => Embedding.Bytes + (ReferenceEquals(Head, Embedding) ? 0 : Head.Bytes) + Layers.Sum(l => l.Bytes);

    /// <summary>The whole pass, from ids to logits.</summary>
    public void Forward(int window)
    {
        device.Embed(Embedding);
        for (int i = 0; i < Layers.Length; i++)
        {
            Attention(i, window);
            Mlp(i);
        }
        device.NormLogits(FinalNorm, Head);
    }

    public void Attention(int layer, int window)
    {
        var l = Layers[layer];
        device.NormQkvRopeStore(layer, l.InputNorm, l.Qkv, Rope);
        device.Attend(layer, window);
        device.OutputAdd(l.Output, l.MlpNorm);
    }

    public void Mlp(int layer)
    {
        var l = Layers[layer];
        if (l.Moe is not null)
        {
            device.NormRouteExperts(l.MlpNorm, l.Moe);
            return;
        }
        device.NormGateUpSwiglu(l.MlpNorm, l.GateUp!);
        device.DownAdd(l.Down!, layer + 1 < Layers.Length ? Layers[layer + 1].InputNorm : FinalNorm);
    }

    public void Dispose()
    {
        Embedding.Dispose();
        if (!ReferenceEquals(Head, Embedding)) Head.Dispose();
        FinalNorm.Dispose();
        Rope.Dispose();
        foreach (var layer in Layers) layer.Dispose();
    }
}

public sealed class LoadedLayer : IDisposable
{
    public required Weights InputNorm { get; init; }

    public required Weights Qkv { get; init; }

    public required Weights Output { get; init; }

    public required Weights MlpNorm { get; init; }

    public required Weights? GateUp { get; init; }

    public required Weights? Down { get; init; }

    public required Weights? Moe { get; init; }

    public long Bytes => InputNorm.Bytes + Qkv.Bytes + Output.Bytes + MlpNorm.Bytes + (GateUp?.Bytes ?? 0) + (Down?.Bytes ?? 0) + (Moe?.Bytes ?? 0);

    public void Dispose()
    {
        InputNorm.Dispose();
        Qkv.Dispose();
        Output.Dispose();
        MlpNorm.Dispose();
        GateUp?.Dispose();
        Down?.Dispose();
        Moe?.Dispose();
    }
}
