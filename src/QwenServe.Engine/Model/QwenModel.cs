using QwenServe.Compute;

namespace QwenServe.Engine.Model;

/// <summary>How far loading is, in bytes of tensors.</summary>
public readonly record struct LoadProgress(long Loaded, long Total);

/// <summary>
/// A Qwen2 or Qwen2-MoE model on a device. The forward pass is written once, here; what an operation computes is in
/// <see cref="IDevice"/>, and how is the device's own business.
/// Source: "Qwen2 Technical Report" (Yang et al. 2024) and transformers' modeling_qwen2 and modeling_qwen2_moe.
/// </summary>
public sealed class QwenModel : IDisposable
{
    private readonly IDevice _device;
    private readonly List<Weights> _owned = [];
    private readonly Layer[] _layers;
    private readonly Weights _embedding, _rope, _finalNorm;
    private readonly Weights? _head;

    /// <summary>A layer's weights; the MLP is dense (GateUp and Down) or sparse (Experts).</summary>
    private sealed record Layer(Weights AttentionNorm, Weights Qkv, Weights Output, Weights MlpNorm, Weights? GateUp, Weights? Down, Weights? Experts, int Window);

    private QwenModel(Checkpoint checkpoint, IDevice device, DType? weightType, int maxContextLength, IProgress<LoadProgress>? progress)
    {
        _device = device;
        Config = checkpoint.Config;
        var geometry = Config.Geometry;
        long loaded = 0, total = checkpoint.Bytes;
        // What was saved as a bare Qwen2Model (embedding checkpoints) has no prefix, and no head whatever its config.json calls it.
        string root = checkpoint.Has("embed_tokens.weight") && !checkpoint.Has("model.embed_tokens.weight") ? "" : "model.";
        bool headless = Config.Task != ModelTask.Generate || (root.Length == 0 && !Config.TiedEmbeddings && !checkpoint.Has("lm_head.weight"));
        device.Configure(geometry, weightType);

        try
        {
            _embedding = Own(device.LoadEmbedding(Counted(checkpoint.Matrix(root + "embed_tokens.weight", geometry.VocabularySize, geometry.HiddenSize)), Config.TiedEmbeddings));
            _rope = Own(device.LoadRope(RopeScaling.InverseFrequencies(geometry.HeadDim, Config.RopeTheta, Config.RopeScaling),
                (float)(Config.RopeScaling?.AttentionFactor ?? 1), maxContextLength));
            _layers = [.. Enumerable.Range(0, geometry.LayerCount).Select(LoadLayer)];
            _finalNorm = Vector(root + "norm.weight");
            // With tied embeddings some checkpoints store the head too; the table wins, as in transformers. Reward models may carry one that nobody uses.
            if (Config.TiedEmbeddings || headless) checkpoint.Ignore("lm_head.weight");
            Score = ScoreHead.Load(checkpoint);
            _head = headless ? null : Config.TiedEmbeddings ? _embedding
                : Own(device.LoadLinear([Counted(checkpoint.Matrix("lm_head.weight", geometry.VocabularySize, geometry.HiddenSize))], []));
            checkpoint.RequireAllTaken();
        }
        catch
        {
            Dispose();
            throw;
        }

        Layer LoadLayer(int index)
        {
            string layer = $"{root}layers.{index}.", attention = layer + "self_attn.", mlp = layer + "mlp.";
            int hidden = geometry.HiddenSize, queries = geometry.HeadCount * geometry.HeadDim, keys = geometry.KvHeadCount * geometry.HeadDim;
            return new Layer(
                Vector(layer + "input_layernorm.weight"),
                Own(device.LoadLinear(
                    [Matrix(attention + "q_proj.weight", queries, hidden), Matrix(attention + "k_proj.weight", keys, hidden), Matrix(attention + "v_proj.weight", keys, hidden)],
                    Config.QkvBias
                        ? [Counted(checkpoint.Vector(attention + "q_proj.bias", queries)), Counted(checkpoint.Vector(attention + "k_proj.bias", keys)), Counted(checkpoint.Vector(attention + "v_proj.bias", keys))]
                        : [])),
                Own(device.LoadLinear([Matrix(attention + "o_proj.weight", hidden, queries)], [])),
                Vector(layer + "post_attention_layernorm.weight"),
                Config.SparseLayers[index] ? null : Own(device.LoadGateUp(
                    Matrix(mlp + "gate_proj.weight", geometry.IntermediateSize, hidden), Matrix(mlp + "up_proj.weight", geometry.IntermediateSize, hidden))),
                Config.SparseLayers[index] ? null : Own(device.LoadLinear([Matrix(mlp + "down_proj.weight", hidden, geometry.IntermediateSize)], [])),
                Config.SparseLayers[index] ? Own(device.LoadMoe(Experts(mlp))) : null,
                Config.Windows[index]);
        }

        MoeSource Experts(string mlp) => new()
        {
            Router = Matrix(mlp + "gate.weight", geometry.ExpertCount, geometry.HiddenSize),
            Experts = checkpoint.Has(mlp + "experts.gate_up_proj") ? FusedExperts(mlp)
                : [.. Enumerable.Range(0, geometry.ExpertCount).Select(e => Mlp($"{mlp}experts.{e}.", geometry.ExpertIntermediateSize))],
            SharedExpert = Mlp(mlp + "shared_expert.", geometry.SharedExpertIntermediateSize),
            SharedExpertGate = Matrix(mlp + "shared_expert_gate.weight", 1, geometry.HiddenSize),
        };

        // transformers 5 may save all experts of a layer as one tensor: [E, 2I, H] with the gates above the ups, and [E, H, I].
        List<(HostTensor, HostTensor, HostTensor)> FusedExperts(string mlp)
        {
            int width = geometry.ExpertIntermediateSize, hidden = geometry.HiddenSize;
            var gateUp = checkpoint.Matrices(mlp + "experts.gate_up_proj", geometry.ExpertCount, 2L * width, hidden);
            var down = checkpoint.Matrices(mlp + "experts.down_proj", geometry.ExpertCount, hidden, width);
            return [.. gateUp.Zip(down, (g, d) => (
                Counted(g with { Rows = width }),
                Counted(g with { Rows = width, Offset = g.Offset + (long)width * hidden * g.Type.Size() }),
                Counted(d)))];
        }

        (HostTensor Gate, HostTensor Up, HostTensor Down) Mlp(string prefix, int width) => (
            Matrix(prefix + "gate_proj.weight", width, geometry.HiddenSize),
            Matrix(prefix + "up_proj.weight", width, geometry.HiddenSize),
            Matrix(prefix + "down_proj.weight", geometry.HiddenSize, width));

        Weights Vector(string name) => Own(device.LoadVector(Counted(checkpoint.Vector(name, geometry.HiddenSize))));

        HostTensor Matrix(string name, long rows, long columns) => Counted(checkpoint.Matrix(name, rows, columns));

        HostTensor Counted(HostTensor tensor)
        {
            progress?.Report(new LoadProgress(loaded += tensor.Bytes, total));
            return tensor;
        }
    }

