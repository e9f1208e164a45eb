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

    public static async Task<JsonElement> JsonAsync(HttpResponseMessage response)
    {
        using var document = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        return document.RootElement.Clone();
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await App.DisposeAsync();
    }
}
