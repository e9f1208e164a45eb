using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using QwenServe.Hosting;

namespace QwenServe.Tests.Api;

public class StructuredOutputTests(EmbeddedServer embedded) : IClassFixture<EmbeddedServer>
{
    private const string Chat = "/v1/chat/completions";

    private const string PersonSchema = """
        {"type":"object","properties":{
          "name":{"type":"string","minLength":1,"maxLength":12},
          "age":{"type":"integer","minimum":0,"maximum":120},
          "tags":{"type":"array","items":{"enum":["red","green",3]},"minItems":1,"maxItems":3},
          "address":{"anyOf":[{"type":"object","properties":{"zip":{"type":"string","pattern":"^[0-9]{5}$"}},"required":["zip"],"additionalProperties":false},{"type":"null"}]}},
         "required":["name","age","tags","address"],"additionalProperties":false}
        """;

    [Theory]
    [InlineData("true")]
    [InlineData("false")]
    [InlineData("null")]
    public async Task A_schema_holds_at_any_temperature_and_seed(string strict)
    {
        for (int seed = 1; seed <= 4; seed++)
        {
            var choice = await ChooseAsync($"{Format(PersonSchema, strict)},\"temperature\":1.5,\"seed\":{seed},\"max_tokens\":400");
            AssertPerson(Content(choice));
            Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        }
    }

    [Fact]
    public async Task Each_of_several_choices_has_its_own_place_in_the_schema()
    {
        var answer = await PostAsync(Chat, Body($"{Format(PersonSchema)},\"temperature\":1.5,\"seed\":7,\"n\":3,\"max_tokens\":400"));
        var texts = answer.GetProperty("choices").EnumerateArray().Select(Content).ToList();
        Assert.All(texts, AssertPerson);
        Assert.True(texts.Distinct().Count() > 1);
    }

    [Fact]
    public async Task A_streamed_answer_is_the_same_text_with_the_same_log_probs()
    {
        string more = $"{Format(PersonSchema)},\"temperature\":1.2,\"seed\":3,\"max_tokens\":400,\"logprobs\":true";
        var whole = await ChooseAsync(more);
        var chunks = ChatTests.Parse(await embedded.Server.StreamAsync(Chat, Body(more + ",\"stream\":true"))).Select(c => c.GetProperty("choices")[0]).ToList();
        Assert.Equal(Content(whole), string.Concat(chunks.Select(c => c.GetProperty("delta").TryGetProperty("content", out var text) ? text.GetString() : "")));
        Assert.Equal("stop", chunks[^1].GetProperty("finish_reason").GetString());
        var streamed = chunks.Select(c => c.GetProperty("logprobs")).Where(l => l.ValueKind == JsonValueKind.Object).SelectMany(l => l.GetProperty("content").EnumerateArray());
        Assert.Equal(whole.GetProperty("logprobs").GetProperty("content").EnumerateArray().Select(t => t.GetRawText()), streamed.Select(t => t.GetRawText()));
    }

    [Fact]
    public async Task What_a_schema_forces_takes_fewer_steps_than_tokens()
    {
        string[] names = [.. Enumerable.Range(0, 12).Select(i => $"whether_the_answer_to_question_{(char)('a' + i)}_is_positive")];
        string properties = string.Join(',', names.Select(n => $"\"{n}\":{{\"type\":\"boolean\"}}"));
        string schema = $$"""{"type":"object","properties":{{{properties}}},"required":[{{string.Join(',', names.Select(n => $"\"{n}\""))}}],"additionalProperties":false}""";
        foreach (bool logProbs in (bool[])[false, true])
        {
            long before = await StepsAsync();
            var answer = await PostAsync(Chat, Body($"{Format(schema)},\"temperature\":0,\"max_tokens\":1000{(logProbs ? ",\"logprobs\":true" : "")}"));
            long steps = await StepsAsync() - before;
            long tokens = answer.GetProperty("usage").GetProperty("completion_tokens").GetInt64();
            var choice = answer.GetProperty("choices")[0];
            Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
            using var document = JsonDocument.Parse(Content(choice));
            Assert.Equal(names, document.RootElement.EnumerateObject().Select(p => p.Name));
            // The last step may be counted just behind its token.
            if (logProbs) Assert.True(steps >= tokens - 1, $"{tokens} tokens in {steps} steps");
            else Assert.True(2 * steps < tokens, $"{tokens} tokens in {steps} steps");
        }
    }

