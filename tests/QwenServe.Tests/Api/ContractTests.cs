using System.Net;
using System.Text;
using System.Text.Json;
using QwenServe.OpenAI.Wire;

namespace QwenServe.Tests.Api;

/// <summary>
/// What OpenAI's specification says and SDKs rely on, field by field. Behind each answer is a script; the behaviour of whole features is in the
/// tests beside this one.
/// </summary>
public sealed class ContractTests(ContractServer contract) : IClassFixture<ContractServer>
{
    private const string Chat = "/v1/chat/completions";
    private const string Text = "/v1/completions";
    private const string Tools = """ "tools":[{"type":"function","function":{"name":"get_weather","description":null,"parameters":null,"strict":null}}]""";

    public static TheoryData<string, string, string, string, string?, string?> Ranges => new()
    {
        // path, field, least, most, one below, one above
        { Chat, "temperature", "0", "2", "-0.01", "2.01" },
        { Chat, "top_p", "0", "1", "-0.01", "1.01" },
        { Chat, "presence_penalty", "-2", "2", "-2.01", "2.01" },
        { Chat, "frequency_penalty", "-2", "2", "-2.01", "2.01" },
        { Chat, "n", "1", "128", "0", "129" },
        { Chat, "max_tokens", "1", "100", "0", null },
        { Chat, "max_completion_tokens", "1", "100", "0", null },
        { Chat, "seed", "-9223372036854775808", "9223372036854775807", "-9223372036854775809", "9223372036854775808" },
        { Chat, "logit_bias", "{\"7\":-100}", "{\"7\":100}", "{\"7\":-101}", "{\"7\":101}" },
        { Chat, "top_logprobs", "0", "20", "-1", "21" },
        { Text, "temperature", "0", "2", "-0.01", "2.01" },
        { Text, "top_p", "0", "1", "-0.01", "1.01" },
        { Text, "n", "1", "20", "0", "129" },
        { Text, "best_of", "1", "20", "0", "21" },
        { Text, "max_tokens", "0", "100", "-1", null },
        { Text, "logprobs", "0", "5", "-1", "6" },
        { Text, "seed", "-9223372036854775808", "9223372036854775807", "-9223372036854775809", "9223372036854775808" },
    };

    [Theory]
    [MemberData(nameof(Ranges))]
    public async Task A_field_takes_its_range_with_both_ends_and_names_itself_beyond(string path, string field, string least, string most, string? below, string? above)
    {
        string more = field == "top_logprobs" ? ",\"logprobs\":true" : field is "max_tokens" or "max_completion_tokens" ? "" : ",\"max_tokens\":1";
        foreach (string inside in new[] { least, most, "null" })
        {
            using var response = await PostAsync(path, $"\"{field}\":{inside}{more}");
            Assert.True(response.IsSuccessStatusCode, $"{field}: {inside}: {await response.Content.ReadAsStringAsync()}");
        }
        foreach (var (outside, side) in new[] { (below, "below_min"), (above, "above_max") })
        {
            if (outside is null) continue;
            using var response = await PostAsync(path, $"\"{field}\":{outside}{more}");
            var error = await ErrorAsync(response, HttpStatusCode.BadRequest);
            Assert.Equal(field == "logit_bias" ? "logit_bias.7" : field, error.GetProperty("param").GetString());
            Assert.Matches($"^(decimal|integer)_{side}_value$", error.GetProperty("code").GetString());
        }
    }

