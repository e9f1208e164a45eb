using System.Text;
using System.Text.Json;
using QwenServe.Benchmarks.Load;
using QwenServe.Tests.Api;

namespace QwenServe.Tests.Load;

/// <summary>The load generator against the real server, and its arithmetic.</summary>
public class LoadGeneratorTests
{
    [Theory]
    [InlineData("chat", null)]
    [InlineData("completions", null)]
    [InlineData("chat", 200.0)]
    public async Task Counts_what_the_server_says_it_did(string endpoint, double? rate)
    {
        var model = ScriptedModel.Endless();
        await using var server = await TestServer.StartAsync(model);
        model.Device.StepTime = TimeSpan.FromMilliseconds(3);
        var options = Options(server) with { Chat = endpoint == "chat", Rate = rate, Requests = 20, Concurrency = 4, Warmup = 3 };
        var runner = new LoadRunner(options);
        var results = await runner.RunAsync();
        var summary = new LoadSummary(options, results, runner.Seconds);

        Assert.Equal(20, summary.Answered);
        Assert.Empty(summary.Errors);
        Assert.Equal(20 * 24, summary.OutputTokens);
        Assert.All(results, r => Assert.True(r.PromptTokens >= 10));
        Assert.All(results, r => Assert.True(r.Due <= r.FirstToken && r.FirstToken <= r.Pieces[^1] && r.Pieces[^1] <= r.End));
        Assert.Equal(["TTFT", "TPOT", "ITL", "E2E"], summary.Latencies.Select(l => l.Name));
        Assert.All(summary.Latencies, l => Assert.NotEmpty(l.Sorted));
        Assert.Contains("answered 20 of 20", summary.Table(), StringComparison.Ordinal);
        Assert.Equal(20, JsonDocument.Parse(summary.Json()).RootElement.GetProperty("answered").GetInt32());
        var chart = System.Xml.Linq.XDocument.Parse(LoadChart.Draw(summary));
        Assert.Equal(7, chart.Descendants().Count(e => e.Name.LocalName == "polyline"));
    }

