using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using QwenServe.Hosting;
using QwenServe.Hub;

namespace QwenServe.Tests.Api;

/// <summary>Signals, disks and crowds: what only a process of its own can show.</summary>
public class ProcessFaultTests
{
    private const string Question = """{"model":"qwenserve-demo","max_tokens":4,"messages":[{"role":"user","content":"Hello"}]}""";

    [Fact]
    public async Task SIGTERM_takes_readiness_down_first_and_lets_streams_finish_behind_the_open_port()
    {
        using var server = await ServerProcess.StartAsync("--shutdown-timeout", "300");
        using var client = new HttpClient { BaseAddress = server.Address };
        var stream = await ServerProcess.BeginStreamAsync(client, 4000);
        await server.SignalAsync("TERM");
        await server.UntilLogAsync("refusing new requests");
        // All of these while the stream runs, on the port that is still open.
        await StatusAsync(client, "/readyz", HttpStatusCode.ServiceUnavailable);
        await StatusAsync(client, "/livez", HttpStatusCode.OK);
        using (var refused = await client.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), new StringContent(Question, Encoding.UTF8, "application/json")))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.True(refused.Headers.RetryAfter?.Delta > TimeSpan.Zero);
            Assert.Contains("shutting down", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
        var (text, broken) = await stream.EndAsync();
        Assert.False(broken);
        Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
        Assert.Equal(0, (await server.EndAsync()).Code);
        Assert.Matches(@"^Serving qwenserve-demo on http://127\.0\.0\.1:\d+/v1 with CPU.*context 4096 tokens, KV cache 64 MiB", server.Summary);
    }

    [Fact]
    public async Task A_stream_past_the_shutdown_timeout_ends_with_an_error_frame_and_the_process_still_with_code_0()
    {
        using var server = await ServerProcess.StartAsync("--shutdown-timeout", "0.2");
        using var client = new HttpClient { BaseAddress = server.Address };
        var stream = await ServerProcess.BeginStreamAsync(client, 4000);
        await server.SignalAsync("TERM");
        var (text, broken) = await stream.EndAsync();
        Assert.True(broken);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        string last = text.TrimEnd().Split("\n\n")[^1];
        Assert.StartsWith("data: {\"error\":{\"message\":\"The server was shut down before the answer was complete.\"", last, StringComparison.Ordinal);
        Assert.Equal(0, (await server.EndAsync()).Code);
    }

    [Fact]
    public async Task A_second_signal_ends_at_once()
    {
        using var server = await ServerProcess.StartAsync("--shutdown-timeout", "300");
        using var client = new HttpClient { BaseAddress = server.Address };
        var stream = await ServerProcess.BeginStreamAsync(client, 4000);
        await server.SignalAsync("TERM");
        await server.UntilLogAsync("refusing new requests");
        await server.SignalAsync("TERM");
        Assert.NotEqual(0, (await server.EndAsync()).Code);
        Assert.DoesNotContain("[DONE]", (await stream.EndAsync()).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_killed_server_breaks_its_streams_visibly_and_another_starts_on_its_port()
    {
        string port = Ports.Take(1)[0].ToString(CultureInfo.InvariantCulture);
        using (var server = await ServerProcess.StartAsync("--port", port))
        {
            using var client = new HttpClient { BaseAddress = server.Address };
            var streams = new[] { await ServerProcess.BeginStreamAsync(client, 4000), await ServerProcess.BeginStreamAsync(client, 4000) };
            await server.SignalAsync("KILL");
            foreach (var stream in streams)
            {
                var (text, broken) = await stream.EndAsync();
                Assert.True(broken);
                Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
            }
        }
        using var next = await ServerProcess.StartAsync("--port", port);
        using var again = new HttpClient { BaseAddress = next.Address };
        using var answer = await again.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), new StringContent(Question, Encoding.UTF8, "application/json"));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Theory]
    [InlineData(FailingServer.InAStep)]
    [InlineData(FailingServer.BetweenSteps)]
    public async Task A_broken_engine_ends_streams_with_an_error_and_the_process_with_one_clear_line(string where)
    {
        using var server = await ServerProcess.StartAsync([], [], FailingServer.Program(where));
        using var client = new HttpClient { BaseAddress = server.Address };
        await StatusAsync(client, "/livez", HttpStatusCode.OK);
        var asked = new List<Task<string>> { AskAsync(FailingServer.Word) };
        // Somebody is always being served until it is over. Between steps the engine looks up the device's memory every ten seconds.
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (!asked.Any(o => o.IsCompleted && o.Result.Contains("\"error\"", StringComparison.Ordinal)))
        {
            asked.Add(AskAsync("Hello"));
            await Task.WhenAny(asked[^1], Task.Delay(TimeSpan.FromSeconds(1)));
            Assert.True(clock.Elapsed < TimeSpan.FromMinutes(2), "the engine has not broken");
        }
        var (code, error) = await server.EndAsync();
        Assert.Equal(1, code);
        Assert.Equal($"qwenserve: the engine has failed: InvalidOperationException: {FailingServer.Message}", error.TrimEnd().Split('\n')[^1]);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
        string[] texts = await Task.WhenAll(asked);
        Assert.Contains(texts, t => t.Contains($"the engine failed: {FailingServer.Message}", StringComparison.Ordinal));
        // Ended before, told so, or come when nobody was there any more.
        Assert.All(texts, t => Assert.True(t.Length == 0 || t.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal) || t.Contains("\"error\"", StringComparison.Ordinal), t));

        async Task<string> AskAsync(string content)
        {
            string body = $$"""{"model":"short","stream":true,"max_tokens":100,"messages":[{"role":"user","content":"{{content}}"}]}""";
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
            var text = new StringBuilder();
            try
            {
                using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
                await using var stream = await answer.Content.ReadAsStreamAsync();
                byte[] buffer = new byte[1 << 14];
                for (int read; (read = await stream.ReadAsync(buffer)) > 0;) text.Append(Encoding.UTF8.GetString(buffer, 0, read));
            }
            catch (Exception e) when (e is IOException or HttpRequestException)
            {
                // Error frames are followed by the connection's end.
            }
            return text.ToString();
        }
    }

    [Fact]
    public async Task A_disk_that_is_full_during_a_download_is_one_line_and_the_next_start_goes_on_from_there()
    {
        await using var hub = await QwenServe.Tests.Hub.FakeHub.StartAsync();
        foreach (string file in Directory.GetFiles(ModelLoading.EmbeddedDirectory)) hub.Files[Path.GetFileName(file)] = await File.ReadAllBytesAsync(file);
        using var home = new TemporaryDirectory();
        // A limit on the size of a file stands for the disk: the write that crosses it fails. The runtime's own mappings must do without a file then.
        var environment = new Dictionary<string, string> { ["HF_ENDPOINT"] = hub.Address.ToString(), ["HF_HOME"] = home.Path, ["DOTNET_EnableWriteXorExecute"] = "0" };
        string[] arguments = ["--port", "0", "--model", "org/name", "--kv-cache-memory", "16MiB", "--log-level", "error"];
        // As a slow network brings it: the write that fails is a small one.
        hub.Piece = 50_000;
        using (var server = ServerProcess.Launch("trap '' XFSZ; ulimit -f 8192", arguments, environment))
        {
            var (code, error) = await server.EndAsync();
            string last = error.TrimEnd().Split('\n')[^1];
            Assert.StartsWith("qwenserve: ", last, StringComparison.Ordinal);
            Assert.Contains("free some space or set HF_HOME to another disk", last, StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
            Assert.Equal(1, code);
        }
        hub.Piece = 0;
        string partial = Assert.Single(Directory.GetFiles(home.Path, "*.incomplete", SearchOption.AllDirectories));
        long kept = new FileInfo(partial).Length;
        Assert.InRange(kept, 1, 8192 * 1024);
        hub.Log.Clear();
        var options = new HubOptions { Endpoint = hub.Address, Cache = Path.Combine(home.Path, "hub") };
        string folder = await HuggingFaceHub.FetchAsync(options, "org/name", null, new DownloadProgress((_, _, _) => { }), default);
        Assert.Contains(hub.Log, l => l.StartsWith($"CONTENT model.safetensors range=bytes={kept}-", StringComparison.Ordinal));
        Assert.Equal(hub.Files["model.safetensors"], await File.ReadAllBytesAsync(Path.Combine(folder, "model.safetensors")));
    }

    [Fact]
    public async Task Ten_thousand_idle_connections_cost_little_and_keep_nobody_waiting()
    {
        const int Connections = 10_000;
        using var server = await ServerProcess.StartAsync();
        using var client = new HttpClient { BaseAddress = server.Address };
        await AnswerAsync(client);
        long before = Resident(server.Id);
        var idle = new List<Socket>(Connections);
        try
        {
            await Parallel.ForEachAsync(Enumerable.Range(0, Connections), new ParallelOptions { MaxDegreeOfParallelism = 32 }, async (_, cancel) =>
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { LingerState = new LingerOption(true, 0) };
                lock (idle) idle.Add(socket);
                await socket.ConnectAsync(server.Address.Host, server.Address.Port, cancel);
            });
            await TestServer.UntilAsync(() => Directory.GetFiles($"/proc/{server.Id}/fd").Length > Connections, "all connections are accepted");
            await AnswerAsync(client);
            await StatusAsync(client, "/readyz", HttpStatusCode.OK);
            long after = Resident(server.Id);
            Assert.True(after - before < Connections * 32L * 1024, $"{(after - before) / (double)Connections:F0} bytes a connection");
        }
        finally
        {
            foreach (var socket in idle) socket.Dispose();
        }
        await TestServer.UntilAsync(() => Directory.GetFiles($"/proc/{server.Id}/fd").Length < 1000, "the connections are let go");
        await AnswerAsync(client);
    }

    private static async Task AnswerAsync(HttpClient client)
    {
        using var answer = await client.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), new StringContent(Question, Encoding.UTF8, "application/json"));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    private static async Task StatusAsync(HttpClient client, string path, HttpStatusCode expected)
    {
        using var answer = await client.GetAsync(new Uri(path, UriKind.Relative));
        Assert.Equal(expected, answer.StatusCode);
    }

    /// <summary>Bytes of a process in memory.</summary>
    private static long Resident(int id)
        => 1024 * long.Parse(File.ReadLines($"/proc/{id}/status").Single(l => l.StartsWith("VmRSS:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
}
