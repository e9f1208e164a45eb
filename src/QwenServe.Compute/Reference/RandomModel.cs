namespace QwenServe.Compute.Reference;

/// <summary>A model of any geometry with random weights, as tensors in host memory: what devices are compared on.</summary>
public sealed class RandomModel : IDisposable
{
    private readonly List<HostMemory> _memories = [];
    private readonly Random _random;

    /// <param name="geometry">Sizes; layers are sparse when it has experts.</param>
    /// <param name="type">Type of all tensors.</param>
    /// <param name="tied">Whether the embedding is also the head.</param>
    /// <param name="seed">Equal seeds give equal weights.</param>
    public RandomModel(ModelGeometry geometry, DType type, bool tied, int seed)
    {
        ArgumentNullException.ThrowIfNull(geometry);
        Geometry = geometry;
        Type = type;
        _random = new Random(seed);
        int h = geometry.HiddenSize, d = geometry.HeadDim;
        Embedding = Tensor("embed_tokens", geometry.VocabularySize, h, 1);
        Head = tied ? null : Tensor("lm_head", geometry.VocabularySize, h, 1 / Math.Sqrt(h));
        FinalNorm = Norm("norm");
        Layers = new Layer[geometry.LayerCount];
        for (int i = 0; i < Layers.Length; i++)
        {
            Layers[i] = new Layer
            {
                InputNorm = Norm("input_layernorm"),
                Qkv = [Linear("q_proj", geometry.HeadCount * d, h), Linear("k_proj", geometry.KvHeadCount * d, h),
                    Linear("v_proj", geometry.KvHeadCount * d, h)],
                QkvBias = [Tensor("q_proj.bias", 1, geometry.HeadCount * d, 0.5), Tensor("k_proj.bias", 1, geometry.KvHeadCount * d, 0.5),
                    Tensor("v_proj.bias", 1, geometry.KvHeadCount * d, 0.5)],
                Output = Linear("o_proj", h, geometry.HeadCount * d),
                MlpNorm = Norm("post_attention_layernorm"),
                Mlp = geometry.ExpertCount > 0 ? null : Mlp(geometry.IntermediateSize),
                Moe = geometry.ExpertCount == 0 ? null : new MoeSource
                {
                    Router = Linear("gate", geometry.ExpertCount, h),
                    Experts = [.. Enumerable.Range(0, geometry.ExpertCount).Select(_ => Mlp(geometry.ExpertIntermediateSize))],
                    SharedExpert = Mlp(geometry.SharedExpertIntermediateSize),
                    SharedExpertGate = Linear("shared_expert_gate", 1, h),
                },
            };
        }
    }

    public ModelGeometry Geometry { get; }

    public DType Type { get; }

    public HostTensor Embedding { get; }

    /// <summary>Null when tied.</summary>
    public HostTensor? Head { get; }

    public HostTensor FinalNorm { get; }

    internal Layer[] Layers { get; }

    /// <summary>Loads all weights into a device, which must not have been configured yet.</summary>
    /// <param name="device">The device.</param>
    /// <param name="weightType">Convert to this type on the way; null keeps the tensors' own.</param>
    public LoadedModel Load(IDevice device, DType? weightType = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        device.Configure(Geometry, weightType);
        var embedding = device.LoadEmbedding(Embedding, tied: Head is null);
        float[] frequencies = new float[Geometry.HeadDim / 2];
        for (int i = 0; i < frequencies.Length; i++) frequencies[i] = (float)Math.Pow(10_000, -2.0 * i / Geometry.HeadDim);
        return new LoadedModel(device)
        {
            Embedding = embedding,
            Head = Head is { } head ? device.LoadLinear([head], []) : embedding,
            FinalNorm = device.LoadVector(FinalNorm),
            Rope = device.LoadRope(frequencies, 1.1f, 4096),
            Layers = [.. Layers.Select(l => new LoadedLayer
            {
                InputNorm = device.LoadVector(l.InputNorm),
                Qkv = device.LoadLinear(l.Qkv, l.QkvBias),
                Output = device.LoadLinear([l.Output], []),
                MlpNorm = device.LoadVector(l.MlpNorm),
                GateUp = l.Mlp is { } mlp ? device.LoadGateUp(mlp.Gate, mlp.Up) : null,
                Down = l.Mlp is { } m ? device.LoadLinear([m.Down], []) : null,
                Moe = l.Moe is { } moe ? device.LoadMoe(moe) : null,
            })],
        };
    }

    public void Dispose()
    {
        foreach (var memory in _memories) memory.Dispose();
    }

    private HostTensor Norm(string name)
    {
        float[] values = new float[Geometry.HiddenSize];
        for (int i = 0; i < values.Length; i++) values[i] = 0.5f + _random.NextSingle();
        return Store(name, 1, values.Length, values);
    }

    private (HostTensor Gate, HostTensor Up, HostTensor Down) Mlp(int width)
        => (Linear("gate_proj", width, Geometry.HiddenSize), Linear("up_proj", width, Geometry.HiddenSize),
            Linear("down_proj", Geometry.HiddenSize, width));

    private HostTensor Linear(string name, int rows, int columns) => Tensor(name, rows, columns, 1 / Math.Sqrt(columns));

    private HostTensor Tensor(string name, int rows, int columns, double deviation)
    {
        float[] values = new float[(long)rows * columns];
        for (int i = 0; i < values.Length; i++)
            values[i] = (float)(deviation * Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble()));
        return Store(name, rows, columns, values);
    }

    private HostTensor Store(string name, int rows, int columns, float[] values)
    {
        HostMemory memory;
        if (Type == DType.F32) memory = HostMemory.CopyOf<float>(values);
        else
        {
            ushort[] narrow = new ushort[values.Length];
            for (int i = 0; i < narrow.Length; i++) narrow[i] = Cpu.PackedMatrix.Narrow(values[i], Type);
            memory = HostMemory.CopyOf<ushort>(narrow);
        }
        _memories.Add(memory);
        return new HostTensor(name, Type, rows, columns, memory, 0);
    }

    internal sealed class Layer
    {
        public required HostTensor InputNorm { get; init; }

        public required HostTensor[] Qkv { get; init; }

        public required HostTensor[] QkvBias { get; init; }

        public required HostTensor Output { get; init; }

        public required HostTensor MlpNorm { get; init; }

        public required (HostTensor Gate, HostTensor Up, HostTensor Down)? Mlp { get; init; }

        public required MoeSource? Moe { get; init; }
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
        device.OutputAdd(l.Output);
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
        device.DownAdd(l.Down!);
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
