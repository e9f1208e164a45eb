using System.Diagnostics;

namespace QwenServe.Tests.Api;

/// <summary>A stream that breaks, as the OpenAI SDK for Node sees it; <see cref="ClientTests"/> has all the rest.</summary>
public class NodeTests
{
    internal const string Calls = "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>";

    [NodeFact]
    public async Task Notices_a_stream_that_breaks()
    {
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model);
        model.Device.StepTime = TimeSpan.FromMilliseconds(10);
        await NodeProcess.RunAsync(["broken.mjs"], new() { ["SCRIPTED"] = new Uri(server.App.Address, "v1").ToString() }, line =>
        {
            if (line == "streaming") model.Device.Fault = new InvalidOperationException("the device is gone");
            return Task.CompletedTask;
        });
    }
}

/// <summary>Runs a script of the <c>node</c> folder. A line that the script prints is answered with a line, once the test has done what it asks for.</summary>
internal static class NodeProcess
{
    /// <returns>What it printed.</returns>
    public static async Task<string> RunAsync(string[] arguments, Dictionary<string, string> environment, Func<string, Task>? onLine = null, int code = 0)
    {
        var start = new ProcessStartInfo("node") { WorkingDirectory = NodeFactAttribute.Folder, RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true };
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment) start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = new System.Text.StringBuilder();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        await using var end = patience.Token.Register(() => process.Kill());
        try
        {
            while (await process.StandardOutput.ReadLineAsync() is { } line)
            {
                output.AppendLine(line);
                if (onLine is null) continue;
                await onLine(line);
                await process.StandardInput.WriteLineAsync("done");
                await process.StandardInput.FlushAsync();
            }
            await process.WaitForExitAsync();
        }
        finally
        {
            process.Kill();
        }
        Assert.True(process.ExitCode == code, $"{output}{await error}");
        return output.ToString();
    }
}

/// <summary>A test that needs Node and its packages; skipped where they are missing, except in CI.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NodeFactAttribute : FactAttribute
{
    public static readonly string Folder = Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "node");

    public NodeFactAttribute()
    {
        if (Missing is { } reason) Skip = reason;
    }

    /// <summary>Why not; null when all is there, or has to be.</summary>
    public static string? Missing { get; } = Find();

    private static string? Find()
    {
        bool there = Directory.Exists(Path.Combine(Folder, "node_modules", "openai")) && Directory.Exists(Path.Combine(Folder, "zod3", "node_modules", "openai4"))
            && (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(p => File.Exists(Path.Combine(p, "node")));
        return there || Environment.GetEnvironmentVariable("CI") == "true" ? null
            : "node, or its packages (npm ci in tests/QwenServe.Tests/node and in zod3 there), are not here";
    }
}

/// <summary>The theory form of <see cref="NodeFactAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NodeTheoryAttribute : TheoryAttribute
{
    public NodeTheoryAttribute()
    {
        if (NodeFactAttribute.Missing is { } reason) Skip = reason;
    }
}
