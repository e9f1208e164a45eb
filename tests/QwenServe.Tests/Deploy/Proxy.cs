using System.Diagnostics;
using System.Net.Sockets;

namespace QwenServe.Tests.Deploy;

/// <summary>nginx or HAProxy as a process, with the configuration of deploy/ and nothing changed but addresses.</summary>
internal sealed class Proxy : IDisposable
{
    private readonly TemporaryDirectory _folder = new();
    private readonly Process _process;

    private Proxy(string kind, Func<string, string>? change, int[] replicas)
    {
        int port = Ports.Take(1)[0];
        Address = new Uri($"http://127.0.0.1:{port}");
        _process = Launch(kind, Configure(kind, _folder.Path, port, replicas, change));
    }

    public Uri Address { get; }

    public static async Task<Proxy> StartAsync(string kind, int[] replicas, Func<string, string>? change = null)
    {
        var proxy = new Proxy(kind, change, replicas);
        while (true)
        {
            Assert.False(proxy._process.HasExited, kind + " ended");
            using var socket = new TcpClient();
            try
            {
                await socket.ConnectAsync(proxy.Address.Host, proxy.Address.Port);
                return proxy;
            }
            catch (SocketException)
            {
                await Task.Delay(20);
            }
        }
    }

    /// <summary>The tool's own check of the configuration.</summary>
    public static (int ExitCode, string Output) Test(string kind, Func<string, string>? change = null)
    {
        using var folder = new TemporaryDirectory();
        string file = Configure(kind, folder.Path, 18080, [18001, 18002], change);
        return kind == "nginx" ? Tool.Run("nginx", ["-t", "-e", Path.Combine(folder.Path, "start.log"), "-p", folder.Path, "-c", file]) : Tool.Run("haproxy", ["-c", "-f", file]);
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
        _folder.Dispose();
    }

    private static string Configure(string kind, string folder, int port, int[] replicas, Func<string, string>? change)
    {
        string name = kind == "nginx" ? "nginx.conf" : "haproxy.cfg";
        string text = File.ReadAllText(Path.Combine(Repository.Root, "deploy", kind, name));
        for (int i = 0; i < replicas.Length; i++)
        {
            Assert.Contains($" qwenserve-{i}:8000", text, StringComparison.Ordinal);
            text = text.Replace($" qwenserve-{i}:8000", $" 127.0.0.1:{replicas[i]}", StringComparison.Ordinal);
        }
        text = text.Replace("listen 8080;", $"listen 127.0.0.1:{port};", StringComparison.Ordinal).Replace("bind :8080", $"bind 127.0.0.1:{port}", StringComparison.Ordinal)
            .Replace("user nginx;", "", StringComparison.Ordinal).Replace("/tmp/nginx.pid", Path.Combine(folder, "nginx.pid"), StringComparison.Ordinal)
            .Replace("/dev/stdout", Path.Combine(folder, "access.log"), StringComparison.Ordinal).Replace("/dev/stderr", Path.Combine(folder, "error.log"), StringComparison.Ordinal)
            .Replace("http {", $"http {{\n    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;", StringComparison.Ordinal)
            // One process each, however many cores: it ends with the test.
            .Replace("worker_processes auto;", "worker_processes 1;", StringComparison.Ordinal).Replace("worker_rlimit_nofile 65536;", "", StringComparison.Ordinal)
            .Replace("worker_connections 16384;", "worker_connections 512;", StringComparison.Ordinal).Replace("maxconn 16384", "maxconn 512", StringComparison.Ordinal);
        string file = Path.Combine(folder, name);
        File.WriteAllText(file, change?.Invoke(text) ?? text);
        return file;
    }

    private static Process Launch(string kind, string file)
    {
        string folder = Path.GetDirectoryName(file)!;
        string[] arguments = kind == "nginx" ? ["-e", Path.Combine(folder, "start.log"), "-p", folder, "-c", file, "-g", "daemon off;"] : ["-db", "-f", file];
        var start = new ProcessStartInfo(Tool.Find(kind)!) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        var process = Process.Start(start)!;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }
}