    [Theory]
    [InlineData(Chat, "temperature", "\"1\"")]
    [InlineData(Chat, "top_p", "true")]
    [InlineData(Chat, "n", "1.5")]
    [InlineData(Chat, "stream", "1")]
    [InlineData(Chat, "stream_options", "[]")]
    [InlineData(Chat, "stop", "7")]
    [InlineData(Chat, "max_tokens", "\"9\"")]
    [InlineData(Chat, "max_completion_tokens", "{}")]
    [InlineData(Chat, "presence_penalty", "[]")]
    [InlineData(Chat, "frequency_penalty", "\"x\"")]
    [InlineData(Chat, "logit_bias", "[]")]
    [InlineData(Chat, "logprobs", "3")]
    [InlineData(Chat, "top_logprobs", "\"2\"")]
    [InlineData(Chat, "seed", "1.5")]
    [InlineData(Chat, "response_format", "\"json_object\"")]
    [InlineData(Chat, "tools", "{}")]
    [InlineData(Chat, "tool_choice", "7")]
    [InlineData(Chat, "parallel_tool_calls", "\"no\"")]
    [InlineData(Chat, "messages", "\"hello\"")]
    [InlineData(Chat, "model", "7")]
    [InlineData(Text, "prompt", "7")]
    [InlineData(Text, "echo", "\"yes\"")]
    [InlineData(Text, "suffix", "7")]
    [InlineData(Text, "logprobs", "true")]
    [InlineData(Text, "best_of", "\"2\"")]
    [InlineData(Text, "max_tokens", "1.5")]
    [InlineData(Text, "stream", "\"true\"")]
    public async Task A_field_of_another_type_names_itself(string path, string field, string value)
    {
        using var response = await PostAsync(path, $"\"{field}\":{value}");
        var error = await ErrorAsync(response, HttpStatusCode.BadRequest);
        Assert.Equal((field, "invalid_type"), (error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
        Assert.StartsWith($"Invalid type for '{field}': expected ", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"user\":\"u\",\"safety_identifier\":\"s\",\"prompt_cache_key\":\"k\",\"prompt_cache_retention\":\"24h\",\"prompt_cache_options\":{\"a\":1}")]
    [InlineData("\"metadata\":{\"a\":\"b\"},\"store\":true,\"service_tier\":\"flex\",\"modalities\":[\"text\"],\"verbosity\":\"low\",\"reasoning_effort\":\"minimal\"")]
    [InlineData("\"prediction\":{\"type\":\"content\",\"content\":\"x\"},\"web_search_options\":{},\"moderation\":{}")]
    [InlineData("\"functions\":[{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}],\"function_call\":\"auto\"")]
    [InlineData("\"response_format\":{\"type\":\"text\"},\"stream_options\":null,\"stop\":[\"a\",\"b\",\"c\",\"d\"]")]
    [InlineData("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"description\":null,\"schema\":null,\"strict\":null}}")]
    [InlineData(Tools + ",\"tool_choice\":null,\"parallel_tool_calls\":null")]
    [InlineData(Tools + ",\"tool_choice\":\"auto\",\"parallel_tool_calls\":true")]
    [InlineData("\"field_of_next_year\":{\"deep\":[{}]},\"another\":null")]
    [InlineData("\"stop\":\"zzz\",\"max_completion_tokens\":50,\"max_tokens\":1")]
    public async Task What_may_be_there_is_taken(string more)
    {
        using var response = await PostAsync(Chat, more);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task The_newer_name_of_the_token_limit_wins()
    {
        var answer = await AnswerAsync(Chat, "\"max_completion_tokens\":2,\"max_tokens\":1");
        Assert.Equal(2, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Theory]
    [InlineData("""{"role":"developer","content":"Be brief."},{"role":"user","content":"x"}""", "<|im_start|>system\nBe brief.<|im_end|>")]
    [InlineData("""{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"user","content":"x"}""", "<|im_start|>system\na\nb<|im_end|>")]
    [InlineData("""{"role":"user","content":[{"type":"text","text":"one"}],"name":"ann"}""", "<|im_start|>user\none<|im_end|>")]
    [InlineData("""{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"text","text":"t"},{"type":"refusal","refusal":"r"}]},{"role":"user","content":"y"}""", "<|im_start|>assistant\nt\nr<|im_end|>")]
    [InlineData("""{"role":"user","content":"x"},{"role":"assistant","content":null,"refusal":"no"},{"role":"user","content":"y"}""", "<|im_start|>assistant\nno<|im_end|>")]
    [InlineData("""{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]},{"role":"tool","tool_call_id":"1","content":[{"type":"text","text":"r"}]}""", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\nr\n</tool_response>")]
    [InlineData("""{"role":"user","content":"x"},{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{\"a\": 1}"}},{"role":"function","name":"f","content":"r"}""", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\nr\n</tool_response>")]
    [InlineData("""{"role":"user","content":"x"},{"role":"assistant","content":"t","refusal":null,"audio":null,"function_call":null,"tool_calls":null,"annotations":[]},{"role":"user","content":"y"}""", "<|im_start|>assistant\nt<|im_end|>")]
    public async Task Messages_of_each_role_and_shape_reach_the_prompt(string messages, string expected)
    {
        using var response = await contract.Server.PostAsync("/tokenize", $$"""{"model":"short","messages":[{{messages}}]}""");
        var tokens = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, tokens.GetRawText());
        string prompt = ScriptedModel.Tokenizer.Decode([.. tokens.GetProperty("tokens").EnumerateArray().Select(t => t.GetInt32())], skipSpecialTokens: false);
        Assert.Contains(expected, prompt, StringComparison.Ordinal);
        using var answer = await contract.Server.PostAsync(Chat, $$"""{"model":"short","messages":[{{messages}}],"max_tokens":1}""");
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("""{"type":"image_url","image_url":{"url":"http://x"}}""")]
    [InlineData("""{"type":"input_audio","input_audio":{"data":"","format":"wav"}}""")]
    [InlineData("""{"type":"file","file":{"file_id":"f"}}""")]
    public async Task What_is_no_text_is_refused_by_its_place(string part)
    {
        using var response = await contract.Server.PostAsync(Chat, $$"""{"model":"short","messages":[{"role":"user","content":[{"type":"text","text":"x"},{{part}}]}]}""");
        Assert.Equal("messages[0].content[1].type", (await ErrorAsync(response, HttpStatusCode.BadRequest)).GetProperty("param").GetString());
    }

    [Fact]
    public async Task Names_of_functions_have_64_characters_at_most()
    {
        foreach (var (length, status) in new[] { (64, HttpStatusCode.OK), (65, HttpStatusCode.BadRequest) })
        {
            using var response = await PostAsync(Chat, "\"max_tokens\":1,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"" + new string('a', length) + "\"}}]");
            Assert.Equal(status, response.StatusCode);
        }
    }

    [Fact]
    public async Task Keys_of_an_answer_come_in_the_order_of_the_specification()
    {
        var answer = await AnswerAsync(Chat, "\"logprobs\":true,\"top_logprobs\":1");
        Assert.Equal("id object created model choices usage", Keys(answer));
        Assert.Equal("index message logprobs finish_reason", Keys(answer.GetProperty("choices")[0]));
        Assert.Equal("role content refusal", Keys(answer.GetProperty("choices")[0].GetProperty("message")));
        Assert.Equal("content refusal", Keys(answer.GetProperty("choices")[0].GetProperty("logprobs")));
        Assert.Equal("token logprob bytes top_logprobs", Keys(answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content")[0]));
        Assert.Equal("token logprob bytes", Keys(answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content")[0].GetProperty("top_logprobs")[0]));
        Assert.Equal("prompt_tokens completion_tokens total_tokens prompt_tokens_details", Keys(answer.GetProperty("usage")));
        var call = (await AnswerAsync(Chat, Tools, "Call it.")).GetProperty("choices")[0].GetProperty("message");
        Assert.Equal("role content refusal tool_calls", Keys(call));
        Assert.Equal("id type function", Keys(call.GetProperty("tool_calls")[0]));
        Assert.Equal("name arguments", Keys(call.GetProperty("tool_calls")[0].GetProperty("function")));
        var completion = await AnswerAsync(Text, "\"logprobs\":1");
        Assert.Equal("id object created model choices usage", Keys(completion));
        Assert.Equal("text index logprobs finish_reason", Keys(completion.GetProperty("choices")[0]));
        Assert.Equal("tokens token_logprobs top_logprobs text_offset", Keys(completion.GetProperty("choices")[0].GetProperty("logprobs")));
        var models = await TestServer.JsonAsync(await contract.Server.GetAsync("/v1/models"));
        Assert.Equal("object data", Keys(models));
        Assert.StartsWith("id object created owned_by", Keys(models.GetProperty("data")[0]), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Chat, "chat.completion.chunk", "index delta logprobs finish_reason")]
    [InlineData(Text, "text_completion", "text index logprobs finish_reason")]
    public async Task All_chunks_of_a_stream_are_of_one_answer(string path, string type, string keys)
    {
        var chunks = ChatTests.Parse(await contract.Server.StreamAsync(path, Body(path, "\"n\":2,\"stream\":true,\"stream_options\":{\"include_usage\":true,\"include_obfuscation\":false}")));
        Assert.Single(chunks.Select(c => (c.GetProperty("id").GetString(), c.GetProperty("created").GetInt64(), c.GetProperty("model").GetString(), c.GetProperty("object").GetString())).Distinct());
        Assert.Equal(type, chunks[0].GetProperty("object").GetString());
        Assert.All(chunks, c => Assert.Equal("id object created model choices usage", Keys(c)));
        Assert.All(chunks.SelectMany(c => c.GetProperty("choices").EnumerateArray()), c => Assert.Equal(keys, Keys(c)));
        // One chunk a choice says why it ended, and nothing follows it.
        Assert.Equal([0, 1], chunks.SelectMany(c => c.GetProperty("choices").EnumerateArray()).Where(c => c.GetProperty("finish_reason").ValueKind != JsonValueKind.Null)
            .Select(c => c.GetProperty("index").GetInt32()).Order());
    }

    [Fact]
    public async Task The_first_chunk_before_calls_has_null_content_and_their_identity_comes_once()
    {
        var deltas = ChatTests.Parse(await contract.Server.StreamAsync(Chat, Body(Chat, Tools + ",\"stream\":true", "Call it."))).Select(c => c.GetProperty("choices")[0].GetProperty("delta")).ToList();
        Assert.Equal("""{"role":"assistant","content":null}""", deltas[0].GetRawText());
        foreach (var call in deltas.Skip(1).SkipLast(1).Select(d => d.GetProperty("tool_calls")[0]).GroupBy(c => c.GetProperty("index").GetInt32()))
        {
            Assert.Equal("index id type function", Keys(call.First()));
            Assert.Equal("", call.First().GetProperty("function").GetProperty("arguments").GetString());
            Assert.All(call.Skip(1), piece => Assert.Equal("index function", Keys(piece)));
            Assert.All(call.Skip(1), piece => Assert.Equal("arguments", Keys(piece.GetProperty("function"))));
        }
        Assert.Equal("{}", deltas[^1].GetRawText());
    }

    [Fact]
    public async Task Each_text_completions_token_lists_itself_among_the_most_probable()
    {
        foreach (int wanted in new[] { 0, 2 })
        {
            var logProbs = (await AnswerAsync(Text, $"\"logprobs\":{wanted},\"max_tokens\":4")).GetProperty("choices")[0].GetProperty("logprobs");
            for (int i = 0; i < logProbs.GetProperty("tokens").GetArrayLength(); i++)
            {
                var top = logProbs.GetProperty("top_logprobs")[i];
                Assert.InRange(top.EnumerateObject().Count(), Math.Max(1, wanted), wanted + 1);
                Assert.Equal(logProbs.GetProperty("token_logprobs")[i].GetDouble(), top.GetProperty(logProbs.GetProperty("tokens")[i].GetString()!).GetDouble());
            }
        }
    }

    [Fact]
    public void The_log_of_zero_is_a_number() => Assert.Equal(-9999, AnswerWriter.Finite(float.NegativeInfinity));

    [Fact]
    public async Task A_prompt_left_out_is_the_start_of_a_document()
    {
        foreach (string prompt in new[] { "", ",\"prompt\":null", ",\"prompt\":\"\"" })
        {
            using var response = await contract.Server.PostAsync(Text, $$"""{"model":"short","max_tokens":1{{prompt}}}""");
            Assert.Equal(1, (await TestServer.JsonAsync(response)).GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        }
    }

    [Fact]
    public async Task The_best_of_several_are_answered_and_all_are_counted()
    {
        int each = ScriptedModel.Tokenizer.Encode(ClientScript.Greeting).Length + 1;
        var answer = await AnswerAsync(Text, "\"best_of\":5,\"n\":2,\"max_tokens\":100");
        Assert.Equal([0, 1], answer.GetProperty("choices").EnumerateArray().Select(c => c.GetProperty("index").GetInt32()));
        Assert.All(answer.GetProperty("choices").EnumerateArray(), c => Assert.Equal(JsonValueKind.Null, c.GetProperty("logprobs").ValueKind));
        Assert.Equal(5 * each, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        foreach (string wrong in new[] { "\"best_of\":1,\"n\":2", "\"best_of\":2,\"stream\":true" })
        {
            using var response = await PostAsync(Text, wrong);
            Assert.Equal("best_of", (await ErrorAsync(response, HttpStatusCode.BadRequest)).GetProperty("param").GetString());
        }
    }

    [Theory]
    [InlineData("GET", "/v1/models", 200)]
    [InlineData("HEAD", "/v1/models/org%2Fname", 200)]
    [InlineData("GET", "/nowhere", 404)]
    [InlineData("GET", Chat, 405)]
    [InlineData("POST", Chat, 400)]
    [InlineData("OPTIONS", "/v1/models", 204)]
    [InlineData("HEAD", "/livez", 200)]
    public async Task Each_answer_has_the_clients_request_id_or_one_of_ours(string method, string path, int status)
    {
        foreach (var (sent, kept) in new[] { ("trace-7/a", true), ("two words", false), (new string('x', 300), false) })
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path);
            request.Headers.TryAddWithoutValidation("x-request-id", sent);
            using var response = await contract.Server.Client.SendAsync(request);
            Assert.Equal(status, (int)response.StatusCode);
            string id = response.Headers.GetValues("x-request-id").Single();
            if (kept) Assert.Equal(sent, id);
            else Assert.StartsWith("req_", id, StringComparison.Ordinal);
            if (status is 405 or 204) Assert.NotEmpty(response.Content.Headers.Allow);
            if (method == "HEAD") Assert.Empty(await response.Content.ReadAsByteArrayAsync());
        }
    }

    [Fact]
    public async Task Streams_and_refusals_can_be_read_from_any_page_with_their_request_id()
    {
        foreach (var (more, status) in new[] { ("\"stream\":true", HttpStatusCode.OK), ("\"temperature\":9", HttpStatusCode.BadRequest) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, Chat) { Content = new StringContent(Body(Chat, more), Encoding.UTF8, "application/json") };
            request.Headers.Add("Origin", "http://example.org");
            using var response = await contract.Server.Client.SendAsync(request);
            Assert.Equal(status, response.StatusCode);
            Assert.Equal("*", response.Headers.GetValues("Access-Control-Allow-Origin").Single());
            Assert.Contains("x-request-id", string.Join(',', response.Headers.GetValues("Access-Control-Expose-Headers")), StringComparison.OrdinalIgnoreCase);
            Assert.Single(response.Headers.GetValues("x-request-id"));
        }
    }

    [Fact]
    public async Task Every_header_that_a_browsers_SDK_sends_is_allowed_by_name()
    {
        string[] names = ["authorization", "content-type", "x-stainless-os", "x-stainless-lang", "x-stainless-arch", "x-stainless-runtime", "x-stainless-runtime-version",
            "x-stainless-package-version", "x-stainless-retry-count", "x-stainless-timeout", "x-stainless-helper-method"];
        using var preflight = new HttpRequestMessage(HttpMethod.Options, Chat);
        preflight.Headers.Add("Origin", "http://example.org");
        preflight.Headers.Add("Access-Control-Request-Method", "POST");
        preflight.Headers.Add("Access-Control-Request-Headers", string.Join(',', names));
        using var response = await contract.Server.Client.SendAsync(preflight);
        Assert.Equal(names.Order(), string.Join(',', response.Headers.GetValues("Access-Control-Allow-Headers")).Split(',').Select(n => n.Trim()).Order());
    }

    [Fact]
    public async Task A_body_that_is_no_JSON_is_told_so_in_OpenAIs_words()
    {
        foreach (string body in new[] { "", "{", "{\"model\":}", "not json", "{\"a\":1}x", "{\"a\":\"\u0001\"}" })
        {
            using var response = await contract.Server.PostAsync(Chat, body);
            var error = await ErrorAsync(response, HttpStatusCode.BadRequest);
            Assert.StartsWith("We could not parse the JSON body of your request.", error.GetProperty("message").GetString(), StringComparison.Ordinal);
            Assert.Equal(JsonValueKind.Null, error.GetProperty("param").ValueKind);
            Assert.Equal(JsonValueKind.Null, error.GetProperty("code").ValueKind);
        }
    }

    [Fact]
    public async Task A_fault_of_ours_is_500_and_a_server_error()
    {
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model);
        model.Device.Fault = new InvalidOperationException("the device is gone");
        using var response = await server.PostAsync(Chat, ChatTests.Body());
        var error = await ErrorAsync(response, HttpStatusCode.InternalServerError);
        Assert.Equal("server_error", error.GetProperty("type").GetString());
        Assert.Equal(JsonValueKind.Null, error.GetProperty("code").ValueKind);
    }

    [Fact]
    public async Task A_server_that_loads_says_503_and_when_to_come_back()
    {
        await using var server = await TestServer.StartAsync(async (_, _, cancel) =>
        {
            await Task.Delay(Timeout.Infinite, cancel);
            throw new InvalidOperationException();
        }, waitUntilReady: false);
        foreach (var response in new[] { await server.PostAsync(Chat, ChatTests.Body()), await server.GetAsync("/v1/models") })
        {
            var error = await ErrorAsync(response, HttpStatusCode.ServiceUnavailable);
            Assert.Equal("server_error", error.GetProperty("type").GetString());
            Assert.True(response.Headers.RetryAfter!.Delta >= TimeSpan.FromSeconds(1));
        }
    }

    private static string Keys(JsonElement element) => string.Join(' ', element.EnumerateObject().Select(p => p.Name));

    /// <summary>The four keys, always.</summary>
    private static async Task<JsonElement> ErrorAsync(HttpResponseMessage response, HttpStatusCode status)
    {
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == status, $"{response.StatusCode}: {text}");
        Assert.Equal("application/json", response.Content.Headers.ContentType!.ToString());
        using var document = JsonDocument.Parse(text);
        var error = document.RootElement.GetProperty("error").Clone();
        Assert.Equal("message type param code", Keys(error));
        return error;
    }

    /// <summary>A later field of the same name takes the place of the first.</summary>
    private static string Body(string path, string more, string content = "Hi")
        => path == Chat ? $$"""{"model":"short","messages":[{"role":"user","content":"{{content}}"}],{{more}}}""" : $$"""{"model":"short","prompt":"{{content}}",{{more}}}""";

    private Task<HttpResponseMessage> PostAsync(string path, string more) => contract.Server.PostAsync(path, Body(path, more));

    private async Task<JsonElement> AnswerAsync(string path, string more, string content = "Hi")
    {
        using var response = await contract.Server.PostAsync(path, Body(path, more, content));
        var answer = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, answer.GetRawText());
        return answer;
    }
}

/// <summary>One scripted server for all tests of a class: a call when it is asked for one, a greeting otherwise.</summary>
public sealed class ContractServer : IAsyncLifetime
{
    internal TestServer Server { get; private set; } = null!;

    public async Task InitializeAsync()
        => Server = await TestServer.StartAsync(ScriptedModel.Saying(p => p.Contains("Call it.", StringComparison.Ordinal) ? NodeTests.Calls : ClientScript.Greeting));

    public async Task DisposeAsync() => await Server.DisposeAsync();
}
