using System.Text.Json;

namespace QwenServe.Tests.Api;

public class ToolChoiceTests(EmbeddedServer embedded) : IClassFixture<EmbeddedServer>
{
    private const string Chat = "/v1/chat/completions";
    private const string Place = """{"type":"function","function":{"name":"set_place","strict":STRICT,"parameters":{"type":"object","properties":{"floor":{"type":"integer","minimum":1,"maximum":9},"side":{"enum":["left","right"]}},"required":["floor","side"],"additionalProperties":false}}}""";
    private const string Stop = """{"type":"function","function":{"name":"stop_all"}}""";
    private const string TwoCalls = "Two.\n<tool_call>\n{\"name\": \"set_place\", \"arguments\": {\"floor\": 2, \"side\": \"left\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"stop_all\", \"arguments\": {}}\n</tool_call>";

    [Theory]
    [InlineData("\"required\"", "set_place,stop_all")]
    [InlineData("""{"type":"function","function":{"name":"set_place"}}""", "set_place")]
    [InlineData("""{"type":"function","function":{"name":"stop_all"}}""", "stop_all")]
    [InlineData("""{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"set_place"}}]}}""", "set_place")]
    public async Task A_demanded_call_comes_whatever_the_prompt_and_meets_its_schema(string choice, string names)
    {
        for (int seed = 1; seed <= 3; seed++)
        {
            var answer = await AnswerAsync(embedded.Server, $"{Tools()},\"tool_choice\":{choice},\"parallel_tool_calls\":false,\"temperature\":1.5,\"seed\":{seed},\"max_tokens\":300");
            Assert.Equal("tool_calls", answer.GetProperty("finish_reason").GetString());
            Assert.Equal(JsonValueKind.Null, answer.GetProperty("message").GetProperty("content").ValueKind);
            AssertCall(Assert.Single(Calls(answer)), names.Split(','));
        }
    }

