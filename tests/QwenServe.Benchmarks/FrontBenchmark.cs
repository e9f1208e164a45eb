using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using QwenServe.Engine;

namespace QwenServe.Benchmarks;

/// <summary>
/// What HTTP, JSON, templates, detokenization and events cost: the whole server around a device that computes nothing, and clients that read
/// bytes from sockets in the same process. The clients' work is in the figures. Steps are paced, so that tokens come one by one as they do from a model.
/// Beside it, in turn, the same streams from <see cref="PlainEvents"/>.
/// </summary>
internal static class FrontBenchmark
{
    public static int Run(string[] args)
    {
        int streams = Option(args, "--streams", 256), tokens = Option(args, "--tokens", 500), runs = Option(args, "--runs", 3), step = Option(args, "--step-ms", 15);
        return RunAsync(streams, tokens, runs, step).GetAwaiter().GetResult();
    }

    private static async Task<int> RunAsync(int streams, int tokens, int runs, int step)
    {
        var options = new EngineOptions { MaxModelLength = 4096, MaxNumSeqs = streams, MaxNumBatchedTokens = 8192, KvCacheBytes = 1L << 30 };
        await using var app = IdleServer.Build("bench", options, TimeSpan.FromMilliseconds(step));
        await app.StartAsync();
        await app.WhenReadyAsync();
        string body = $$"""{"model":"bench","stream":true,"ignore_eos":true,"max_tokens":{{tokens}},"messages":[{"role":"user","content":"Hello, how are you today?"}]}""";
        byte[] request = Encoding.ASCII.GetBytes($"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");

        await using var plain = await PlainEvents.StartAsync(tokens, TimeSpan.FromMilliseconds(step));
        await RoundAsync(app.Address, request, streams);
        await RoundAsync(plain.Address, request, streams);
        Console.WriteLine($"{"",10} {"streams",8} {"tokens",9} {"seconds",8} {"tokens/s",10} {"tokens/s/core",14} {"bytes/token",12}");
        for (int run = 0; run < 2 * runs; run++)
        {
            var (name, address) = run % 2 == 0 ? ("qwenserve", app.Address) : ("plain", plain.Address);
            using var process = Process.GetCurrentProcess();
            var cpu = process.TotalProcessorTime;
            long allocated = GC.GetTotalAllocatedBytes(precise: true);
            var watch = Stopwatch.StartNew();
            await RoundAsync(address, request, streams);
            double seconds = watch.Elapsed.TotalSeconds;
            allocated = GC.GetTotalAllocatedBytes(precise: true) - allocated;
            process.Refresh();
            double cores = (process.TotalProcessorTime - cpu).TotalSeconds;
            long total = (long)streams * tokens;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-10} {streams,8} {total,9} {seconds,8:F2} {total / seconds,10:F0} {total / cores,14:F0} {(double)allocated / total,12:F0}"));
        }
        return 0;
    }

    private static Task RoundAsync(Uri address, byte[] request, int streams)
        => Task.WhenAll(Enumerable.Range(0, streams).Select(_ => Task.Run(async () =>
        {
            using var client = new TcpClient { NoDelay = true };
            await client.ConnectAsync(address.Host, address.Port);
            var stream = client.GetStream();
            await stream.WriteAsync(request);
            byte[] buffer = new byte[8192];
            byte[] end = "data: [DONE]\n\n"u8.ToArray();
            int kept = 0;
            while (true)
            {
                int read = await stream.ReadAsync(buffer.AsMemory(kept));
                if (read == 0) throw new EndOfStreamException("the stream ended without [DONE]");
                var seen = buffer.AsSpan(0, kept + read);
                if (seen.IndexOf(end) >= 0) return;
                // A part of the end may be the last of what came.
                kept = Math.Min(end.Length - 1, seen.Length);
                seen[^kept..].CopyTo(buffer);
            }
        })));

    private static int Option(string[] args, string name, int fallback)
    {
        int at = Array.IndexOf(args, name);
        if (at < 0) return fallback;
        return at + 1 < args.Length && int.TryParse(args[at + 1], NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value > 0
            ? value
            : throw new ArgumentException($"{name} wants a number");
    }
}
