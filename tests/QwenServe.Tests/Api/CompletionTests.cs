using System.Text.Json;

namespace QwenServe.Tests.Api;

public class CompletionTests
{
    private const string Path = "/v1/completions";

    [Fact]
    public async Task Prompts_come_as_text_texts_ids_or_lists_of_ids()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p => " after " + p));
        string ids = $"[{string.Join(',', ScriptedModel.Tokenizer.Encode("one"))}]";
        foreach (var (prompt, expected) in new (string, string[])[]
        {
            ("\"one\"", [" after one"]),
            ("[\"one\",\"two\"]", [" after one", " after two"]),
            (ids, [" after one"]),
            ($"[{ids},{ids}]", [" after one", " after one"]),
        })
        {
            var answer = await PostAsync(server, $$"""{"model":"short","prompt":{{prompt}}}""");
            Assert.Equal("text_completion", answer.GetProperty("object").GetString());
            Assert.Equal(expected, answer.GetProperty("choices").EnumerateArray().Select(c => c.GetProperty("text").GetString()));
            Assert.Equal(Enumerable.Range(0, expected.Length), answer.GetProperty("choices").EnumerateArray().Select(c => c.GetProperty("index").GetInt32()));
            Assert.All(answer.GetProperty("choices").EnumerateArray(), c => Assert.Equal(JsonValueKind.Null, c.GetProperty("logprobs").ValueKind));
        }
    }

    [Fact]
    public async Task Sixteen_tokens_are_the_default_and_zero_is_allowed()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Endless());
        var answer = await PostAsync(server, """{"model":"short","prompt":"x"}""");
        Assert.Equal(16, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.Equal("length", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        var none = await PostAsync(server, """{"model":"short","prompt":"x","max_tokens":0,"echo":true}""");
        Assert.Equal("x", none.GetProperty("choices")[0].GetProperty("text").GetString());
        Assert.Equal(0, none.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Echoed_log_probs_cover_prompt_and_answer_with_offsets(bool stream)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(" 世界 done"));
        const string body = """{"model":"short","prompt":"Größe 😀","echo":true,"logprobs":2,"max_tokens":100}""";
        JsonElement logprobs;
        string text;
        if (!stream)
        {
            var choice = (await PostAsync(server, body)).GetProperty("choices")[0];
            logprobs = choice.GetProperty("logprobs");
            text = choice.GetProperty("text").GetString()!;
        }
        else
        {
            var choices = ChatTests.Parse(await server.StreamAsync(Path, body[..^1] + ",\"stream\":true}")).Select(c => c.GetProperty("choices")[0]).ToList();
            Assert.Equal("stop", choices[^1].GetProperty("finish_reason").GetString());
            text = string.Concat(choices.Select(c => c.GetProperty("text").GetString()));
            logprobs = Merge(choices.Select(c => c.GetProperty("logprobs")).Where(l => l.ValueKind == JsonValueKind.Object));
        }
        Assert.Equal("Größe 😀 世界 done", text);
        int count = logprobs.GetProperty("tokens").GetArrayLength();
        Assert.Equal(ScriptedModel.Tokenizer.Encode("Größe 😀").Length + ScriptedModel.Tokenizer.Encode(" 世界 done").Length, count);
        Assert.Equal(count, logprobs.GetProperty("token_logprobs").GetArrayLength());
        Assert.Equal(count, logprobs.GetProperty("top_logprobs").GetArrayLength());
        Assert.Equal(count, logprobs.GetProperty("text_offset").GetArrayLength());
        Assert.Equal(JsonValueKind.Null, logprobs.GetProperty("token_logprobs")[0].ValueKind);
        Assert.Equal(JsonValueKind.Number, logprobs.GetProperty("token_logprobs")[1].ValueKind);
        // Offsets count characters, not UTF-16 units: the last token of the answer ends where the text does.
        var runes = text.EnumerateRunes().ToList();
        int last = logprobs.GetProperty("text_offset")[count - 1].GetInt32();
        string tail = string.Concat(runes.Skip(last).Select(r => r.ToString()));
        Assert.Equal(logprobs.GetProperty("tokens")[count - 1].GetString(), tail);
    }

    [Fact]
    public async Task Several_prompts_with_several_choices_stream_side_by_side()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p => $" after {p} we go on"));
        var chunks = ChatTests.Parse(await server.StreamAsync(Path, """{"model":"short","prompt":["one","two"],"n":2,"stream":true,"stream_options":{"include_usage":true}}"""));
        foreach (int index in Enumerable.Range(0, 4))
        {
            var own = chunks.SelectMany(c => c.GetProperty("choices").EnumerateArray()).Where(c => c.GetProperty("index").GetInt32() == index).ToList();
            Assert.Equal($" after {(index < 2 ? "one" : "two")} we go on", string.Concat(own.Select(c => c.GetProperty("text").GetString())));
            Assert.Equal("stop", own[^1].GetProperty("finish_reason").GetString());
        }
        Assert.Empty(chunks[^1].GetProperty("choices").EnumerateArray());
        Assert.Equal(ScriptedModel.Tokenizer.Encode("one").Length + ScriptedModel.Tokenizer.Encode("two").Length, chunks[^1].GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Fact]
    public async Task Each_choice_ends_at_its_stop_string()
    {
        var model = ScriptedModel.Endless();
        // The reader is to be heard of long before max_tokens.
        model.Device.StepTime = TimeSpan.FromMilliseconds(50);
        await using var server = await TestServer.StartAsync(model);
        var answer = await PostAsync(server, """{"model":"short","prompt":"x","n":3,"stop":"three","max_tokens":400}""");
        var choices = answer.GetProperty("choices").EnumerateArray().ToList();
        Assert.Equal(3, choices.Count);
        Assert.All(choices, c => Assert.Equal(("one two ", "stop"), (c.GetProperty("text").GetString(), c.GetProperty("finish_reason").GetString())));
        Assert.Equal(3 * ScriptedModel.Tokenizer.Encode("one two three").Length, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        // The engine heard of each one, and of none as of a client who left.
        var metrics = model.Engine!.Metrics;
        Assert.True(SpinWait.SpinUntil(() => metrics.Running == 0, TimeSpan.FromMinutes(1)));
        Assert.Equal((3, 0), (metrics.Ended(QwenServe.Engine.FinishReason.Stop), metrics.Ended(QwenServe.Engine.FinishReason.Abort)));
    }

    [Theory]
    [InlineData(0, "one ")]
    [InlineData(4, "one STOP two ")]
    [InlineData(40, "one STOP two STOP three")]
    public async Task A_stop_string_ends_nothing_within_the_least_tokens(int words, string expected)
    {
        const string text = "one STOP two STOP three";
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(text));
        int least = words == 4 ? ScriptedModel.Tokenizer.Encode("one STOP two").Length : words;
        foreach (string stream in (string[])["", ",\"stream\":true"])
        {
            string body = $$"""{"model":"short","prompt":"x","stop":["STOP"],"min_tokens":{{least}},"max_tokens":40{{stream}}}""";
            var choices = stream.Length == 0
                ? [(await PostAsync(server, body)).GetProperty("choices")[0]]
                : ChatTests.Parse(await server.StreamAsync(Path, body)).Select(c => c.GetProperty("choices")[0]).ToList();
            Assert.StartsWith(expected, string.Concat(choices.Select(c => c.GetProperty("text").GetString())), StringComparison.Ordinal);
            if (words < 40) Assert.Equal(expected, string.Concat(choices.Select(c => c.GetProperty("text").GetString())));
        }
    }

    [Fact]
    public async Task A_suffix_builds_the_models_own_prompt_and_stops_at_its_markers()
    {
        // The script repeats the prompt, its markers respelled so that they do not end the answer; the last one does.
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p => p.Replace("<|", "<", StringComparison.Ordinal).Replace("|>", ">", StringComparison.Ordinal) + "<|file_sep|>not this"));
        var choice = (await PostAsync(server, """{"model":"short","prompt":"def add(a, b):\n","suffix":"\nprint(add(1, 2))","max_tokens":200}""")).GetProperty("choices")[0];
        Assert.Equal("<fim_prefix>def add(a, b):\n<fim_suffix>\nprint(add(1, 2))<fim_middle>", choice.GetProperty("text").GetString());
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        var whole = (await PostAsync(server, """{"model":"short","prompt":"a","suffix":"b","max_tokens":200,"repository":{"name":"r","path":"m.py","files":[{"path":"o.py","content":"x = 1"}]}}""")).GetProperty("choices")[0];
        Assert.Equal("<repo_name>r\n<file_sep>o.py\nx = 1\n<file_sep>m.py\n<fim_prefix>a<fim_suffix>b<fim_middle>", whole.GetProperty("text").GetString());
    }

    [Theory]
    [InlineData("")]
    [InlineData(",\"suffix\":\"b\"")]
    public async Task A_request_has_2048_prompts_at_most(string more)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("x"));
        string prompts = string.Join(',', Enumerable.Repeat("\"a\"", 2049));
        using var response = await server.PostAsync(Path, $$"""{"model":"short","prompt":[{{prompts}}]{{more}}}""");
        Assert.Equal("array_above_max_length", (await TestServer.JsonAsync(response)).GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task More_prompts_than_the_queue_ever_holds_are_a_wrong_request_and_no_overload()
    {
        var model = ScriptedModel.Saying("x");
        model.Options = o => o with { MaxQueuedRequests = 4 };
        await using var server = await TestServer.StartAsync(model, s => s with { Engine = s.Engine with { MaxNumWaiting = 4 } });
        await PostAsync(server, """{"model":"short","prompt":["a","b","c","d"]}""");
        using var response = await server.PostAsync(Path, """{"model":"short","prompt":["a","b","c","d","e"]}""");
        Assert.Equal(System.Net.HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("maximum length 4,", (await TestServer.JsonAsync(response)).GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_default_length_never_makes_a_prompt_too_long()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Endless());
        int[] prompt = [.. Enumerable.Repeat(100, ScriptedModel.MaxModelLen - 3)];
        var answer = await PostAsync(server, $$"""{"model":"short","prompt":[{{string.Join(',', prompt)}}]}""");
        Assert.Equal(3, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Tokenize_and_detokenize_are_each_others_inverse()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var response = await server.PostAsync("/tokenize", """{"model":"short","prompt":"Hello 世界<|im_end|>","return_token_strs":true}""");
        var tokens = await TestServer.JsonAsync(response);
        Assert.Equal(ScriptedModel.Tokenizer.Encode("Hello 世界<|im_end|>"), tokens.GetProperty("tokens").EnumerateArray().Select(t => t.GetInt32()));
        Assert.Equal(tokens.GetProperty("count").GetInt32(), tokens.GetProperty("token_strs").GetArrayLength());
        Assert.Equal(ScriptedModel.MaxModelLen, tokens.GetProperty("max_model_len").GetInt32());
        using var back = await server.PostAsync("/detokenize", $$"""{"model":"short","tokens":{{tokens.GetProperty("tokens").GetRawText()}}}""");
        Assert.Equal("Hello 世界<|im_end|>", (await TestServer.JsonAsync(back)).GetProperty("prompt").GetString());
    }

    [Fact]
    public async Task A_conversation_is_tokenized_as_chat_would_and_users_write_no_control_tokens()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var response = await server.PostAsync("/tokenize", """{"model":"short","messages":[{"role":"user","content":"<|im_end|>"}]}""");
        int[] tokens = [.. (await TestServer.JsonAsync(response)).GetProperty("tokens").EnumerateArray().Select(t => t.GetInt32())];
        int end = ScriptedModel.Tokenizer.FindAddedToken("<|im_end|>")!.Value;
        // One closes the system turn and one the user's; the one that the user wrote is plain text.
        Assert.Equal(2, tokens.Count(t => t == end));
        Assert.EndsWith("<|im_start|>assistant\n", ScriptedModel.Tokenizer.Decode(tokens, skipSpecialTokens: false), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Generation_sums_add_up_in_the_metrics()
    {
        var model = ScriptedModel.Saying("Hello there.");
        await using var server = await TestServer.StartAsync(model);
        await PostAsync(server, """{"model":"short","prompt":"some words to begin with","n":2}""");
        await ChatTests.IdleAsync(model);
        string text = await (await server.GetAsync("/metrics")).Content.ReadAsStringAsync();
        double Value(string name) => double.Parse(text.Split('\n').Single(l => l.StartsWith(name, StringComparison.Ordinal)).Split(' ')[^1], System.Globalization.CultureInfo.InvariantCulture);
        const string labels = "{model_name=\"org/name\",engine=\"0\"}";
        Assert.Equal(0, Value("vllm:num_requests_running" + labels));
        Assert.Equal(0, Value("vllm:num_requests_waiting" + labels));
        Assert.Equal(Value("vllm:prompt_tokens_total" + labels) - Value("vllm:prompt_tokens_cached_total" + labels) + Value("vllm:generation_tokens_total" + labels),
            Value("vllm:iteration_tokens_total_sum" + labels));
        Assert.Equal(2, Value("vllm:request_success_total{model_name=\"org/name\",engine=\"0\",finished_reason=\"stop\"}"));
        Assert.True(Value("vllm:time_to_first_token_seconds_count" + labels) > 0);
    }

    private static JsonElement Merge(IEnumerable<JsonElement> parts)
    {
        var merged = new Dictionary<string, List<JsonElement>>();
        foreach (var part in parts)
            foreach (var property in part.EnumerateObject())
            {
                if (!merged.TryGetValue(property.Name, out var list)) merged[property.Name] = list = [];
                list.AddRange(property.Value.EnumerateArray());
            }
        return JsonSerializer.SerializeToElement(merged);
    }

    private static async Task<JsonElement> PostAsync(TestServer server, string body)
    {
        using var response = await server.PostAsync(Path, body);
        var json = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, json.GetRawText());
        return json;
    }
}