    [Fact]
    public async Task Tells_errors_apart_by_class()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Endless(), s => s with { Server = s.Server with { ApiKeys = ["right"] } });
        Assert.Equal("401", await ErrorAsync(Options(server) with { ApiKey = "wrong" }));
        Assert.Equal("404", await ErrorAsync(Options(server) with { ApiKey = "right", Model = "other" }));
        Assert.Equal("connection refused", await ErrorAsync(Options(server) with { Url = new Uri("http://127.0.0.1:1/v1/") }));
        Assert.Null(await ErrorAsync(Options(server) with { ApiKey = "right" }));

        var broken = ScriptedModel.Endless();
        await using var breaking = await TestServer.StartAsync(broken);
        using var read = new ManualResetEventSlim();
        int steps = 0;
        broken.Device.OnStep = () =>
        {
            if (++steps < 4) return;
            read.Wait(TimeSpan.FromMinutes(1));
            throw new InvalidOperationException("the device is gone");
        };
        using var client = new LoadClient(Options(breaking));
        var request = new Workload(Options(breaking)).Next();
        var result = await client.SendAsync(request, client.Now, read.Set);
        Assert.Equal("error in stream", result.Error);
    }

    [Fact]
    public async Task Reads_events_however_they_are_cut()
    {
        string[] events = ["{\"a\":1}", "", new string('x', 50_000), "ü€😀", "[DONE]"];
        byte[] bytes = Encoding.UTF8.GetBytes(": a comment\n\n" + string.Concat(events.Select((e, i) => i % 2 == 0 ? $"data: {e}\n\n" : $"event: named\r\ndata:{e}\r\n\r\n")));
        var random = new Random(1);
        for (int run = 0; run < 20; run++)
        {
            using var reader = new EventReader(new Pieces(bytes, random, run == 0 ? 1 : 1 << random.Next(16)));
            var read = new List<string>();
            while (await reader.ReadAsync(CancellationToken.None)) read.Add(Encoding.UTF8.GetString(reader.Data.Span));
            Assert.Equal(events, read);
        }
    }

    [Fact]
    public void Percentiles_are_those_of_numpy()
    {
        double[] values = [1, 2, 4, 8];
        Assert.Equal(3, LoadSummary.Percentile(values, 0.5));
        Assert.Equal(1, LoadSummary.Percentile(values, 0));
        Assert.Equal(8, LoadSummary.Percentile(values, 1));
        Assert.Equal(6.8, LoadSummary.Percentile(values, 0.9), 12);
        Assert.True(double.IsNaN(LoadSummary.Percentile([], 0.5)));
    }

    [Fact]
    public void Goodput_counts_only_what_meets_every_objective()
    {
        LoadResult Answer(double first, double perToken)
        {
            var result = new LoadResult { Due = 0, FirstToken = first, OutputTokens = 11, End = first + 10 * perToken };
            for (int i = 0; i <= 10; i++) result.Pieces.Add(first + i * perToken);
            return result;
        }
        var options = new LoadOptions { Url = new Uri("http://127.0.0.1/"), Model = "m", SloFirstToken = 0.5, SloPerToken = 0.05, SloEndToEnd = 0.8 };
        var failed = Answer(0.1, 0.01);
        failed.Error = "429";
        var summary = new LoadSummary(options, [Answer(0.1, 0.02), Answer(0.6, 0.01), Answer(0.1, 0.06), Answer(0.45, 0.04), failed], 2);
        Assert.Equal(0.5, summary.Goodput);
        Assert.Equal(1, summary.Errors["429"]);
        Assert.Equal(0.02, summary.Latencies.Single(l => l.Name == "TPOT").Sorted[1], 9);
    }

    [Fact]
    public void Arrivals_are_Poisson_and_lengths_have_the_stated_medians()
    {
        var workload = new Workload(new LoadOptions { Url = new Uri("http://127.0.0.1/"), Model = "m", Rate = 50, Lengths = LengthDistribution.Fixed(4, 4) });
        double[] gaps = [.. Enumerable.Range(0, 20_000).Select(_ => workload.Gap())];
        double mean = gaps.Average(), deviation = Math.Sqrt(gaps.Average(g => (g - mean) * (g - mean)));
        Assert.InRange(mean, 0.0192, 0.0208);
        Assert.InRange(deviation / mean, 0.96, 1.04); // of an exponential distribution: 1

        var random = new Random(7);
        var lengths = Enumerable.Range(0, 20_000).Select(_ => LengthDistribution.ShareGpt().Draw(random)).ToList();
        Assert.All(lengths, l => Assert.True(l.Input is >= 4 and <= 1024 && l.Input + l.Output <= 2048));
        // The cut takes a little from the tail above, so the medians lie a little below 70 and 220.
        Assert.InRange(lengths.Select(l => l.Input).Order().ElementAt(10_000), 60, 75);
        Assert.InRange(lengths.Select(l => l.Output).Order().ElementAt(10_000), 195, 225);
    }

    [Fact]
    public void Requests_of_a_group_begin_alike_and_name_their_session()
    {
        var options = new LoadOptions { Url = new Uri("http://127.0.0.1/"), Model = "m", SharedPrefix = 50, PrefixGroups = 3, SessionHeader = true, IgnoreEos = true, Lengths = LengthDistribution.Fixed(5, 7) };
        var workload = new Workload(options);
        var requests = Enumerable.Range(0, 60).Select(_ => workload.Next()).ToList();
        var groups = requests.GroupBy(r => r.Session).ToList();
        Assert.Equal(3, groups.Count);
        string Message(LoadRequest request, int index) => JsonDocument.Parse(request.Body).RootElement.GetProperty("messages")[index].GetProperty("content").GetString()!;
        Assert.All(groups, g => Assert.Single(g.Select(r => Message(r, 0)).Distinct()));
        Assert.Equal(3, requests.Select(r => Message(r, 0)).Distinct().Count());
        Assert.Equal(60, requests.Select(r => Message(r, 1)).Distinct().Count());
        Assert.All(requests, r => Assert.Equal(7, JsonDocument.Parse(r.Body).RootElement.GetProperty("max_tokens").GetInt32()));
        Assert.All(requests, r => Assert.True(JsonDocument.Parse(r.Body).RootElement.GetProperty("ignore_eos").GetBoolean()));
    }

    [Theory]
    [InlineData("--model m", "--url")]
    [InlineData("--url http://127.0.0.1/v1 --model m --rate 5 --concurrency 3", "one of them")]
    [InlineData("--url http://127.0.0.1/v1 --model m --lengths long", "--lengths")]
    public void A_wrong_option_is_named(string arguments, string names)
        => Assert.Contains(names, Assert.Throws<ArgumentException>(() => LoadOptions.Parse(arguments.Split(' '))).Message, StringComparison.Ordinal);

    private static LoadOptions Options(TestServer server) => new()
    {
        Url = new Uri(server.App.Address, "v1/"),
        Model = "org/name",
        Requests = 1,
        Warmup = 0,
        IgnoreEos = true,
        Lengths = LengthDistribution.Fixed(10, 24),
    };

    private static async Task<string?> ErrorAsync(LoadOptions options)
    {
        using var client = new LoadClient(options);
        return (await client.SendAsync(new Workload(options).Next(), client.Now)).Error;
    }

    /// <summary>Gives its bytes in pieces of any size up to a limit.</summary>
    private sealed class Pieces(byte[] bytes, Random random, int most) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
            => base.ReadAsync(buffer[..Math.Min(buffer.Length, random.Next(1, most + 1))], cancellationToken);
    }
}