    [Fact]
    public async Task An_answer_that_was_cut_says_so()
    {
        var choice = await ChooseAsync(Format(PersonSchema) + ",\"max_tokens\":4");
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
        Assert.StartsWith("{", Content(choice), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_JSON_object_is_one()
    {
        for (int seed = 1; seed <= 4; seed++)
        {
            var choice = await ChooseAsync($"\"response_format\":{{\"type\":\"json_object\"}},\"seed\":{seed},\"max_tokens\":200");
            Assert.StartsWith("{", Content(choice), StringComparison.Ordinal);
            if (choice.GetProperty("finish_reason").GetString() == "length") continue;
            using var document = JsonDocument.Parse(Content(choice));
            Assert.Equal(JsonValueKind.Object, document.RootElement.ValueKind);
        }
    }

    [Theory]
    [InlineData("\"structured_outputs\":{\"regex\":\"[0-9]{3}-[a-f]{2,6}\"}", "^[0-9]{3}-[a-f]{2,6}$")]
    [InlineData("\"guided_regex\":\"[0-9]{3}-[a-f]{2,6}\"", "^[0-9]{3}-[a-f]{2,6}$")]
    [InlineData("\"structured_outputs\":{\"choice\":[\"très bien\",\"non\"]}", "^(très bien|non)$")]
    [InlineData("\"guided_choice\":[\"très bien\",\"non\"]", "^(très bien|non)$")]
    [InlineData("\"structured_outputs\":{\"grammar\":\"root ::= pair (\\\",\\\" pair){1,2}\\npair ::= [xy] \\\"=\\\" [0-9]\"}", "^[xy]=[0-9](,[xy]=[0-9]){1,2}$")]
    [InlineData("\"guided_grammar\":\"root ::= \\\"<\\\" item \\\">\\\"\\nitem ::= \\\"b\\\" | \\\"c\\\"{2}\"", "^<(b|cc)>$")]
    [InlineData("\"structured_outputs\":{\"json\":{\"type\":\"integer\",\"minimum\":10,\"maximum\":99}}", "^[1-9][0-9]$")]
    [InlineData("\"structured_outputs\":{\"json\":\"{\\\"enum\\\":[\\\"a\\\",\\\"b\\\"]}\",\"regex\":null}", "^\"[ab]\"$")]
    [InlineData("\"guided_json\":{\"const\":[1,2]}", "^\\[\\s*1,\\s*2\\s*\\]$")]
    [InlineData("\"structured_outputs\":{\"json_object\":true,\"disable_any_whitespace\":false},\"stop\":\"{\",\"include_stop_str_in_output\":true", "^\\{$")]
    public async Task Every_spelling_of_a_constraint_is_enforced(string constraint, string pattern)
    {
        for (int seed = 1; seed <= 2; seed++)
        {
            string more = $"{constraint},\"temperature\":1.5,\"seed\":{seed},\"max_tokens\":100";
            var choice = await ChooseAsync(more);
            Assert.Matches(new Regex(pattern), Content(choice));
            Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
            var text = (await PostAsync("/v1/completions", $$"""{"model":"qwenserve-demo","prompt":"Once",{{more}}}""")).GetProperty("choices")[0];
            Assert.Matches(new Regex(pattern), text.GetProperty("text").GetString()!);
            Assert.Equal("stop", text.GetProperty("finish_reason").GetString());
        }
    }

    [Fact]
    public async Task Least_tokens_are_kept_where_the_grammar_lets_them_and_give_way_where_it_ends()
    {
        var longer = await PostAsync(Chat, Body("\"structured_outputs\":{\"regex\":\"[a-z ]{1,400}\"},\"min_tokens\":30,\"max_tokens\":100,\"seed\":1"));
        Assert.True(longer.GetProperty("usage").GetProperty("completion_tokens").GetInt32() >= 30);
        var ends = await ChooseAsync("\"structured_outputs\":{\"choice\":[\"yes\",\"no\"]},\"min_tokens\":30,\"max_tokens\":100");
        Assert.Contains(Content(ends), new[] { "yes", "no" });
        Assert.Equal("stop", ends.GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task An_ignored_end_token_adds_nothing_to_the_text()
    {
        var choice = await ChooseAsync("\"structured_outputs\":{\"choice\":[\"yes\",\"no\"]},\"ignore_eos\":true,\"max_tokens\":12");
        Assert.Contains(Content(choice), new[] { "yes", "no" });
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
    }

    [Theory]
    [InlineData("""{"type":"object","properties":{"a/b":{"type":"array","uniqueItems":true,"items":{"type":"string"}}}}""", "response_format.json_schema.schema.properties.a/b", "uniqueItems")]
    [InlineData("""{"not":{"type":"string"}}""", "response_format.json_schema.schema", "not")]
    public async Task A_keyword_that_cannot_be_enforced_is_refused_with_its_place(string schema, string param, string keyword)
    {
        foreach (string stream in new[] { "", ",\"stream\":true" })
        {
            using var response = await embedded.Server.PostAsync(Chat, Body(Format(schema) + stream));
            var error = (await TestServer.JsonAsync(response)).GetProperty("error");
            Assert.Equal((400, param), ((int)response.StatusCode, error.GetProperty("param").GetString()));
            Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
            Assert.Contains($"'{keyword}'", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Requests_without_a_grammar_are_not_changed_by_those_beside_them()
    {
        string[] free = [.. Enumerable.Range(0, 4).Select(i => Body($"\"temperature\":1,\"seed\":{i},\"max_tokens\":60"))];
        var alone = new List<string>();
        foreach (string body in free) alone.Add(Content((await PostAsync(Chat, body)).GetProperty("choices")[0]));
        var held = Enumerable.Range(0, 4).Select(i => PostAsync(Chat, Body($"{Format(PersonSchema)},\"temperature\":1.5,\"seed\":{i},\"max_tokens\":400"))).ToList();
        var together = await Task.WhenAll(free.Select(body => PostAsync(Chat, body)));
        Assert.Equal(alone, together.Select(a => Content(a.GetProperty("choices")[0])));
        foreach (var answer in await Task.WhenAll(held)) AssertPerson(Content(answer.GetProperty("choices")[0]));
    }

    internal static string Format(string schema, string strict = "true")
        => $$$"""
            "response_format":{"type":"json_schema","json_schema":{"name":"answer","strict":{{{strict}}},"schema":{{{schema}}}}}
            """;

    internal static string Body(string more) => $$"""{"model":"qwenserve-demo","messages":[{"role":"user","content":"Tell me about yourself."}],{{more}}}""";

    internal static string Content(JsonElement choice) => choice.GetProperty("message").GetProperty("content").GetString()!;

    private static void AssertPerson(string json)
    {
        using var document = JsonDocument.Parse(json);
        var person = document.RootElement;
        Assert.Equal(["name", "age", "tags", "address"], person.EnumerateObject().Select(p => p.Name));
        Assert.InRange(person.GetProperty("name").GetString()!.EnumerateRunes().Count(), 1, 12);
        Assert.InRange(person.GetProperty("age").GetInt32(), 0, 120);
        Assert.InRange(person.GetProperty("tags").GetArrayLength(), 1, 3);
        Assert.All(person.GetProperty("tags").EnumerateArray(), tag => Assert.Contains(tag.GetRawText(), new[] { "\"red\"", "\"green\"", "3" }));
        var address = person.GetProperty("address");
        if (address.ValueKind == JsonValueKind.Null) return;
        Assert.Matches("^[0-9]{5}$", address.EnumerateObject().Single(p => p.Name == "zip").Value.GetString()!);
    }

    private async Task<long> StepsAsync()
    {
        using var response = await embedded.Server.GetAsync("/metrics");
        var line = Regex.Match(await response.Content.ReadAsStringAsync(), @"^qwenserve_steps_total\S* (\d+)", RegexOptions.Multiline);
        return line.Success ? long.Parse(line.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture) : 0;
    }

    private async Task<JsonElement> ChooseAsync(string more) => (await PostAsync(Chat, Body(more))).GetProperty("choices")[0];

    private async Task<JsonElement> PostAsync(string path, string body)
    {
        using var response = await embedded.Server.PostAsync(path, body);
        var json = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, json.GetRawText());
        return json;
    }

    [Fact]
    public async Task A_model_whose_end_ids_have_no_token_is_refused_a_format_and_nothing_else()
    {
        using var folder = new TemporaryDirectory();
        foreach (string file in Directory.GetFiles(Path.Combine(Repository.Root, "src", "EmbeddedModel"))) File.Copy(file, Path.Combine(folder.Path, Path.GetFileName(file)));
        string path = Path.Combine(folder.Path, "tokenizer.json");
        var tokenizer = JsonNode.Parse(await File.ReadAllTextAsync(path))!;
        var added = tokenizer["added_tokens"]!.AsArray();
        foreach (var ending in added.Where(t => t!["content"]!.GetValue<string>() is "<|im_end|>" or "<|endoftext|>").ToList()) added.Remove(ending);
        await File.WriteAllTextAsync(path, tokenizer.ToJsonString());
        File.Delete(Path.Combine(folder.Path, "tokenizer_config.json"));
        await using var server = await TestServer.StartAsync(ModelLoading.LoadAsync, s => s with
        {
            Model = s.Model with { Name = folder.Path },
            Engine = s.Engine with { KvCacheMemory = 64 << 20 },
        });
        string name = Path.GetFileName(folder.Path);

        using var held = await server.PostAsync("/v1/completions", $$"""{"model":"{{name}}","prompt":"x","response_format":{"type":"json_object"},"max_tokens":8}""");
        Assert.Equal(HttpStatusCode.BadRequest, held.StatusCode);
        Assert.Contains("end token", await held.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        using var free = await server.PostAsync("/v1/completions", $$"""{"model":"{{name}}","prompt":"x","max_tokens":8}""");
        Assert.Equal(HttpStatusCode.OK, free.StatusCode);
    }
}
