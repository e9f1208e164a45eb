using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using QwenServe.Hosting;

namespace QwenServe.Tests.Api;

/// <summary>What goes wrong inside the server or at a client, and what others notice of it.</summary>
public partial class FaultTests
{
    private const string Chat = "/v1/chat/completions";

    [Fact]
    public async Task A_device_error_fails_every_request_with_its_message_and_ends_the_program_with_a_clear_line()
    {
        var model = ScriptedModel.Endless();
        model.Options = o => o with { MaxNumSeqs = 2 };
        await using var app = ServerApp.Build(new() { Server = new() { Port = 0 }, Log = new() { Level = "error" } }, model.LoadAsync);
        var program = app.RunAsync();
        await TestServer.UntilAsync(() => app.Address.Port != 80, "the port is open");
        await app.WhenReadyAsync();
        using var client = new HttpClient { BaseAddress = app.Address };

        using var fail = new ManualResetEventSlim();
        int steps = 0;
        // Slow enough that the first stream still runs when the second comes in.
        model.Device.StepTime = TimeSpan.FromMilliseconds(20);
        model.Device.OnStep = () =>
        {
            // Steps of the first stream alone do not count: the second would never come in.
            if (model.Engine!.Metrics.Running < 2 || ++steps < 4) return;
            fail.Wait(TimeSpan.FromMinutes(1));
            throw new InvalidOperationException("illegal memory access");
        };
        var streamed = Enumerable.Range(0, 2).Select(_ => ReadAsync(client, "\"stream\":true")).ToList();
        await TestServer.UntilAsync(() => model.Engine!.Metrics.Running == 2 && steps >= 4, "both streams run");
        // These wait for a place among the two.
        var waiting = new[] { ReadAsync(client, "\"stream\":true"), ReadAsync(client, "\"n\":1"), ReadAsync(client, "\"n\":2") };
        await TestServer.UntilAsync(() => app.Services.GetRequiredService<Lifecycle>().Running == 5, "all five are in");
        fail.Set();

        foreach (var stream in streamed)
        {
            var (_, text, cut) = await stream;
            Assert.Contains("data: {\"error\":{\"message\":\"the engine failed: illegal memory access\"", text, StringComparison.Ordinal);
            Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
            Assert.True(cut);
        }
        foreach (var request in waiting)
        {
            var (status, text, _) = await request;
            Assert.Contains("the engine failed: illegal memory access", text, StringComparison.Ordinal);
            Assert.True(status == 500 || text.StartsWith("data: {\"error\"", StringComparison.Ordinal), $"{status}: {text}");
        }
        var end = await Assert.ThrowsAsync<StartupException>(() => program.WaitAsync(TimeSpan.FromMinutes(1)));
        Assert.Equal("the engine has failed: InvalidOperationException: illegal memory access", end.Message);
        Assert.Equal(1, end.ExitCode);
    }

    /// <summary>What orchestrators act upon: not live is restarted, not ready gets no requests.</summary>
    [Fact]
    public async Task Probes_tell_each_phase_as_an_orchestrator_needs_it()
    {
        var model = ScriptedModel.Saying("Hi.");
        using var load = new ManualResetEventSlim();
        await using var server = await TestServer.StartAsync(async (settings, report, cancel) =>
        {
            load.Wait(cancel);
            return await model.LoadAsync(settings, report, cancel);
        }, waitUntilReady: false);
        var lifecycle = server.App.Services.GetRequiredService<Lifecycle>();
        async Task AssertAsync(LifecyclePhase phase, int live, int ready)
        {
            await TestServer.UntilAsync(() => lifecycle.Phase == phase, $"the phase is {phase}");
            foreach (var (path, status) in new[] { ("/livez", live), ("/readyz", ready), ("/health", ready) })
            {
                using var answer = await server.GetAsync(path);
                Assert.Equal((phase, path, status), (phase, path, (int)answer.StatusCode));
                if (path != "/livez" && status == 503) Assert.True(answer.Headers.RetryAfter?.Delta > TimeSpan.Zero);
            }
        }
        await AssertAsync(LifecyclePhase.Loading, live: 200, ready: 503);
        load.Set();
        await AssertAsync(LifecyclePhase.Ready, live: 200, ready: 200);
        using (var place = lifecycle.Enter())
        {
            var drained = lifecycle.DrainAsync(TimeSpan.FromMinutes(5));
            await AssertAsync(LifecyclePhase.Draining, live: 200, ready: 503);
            lifecycle.Fail();
            await AssertAsync(LifecyclePhase.Failed, live: 503, ready: 503);
            await drained;
        }
    }

