using QwenServe.Benchmarks.Load;
using QwenServe.Compute;
using QwenServe.Engine;
using QwenServe.Engine.Execution;
using QwenServe.Hosting;
using QwenServe.Settings;
using QwenServe.Text.Chat;
using QwenServe.Text.Tokenization;

namespace QwenServe.Benchmarks.Endurance;

/// <summary>
/// A server whose device takes a fixed time a step, so that its capacity is known, first at its peak in a closed loop, then under several
/// times that in an open one, then alone again.
/// </summary>
internal sealed class Overload
{
    public const string Model = "paced";
    private const int Sequences = 32, Tokens = 50;

    /// <summary>Of the peak: requests and output tokens a second.</summary>
    public double PeakRequests { get; private init; }

    public double PeakTokens { get; private init; }

    /// <summary>Output tokens a second while there is too much to do.</summary>
    public double OverloadTokens { get; private init; }

    public required LoadSummary Peak { get; init; }

    public required LoadSummary Overloaded { get; init; }

    /// <summary>Sorted seconds from sending to a 429.</summary>
    public required double[] Refusals { get; init; }

    /// <summary>Seconds after the last arrival until a request is answered as fast as at the peak.</summary>
    public double Recovery { get; private init; }

    /// <summary>A server with room for as many waiting requests as running ones.</summary>
    public static ServerApp Server(TimeSpan step)
    {
        var tokenizer = Tokenizer.Load(ModelLoading.EmbeddedDirectory);
        var options = new EngineOptions { MaxModelLength = 512, MaxNumSeqs = Sequences, MaxNumBatchedTokens = 1024, MaxQueuedRequests = Sequences, KvCacheBytes = 64 << 20 };
        var geometry = new ModelGeometry
        {
            HiddenSize = 8,
            LayerCount = 1,
            HeadCount = 1,
            KvHeadCount = 1,
            HeadDim = 8,
            IntermediateSize = 8,
            VocabularySize = tokenizer.VocabularySize,
            RmsNormEpsilon = 1e-6f,
        };
        var settings = new QwenServeSettings { Server = new ServerSettings { Port = 0 }, Log = new LogSettings { Level = "error" } };
        return ServerApp.Build(settings, async (_, _, _) => new ServedModel
        {
            Names = [Model],
            Root = Model,
            Engine = await InferenceEngine.StartAsync(options, () => ModelRunner.Create(new IdleDevice { StepTime = step }, geometry, () => { }, options)).ConfigureAwait(false),
            Tokenizer = tokenizer,
            Template = ChatTemplate.Load(ModelLoading.EmbeddedDirectory),
        });
    }

    /// <param name="address">A server made by <see cref="Server"/>.</param>
    /// <param name="peak">How long the peak is measured.</param>
    /// <param name="duration">How long the overload lasts.</param>
    /// <param name="factor">Times the peak.</param>
    public static async Task<Overload> MeasureAsync(Uri address, TimeSpan peak, TimeSpan duration, double factor)
    {
        var options = new LoadOptions { Url = new Uri(address, "v1/"), Model = Model, IgnoreEos = true, Lengths = LengthDistribution.Fixed(16, Tokens), Warmup = Sequences, SloFirstToken = 2 };
        var atPeak = options with { Concurrency = Sequences * 3 / 2, Duration = peak };
        var (results, _) = await RunAsync(atPeak).ConfigureAwait(false);
        double tokens = Rate(results), requests = tokens / Tokens;
        var summary = new LoadSummary(atPeak, results, peak.TotalSeconds);

        var over = options with { Rate = requests * factor, Duration = duration, Warmup = 0 };
        using var client = new LoadClient(options);
        var workload = new Workload(options with { Seed = 2 });
        double usual = LoadSummary.Percentile(summary.Latencies.Single(l => l.Name == "TTFT").Sorted, 0.5);
        var running = RunAsync(over);
        await Task.Delay(duration).ConfigureAwait(false);
        double end = client.Now, recovery;
        while (true)
        {
            double sent = client.Now;
            var answer = await client.SendAsync(workload.Next(), sent).ConfigureAwait(false);
            recovery = sent - end;
            if (answer.Error is null && answer.TimeToFirstToken <= usual) break;
            await Task.Delay(20).ConfigureAwait(false);
        }
        (results, double seconds) = await running.ConfigureAwait(false);
        return new Overload
        {
            PeakRequests = requests,
            PeakTokens = tokens,
            Peak = summary,
            Overloaded = new LoadSummary(over, results, seconds),
            OverloadTokens = Rate(results),
            Refusals = [.. results.Where(r => r.Error == "429").Select(r => r.EndToEnd).Order()],
            Recovery = recovery,
        };
    }

    private static async Task<(IReadOnlyList<LoadResult> Results, double Seconds)> RunAsync(LoadOptions options)
    {
        var runner = new LoadRunner(options);
        return (await runner.RunAsync().ConfigureAwait(false), runner.Seconds);
    }

    /// <summary>Tokens a second while requests arrived, the first tenth of it left out.</summary>
    private static double Rate(IReadOnlyList<LoadResult> results)
    {
        double first = results.Min(r => r.Due), last = results.Max(r => r.Due), from = first + (last - first) / 10;
        return results.Sum(r => r.Pieces.Count(p => p >= from && p < last)) / (last - from);
    }
}
