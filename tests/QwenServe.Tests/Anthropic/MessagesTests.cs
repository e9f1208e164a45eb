using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using QwenServe.Hosting;
using QwenServe.Tests.Api;

namespace QwenServe.Tests.Anthropic;

public class MessagesTests(EmbeddedServer embedded) : IClassFixture<EmbeddedServer>
{
    private const string Path = "/v1/messages";
    private const string Tool = """{"name":"get_weather","description":"Weather","input_schema":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1,"maximum":9}},"required":["city","days"],"additionalProperties":false}}""";
    private const string Calls = "Let me look.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": 2}}\n</tool_call>\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {}}\n</tool_call>\nThat is all.";

    [Fact]
    public async Task An_answer_is_a_message_of_blocks()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hello there."));
        using var response = await server.PostAsync(Path, Body());
        var message = await TestServer.JsonAsync(response);
        Assert.Equal(["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"], message.EnumerateObject().Select(p => p.Name));
        Assert.StartsWith("msg_", message.GetProperty("id").GetString(), StringComparison.Ordinal);
        Assert.Equal("message", message.GetProperty("type").GetString());
        Assert.Equal("assistant", message.GetProperty("role").GetString());
        Assert.Equal("org/name", message.GetProperty("model").GetString());
        Assert.Equal("""[{"type":"text","text":"Hello there."}]""", message.GetProperty("content").GetRawText());
        Assert.Equal("end_turn", message.GetProperty("stop_reason").GetString());
        Assert.Equal(JsonValueKind.Null, message.GetProperty("stop_sequence").ValueKind);
        Assert.Equal(ScriptedModel.Tokenizer.Encode("Hello there.").Length + 1, message.GetProperty("usage").GetProperty("output_tokens").GetInt32());
        Assert.Equal(response.Headers.GetValues("x-request-id"), response.Headers.GetValues("request-id"));
    }

    [Theory]
    [InlineData("\"max_tokens\":3", "max_tokens", null)]
    [InlineData("\"stop_sequences\":[\"five\",\"three\"]", "stop_sequence", "three")]
    [InlineData("\"max_tokens\":100000", "model_context_window_exceeded", null)]
    public async Task It_says_why_it_stopped(string more, string reason, string? sequence)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Endless());
        var message = await AnswerAsync(server, more);
        Assert.Equal(reason, message["stop_reason"]!.GetValue<string>());
        Assert.Equal(sequence, message["stop_sequence"]?.GetValue<string>());
        if (sequence is not null) Assert.Equal("one two ", message["content"]![0]!["text"]!.GetValue<string>());
    }

    public static TheoryData<string, string> Answers => new()
    {
        { "Hello, 你好 😀 there.", "text" },
        { "", "" },
        { Calls, "text tool_use tool_use text" },
        { Calls["Let me look.\n".Length..^"\nThat is all.".Length], "tool_use tool_use" },
        { "I think.\n</think>\n\nIt is so.", "thinking text" },
        { "I look.\n</think>\n\n" + Calls, "thinking text tool_use tool_use text" },
    };

    [Theory]
    [MemberData(nameof(Answers))]
    public async Task The_events_of_a_stream_make_the_whole_answer(string says, string blocks)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(says));
        string more = $"\"tools\":[{Tool}]";
        // What the assistant has begun makes any model one that is in the middle of its thinking.
        if (blocks.StartsWith("thinking", StringComparison.Ordinal)) more += ",\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"<think>\"}]";
        await AnswerAsync(server, more);   // Now the prompt is in the cache for both.
        var whole = await AnswerAsync(server, more);
        var streamed = Assemble(await EventsAsync(server, more));
        Assert.Equal(blocks, string.Join(' ', whole["content"]!.AsArray().Select(b => b!["type"]!.GetValue<string>())));
        Assert.Equal(Comparable(whole).ToJsonString(), Comparable(streamed).ToJsonString());
    }

    [Fact]
    public async Task A_call_that_was_cut_has_the_input_that_was_complete()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"days\": 2, \"city\": \"" + string.Concat(Enumerable.Repeat("very ", 100))));
        string more = $"\"tools\":[{Tool}],\"max_tokens\":60";
        await AnswerAsync(server, more);
        var whole = await AnswerAsync(server, more);
        Assert.Equal("max_tokens", whole["stop_reason"]!.GetValue<string>());
        Assert.Equal("""{"days":2}""", whole["content"]![0]!["input"]!.ToJsonString());
        var events = await EventsAsync(server, more);
        string partial = string.Concat(events.Where(e => e["delta"]?["partial_json"] is not null).Select(e => e["delta"]!["partial_json"]!.GetValue<string>()));
        Assert.StartsWith("{\"days\": 2, \"city\": \"very", partial, StringComparison.Ordinal);
        Assert.Equal(Comparable(whole)["content"]!.ToJsonString(), Comparable(Assemble(events))["content"]!.ToJsonString());
    }

    [Theory]
    [InlineData("""{"type":"any"}""")]
    [InlineData("""{"type":"any","disable_parallel_tool_use":true}""")]
    [InlineData("""{"type":"tool","name":"get_weather"}""")]
    public async Task A_demanded_call_comes_whatever_the_prompt_and_meets_its_schema(string choice)
    {
        string more = $"\"model\":\"{ModelLoading.EmbeddedName}\",\"tools\":[{Tool}],\"tool_choice\":{choice},\"temperature\":1,\"seed\":3,\"max_tokens\":400";
        var whole = await AnswerAsync(embedded.Server, more);
        Assert.Equal("tool_use", whole["stop_reason"]!.GetValue<string>());
        Assert.All(whole["content"]!.AsArray(), b => AssertCall(b!));
        if (choice.Contains("disable", StringComparison.Ordinal)) Assert.Single(whole["content"]!.AsArray());
        var streamed = Assemble(await EventsAsync(embedded.Server, more));
        Assert.Equal(Comparable(whole)["content"]!.ToJsonString(), Comparable(streamed)["content"]!.ToJsonString());
    }

    [Fact]
    public async Task An_answer_may_be_held_to_a_schema()
    {
        const string schema = """{"type":"object","properties":{"colour":{"enum":["red","blue"]}},"required":["colour"],"additionalProperties":false}""";
        string format = "{\"type\":\"json_schema\",\"schema\":" + schema + "}";
        var message = await AnswerAsync(embedded.Server, $"\"model\":\"{ModelLoading.EmbeddedName}\",\"output_config\":{{\"format\":{format}}}");
        Assert.Contains(JsonNode.Parse(message["content"]![0]!["text"]!.GetValue<string>())!["colour"]!.GetValue<string>(), new[] { "red", "blue" });
    }

    [Theory]
    [InlineData("""{"type":"none"}""", 0, "text")]
    [InlineData("""{"type":"auto"}""", 1, "text tool_use tool_use text")]
    [InlineData("""{"type":"auto","disable_parallel_tool_use":true}""", 1, "text tool_use")]
    public async Task The_choice_of_tools_is_kept(string choice, int shown, string blocks)
    {
        string? prompt = null;
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p => (prompt = p) is null ? "" : Calls));
        var message = await AnswerAsync(server, $"\"tools\":[{Tool}],\"tool_choice\":{choice}");
        Assert.Equal(blocks, string.Join(' ', message["content"]!.AsArray().Select(b => b!["type"]!.GetValue<string>())));
        Assert.Equal(shown, prompt!.Split("\"get_weather\"").Length - 1);
    }

    [Fact]
    public async Task Blocks_become_what_the_template_knows()
    {
        string? prompt = null;
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p => (prompt = p) is null ? "" : "Fine."));
        await AnswerAsync(server, $$$"""
            "tools":[{{{Tool}}}],"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}},{"type":"text","text":"Be kind."}],"messages":[
            {"role":"user","content":[{"type":"text","text":"Weather?"}]},
            {"role":"assistant","content":[{"type":"thinking","thinking":"Hm","signature":""},{"type":"text","text":"I look."},{"type":"tool_use","id":"toolu_1","name":"get_weather","input":{"city":"Rome"}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"21"},{"type":"text","text":"dry"}]},{"type":"text","text":"And now?"}]}]
            """);
        Assert.StartsWith("<|im_start|>system\nBe brief.\nBe kind.", prompt, StringComparison.Ordinal);
        Assert.Contains("""{"type": "function", "function": {"name": "get_weather", "description": "Weather", "parameters": {"type": "object",""", prompt, StringComparison.Ordinal);
        Assert.EndsWith("""
            <|im_start|>user
            Weather?<|im_end|>
            <|im_start|>assistant
            I look.
            <tool_call>
            {"name": "get_weather", "arguments": {"city": "Rome"}}
            </tool_call><|im_end|>
            <|im_start|>user
            <tool_response>
            21
            dry
            </tool_response><|im_end|>
            <|im_start|>user
            And now?<|im_end|>
            <|im_start|>assistant

            """.ReplaceLineEndings("\n"), prompt, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_assistant_message_at_the_end_is_gone_on_with()
    {
        string? prompt = null;
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p => (prompt = p) is null ? "" : " world."));
        var message = await AnswerAsync(server, "\"messages\":[{\"role\":\"user\",\"content\":\"Greet.\"},{\"role\":\"assistant\",\"content\":\"Hello\"}]");
        Assert.EndsWith("<|im_start|>assistant\nHello", prompt, StringComparison.Ordinal);
        Assert.Equal(" world.", message["content"]![0]!["text"]!.GetValue<string>());
    }

    [Fact]
    public async Task Counted_tokens_are_those_that_the_answer_is_charged()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Fine."));
        string more = $"\"tools\":[{Tool}],\"system\":\"Be brief.\"";
        string body = Body(more);
        using var counted = await server.PostAsync(Path + "/count_tokens", body.Replace("\"max_tokens\":100,", "", StringComparison.Ordinal));
        int tokens = (await TestServer.JsonAsync(counted)).GetProperty("input_tokens").GetInt32();
        for (int i = 0; i < 2; i++)
        {
            var usage = (await AnswerAsync(server, more))["usage"]!;
            Assert.Equal(tokens, usage["input_tokens"]!.GetValue<int>() + usage["cache_read_input_tokens"]!.GetValue<int>());
            Assert.Equal(i > 0, usage["cache_read_input_tokens"]!.GetValue<int>() > 0);
        }
    }

    [Theory]
    [InlineData("\"max_tokens\":null", 400, "invalid_request_error", "max_tokens")]
    [InlineData("\"messages\":[]", 400, "invalid_request_error", "messages")]
    [InlineData("\"temperature\":1.5", 400, "invalid_request_error", "temperature")]
    [InlineData("\"model\":\"claude\"", 404, "not_found_error", "claude")]
    [InlineData("\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]", 400, "invalid_request_error", "web_search_20250305")]
    [InlineData("\"tools\":[{\"name\":\"f\"}]", 400, "invalid_request_error", "tools[0].input_schema")]
    [InlineData("\"tool_choice\":{\"type\":\"any\"}", 400, "invalid_request_error", "tool_choice")]
    [InlineData("\"tools\":[{\"name\":\"f\",\"strict\":true,\"input_schema\":{\"type\":\"object\",\"properties\":{\"a\":{\"not\":{}}}}}]", 400, "invalid_request_error", "tools[0].input_schema")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{}}]}]", 400, "invalid_request_error", "text only")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}]}]", 400, "invalid_request_error", "tool_result")]
    [InlineData("\"thinking\":{\"type\":\"much\"}", 400, "invalid_request_error", "between_tools")]
    public async Task A_refusal_has_the_envelope_of_that_api(string more, int status, string type, string says)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        foreach (string path in status == 400 && more.StartsWith("\"m", StringComparison.Ordinal) && !more.Contains("max_tokens", StringComparison.Ordinal) ? new[] { Path, Path + "/count_tokens" } : [Path])
        {
            using var response = await server.PostAsync(path, Body(more));
            await AssertErrorAsync(response, status, type, says);
        }
    }

    [Fact]
    public async Task Refusals_before_the_endpoint_have_it_too_and_other_paths_do_not()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."), s => s with { Server = s.Server with { ApiKeys = ["key"] } });
        await AssertErrorAsync(await server.PostAsync(Path, Body()), 401, "authentication_error", "API key");
        server.Client.DefaultRequestHeaders.Add("x-api-key", "wrong");
        await AssertErrorAsync(await server.PostAsync(Path, Body()), 401, "authentication_error", "Incorrect");
        server.Client.DefaultRequestHeaders.Remove("x-api-key");
        server.Client.DefaultRequestHeaders.Add("x-api-key", "key");
        server.Client.DefaultRequestHeaders.Add("anthropic-version", "2023-06-01");
        Assert.Equal(HttpStatusCode.OK, (await server.PostAsync(Path + "?beta=true", Body())).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await server.GetAsync("/v1/models")).StatusCode);
        await AssertErrorAsync(await server.GetAsync(Path), 405, "invalid_request_error", "GET");
        await AssertErrorAsync(await server.PostAsync(Path + "/batches", "{}"), 404, "not_found_error", "batches");
        await AssertErrorAsync(await server.PostAsync(Path, "{"), 400, "invalid_request_error", "JSON");
        var other = await server.PostAsync("/v1/chat/completions", "{");
        Assert.False((await TestServer.JsonAsync(other)).TryGetProperty("type", out _));
        Assert.False(other.Headers.Contains("request-id"));
    }

    [Fact]
    public async Task A_prompt_that_does_not_fit_is_refused_in_words_that_agents_look_for()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        string words = string.Concat(Enumerable.Repeat("word ", 600));
        using var response = await server.PostAsync(Path, Body($"\"messages\":[{{\"role\":\"user\",\"content\":\"{words}\"}}]"));
        await AssertErrorAsync(response, 400, "invalid_request_error", "prompt is too long: ");
    }

    [Fact]
    public async Task A_full_queue_is_an_overloaded_server()
    {
        var model = ScriptedModel.Saying("Hi.");
        model.Options = o => o with { MaxQueuedRequests = 2, MaxNumSeqs = 2 };
        await using var server = await TestServer.StartAsync(model);
        model.Device.Gate.Reset();
        var waiting = Enumerable.Range(0, 12).Select(_ => server.PostAsync(Path, Body())).ToList();
        var refused = await await Task.WhenAny(waiting);
        Assert.NotNull(refused.Headers.RetryAfter);
        await AssertErrorAsync(refused, 529, "overloaded_error", "try again");
        model.Device.Gate.Set();
        Assert.Contains((await Task.WhenAll(waiting)).Select(r => r.StatusCode), s => s == HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_stream_that_breaks_ends_in_an_error_event()
    {
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model);
        model.Device.StepTime = TimeSpan.FromMilliseconds(10);
        using var request = new HttpRequestMessage(HttpMethod.Post, Path) { Content = new StringContent(Body("\"stream\":true,\"max_tokens\":400"), Encoding.UTF8, "application/json") };
        using var response = await server.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.Equal("event: message_start", await reader.ReadLineAsync());
        model.Device.Fault = new InvalidOperationException("the device is gone");
        string last = "", name = "";
        try
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                if (line.StartsWith("event: ", StringComparison.Ordinal)) name = line;
                else if (line.Length > 0) last = line;
            }
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            // The connection is cut behind the event.
        }
        Assert.Equal("event: error", name);
        var error = JsonNode.Parse(last["data: ".Length..])!;
        Assert.Equal("error", error["type"]!.GetValue<string>());
        Assert.Equal("api_error", error["error"]!["type"]!.GetValue<string>());
        Assert.Equal(response.Headers.GetValues("request-id").Single(), error["request_id"]!.GetValue<string>());
    }

    private static string Body(string more = "")
    {
        var body = JsonNode.Parse("""{"model":"short","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]}""")!.AsObject();
        foreach (var (name, value) in JsonNode.Parse("{" + more + "}")!.AsObject()) body[name] = value?.DeepClone();
        return body.ToJsonString();
    }

    private static async Task<JsonNode> AnswerAsync(TestServer server, string more)
    {
        using var response = await server.PostAsync(Path, Body(more));
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    private static async Task AssertErrorAsync(HttpResponseMessage response, int status, string type, string says)
    {
        Assert.Equal(status, (int)response.StatusCode);
        var body = await TestServer.JsonAsync(response);
        Assert.Equal(["type", "error", "request_id"], body.EnumerateObject().Select(p => p.Name));
        Assert.Equal("error", body.GetProperty("type").GetString());
        Assert.Equal(["type", "message"], body.GetProperty("error").EnumerateObject().Select(p => p.Name));
        Assert.Equal(type, body.GetProperty("error").GetProperty("type").GetString());
        Assert.Contains(says, body.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(response.Headers.GetValues("request-id").Single(), body.GetProperty("request_id").GetString());
    }

    private static void AssertCall(JsonNode block)
    {
        Assert.Equal("tool_use", block["type"]!.GetValue<string>());
        Assert.Equal("get_weather", block["name"]!.GetValue<string>());
        Assert.Equal(["city", "days"], block["input"]!.AsObject().Select(p => p.Key));
        Assert.InRange(block["input"]!["days"]!.GetValue<int>(), 1, 9);
    }

    /// <summary>The events of a stream; each has the name of its data's type.</summary>
    private static async Task<List<JsonNode>> EventsAsync(TestServer server, string more)
    {
        using var response = await server.PostAsync(Path, Body(more + (more.Length > 0 ? "," : "") + "\"stream\":true"));
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.ToString());
        Assert.EndsWith("\n\n", text, StringComparison.Ordinal);
        return [.. text[..^2].Split("\n\n").Select(e =>
        {
            string[] lines = e.Split('\n');
            Assert.Equal(2, lines.Length);
            var data = JsonNode.Parse(lines[1]["data: ".Length..])!;
            Assert.Equal("event: " + data["type"], lines[0]);
            return data;
        })];
    }

    /// <summary>Puts a stream together as clients do, and holds it to the order they count on.</summary>
    private static JsonNode Assemble(List<JsonNode> events)
    {
        Assert.Equal("message_start", events[0]["type"]!.GetValue<string>());
        Assert.Equal(["message_delta", "message_stop"], events.TakeLast(2).Select(e => e["type"]!.GetValue<string>()));
        var message = events[0]["message"]!.DeepClone();
        Assert.Empty(message["content"]!.AsArray());
        Assert.Null(message["stop_reason"]);
        int open = -1;
        var text = new StringBuilder();
        foreach (var e in events.Skip(1).SkipLast(2))
        {
            int index = e["index"]!.GetValue<int>();
            switch (e["type"]!.GetValue<string>())
            {
                case "content_block_start":
                    Assert.Equal(-1, open);
                    Assert.Equal(message["content"]!.AsArray().Count, index);
                    open = index;
                    text.Clear();
                    message["content"]!.AsArray().Add(e["content_block"]!.DeepClone());
                    break;
                case "content_block_delta":
                    Assert.Equal(open, index);
                    var block = message["content"]![index]!;
                    string kind = block["type"]!.GetValue<string>();
                    Assert.Equal(kind == "tool_use" ? "input_json_delta" : kind + "_delta", e["delta"]!["type"]!.GetValue<string>());
                    string piece = e["delta"]![kind == "tool_use" ? "partial_json" : kind]!.GetValue<string>();
                    Assert.DoesNotContain('\uFFFD', piece);
                    text.Append(piece);
                    if (kind == "tool_use") block["input"] = JsonNode.Parse(Text.Output.JsonPrefix.Close(text.ToString()));
                    else block[kind] = text.ToString();
                    break;
                default:
                    Assert.Equal("content_block_stop", e["type"]!.GetValue<string>());
                    Assert.Equal(open, index);
                    open = -1;
                    break;
            }
        }
        Assert.Equal(-1, open);
        foreach (var (name, value) in events[^2]["delta"]!.AsObject()) message[name] = value?.DeepClone();
        message["usage"] = events[^2]["usage"]!.DeepClone();
        return message;
    }

    /// <summary>Without the ids, which are new each time.</summary>
    private static JsonNode Comparable(JsonNode message)
    {
        var copy = message.DeepClone();
        copy["id"] = "msg";
        var ids = new HashSet<string>();
        foreach (var block in copy["content"]!.AsArray())
        {
            if (block!["id"] is not { } id) continue;
            Assert.StartsWith("toolu_", id.GetValue<string>(), StringComparison.Ordinal);
            Assert.True(ids.Add(id.GetValue<string>()));
            block["id"] = "toolu";
        }
        return copy;
    }
}
