using System.Globalization;
using QwenServe.Compute;

namespace QwenServe.Engine.Model;

/// <summary>
/// What a checkpoint's <c>config.json</c> says about the model, in the old spelling (torch_dtype, rope_theta, rope_scaling) or that of
/// transformers 5 (dtype, rope_parameters, layer_types). What is not served is refused here, by name.
/// </summary>
public sealed record QwenConfig
{
    private static readonly string[] Served =
    [
        "Qwen2ForCausalLM", "Qwen2MoeForCausalLM", "Qwen2Model", "Qwen2ForRewardModel", "Qwen2ForProcessRewardModel", "Qwen2ForSequenceClassification",
    ];

    public required ModelGeometry Geometry { get; init; }

    public required string Architecture { get; init; }

    /// <summary>What the architecture is for.</summary>
    public ModelTask Task { get; init; }

    /// <summary>The embedding table is the head, and no head is stored.</summary>
    public required bool TiedEmbeddings { get; init; }

    /// <summary>Query, key and value projections have a bias (only sparse models may go without).</summary>
    public required bool QkvBias { get; init; }

    public required double RopeTheta { get; init; }

    /// <summary>YaRN, or null for plain rotary embedding.</summary>
    public required RopeScaling? RopeScaling { get; init; }

    /// <summary>[LayerCount]; keys a query of the layer sees, its own included; 0 is all.</summary>
    public required IReadOnlyList<int> Windows { get; init; }

    /// <summary>[LayerCount]; the layer's MLP is a mixture of experts.</summary>
    public required IReadOnlyList<bool> SparseLayers { get; init; }

    /// <summary>Positions the model can serve: trained ones, times YaRN's factor.</summary>
    public required int MaxContextLength { get; init; }

    /// <summary>Why <see cref="MaxContextLength"/> is less than the checkpoint promises, or null.</summary>
    public string? ContextLimit { get; init; }

    public required IReadOnlyList<int> EosTokenIds { get; init; }

