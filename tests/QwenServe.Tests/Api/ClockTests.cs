using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using QwenServe.Tests.Deploy;

namespace QwenServe.Tests.Api;

/// <summary>A clock that is set while the server runs, as by a time service or a machine that was suspended: libfaketime sets that of the process.</summary>
public class ClockTests
{
    private const int Tokens = 2000;

    [ToolFact("libfaketime")]
    public async Task A_clock_that_jumps_by_a_day_ends_and_prolongs_nothing()
    {
        long began = Stopwatch.GetTimestamp();
        using var folder = new TemporaryDirectory();
        string offset = Path.Combine(folder.Path, "offset");
        Set(0);
        // Only the clock of dates jumps: the monotonic one does not where it really happens.
        using var server = await ServerProcess.StartAsync(["--request-timeout", "300", "--client-timeout", "300", "--step-timeout", "300", "--shutdown-timeout", "300"], new()
        {
            ["LD_PRELOAD"] = Tool.Find("libfaketime") ?? throw new FileNotFoundException("libfaketime is not installed; .ci/install-faketime does that"),
            ["FAKETIME_TIMESTAMP_FILE"] = offset,
            ["FAKETIME_NO_CACHE"] = "1",
            ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
        });
        using var client = new HttpClient { BaseAddress = server.Address, Timeout = TimeSpan.FromMinutes(5) };
        long start = await AnswerAsync();
        // Long enough that they are under way when the last jump comes.
        var streams = new List<ServerProcess.RunningStream>();
        for (int i = 0; i < 2; i++) streams.Add(await ServerProcess.BeginStreamAsync(client, Tokens));
        foreach (int days in new[] { 1, -1, 0, 1, -1 })
        {
            Set(days);
            // The server sees it.
            Assert.InRange(await AnswerAsync() - start, days * 86400L, days * 86400L + 600);
            Assert.Equal(HttpStatusCode.OK, await StatusAsync("/livez"));
            Assert.Equal(HttpStatusCode.OK, await StatusAsync("/readyz"));
        }
        Assert.Equal(2, (await MetricsAsync()).Single(m => m.Series.StartsWith("vllm:num_requests_running{", StringComparison.Ordinal)).Value);
        foreach (var stream in streams)
        {
            var (text, broken) = await stream.EndAsync();
            Assert.False(broken);
            Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
            Assert.Contains("\"finish_reason\":\"length\"", text, StringComparison.Ordinal);
        }

        var metrics = await MetricsAsync();
        double elapsed = Stopwatch.GetElapsedTime(began).TotalSeconds;
        var sums = metrics.Where(m => m.Series.Contains("_seconds_sum", StringComparison.Ordinal) && !m.Series.StartsWith("dotnet", StringComparison.Ordinal)).ToList();
        Assert.True(sums.Count > 10);
        foreach (var (series, sum) in sums)
        {
            double count = metrics.Single(m => m.Series == series.Replace("_seconds_sum", "_seconds_count", StringComparison.Ordinal)).Value;
            Assert.True(sum >= 0 && sum <= count * elapsed, $"{series} {sum} of {count} in {elapsed} s");
        }
        Assert.All(metrics.Where(m => m.Series.StartsWith("qwenserve_requests_timed_out_total", StringComparison.Ordinal)), m => Assert.Equal(0, m.Value));
        Assert.DoesNotContain(metrics, m => m.Series.StartsWith("http_requests_total{", StringComparison.Ordinal) && !m.Series.Contains("status=\"2xx\"", StringComparison.Ordinal));

        // And in the midst of the end.
        var last = await ServerProcess.BeginStreamAsync(client, 500);
        await server.SignalAsync("TERM");
        await server.UntilLogAsync("refusing new requests");
        Set(1);
        Assert.EndsWith("data: [DONE]\n\n", (await last.EndAsync()).Text, StringComparison.Ordinal);
        Assert.Equal(0, (await server.EndAsync()).Code);

        void Set(int days)
        {
            // Replaced as a whole: the library may read it at any moment.
            File.WriteAllText(offset + ".new", string.Create(CultureInfo.InvariantCulture, $"{days * 86400:+0;-0;+0}\n"));
            File.Move(offset + ".new", offset, overwrite: true);
        }

        // A request with a deadline, answered in time; when it was made by the server's clock.
        async Task<long> AnswerAsync()
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
            {
                Content = new StringContent("""{"model":"qwenserve-demo","max_tokens":4,"messages":[{"role":"user","content":"Hello"}]}""", Encoding.UTF8, "application/json"),
            };
            request.Headers.Add("x-request-timeout", "120");
            using var answer = await client.SendAsync(request);
            string body = await answer.Content.ReadAsStringAsync();
            Assert.True(answer.IsSuccessStatusCode, body);
            using var json = JsonDocument.Parse(body);
            return json.RootElement.GetProperty("created").GetInt64();
        }

        async Task<HttpStatusCode> StatusAsync(string path)
        {
            using var answer = await client.GetAsync(new Uri(path, UriKind.Relative));
            return answer.StatusCode;
        }

        async Task<List<(string Series, double Value)>> MetricsAsync()
            => [.. (await client.GetStringAsync(new Uri("/metrics", UriKind.Relative))).Split('\n').Where(l => l.Length > 0 && l[0] != '#')
                .Select(l => (l[..l.LastIndexOf(' ')], double.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture)))];
    }
}
