using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using QwenServe.Benchmarks.Load;
using QwenServe.Tests.Api;
using Xunit.Abstractions;

namespace QwenServe.Tests.Deploy;

/// <summary>Two server processes behind the real proxies: what a client sees when replicas stream, die and restart.</summary>
public class ScaleOutTests(ITestOutputHelper output)
{
    public static TheoryData<string> Proxies => ["nginx", "haproxy"];

    [ToolTheory("nginx", "haproxy")]
    [MemberData(nameof(Proxies))]
    public void The_proxys_own_check_accepts_the_configuration(string kind)
    {
        var (code, said) = Proxy.Test(kind);
        Assert.True(code == 0, said);
        Assert.DoesNotContain("[warn", said, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("[alert", said, StringComparison.OrdinalIgnoreCase);
        Assert.NotEqual(0, Proxy.Test(kind, text => text.Replace("proxy_buffering off", "proxy_bufering off", StringComparison.Ordinal).Replace("option httpchk", "option httpcheck", StringComparison.Ordinal)).ExitCode);
    }

    [ToolTheory("nginx", "haproxy")]
    [MemberData(nameof(Proxies))]
    public async Task The_proxys_own_errors_have_the_apis_shape(string kind)
    {
        int[] nobody = Ports.Take(2);
        using var proxy = await Proxy.StartAsync(kind, nobody);
        using var client = new HttpClient { BaseAddress = proxy.Address };

        using var unreachable = await client.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), new StringContent("{}", Encoding.UTF8, "application/json"));
        Assert.Contains((int)unreachable.StatusCode, new[] { 502, 503 });
        Assert.True(unreachable.Headers.RetryAfter?.Delta > TimeSpan.Zero);
        await AssertEnvelopeAsync(unreachable, "server_error");

        using var hidden = await client.GetAsync(new Uri("/metrics", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NotFound, hidden.StatusCode);

        string large = await RawAsync(proxy.Address, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 413 ", large, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"request_too_large\"", large, StringComparison.Ordinal);
        string wrong = await RawAsync(proxy.Address, "GET / HTTP/1.1\r\nno colon here\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 400 ", wrong, StringComparison.Ordinal);
        // HAProxy answers what is no HTTP before it has a request, with a page that cannot be set.
        if (kind == "nginx") Assert.Contains("{\"error\":{\"message\":", wrong, StringComparison.Ordinal);
    }

