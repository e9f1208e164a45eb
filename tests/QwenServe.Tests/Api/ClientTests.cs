using System.Net;
using System.Text.Json;
using QwenServe.Hosting;

namespace QwenServe.Tests.Api;

/// <summary>
/// The clients that people use, each in a process of its own that runs all of its checks (<c>tests/QwenServe.Tests/node</c>): chat, streams, tools,
/// structured output, errors, aborts, retries. Four servers stand by: the embedded model, a script, a full queue, and one that is still loading.
/// </summary>
public sealed class ClientTests(ClientServers servers) : IClassFixture<ClientServers>
{
    [NodeTheory]
    [InlineData("openai.mjs", "4")]
    [InlineData("openai.mjs", "5")]
    [InlineData("openai.mjs", "6")]
    [InlineData("openai.mjs", "7")]
    [InlineData("ai.mjs")]
    [InlineData("langchain.mjs")]
    [InlineData("agents.mjs")]
    [InlineData("responses.mjs", "6")]
    [InlineData("responses.mjs", "7")]
    public async Task A_client_finds_what_it_expects(params string[] arguments)
    {
        var crowd = ScriptedModel.Saying(ClientScript.Answer);
        crowd.Options = o => o with { MaxQueuedRequests = 2, MaxNumSeqs = 2 };
        await using var full = await TestServer.StartAsync(crowd);
        crowd.Device.Gate.Reset();
        // Whatever happens, it has to be able to end.
        using var opening = new Opening(crowd.Device.Gate);
        Task<HttpResponseMessage>[] waiting = [];

        var late = ScriptedModel.Saying(ClientScript.Answer);
        var load = new TaskCompletionSource();
        await using var loading = await TestServer.StartAsync(async (settings, report, cancel) =>
        {
            await load.Task.WaitAsync(cancel);
            return await late.LoadAsync(settings, report, cancel);
        }, waitUntilReady: false);

        await NodeProcess.RunAsync(arguments, new()
        {
            ["EMBEDDED"] = Base(servers.Embedded),
            ["SCRIPTED"] = Base(servers.Scripted),
            ["FULL"] = Base(full),
            ["LOADING"] = Base(loading),
        }, async line =>
        {
            switch (line)
            {
                case "fill":
                    var first = full.PostAsync("/v1/chat/completions", ChatTests.Body("\"max_tokens\":2"));
                    while (!crowd.Device.AtGate) await Task.Delay(5);
                    waiting = [first, .. Enumerable.Range(0, 4).Select(_ => full.PostAsync("/v1/chat/completions", ChatTests.Body("\"max_tokens\":2")))];
                    // Two of the four are in the queue, and stay there.
                    while (waiting.Count(w => w.IsCompleted) < 2) await Task.Delay(5);
                    Assert.All(waiting.Where(w => w.IsCompleted), w => Assert.Equal(HttpStatusCode.TooManyRequests, w.Result.StatusCode));
                    break;
                case "refused 429":
                    crowd.Device.Gate.Set();
                    await Task.WhenAll(waiting);
                    break;
                case "refused 503":
                    load.TrySetResult();
                    await loading.App.WhenReadyAsync();
                    break;
            }
        });
        // Whoever left took everything along.
        await ChatTests.IdleAsync(servers.Script);
        Assert.Equal(0, servers.Script.Engine!.Metrics.KvUsage);
    }

    [NodeTheory]
    [InlineData("chat")]
    [InlineData("modern")]
    public async Task Compatcanary_finds_nothing(string profile)
    {
        string report = await NodeProcess.RunAsync(["node_modules/compatcanary/src/cli.js", "scan", "--base-url", Base(servers.Embedded), "--model", ModelLoading.EmbeddedName,
            "--profile", profile, "--format", "json", "--fail-on", "any", "--timeout", "120"], []);
        using var document = JsonDocument.Parse(report);
        Assert.All(document.RootElement.GetProperty("results").EnumerateArray(), r => Assert.True(r.GetProperty("status").GetString() == "pass", r.GetRawText()));
        Assert.Equal(100, document.RootElement.GetProperty("score").GetInt32());
    }

    private sealed class Opening(ManualResetEventSlim gate) : IDisposable
    {
        public void Dispose() => gate.Set();
    }

    private static string Base(TestServer server) => new Uri(server.App.Address, "v1").ToString();
}

/// <summary>The embedded model, and a script that wants the key "key".</summary>
public sealed class ClientServers : IAsyncLifetime
{
    internal TestServer Embedded { get; private set; } = null!;

    internal TestServer Scripted { get; private set; } = null!;

    internal ScriptedModel Script { get; } = ScriptedModel.Saying(ClientScript.Answer);

    public async Task InitializeAsync()
    {
        Embedded = await TestServer.StartEmbeddedAsync();
        Script.Options = o => o with { MaxModelLength = 2048, MaxNumBatchedTokens = 2048 };
        // Slow enough that an answer without end can be left.
        Script.Device.StepTime = TimeSpan.FromMilliseconds(2);
        Scripted = await TestServer.StartAsync(Script, s => s with { Server = s.Server with { ApiKeys = ["key"] } });
    }

    public async Task DisposeAsync()
    {
        await Embedded.DisposeAsync();
        await Scripted.DisposeAsync();
    }
}
