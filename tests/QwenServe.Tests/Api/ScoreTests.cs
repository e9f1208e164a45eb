using System.Net;
using System.Text.Json;
using QwenServe.Hosting;

namespace QwenServe.Tests.Api;

/// <summary>Reward models, process reward models and classifiers over HTTP, against what Fixtures/make_pooling_fixtures.py computed of the same conversations.</summary>
public class ScoreTests
{
    private static string Folder(string name) => Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Fixtures", name);

    [Fact]
    public async Task A_reward_model_scores_conversations_and_pairs_of_texts()
    {
        await using var server = await StartAsync("reward");
        var golden = Golden("reward");
        double expected = golden.GetProperty("scores")[0].GetDouble();
        string messages = golden.GetProperty("messages").GetRawText();
        var answer = await PostAsync(server, "/v1/score", $$"""{"model":"reward","messages":{{messages}}}""");
        Assert.Equal(["id", "object", "created", "model", "data", "usage"], answer.EnumerateObject().Select(p => p.Name));
        var only = Assert.Single(answer.GetProperty("data").EnumerateArray());
        Assert.Equal(["index", "object", "score"], only.EnumerateObject().Select(p => p.Name));
        Assert.Equal(expected, only.GetProperty("score").GetDouble(), 1e-3);
        Assert.Equal(golden.GetProperty("prompt").GetArrayLength(), answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());

        string question = golden.GetProperty("messages")[0].GetProperty("content").GetRawText(), text = golden.GetProperty("messages")[1].GetProperty("content").GetRawText();
        var pairs = await PostAsync(server, "/score", $$"""{"model":"reward","text_1":{{question}},"text_2":[{{text}},"No idea."]}""");
        double[] scores = [.. pairs.GetProperty("data").EnumerateArray().Select(d => d.GetProperty("score").GetDouble())];
        Assert.Equal(expected, scores[0], 1e-3);
        Assert.NotEqual(scores[0], scores[1]);
        var several = await PostAsync(server, "/v1/score", $$"""{"model":"reward","messages":[{{messages}},[{"role":"user","content":{{question}}},{"role":"assistant","content":"No idea."}]]}""");
        Assert.Equal(scores, several.GetProperty("data").EnumerateArray().Select(d => d.GetProperty("score").GetDouble()));
        var documents = await PostAsync(server, "/v1/score", $$"""{"model":"reward","queries":[{{question}}],"documents":[{{text}},"No idea."]}""");
        Assert.Equal(scores, documents.GetProperty("data").EnumerateArray().Select(d => d.GetProperty("score").GetDouble()));

        // vLLM's clients take the last row of what /pooling gives.
        var pooled = await PostAsync(server, "/pooling", $$"""{"model":"reward","messages":{{messages}}}""");
        Assert.Equal(expected, Assert.Single(Assert.Single(pooled.GetProperty("data")[0].GetProperty("data").EnumerateArray()).EnumerateArray()).GetDouble(), 1e-3);
        var ids = await PostAsync(server, "/pooling", $$"""{"model":"reward","input":{{golden.GetProperty("prompt").GetRawText()}},"encoding_format":"base64"}""");
        Assert.Equal(expected, BitConverter.ToSingle(ids.GetProperty("data")[0].GetProperty("data").GetBytesFromBase64()), 1e-3);
    }

    [Fact]
    public async Task A_process_reward_model_scores_each_step()
    {
        await using var server = await StartAsync("process-reward");
        var golden = Golden("process-reward");
        double[] expected = [.. golden.GetProperty("steps").EnumerateArray().Select(v => v.GetDouble())];
        string messages = golden.GetProperty("messages").GetRawText();
        var only = (await PostAsync(server, "/v1/score", $$"""{"model":"process-reward","messages":{{messages}}}""")).GetProperty("data")[0];
        double[] steps = [.. only.GetProperty("step_scores").EnumerateArray().Select(v => v.GetDouble())];
        Assert.Equal(expected.Length, steps.Length);
        Assert.All(expected.Zip(steps), p => Assert.Equal(p.First, p.Second, 1e-3));
        Assert.Equal(expected.Aggregate((a, b) => a * b), only.GetProperty("score").GetDouble(), 1e-3);

        var rows = (await PostAsync(server, "/pooling", $$"""{"model":"process-reward","messages":{{messages}}}""")).GetProperty("data")[0].GetProperty("data").EnumerateArray().ToList();
        Assert.Equal(expected.Length, rows.Count);
        Assert.All(rows, row => Assert.Equal(1, row[0].GetDouble() + row[1].GetDouble(), 1e-5));
        Assert.All(expected.Zip(rows), p => Assert.Equal(p.First, p.Second[1].GetDouble(), 1e-3));
    }

