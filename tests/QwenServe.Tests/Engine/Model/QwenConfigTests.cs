using System.Text.Json.Nodes;
using QwenServe.Engine.Model;

namespace QwenServe.Tests.Engine.Model;

public sealed class QwenConfigTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Old_and_new_spellings_of_rope_mean_the_same()
    {
        var old = Load(c => { c["rope_theta"] = 1e6; c["rope_scaling"] = Parse("""{"type":"yarn","factor":4.0,"original_max_position_embeddings":32768}"""); });
        var modern = Load(c => { c.Remove("rope_theta"); c["rope_parameters"] = Parse("""{"rope_type":"yarn","rope_theta":1000000.0,"factor":4.0,"original_max_position_embeddings":32768}"""); });
        Assert.Equal(old.RopeTheta, modern.RopeTheta);
        Assert.Equal(old.RopeScaling, modern.RopeScaling);
        Assert.Equal(131072, old.MaxContextLength);
    }

    [Fact]
    public void Yarn_of_the_model_cards_has_the_published_frequencies()
    {
        var config = Load(c => { c["rope_theta"] = 1e6; c["rope_scaling"] = Parse("""{"type":"yarn","factor":4.0,"original_max_position_embeddings":32768}"""); });
        var frequencies = RopeScaling.InverseFrequencies(128, config.RopeTheta, config.RopeScaling);
        Assert.Equal(1.138629436111989, config.RopeScaling!.AttentionFactor, 12);
        (int Pair, double Expected)[] published = [(0, 1), (23, 0.006978305848598663), (31, 0.0008029597275452302), (40, 4.445698525097307e-05), (63, 3.102344401879299e-07)];
        foreach (var (pair, expected) in published) Assert.InRange(frequencies[pair] / expected, 1 - 1e-6, 1 + 1e-6);
    }

    [Fact]
    public void A_sliding_window_counts_only_where_it_is_switched_on()
    {
        Assert.All(Load(c => { c["sliding_window"] = 32; c["max_window_layers"] = 0; c["use_sliding_window"] = false; }).Windows, w => Assert.Equal(0, w));
        Assert.Equal([0, 32], Load(c => { c["num_hidden_layers"] = 2; c["sliding_window"] = 32; c["max_window_layers"] = 1; c["use_sliding_window"] = true; }).Windows);
    }

    [Fact]
    public void Sparse_layers_follow_step_and_exceptions()
    {
        var config = Load(c =>
        {
            c["architectures"] = new JsonArray("Qwen2MoeForCausalLM");
            c["num_hidden_layers"] = 6;
            c["num_experts"] = 8; c["num_experts_per_tok"] = 2; c["moe_intermediate_size"] = 4; c["shared_expert_intermediate_size"] = 4;
            c["decoder_sparse_step"] = 2; c["mlp_only_layers"] = new JsonArray(3);
        });
        Assert.Equal([false, true, false, false, false, true], config.SparseLayers);
    }

    [Fact]
    public void A_million_token_checkpoint_is_served_up_to_one_chunk()
    {
        var config = Load(c =>
        {
            c["max_position_embeddings"] = 1010000;
            c["dual_chunk_attention_config"] = Parse("""{"chunk_size":262144,"local_size":8192,"original_max_position_embeddings":262144}""");
        });
        Assert.Equal(262144, config.MaxContextLength);
        Assert.Contains("dual chunk attention", config.ContextLimit, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"architectures":["LlamaForCausalLM"]}""", "LlamaForCausalLM is not served")]
    [InlineData("""{"quantization_config":{"quant_method":"gptq","bits":4}}""", "gptq (4 bit)")]
    [InlineData("""{"quantization_config":{"quant_method":"fp8"}}""", "fp8")]
    [InlineData("""{"rope_scaling":{"type":"longrope"}}""", "longrope")]
    [InlineData("""{"hidden_act":"gelu"}""", "gelu")]
    [InlineData("""{"hidden_size":"large"}""", "'hidden_size' must be a number")]
    [InlineData("""{"hidden_size":null}""", "'hidden_size' is missing")]
    [InlineData("""{"hidden_size":-8}""", "must be positive")]
    [InlineData("""{"num_key_value_heads":3}""", "do not divide")]
    public void What_is_not_served_is_refused_by_name(string change, string message)
    {
        var error = Assert.Throws<CheckpointException>(() => Load(c =>
        {
            foreach (var (name, value) in Parse(change)) c[name] = value?.DeepClone();
        }));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    private QwenConfig Load(Action<JsonObject> change)
    {
        var config = Parse(SafetensorsWriter.TinyConfig);
        change(config);
        File.WriteAllText(_directory.File("config.json"), config.ToJsonString());
        return QwenConfig.Load(_directory.Path);
    }

    private static JsonObject Parse(string json) => JsonNode.Parse(json)!.AsObject();
}
