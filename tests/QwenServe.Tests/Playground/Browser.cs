using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using QwenServe.Tests.Api;

namespace QwenServe.Tests.Playground;

/// <summary>
/// Debian's Chromium under Playwright, for all tests of a class: one Node process that is told, a line each, which suite to run on which
/// server. Each suite gets a context of its own, without anything kept.
/// </summary>
public sealed class Browser : IAsyncLifetime
{
    public static readonly string Folder = Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Playground", "node");

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(240);

    private readonly ConcurrentQueue<string> _errors = new();
    private Process? _process;

    public Task InitializeAsync() => Task.CompletedTask;

    /// <summary>Runs a suite of playground.mjs.</summary>
    /// <param name="server">Where the page is.</param>
    /// <param name="suite">Its name.</param>
    /// <param name="onLine">Gets what the suite says on its way.</param>
    internal async Task RunAsync(TestServer server, string suite, Action<string>? onLine = null)
    {
        var process = _process ??= Start();
        await process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(new { suite, url = server.App.Address.ToString() }));
        using var patience = new CancellationTokenSource(Patience);
        while (await process.StandardOutput.ReadLineAsync(patience.Token) is { } line)
        {
            if (line == "passed") return;
            if (line.StartsWith("failed ", StringComparison.Ordinal)) Assert.Fail(JsonSerializer.Deserialize<string>(line["failed ".Length..]));
            onLine?.Invoke(line);
        }
        Assert.Fail("the browser's driver has ended: " + string.Join('\n', _errors));
    }

    public async Task DisposeAsync()
    {
        if (_process is null) return;
        _process.StandardInput.Close();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
        }
        _process.Dispose();
    }

    private Process Start()
    {
        var start = new ProcessStartInfo("node", "playground.mjs")
        {
            WorkingDirectory = Folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        var process = Process.Start(start)!;
        process.ErrorDataReceived += (_, e) => _errors.Enqueue(e.Data ?? "");
        process.BeginErrorReadLine();
        return process;
    }
}

/// <summary>A test that needs Chromium, Node and its packages; skipped where they are missing, except in CI.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class BrowserFactAttribute : FactAttribute
{
    public BrowserFactAttribute()
    {
        bool there = Directory.Exists(Path.Combine(Browser.Folder, "node_modules", "playwright-core")) && File.Exists("/usr/bin/chromium")
            && (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(p => File.Exists(Path.Combine(p, "node")));
        if (!there && Environment.GetEnvironmentVariable("CI") != "true") Skip = "Chromium, node, or its packages are not here (.ci/install-playground)";
    }
}
