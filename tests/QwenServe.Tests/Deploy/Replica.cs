using System.Diagnostics;
using System.Globalization;

namespace QwenServe.Tests.Deploy;

/// <summary>A server process with the embedded model on a port that stays its own through restarts.</summary>
internal sealed class Replica : IDisposable
{
    private readonly string _name;
    private Process? _process;

    private Replica(string name, int port)
    {
        _name = name;
        Port = port;
    }

    public int Port { get; }

    public Uri Address => new($"http://127.0.0.1:{Port}");

    /// <summary>Starts several, one after the other only as far as their ports go.</summary>
    public static async Task<Replica[]> StartAsync(int count)
    {
        Replica[] replicas = [.. Ports.Take(count).Select((port, i) => new Replica($"replica-{i}", port))];
        foreach (var replica in replicas) replica.Start();
        foreach (var replica in replicas) await replica.WhenReadyAsync();
        return replicas;
    }

    public void Start()
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        string[] arguments = [Path.Combine(AppContext.BaseDirectory, "qwenserve.dll"), "--host", "127.0.0.1", "--port", Port.ToString(CultureInfo.InvariantCulture),
            "--threads", "1", "--kv-cache-memory", "64MiB", "--shutdown-timeout", "60", "--log-level", "error", "--served-model-name", "demo", "--served-model-name", _name];
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        _process = Process.Start(start)!;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public async Task WhenReadyAsync()
    {
        using var client = new HttpClient { BaseAddress = Address };
        while (true)
        {
            Assert.False(_process!.HasExited, $"{_name} ended with {(_process.HasExited ? _process.ExitCode : 0)}");
            try
            {
                using var answer = await client.GetAsync(new Uri("/readyz", UriKind.Relative));
                if (answer.IsSuccessStatusCode) return;
            }
            catch (HttpRequestException)
            {
                // The port is not open yet.
            }
            await Task.Delay(30);
        }
    }

    /// <summary>As a machine that loses power.</summary>
    public void Kill()
    {
        _process!.Kill();
        _process.WaitForExit();
    }

    /// <summary>SIGTERM, and the wait for the end.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> TerminateAsync()
    {
        using (var kill = Process.Start("kill", ["-TERM", _process!.Id.ToString(CultureInfo.InvariantCulture)])) await kill.WaitForExitAsync();
        await _process.WaitForExitAsync();
        return _process.ExitCode;
    }

    /// <summary>The sum of a metric's series.</summary>
    public async Task<double> MetricAsync(string name)
    {
        using var client = new HttpClient { BaseAddress = Address };
        string text = await client.GetStringAsync(new Uri("/metrics", UriKind.Relative));
        return text.Split('\n').Where(l => l.StartsWith(name + "{", StringComparison.Ordinal) || l.StartsWith(name + " ", StringComparison.Ordinal))
            .Sum(l => double.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }

    public void Dispose()
    {
        if (_process is null) return;
        if (!_process.HasExited) _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }
}
