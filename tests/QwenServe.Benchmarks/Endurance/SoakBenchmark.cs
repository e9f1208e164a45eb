using System.Diagnostics;
using System.Globalization;
using System.Runtime;
using QwenServe.Hosting;
using QwenServe.Settings;

namespace QwenServe.Benchmarks.Endurance;

/// <summary>
/// <c>qwenserve-bench soak</c>: the whole server with the embedded model in a process of its own, <see cref="Soak"/> in this one. Memory is
/// taken every interval after a full collection, resident and managed; after the warm-up, the first quarter, it has to stay flat.
/// </summary>
internal static class SoakBenchmark
{
    private const double Flat = 0.02;

    public static int Run(string[] args)
    {
        var options = new Options(args, "soak --minutes N --clients N --interval SECONDS");
        return (options.Flag("serve") ? ServeAsync() : RunAsync(options)).GetAwaiter().GetResult();
    }

    private static async Task<int> RunAsync(Options options)
    {
        double minutes = double.Parse(options.Text("minutes") ?? "10", CultureInfo.InvariantCulture);
        int clients = options.Integer("clients") ?? 8, interval = options.Integer("interval") ?? Math.Max(2, (int)(minutes * 60 / 40));
        using var server = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, ["soak", "--serve"]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        try
        {
            var address = new Uri(await LineAsync(server));
            using var soak = new Soak(address, ModelLoading.EmbeddedName);
            using var stop = new CancellationTokenSource();
            var load = soak.RunAsync(clients, seed: 1, stop.Token);
            var watch = Stopwatch.StartNew();
            var samples = new List<(double Resident, double Heap)>();
            Print($"{"minute",8} {"requests",9} {"RSS MiB",9} {"heap MiB",9} {"threads",8} {"files",6} {"violations",11}");
            while (watch.Elapsed.TotalMinutes < minutes)
            {
                await Task.Delay(TimeSpan.FromSeconds(interval));
                double[] sample = await MeasureAsync(server);
                samples.Add((sample[0], sample[1]));
                Print($"{watch.Elapsed.TotalMinutes,8:F1} {soak.Counts.Values.Sum(),9} {sample[0],9:F1} {sample[1],9:F2} {sample[2],8:F0} {sample[3],6:F0} {soak.Violations.Count,11}");
            }
            await stop.CancelAsync();
            await load;
            string? remains = await soak.RemainsAsync(TimeSpan.FromMinutes(1));
            double[] after = await MeasureAsync(server);

            var steady = samples[(samples.Count / 4)..];
            int third = Math.Max(1, steady.Count / 3);
            double resident = Growth(steady.Select(s => s.Resident).ToList(), third), heap = Growth(steady.Select(s => s.Heap).ToList(), third);
            Print($"clients: {string.Join(", ", soak.Counts.OrderByDescending(c => c.Value).Select(c => $"{c.Key} {c.Value}"))}");
            foreach (string violation in soak.Violations.Take(20)) Console.WriteLine("violation: " + violation);
            Print($"violations {soak.Violations.Count}; left in the engine: {remains ?? "nothing"}");
            Print($"after warm-up, medians of the first and the last third: RSS {resident:+0.00%;-0.00%}, heap {heap:+0.00%;-0.00%}; idle at the end: RSS {after[0]:F1} MiB, heap {after[1]:F2} MiB");
            return soak.Violations.Count == 0 && remains is null && resident < Flat && heap < Flat ? 0 : 1;
        }
        finally
        {
            server.StandardInput.Close();
            if (!server.WaitForExit(20_000)) server.Kill();
        }
    }

    /// <summary>The server's side: the address on the first line, then a line of figures for each line that comes.</summary>
    private static async Task<int> ServeAsync()
    {
        var settings = new QwenServeSettings
        {
            Server = new ServerSettings { Port = 0 },
            Engine = new EngineSettings { Device = "cpu", Threads = 1, KvCacheMemory = 32 << 20 },
            Log = new LogSettings { Level = "error" },
        };
        await using var app = ServerApp.Build(settings);
        await app.StartAsync();
        await app.WhenReadyAsync();
        Console.WriteLine(app.Address);
        while (await Console.In.ReadLineAsync() is not null)
        {
            GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            GC.WaitForPendingFinalizers();
            double heap = GC.GetTotalMemory(forceFullCollection: true);
            using var process = Process.GetCurrentProcess();
            Print($"{process.WorkingSet64 / 1048576.0} {heap / 1048576.0} {process.Threads.Count} {Directory.GetFiles("/proc/self/fd").Length}");
        }
        return 0;
    }

    private static async Task<double[]> MeasureAsync(Process server)
    {
        await server.StandardInput.WriteLineAsync("measure");
        await server.StandardInput.FlushAsync();
        return [.. (await LineAsync(server)).Split(' ').Select(f => double.Parse(f, CultureInfo.InvariantCulture))];
    }

    private static async Task<string> LineAsync(Process server) => await server.StandardOutput.ReadLineAsync() ?? throw new EndOfStreamException("the server has ended");

    /// <summary>Of the median of the last values over that of the first ones, as a share.</summary>
    private static double Growth(List<double> values, int count) => Median(values[^count..]) / Median(values[..count]) - 1;

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private static void Print(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}
