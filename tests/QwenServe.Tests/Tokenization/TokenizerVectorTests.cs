using System.Globalization;
using System.Text.Json;
using QwenServe.Text.Tokenization;

namespace QwenServe.Tests.Tokenization;

/// <summary>The real vocabulary against ids made by other implementations (transformers and llama.cpp).</summary>
public sealed class TokenizerVectorTests
{
    private static readonly Lazy<Tokenizer> Qwen = new(() => Tokenizer.Load(Path.Combine(Repository.Shared!, "data", "qwen2.5-tokenizer")));

    [SharedDataFact]
    public void Gives_the_ids_of_transformers()
    {
        using var vectors = JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.Shared!, "data", "tokenizer-vectors", "hf_vectors.json")));
        Assert.NotEqual(0, vectors.RootElement.GetArrayLength());
        foreach (var vector in vectors.RootElement.EnumerateArray())
            Assert.Equal(vector.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()), Qwen.Value.Encode(vector.GetProperty("text").GetString()!));
    }

    [SharedDataFact]
    public void Gives_the_ids_of_llama_cpp()
    {
        var folder = Path.Combine(Repository.Shared!, "data", "tokenizer-vectors");
        var texts = File.ReadAllText(Path.Combine(folder, "ggml-vocab-qwen2.gguf.inp")).Split("\n__ggml_vocab_test__\n");
        var ids = File.ReadAllLines(Path.Combine(folder, "ggml-vocab-qwen2.gguf.out"));
        Assert.True(ids.Length > 40);
        for (var i = 0; i < ids.Length; i++)
        {
            var expected = ids[i].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(id => int.Parse(id, CultureInfo.InvariantCulture));
            Assert.Equal(expected, Qwen.Value.Encode(texts[i]));
        }
    }

    [SharedDataFact]
    public void Knows_which_added_tokens_are_control_tokens()
    {
        var qwen = Qwen.Value;
        Assert.Equal(151665, qwen.VocabularySize);
        Assert.Equal(151645, qwen.FindAddedToken("<|im_end|>"));
        Assert.True(qwen.IsSpecial(151645));
        Assert.Equal(151657, qwen.FindAddedToken("<tool_call>"));
        Assert.False(qwen.IsSpecial(151657));
        Assert.Null(qwen.FindAddedToken("<think>"));
        int[] ids = [151644, .. qwen.Encode("hi "), 151657, 151645];
        Assert.Equal("hi <tool_call>", qwen.Decode(ids, skipSpecialTokens: true));
        Assert.Equal("<|im_start|>hi <tool_call><|im_end|>", qwen.Decode(ids, skipSpecialTokens: false));
    }
}
