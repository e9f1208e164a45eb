using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace QwenServe.Benchmarks.Load;

/// <summary>Percentiles, throughput, goodput and errors of a run.</summary>
internal sealed class LoadSummary
{
    private static readonly (string Label, double Share)[] Percentiles = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)];
    private readonly LoadOptions _options;
    private readonly double _seconds;

    public LoadSummary(LoadOptions options, IReadOnlyList<LoadResult> results, double seconds)
    {
        _options = options;
        _seconds = seconds;
        Results = results;
        var good = results.Where(r => r.Error is null).ToList();
        Answered = good.Count;
        Errors = results.Where(r => r.Error is not null).GroupBy(r => r.Error!).ToDictionary(g => g.Key, g => g.Count());
        PromptTokens = good.Sum(r => (long)r.PromptTokens);
        OutputTokens = good.Sum(r => (long)r.OutputTokens);
        MeetAll = good.Count(r => r.TimeToFirstToken <= options.SloFirstToken && !(r.TimePerOutputToken > options.SloPerToken) && r.EndToEnd <= options.SloEndToEnd);
        Latencies =
        [
            ("TTFT", Sorted(good.Select(r => r.TimeToFirstToken))),
            ("TPOT", Sorted(good.Select(r => r.TimePerOutputToken))),
            ("ITL", Sorted(good.SelectMany(r => r.Pieces.Zip(r.Pieces.Skip(1), (a, b) => b - a)))),
            ("E2E", Sorted(good.Select(r => r.EndToEnd))),
        ];
    }

    public IReadOnlyList<LoadResult> Results { get; }

    public int Answered { get; }

    public IReadOnlyDictionary<string, int> Errors { get; }

    public long PromptTokens { get; }

    public long OutputTokens { get; }

    /// <summary>Requests that met every objective.</summary>
    public int MeetAll { get; }

    /// <summary>Requests a second that met every objective.</summary>
    public double Goodput => MeetAll / _seconds;

    /// <summary>Sorted seconds by name: TTFT, TPOT, ITL, E2E.</summary>
    public IReadOnlyList<(string Name, double[] Sorted)> Latencies { get; }

    /// <summary>Linear between the nearest ranks, as numpy's default.</summary>
    public static double Percentile(double[] sorted, double share)
    {
        if (sorted.Length == 0) return double.NaN;
        double rank = share * (sorted.Length - 1);
        int below = (int)rank;
        return below + 1 < sorted.Length ? sorted[below] + (rank - below) * (sorted[below + 1] - sorted[below]) : sorted[^1];
    }

    public string Table()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{_options.Url} {_options.Model}, {(_options.Rate is { } rate ? $"open loop, Poisson {rate}/s" : $"closed loop, {_options.Concurrency} clients")}, {_options.Lengths.Description}");
        if (_options.SharedPrefix > 0) text.Append(CultureInfo.InvariantCulture, $", shared prefix {_options.SharedPrefix} words x {_options.PrefixGroups}");
        text.Append('\n').Append(CultureInfo.InvariantCulture, $"answered {Answered} of {Results.Count} in {_seconds:F1} s: {Answered / _seconds:F2} requests/s, prompt {PromptTokens / _seconds:F0} tokens/s, output {OutputTokens / _seconds:F0} tokens/s\n");
        text.Append(CultureInfo.InvariantCulture, $"goodput {Goodput:F2} requests/s ({(Results.Count == 0 ? 0 : 100.0 * MeetAll / Results.Count):F1}% with TTFT <= {_options.SloFirstToken} s, TPOT <= {_options.SloPerToken} s{(double.IsInfinity(_options.SloEndToEnd) ? "" : $", E2E <= {_options.SloEndToEnd} s")})\n");
        text.Append(Errors.Count == 0 ? "errors none\n" : "errors " + string.Join(", ", Errors.OrderByDescending(e => e.Value).Select(e => $"{e.Key}: {e.Value}")) + "\n");
        text.Append("\nms          mean");
        foreach (var (label, _) in Percentiles) text.Append(label.PadLeft(10));
        text.Append("       max\n");
        foreach (var (name, sorted) in Latencies)
        {
            text.Append(name.PadRight(6)).Append(Milliseconds(sorted.Length == 0 ? double.NaN : sorted.Average()));
            foreach (var (_, share) in Percentiles) text.Append(Milliseconds(Percentile(sorted, share)));
            text.Append(Milliseconds(sorted.Length == 0 ? double.NaN : sorted[^1])).Append('\n');
        }
        return text.ToString();

        static string Milliseconds(double seconds) => double.IsNaN(seconds) ? "         -" : (seconds * 1000).ToString("F1", CultureInfo.InvariantCulture).PadLeft(10);
    }

    public string Json()
    {
        var latencies = new JsonObject();
        foreach (var (name, sorted) in Latencies)
        {
            var row = new JsonObject();
            foreach (var (label, share) in Percentiles)
                if (sorted.Length > 0) row[label] = Percentile(sorted, share);
            if (sorted.Length > 0) row["mean"] = sorted.Average();
            latencies[name.ToLowerInvariant() + "_seconds"] = row;
        }
        var errors = new JsonObject();
        foreach (var (name, count) in Errors) errors[name] = count;
        return new JsonObject
        {
            ["requests"] = Results.Count,
            ["answered"] = Answered,
            ["seconds"] = _seconds,
            ["requests_per_second"] = Answered / _seconds,
            ["prompt_tokens_per_second"] = PromptTokens / _seconds,
            ["output_tokens_per_second"] = OutputTokens / _seconds,
            ["goodput_per_second"] = Goodput,
            ["errors"] = errors,
            ["latencies"] = latencies,
        }.ToJsonString(new System.Text.Json.JsonSerializerOptions { WriteIndented = true });
    }

    private static double[] Sorted(IEnumerable<double> values) => [.. values.Where(v => !double.IsNaN(v)).Order()];
}