    [Fact]
    public async Task Several_calls_may_be_demanded_and_all_meet_their_schemas()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(TwoCalls["Two.\n".Length..]));
        var answer = await AnswerAsync(server, $"{Tools()},\"tool_choice\":\"required\"", "short");
        Assert.Equal("tool_calls", answer.GetProperty("finish_reason").GetString());
        var calls = Calls(answer);
        Assert.Equal(2, calls.Count);
        Assert.All(calls, call => AssertCall(call, "set_place", "stop_all"));
    }

    [Fact]
    public async Task A_streamed_call_is_the_same_call_with_its_identity_sent_once()
    {
        string more = $"{Tools()},\"tool_choice\":\"required\",\"parallel_tool_calls\":false,\"temperature\":1.2,\"seed\":5,\"max_tokens\":300";
        var whole = Assert.Single(Calls(await AnswerAsync(embedded.Server, more)));
        var choices = ChatTests.Parse(await embedded.Server.StreamAsync(Chat, StructuredOutputTests.Body(more + ",\"stream\":true"))).Select(c => c.GetProperty("choices")[0]).ToList();
        var pieces = choices.Where(c => c.GetProperty("delta").TryGetProperty("tool_calls", out _)).Select(c => c.GetProperty("delta").GetProperty("tool_calls")[0]).ToList();
        Assert.Equal(whole.GetProperty("function").GetProperty("name").GetString(), pieces[0].GetProperty("function").GetProperty("name").GetString());
        Assert.All(pieces.Skip(1), p => Assert.False(p.TryGetProperty("id", out _)));
        Assert.Equal(whole.GetProperty("function").GetProperty("arguments").GetString(), string.Concat(pieces.Select(p => p.GetProperty("function").GetProperty("arguments").GetString())));
        Assert.Equal("tool_calls", choices[^1].GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task A_demanded_call_that_was_cut_ends_as_length()
    {
        var answer = await AnswerAsync(embedded.Server, $"{Tools()},\"tool_choice\":\"required\",\"max_tokens\":6");
        Assert.Equal("length", answer.GetProperty("finish_reason").GetString());
    }

    [Theory]
    [InlineData("\"parallel_tool_calls\":true", 2)]
    [InlineData("\"parallel_tool_calls\":false", 1)]
    [InlineData("\"parallel_tool_calls\":false,\"tool_choice\":\"auto\"", 1)]
    public async Task Calls_in_parallel_are_one_when_the_request_says_so(string more, int count)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(TwoCalls));
        var answer = await AnswerAsync(server, $"{Tools()},{more}", "short");
        Assert.Equal("Two.", answer.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal(count, Calls(answer).Count);
        Assert.Equal("tool_calls", answer.GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task Only_allowed_tools_are_called_though_all_are_shown()
    {
        string? prompt = null;
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p => (prompt = p) is null ? "" : "<tool_call>\n{\"name\": \"stop_all\", \"arguments\": {}}\n</tool_call>"));
        var answer = await AnswerAsync(server, $"{Tools()},\"max_tokens\":200,\"tool_choice\":{{\"type\":\"allowed_tools\",\"allowed_tools\":{{\"mode\":\"auto\",\"tools\":[{{\"type\":\"function\",\"function\":{{\"name\":\"set_place\"}}}}]}}}}", "short");
        Assert.DoesNotContain(Calls(answer), c => c.GetProperty("function").GetProperty("name").GetString() != "set_place");
        Assert.Contains("stop_all", prompt, StringComparison.Ordinal);
        Assert.Contains("set_place", prompt, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("true", false)]
    [InlineData("false", true)]
    public async Task A_strict_tools_own_calls_meet_its_schema(string strict, bool kept)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("<tool_call>\n{\"name\": \"set_place\", \"arguments\": {\"floor\": 77, \"side\": \"left\"}}\n</tool_call>"));
        var call = Assert.Single(Calls(await AnswerAsync(server, $"{Tools(strict)},\"max_tokens\":150", "short")));
        string arguments = call.GetProperty("function").GetProperty("arguments").GetString()!;
        Assert.StartsWith("{\"floor\": 7", arguments, StringComparison.Ordinal);
        Assert.Equal(kept, arguments == "{\"floor\": 77, \"side\": \"left\"}");
        Assert.Equal(kept, arguments.Contains("77", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("```json\n{CALL}\n```")]
    [InlineData("{CALL}")]
    [InlineData("<tools>\n{CALL}\n</tools>")]
    [InlineData("<tool_call>\n{NESTED}\n</tool_call>")]
    [InlineData("```\n{NESTED}\n```")]
    public async Task Calls_in_other_forms_are_calls_at_every_length_but_not_where_the_form_is_enforced(string form)
    {
        const string call = "{\"name\": \"set_place\", \"arguments\": {\"floor\": 7, \"side\": \"up\"}}";
        string output = form.Replace("{CALL}", call, StringComparison.Ordinal).Replace("{NESTED}", "{\"type\": \"function\", \"function\": " + call + "}", StringComparison.Ordinal);
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(output));
        int length = ScriptedModel.Tokenizer.Encode(output).Length + 1;
        for (int most = 1; most <= length; most++)
        {
            string whole = AssembledStream.OfWhole(await AnswerAsync(server, $"{Tools("false")},\"max_tokens\":{most}", "short"));
            string body = StructuredOutputTests.Body($"{Tools("false")},\"max_tokens\":{most},\"stream\":true").Replace("qwenserve-demo", "short", StringComparison.Ordinal);
            Assert.Equal(whole, AssembledStream.Of(ChatTests.Parse(await server.StreamAsync(Chat, body))));
            if (most == length) Assert.Equal(AssembledStream.Text(null, null, [("set_place", "{\"floor\": 7, \"side\": \"up\"}")], "tool_calls"), whole);
        }
        // A strict tool is called in the enforced form or not at all.
        var strict = await AnswerAsync(server, $"{Tools("true")},\"max_tokens\":200", "short");
        Assert.All(Calls(strict), c => AssertCall(c, "set_place", "stop_all"));
        var required = await AnswerAsync(server, $"{Tools("false")},\"tool_choice\":\"required\",\"max_tokens\":200", "short");
        Assert.Contains(required.GetProperty("finish_reason").GetString(), new[] { "tool_calls", "length" });
        if (required.GetProperty("finish_reason").GetString() == "tool_calls") Assert.All(Calls(required), c => AssertCall(c, "set_place", "stop_all"));
    }

    [Fact]
    public async Task A_named_call_cut_inside_its_arguments_ends_as_length_streamed_or_not()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(TwoCalls["Two.\n".Length..]));
        const string choice = "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"set_place\"}}";
        bool inside = false;
        for (int most = 1; most < 60; most++)
        {
            var whole = await AnswerAsync(server, $"{Tools("true")},{choice},\"max_tokens\":{most}", "short");
            string body = StructuredOutputTests.Body($"{Tools("true")},{choice},\"max_tokens\":{most},\"stream\":true").Replace("qwenserve-demo", "short", StringComparison.Ordinal);
            Assert.Equal(AssembledStream.OfWhole(whole), AssembledStream.Of(ChatTests.Parse(await server.StreamAsync(Chat, body))));
            if (whole.GetProperty("finish_reason").GetString() == "tool_calls")
            {
                AssertCall(Assert.Single(Calls(whole)), "set_place");
                Assert.True(inside);
                return;
            }
            Assert.Equal("length", whole.GetProperty("finish_reason").GetString());
            inside |= Calls(whole) is [var cut] && cut.GetProperty("function").GetProperty("arguments").GetString()!.StartsWith("{\"floor\"", StringComparison.Ordinal);
        }
        Assert.Fail("the call never ended");
    }

    [Fact]
    public async Task Beside_tools_a_format_leaves_a_call_or_an_answer_that_meets_it()
    {
        string format = StructuredOutputTests.Format("""{"type":"object","properties":{"name":{"const":"set_place"},"arguments":{"type":"object"}},"required":["name","arguments"]}""");
        // An answer that looks like a call of Qwen2.5-Coder is an answer here.
        const string json = "{\"name\": \"set_place\", \"arguments\": {}}";
        await using (var server = await TestServer.StartAsync(ScriptedModel.Saying(json)))
        {
            var answer = await AnswerAsync(server, $"{Tools()},{format}", "short");
            Assert.Equal(json, answer.GetProperty("message").GetProperty("content").GetString());
            Assert.Equal("stop", answer.GetProperty("finish_reason").GetString());
        }
        await using (var server = await TestServer.StartAsync(ScriptedModel.Saying(TwoCalls["Two.\n".Length..])))
            Assert.Equal(2, Calls(await AnswerAsync(server, $"{Tools()},{format}", "short")).Count);
        for (int seed = 1; seed <= 3; seed++)
        {
            var answer = await AnswerAsync(embedded.Server, $"{Tools()},{StructuredOutputTests.Format("""{"enum":["yes","no"]}""")},\"parallel_tool_calls\":false,\"tool_choice\":\"auto\",\"temperature\":1.5,\"seed\":{seed},\"max_tokens\":400");
            if (Calls(answer).Count == 0) Assert.Contains(StructuredOutputTests.Content(answer), new[] { "\"yes\"", "\"no\"" });
        }
    }

    private static string Tools(string strict = "null") => $"\"tools\":[{Place.Replace("STRICT", strict, StringComparison.Ordinal)},{Stop}]";

    private static List<JsonElement> Calls(JsonElement answer) => answer.GetProperty("message").TryGetProperty("tool_calls", out var calls) ? [.. calls.EnumerateArray()] : [];

    private static void AssertCall(JsonElement call, params string[] names)
    {
        string name = call.GetProperty("function").GetProperty("name").GetString()!;
        Assert.Contains(name, names);
        using var document = JsonDocument.Parse(call.GetProperty("function").GetProperty("arguments").GetString()!);
        var arguments = document.RootElement;
        if (name == "stop_all")
        {
            Assert.Empty(arguments.EnumerateObject());
            return;
        }
        Assert.Equal(["floor", "side"], arguments.EnumerateObject().Select(p => p.Name));
        Assert.InRange(arguments.GetProperty("floor").GetInt32(), 1, 9);
        Assert.Contains(arguments.GetProperty("side").GetString(), new[] { "left", "right" });
    }

    private static async Task<JsonElement> AnswerAsync(TestServer server, string more, string model = "qwenserve-demo")
    {
        using var response = await server.PostAsync(Chat, StructuredOutputTests.Body(more).Replace("qwenserve-demo", model, StringComparison.Ordinal));
        var json = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, json.GetRawText());
        return json.GetProperty("choices")[0];
    }
}