    public QwenConfig Config { get; }

    /// <summary>Brings a checkpoint's weights to a device. The checkpoint may be disposed afterwards.</summary>
    /// <param name="checkpoint">The opened files.</param>
    /// <param name="device">A device without a model.</param>
    /// <param name="weightType">Convert weights to this type; null keeps each tensor's own.</param>
    /// <param name="maxContextLength">Positions to prepare rotary tables for.</param>
    /// <param name="progress">Told after each tensor.</param>
    /// <exception cref="CheckpointException">A tensor is missing, misshapen or surplus, or the device's memory is too small.</exception>
    public static QwenModel Load(Checkpoint checkpoint, IDevice device, DType? weightType, int maxContextLength, IProgress<LoadProgress>? progress = null)
    {
        long needed = checkpoint.BytesAs(weightType), available = device.AvailableMemory;
        if (needed > available)
            throw new CheckpointException($"{checkpoint.Directory}: the weights take {Gigabytes(needed)}, the device ({device.Kind}) has {Gigabytes(available)} free; "
                + "a smaller model of the family, or a device with more memory, would work");
        return new QwenModel(checkpoint, device, weightType, maxContextLength, progress);
    }

    /// <summary>The forward pass of the step that the device has begun, up to the logits of the wanted positions.</summary>
    public void Forward()
    {
        _device.Embed(_embedding);
        for (int i = 0; i < _layers.Length; i++)
        {
            var layer = _layers[i];
            _device.NormQkvRopeStore(i, layer.AttentionNorm, layer.Qkv, _rope);
            _device.Attend(i, layer.Window);
            _device.OutputAdd(layer.Output, layer.MlpNorm);
            if (layer.Experts is not null)
            {
                _device.NormRouteExperts(layer.MlpNorm, layer.Experts);
                continue;
            }
            _device.NormGateUpSwiglu(layer.MlpNorm, layer.GateUp!);
            _device.DownAdd(layer.Down!, i + 1 < _layers.Length ? _layers[i + 1].AttentionNorm : _finalNorm);
        }
        if (_head is not null) _device.NormLogits(_finalNorm, _head);
    }

    /// <summary>Whether <see cref="Forward"/> ends in logits.</summary>
    public bool Generates => _head is not null;

    /// <summary>What reads the scores of a reward model from hidden states; null for others.</summary>
    public ScoreHead? Score { get; }

    /// <summary>Hidden states after the last norm, [tokens, HiddenSize], at tokens of the step in hand, by index.</summary>
    public void ReadHidden(ReadOnlySpan<int> tokens, Span<float> destination) => _device.ReadHidden(_finalNorm, tokens, destination);

    public void Dispose()
    {
        foreach (var weights in _owned) weights.Dispose();
        _owned.Clear();
    }

    private Weights Own(Weights weights)
    {
        _owned.Add(weights);
        return weights;
    }

    private static string Gigabytes(long bytes) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{bytes / 1e9:0.0} GB");
}
