using System.Buffers.Binary;
using System.Text.Json;
using QwenServe.Tests.Chat;
using QwenServe.Text.Chat;
using QwenServe.Text.Tokenization;

namespace QwenServe.Tests.EmbeddedModel;

/// <summary>The files of the model that is served by default.</summary>
public class EmbeddedModelTests
{
    private const string OwnSystem = "You are QwenServe's demonstration model, a very small assistant.";
    private const string QwenSystem = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";

    private static string Folder => Path.Combine(Repository.Root, "src", "EmbeddedModel");

    private static JsonElement Json(params string[] parts) => JsonDocument.Parse(File.ReadAllText(Path.Combine([Folder, .. parts]))).RootElement;

    [Fact]
    public void Has_four_to_six_million_parameters_in_at_most_twelve_megabytes()
    {
        using var file = File.OpenRead(Path.Combine(Folder, "model.safetensors"));
        Assert.InRange(file.Length, 1, 12_000_000);
        Span<byte> length = stackalloc byte[8];
        file.ReadExactly(length);
        var header = new byte[BinaryPrimitives.ReadInt64LittleEndian(length)];
        file.ReadExactly(header);
        long parameters = 0;
        foreach (var tensor in JsonDocument.Parse(header).RootElement.EnumerateObject().Where(t => t.Name != "__metadata__"))
        {
            Assert.Equal("BF16", tensor.Value.GetProperty("dtype").GetString());
            Assert.NotEqual("lm_head.weight", tensor.Name);
            parameters += tensor.Value.GetProperty("shape").EnumerateArray().Aggregate(1L, (n, d) => n * d.GetInt64());
        }
        Assert.InRange(parameters, 4_000_000, 6_000_000);
    }

    [Fact]
    public void Every_token_that_is_text_is_reached_by_its_own_text()
    {
        var tokenizer = Tokenizer.Load(Folder);
        int words = 0;
        for (int id = 0; id < tokenizer.VocabularySize; id++)
        {
            string text = tokenizer.TokenText(id);
            if (text.Contains('\uFFFD', StringComparison.Ordinal)) continue;
            words++;
            Assert.Equal([id], tokenizer.Encode(text));
        }
        Assert.InRange(words, 3_800, tokenizer.VocabularySize);
    }

    [SharedDataFact]
    public void Has_the_added_tokens_of_Qwen_with_their_flags()
    {
        using var qwen = JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.Shared!, "data", "qwen2.5-tokenizer", "tokenizer_config.json")));
        static (string?, bool)[] Added(JsonElement config) =>
            [.. config.GetProperty("added_tokens_decoder").EnumerateObject().OrderBy(t => int.Parse(t.Name, System.Globalization.CultureInfo.InvariantCulture))
                .Select(t => (t.Value.GetProperty("content").GetString(), t.Value.GetProperty("special").GetBoolean()))];
        var own = Added(Json("tokenizer_config.json"));
        Assert.Equal(22, own.Length);
        Assert.Equal(Added(qwen.RootElement), own);
    }

    [SharedDataFact]
    public void Renders_Qwens_prompt_format_with_a_system_prompt_of_its_own()
    {
        var own = ChatTemplate.Load(Folder);
        var qwen = ChatTemplate.Parse(File.ReadAllText(Path.Combine(Repository.Shared!, "data", "chat-templates", "Qwen2.5-Instruct.jinja")));
        for (int seed = 0; seed < 300; seed++)
        {
            var conversation = new ConversationGenerator(seed).Next();
            Assert.Equal(qwen.Render(conversation).Text.Replace(QwenSystem, OwnSystem, StringComparison.Ordinal), own.Render(conversation).Text);
        }
    }

    [Fact]
    public void Ends_with_the_stop_tokens_of_its_own_vocabulary_and_penalises_no_copying()
    {
        var tokenizer = Tokenizer.Load(Folder);
        var generation = Json("generation_config.json");
        Assert.Equal([tokenizer.FindAddedToken("<|im_end|>")!.Value, tokenizer.FindAddedToken("<|endoftext|>")!.Value],
            generation.GetProperty("eos_token_id").EnumerateArray().Select(t => t.GetInt32()));
        Assert.False(generation.TryGetProperty("repetition_penalty", out _));
    }
}