    [ToolTheory("nginx", "haproxy")]
    [MemberData(nameof(Proxies))]
    public async Task A_replica_that_does_not_answer_in_time_is_a_504_and_too_many_connections_a_429(string kind)
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        int port = ((IPEndPoint)silent.LocalEndpoint).Port;
        using var proxy = await Proxy.StartAsync(kind, [port, port], text => text
            .Replace("proxy_read_timeout 600s", "proxy_read_timeout 4s", StringComparison.Ordinal).Replace("proxy_next_upstream_tries 3", "proxy_next_upstream_tries 1", StringComparison.Ordinal)
            .Replace("timeout server 600s", "timeout server 4s", StringComparison.Ordinal).Replace("default-server check inter 1s fall 1 rise 1 observe layer7 error-limit 1 on-error mark-down", "default-server no-check", StringComparison.Ordinal)
            .Replace("limit_conn clients 1024", "limit_conn clients 2", StringComparison.Ordinal).Replace("gt 1024", "gt 2", StringComparison.Ordinal));
        using var client = new HttpClient { BaseAddress = proxy.Address };
        var content = () => new StringContent("""{"prompt":"x"}""", Encoding.UTF8, "application/json");
        var first = client.PostAsync(new Uri("/v1/completions", UriKind.Relative), content());
        var second = client.PostAsync(new Uri("/v1/completions", UriKind.Relative), content());
        // Both are through to the replica, so the proxy counts them; the third has to come before they time out.
        using var one = await silent.AcceptTcpClientAsync();
        using var two = await silent.AcceptTcpClientAsync();
        using var third = await client.PostAsync(new Uri("/v1/completions", UriKind.Relative), content());
        Assert.Equal(429, (int)third.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(1), third.Headers.RetryAfter?.Delta);
        await AssertEnvelopeAsync(third, "rate_limit_error");
        foreach (var waiting in new[] { first, second })
        {
            using var slow = await waiting;
            Assert.Equal(504, (int)slow.StatusCode);
            await AssertEnvelopeAsync(slow, "server_error");
        }
    }

    [ToolTheory("nginx", "haproxy")]
    [MemberData(nameof(Proxies))]
    public async Task Streams_pass_token_by_token(string kind)
    {
        // The device makes a token only when the client has the one before it: a proxy that gathers tokens waits for ever.
        using var turn = new SemaphoreSlim(1);
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model);
        model.Device.OnStep = () =>
        {
            if (!turn.Wait(TimeSpan.FromSeconds(60))) throw new TimeoutException("the token before has not come through");
        };
        using var proxy = await Proxy.StartAsync(kind, [server.App.Address.Port, server.App.Address.Port]);
        var options = Options(proxy) with { Model = "org/name", Lengths = LengthDistribution.Fixed(8, 40) };
        using var client = new LoadClient(options);
        var stream = await client.SendAsync(new Workload(options).Next(), client.Now, () => turn.Release());
        model.Device.OnStep = null;
        Assert.Null(stream.Error);
        Assert.Equal(40, stream.OutputTokens);
        // One that holds a token back until more come or a time is over, as HAProxy does for 200 ms unless told not to, would do so with each.
        double[] gaps = [.. stream.Pieces.Zip(stream.Pieces.Skip(1), (a, b) => b - a).Order()];
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{kind}: {stream.Pieces.Count} pieces, {gaps[gaps.Length / 2] * 1000:F1} ms apart"));
        Assert.True(gaps[gaps.Length / 4] < 0.15, $"a quarter of the tokens came within {gaps[gaps.Length / 4] * 1000:F0} ms");
    }

    [ToolTheory("nginx", "haproxy")]
    [MemberData(nameof(Proxies))]
    public async Task A_killed_replica_loses_only_its_own_streams_and_their_clients_are_told(string kind)
    {
        var replicas = await Replica.StartAsync(2);
        try
        {
            // Two streams a replica are few enough for the bound on load to move one of them.
            using var proxy = await Proxy.StartAsync(kind, [.. replicas.Select(r => r.Port)], text => text.Replace("hash-balance-factor 150", "", StringComparison.Ordinal));
            var options = Options(proxy) with { Lengths = LengthDistribution.Fixed(8, 40) };
            using var client = new LoadClient(options);
            // Streams on both, by session; then one replica dies, whose own are far from their end.
            string[] sessions = [await SessionAsync(proxy, replicas, 0), await SessionAsync(proxy, replicas, 1)];
            using var began = new CountdownEvent(4);
            var running = Enumerable.Range(0, 4).Select(i =>
            {
                int pieces = 0;
                var length = options with { Lengths = LengthDistribution.Fixed(8, i % 2 == 0 ? 3500 : 800) };
                return client.SendAsync(new Workload(length).Next() with { Session = sessions[i % 2] }, client.Now, () => { if (++pieces == 3) began.Signal(); });
            }).ToArray();
            Assert.True(await Task.Run(() => began.Wait(TimeSpan.FromMinutes(1))));
            replicas[0].Kill();
            var after = await client.SendAsync(new Workload(options).Next() with { Session = sessions[0] }, client.Now);
            var results = await Task.WhenAll(running);

            Assert.Null(after.Error); // The dead replica's sessions go to the other one.
            for (int i = 0; i < 4; i++) Assert.Equal(i % 2 == 0 ? "broken stream" : null, results[i].Error);
            Assert.All(results.Where((_, i) => i % 2 == 1), r => Assert.Equal(800, r.OutputTokens));
        }
        finally
        {
            foreach (var replica in replicas) replica.Dispose();
        }
    }

    [ToolTheory("nginx", "haproxy")]
    [MemberData(nameof(Proxies))]
    public async Task A_rolling_restart_under_load_loses_nothing(string kind)
    {
        var replicas = await Replica.StartAsync(2);
        try
        {
            using var proxy = await Proxy.StartAsync(kind, [.. replicas.Select(r => r.Port)]);
            var options = Options(proxy) with { Concurrency = 4, Requests = int.MaxValue, Warmup = 2, Lengths = LengthDistribution.Fixed(8, 40) };
            var runner = new LoadRunner(options);
            using var stop = new CancellationTokenSource();
            var load = runner.RunAsync(stop.Token);
            async Task AnsweredAsync(int more)
            {
                for (int before = runner.Finished; runner.Finished < before + more;) await Task.Delay(20);
            }
            for (int i = 0; i < replicas.Length; i++)
            {
                await AnsweredAsync(8);
                Assert.Equal(0, await replicas[i].TerminateAsync());
                await AnsweredAsync(6);
                replicas[i].Start();
                await replicas[i].WhenReadyAsync();
                // An orchestrator goes on when the new one is in the rotation again.
                await SessionAsync(proxy, replicas, i);
                await AnsweredAsync(8);
            }
            await stop.CancelAsync();
            var summary = new LoadSummary(options, await load, runner.Seconds);
            output.WriteLine(kind + "\n" + summary.Table());
            Assert.Empty(summary.Errors);
            Assert.Equal(summary.Results.Count, summary.Answered);
            Assert.All(replicas, r => Assert.True(r.MetricAsync("vllm:generation_tokens_total").Result > 0));
        }
        finally
        {
            foreach (var replica in replicas) replica.Dispose();
        }
    }

    [ToolFact("nginx", "haproxy")]
    public async Task Affinity_raises_the_prefix_hit_rate()
    {
        // HAProxy places by the first message, nginx by x-session-id; round robin is what either would do without.
        double byMessage = await HitRateAsync("haproxy", session: false, spread: false);
        double bySession = await HitRateAsync("nginx", session: true, spread: false);
        double spread = await HitRateAsync("haproxy", session: false, spread: true);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"prefix hit rate of 24 requests over 12 prefixes on two replicas: round robin {spread:P1}, HAProxy by first message {byMessage:P1}, nginx by session {bySession:P1}"));
        Assert.True(byMessage > spread + 0.1, $"{byMessage} against {spread}");
        Assert.True(bySession > spread + 0.1, $"{bySession} against {spread}");
    }

    private static async Task<double> HitRateAsync(string kind, bool session, bool spread)
    {
        var replicas = await Replica.StartAsync(2);
        try
        {
            using var proxy = await Proxy.StartAsync(kind, [.. replicas.Select(r => r.Port)],
                spread ? text => text.Replace("balance hash var(txn.affinity)", "balance roundrobin", StringComparison.Ordinal).Replace("hash-balance-factor 150", "", StringComparison.Ordinal) : null);
            using var client = new LoadClient(Options(proxy));
            var generator = new Workload(Options(proxy) with { SharedPrefix = 60, PrefixGroups = 12, SessionHeader = true, Lengths = LengthDistribution.Fixed(8, 2) });
            // Each prefix twice, one request at a time: the second finds the first's blocks if it comes to the same replica.
            var byGroup = new Dictionary<string, List<LoadRequest>>();
            while (byGroup.Count < 12 || byGroup.Values.Any(g => g.Count < 2))
            {
                var request = generator.Next();
                if (!byGroup.TryGetValue(request.Session!, out var group)) byGroup[request.Session!] = group = [];
                if (group.Count < 2) group.Add(request);
            }
            var order = byGroup.Values.SelectMany(g => g).ToArray();
            new Random(3).Shuffle(order);
            foreach (var request in order) Assert.Null((await client.SendAsync(session ? request : request with { Session = null }, client.Now)).Error);
            double hits = 0, queries = 0;
            foreach (var replica in replicas)
            {
                hits += await replica.MetricAsync("vllm:prefix_cache_hits_total");
                queries += await replica.MetricAsync("vllm:prefix_cache_queries_total");
            }
            return hits / queries;
        }
        finally
        {
            foreach (var replica in replicas) replica.Dispose();
        }
    }

    /// <summary>A session id that the proxy sends to this replica.</summary>
    private static async Task<string> SessionAsync(Proxy proxy, Replica[] replicas, int wanted)
    {
        using var client = new HttpClient { BaseAddress = proxy.Address };
        for (int i = 0; i < 2000; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
            request.Headers.Add("x-session-id", $"session-{i}");
            using var answer = await client.SendAsync(request);
            if ((await answer.Content.ReadAsStringAsync()).Contains($"replica-{wanted}", StringComparison.Ordinal)) return $"session-{i}";
            if (i >= 64) await Task.Delay(20); // It has just come back, and the proxy has yet to notice.
        }
        throw new InvalidOperationException($"no session goes to replica {wanted} of {replicas.Length}");
    }

    private static LoadOptions Options(Proxy proxy) => new() { Url = new Uri(proxy.Address, "v1/"), Model = "demo", IgnoreEos = true, Temperature = 0 };

    private static async Task AssertEnvelopeAsync(HttpResponseMessage response, string type)
    {
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        using var body = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        var error = body.RootElement.GetProperty("error");
        Assert.Equal(["message", "type", "param", "code"], error.EnumerateObject().Select(p => p.Name));
        Assert.Equal(type, error.GetProperty("type").GetString());
    }

    private static async Task<string> RawAsync(Uri address, string request)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(address.Host, address.Port);
        var stream = socket.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request));
        // Not half closed: a proxy that learns of that before it answers takes the client for gone.
        var text = new StringBuilder();
        byte[] buffer = new byte[4096];
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        try
        {
            while (await stream.ReadAsync(buffer, patience.Token) is var read && read > 0) text.Append(Encoding.UTF8.GetString(buffer, 0, read));
        }
        catch (IOException) when (text.Length > 0)
        {
            // A proxy that refuses a body without reading it may reset the connection after its answer.
        }
        return text.ToString();
    }
}
