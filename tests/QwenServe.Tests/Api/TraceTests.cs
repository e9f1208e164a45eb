using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using QwenServe.Hosting;
using QwenServe.Settings;

namespace QwenServe.Tests.Api;

/// <summary>Spans as a collector receives them.</summary>
public class TraceTests
{
    private const string Chat = """{"model":"short","stream":true,"max_tokens":8,"messages":[{"role":"user","content":"Hello"}]}""";

    [Theory]
    [InlineData("/v1/chat/completions", Chat, "chat", true)]
    [InlineData("/v1/chat/completions", """{"model":"short","max_tokens":8,"messages":[{"role":"user","content":"Hello"}]}""", "chat", true)]
    [InlineData("/v1/completions", """{"model":"short","max_tokens":8,"prompt":"Hello"}""", "text_completion", false)]
    [InlineData("/v1/responses", """{"model":"short","max_output_tokens":16,"input":"Hello"}""", "chat", true)]
    [InlineData("/v1/messages", """{"model":"short","max_tokens":8,"messages":[{"role":"user","content":"Hello"}]}""", "chat", true)]
    public async Task A_request_is_a_span_with_its_parts_under_the_callers_trace(string path, string body, string operation, bool template)
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using var server = await StartAsync(receiver, ScriptedModel.Endless());
        string trace = Guid.NewGuid().ToString("N"), caller = "00f067aa0ba902b7";
        await PostAsync(server, path, body, $"00-{trace}-{caller}-01");
        var spans = await SpansAsync(receiver, trace, "decode");

        var request = Assert.Single(spans, s => s.ParentId == caller);
        Assert.Equal("POST " + path, request.Name);
        Assert.Equal("qwenserve", request.Service);
        Assert.Equal(operation, request.Attributes["gen_ai.operation.name"]);
        Assert.Equal("org/name", request.Attributes["gen_ai.request.model"]);
        Assert.Equal("200", request.Attributes["http.response.status_code"]);
        Assert.Equal("length", request.Attributes["gen_ai.response.finish_reasons"]);
        Assert.False(request.Failed);
        string[] parts = template ? ["template", "tokenize", "queue", "prefill", "decode"] : ["tokenize", "queue", "prefill", "decode"];
        var children = spans.Where(s => s != request).OrderBy(s => s.Start).ToList();
        Assert.Equal(parts.Order(), children.Select(s => s.Name).Order());
        Assert.All(children, s => Assert.Equal(request.SpanId, s.ParentId));
        // The clock of dates and the one of ticks are read one after the other.
        const long Skew = 50_000_000;
        Assert.All(children, s => Assert.InRange(s.Start, request.Start - Skew, s.End));
        Assert.All(children, s => Assert.InRange(s.End, s.Start, request.End + Skew));

        ReceivedSpan queue = Part("queue"), prefill = Part("prefill"), decode = Part("decode");
        Assert.InRange(prefill.Start, queue.End - Skew, queue.End + Skew);
        Assert.InRange(decode.Start, prefill.End - Skew, prefill.End + Skew);
        int prompt = Number(request, "gen_ai.usage.input_tokens"), output = Number(request, "gen_ai.usage.output_tokens");
        Assert.Equal(path == "/v1/responses" ? 16 : 8, output);
        Assert.True(prompt > 0);
        Assert.Equal(prompt, Number(prefill, "gen_ai.usage.input_tokens"));
        Assert.Equal(output, Number(decode, "gen_ai.usage.output_tokens"));
        double total = double.Parse(request.Attributes["gen_ai.latency.e2e"], CultureInfo.InvariantCulture) * 1000;
        Assert.InRange(queue.Milliseconds + prefill.Milliseconds + decode.Milliseconds, total - 0.1, total + 0.1);

