using System.ClientModel;
using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json;
using OpenAI;
using OpenAI.Embeddings;
using QwenServe.Hosting;

namespace QwenServe.Tests.Api;

/// <summary><c>/v1/embeddings</c> of the embedded model and of a checkpoint that is for nothing else.</summary>
public sealed class EmbeddingTests(EmbeddedServer embedded) : IClassFixture<EmbeddedServer>
{
    private const string Path = "/v1/embeddings";
    private const string Model = ModelLoading.EmbeddedName;

    private TestServer Server => embedded.Server;

    [Fact]
    public async Task Base64_holds_the_same_numbers_as_floats_do()
    {
        string body = $$"""{"model":"{{Model}}","input":["The sky is blue.","你好"],"user":"u","dimensions":null""";
        var floats = await PostAsync(body + ",\"encoding_format\":\"float\"}");
        var base64 = await PostAsync(body + ",\"encoding_format\":\"base64\"}");
        Assert.Equal(["object", "data", "model", "usage"], floats.EnumerateObject().Select(p => p.Name));
        Assert.Equal("list", floats.GetProperty("object").GetString());
        Assert.Equal(Model, floats.GetProperty("model").GetString());
        int tokens = ScriptedModel.Tokenizer.Encode("The sky is blue.").Length + ScriptedModel.Tokenizer.Encode("你好").Length;
        Assert.Equal(tokens, floats.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        Assert.Equal(tokens, floats.GetProperty("usage").GetProperty("total_tokens").GetInt32());
        foreach (var (one, other) in floats.GetProperty("data").EnumerateArray().Zip(base64.GetProperty("data").EnumerateArray()))
        {
            Assert.Equal("embedding", one.GetProperty("object").GetString());
            Assert.Equal(one.GetProperty("index").GetInt32(), other.GetProperty("index").GetInt32());
            float[] vector = Vector(one);
            Assert.Equal(vector, MemoryMarshal.Cast<byte, float>(other.GetProperty("embedding").GetBytesFromBase64()).ToArray());
            Assert.Equal(1, Length(vector), 1e-5);
        }
    }

    [Fact]
    public async Task An_input_gives_the_same_vector_alone_among_others_and_as_token_ids()
    {
        string[] texts = ["one", "Two words.", "And a somewhat longer sentence, 你好."];
        var together = (await PostAsync($$"""{"model":"{{Model}}","input":{{JsonSerializer.Serialize(texts)}}}""")).GetProperty("data").EnumerateArray().Select(Vector).ToList();
        string ids = JsonSerializer.Serialize(texts.Select(t => ScriptedModel.Tokenizer.Encode(t)));
        Assert.Equal(together, (await PostAsync($$"""{"model":"{{Model}}","input":{{ids}}}""")).GetProperty("data").EnumerateArray().Select(Vector));
        for (int i = 0; i < texts.Length; i++)
        {
            Assert.Equal(together[i], await OneAsync($"\"input\":{JsonSerializer.Serialize(texts[i])}"));
            Assert.Equal(together[i], await OneAsync($"\"input\":{JsonSerializer.Serialize(ScriptedModel.Tokenizer.Encode(texts[i]))}"));
        }
    }

    [Fact]
    public async Task Fewer_dimensions_are_the_first_ones_at_unit_length()
    {
        float[] raw = await OneAsync("\"input\":\"The sky.\",\"normalize\":false");
        float[] whole = await OneAsync("\"input\":\"The sky.\"");
        float[] some = await OneAsync("\"input\":\"The sky.\",\"dimensions\":10");
        Assert.NotEqual(1, Length(raw), 1e-2);
        Assert.Equal(raw.Length, whole.Length);
        Assert.All(raw.Select(v => v / Length(raw)).Zip(whole), p => Assert.Equal(p.First, p.Second, 1e-6));
        Assert.All(raw.Take(10).Select(v => v / Length(raw[..10])).Zip(some), p => Assert.Equal(p.First, p.Second, 1e-6));
        Assert.Equal(10, some.Length);
    }

    [Fact]
    public async Task The_mean_is_not_the_last_token_and_the_end_of_a_text_is_what_truncation_keeps()
    {
        float[] mean = await OneAsync("\"input\":\"The sky is blue.\",\"pooling\":\"mean\"");
        Assert.Equal(1, Length(mean), 1e-5);
        Assert.NotEqual(mean, await OneAsync("\"input\":\"The sky is blue.\",\"pooling\":\"last\""));
        int[] ids = ScriptedModel.Tokenizer.Encode("The sky is blue.");
        Assert.Equal(await OneAsync($"\"input\":{JsonSerializer.Serialize(ids[^2..])}"), await OneAsync($"\"input\":{JsonSerializer.Serialize(ids)},\"truncate_prompt_tokens\":2"));
        string messages = "\"messages\":[{\"role\":\"user\",\"content\":\"The sky.\"}]";
        Assert.Equal(1, Length(await OneAsync(messages)), 1e-5);
    }

    [Theory]
    [InlineData("", "input", "missing_required_parameter")]
    [InlineData(",\"input\":\"\"", "input", "invalid_value")]
    [InlineData(",\"input\":[]", "input", "empty_array")]
    [InlineData(",\"input\":[[]]", "input[0]", "empty_array")]
    [InlineData(",\"input\":7", "input", "invalid_type")]
    [InlineData(",\"input\":[\"a\",7]", "input[1]", "invalid_type")]
    [InlineData(",\"input\":[99999999]", "input", "invalid_value")]
    [InlineData(",\"input\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"b\"}]", "messages", "invalid_value")]
    [InlineData(",\"input\":\"a\",\"encoding_format\":\"hex\"", "encoding_format", "invalid_value")]
    [InlineData(",\"input\":\"a\",\"dimensions\":0", "dimensions", "integer_below_min_value")]
    [InlineData(",\"input\":\"a\",\"dimensions\":100000", "dimensions", "integer_above_max_value")]
    [InlineData(",\"input\":\"a\",\"pooling\":\"first\"", "pooling", "invalid_value")]
    [InlineData(",\"input\":\"a\",\"truncate_prompt_tokens\":0", "truncate_prompt_tokens", "invalid_value")]
    public async Task What_is_wrong_is_named(string fields, string param, string code)
    {
        using var response = await Server.PostAsync(Path, $$"""{"model":"{{Model}}"{{fields}}}""");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = (await TestServer.JsonAsync(response)).GetProperty("error");
        Assert.Equal(param, error.GetProperty("param").GetString());
        Assert.Equal(code, error.GetProperty("code").GetString());
    }

    [Fact]
    public async Task A_text_longer_than_the_context_and_too_many_of_them_are_refused()
    {
        using var longer = await Server.PostAsync(Path, $$"""{"model":"{{Model}}","input":"{{string.Concat(Enumerable.Repeat("word ", 5000))}}"}""");
        Assert.Equal(HttpStatusCode.BadRequest, longer.StatusCode);
        var error = (await TestServer.JsonAsync(longer)).GetProperty("error");
        Assert.Equal("context_length_exceeded", error.GetProperty("code").GetString());
        Assert.Equal("input", error.GetProperty("param").GetString());
        Assert.StartsWith("This model's maximum context length is 4096 tokens. However, your input resulted in ", error.GetProperty("message").GetString(), StringComparison.Ordinal);

        using var many = await Server.PostAsync(Path, $$"""{"model":"{{Model}}","input":{{JsonSerializer.Serialize(Enumerable.Repeat("a", 2049))}}}""");
        Assert.Equal("array_above_max_length", (await TestServer.JsonAsync(many)).GetProperty("error").GetProperty("code").GetString());
        using var unknown = await Server.PostAsync(Path, """{"model":"nothing","input":"a"}""");
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
    }

    [Fact]
    public async Task More_inputs_than_may_wait_are_answered_one_after_the_other()
    {
        await using var server = await TestServer.StartAsync(ModelLoading.LoadAsync, s => s with { Engine = s.Engine with { KvCacheMemory = 64 << 20, MaxNumWaiting = 3, MaxNumSeqs = 2 } });
        using var response = await server.PostAsync(Path, $$"""{"model":"{{Model}}","input":{{JsonSerializer.Serialize(Enumerable.Range(0, 100).Select(i => $"text {i}"))}}}""");
        var answer = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, answer.GetRawText());
        Assert.Equal(Enumerable.Range(0, 100), answer.GetProperty("data").EnumerateArray().Select(d => d.GetProperty("index").GetInt32()));
    }

