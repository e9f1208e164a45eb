using System.Diagnostics;
using System.Globalization;
using System.Runtime;
using QwenServe.Hosting;
using QwenServe.Settings;

namespace QwenServe.Benchmarks.Endurance;

/// <summary>
/// <c>qwenserve-bench soak</c>: the whole server with the embedded model in a process of its own, <see cref="Soak"/> in this one. Memory is
/// taken every interval after a full collection, resident and managed; from the end of the warm-up, the first quarter, to the end it has to
/// stay flat. Resident memory is told by kind, so that what grows has a name: anonymous (managed heap and what is allocated natively), code
/// (compiled at run time; the runtime maps it twice, to write and to run, and it counts twice), files (assemblies and libraries).
/// </summary>
internal static class SoakBenchmark
{
    private const double Flat = 0.02;

    public static int Run(string[] args)
    {
        var options = new Options(args, "soak --minutes N --clients N --pause MS --interval SECONDS");
        return (options.Flag("serve") ? ServeAsync() : RunAsync(options)).GetAwaiter().GetResult();
    }

    private static async Task<int> RunAsync(Options options)
    {
        double minutes = double.Parse(options.Text("minutes") ?? "10", CultureInfo.InvariantCulture);
        int clients = options.Integer("clients") ?? 8, interval = options.Integer("interval") ?? Math.Max(2, (int)(minutes * 60 / 40));
        var start = new ProcessStartInfo(Environment.ProcessPath!, ["soak", "--serve"]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        // As the image and the systemd unit have it: else the compiler's scratch memory stays behind in as many arenas as threads have compiled.
        start.Environment.TryAdd("MALLOC_ARENA_MAX", "2");
        using var server = Process.Start(start)!;
        try
        {
            var address = new Uri(await LineAsync(server));
            using var soak = new Soak(address, ModelLoading.EmbeddedName);
            using var stop = new CancellationTokenSource();
            var load = soak.RunAsync(clients, seed: 1, stop.Token, TimeSpan.FromMilliseconds(options.Integer("pause") ?? 0));
            var watch = Stopwatch.StartNew();
            var samples = new List<Sample>();
            Print($"{"minute",7} {"requests",9} {"RSS MiB",9} {"anonymous",10} {"code",7} {"files",7} {"heap",7} {"GC holds",9} {"methods",8} {"threads",8} {"fds",5} {"violations",11}");
            while (watch.Elapsed.TotalMinutes < minutes)
            {
                await Task.Delay(TimeSpan.FromSeconds(interval));
                var sample = await MeasureAsync(server, watch);
                samples.Add(sample);
                Print($"{sample.Minute,7:F1} {soak.Counts.Values.Sum(),9} {sample.Resident,9:F1} {sample.Anonymous,10:F1} {sample.Code,7:F1} {sample.Files,7:F1} {sample.Heap,7:F2} {sample.Committed,9:F1} {sample.Methods,8} {sample.Threads,8} {sample.Descriptors,5} {soak.Violations.Count,11}");
            }
            await stop.CancelAsync();
            await load;
            string? remains = await soak.RemainsAsync(TimeSpan.FromMinutes(1));
            var after = await MeasureAsync(server, watch);

            var steady = samples[(samples.Count / 4)..];
            double resident = Growth(steady, s => s.Resident), heap = Growth(steady, s => s.Heap);
            Print($"clients: {string.Join(", ", soak.Counts.OrderByDescending(c => c.Value).Select(c => $"{c.Key} {c.Value}"))}");
            foreach (string violation in soak.Violations.Take(20)) Console.WriteLine("violation: " + violation);
            Print($"violations {soak.Violations.Count}; left in the engine: {remains ?? "nothing"}");
            Print($"from the end of the warm-up to the end, medians of {Ends(steady)} values each: RSS {resident:+0.00%;-0.00%} (anonymous {Change(steady, s => s.Anonymous):+0.0;-0.0} MiB, code {Change(steady, s => s.Code):+0.0;-0.0} MiB, files {Change(steady, s => s.Files):+0.0;-0.0} MiB), heap {heap:+0.00%;-0.00%}");
            Print($"line through the second half: RSS {Slope(samples[(samples.Count / 2)..], s => s.Resident) * 60:+0.00;-0.00} MiB an hour, heap {Slope(samples[(samples.Count / 2)..], s => s.Heap) * 60:+0.00;-0.00} MiB an hour");
            Print($"idle at the end: RSS {after.Resident:F1} MiB, heap {after.Heap:F2} MiB");
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
            var status = File.ReadLines("/proc/self/status").Select(l => l.Split(':')).ToDictionary(l => l[0], l => l[1].Trim());
            double MiB(string name) => double.Parse(status[name].Split(' ')[0], CultureInfo.InvariantCulture) / 1024;
            Print($"{MiB("VmRSS")} {MiB("RssAnon")} {MiB("RssShmem")} {MiB("RssFile")} {heap / 1048576.0} {GC.GetGCMemoryInfo().TotalCommittedBytes / 1048576.0} {JitInfo.GetCompiledMethodCount()} {status["Threads"]} {Directory.GetFiles("/proc/self/fd").Length}");
        }
        return 0;
    }

    private static async Task<Sample> MeasureAsync(Process server, Stopwatch watch)
    {
        await server.StandardInput.WriteLineAsync("measure");
        await server.StandardInput.FlushAsync();
        double[] f = [.. (await LineAsync(server)).Split(' ').Select(f => double.Parse(f, CultureInfo.InvariantCulture))];
        return new Sample(watch.Elapsed.TotalMinutes, f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8]);
    }

    private static async Task<string> LineAsync(Process server) => await server.StandardOutput.ReadLineAsync() ?? throw new EndOfStreamException("the server has ended");

    /// <summary>Of the median of the last values over that of the first ones, as a share.</summary>
    private static double Growth(List<Sample> samples, Func<Sample, double> of) => Change(samples, of) / Median(samples[..Ends(samples)], of);

    private static double Change(List<Sample> samples, Func<Sample, double> of) => Median(samples[^Ends(samples)..], of) - Median(samples[..Ends(samples)], of);

    /// <summary>A tenth at each end: enough for a median, too few for growth to hide in.</summary>
    private static int Ends(List<Sample> samples) => Math.Max(1, samples.Count / 10);

    /// <summary>By least squares, a minute.</summary>
    private static double Slope(List<Sample> samples, Func<Sample, double> of)
    {
        double minute = samples.Average(s => s.Minute), mean = samples.Average(of);
        return samples.Sum(s => (s.Minute - minute) * (of(s) - mean)) / samples.Sum(s => (s.Minute - minute) * (s.Minute - minute));
    }

    private static double Median(List<Sample> samples, Func<Sample, double> of) => samples.Select(of).Order().ElementAt(samples.Count / 2);

    private static void Print(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    /// <summary>Memory in MiB.</summary>
    private sealed record Sample(double Minute, double Resident, double Anonymous, double Code, double Files, double Heap, double Committed, double Methods, double Threads, double Descriptors);
}
