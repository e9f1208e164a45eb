using System.Diagnostics;
using System.Globalization;
using QwenServe.Benchmarks.Load;

namespace QwenServe.Benchmarks.Endurance;

/// <summary>
/// <c>qwenserve-bench overload</c>: the server in a process of its own, the load in this one, and whether it holds what it should. With --url the
/// server is one that runs already, started with --max-num-seqs N and --max-num-waiting of half as many.
/// </summary>
internal static class OverloadBenchmark
{
    public static int Run(string[] args)
    {
        var options = new Options(args, "overload --seconds N --factor X --step-ms N --peak-seconds N [--url http://HOST:PORT --model NAME --sequences N]");
        return (options.Flag("serve") ? ServeAsync(options) : RunAsync(options)).GetAwaiter().GetResult();
    }

    private static async Task<int> RunAsync(Options options)
    {
        double factor = double.Parse(options.Text("factor") ?? "5", CultureInfo.InvariantCulture);
        int seconds = options.Integer("seconds") ?? 60, peak = options.Integer("peak-seconds") ?? 12, step = options.Integer("step-ms") ?? 20;
        if (options.Text("url") is { } url)
            return Report(await Overload.MeasureAsync(new Uri(url), options.Required("model"), options.Integer("sequences") ?? Overload.Sequences, TimeSpan.FromSeconds(peak), TimeSpan.FromSeconds(seconds), factor), factor, seconds);
        using var server = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, ["overload", "--serve", "--step-ms", $"{step}"]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        try
        {
            var address = new Uri(await server.StandardOutput.ReadLineAsync() ?? throw new EndOfStreamException("the server has ended"));
            return Report(await Overload.MeasureAsync(address, Overload.Model, Overload.Sequences, TimeSpan.FromSeconds(peak), TimeSpan.FromSeconds(seconds), factor), factor, seconds);
        }
        finally
        {
            server.StandardInput.Close();
            if (!server.WaitForExit(20_000)) server.Kill();
        }
    }

    private static int Report(Overload run, double factor, int seconds)
    {
        double refusal = LoadSummary.Percentile(run.Refusals, 0.99), gap = P(run.Overloaded, "TPOT", 0.99) / P(run.Peak, "TPOT", 0.99);
        Print($"peak: {run.PeakRequests:F1} requests/s, {run.PeakTokens:F0} tokens/s");
        Console.Write(run.Peak.Table());
        Print($"{factor:F1} times that for {seconds} s: {run.OverloadTokens:F0} tokens/s, {run.Overloaded.Answered} answered, {run.Refusals.Length} refused");
        Console.Write(run.Overloaded.Table());
        (string Name, string Figure, bool Met)[] marks =
        [
            ("all that is not answered is refused", string.Join(", ", run.Overloaded.Errors.Select(e => $"{e.Key} {e.Value}")), run.Overloaded.Errors.Keys.All(e => e == "429")),
            ("a refusal takes, p99 (aim 50 ms)", string.Create(CultureInfo.InvariantCulture, $"{refusal * 1000:F1} ms"), refusal < 0.05),
            ("throughput of the peak (aim 95%)", string.Create(CultureInfo.InvariantCulture, $"{run.OverloadTokens / run.PeakTokens:P1}"), run.OverloadTokens >= 0.95 * run.PeakTokens),
            ("time a token of the accepted, p99, to that of the peak (aim 1.1)", string.Create(CultureInfo.InvariantCulture, $"{gap:F2}"), gap < 1.1),
            ("recovery (aim 1 s)", string.Create(CultureInfo.InvariantCulture, $"{run.Recovery:F2} s"), run.Recovery < 1),
        ];
        foreach (var (name, figure, met) in marks) Console.WriteLine($"{(met ? "met   " : "MISSED")} {name}: {figure}");
        return marks.All(m => m.Met) ? 0 : 1;
    }

    private static async Task<int> ServeAsync(Options options)
    {
        await using var app = Overload.Server(TimeSpan.FromMilliseconds(options.Integer("step-ms") ?? 20));
        await app.StartAsync();
        await app.WhenReadyAsync();
        Console.WriteLine(app.Address);
        await Console.In.ReadToEndAsync();
        return 0;
    }

    private static double P(LoadSummary summary, string name, double share) => LoadSummary.Percentile(summary.Latencies.Single(l => l.Name == name).Sorted, share);

    private static void Print(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}
