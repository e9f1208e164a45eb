namespace QwenServe.Tests.Api;

/// <summary>One server of the embedded model for all tests of a class.</summary>
public sealed class EmbeddedServer : IAsyncLifetime
{
    private TestServer? _server;

    internal TestServer Server => _server!;

    public async Task InitializeAsync() => _server = await TestServer.StartEmbeddedAsync();

    public async Task DisposeAsync() => await _server!.DisposeAsync();
}
