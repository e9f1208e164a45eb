using System.Net;
using System.Net.Sockets;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;

namespace QwenServe.Tests.Api;

public class LifecycleTests
{
    [Fact]
    public async Task The_port_answers_while_the_model_loads_and_tells_how_far_it_is()
    {
        using var loaded = new ManualResetEventSlim();
        Task<ServedModel> Slow(QwenServeSettings settings, Action<string, double?, string?> report, CancellationToken cancel)
        {
            report("loading weights", 0.42, null);
            loaded.Wait(cancel);
            throw new StartupException("no model after all");
        }
        await using var server = await TestServer.StartAsync(Slow, waitUntilReady: false);
        Assert.Equal(HttpStatusCode.OK, (await server.GetAsync("/livez")).StatusCode);
        HttpResponseMessage models;
        string message;
        do
        {
            models = await server.GetAsync("/v1/models");
            message = (await TestServer.JsonAsync(models)).GetProperty("error").GetProperty("message").GetString()!;
        }
        while (message.Contains("starting", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, models.StatusCode);
        Assert.Contains("loading weights (42%)", message, StringComparison.Ordinal);
        Assert.NotNull(models.Headers.RetryAfter);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await server.GetAsync("/readyz")).StatusCode);
        loaded.Set();
        var error = await Assert.ThrowsAsync<StartupException>(server.App.WhenReadyAsync);
        Assert.Equal("no model after all", error.Message);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await server.GetAsync("/livez")).StatusCode);
    }

    [Fact]
    public async Task A_port_in_use_is_one_clear_line()
    {
        await using var first = await TestServer.StartAsync((_, _, _) => Task.FromException<ServedModel>(new StartupException("none")), waitUntilReady: false);
        await using var second = ServerApp.Build(new QwenServeSettings { Server = new ServerSettings { Port = first.App.Address.Port } }, (_, _, _) => Task.FromException<ServedModel>(new StartupException("none")));
        var error = await Assert.ThrowsAsync<StartupException>(() => second.StartAsync());
        Assert.Matches(@"^cannot listen on 127\.0\.0\.1:\d+: [^\n]*in use[^\n]*$", error.Message);
    }

    [Fact]
    public async Task A_model_that_cannot_be_loaded_closes_the_port_before_the_server_is_taken_apart()
    {
        await using var app = ServerApp.Build(new QwenServeSettings { Server = new ServerSettings { Port = 0 } }, (_, _, _) => Task.FromException<ServedModel>(new StartupException("none")));
        Assert.Equal("none", (await Assert.ThrowsAsync<StartupException>(app.RunAsync)).Message);
        using var client = new TcpClient();
        await Assert.ThrowsAsync<SocketException>(() => client.ConnectAsync(app.Address.Host, app.Address.Port));
    }

    [Fact]
    public async Task Draining_refuses_new_work_and_waits_for_what_runs()
    {
        using var lifecycle = new Lifecycle();
        lifecycle.BecomeReady();
        var running = lifecycle.Enter();
        var drained = lifecycle.DrainAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(503, Assert.Throws<ApiException>(lifecycle.Enter).Status);
        Assert.False(drained.IsCompleted);
        running.Dispose();
        running.Dispose();
        await drained;
        Assert.False(lifecycle.Expired.IsCancellationRequested);
    }

    [Fact]
    public async Task What_still_runs_when_draining_has_taken_its_time_is_told_to_end()
    {
        using var lifecycle = new Lifecycle();
        lifecycle.BecomeReady();
        var running = lifecycle.Enter();
        using var ended = lifecycle.Expired.Register(running.Dispose);
        await lifecycle.DrainAsync(TimeSpan.Zero);
        Assert.True(lifecycle.Expired.IsCancellationRequested);
        Assert.Equal(0, lifecycle.Running);
    }
}
