using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using QwenServe.Hosting;

namespace QwenServe.Tests.Api;

public class ErrorTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Text = "/v1/completions";

    [Theory]
    [InlineData(Chat, "{", 400, null, null)]
    [InlineData(Chat, "", 400, null, null)]
    [InlineData(Chat, "[]", 400, null, "invalid_type")]
    [InlineData(Chat, "{\"model\":\"org/name\"}", 400, "messages", "missing_required_parameter")]
    [InlineData(Chat, "{\"messages\":[]}", 400, "model", "missing_required_parameter")]
    [InlineData(Chat, "{\"model\":\"other\",\"messages\":[]}", 404, "model", "model_not_found")]
    [InlineData(Chat, "{\"model\":\"short\",\"messages\":[]}", 400, "messages", "empty_array")]
    [InlineData(Chat, "{\"model\":\"short\",\"messages\":{}}", 400, "messages", "invalid_type")]
    [InlineData(Chat, "{\"model\":\"short\",\"messages\":[{\"role\":7}]}", 400, "messages[0].role", "invalid_type")]
    [InlineData(Chat, "{\"model\":\"short\",\"messages\":[{\"role\":\"robot\",\"content\":\"x\"}]}", 400, "messages[0].role", "invalid_value")]
    [InlineData(Chat, "{\"model\":\"short\",\"messages\":[{\"role\":\"user\"}]}", 400, "messages[0].content", "missing_required_parameter")]
    [InlineData(Chat, "{\"model\":\"short\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}", 400, "messages[0].content[0].type", "invalid_value")]
    [InlineData(Chat, "{\"model\":\"short\",\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", 400, "messages[0].tool_call_id", "missing_required_parameter")]
    [InlineData(Chat, "+\"temperature\":200", 400, "temperature", "decimal_above_max_value")]
    [InlineData(Chat, "+\"temperature\":-1", 400, "temperature", "decimal_below_min_value")]
    [InlineData(Chat, "+\"temperature\":\"hot\"", 400, "temperature", "invalid_type")]
    [InlineData(Chat, "+\"temperature\":1e999", 400, "temperature", "invalid_value")]
    [InlineData(Chat, "+\"n\":0", 400, "n", "integer_below_min_value")]
    [InlineData(Chat, "+\"n\":1.5", 400, "n", "invalid_type")]
    [InlineData(Chat, "+\"top_logprobs\":21,\"logprobs\":true", 400, "top_logprobs", "integer_above_max_value")]
    [InlineData(Chat, "+\"top_logprobs\":2", 400, "top_logprobs", "invalid_value")]
    [InlineData(Chat, "+\"seed\":99999999999999999999", 400, "seed", "integer_above_max_value")]
    [InlineData(Chat, "+\"stream\":\"yes\"", 400, "stream", "invalid_type")]
    [InlineData(Chat, "+\"stream_options\":{\"include_usage\":true}", 400, "stream_options", "invalid_value")]
    [InlineData(Chat, "+\"stop\":[\"a\",1]", 400, "stop[1]", "invalid_type")]
    [InlineData(Chat, "+\"logit_bias\":{\"x\":1}", 400, "logit_bias", "invalid_value")]
    [InlineData(Chat, "+\"logit_bias\":{\"5\":101}", 400, "logit_bias.5", "decimal_above_max_value")]
    [InlineData(Chat, "+\"logit_bias\":{\"999999\":1}", 400, "logit_bias", "invalid_value")]
    [InlineData(Chat, "+\"tools\":[]", 400, "tools", "empty_array")]
    [InlineData(Chat, "+\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"no spaces\"}}]", 400, "tools[0].function.name", "invalid_value")]
    [InlineData(Chat, "+\"tool_choice\":\"required\"", 400, "tool_choice", "invalid_value")]
    [InlineData(Chat, "+\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"function\"}", 400, "tool_choice.function", "missing_required_parameter")]
    [InlineData(Chat, "+\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}", 400, "tool_choice", "invalid_value")]
    [InlineData(Chat, "+\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"tools\":[]}}", 400, "tool_choice.allowed_tools.tools", "empty_array")]
    [InlineData(Chat, "+\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},{\"type\":\"function\",\"function\":{\"name\":\"g\",\"strict\":true,\"parameters\":{\"properties\":{\"a\":{\"not\":{\"type\":\"string\"}}}}}}]", 400, "tools[1].function.parameters.properties.a", "invalid_value")]
    [InlineData(Chat, "+\"tool_choice\":\"sometimes\"", 400, "tool_choice", "invalid_value")]
    [InlineData(Chat, "+\"response_format\":{\"type\":\"yaml\"}", 400, "response_format.type", "invalid_value")]
    [InlineData(Chat, "+\"response_format\":{\"type\":\"json_schema\"}", 400, "response_format.json_schema", "missing_required_parameter")]
    [InlineData(Chat, "+\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{}}}", 400, "response_format.json_schema.name", "missing_required_parameter")]
    [InlineData(Chat, "+\"response_format\":{\"type\":\"json_object\"},\"guided_regex\":\"a\"", 400, "guided_regex", "invalid_value")]
    [InlineData(Chat, "+\"structured_outputs\":{}", 400, "structured_outputs", "invalid_value")]
    [InlineData(Chat, "+\"structured_outputs\":{\"structural_tag\":\"x\"}", 400, "structured_outputs.structural_tag", "unsupported_parameter")]
    [InlineData(Chat, "+\"structured_outputs\":{\"regex\":\"(\"}", 400, "structured_outputs.regex", "invalid_value")]
    [InlineData(Chat, "+\"structured_outputs\":{\"grammar\":\"root ::= root\"}", 400, "structured_outputs.grammar", "invalid_value")]
    [InlineData(Chat, "+\"structured_outputs\":{\"choice\":[]}", 400, "structured_outputs.choice", "invalid_value")]
    [InlineData(Chat, "+\"structured_outputs\":{\"choice\":[1]}", 400, "structured_outputs.choice[0]", "invalid_type")]
    [InlineData(Chat, "+\"guided_json\":\"{\"", 400, "guided_json", "invalid_value")]
    [InlineData(Chat, "+\"guided_json\":7", 400, "guided_json", "invalid_type")]
    [InlineData(Chat, "+\"max_tokens\":100000", 400, "messages", "context_length_exceeded")]
    [InlineData(Text, "{\"model\":\"short\",\"prompt\":[]}", 400, "prompt", "empty_array")]
    [InlineData(Text, "{\"model\":\"short\",\"prompt\":[1,\"x\"]}", 400, "prompt[1]", "invalid_type")]
    [InlineData(Text, "{\"model\":\"short\",\"prompt\":[999999]}", 400, "prompt", "invalid_value")]
    [InlineData(Text, "{\"model\":\"short\",\"prompt\":\"x\",\"logprobs\":6}", 400, "logprobs", "integer_above_max_value")]
    [InlineData(Text, "{\"model\":\"short\",\"prompt\":\"x\",\"max_tokens\":-1}", 400, "max_tokens", "integer_below_min_value")]
    public async Task A_wrong_request_is_told_which_field_and_why(string path, string body, int status, string? param, string? code)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var response = await server.PostAsync(path, body.StartsWith('+') ? ChatTests.Body(body[1..]) : body);
        var error = (await TestServer.JsonAsync(response)).GetProperty("error");
        Assert.Equal((status, param, code), ((int)response.StatusCode, error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        Assert.NotEmpty(error.GetProperty("message").GetString()!);
    }

    [Fact]
    public async Task The_words_that_clients_look_for_are_OpenAIs()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        string content = string.Concat(Enumerable.Repeat("word ", 600));
        using var response = await server.PostAsync(Chat, $$"""{"model":"short","messages":[{"role":"user","content":"{{content}}"}]}""");
        string message = (await TestServer.JsonAsync(response)).GetProperty("error").GetProperty("message").GetString()!;
        Assert.Matches(@"^This model's maximum context length is 512 tokens\. However, your messages resulted in \d+ tokens\.", message);
        using var range = await server.PostAsync(Chat, ChatTests.Body("\"temperature\":200"));
        Assert.Equal("Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 200 instead.",
            (await TestServer.JsonAsync(range)).GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task A_refused_stream_is_a_status_and_no_stream()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var response = await server.PostAsync(Chat, ChatTests.Body("\"stream\":true,\"max_tokens\":100000"));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("application/json", response.Content.Headers.ContentType!.ToString());
    }

    [Fact]
    public async Task A_body_too_large_or_of_another_type_is_refused()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."), s => s with { Limits = s.Limits with { MaxBodyBytes = 10_000 } });
        using var large = await server.PostAsync(Chat, ChatTests.Body("\"user\":\"" + new string('x', 20_000) + "\""));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, large.StatusCode);
        Assert.Contains("10000 bytes", (await TestServer.JsonAsync(large)).GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
        using var form = await server.PostAsync(Chat, "a=b", "application/x-www-form-urlencoded");
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, form.StatusCode);
    }

    [Fact]
    public async Task A_full_queue_is_429_with_the_time_to_come_back()
    {
        var model = ScriptedModel.Endless();
        model.Options = o => o with { MaxQueuedRequests = 2, MaxNumSeqs = 2 };
        await using var server = await TestServer.StartAsync(model);
        model.Device.Gate.Reset();
        var waiting = Enumerable.Range(0, 12).Select(_ => server.PostAsync(Chat, ChatTests.Body("\"max_tokens\":2"))).ToList();
        var refused = await await Task.WhenAny(waiting);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.True(refused.Headers.RetryAfter!.Delta >= TimeSpan.FromSeconds(1));
        Assert.Equal("rate_limit_exceeded", (await TestServer.JsonAsync(refused)).GetProperty("error").GetProperty("code").GetString());
        model.Device.Gate.Set();
        var statuses = (await Task.WhenAll(waiting)).Select(r => r.StatusCode).ToList();
        Assert.Contains(HttpStatusCode.OK, statuses);
        Assert.All(statuses, s => Assert.True(s is HttpStatusCode.OK or HttpStatusCode.TooManyRequests));
    }

    [Theory]
    [InlineData("\"stream\":true")]
    [InlineData("\"stream\":false")]
    public async Task When_the_client_leaves_the_engine_stops_working_for_it(string mode)
    {
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model);
        using var reached = new ManualResetEventSlim();
        using var left = new ManualResetEventSlim();
        int steps = 0;
        model.Device.OnStep = () =>
        {
            if (++steps != 5) return;
            reached.Set();
            left.Wait(TimeSpan.FromMinutes(1));
        };
        var lifecycle = server.App.Services.GetRequiredService<Lifecycle>();
        using (var tcp = new TcpClient())
        {
            await tcp.ConnectAsync(server.App.Address.Host, server.App.Address.Port);
            string body = ChatTests.Body(mode + ",\"max_tokens\":400");
            byte[] request = Encoding.ASCII.GetBytes($"POST {Chat} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");
            await tcp.GetStream().WriteAsync(request);
            await TestServer.UntilAsync(() => reached.IsSet, "the engine is at work");
            Assert.Equal((1, 1), (model.Engine!.Metrics.Running, lifecycle.Running));
        }
        // The request ends though the engine stands still, and the engine lets go of it in its next step.
        await TestServer.UntilAsync(() => lifecycle.Running == 0, "the request has ended");
        long before = model.Engine!.Metrics.GenerationTokens;
        left.Set();
        await ChatTests.IdleAsync(model);
        Assert.InRange(model.Engine.Metrics.GenerationTokens, before, before + 1);
    }

    [Fact]
    public async Task A_stream_that_outlives_the_shutdown_gets_an_error_frame_and_no_done()
    {
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model, s => s with { Server = s.Server with { ShutdownTimeout = TimeSpan.FromSeconds(3) } });
        model.Device.StepTime = TimeSpan.FromMilliseconds(100);
        using var request = new HttpRequestMessage(HttpMethod.Post, Chat) { Content = new StringContent(ChatTests.Body("\"stream\":true"), Encoding.UTF8, "application/json") };
        using var response = await server.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var reading = ReadAllAsync(response);
        var stopping = server.App.StopAsync();
        // The port is still open and refuses politely.
        using var late = await server.PostAsync(Chat, ChatTests.Body());
        Assert.Equal(HttpStatusCode.ServiceUnavailable, late.StatusCode);
        Assert.NotNull(late.Headers.RetryAfter);
        var (text, broken) = await reading;
        await stopping;
        string last = text.TrimEnd().Split("\n\n")[^1];
        Assert.StartsWith("data: {\"error\":{", last, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        Assert.True(broken);
    }

    [Theory]
    [InlineData(Chat, "\"n\":2")]
    [InlineData(Text, "\"prompt\":\"x\"")]
    public async Task An_answer_in_one_piece_that_is_under_way_at_shutdown_still_arrives(string path, string more)
    {
        var model = ScriptedModel.Saying("Hello there.");
        await using var server = await TestServer.StartAsync(model, s => s with { Server = s.Server with { ShutdownTimeout = TimeSpan.FromMinutes(1) } });
        model.Device.Gate.Reset();
        var answer = server.PostAsync(path, ChatTests.Body(more));
        await TestServer.UntilAsync(() => server.App.Services.GetRequiredService<Lifecycle>().Running == 1, "the request is under way");
        var stopping = server.App.StopAsync();
        using (var late = await server.PostAsync(path, ChatTests.Body(more))) Assert.Equal(HttpStatusCode.ServiceUnavailable, late.StatusCode);
        model.Device.Gate.Set();
        using var response = await answer;
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        Assert.Contains("Hello there.", text, StringComparison.Ordinal);
        await stopping;
    }

    [Fact]
    public async Task A_wrong_id_is_repeated_digit_by_digit()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var response = await server.PostAsync(Chat, ChatTests.Body("\"stop_token_ids\":[99999999]"));
        Assert.Contains("99999999", (await TestServer.JsonAsync(response)).GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Methods_made_up_by_clients_make_no_series_of_their_own()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var request = new HttpRequestMessage(new HttpMethod("BREW"), Chat);
        using var response = await server.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        string metrics = await (await server.GetAsync("/metrics")).Content.ReadAsStringAsync();
        Assert.Contains("method=\"_OTHER\"", metrics, StringComparison.Ordinal);
        Assert.DoesNotContain("BREW", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_device_that_fails_ends_streams_with_an_error_and_takes_liveness_down()
    {
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model);
        model.Device.StepTime = TimeSpan.FromMilliseconds(20);
        using var request = new HttpRequestMessage(HttpMethod.Post, Chat) { Content = new StringContent(ChatTests.Body("\"stream\":true"), Encoding.UTF8, "application/json") };
        using var response = await server.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var reading = ReadAllAsync(response);
        model.Device.Fault = new InvalidOperationException("the device is gone");
        var (text, broken) = await reading;
        Assert.True(broken);
        Assert.Contains("\"error\":{", text, StringComparison.Ordinal);
        HttpResponseMessage live;
        do live = await server.GetAsync("/livez");
        while (live.IsSuccessStatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, live.StatusCode);
    }

    private static async Task<(string Text, bool Broken)> ReadAllAsync(HttpResponseMessage response)
    {
        var text = new StringBuilder();
        byte[] buffer = new byte[4096];
        var stream = await response.Content.ReadAsStreamAsync();
        try
        {
            for (int read; (read = await stream.ReadAsync(buffer)) > 0;) text.Append(Encoding.UTF8.GetString(buffer, 0, read));
            return (text.ToString(), false);
        }
        catch (Exception e) when (e is IOException or HttpIOException)
        {
            return (text.ToString(), true);
        }
    }
}
