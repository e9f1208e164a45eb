using System.Net;
using System.Text.Json;
using QwenServe.OpenAI.Responses;
using QwenServe.Text.Chat;

namespace QwenServe.Tests.Api;

/// <summary>The Responses API on the wire.</summary>
public class ResponsesTests
{
    private const string Path = "/v1/responses";
    private const string Tool = """{"type":"function","name":"get_weather","description":"Weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}}""";
    private const string Calls = "Let me look.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>";

    [Fact]
    public async Task A_response_has_all_fields_in_order()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hello there."));
        var response = await CreateAsync(server, "\"input\":\"Hi\",\"metadata\":{\"a\":\"b\"},\"temperature\":0.5");
        Assert.Equal(
            ["id", "object", "created_at", "status", "background", "completed_at", "error", "incomplete_details", "instructions", "max_output_tokens", "max_tool_calls", "model", "output",
                "parallel_tool_calls", "previous_response_id", "prompt_cache_key", "reasoning", "safety_identifier", "service_tier", "store", "temperature", "text", "tool_choice", "tools",
                "top_logprobs", "top_p", "truncation", "usage", "user", "metadata"],
            response.EnumerateObject().Select(p => p.Name));
        Assert.StartsWith("resp_", response.GetProperty("id").GetString(), StringComparison.Ordinal);
        Assert.Equal("completed", response.GetProperty("status").GetString());
        Assert.Equal("org/name", response.GetProperty("model").GetString());
        Assert.Equal(0.5, response.GetProperty("temperature").GetDouble());
        Assert.Equal("""{"a":"b"}""", response.GetProperty("metadata").GetRawText());
        Assert.Equal("""{"format":{"type":"text"},"verbosity":"medium"}""", response.GetProperty("text").GetRawText());
        Assert.DoesNotContain('.', response.GetProperty("created_at").GetRawText());
        var message = Assert.Single(Output(response));
        Assert.Equal(["id", "type", "status", "content", "role"], message.EnumerateObject().Select(p => p.Name));
        Assert.Equal("""[{"type":"output_text","annotations":[],"logprobs":[],"text":"Hello there."}]""", message.GetProperty("content").GetRawText());
        var usage = response.GetProperty("usage");
        int output = ScriptedModel.Tokenizer.Encode("Hello there.").Length + 1;
        Assert.Equal(output, usage.GetProperty("output_tokens").GetInt32());
        Assert.Equal(0, usage.GetProperty("output_tokens_details").GetProperty("reasoning_tokens").GetInt32());
        Assert.Equal(usage.GetProperty("input_tokens").GetInt32() + output, usage.GetProperty("total_tokens").GetInt32());
        Assert.Equal(0, usage.GetProperty("input_tokens_details").GetProperty("cached_tokens").GetInt32());
    }

    [Fact]
    public async Task A_text_streams_as_created_added_deltas_done_and_completed()
    {
        const string text = "Hello, 你好 😀 there.";
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(text));
        var events = await StreamAsync(server, "\"input\":\"Hi\"");
        Assert.Equal(
            ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.done",
                "response.content_part.done", "response.output_item.done", "response.completed"],
            Types(events));
        var begun = events[0].GetProperty("response");
        Assert.Equal("in_progress", begun.GetProperty("status").GetString());
        Assert.Empty(Output(begun));
        Assert.Equal(JsonValueKind.Null, begun.GetProperty("usage").ValueKind);
        var item = events[2].GetProperty("item");
        Assert.Equal("in_progress", item.GetProperty("status").GetString());
        Assert.Empty(item.GetProperty("content").EnumerateArray());
        Assert.Equal("""{"type":"output_text","annotations":[],"logprobs":[],"text":""}""", events[3].GetProperty("part").GetRawText());
        Assert.Equal(text, Deltas(events, "response.output_text.delta"));
        Assert.All(events.Where(e => TypeOf(e) == "response.output_text.delta"), e => Assert.Empty(e.GetProperty("logprobs").EnumerateArray()));
        Assert.All(events.Where(e => e.TryGetProperty("item_id", out _)), e => Assert.Equal(item.GetProperty("id").GetString(), e.GetProperty("item_id").GetString()));
        Assert.Equal(events[^2].GetProperty("item").GetRawText(), Output(Final(events)).Single().GetRawText());
        AssertSame(await CreateAsync(server, "\"input\":\"Hi\""), Final(events));
    }

    [Fact]
    public async Task Stream_headers_keep_proxies_from_buffering()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var response = await server.PostAsync(Path, Body("\"input\":\"x\",\"stream\":true"));
        Assert.Equal("no", response.Headers.GetValues("X-Accel-Buffering").Single());
        Assert.DoesNotContain("[DONE]", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Calls_stream_as_items_of_their_own_after_the_text_before_them()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(Calls));
        string more = $"\"input\":\"Hi\",\"tools\":[{Tool}]";
        var events = await StreamAsync(server, more);
        Assert.Equal(
            ["response.created", "response.in_progress",
                "response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done",
                "response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.done", "response.output_item.done",
                "response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.done", "response.output_item.done",
                "response.completed"],
            Types(events));
        var done = events.Where(e => TypeOf(e) == "response.function_call_arguments.done").ToList();
        Assert.Equal(["""{"city": "Paris"}""", """{"city": "Rome"}"""], done.Select(e => e.GetProperty("arguments").GetString()));
        Assert.All(done, e => Assert.Equal("get_weather", e.GetProperty("name").GetString()));
        Assert.Equal([1, 2], done.Select(e => e.GetProperty("output_index").GetInt32()));
        for (int index = 1; index <= 2; index++)
            Assert.Equal(done[index - 1].GetProperty("arguments").GetString(),
                string.Concat(events.Where(e => TypeOf(e) == "response.function_call_arguments.delta" && e.GetProperty("output_index").GetInt32() == index).Select(e => e.GetProperty("delta").GetString())));
        var output = Output(Final(events));
        Assert.Equal(["message", "function_call", "function_call"], output.Select(TypeOf));
        Assert.Equal(["id", "type", "status", "arguments", "call_id", "name"], output[1].EnumerateObject().Select(p => p.Name));
        Assert.NotEqual(output[1].GetProperty("call_id").GetString(), output[2].GetProperty("call_id").GetString());
        var whole = await CreateAsync(server, more);
        AssertSame(whole, Final(events));
        Assert.Equal("Let me look.", Output(whole)[0].GetProperty("content")[0].GetProperty("text").GetString());
        // What was asked comes back, with what was left open decided.
        Assert.Equal($$"""[{"type":"function","description":"Weather","name":"get_weather","parameters":{{Tool[Tool.IndexOf("{\"type\":\"object\"", StringComparison.Ordinal)..^1]}},"strict":true}]""", whole.GetProperty("tools").GetRawText());
    }

    [Fact]
    public async Task Reasoning_is_an_item_before_the_message()
    {
        await using var server = await ReasoningServerAsync("I think so.\n</think>\n\nYes.");
        var events = await StreamAsync(server, "\"input\":\"Hi\",\"include\":[\"message.output_text.logprobs\"],\"top_logprobs\":2");
        Assert.Equal(
            ["response.created", "response.in_progress",
                "response.output_item.added", "response.content_part.added", "response.reasoning_text.delta", "response.reasoning_text.done", "response.content_part.done", "response.output_item.done",
                "response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done",
                "response.completed"],
            Types(events));
        var final = Final(events);
        var output = Output(final);
        Assert.Equal(["reasoning", "message"], output.Select(TypeOf));
        Assert.Equal("""[{"type":"reasoning_text","text":"I think so."}]""", output[0].GetProperty("content").GetRawText());
        Assert.Empty(output[0].GetProperty("summary").EnumerateArray());
        var part = output[1].GetProperty("content")[0];
        Assert.Equal("Yes.", part.GetProperty("text").GetString());
        // The log-probs are of the message and of nothing else.
        Assert.Equal("Yes.", string.Concat(part.GetProperty("logprobs").EnumerateArray().Select(t => t.GetProperty("token").GetString())));
        Assert.All(part.GetProperty("logprobs").EnumerateArray(), t => Assert.Equal(2, t.GetProperty("top_logprobs").GetArrayLength()));
        int tokens = final.GetProperty("usage").GetProperty("output_tokens_details").GetProperty("reasoning_tokens").GetInt32();
        Assert.Equal(ScriptedModel.Tokenizer.Encode("I think so.\n</think>").Length, tokens);
        AssertSame(await CreateAsync(server, "\"input\":\"Hi\",\"include\":[\"message.output_text.logprobs\"],\"top_logprobs\":2"), final);
    }

    [Fact]
    public async Task Log_probs_of_a_stream_add_up_to_those_of_the_whole_answer()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("你好, one two."));
        const string more = "\"input\":\"Hi\",\"include\":[\"message.output_text.logprobs\"]";
        var events = await StreamAsync(server, more);
        var part = Output(Final(events))[0].GetProperty("content")[0];
        var streamed = events.Where(e => TypeOf(e) == "response.output_text.delta").SelectMany(e => e.GetProperty("logprobs").EnumerateArray()).Select(t => t.GetRawText());
        Assert.NotEmpty(streamed);
        Assert.Equal(part.GetProperty("logprobs").EnumerateArray().Select(t => t.GetRawText()), streamed);
        Assert.Equal(ScriptedModel.Tokenizer.Encode("你好, one two.").Length, part.GetProperty("logprobs").GetArrayLength());
        AssertSame(await CreateAsync(server, more), Final(events));
    }

    [Theory]
    [InlineData("one two three four five six seven eight", "message", "")]
    [InlineData("<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Par is in France and so on and on\"}}\n</tool_call>", "function_call", "{\"city\": \"")]
    public async Task A_cut_response_is_incomplete_and_so_is_its_last_item(string script, string type, string begins)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(script));
        int tokens = ScriptedModel.Tokenizer.Encode(script).Length / 2 + 4;
        string more = $"\"input\":\"Hi\",\"tools\":[{Tool}],\"max_output_tokens\":{tokens}";
        var events = await StreamAsync(server, more);
        Assert.Equal("response.incomplete", Types(events)[^1]);
        Assert.Equal("response.output_item.done", Types(events)[^2]);
        var final = Final(events);
        Assert.Equal("incomplete", final.GetProperty("status").GetString());
        Assert.Equal("""{"reason":"max_output_tokens"}""", final.GetProperty("incomplete_details").GetRawText());
        Assert.Equal(JsonValueKind.Null, final.GetProperty("completed_at").ValueKind);
        Assert.Equal(tokens, final.GetProperty("usage").GetProperty("output_tokens").GetInt32());
        var item = Assert.Single(Output(final));
        Assert.Equal(type, TypeOf(item));
        Assert.Equal("incomplete", item.GetProperty("status").GetString());
        if (type == "function_call") Assert.StartsWith(begins, item.GetProperty("arguments").GetString(), StringComparison.Ordinal);
        AssertSame(await CreateAsync(server, more), final);
    }

    [Fact]
    public async Task Many_deltas_add_up_and_are_replayed_with_their_numbers()
    {
        var model = ScriptedModel.Saying(Calls + "\nAnd so on, 你好 😀.");
        await using var server = await TestServer.StartAsync(model);
        // Slow enough that each token is an event of its own.
        model.Device.StepTime = TimeSpan.FromMilliseconds(5);
        string free = Tool[..^1] + ",\"strict\":false}";
        List<JsonElement> events, output;
        int attempts = 0;
        do
        {
            events = await StreamAsync(server, $"\"input\":\"Hi\",\"tools\":[{free}],\"include\":[\"message.output_text.logprobs\"]");
            output = Output(Final(events));
        }
        // A loaded machine may read many tokens at once.
        while (events.Count(e => TypeOf(e).EndsWith(".delta", StringComparison.Ordinal)) <= output.Count && attempts++ < 10);
        Assert.True(events.Count(e => TypeOf(e).EndsWith(".delta", StringComparison.Ordinal)) > output.Count);
        Assert.Equal(["message", "function_call", "function_call", "message"], output.Select(TypeOf));
        for (int i = 0; i < output.Count; i++)
        {
            string text = string.Concat(events.Where(e => TypeOf(e).EndsWith(".delta", StringComparison.Ordinal) && e.GetProperty("output_index").GetInt32() == i).Select(e => e.GetProperty("delta").GetString()));
            Assert.Equal(TypeOf(output[i]) == "message" ? output[i].GetProperty("content")[0].GetProperty("text").GetString() : output[i].GetProperty("arguments").GetString(), text);
        }
        string id = Final(events).GetProperty("id").GetString()!;
        var replayed = Parse(await (await server.GetAsync($"{Path}/{id}?stream=true")).Content.ReadAsStringAsync());
        Assert.Equal(events.Select(e => e.GetRawText()), replayed.Select(e => e.GetRawText()));
        int half = events.Count / 2;
        var rest = Parse(await (await server.GetAsync($"{Path}/{id}?stream=true&starting_after={half}&include[]=message.output_text.logprobs")).Content.ReadAsStringAsync(), first: half + 1);
        Assert.Equal(events.Skip(half + 1).Select(e => e.GetRawText()), rest.Select(e => e.GetRawText()));
    }

    [Fact]
    public async Task A_response_that_was_not_streamed_is_replayed_too()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(Calls));
        var whole = await CreateAsync(server, $"\"input\":\"Hi\",\"tools\":[{Tool}]");
        var replayed = Parse(await (await server.GetAsync($"{Path}/{whole.GetProperty("id").GetString()}?stream=true")).Content.ReadAsStringAsync());
        Assert.Equal(whole.GetRawText(), Final(replayed).GetRawText());
        Assert.Equal("Let me look.", Deltas(replayed, "response.output_text.delta"));
    }

    [Fact]
    public async Task A_response_is_read_again_deleted_and_then_gone()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        var created = await CreateAsync(server, "\"input\":\"x\"");
        string id = created.GetProperty("id").GetString()!;
        Assert.True(created.GetProperty("store").GetBoolean());
        Assert.Equal(created.GetRawText(), (await TestServer.JsonAsync(await server.GetAsync($"{Path}/{id}"))).GetRawText());
        using var cancelled = await server.PostAsync($"{Path}/{id}/cancel", "");
        Assert.Equal(HttpStatusCode.BadRequest, cancelled.StatusCode);
        Assert.Equal("Cannot cancel a synchronous response.", (await TestServer.JsonAsync(cancelled)).GetProperty("error").GetProperty("message").GetString());
        using var deleted = await server.Client.DeleteAsync(new Uri($"{Path}/{id}", UriKind.Relative));
        Assert.Equal($$"""{"id":"{{id}}","object":"response","deleted":true}""", await deleted.Content.ReadAsStringAsync());
        foreach (string path in new[] { $"{Path}/{id}", $"{Path}/{id}/input_items", $"{Path}/{id}?stream=true" })
        {
            using var gone = await server.GetAsync(path);
            Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
            Assert.Equal($"Response with id '{id}' not found.", (await TestServer.JsonAsync(gone)).GetProperty("error").GetProperty("message").GetString());
        }
        Assert.Equal(HttpStatusCode.NotFound, (await server.Client.DeleteAsync(new Uri($"{Path}/{id}", UriKind.Relative))).StatusCode);
        Assert.Equal((0, 0L), Store(server).Held);
    }

    [Fact]
    public async Task What_is_not_to_be_stored_is_not()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        var created = await CreateAsync(server, "\"input\":\"x\",\"store\":false");
        Assert.False(created.GetProperty("store").GetBoolean());
        Assert.Equal(HttpStatusCode.NotFound, (await server.GetAsync($"{Path}/{created.GetProperty("id").GetString()}")).StatusCode);
        await using var closed = await TestServer.StartAsync(ScriptedModel.Saying("Hi."), s => s with { Limits = s.Limits with { MaxStoredResponses = 0 } });
        Assert.False((await CreateAsync(closed, "\"input\":\"x\"")).GetProperty("store").GetBoolean());
        Assert.Equal((0, 0L), Store(closed).Held);
    }

    [Fact]
    public async Task The_store_keeps_to_its_number_and_drops_what_was_not_used_longest()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."), s => s with { Limits = s.Limits with { MaxStoredResponses = 3 } });
        var ids = new List<string>();
        for (int i = 0; i < 3; i++) ids.Add((await CreateAsync(server, "\"input\":\"x\"")).GetProperty("id").GetString()!);
        Assert.Equal(HttpStatusCode.OK, (await server.GetAsync($"{Path}/{ids[0]}")).StatusCode);
        await CreateAsync(server, "\"input\":\"x\"");
        Assert.Equal(HttpStatusCode.OK, (await server.GetAsync($"{Path}/{ids[0]}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await server.GetAsync($"{Path}/{ids[1]}")).StatusCode);
        Assert.Equal(3, Store(server).Held.Count);
    }

    [Fact]
    public async Task The_store_keeps_to_its_bytes_and_counts_a_shared_turn_once()
    {
        const long limit = 40_000;
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."), s => s with { Limits = s.Limits with { MaxStoredResponseBytes = limit } });
        string filler = new('x', 200);
        string id = (await CreateAsync(server, $"\"input\":\"{filler}\"")).GetProperty("id").GetString()!;
        long one = Store(server).Held.Bytes;
        id = (await CreateAsync(server, $"\"input\":\"{filler}\",\"previous_response_id\":\"{id}\"")).GetProperty("id").GetString()!;
        // The second holds the first one's turn, and its id where the first has null.
        Assert.InRange(Store(server).Held.Bytes, one * 2, one * 2 + 200);
        for (int i = 0; i < 20; i++)
        {
            await CreateAsync(server, $"\"input\":\"{filler}\"");
            Assert.InRange(Store(server).Held.Bytes, 1, limit);
        }
        int count = Store(server).Held.Count;
        Assert.InRange(count, 3, 19);
        // What alone is too large is answered and not kept, and pushes nothing out.
        var large = await CreateAsync(server, $"\"input\":\"x\",\"metadata\":{{{string.Join(',', Enumerable.Range(0, 16).Select(i => $"\"k{i}\":\"{new string('x', 512)}\""))}}},\"tools\":[{Tool.Replace("Weather", new string('y', 20_000), StringComparison.Ordinal)}],\"tool_choice\":\"none\"");
        Assert.Equal(HttpStatusCode.NotFound, (await server.GetAsync($"{Path}/{large.GetProperty("id").GetString()}")).StatusCode);
        Assert.Equal(count, Store(server).Held.Count);
    }

    [Fact]
    public async Task A_conversation_goes_on_from_the_response_before_with_its_calls_and_outlives_its_beginning()
    {
        var prompts = new List<string>();
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p =>
        {
            lock (prompts) prompts.Add(p);
            return p.Contains("<tool_response>", StringComparison.Ordinal) ? "It is 21 degrees in both." : Calls;
        }));
        prompts.Clear();
        var first = await CreateAsync(server, $"\"input\":\"What is the weather?\",\"instructions\":\"Be brief.\",\"tools\":[{Tool}]");
        var calls = Output(first).Where(i => TypeOf(i) == "function_call").Select(c => c.GetProperty("call_id").GetString()!).ToList();
        string results = string.Join(',', calls.Select((c, i) => $$"""{"type":"function_call_output","call_id":"{{c}}","output":"2{{i}} degrees"}"""));
        string id = first.GetProperty("id").GetString()!;
        var second = await CreateAsync(server, $"\"input\":[{results}],\"previous_response_id\":\"{id}\",\"tools\":[{Tool}]");
        Assert.Equal(id, second.GetProperty("previous_response_id").GetString());
        Assert.Equal("It is 21 degrees in both.", Output(second).Single().GetProperty("content")[0].GetProperty("text").GetString());
        // As a chat would hold it, without the instructions of the response before.
        Assert.Contains("Be brief.", prompts[0], StringComparison.Ordinal);
        Assert.DoesNotContain("Be brief.", prompts[1], StringComparison.Ordinal);
        AssertPrompt(prompts[1],
            new() { Role = "user", Content = "What is the weather?" },
            new() { Role = "assistant", Content = "Let me look.", ToolCalls = [new("a", "get_weather", """{"city": "Paris"}"""), new("b", "get_weather", """{"city": "Rome"}""")] },
            new() { Role = "tool", Content = "20 degrees" },
            new() { Role = "tool", Content = "21 degrees" });

        await server.Client.DeleteAsync(new Uri($"{Path}/{id}", UriKind.Relative));
        await CreateAsync(server, $"\"input\":\"Thanks.\",\"previous_response_id\":\"{second.GetProperty("id").GetString()}\"");
        Assert.Contains("What is the weather?", prompts[2], StringComparison.Ordinal);
        Assert.Contains("It is 21 degrees in both.", prompts[2], StringComparison.Ordinal);

        // The input of the second, the oldest first: the first's input and output, then its own.
        string items = $"{Path}/{second.GetProperty("id").GetString()}/input_items";
        var list = await TestServer.JsonAsync(await server.GetAsync(items + "?order=asc"));
        var data = list.GetProperty("data").EnumerateArray().ToList();
        Assert.Equal(["message", "message", "function_call", "function_call", "function_call_output", "function_call_output"], data.Select(TypeOf));
        Assert.Equal("""[{"type":"input_text","text":"What is the weather?"}]""", data[0].GetProperty("content").GetRawText());
        Assert.Equal("user", data[0].GetProperty("role").GetString());
        Assert.False(list.GetProperty("has_more").GetBoolean());
        var page = await TestServer.JsonAsync(await server.GetAsync($"{items}?limit=2&after={data[^1].GetProperty("id").GetString()}"));
        Assert.Equal(data.AsEnumerable().Reverse().Skip(1).Take(2).Select(d => d.GetRawText()), page.GetProperty("data").EnumerateArray().Select(d => d.GetRawText()));
        Assert.Equal(data[^2].GetProperty("id").GetString(), page.GetProperty("first_id").GetString());
        Assert.Equal(data[^3].GetProperty("id").GetString(), page.GetProperty("last_id").GetString());
        Assert.True(page.GetProperty("has_more").GetBoolean());
    }

    [Fact]
    public async Task A_conversation_is_continued_to_the_limit_of_messages()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."), s => s with { Limits = s.Limits with { MaxMessages = 3 } });
        string id = (await CreateAsync(server, "\"input\":\"x\"")).GetProperty("id").GetString()!;
        id = (await CreateAsync(server, $"\"input\":\"y\",\"previous_response_id\":\"{id}\"")).GetProperty("id").GetString()!;
        using var response = await server.PostAsync(Path, Body($"\"input\":\"z\",\"previous_response_id\":\"{id}\""));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("previous_response_id", (await TestServer.JsonAsync(response)).GetProperty("error").GetProperty("param").GetString());
    }

    [Fact]
    public async Task Items_may_be_given_back_whole_or_by_reference()
    {
        var prompts = new List<string>();
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p =>
        {
            lock (prompts) prompts.Add(p);
            return "Fine.";
        }));
        prompts.Clear();
        await CreateAsync(server, """
            "instructions":"I.","input":[{"role":"developer","content":"D."},{"role":"user","content":[{"type":"input_text","text":"one"},{"type":"input_text","text":"two"}]},
            {"id":"rs_1","type":"reasoning","summary":[]},{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"A.","annotations":[]}]},
            {"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{\"x\": 1}"},{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"out"}]},
            {"role":"assistant","content":"B."},{"role":"user","content":"three"}]
            """);
        AssertPrompt(prompts[0], new() { Role = "system", Content = "I." }, new() { Role = "system", Content = "D." }, new() { Role = "user", Content = "one\ntwo" },
            new() { Role = "assistant", Content = "A.", ToolCalls = [new("c", "f", """{"x": 1}""")] }, new() { Role = "tool", Content = "out" },
            new() { Role = "assistant", Content = "B." }, new() { Role = "user", Content = "three" });
        await CreateAsync(server, "\"input\":[{\"role\":\"user\",\"content\":\"Q\"},{\"type\":\"item_reference\",\"id\":\"msg_1\"},{\"id\":\"fc_1\"},{\"role\":\"user\",\"content\":\"R\"}]");
        AssertPrompt(prompts[1], new() { Role = "user", Content = "Q" }, new() { Role = "assistant", Content = "A.", ToolCalls = [new("c", "f", """{"x": 1}""")] }, new() { Role = "user", Content = "R" });
    }

    [Theory]
    [InlineData("\"required\"", "get_weather,stop_all")]
    [InlineData("""{"type":"function","name":"get_weather"}""", "get_weather")]
    [InlineData("""{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"stop_all"}]}""", "stop_all")]
    public async Task A_demanded_call_comes_whatever_the_model_would_say(string choice, string names)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("No."));
        var response = await CreateAsync(server, $"\"input\":\"x\",\"tools\":[{Tool},{{\"type\":\"function\",\"name\":\"stop_all\"}}],\"tool_choice\":{choice},\"parallel_tool_calls\":false,\"max_output_tokens\":300");
        Assert.Equal(choice, response.GetProperty("tool_choice").GetRawText());
        Assert.False(response.GetProperty("parallel_tool_calls").GetBoolean());
        var call = Assert.Single(Output(response));
        Assert.Equal("function_call", TypeOf(call));
        Assert.Contains(call.GetProperty("name").GetString(), names.Split(','));
    }

    [Theory]
    [InlineData("\"parallel_tool_calls\":true", 2)]
    [InlineData("\"parallel_tool_calls\":false", 1)]
    [InlineData("\"tool_choice\":\"none\"", 0)]
    public async Task Calls_are_as_many_as_the_request_allows(string more, int count)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(Calls));
        Assert.Equal(count, Output(await CreateAsync(server, $"\"input\":\"x\",\"tools\":[{Tool}],{more}")).Count(i => TypeOf(i) == "function_call"));
    }

    [Fact]
    public async Task A_tools_schema_is_kept_where_it_can_be_unless_the_request_says_no()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"n\": 77}}\n</tool_call>"));
        async Task<(string Arguments, bool Strict)> AskAsync(string schema, string more)
        {
            var response = await CreateAsync(server, $$"""
                "input":"x","max_output_tokens":100,"tools":[{"type":"function","name":"f","parameters":{{schema}}{{more}}}]
                """);
            return (Output(response).Single().GetProperty("arguments").GetString()!, response.GetProperty("tools")[0].GetProperty("strict").GetBoolean());
        }

        const string bounded = """{"type":"object","properties":{"n":{"type":"integer","maximum":9}},"required":["n"],"additionalProperties":false}""";
        const string unenforceable = """{"type":"object","properties":{"n":{"type":"integer","multipleOf":0.37}},"unevaluatedProperties":false}""";
        Assert.Equal(("""{"n": 7}""", true), await AskAsync(bounded, ""));
        Assert.Equal(("""{"n": 77}""", false), await AskAsync(bounded, ",\"strict\":false"));
        Assert.Equal(("""{"n": 77}""", false), await AskAsync(unenforceable, ""));
        using var refused = await server.PostAsync(Path, Body($$"""
            "input":"x","tools":[{"type":"function","name":"f","strict":true,"parameters":{{unenforceable}}}]
            """));
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.StartsWith("tools[0].parameters", (await TestServer.JsonAsync(refused)).GetProperty("error").GetProperty("param").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_text_format_is_kept_and_repeated()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("No."));
        var response = await CreateAsync(server, "\"input\":\"x\",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\n \"strict\":true,\"schema\":{\"enum\":[\"yes\"]}},\"verbosity\":\"low\"},\"stream\":null");
        Assert.Equal("\"yes\"", Output(response).Single().GetProperty("content")[0].GetProperty("text").GetString());
        Assert.Equal("""{"format":{"type":"json_schema","description":null,"name":"n","schema":{"enum":["yes"]},"strict":true},"verbosity":"low"}""", response.GetProperty("text").GetRawText());
        response = await CreateAsync(server, "\"input\":\"x\",\"max_output_tokens\":40,\"text\":{\"format\":{\"type\":\"json_object\"}}");
        Assert.StartsWith("{", Output(response).Single().GetProperty("content")[0].GetProperty("text").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Truncation_leaves_out_the_oldest_messages_and_only_when_asked()
    {
        string? prompt = null;
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p => (prompt = p) is null ? "" : "Fine."));
        string items = string.Join(',', Enumerable.Range(0, 40).Select(i => $$"""{"role":"{{(i % 2 == 0 ? "user" : "assistant")}}","content":"message number {{i}} is of some length, so that forty of them do not fit"}"""))
            + ",{\"role\":\"user\",\"content\":\"the last\"}";
        using var refused = await server.PostAsync(Path, Body($"\"input\":[{items}]"));
        var error = (await TestServer.JsonAsync(refused)).GetProperty("error");
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Equal("context_length_exceeded", error.GetProperty("code").GetString());
        Assert.Equal("input", error.GetProperty("param").GetString());
        var response = await CreateAsync(server, $"\"input\":[{items}],\"truncation\":\"auto\",\"instructions\":\"Be brief.\",\"max_output_tokens\":50");
        Assert.Equal("auto", response.GetProperty("truncation").GetString());
        Assert.InRange(response.GetProperty("usage").GetProperty("input_tokens").GetInt32(), 300, ScriptedModel.MaxModelLen - 50);
        Assert.Contains("Be brief.", prompt, StringComparison.Ordinal);
        Assert.Contains("the last", prompt, StringComparison.Ordinal);
        Assert.Contains("message number 39 ", prompt, StringComparison.Ordinal);
        Assert.DoesNotContain("message number 0 ", prompt, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_in_mid_stream_is_told_twice_and_kept_and_the_connection_ends()
    {
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model);
        model.Device.StepTime = TimeSpan.FromMilliseconds(50);
        using var request = new HttpRequestMessage(HttpMethod.Post, Path) { Content = new StringContent(Body("\"input\":\"x\",\"stream\":true"), System.Text.Encoding.UTF8, "application/json") };
        using var response = await server.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await using var stream = await response.Content.ReadAsStreamAsync();
        using var reader = new StreamReader(stream);
        string text = "";
        bool cut = false;
        try
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                text += line + "\n";
                if (line.Contains("output_text.delta", StringComparison.Ordinal)) model.Device.Fault = new InvalidOperationException("the device is gone");
            }
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            cut = true;
        }
        Assert.True(cut);
        var events = Parse(text + (text.EndsWith("\n\n", StringComparison.Ordinal) ? "" : "\n"));
        Assert.Equal(["error", "response.failed"], Types(events)[^2..]);
        Assert.Equal(["type", "sequence_number", "code", "message", "param"], events[^2].EnumerateObject().Select(p => p.Name));
        var failed = Final(events);
        Assert.Equal("failed", failed.GetProperty("status").GetString());
        Assert.Equal("server_error", failed.GetProperty("error").GetProperty("code").GetString());
        Assert.Equal("incomplete", Output(failed).Single().GetProperty("status").GetString());
        Assert.Equal(failed.GetRawText(), (await TestServer.JsonAsync(await server.GetAsync($"{Path}/{failed.GetProperty("id").GetString()}"))).GetRawText());
    }

    [Fact]
    public async Task A_client_that_leaves_leaves_nothing_behind()
    {
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model);
        model.Device.StepTime = TimeSpan.FromMilliseconds(50);
        using (var request = new HttpRequestMessage(HttpMethod.Post, Path) { Content = new StringContent(Body("\"input\":\"x\",\"stream\":true"), System.Text.Encoding.UTF8, "application/json") })
        using (var response = await server.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead))
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await ChatTests.IdleAsync(model);
        Assert.Equal(0, Store(server).Held.Count);
    }

    [Theory]
    [InlineData("", "input", "missing_required_parameter")]
    [InlineData("\"input\":[]", "input", "empty_array")]
    [InlineData("\"input\":5", "input", "invalid_type")]
    [InlineData("\"input\":[{}]", "input[0].type", "missing_required_parameter")]
    [InlineData("\"input\":[{\"type\":\"web_search_call\",\"id\":\"x\"}]", "input[0].type", "invalid_value")]
    [InlineData("\"input\":[{\"role\":\"tool\",\"content\":\"x\"}]", "input[0].role", "invalid_value")]
    [InlineData("\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"x\"}]}]", "input[0].content[0].type", "invalid_value")]
    [InlineData("\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"x\"}]", "input", null)]
    [InlineData("\"input\":[{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\"}]", "input[0].arguments", "missing_required_parameter")]
    [InlineData("\"input\":\"x\",\"previous_response_id\":\"resp_x\"", "previous_response_id", "previous_response_not_found")]
    [InlineData("\"input\":\"x\",\"background\":true", "background", "unsupported_parameter")]
    [InlineData("\"input\":\"x\",\"conversation\":\"conv_1\"", "conversation", "unsupported_parameter")]
    [InlineData("\"input\":\"x\",\"prompt\":{\"id\":\"p\"}", "prompt", "unsupported_parameter")]
    [InlineData("\"messages\":[]", "messages", "unsupported_parameter")]
    [InlineData("\"input\":\"x\",\"response_format\":{\"type\":\"text\"}", "response_format", "unsupported_parameter")]
    [InlineData("\"input\":\"x\",\"tools\":[{\"type\":\"web_search\"}]", "tools[0].type", "unsupported_parameter")]
    [InlineData("\"input\":\"x\",\"tools\":[{\"type\":\"file_search\",\"vector_store_ids\":[]}]", "tools[0].type", "unsupported_parameter")]
    [InlineData("\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"computer_use_preview\"}]", "tools[1].type", "unsupported_parameter")]
    [InlineData("\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"a b\"}]", "tools[0].name", "invalid_value")]
    [InlineData("\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]", "tools[0].name", "missing_required_parameter")]
    [InlineData("\"input\":\"x\",\"tool_choice\":\"required\"", "tool_choice", "invalid_value")]
    [InlineData("\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}],\"tool_choice\":{\"type\":\"function\",\"name\":\"g\"}", "tool_choice", "invalid_value")]
    [InlineData("\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}],\"tool_choice\":{\"type\":\"file_search\"}", "tool_choice.type", "unsupported_parameter")]
    [InlineData("\"input\":\"x\",\"text\":{\"format\":{\"type\":\"xml\"}}", "text.format.type", "invalid_value")]
    [InlineData("\"input\":\"x\",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\"}}", "text.format.schema", "missing_required_parameter")]
    [InlineData("\"input\":\"x\",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{\"properties\":{\"a\":{\"type\":\"what\"}}}}}", "text.format.schema.properties.a", "invalid_value")]
    [InlineData("\"input\":\"x\",\"include\":[\"everything\"]", "include[0]", "invalid_value")]
    [InlineData("\"input\":\"x\",\"top_logprobs\":21", "top_logprobs", "integer_above_max_value")]
    [InlineData("\"input\":\"x\",\"max_output_tokens\":0", "max_output_tokens", "integer_below_min_value")]
    [InlineData("\"input\":\"x\",\"temperature\":3", "temperature", "decimal_above_max_value")]
    [InlineData("\"input\":\"x\",\"truncation\":\"some\"", "truncation", "invalid_value")]
    [InlineData("\"input\":\"x\",\"metadata\":{\"a\":1}", "metadata.a", "invalid_type")]
    [InlineData("\"input\":\"x\",\"stream_options\":{\"include_obfuscation\":false}", "stream_options", "invalid_value")]
    public async Task A_wrong_request_is_told_where(string more, string param, string? code)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        foreach (bool stream in new[] { false, true })
        {
            if (stream && more.Contains("stream_options", StringComparison.Ordinal)) continue;
            using var response = await server.PostAsync(Path, Body((more.Length > 0 ? more + "," : "") + $"\"stream\":{(stream ? "true" : "false")}"));
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
            var error = (await TestServer.JsonAsync(response)).GetProperty("error");
            Assert.Equal(["message", "type", "param", "code"], error.EnumerateObject().Select(p => p.Name));
            Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
            Assert.Equal(param, error.GetProperty("param").GetString());
            Assert.Equal(code, error.GetProperty("code").GetString());
            if (more.Contains("\"type\":\"web_search\"", StringComparison.Ordinal)) Assert.Contains("'web_search'", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("?stream=maybe", "stream")]
    [InlineData("?stream=true&starting_after=x", "starting_after")]
    [InlineData("/input_items?limit=0", "limit")]
    [InlineData("/input_items?order=up", "order")]
    [InlineData("/input_items?after=nothing", "after")]
    public async Task A_wrong_query_is_told_too(string query, string param)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        string id = (await CreateAsync(server, "\"input\":\"x\"")).GetProperty("id").GetString()!;
        using var response = await server.GetAsync($"{Path}/{id}{query}");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(param, (await TestServer.JsonAsync(response)).GetProperty("error").GetProperty("param").GetString());
    }

    [Fact]
    public async Task Input_tokens_are_counted_as_they_will_be()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        string more = $"\"input\":\"x\",\"instructions\":\"Be brief.\",\"tools\":[{Tool}]";
        using var counted = await server.PostAsync(Path + "/input_tokens", Body(more));
        var created = await CreateAsync(server, more);
        Assert.Equal($$"""{"object":"response.input_tokens","input_tokens":{{created.GetProperty("usage").GetProperty("input_tokens").GetInt32()}}}""", await counted.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task An_unknown_item_or_model_is_not_found()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var reference = await server.PostAsync(Path, Body("\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_x\"}]"));
        Assert.Equal(HttpStatusCode.NotFound, reference.StatusCode);
        using var model = await server.PostAsync(Path, "{\"model\":\"nothing\",\"input\":\"x\"}");
        Assert.Equal("model_not_found", (await TestServer.JsonAsync(model)).GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task Nulls_count_as_absent()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."), s => s with { Limits = s.Limits with { RejectUnknownFields = true } });
        await CreateAsync(server, string.Join(',', new[]
        {
            "instructions", "include", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls", "previous_response_id", "prompt", "conversation", "background", "context_management",
            "prompt_cache_key", "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store", "stream", "stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs",
            "top_p", "truncation", "user",
        }.Select(f => $"\"{f}\":null").Prepend("\"input\":\"x\"")));
    }

    private static ResponseStore Store(TestServer server) => (ResponseStore)server.App.Services.GetService(typeof(ResponseStore))!;

    private static async Task<TestServer> ReasoningServerAsync(string script)
    {
        var model = ScriptedModel.Saying(script);
        return await TestServer.StartAsync(async (settings, report, cancel) =>
        {
            var served = await model.LoadAsync(settings, report, cancel);
            return new Hosting.ServedModel
            {
                Names = served.Names,
                Root = served.Root,
                Engine = served.Engine,
                Tokenizer = served.Tokenizer,
                Template = ChatTemplate.Parse("{% for m in messages %}{{ m.content }}{% endfor %}<think>\n"),
            };
        });
    }

    private static void AssertPrompt(string prompt, params ConversationMessage[] messages)
    {
        // From the first message on: the template puts tools before it, and a system prompt of its own.
        string rendered = ChatTemplate.Load(Hosting.ModelLoading.EmbeddedDirectory).Render(new Conversation { Messages = messages }).Text;
        string from = messages[0].Role == "system" ? "<|im_start|>system" : "<|im_start|>user";
        Assert.Equal(rendered[rendered.IndexOf(from, StringComparison.Ordinal)..], prompt[prompt.IndexOf(from, StringComparison.Ordinal)..]);
    }

    private static string Body(string more) => $"{{\"model\":\"short\"{(more.Length > 0 ? "," : "")}{more}}}";

    private static async Task<JsonElement> CreateAsync(TestServer server, string more)
    {
        using var response = await server.PostAsync(Path, Body(more));
        var json = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, json.GetRawText());
        return json;
    }

    private static async Task<List<JsonElement>> StreamAsync(TestServer server, string more)
    {
        using var response = await server.PostAsync(Path, Body(more + ",\"stream\":true"));
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.ToString());
        return Parse(text);
    }

    /// <summary>Each event is named, says its name again, and has the next number.</summary>
    internal static List<JsonElement> Parse(string text, int first = 0)
    {
        Assert.EndsWith("\n\n", text, StringComparison.Ordinal);
        var events = new List<JsonElement>();
        foreach (string frame in text[..^2].Split("\n\n"))
        {
            string[] lines = frame.Split('\n');
            Assert.Equal(2, lines.Length);
            Assert.StartsWith("data: ", lines[1], StringComparison.Ordinal);
            using var document = JsonDocument.Parse(lines[1]["data: ".Length..]);
            var root = document.RootElement.Clone();
            Assert.Equal("event: " + TypeOf(root), lines[0]);
            Assert.Equal(first + events.Count, root.GetProperty("sequence_number").GetInt32());
            events.Add(root);
        }
        return events;
    }

    private static string TypeOf(JsonElement element) => element.GetProperty("type").GetString()!;

    private static List<JsonElement> Output(JsonElement response) => [.. response.GetProperty("output").EnumerateArray()];

    private static JsonElement Final(List<JsonElement> events) => events[^1].GetProperty("response");

    private static string Deltas(List<JsonElement> events, string type) => string.Concat(events.Where(e => TypeOf(e) == type).Select(e => e.GetProperty("delta").GetString()));

    /// <summary>The types in order, a row of deltas as one.</summary>
    private static List<string> Types(List<JsonElement> events)
    {
        var types = new List<string>();
        foreach (var e in events)
            if (!TypeOf(e).EndsWith(".delta", StringComparison.Ordinal) || types[^1] != TypeOf(e)) types.Add(TypeOf(e));
        return types;
    }

    /// <summary>Two answers to the same request differ in ids, times and what the prefix cache had, and in nothing else.</summary>
    private static void AssertSame(JsonElement whole, JsonElement streamed)
    {
        Assert.Equal(Scrub(whole), Scrub(streamed));

        static string Scrub(JsonElement response)
        {
            var node = System.Text.Json.Nodes.JsonNode.Parse(response.GetRawText())!;
            node["id"] = node["created_at"] = node["completed_at"] = null;
            if (node["usage"]?["input_tokens_details"] is { } details) details["cached_tokens"] = null;
            foreach (var item in node["output"]!.AsArray())
            {
                item!["id"] = null;
                if (item["call_id"] is not null) item["call_id"] = null;
            }
            return node.ToJsonString();
        }
    }
}
