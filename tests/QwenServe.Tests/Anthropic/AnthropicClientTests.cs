using System.Diagnostics;
using QwenServe.Tests.Api;

namespace QwenServe.Tests.Anthropic;

/// <summary>Anthropic's SDK for Node against the real server.</summary>
public class AnthropicClientTests
{
    [AnthropicFact]
    public async Task Chats_streams_counts_and_keeps_to_formats_with_the_embedded_model()
    {
        await using var server = await TestServer.StartEmbeddedAsync();
        await RunAsync(server, "chat");
    }

    [AnthropicFact]
    public async Task Calls_tools_in_a_loop()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p => p.Contains("<tool_response>", StringComparison.Ordinal) ? "It is 21 degrees in both." : NodeTests.Calls));
        await RunAsync(server, "tools");
    }

    [AnthropicFact]
    public async Task Raises_errors_by_class_and_aborts()
    {
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model, s => s with { Server = s.Server with { ApiKeys = ["key"] } });
        await RunAsync(server, "errors");
        await ChatTests.IdleAsync(model);
    }

    [AnthropicFact]
    public async Task Knows_an_overloaded_server()
    {
        var model = ScriptedModel.Saying("Hi.");
        model.Options = o => o with { MaxQueuedRequests = 1, MaxNumSeqs = 1 };
        await using var server = await TestServer.StartAsync(model);
        model.Device.Gate.Reset();
        var waiting = Enumerable.Range(0, 12).Select(_ => server.PostAsync("/v1/chat/completions", ChatTests.Body())).ToList();
        await Task.WhenAny(waiting);
        await RunAsync(server, "overload");
        model.Device.Gate.Set();
        await Task.WhenAll(waiting);
    }

    [AnthropicFact]
    public async Task Notices_a_stream_that_breaks()
    {
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model);
        model.Device.StepTime = TimeSpan.FromMilliseconds(10);
        await RunAsync(server, "broken", line =>
        {
            if (line == "streaming") model.Device.Fault = new InvalidOperationException("the device is gone");
        });
    }

    private static async Task RunAsync(TestServer server, string suite, Action<string>? onLine = null)
    {
        var start = new ProcessStartInfo("node") { WorkingDirectory = AnthropicFactAttribute.Folder, RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (string argument in new[] { "client.mjs", server.App.Address.ToString(), suite }) start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        process.OutputDataReceived += (_, e) => onLine?.Invoke(e.Data ?? "");
        process.BeginOutputReadLine();
        string error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, error);
    }
}

/// <summary>A test that needs Node and the SDK; skipped where they are missing, except in CI.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class AnthropicFactAttribute : FactAttribute
{
    public static readonly string Folder = Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Anthropic", "node");

    public AnthropicFactAttribute()
    {
        bool there = Directory.Exists(Path.Combine(Folder, "node_modules", "@anthropic-ai"))
            && (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(p => File.Exists(Path.Combine(p, "node")));
        if (!there && Environment.GetEnvironmentVariable("CI") != "true") Skip = "node, or its packages (npm ci in tests/QwenServe.Tests/Anthropic/node), are not here";
    }
}
