using System.Net;
using System.Text;
using QwenServe.Engine;
using QwenServe.Settings;
using QwenServe.Tests.Api;

namespace QwenServe.Tests.Access;

/// <summary>What a request may be: each limit at its edge and one beyond. And how long it may take.</summary>
public class LimitTests
{
    private const string Chat = "/v1/chat/completions";

    private static readonly LimitSettings Small = new() { MaxMessages = 3, MaxTools = 2, MaxSchemaBytes = 200, MaxStopStrings = 2, MaxStopLength = 5, MaxHeaderBytes = 2048, MaxBodyBytes = 4096 };

    public static TheoryData<string, string, string, string> Lengths => new()
    {
        { $"\"messages\":[{Repeat(Message, 3)}]", $"\"messages\":[{Repeat(Message, 4)}]", "messages", "array_above_max_length" },
        { $"\"tools\":[{Tool("a", 10)},{Tool("b", 10)}]", $"\"tools\":[{Tool("a", 10)},{Tool("b", 10)},{Tool("c", 10)}]", "tools", "array_above_max_length" },
        { $"\"tools\":[{Tool("a", 10)},{Padded(Tool, 200)}]", $"\"tools\":[{Tool("a", 10)},{Padded(Tool, 201)}]", "tools[1]", "string_above_max_length" },
        { $"\"response_format\":{Padded(Format, 200)}", $"\"response_format\":{Padded(Format, 201)}", "response_format", "string_above_max_length" },
        { $"\"structured_outputs\":{Padded(Choice, 200)}", $"\"structured_outputs\":{Padded(Choice, 201)}", "structured_outputs", "string_above_max_length" },
        { "\"stop\":[\"a\",\"b\"]", "\"stop\":[\"a\",\"b\",\"c\"]", "stop", "array_above_max_length" },
        { "\"stop\":\"12345\"", "\"stop\":\"123456\"", "stop", "string_above_max_length" },
        { "\"stop\":[\"a\",\"\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\"]", "\"stop\":[\"a\",\"éééééé\"]", "stop[1]", "string_above_max_length" },
    };

