using QwenServe.Benchmarks.Load;
using QwenServe.Engine;

namespace QwenServe.Benchmarks.Endurance;

/// <summary>
/// A server whose device takes a fixed time a step, so that its capacity is known, first at its peak in a closed loop, then under several
/// times that in an open one, then alone again.
/// </summary>
internal sealed class Overload
{
    public const string Model = "paced";
    public const int Sequences = 32;
    private const int Tokens = 50;

    /// <summary>Of the peak: requests and output tokens a second.</summary>
    public double PeakRequests { get; private init; }

    public double PeakTokens { get; private init; }

    /// <summary>Output tokens a second while there is too much to do.</summary>
    public double OverloadTokens { get; private init; }

    public required LoadSummary Peak { get; init; }

    public required LoadSummary Overloaded { get; init; }

    /// <summary>Sorted seconds from sending to a 429.</summary>
    public required double[] Refusals { get; init; }

    /// <summary>Seconds after the last arrival until a request is sent that has its first token as fast as those of the peak, 99 of 100.</summary>
    public double Recovery { get; private init; }

    /// <summary>A server with room for half as many waiting requests as running ones.</summary>
    public static ServerApp Server(TimeSpan step) => IdleServer.Build(Model, new EngineOptions
    {
        MaxModelLength = 512,
        MaxNumSeqs = Sequences,
        MaxNumBatchedTokens = 1024,
        MaxQueuedRequests = Sequences / 2,
        KvCacheBytes = 64 << 20,
    }, step);

    /// <param name="address">A server made by <see cref="Server"/>, or one like it.</param>
    /// <param name="model">Its model's name.</param>
    /// <param name="sequences">Requests that it runs at once; half as many may wait.</param>
    /// <param name="peak">How long the peak is measured.</param>
    /// <param name="duration">How long the overload lasts.</param>
    /// <param name="factor">Times the peak.</param>
    public static async Task<Overload> MeasureAsync(Uri address, string model, int sequences, TimeSpan peak, TimeSpan duration, double factor)
    {
        var options = new LoadOptions { Url = new Uri(address, "v1/"), Model = model, IgnoreEos = true, Lengths = LengthDistribution.Fixed(16, Tokens), Warmup = sequences, SloFirstToken = 2 };
        var atPeak = options with { Concurrency = sequences * 5 / 4, Duration = peak };
        var (results, _) = await RunAsync(atPeak).ConfigureAwait(false);
        double tokens = Rate(results, leaveOut: 0.5), requests = tokens / Tokens;
        var summary = new LoadSummary(atPeak, results, peak.TotalSeconds);

        var over = options with { Rate = requests * factor, Duration = duration, Warmup = 0 };
        using var client = new LoadClient(options);
        var workload = new Workload(options with { Seed = 2 });
        double usual = LoadSummary.Percentile(summary.Latencies.Single(l => l.Name == "TTFT").Sorted, 0.99);
        var running = RunAsync(over);
        await Task.Delay(duration).ConfigureAwait(false);
        double end = client.Now;
        var probes = new List<Task<LoadResult>>();
        for (int i = 0; i < 60; i++)
        {
            probes.Add(client.SendAsync(workload.Next(), client.Now));
            await Task.Delay(50).ConfigureAwait(false);
        }
        var recovered = (await Task.WhenAll(probes).ConfigureAwait(false)).Where(p => p.Error is null && p.TimeToFirstToken <= usual).Select(p => p.Due - end);
        (results, double seconds) = await running.ConfigureAwait(false);
        return new Overload
        {
            PeakRequests = requests,
            PeakTokens = tokens,
            Peak = summary,
            Overloaded = new LoadSummary(over, results, seconds),
            OverloadTokens = Rate(results, leaveOut: 0.1),
            Refusals = [.. results.Where(r => r.Error == "429").Select(r => r.EndToEnd).Order()],
            Recovery = recovered.DefaultIfEmpty(double.PositiveInfinity).Min(),
        };
    }

    private static async Task<(IReadOnlyList<LoadResult> Results, double Seconds)> RunAsync(LoadOptions options)
    {
        var runner = new LoadRunner(options);
        return (await runner.RunAsync().ConfigureAwait(false), runner.Seconds);
    }

    /// <summary>Tokens a second while requests arrived, a share of the time at its beginning left out.</summary>
    private static double Rate(IReadOnlyList<LoadResult> results, double leaveOut)
    {
        double first = results.Min(r => r.Due), last = results.Max(r => r.Due), from = first + (last - first) * leaveOut;
        return results.Sum(r => r.Pieces.Count(p => p >= from && p < last)) / (last - from);
    }
}
