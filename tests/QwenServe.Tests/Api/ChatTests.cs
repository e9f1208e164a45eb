using System.Globalization;
using System.Text;
using System.Text.Json;

namespace QwenServe.Tests.Api;

public class ChatTests
{
    private const string Path = "/v1/chat/completions";
    private const string Tool = """{"type":"function","function":{"name":"get_weather","description":"Weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}""";
    private const string Call = "Let me look.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>";

    [Fact]
    public async Task An_answer_has_every_required_key()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hello there."));
        var answer = await PostAsync(server, Body());
        Assert.StartsWith("chatcmpl-", answer.GetProperty("id").GetString(), StringComparison.Ordinal);
        Assert.Equal("chat.completion", answer.GetProperty("object").GetString());
        Assert.DoesNotContain('.', answer.GetProperty("created").GetRawText());
        Assert.Equal("org/name", answer.GetProperty("model").GetString());
        var choice = answer.GetProperty("choices").EnumerateArray().Single();
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("logprobs").ValueKind);
        var message = choice.GetProperty("message");
        Assert.Equal("assistant", message.GetProperty("role").GetString());
        Assert.Equal("Hello there.", message.GetProperty("content").GetString());
        Assert.Equal(JsonValueKind.Null, message.GetProperty("refusal").ValueKind);
        Assert.False(message.TryGetProperty("tool_calls", out _));
        var usage = answer.GetProperty("usage");
        int completion = ScriptedModel.Tokenizer.Encode("Hello there.").Length + 1;
        Assert.Equal(completion, usage.GetProperty("completion_tokens").GetInt32());
        Assert.Equal(usage.GetProperty("prompt_tokens").GetInt32() + completion, usage.GetProperty("total_tokens").GetInt32());
    }

    [Fact]
    public async Task A_stream_has_role_content_finish_and_done_in_this_order()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hello, 你好 😀 there."));
        var events = await server.StreamAsync(Path, Body("\"stream\":true"));
        Assert.Equal("[DONE]", events[^1]);
        var chunks = Parse(events);
        Assert.Single(chunks.Select(c => c.GetProperty("id").GetString()).Distinct());
        Assert.All(chunks, c => Assert.Equal("chat.completion.chunk", c.GetProperty("object").GetString()));
        Assert.All(chunks, c => Assert.Single(c.GetProperty("choices").EnumerateArray()));
        Assert.All(chunks, c => Assert.False(c.TryGetProperty("usage", out _)));
        var deltas = chunks.Select(c => c.GetProperty("choices")[0].GetProperty("delta")).ToList();
        Assert.Equal("""{"role":"assistant","content":""}""", deltas[0].GetRawText());
        Assert.All(deltas.Skip(1), d => Assert.False(d.TryGetProperty("role", out _)));
        Assert.Equal("{}", deltas[^1].GetRawText());
        Assert.Equal("stop", chunks[^1].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.All(chunks.SkipLast(1), c => Assert.Equal(JsonValueKind.Null, c.GetProperty("choices")[0].GetProperty("finish_reason").ValueKind));
        string text = string.Concat(deltas.Skip(1).SkipLast(1).Select(d => d.GetProperty("content").GetString()));
        Assert.Equal("Hello, 你好 😀 there.", text);
        Assert.All(deltas.Skip(1).SkipLast(1), d => Assert.DoesNotContain('\uFFFD', d.GetProperty("content").GetString()!));
    }

    [Fact]
    public async Task Stream_headers_keep_proxies_from_buffering()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var response = await server.PostAsync(Path, Body("\"stream\":true"));
        Assert.Equal("no", response.Headers.GetValues("X-Accel-Buffering").Single());
        Assert.Contains("no-cache", response.Headers.CacheControl!.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Usage_comes_in_a_chunk_of_its_own_when_asked_for()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        var chunks = Parse(await server.StreamAsync(Path, Body("\"stream\":true,\"stream_options\":{\"include_usage\":true}")));
        Assert.Empty(chunks[^1].GetProperty("choices").EnumerateArray());
        Assert.True(chunks[^1].GetProperty("usage").GetProperty("prompt_tokens").GetInt32() > 0);
        Assert.All(chunks.SkipLast(1), c => Assert.Equal(JsonValueKind.Null, c.GetProperty("usage").ValueKind));
    }

    [Fact]
    public async Task A_call_streams_its_identity_once_and_assembles_to_the_whole_answer()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(Call));
        var whole = (await PostAsync(server, Body($"\"tools\":[{Tool}]"))).GetProperty("choices")[0];
        Assert.Equal("tool_calls", whole.GetProperty("finish_reason").GetString());
        Assert.Equal("Let me look.", whole.GetProperty("message").GetProperty("content").GetString());
        var calls = whole.GetProperty("message").GetProperty("tool_calls").EnumerateArray().ToList();
        Assert.Equal(["""{"city": "Paris"}""", """{"city": "Rome"}"""], calls.Select(c => c.GetProperty("function").GetProperty("arguments").GetString()));
        Assert.Equal(2, calls.Select(c => c.GetProperty("id").GetString()).Distinct().Count());

        var chunks = Parse(await server.StreamAsync(Path, Body($"\"stream\":true,\"tools\":[{Tool}]")));
        var pieces = chunks.SelectMany(c => c.GetProperty("choices").EnumerateArray()).Select(c => c.GetProperty("delta"))
            .Where(d => d.TryGetProperty("tool_calls", out _)).SelectMany(d => d.GetProperty("tool_calls").EnumerateArray()).ToList();
        Assert.All(pieces, p => Assert.True(p.TryGetProperty("index", out _)));
        for (int index = 0; index < 2; index++)
        {
            var own = pieces.Where(p => p.GetProperty("index").GetInt32() == index).ToList();
            Assert.Equal("function", own[0].GetProperty("type").GetString());
            Assert.Equal("get_weather", own[0].GetProperty("function").GetProperty("name").GetString());
            Assert.All(own.Skip(1), p => Assert.False(p.TryGetProperty("id", out _) || p.TryGetProperty("type", out _) || p.GetProperty("function").TryGetProperty("name", out _)));
            Assert.Equal(calls[index].GetProperty("function").GetProperty("arguments").GetString(),
                string.Concat(own.Select(p => p.GetProperty("function").GetProperty("arguments").GetString())));
        }
        Assert.Equal("tool_calls", chunks[^1].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task An_answer_that_is_a_call_alone_has_null_content()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(Call["Let me look.\n".Length..]));
        var message = (await PostAsync(server, Body($"\"tools\":[{Tool}]"))).GetProperty("choices")[0].GetProperty("message");
        Assert.Equal(JsonValueKind.Null, message.GetProperty("content").ValueKind);
        var deltas = Parse(await server.StreamAsync(Path, Body($"\"stream\":true,\"tools\":[{Tool}]"))).Select(c => c.GetProperty("choices")[0].GetProperty("delta")).ToList();
        Assert.Equal("""{"role":"assistant","content":null}""", deltas[0].GetRawText());
        Assert.All(deltas.Skip(1), d => Assert.False(d.TryGetProperty("content", out _) || d.TryGetProperty("role", out _)));
    }

    [Fact]
    public async Task Without_tools_or_with_choice_none_markup_is_text()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(Call));
        foreach (string more in new[] { "\"n\":1", $"\"tools\":[{Tool}],\"tool_choice\":\"none\"" })
        {
            var choice = (await PostAsync(server, Body(more))).GetProperty("choices")[0];
            Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
            Assert.Equal(Call, choice.GetProperty("message").GetProperty("content").GetString());
        }
    }

    [Fact]
    public async Task A_call_cut_by_max_tokens_ends_as_length()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(Call));
        int some = ScriptedModel.Tokenizer.Encode(Call).Length / 3;
        var choice = (await PostAsync(server, Body($"\"tools\":[{Tool}],\"max_tokens\":{some}"))).GetProperty("choices")[0];
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task A_stop_string_ends_the_answer_and_the_engines_work()
    {
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model);
        var choice = (await PostAsync(server, Body("\"stop\":[\"nothing\",\"three one\"]"))).GetProperty("choices")[0];
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        Assert.Equal("one two ", choice.GetProperty("message").GetProperty("content").GetString());
        await IdleAsync(model);
        var kept = (await PostAsync(server, Body("\"stop\":\"three\",\"include_stop_str_in_output\":true"))).GetProperty("choices")[0];
        Assert.Equal("one two three", kept.GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task Several_choices_are_numbered_and_counted_once()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Yes."));
        var answer = await PostAsync(server, Body("\"n\":3"));
        Assert.Equal([0, 1, 2], answer.GetProperty("choices").EnumerateArray().Select(c => c.GetProperty("index").GetInt32()));
        int each = ScriptedModel.Tokenizer.Encode("Yes.").Length + 1;
        Assert.Equal(3 * each, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());

        var chunks = Parse(await server.StreamAsync(Path, Body("\"n\":3,\"stream\":true")));
        foreach (int index in new[] { 0, 1, 2 })
        {
            var own = chunks.Select(c => c.GetProperty("choices")[0]).Where(c => c.GetProperty("index").GetInt32() == index).ToList();
            Assert.True(own[0].GetProperty("delta").TryGetProperty("role", out _));
            Assert.Equal("stop", own[^1].GetProperty("finish_reason").GetString());
            Assert.Equal("Yes.", string.Concat(own.Select(c => c.GetProperty("delta").TryGetProperty("content", out var t) ? t.GetString() : "")));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Log_probs_cover_the_text_token_by_token(bool stream)
    {
        const string text = "Grüße 😀 and more text.";
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(text));
        List<JsonElement> tokens;
        if (stream)
        {
            tokens = [.. Parse(await server.StreamAsync(Path, Body("\"logprobs\":true,\"top_logprobs\":2,\"stream\":true")))
                .Select(c => c.GetProperty("choices")[0].GetProperty("logprobs")).Where(l => l.ValueKind == JsonValueKind.Object)
                .SelectMany(l => l.GetProperty("content").EnumerateArray())];
        }
        else
        {
            var choice = (await PostAsync(server, Body("\"logprobs\":true,\"top_logprobs\":2"))).GetProperty("choices")[0];
            tokens = [.. choice.GetProperty("logprobs").GetProperty("content").EnumerateArray()];
        }
        byte[] bytes = [.. tokens.SelectMany(t => t.GetProperty("bytes").EnumerateArray().Select(b => b.GetByte()))];
        Assert.Equal(text, Encoding.UTF8.GetString(bytes));
        Assert.All(tokens, t => Assert.Equal(-0.5, t.GetProperty("logprob").GetDouble(), 3));
        Assert.All(tokens, t => Assert.Equal(2, t.GetProperty("top_logprobs").GetArrayLength()));
    }

    [Fact]
    public async Task Top_log_probs_are_empty_and_not_absent_when_not_asked_for()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        var choice = (await PostAsync(server, Body("\"logprobs\":true"))).GetProperty("choices")[0];
        Assert.All(choice.GetProperty("logprobs").GetProperty("content").EnumerateArray(), t => Assert.Equal(0, t.GetProperty("top_logprobs").GetArrayLength()));
    }

    [Fact]
    public async Task What_SDKs_send_beside_the_request_is_taken()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        string body = """
            {"model":"short","messages":[
              {"role":"developer","content":"Be brief.","name":null},
              {"role":"user","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]},
              {"role":"assistant","content":null,"refusal":null,"audio":null,"function_call":null,"annotations":[],"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"not json at all"}}]},
              {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"result"}]},
              {"role":"assistant","tool_calls":[{"id":"c2","type":"function","function":{"name":"f","arguments":{"x":1}}}]},
              {"role":"tool","tool_call_id":"c2","content":"lone \ud83d surrogate"}],
             "temperature":null,"top_p":null,"n":null,"stream":null,"stream_options":null,"stop":null,"max_tokens":null,"max_completion_tokens":null,
             "presence_penalty":null,"frequency_penalty":null,"logit_bias":null,"logprobs":null,"top_logprobs":null,"seed":null,"response_format":{"type":"text"},
             "tools":null,"tool_choice":null,"parallel_tool_calls":true,"user":"u","metadata":{"a":"b"},"store":false,"service_tier":"auto",
             "modalities":["text"],"reasoning_effort":"low","prediction":null,"some_new_field":{"deep":[1]}}
            """;
        Assert.Equal("Hi.", (await PostAsync(server, body)).GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task Unknown_fields_are_errors_when_the_setting_says_so()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."), s => s with { Limits = s.Limits with { RejectUnknownFields = true } });
        using var response = await server.PostAsync(Path, Body("\"temperatur\":1"));
        Assert.Equal(400, (int)response.StatusCode);
        Assert.Equal("temperatur", (await TestServer.JsonAsync(response)).GetProperty("error").GetProperty("param").GetString());
        using var known = await server.PostAsync(Path, Body("\"temperature\":1,\"seed\":1,\"top_k\":5"));
        Assert.Equal(200, (int)known.StatusCode);
    }

    [Fact]
    public async Task An_assistants_message_can_be_continued_and_echoed()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p => p.EndsWith("assistant\nThe answer is", StringComparison.Ordinal) ? " 42." : "wrong prompt"));
        string body = """{"model":"short","messages":[{"role":"user","content":"?"},{"role":"assistant","content":"The answer is"}],"continue_final_message":true,"add_generation_prompt":false,"echo":true}""";
        Assert.Equal("The answer is 42.", (await PostAsync(server, body)).GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task Prompt_log_probs_have_an_entry_for_each_token_of_the_prompt()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        var answer = await PostAsync(server, Body("\"prompt_logprobs\":2"));
        Assert.Equal(answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), answer.GetProperty("prompt_logprobs").GetArrayLength());
        Assert.Equal(JsonValueKind.Null, answer.GetProperty("prompt_logprobs")[0].ValueKind);
    }

    [Fact]
    public async Task The_second_turn_reports_the_cached_prefix()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        string body = $$"""{"model":"short","messages":[{"role":"user","content":"{{string.Join(' ', Enumerable.Range(0, 60).Select(i => i.ToString(CultureInfo.InvariantCulture)))}}"}]}""";
        await PostAsync(server, body);
        var usage = (await PostAsync(server, body)).GetProperty("usage");
        Assert.True(usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32() >= 32);
        var salted = (await PostAsync(server, body[..^1] + ",\"cache_salt\":\"other\"}")).GetProperty("usage");
        Assert.Equal(0, salted.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32());
    }

    internal static string Body(string? more = null)
        => $$"""{"model":"org/name","messages":[{"role":"user","content":"Hello"}]{{(more is null ? "" : "," + more)}}}""";

    internal static List<JsonElement> Parse(List<string> events)
        => [.. events.Where(e => e != "[DONE]").Select(e => JsonDocument.Parse(e).RootElement)];

    /// <summary>Waits until the engine has nothing left to do.</summary>
    internal static async Task IdleAsync(ScriptedModel model)
    {
        await TestServer.UntilAsync(() => model.Engine!.Metrics.Running + model.Engine.Metrics.Waiting == 0, "the engine is idle");
    }

    private static async Task<JsonElement> PostAsync(TestServer server, string body)
    {
        using var response = await server.PostAsync(Path, body);
        var json = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, json.GetRawText());
        return json;
    }
}