    [Fact]
    public async Task A_step_that_hangs_takes_liveness_and_readiness_down_until_it_ends()
    {
        var model = ScriptedModel.Saying("Hi.");
        await using var server = await TestServer.StartAsync(model, s => s with { Engine = s.Engine with { StepTimeout = TimeSpan.FromMilliseconds(300) } });
        model.Device.Gate.Reset();
        var answer = server.PostAsync(Chat, ChatTests.Body());
        foreach (string path in new[] { "/livez", "/readyz", "/health" })
        {
            await UntilStatusAsync(server, path, 503);
            using var told = await server.GetAsync(path);
            Assert.Contains("no progress", await told.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
        model.Device.Gate.Set();
        using (var late = await answer) Assert.Equal(HttpStatusCode.OK, late.StatusCode);
        foreach (string path in new[] { "/livez", "/readyz" }) await UntilStatusAsync(server, path, 200);
    }

    [Fact]
    public async Task An_engine_that_has_idled_longer_than_a_step_may_take_is_alive_when_work_comes()
    {
        var model = ScriptedModel.Saying("Hi.");
        await using var server = await TestServer.StartAsync(model, s => s with { Engine = s.Engine with { StepTimeout = TimeSpan.FromSeconds(4) } });
        await TestServer.UntilAsync(() => model.Engine!.Health is { Busy: false, SinceProgress.TotalSeconds: > 4.5 }, "the engine has idled");
        using (var idle = await server.GetAsync("/livez")) Assert.Equal(HttpStatusCode.OK, idle.StatusCode);
        using var stop = new CancellationTokenSource();
        bool stuck = false;
        // The moment between the request's coming and its first step, looked at as often as can be.
        var watching = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
                if (model.Engine!.Health is { Busy: true, SinceProgress.TotalSeconds: > 4 }) stuck = true;
        });
        using (var answer = await server.PostAsync(Chat, ChatTests.Body())) Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await stop.CancelAsync();
        await watching;
        Assert.False(stuck);
    }

    [Fact]
    public async Task A_client_that_never_reads_is_cut_off_and_nobody_else_notices()
    {
        // Twenty log-probs a token make an answer far larger than what the system takes in for a connection.
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model, s => s with { Server = s.Server with { ClientTimeout = TimeSpan.FromSeconds(3) } });
        var lifecycle = server.App.Services.GetRequiredService<Lifecycle>();
        using var silent = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        await silent.ConnectAsync(server.App.Address.Host, server.App.Address.Port);
        await silent.SendAsync(Raw(ChatTests.Body("\"stream\":true,\"n\":8,\"ignore_eos\":true,\"logprobs\":true,\"top_logprobs\":20")));
        await TestServer.UntilAsync(() => lifecycle.Running == 1, "the silent client is served");

        // It does not hold up the engine: others' streams pass meanwhile.
        var (status, text, _) = await ReadAsync(server.Client, "\"stream\":true,\"max_tokens\":50");
        Assert.Equal(200, status);
        Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
        await TestServer.UntilAsync(() => lifecycle.Running == 0, "the silent client is cut off");
        await ChatTests.IdleAsync(model);

