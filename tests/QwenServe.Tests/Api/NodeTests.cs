using System.Diagnostics;

namespace QwenServe.Tests.Api;

/// <summary>The OpenAI SDK for Node against the real server.</summary>
public class NodeTests
{
    internal const string Calls = "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>";

    [NodeFact]
    public async Task Chats_streams_and_completes_with_the_embedded_model()
    {
        await using var server = await TestServer.StartEmbeddedAsync();
        await RunAsync(server, "chat");
    }

    [NodeFact]
    public async Task Calls_tools_whole_streamed_and_in_a_loop()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p => p.Contains("<tool_response>", StringComparison.Ordinal) ? "It is 21 degrees in both." : Calls));
        await RunAsync(server, "tools");
    }

    [NodeFact]
    public async Task Raises_errors_by_class_and_aborts()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Endless(), s => s with { Server = s.Server with { ApiKeys = ["key"] } });
        await RunAsync(server, "errors");
    }

    [NodeFact]
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
        var start = new ProcessStartInfo("node") { WorkingDirectory = NodeFactAttribute.Folder, RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (string argument in new[] { "openai.mjs", new Uri(server.App.Address, "v1").ToString(), suite }) start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        process.OutputDataReceived += (_, e) => onLine?.Invoke(e.Data ?? "");
        process.BeginOutputReadLine();
        string error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, error);
    }
}

/// <summary>A test that needs Node and its packages; skipped where they are missing, except in CI.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NodeFactAttribute : FactAttribute
{
    public static readonly string Folder = Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "node");

    public NodeFactAttribute()
    {
        bool there = Directory.Exists(Path.Combine(Folder, "node_modules", "openai"))
            && (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(p => File.Exists(Path.Combine(p, "node")));
        if (!there && Environment.GetEnvironmentVariable("CI") != "true") Skip = "node, or its packages (npm ci in tests/QwenServe.Tests/node), are not here";
    }
}