    [Fact]
    public async Task A_chat_model_has_no_score_and_its_pooled_row_is_the_embedding()
    {
        using var score = await Server.PostAsync("/v1/score", $$"""{"model":"{{Model}}","text_1":"a","text_2":"b"}""");
        Assert.Equal(HttpStatusCode.BadRequest, score.StatusCode);
        var error = (await TestServer.JsonAsync(score)).GetProperty("error");
        Assert.Equal("model", error.GetProperty("param").GetString());
        Assert.Contains("no head to score with", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        using var pooled = await Server.PostAsync("/pooling", $$"""{"model":"{{Model}}","input":"The sky."}""");
        float[] row = [.. (await TestServer.JsonAsync(pooled)).GetProperty("data")[0].GetProperty("data").EnumerateArray().Select(v => v.GetSingle())];
        Assert.Equal(await OneAsync("\"input\":\"The sky.\""), row);
    }

    [Fact]
    public async Task A_checkpoint_for_embeddings_says_how_they_are_made()
    {
        string folder = System.IO.Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Fixtures", "embedding");
        var golden = JsonDocument.Parse(File.ReadAllText(System.IO.Path.Combine(folder, "pooled.json"))).RootElement;
        await using var server = await TestServer.StartAsync(ModelLoading.LoadAsync, s => s with { Model = s.Model with { Name = folder }, Engine = s.Engine with { KvCacheMemory = 4 << 20 } });
        string input = $"\"input\":{golden.GetProperty("text").GetRawText()}";
        AssertSameDirection(golden.GetProperty("mean"), await OneAsync(server, "embedding", input));
        AssertSameDirection(golden.GetProperty("last"), await OneAsync(server, "embedding", input + ",\"pooling\":\"last\""));

        using var chat = await server.PostAsync("/v1/chat/completions", """{"model":"embedding","messages":[{"role":"user","content":"x"}]}""");
        Assert.Equal(HttpStatusCode.BadRequest, chat.StatusCode);
        var error = (await TestServer.JsonAsync(chat)).GetProperty("error");
        Assert.Equal("model", error.GetProperty("param").GetString());
        Assert.Contains("generates no text", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Pooling_that_is_not_served_is_said_and_a_setting_overrides_it()
    {
        using var directory = new TemporaryDirectory();
        var tokenizer = ScriptedModel.Tokenizer;
        Assert.Equal(QwenServe.Engine.PoolingKind.Last, EmbeddingRecipe.Load(directory.Path, tokenizer, "auto").Pooling.Kind);
        Directory.CreateDirectory(System.IO.Path.Combine(directory.Path, "1_Pooling"));
        File.WriteAllText(System.IO.Path.Combine(directory.Path, "1_Pooling", "config.json"), """{"pooling_mode_mean_tokens": false, "pooling_mode_weightedmean_tokens": true}""");
        Assert.Contains("weightedmean", EmbeddingRecipe.Load(directory.Path, tokenizer, "auto").Unserved, StringComparison.Ordinal);
        Assert.Null(EmbeddingRecipe.Load(directory.Path, tokenizer, "mean").Unserved);
        Assert.Equal(QwenServe.Engine.PoolingKind.Mean, EmbeddingRecipe.Load(directory.Path, tokenizer, "mean").Pooling.Kind);
        File.WriteAllText(System.IO.Path.Combine(directory.Path, "modules.json"), """[{"type": "sentence_transformers.models.Transformer"}, {"type": "sentence_transformers.models.Dense"}]""");
        Assert.Contains("Dense", EmbeddingRecipe.Load(directory.Path, tokenizer, "auto").Unserved, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_sdk_for_dotnet_reads_the_vectors()
    {
        var client = new OpenAIClient(new ApiKeyCredential("key"), new OpenAIClientOptions { Endpoint = new Uri(Server.App.Address, "v1") }).GetEmbeddingClient(Model);
        var all = (await client.GenerateEmbeddingsAsync(["The sky.", "The sea."])).Value;
        Assert.Equal(await OneAsync("\"input\":\"The sky.\""), all[0].ToFloats().ToArray());
        Assert.Equal(1, all[1].Index);
        Assert.Equal(all.Usage.InputTokenCount, all.Usage.TotalTokenCount);
        var one = (await client.GenerateEmbeddingAsync("The sky.", new EmbeddingGenerationOptions { Dimensions = 12 })).Value;
        Assert.Equal(12, one.ToFloats().Length);
    }

    [NodeFact]
    public Task The_sdk_for_node_reads_the_vectors()
        => NodeProcess.RunAsync(["embeddings.mjs", new Uri(Server.App.Address, "v1").ToString()], []);

    private async Task<JsonElement> PostAsync(string body)
    {
        using var response = await Server.PostAsync(Path, body);
        var json = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, json.GetRawText());
        return json;
    }

    private Task<float[]> OneAsync(string fields) => OneAsync(Server, Model, fields);

    private static async Task<float[]> OneAsync(TestServer server, string model, string fields)
    {
        using var response = await server.PostAsync(Path, $$"""{"model":"{{model}}",{{fields}}}""");
        var json = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, json.GetRawText());
        return Vector(Assert.Single(json.GetProperty("data").EnumerateArray()));
    }

    private static float[] Vector(JsonElement item) => [.. item.GetProperty("embedding").EnumerateArray().Select(v => v.GetSingle())];

    private static double Length(float[] vector) => Math.Sqrt(vector.Sum(v => (double)v * v));

    private static void AssertSameDirection(JsonElement expected, float[] actual)
    {
        double[] row = [.. expected.EnumerateArray().Select(v => v.GetDouble())];
        double length = Math.Sqrt(row.Sum(v => v * v));
        Assert.Equal(row.Length, actual.Length);
        Assert.All(row.Zip(actual), p => Assert.Equal(p.First / length, p.Second, 1e-3));
    }
}