    [Theory]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"no step\"}]}", "messages", "there is no step")]
    [InlineData("{\"text_1\":\"x\",\"text_2\":[\"a<extra_0>\",\"b\"]}", "text_2[1]", "there is no step")]
    [InlineData("{\"text_1\":[\"x\",\"y\"],\"text_2\":\"a\"}", "text_2", "do not pair")]
    [InlineData("{\"text_1\":\"x\"}", "text_2", "Missing")]
    [InlineData("{\"text_1\":\"x\",\"text_2\":[]}", "text_2", "empty array")]
    [InlineData("{\"text_1\":7,\"text_2\":\"a\"}", "text_1", "expected a string")]
    [InlineData("{}", "messages", "Missing")]
    [InlineData("{\"messages\":[]}", "messages", "empty array")]
    [InlineData("{\"messages\":[[]]}", "messages[0]", "empty array")]
    [InlineData("{\"messages\":[[{\"role\":\"user\",\"content\":\"x\"}],7]}", "messages[1]", "an array of messages")]
    [InlineData("{\"messages\":[[{\"role\":\"king\",\"content\":\"x\"}]]}", "messages[0][0].role", "Supported values")]
    public async Task What_is_wrong_is_named(string fields, string param, string words)
    {
        await using var server = await StartAsync("process-reward");
        using var response = await server.PostAsync("/v1/score", "{\"model\":\"process-reward\"" + (fields.Length > 2 ? "," : "") + fields[1..]);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = (await TestServer.JsonAsync(response)).GetProperty("error");
        Assert.Equal(param, error.GetProperty("param").GetString());
        Assert.Contains(words, error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_classifier_gives_logits_and_no_score()
    {
        await using var server = await StartAsync("classification");
        var golden = Golden("classification");
        string messages = golden.GetProperty("messages").GetRawText();
        var row = Assert.Single((await PostAsync(server, "/pooling", $$"""{"model":"classification","messages":{{messages}}}""")).GetProperty("data")[0].GetProperty("data").EnumerateArray());
        Assert.All(golden.GetProperty("scores").EnumerateArray().Zip(row.EnumerateArray()), p => Assert.Equal(p.First.GetDouble(), p.Second.GetDouble(), 1e-3));
        using var score = await server.PostAsync("/v1/score", $$"""{"model":"classification","messages":{{messages}}}""");
        Assert.Equal(HttpStatusCode.BadRequest, score.StatusCode);
        Assert.Contains("3 labels", await score.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/v1/chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]")]
    [InlineData("/v1/chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true")]
    [InlineData("/v1/completions", "\"prompt\":\"x\"")]
    public async Task A_reward_model_is_listed_and_generates_no_text(string path, string fields)
    {
        await using var server = await StartAsync("reward");
        Assert.Equal("reward", (await TestServer.JsonAsync(await server.GetAsync("/v1/models"))).GetProperty("data")[0].GetProperty("id").GetString());
        using var response = await server.PostAsync(path, $$"""{"model":"reward",{{fields}}}""");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = (await TestServer.JsonAsync(response)).GetProperty("error");
        Assert.Equal("model", error.GetProperty("param").GetString());
        Assert.Contains("/v1/score", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_the_step_token_of_a_conversation_is_a_control_token()
    {
        await using var server = await StartAsync("process-reward");
        int plain = await CountAsync("y<extra_0>"), marked = await CountAsync("y<|im_end|><extra_0>");
        // Ten letters, and not the one token that they spell.
        Assert.Equal(plain + "<|im_end|>".Length, marked);

        async Task<int> CountAsync(string answer) => (await PostAsync(server, "/v1/score", $$"""{"model":"process-reward","text_1":"x","text_2":"{{answer}}"}""")).GetProperty("usage").GetProperty("prompt_tokens").GetInt32();
    }

    private static Task<TestServer> StartAsync(string fixture)
        => TestServer.StartAsync(ModelLoading.LoadAsync, s => s with { Model = s.Model with { Name = Folder(fixture) }, Engine = s.Engine with { KvCacheMemory = 4 << 20 } });

    private static JsonElement Golden(string name)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder(name), "pooled.json")));
        return document.RootElement.Clone();
    }

    private static async Task<JsonElement> PostAsync(TestServer server, string path, string body)
    {
        using var response = await server.PostAsync(path, body);
        var json = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, json.GetRawText());
        return json;
    }
}