        ReceivedSpan Part(string name) => spans.Single(s => s.Name == name);
    }

    [Theory]
    [InlineData("/v1/embeddings", "embeddings")]
    [InlineData("/pooling", "pooling")]
    public async Task Embeddings_have_the_parts_of_each_input_and_no_decode(string path, string operation)
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using var server = await StartAsync(receiver, ScriptedModel.Endless());
        string trace = Guid.NewGuid().ToString("N");
        await PostAsync(server, path, """{"model":"short","input":["Hello","And a longer one, good morning."]}""", $"00-{trace}-00f067aa0ba902b7-01");
        int[] lengths = [ScriptedModel.Tokenizer.Encode("Hello").Length, ScriptedModel.Tokenizer.Encode("And a longer one, good morning.").Length];
        AssertPooled(await SpansAsync(receiver, trace, operation), path, operation, ["tokenize"], lengths);
    }

    [Theory]
    [InlineData("/v1/score", "score")]
    [InlineData("/score", "score")]
    [InlineData("/pooling", "pooling")]
    public async Task Scores_have_template_queue_and_prefill_of_each_conversation(string path, string operation)
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        string reward = Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Fixtures", "reward");
        await using var server = await StartAsync(receiver, ModelLoading.LoadAsync, s => s with { Model = s.Model with { Name = reward }, Engine = s.Engine with { KvCacheMemory = 4 << 20 } });
        string trace = Guid.NewGuid().ToString("N");
        const string one = """[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]""", other = """[{"role":"user","content":"a, and more"},{"role":"assistant","content":"c"}]""";
        var usage = await PostAsync(server, path, $$"""{"model":"reward","messages":[{{one}},{{other}}]}""", $"00-{trace}-00f067aa0ba902b7-01");
        var spans = await SpansAsync(receiver, trace, operation);
        int[] lengths = [.. spans.Where(s => s.Name == "prefill").Select(s => Number(s, "gen_ai.usage.input_tokens"))];
        Assert.Equal(usage.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), lengths.Sum());
        Assert.NotEqual(lengths[0], lengths[1]);
        AssertPooled(spans, path, operation, ["template", "tokenize", "template", "tokenize"], lengths);
    }

    [Fact]
    public async Task An_embedding_that_comes_too_late_fails_in_the_queue()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        var model = ScriptedModel.Endless();
        model.Options = o => o with { MaxNumSeqs = 1 };
        model.Device.StepTime = TimeSpan.FromMilliseconds(20);
        await using var server = await StartAsync(receiver, model);
        string trace = Guid.NewGuid().ToString("N");
        // It would take eight seconds.
        using var leave = new CancellationTokenSource();
        using var before = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/chat/completions", UriKind.Relative)) { Content = new StringContent(ChatTests.Body("\"stream\":true,\"max_tokens\":400"), Encoding.UTF8, "application/json") };
        using var running = await server.Client.SendAsync(before, HttpCompletionOption.ResponseHeadersRead, leave.Token);
        await TestServer.UntilAsync(() => model.Engine!.Metrics.Running == 1, "the only place is taken");
        await PostAsync(server, "/v1/embeddings", """{"model":"short","input":"Hello"}""", $"00-{trace}-00f067aa0ba902b7-01", timeout: "0.000001");
        await leave.CancelAsync();
        var spans = await SpansAsync(receiver, trace, "embeddings");
        var request = Assert.Single(spans, s => s.Name == "POST /v1/embeddings");
        Assert.True(request.Failed);
        Assert.Equal("request_timeout", request.Attributes["error.type"]);
        var queue = Assert.Single(spans, s => s.Name == "queue");
        Assert.True(queue.Failed);
        Assert.Equal("timeout", queue.Attributes["error.type"]);
        Assert.DoesNotContain(spans, s => s.Name == "prefill");
    }

    [Fact]
    public async Task Spans_go_out_over_gRPC_too()
    {
        await using var receiver = await OtlpReceiver.StartAsync(grpc: true);
        await using var server = await StartAsync(receiver, ScriptedModel.Endless(), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue"));
        string trace = Guid.NewGuid().ToString("N");
        await PostAsync(server, "/v1/chat/completions", Chat, $"00-{trace}-00f067aa0ba902b7-01");
        var spans = await SpansAsync(receiver, trace, "chat");
        Assert.Equal(new[] { "POST /v1/chat/completions", "decode", "prefill", "queue", "template", "tokenize" }, spans.Select(s => s.Name).Order(StringComparer.Ordinal));
        Assert.All(spans, s => Assert.Equal("qwenserve", s.Service));
        Assert.Equal(8, Number(spans.Single(s => s.Name == "decode"), "gen_ai.usage.output_tokens"));
        Assert.All(receiver.Requests, r => Assert.Equal("/opentelemetry.proto.collector.trace.v1.TraceService/Export", r.Path));
        Assert.All(receiver.Requests, r => Assert.Contains("Content-Type: application/grpc", r.Headers, StringComparison.OrdinalIgnoreCase));
        Assert.All(receiver.Requests, r => Assert.Contains("x-tenant: blue", r.Headers, StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Each_prompt_of_a_request_has_its_own_parts()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using var server = await StartAsync(receiver, ScriptedModel.Endless());
        string trace = Guid.NewGuid().ToString("N");
        await PostAsync(server, "/v1/completions", """{"model":"short","max_tokens":4,"n":2,"prompt":["Hello","Good morning"]}""", $"00-{trace}-00f067aa0ba902b7-01");
        var spans = await SpansAsync(receiver, trace, "text_completion");
        Assert.Equal(2, spans.Count(s => s.Name == "prefill"));
        Assert.Equal(2, spans.Count(s => s.Name == "decode"));
        Assert.Equal(16, spans.Where(s => s.Name == "decode").Sum(s => Number(s, "gen_ai.usage.output_tokens")));
    }

    [Fact]
    public async Task Failures_of_the_server_are_errors_and_refusals_are_not()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        var model = ScriptedModel.Endless();
        await using var server = await StartAsync(receiver, model);
        string refused = Guid.NewGuid().ToString("N"), slow = Guid.NewGuid().ToString("N");
        await PostAsync(server, "/v1/chat/completions", """{"model":"nobody","messages":[]}""", $"00-{refused}-00f067aa0ba902b7-01");
        await PostAsync(server, "/v1/chat/completions", """{"model":"short","messages":[{"role":"user","content":"Hello"}]}""", $"00-{slow}-00f067aa0ba902b7-01", timeout: "0.000001");
        var wrong = Assert.Single(await SpansAsync(receiver, refused, "POST"));
        Assert.False(wrong.Failed);
        Assert.Equal("404", wrong.Attributes["http.response.status_code"]);
        Assert.Equal("model_not_found", wrong.Attributes["error.type"]);
        var failed = Assert.Single(await SpansAsync(receiver, slow, "POST"), s => s.Name.StartsWith("POST", StringComparison.Ordinal));
        Assert.True(failed.Failed, string.Join(", ", failed.Attributes));
        Assert.Equal("request_timeout", failed.Attributes["error.type"]);
    }

    [Fact]
    public async Task Nothing_is_sent_of_what_the_caller_does_not_sample_or_of_probes()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using var server = await StartAsync(receiver, ScriptedModel.Endless());
        string unsampled = Guid.NewGuid().ToString("N"), sampled = Guid.NewGuid().ToString("N");
        await PostAsync(server, "/v1/chat/completions", Chat, $"00-{unsampled}-00f067aa0ba902b7-00");
        Assert.Equal(HttpStatusCode.OK, (await server.GetAsync("/readyz")).StatusCode);
        await PostAsync(server, "/v1/chat/completions", Chat, $"00-{sampled}-00f067aa0ba902b7-01");
        await SpansAsync(receiver, sampled, "POST");
        Assert.DoesNotContain(receiver.Spans, s => s.TraceId == unsampled);
        Assert.DoesNotContain(receiver.Spans, s => s.Name.Contains("readyz", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_variables_of_OpenTelemetry_are_heeded()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using var server = await StartAsync(receiver, ScriptedModel.Endless(), ("OTEL_SERVICE_NAME", "my-qwen"), ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue"));
        string trace = Guid.NewGuid().ToString("N");
        await PostAsync(server, "/v1/chat/completions", Chat, $"00-{trace}-00f067aa0ba902b7-01");
        Assert.All(await SpansAsync(receiver, trace, "POST"), s => Assert.Equal("my-qwen", s.Service));
        Assert.All(receiver.Requests, r => Assert.Equal("/v1/traces", r.Path));
        Assert.All(receiver.Requests, r => Assert.Contains("x-tenant: blue", r.Headers, StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317")]
    [InlineData(true, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4317")]
    [InlineData(false, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317", "OTEL_SDK_DISABLED", "true")]
    [InlineData(false, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317", "OTEL_TRACES_EXPORTER", "none")]
    [InlineData(false, "OTEL_SERVICE_NAME", "qwen")]
    public void Traces_are_off_without_an_endpoint(bool on, params string[] variables)
    {
        var set = variables.Chunk(2).ToDictionary(v => v[0], v => v[1]);
        using var folder = new TemporaryDirectory();
        var settings = QwenServeSettings.Load(folder.Path, new Dictionary<string, string?>(), name => set.GetValueOrDefault(name));
        Assert.Equal(on, settings.Telemetry.TracesAreOn);
    }

    private static void AssertPooled(List<ReceivedSpan> spans, string path, string operation, string[] before, int[] lengths)
    {
        var request = Assert.Single(spans, s => s.ParentId == "00f067aa0ba902b7");
        Assert.Equal("POST " + path, request.Name);
        Assert.Equal(operation, request.Attributes["gen_ai.operation.name"]);
        Assert.False(request.Failed);
        Assert.Equal(lengths.Sum(), Number(request, "gen_ai.usage.input_tokens"));
        Assert.Contains("gen_ai.request.model", request.Attributes);
        Assert.DoesNotContain("gen_ai.usage.output_tokens", request.Attributes);
        var children = spans.Where(s => s != request).ToList();
        Assert.All(children, s => Assert.Equal(request.SpanId, s.ParentId));
        Assert.Equal(before.Concat(lengths.SelectMany(_ => new[] { "queue", "prefill" })).Order(), children.Select(s => s.Name).Order());
        Assert.All(children, s => Assert.False(s.Failed));
        Assert.Equal(lengths.Order(), children.Where(s => s.Name == "prefill").Select(s => Number(s, "gen_ai.usage.input_tokens")).Order());
        // As chat's: the longest of them is what the request took in the engine.
        double total = double.Parse(request.Attributes["gen_ai.latency.e2e"], CultureInfo.InvariantCulture) * 1000;
        const double Skew = 50;
        Assert.InRange((children.Where(s => s.Name == "prefill").Max(s => s.End) - children.Where(s => s.Name == "queue").Min(s => s.Start)) / 1e6, total - Skew, total + Skew);
    }

    private static int Number(ReceivedSpan span, string attribute) => int.Parse(span.Attributes[attribute], CultureInfo.InvariantCulture);

    private static Task<TestServer> StartAsync(OtlpReceiver receiver, ScriptedModel model, params (string Name, string Value)[] more) => StartAsync(receiver, model.LoadAsync, s => s, more);

    private static Task<TestServer> StartAsync(OtlpReceiver receiver, ModelLoader loader, Func<QwenServeSettings, QwenServeSettings> change, params (string Name, string Value)[] more)
    {
        var variables = new Dictionary<string, string?>
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.Address.ToString(),
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
            ["OTEL_BSP_SCHEDULE_DELAY"] = "50",
        };
        foreach (var (name, value) in more) variables[name] = value;
        return TestServer.StartAsync(loader, s => change(s) with { Telemetry = new TelemetrySettings { OpenTelemetry = variables } });
    }

    private static async Task<JsonElement> PostAsync(TestServer server, string path, string body, string traceparent, string? timeout = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative)) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Add("traceparent", traceparent);
        if (timeout is not null) request.Headers.Add("x-request-timeout", timeout);
        using var response = await server.Client.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        using var answer = JsonDocument.Parse(text.StartsWith('{') ? text : "null");
        return answer.RootElement.Clone();
    }

    /// <summary>All spans of a trace; the request's own, the last to end, is there.</summary>
    private static async Task<List<ReceivedSpan>> SpansAsync(OtlpReceiver receiver, string trace, string about)
    {
        await TestServer.UntilAsync(() => receiver.Spans.Any(s => s.TraceId == trace && s.ParentId == "00f067aa0ba902b7"), $"the span of the request came ({about})");
        return [.. receiver.Spans.Where(s => s.TraceId == trace)];
    }
}
