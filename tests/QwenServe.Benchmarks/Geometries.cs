using System.Text.Json.Nodes;

namespace QwenServe.Benchmarks;

/// <summary>The published sizes of the family, as config.json spells them, and small ones that have its turns: for numbers, not for speed.</summary>
internal static class Geometries
{
    public static readonly IReadOnlyDictionary<string, JsonObject> ByName = new Dictionary<string, JsonObject>(StringComparer.OrdinalIgnoreCase)
    {
        ["0.5b"] = Dense(896, 24, 14, 2, 4864, 151936, tied: true),
        ["1.5b"] = Dense(1536, 28, 12, 2, 8960, 151936, tied: true),
        ["3b"] = Dense(2048, 36, 16, 2, 11008, 151936, tied: true),
        ["7b"] = Dense(3584, 28, 28, 4, 18944, 152064, tied: false),
        ["14b"] = Dense(5120, 48, 40, 8, 13824, 152064, tied: false),
        ["32b"] = Dense(5120, 64, 40, 8, 27648, 152064, tied: false),
        ["72b"] = Dense(8192, 80, 64, 8, 29568, 152064, tied: false),
        ["57b-a14b"] = Moe(3584, 28, 28, 4, 18944, 151936, experts: 64, perToken: 8, width: 2560, shared: 20480),
        ["1.5-moe-a2.7b"] = Moe(2048, 24, 16, 16, 5632, 151936, experts: 60, perToken: 4, width: 1408, shared: 5632),
        ["small-tied-64"] = Small(Dense(128, 3, 7, 1, 208, 1024, tied: true)),
        ["small-untied-128"] = Small(Dense(192, 2, 10, 2, 320, 1024, tied: false), headDim: 128),
        ["small-window"] = Small(Dense(128, 3, 4, 1, 192, 1024, tied: false), ("use_sliding_window", true), ("sliding_window", 16), ("max_window_layers", 1)),
        ["small-moe"] = Small(Moe(256, 2, 4, 4, 96, 1024, experts: 8, perToken: 3, width: 32, shared: 80)),
        ["small-moe-mixed"] = Small(Moe(256, 4, 4, 2, 96, 1024, experts: 6, perToken: 2, width: 48, shared: 64),
            ("norm_topk_prob", true), ("decoder_sparse_step", 2), ("mlp_only_layers", new JsonArray(3))),
    };

    /// <summary>A copy of a geometry, with fewer layers if asked.</summary>
    public static JsonObject Get(string name, int? layers)
    {
        if (!ByName.TryGetValue(name, out var geometry)) throw new ArgumentException($"no geometry '{name}'; there are {string.Join(", ", ByName.Keys)}");
        var copy = geometry.DeepClone().AsObject();
        if (layers is { } count) copy["num_hidden_layers"] = count;
        // Parsed anew, so that every number reads as whatever integer type is asked for.
        return JsonNode.Parse(copy.ToJsonString())!.AsObject();
    }

    private static JsonObject Small(JsonObject config, params ReadOnlySpan<(string Key, JsonNode Value)> more) => Small(config, 64, more);

    private static JsonObject Small(JsonObject config, int headDim, params ReadOnlySpan<(string Key, JsonNode Value)> more)
    {
        config["head_dim"] = headDim;
        config["max_position_embeddings"] = 4096;
        config["bos_token_id"] = null;
        config["eos_token_id"] = null;
        foreach (var (key, value) in more) config[key] = value;
        return config;
    }

    private static JsonObject Dense(int hidden, int layers, int heads, int kvHeads, int intermediate, int vocabulary, bool tied) => new()
    {
        ["architectures"] = new JsonArray("Qwen2ForCausalLM"),
        ["model_type"] = "qwen2",
        ["hidden_act"] = "silu",
        ["hidden_size"] = hidden,
        ["num_hidden_layers"] = layers,
        ["num_attention_heads"] = heads,
        ["num_key_value_heads"] = kvHeads,
        ["intermediate_size"] = intermediate,
        ["vocab_size"] = vocabulary,
        ["tie_word_embeddings"] = tied,
        ["max_position_embeddings"] = 32768,
        ["rms_norm_eps"] = 1e-6,
        ["rope_theta"] = 1000000.0,
        ["use_sliding_window"] = false,
        ["torch_dtype"] = "bfloat16",
        ["bos_token_id"] = 151643,
        ["eos_token_id"] = 151645,
    };

    private static JsonObject Moe(int hidden, int layers, int heads, int kvHeads, int intermediate, int vocabulary, int experts, int perToken, int width, int shared)
    {
        var config = Dense(hidden, layers, heads, kvHeads, intermediate, vocabulary, tied: false);
        config["architectures"] = new JsonArray("Qwen2MoeForCausalLM");
        config["model_type"] = "qwen2_moe";
        config["num_experts"] = experts;
        config["num_experts_per_tok"] = perToken;
        config["moe_intermediate_size"] = width;
        config["shared_expert_intermediate_size"] = shared;
        config["norm_topk_prob"] = false;
        config["decoder_sparse_step"] = 1;
        return config;
    }
}