        // What reaches it in the end is a stream without an end.
        var received = new StringBuilder();
        byte[] buffer = new byte[1 << 16];
        try
        {
            for (int read; (read = await silent.ReceiveAsync(buffer)) > 0;) received.Append(Encoding.UTF8.GetString(buffer, 0, read));
        }
        catch (SocketException)
        {
            // Reset.
        }
        Assert.DoesNotContain("[DONE]", received.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: app")]
    [InlineData("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"model\":")]
    public async Task A_request_that_stops_half_way_is_ended_by_the_server(string beginning)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var client = new TcpClient();
        await client.ConnectAsync(server.App.Address.Host, server.App.Address.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(beginning));
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        var told = new StringBuilder();
        byte[] buffer = new byte[4096];
        for (int read; (read = await stream.ReadAsync(buffer, patience.Token)) > 0;) told.Append(Encoding.ASCII.GetString(buffer, 0, read));
        Assert.StartsWith("HTTP/1.1 408 ", told.ToString(), StringComparison.Ordinal);
        await TestServer.UntilAsync(() => server.App.Services.GetRequiredService<Lifecycle>().Running == 0, "nothing is left of it");
    }

    /// <summary>A clock that is set while the server runs must not end or prolong anything: times are counted by the monotonic clock.</summary>
    [Fact]
    public void The_wall_clock_is_read_only_to_date_answers_spans_and_the_start()
    {
        string folder = Path.Combine(Repository.Root, "src");
        string[] uses = [.. Directory.GetFiles(folder, "*.cs", SearchOption.AllDirectories)
            .Where(f => !f.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal) && !f.Contains("EmbeddedModel", StringComparison.Ordinal))
            .SelectMany(f => File.ReadLines(f).Where(l => WallClock().IsMatch(l)).Select(l => $"{Path.GetFileName(f)}: {l.Trim()}"))];
        Assert.Contains(uses, u => u.StartsWith("ChatCompletionsEndpoint.cs", StringComparison.Ordinal));
        Assert.All(uses, u => Assert.True(Label().IsMatch(u), u));
    }

    [GeneratedRegex(@"\bDateTime(Offset)?\.(Utc)?(Now|Today)\b|\.Get(Utc|Local)Now\(|TickCount\b(?!64)|TimestampMode|SystemClock")]
    private static partial Regex WallClock();

    /// <summary>The "created" of an answer, the date a template may ask for, when a span began and when the process did.</summary>
    [GeneratedRegex(@"(DateTimeOffset\.UtcNow\.ToUnixTimeSeconds\(\))|DateTimeOffset Created \{ get; \} = DateTimeOffset\.UtcNow;|Func<DateTime> Now \{ get; init; \} = \(\) => DateTime\.Now;|^Spans\.cs: var now = DateTime\.UtcNow;$|^HttpMetrics\.cs: private static readonly double Started = ")]
    private static partial Regex Label();

    private static async Task<(int Status, string Text, bool Cut)> ReadAsync(HttpClient client, string more)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, Chat) { Content = new StringContent(ChatTests.Body(more), Encoding.UTF8, "application/json") };
        using var response = await client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
        var text = new StringBuilder();
        try
        {
            var stream = await response.Content.ReadAsStreamAsync();
            byte[] buffer = new byte[8192];
            for (int read; (read = await stream.ReadAsync(buffer)) > 0;) text.Append(Encoding.UTF8.GetString(buffer, 0, read));
            return ((int)response.StatusCode, text.ToString(), false);
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            return ((int)response.StatusCode, text.ToString(), true);
        }
    }

    private static async Task UntilStatusAsync(TestServer server, string path, int status)
    {
        for (long began = Stopwatch.GetTimestamp(); ; await Task.Delay(10))
        {
            using var answer = await server.GetAsync(path);
            if ((int)answer.StatusCode == status) return;
            Assert.True(Stopwatch.GetElapsedTime(began) < TimeSpan.FromMinutes(1), $"{path} stays at {(int)answer.StatusCode}");
        }
    }

    private static byte[] Raw(string body) => Encoding.UTF8.GetBytes($"POST {Chat} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");
}
