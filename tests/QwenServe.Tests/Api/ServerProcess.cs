using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace QwenServe.Tests.Api;

/// <summary>The program in a process of its own, with the embedded model unless told otherwise.</summary>
internal sealed class ServerProcess : IDisposable
{
    private readonly Process _process;
    private readonly Task<string> _error;

    private ServerProcess(Process process)
    {
        _process = process;
        _error = process.StandardError.ReadToEndAsync();
    }

    /// <summary>Known once it is ready.</summary>
    public Uri Address { get; private set; } = new("http://127.0.0.1");

    /// <summary>What it says of itself when it is ready.</summary>
    public string Summary { get; private set; } = "";

    public int Id => _process.Id;

    /// <summary>Starts and waits until it serves.</summary>
    public static Task<ServerProcess> StartAsync(params string[] arguments) => StartAsync(arguments, []);

    /// <summary>Starts under variables beside the own ones, and waits until it serves.</summary>
    /// <param name="arguments">Of the program.</param>
    /// <param name="environment">Variables beside the own ones.</param>
    /// <param name="program">What to run in place of the program: its assembly and the first arguments.</param>
    public static async Task<ServerProcess> StartAsync(string[] arguments, Dictionary<string, string> environment, params string[] program)
    {
        var server = Launch(null, ["--log-format", "json", "--kv-cache-memory", "64MiB", "--threads", "1", .. arguments.Contains("--port") ? Array.Empty<string>() : ["--port", "0"], .. arguments], environment, program);
        while (true)
        {
            string line = await server._process.StandardOutput.ReadLineAsync() ?? throw new EndOfStreamException(await server._error);
            var properties = JsonDocument.Parse(line).RootElement.GetProperty("Properties");
            if (properties.TryGetProperty(nameof(Address), out var bound)) server.Address = new Uri(bound.GetString()!);
            if (!properties.TryGetProperty(nameof(Summary), out var summary)) continue;
            server.Summary = summary.GetString()!;
            return server;
        }
    }

    /// <summary>Starts, under a shell when there is something to set up before.</summary>
    /// <param name="before">Shell commands, such as a limit.</param>
    /// <param name="arguments">Of the program.</param>
    /// <param name="environment">Variables beside the own ones.</param>
    /// <param name="program">What to run in place of the program: its assembly and the first arguments.</param>
    public static ServerProcess Launch(string? before, string[] arguments, Dictionary<string, string>? environment = null, params string[] program)
    {
        if (program.Length == 0) program = ["qwenserve.dll"];
        arguments = [Path.Combine(AppContext.BaseDirectory, program[0]), .. program[1..], .. arguments];
        var start = before is null ? new ProcessStartInfo("dotnet", arguments) : new ProcessStartInfo("/bin/sh", ["-c", $"{before}; exec dotnet \"$@\"", "sh", .. arguments]);
        start.RedirectStandardOutput = start.RedirectStandardError = true;
        foreach (var (name, value) in environment ?? []) start.Environment[name] = value;
        return new ServerProcess(Process.Start(start)!);
    }

    /// <summary>Reads its log until a line has the text.</summary>
    public async Task UntilLogAsync(string text)
    {
        while (!(await _process.StandardOutput.ReadLineAsync() ?? throw new EndOfStreamException($"no line has '{text}'")).Contains(text, StringComparison.Ordinal))
        {
        }
    }

    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", ["-" + signal, Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    /// <summary>Waits for the end.</summary>
    /// <returns>The exit code and what was written to standard error.</returns>
    public async Task<(int Code, string Error)> EndAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        _ = _process.StandardOutput.ReadToEndAsync(patience.Token);
        await _process.WaitForExitAsync(patience.Token);
        return (_process.ExitCode, await _error);
    }

    /// <summary>Begins a stream of many tokens and returns when its first bytes are there.</summary>
    public static async Task<RunningStream> BeginStreamAsync(HttpClient client, int tokens)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent($$"""{"model":"qwenserve-demo","stream":true,"ignore_eos":true,"max_tokens":{{tokens}},"messages":[{"role":"user","content":"Hello"}]}""", Encoding.UTF8, "application/json"),
        };
        var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.True(response.IsSuccessStatusCode);
        var stream = await response.Content.ReadAsStreamAsync();
        byte[] first = new byte[1];
        await stream.ReadExactlyAsync(first);
        return new RunningStream(stream, (char)first[0]);
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    internal sealed class RunningStream(Stream stream, char first)
    {
        /// <returns>All of it, and whether it broke off.</returns>
        public async Task<(string Text, bool Broken)> EndAsync()
        {
            var text = new StringBuilder().Append(first);
            byte[] buffer = new byte[1 << 14];
            try
            {
                for (int read; (read = await stream.ReadAsync(buffer)) > 0;) text.Append(Encoding.UTF8.GetString(buffer, 0, read));
                return (text.ToString(), false);
            }
            catch (IOException)
            {
                return (text.ToString(), true);
            }
        }
    }
}
