using System.Diagnostics;
using System.Text;
using System.Text.Json;
using QwenServe.Hosting;
using QwenServe.Settings;

namespace QwenServe.Tests.Api;

/// <summary>The real server on a free port, around any model.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private TestServer(ServerApp app, HttpClient client)
    {
        App = app;
        Client = client;
    }

    public ServerApp App { get; }

    /// <summary>Its base address is the server's.</summary>
    public HttpClient Client { get; }

    public static Task<TestServer> StartAsync(ScriptedModel model, Func<QwenServeSettings, QwenServeSettings>? change = null) => StartAsync(model.LoadAsync, change);

    /// <summary>The embedded model on the CPU.</summary>
    public static Task<TestServer> StartEmbeddedAsync() => StartAsync(ModelLoading.LoadAsync, s => s with { Engine = s.Engine with { KvCacheMemory = 64 << 20 } });

    public static async Task<TestServer> StartAsync(ModelLoader loader, Func<QwenServeSettings, QwenServeSettings>? change = null, bool waitUntilReady = true)
    {
        var settings = new QwenServeSettings
        {
            Server = new ServerSettings { Port = 0, ShutdownTimeout = TimeSpan.FromSeconds(5) },
            Log = new LogSettings { Level = "error" },
        };
        var app = ServerApp.Build(change?.Invoke(settings) ?? settings, loader);
        await app.StartAsync();
        if (waitUntilReady) await app.WhenReadyAsync();
        return new TestServer(app, new HttpClient { BaseAddress = app.Address, Timeout = TimeSpan.FromSeconds(60) });
    }

    public Task<HttpResponseMessage> PostAsync(string path, string body, string mediaType = "application/json")
        => Client.PostAsync(new Uri(path, UriKind.Relative), new StringContent(body, Encoding.UTF8, mediaType));

    public Task<HttpResponseMessage> GetAsync(string path) => Client.GetAsync(new Uri(path, UriKind.Relative));

    /// <summary>Posts and reads the events of the answer; <c>[DONE]</c> is the last if it came.</summary>
    public async Task<List<string>> StreamAsync(string path, string body)
    {
        using var response = await PostAsync(path, body);
        Assert.Equal(System.Net.HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.ToString());
        string text = await response.Content.ReadAsStringAsync();
        Assert.EndsWith("\n\n", text, StringComparison.Ordinal);
        var events = text[..^2].Split("\n\n").ToList();
        // Nothing but data lines: comments and event names break clients.
        Assert.All(events, e => Assert.StartsWith("data: ", e, StringComparison.Ordinal));
        Assert.All(events, e => Assert.DoesNotContain('\n', e));
        return [.. events.Select(e => e["data: ".Length..])];
    }

    public static async Task<JsonElement> JsonAsync(HttpResponseMessage response)
    {
        using var document = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        return document.RootElement.Clone();
    }

    /// <summary>Waits for what has to come, however busy the machine is.</summary>
    public static async Task UntilAsync(Func<bool> holds, string what)
    {
        for (long began = Stopwatch.GetTimestamp(); !holds(); await Task.Delay(5))
            Assert.True(Stopwatch.GetElapsedTime(began) < TimeSpan.FromMinutes(1), $"after a minute it is still not so that {what}");
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await App.DisposeAsync();
    }
}