    [Theory]
    [MemberData(nameof(Lengths))]
    public async Task A_length_at_its_limit_is_taken_and_one_beyond_is_refused_by_name(string at, string beyond, string param, string code)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("yes"), s => s with { Limits = Small });
        using var taken = await server.PostAsync(Chat, Request(at));
        Assert.True(taken.IsSuccessStatusCode, await taken.Content.ReadAsStringAsync());
        using var refused = await server.PostAsync(Chat, Request(beyond));
        var error = (await TestServer.JsonAsync(refused)).GetProperty("error");
        Assert.Equal((HttpStatusCode.BadRequest, param, code), (refused.StatusCode, error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
    }

    [Fact]
    public async Task A_body_at_its_limit_is_taken_and_one_byte_more_is_413()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("yes"), s => s with { Limits = Small });
        string body = Request("\"user\":\"\"");
        using var taken = await server.PostAsync(Chat, body.Replace("\"user\":\"\"", $"\"user\":\"{new string('x', 4096 - body.Length)}\"", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.OK, taken.StatusCode);
        using var refused = await server.PostAsync(Chat, body.Replace("\"user\":\"\"", $"\"user\":\"{new string('x', 4097 - body.Length)}\"", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, refused.StatusCode);
    }

    [Fact]
    public async Task Headers_beyond_their_limit_are_431()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("yes"), s => s with { Limits = Small });
        foreach (var (length, status) in new[] { (1500, HttpStatusCode.OK), (2048, HttpStatusCode.RequestHeaderFieldsTooLarge) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
            request.Headers.Add("x-filler", new string('x', length));
            using var response = await server.Client.SendAsync(request);
            Assert.Equal(status, response.StatusCode);
        }
    }

    [Theory]
    [InlineData("setting", false)]
    [InlineData("header", false)]
    [InlineData("field", false)]
    [InlineData("setting", true)]
    [InlineData("field", true)]
    public async Task A_request_whose_time_is_over_is_504_and_not_to_be_repeated(string how, bool queued)
    {
        var model = ScriptedModel.Endless();
        if (queued) model.Options = o => o with { MaxNumSeqs = 1 };
        await using var server = await TestServer.StartAsync(model, s => s with { Limits = s.Limits with { RequestTimeout = TimeSpan.FromSeconds(how == "setting" ? 0.5 : 300) } });
        model.Device.StepTime = TimeSpan.FromMilliseconds(20);
        using var ahead = new CancellationTokenSource();
        using var first = new HttpRequestMessage(HttpMethod.Post, Chat) { Content = new StringContent(ChatTests.Body("\"ignore_eos\":true"), Encoding.UTF8, "application/json") };
        var running = queued ? server.Client.SendAsync(first, ahead.Token) : Task.FromResult(new HttpResponseMessage());
        for (int i = 0; queued && i < 2000 && model.Engine!.Metrics.Running == 0; i++) await Task.Delay(5);
        using var request = new HttpRequestMessage(HttpMethod.Post, Chat)
        {
            Content = new StringContent(ChatTests.Body(how == "field" ? "\"ignore_eos\":true,\"timeout\":0.5" : "\"ignore_eos\":true"), Encoding.UTF8, "application/json"),
        };
        if (how == "header") request.Headers.Add("x-request-timeout", "0.5");
        using var response = await server.Client.SendAsync(request);
        var error = (await TestServer.JsonAsync(response)).GetProperty("error");
        Assert.Equal((HttpStatusCode.GatewayTimeout, "request_timeout"), (response.StatusCode, error.GetProperty("code").GetString()));
        Assert.Equal("false", response.Headers.GetValues("x-should-retry").Single());
        Assert.True(model.Engine!.Metrics.TimedOutQueued + model.Engine.Metrics.TimedOutRunning >= 1);
        await ahead.CancelAsync();
        await Task.WhenAny(running);
        await ChatTests.IdleAsync(model);
    }

    [Fact]
    public async Task A_stream_whose_time_is_over_ends_with_the_error()
    {
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model);
        model.Device.StepTime = TimeSpan.FromMilliseconds(20);
        using var request = new HttpRequestMessage(HttpMethod.Post, Chat) { Content = new StringContent(ChatTests.Body("\"stream\":true,\"timeout\":2"), Encoding.UTF8, "application/json") };
        using var response = await server.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var text = new StringBuilder();
        try
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            while (await reader.ReadLineAsync() is { } line) text.AppendLine(line);
        }
        catch (IOException)
        {
            // Cut after the frame.
        }
        Assert.Contains("\"code\":\"request_timeout\"", text.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("soon")]
    [InlineData("1e3")]
    public async Task A_timeout_header_that_is_no_time_is_a_wrong_request(string value)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("yes"));
        using var request = new HttpRequestMessage(HttpMethod.Post, Chat) { Content = new StringContent(ChatTests.Body(), Encoding.UTF8, "application/json") };
        request.Headers.Add("x-request-timeout", value);
        using var response = await server.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task A_priority_is_for_the_policy_that_has_them_and_a_service_tier_is_ignored()
    {
        var model = ScriptedModel.Saying("yes");
        await using var server = await TestServer.StartAsync(model);
        Assert.Equal(HttpStatusCode.OK, (await server.PostAsync(Chat, ChatTests.Body("\"priority\":0,\"service_tier\":\"flex\""))).StatusCode);
        using var refused = await server.PostAsync(Chat, ChatTests.Body("\"priority\":1"));
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Equal("priority", (await TestServer.JsonAsync(refused)).GetProperty("error").GetProperty("param").GetString());
        var other = ScriptedModel.Saying("yes");
        other.Options = o => o with { SchedulingPolicy = SchedulingPolicy.Priority };
        await using var prioritised = await TestServer.StartAsync(other);
        Assert.Equal(HttpStatusCode.OK, (await prioritised.PostAsync(Chat, ChatTests.Body("\"priority\":-7"))).StatusCode);
    }

    [Fact]
    public async Task Prompts_of_more_tokens_than_the_queue_holds_are_taken_together_when_nothing_waits()
    {
        var model = ScriptedModel.Saying("yes");
        model.Options = o => o with { MaxQueuedTokens = 10 };
        await using var server = await TestServer.StartAsync(model);
        string prompts = string.Join(',', Enumerable.Repeat("\"one two three\"", 20));
        using var response = await server.PostAsync("/v1/completions", $$"""{"model":"short","prompt":[{{prompts}}],"max_tokens":2}""");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(20, (await TestServer.JsonAsync(response)).GetProperty("choices").GetArrayLength());
    }

    private const string Message = """{"role":"user","content":"x"}""";

    private static string Request(string field)
        => field.StartsWith("\"messages\"", StringComparison.Ordinal) ? $$"""{"model":"short",{{field}}}""" : $$"""{"model":"short","messages":[{{Message}}],{{field}}}""";

    private static string Repeat(string text, int count) => string.Join(',', Enumerable.Repeat(text, count));

    private static string Tool(string name, int filler) => $$$"""{"type":"function","function":{"name":"{{{name}}}","description":"{{{new string('d', filler)}}}"}}""";

    private static string Tool(int filler) => Tool("t", filler);

    private static string Format(int filler) => $$$$"""{"type":"json_schema","json_schema":{"name":"n","description":"{{{{new string('d', filler)}}}}","schema":{"type":"string","enum":["yes"]}}}""";

    private static string Choice(int filler) => $$"""{"choice":["yes","{{new string('d', filler)}}"]}""";

    /// <summary>One of exactly so many bytes.</summary>
    private static string Padded(Func<int, string> make, int length) => make(length - make(0).Length);
}