    /// <exception cref="CheckpointException">The file is missing or wrong, or describes a model that is not served.</exception>
    public static QwenConfig Load(string directory)
    {
        string file = Path.Combine(directory, "config.json");
        if (!File.Exists(file)) throw new CheckpointException($"{directory}: no config.json there; expected a Hugging Face checkpoint directory{Checkpoint.OtherWeights(directory)}");
        var config = JsonFields.Load(file);
        string architecture = config.StringList("architectures").FirstOrDefault()
            ?? (config.String("model_type") switch { "qwen2" => Served[0], "qwen2_moe" => Served[1], var other => other ?? "unknown" });
        if (!Served.Contains(architecture))
            throw new CheckpointException($"{config.File}: architecture {architecture} is not served; served are {string.Join(", ", Served[..^1])} and {Served[^1]}");
        if (config.Bool("is_causal") == false)
            throw new CheckpointException($"{config.File}: attention to later tokens (is_causal: false) is not served; a checkpoint with causal attention works");
        if (config.Object("quantization_config") is { } quantization)
            throw new CheckpointException($"{config.File}: quantization {Describe(quantization)} is not served; use the unquantized (BF16, F16 or F32) checkpoint of the model");
        if (config.String("hidden_act") is { } act && act != "silu")
            throw new CheckpointException($"{config.File}: activation '{act}' is not served; Qwen2 uses silu");

        bool sparse = architecture == Served[1];
        int layers = config.Required("num_hidden_layers"), heads = config.Required("num_attention_heads"), hidden = config.Required("hidden_size");
        int kvHeads = config.Integer("num_key_value_heads") ?? heads;
        int headDim = config.Integer("head_dim") ?? hidden / heads;
        if (kvHeads <= 0 || heads % kvHeads != 0) throw new CheckpointException($"{config.File}: {heads} query heads do not divide into {kvHeads} key-value heads");
        if (headDim <= 0 || headDim % 2 != 0) throw new CheckpointException($"{config.File}: a head of {headDim} dimensions cannot be rotated in pairs");

        int experts = sparse ? config.Required("num_experts") : 0;
        int sparseStep = config.Integer("decoder_sparse_step") ?? 1;
        int[] denseLayers = config.IntegerList("mlp_only_layers");
        bool[] sparseLayers = [.. Enumerable.Range(0, layers).Select(i =>
            experts > 0 && !denseLayers.Contains(i) && sparseStep > 0 && (i + 1) % sparseStep == 0)];
        int expertsPerToken = experts > 0 ? config.Required("num_experts_per_tok") : 0;
        if (expertsPerToken > experts) throw new CheckpointException($"{config.File}: {expertsPerToken} experts a token of {experts}");

        int maxPositions = config.Integer("max_position_embeddings") ?? 32768;
        var (theta, scaling) = Rope(config, maxPositions);
        int context = scaling is null ? maxPositions : (int)Math.Min(int.MaxValue, scaling.OriginalLength * scaling.Factor);
        string? limit = null;
        if (config.Object("dual_chunk_attention_config") is { } dualChunk)
        {
            // Within one chunk dual chunk attention is ordinary attention.
            int chunk = dualChunk.Integer("chunk_size") ?? 8192;
            if (context > chunk)
            {
                limit = string.Create(CultureInfo.InvariantCulture, $"dual chunk attention past {chunk} tokens is not served");
                context = chunk;
            }
        }

        return new QwenConfig
        {
            Architecture = architecture,
            Task = architecture switch
            {
                "Qwen2Model" => ModelTask.Embed,
                "Qwen2ForRewardModel" => ModelTask.Reward,
                "Qwen2ForProcessRewardModel" => ModelTask.ProcessReward,
                "Qwen2ForSequenceClassification" => ModelTask.Classify,
                _ => ModelTask.Generate,
            },
            Geometry = new ModelGeometry
            {
                HiddenSize = hidden,
                LayerCount = layers,
                HeadCount = heads,
                KvHeadCount = kvHeads,
                HeadDim = headDim,
                IntermediateSize = sparseLayers.All(s => s) && layers > 0 ? 0 : config.Required("intermediate_size"),
                VocabularySize = config.Required("vocab_size"),
                RmsNormEpsilon = (float)(config.Number("rms_norm_eps") ?? 1e-6),
                ExpertCount = experts,
                ExpertsPerToken = expertsPerToken,
                ExpertIntermediateSize = experts > 0 ? config.Required("moe_intermediate_size") : 0,
                SharedExpertIntermediateSize = experts > 0 ? config.Required("shared_expert_intermediate_size") : 0,
                NormalizeExpertWeights = config.Bool("norm_topk_prob") ?? false,
            },
            TiedEmbeddings = config.Bool("tie_word_embeddings") ?? false,
            QkvBias = config.Bool("qkv_bias") ?? true,
            RopeTheta = theta,
            RopeScaling = scaling,
            Windows = AttentionWindows(config, layers),
            SparseLayers = sparseLayers,
            MaxContextLength = context,
            ContextLimit = limit,
            EosTokenIds = config.IntegerList("eos_token_id"),
        };
    }

    private static (double Theta, RopeScaling? Scaling) Rope(JsonFields config, int maxPositions)
    {
        var parameters = config.Object("rope_parameters");
        var scaling = parameters ?? config.Object("rope_scaling");
        double theta = parameters?.Number("rope_theta") ?? config.Number("rope_theta") ?? 10000;
        string type = scaling?.String("rope_type") ?? scaling?.String("type") ?? "default";
        return type switch
        {
            "default" => (theta, null),
            "yarn" => (theta, RopeScaling.Yarn(scaling!.Value, maxPositions)),
            _ => throw new CheckpointException($"{config.File}: rope type '{type}' is not served; served are default and yarn"),
        };
    }

    /// <summary>sliding_window counts only where use_sliding_window is true: shipped checkpoints carry a window they do not use.</summary>
    private static int[] AttentionWindows(JsonFields config, int layers)
    {
        var windows = new int[layers];
        if (config.Bool("use_sliding_window") != true || config.Integer("sliding_window") is not { } window) return windows;
        string[] types = config.StringList("layer_types");
        if (types.Length != 0 && types.Length != layers) throw config.Wrong("layer_types", $"a list of {layers} names");
        int firstWindowed = config.Integer("max_window_layers") ?? 28;
        for (int i = 0; i < layers; i++)
        {
            bool windowed = types.Length == 0 ? i >= firstWindowed : types[i] switch
            {
                "sliding_attention" => true,
                "full_attention" => false,
                _ => throw new CheckpointException($"{config.File}: layer type '{types[i]}' is not served"),
            };
            if (windowed) windows[i] = window;
        }
        return windows;
    }

    private static string Describe(JsonFields quantization)
    {
        string method = quantization.String("quant_method") ?? "of unknown method";
        return quantization.Integer("bits") is { } bits ? $"{method} ({bits} bit)" : method;
    }
}
