using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using QwenServe.Tests.Api;

namespace QwenServe.Tests.Deploy;

/// <summary>Prometheus itself reads /metrics.</summary>
public partial class ScrapeTests
{
    [ToolFact("prometheus")]
    public async Task Prometheus_scrapes_the_server_and_knows_its_counters()
    {
        var model = ScriptedModel.Saying("Hello there.");
        await using var server = await TestServer.StartAsync(model);
        for (int i = 0; i < 3; i++) Assert.True((await server.PostAsync("/v1/completions", """{"model":"short","prompt":"Hello","n":2}""")).IsSuccessStatusCode);
        await ChatTests.IdleAsync(model);

        await using var prometheus = await Prometheus.StartAsync(server.App.Address);
        Assert.Equal(6, await prometheus.ValueAsync("sum(vllm:request_success_total{finished_reason=\"stop\",model_name=\"org/name\"})"));
        Assert.Equal(0, await prometheus.ValueAsync("vllm:num_requests_running"));
        Assert.Equal(0, await prometheus.ValueAsync("vllm:prompt_tokens_total + vllm:generation_tokens_total - vllm:iteration_tokens_total_sum"));
        Assert.Equal(1, await prometheus.ValueAsync("count(histogram_quantile(0.5, vllm:time_to_first_token_seconds_bucket))"));
    }

    [ToolFact("prometheus")]
    public async Task Every_panel_of_the_dashboard_has_something_to_show()
    {
        var model = ScriptedModel.Saying("<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>");
        using var folder = new TemporaryDirectory();
        string keys = Path.Combine(folder.Path, "api-keys");
        await File.WriteAllTextAsync(keys, "sk-1 name=web\nsk-2 name=batch rpm=1\n");
        await using var server = await TestServer.StartAsync(model, s => s with { Access = s.Access with { ApiKeyFile = keys } });
        const string tools = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}]";
        await PostAsync("sk-1", "/v1/chat/completions", ChatTests.Body(tools), 200);
        await PostAsync("sk-1", "/v1/completions", """{"model":"short","prompt":"Hello","max_tokens":5,"structured_outputs":{"regex":"[a-z]+"}}""", 200);
        await PostAsync("sk-2", "/v1/completions", """{"model":"short","prompt":"Hello","max_tokens":5}""", 200);
        await PostAsync("sk-2", "/v1/completions", """{"model":"short","prompt":"Hello","max_tokens":5}""", 429);
        GC.Collect();
        await using var prometheus = await Prometheus.StartAsync(server.App.Address);
        var queries = MonitoringTests.Queries();
        Assert.True(queries.Count > 50);
        foreach (var (title, expression, legend) in queries)
        {
            string query = expression.Replace("$__rate_interval", "1m", StringComparison.Ordinal).Replace("$model", ".*", StringComparison.Ordinal).Replace("$instance", ".*", StringComparison.Ordinal);
            Assert.DoesNotContain('$', query);
            List<JsonElement> series = [];
            // A rate takes two scrapes.
            for (var patience = Stopwatch.StartNew(); (series = await prometheus.QueryAsync(query)).Count == 0; await Task.Delay(100))
                Assert.True(patience.Elapsed < TimeSpan.FromMinutes(1), $"{title} shows nothing: {query}");
            foreach (Match label in LegendLabel().Matches(legend))
                Assert.All(series, s => Assert.True(s.GetProperty("metric").TryGetProperty(label.Groups[1].Value, out _), $"{title} has no label {label.Groups[1].Value}"));
        }

        async Task PostAsync(string key, string path, string body, int status)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative)) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
            request.Headers.Authorization = new("Bearer", key);
            using var answer = await server.Client.SendAsync(request);
            Assert.Equal((status, path), ((int)answer.StatusCode, path));
        }
    }

    [ToolFact("promtool")]
    public async Task The_linter_objects_to_nothing_but_two_of_vLLMs_names()
    {
        var model = ScriptedModel.Saying("Hello there.");
        await using var server = await TestServer.StartAsync(model);
        await server.PostAsync("/v1/completions", """{"model":"short","prompt":"Hello"}""");
        await server.PostAsync("/v1/chat/completions", """{"model":"nobody","messages":[]}""");
        var (_, output) = Tool.Run("promtool", ["check", "metrics"], await MetricsTests.ScrapeAsync(server));
        Assert.DoesNotContain("error", output, StringComparison.OrdinalIgnoreCase);
        Assert.All(output.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => Assert.True(
            line.EndsWith("metric names should not contain ':'", StringComparison.Ordinal)
            || line == "vllm:iteration_tokens_total non-counter metrics should not have \"_total\" suffix", line));
    }

    [GeneratedRegex(@"\{\{(\w+)\}\}")]
    private static partial Regex LegendLabel();

    /// <summary>Prometheus as a process, scraping one server every other second.</summary>
    private sealed class Prometheus : IAsyncDisposable
    {
        private readonly TemporaryDirectory _folder;
        private readonly Process _process;
        private readonly HttpClient _client;

        private Prometheus(TemporaryDirectory folder, Process process, HttpClient client) => (_folder, _process, _client) = (folder, process, client);

        /// <summary>Starts and waits for its first scrape.</summary>
        public static async Task<Prometheus> StartAsync(Uri server)
        {
            var folder = new TemporaryDirectory();
            int port = Ports.Take(1)[0];
            string config = Path.Combine(folder.Path, "prometheus.yml");
            await File.WriteAllTextAsync(config, $$"""
                scrape_configs:
                  - job_name: qwenserve
                    scrape_interval: 2s
                    scrape_timeout: 2s
                    static_configs: [{ targets: ["{{server.Authority}}"] }]
                """);
            var start = new ProcessStartInfo(Tool.Find("prometheus")!) { RedirectStandardOutput = true, RedirectStandardError = true };
            foreach (string argument in new[] { "--config.file=" + config, "--storage.tsdb.path=" + Path.Combine(folder.Path, "data"), $"--web.listen-address=127.0.0.1:{port}", "--log.level=warn" })
                start.ArgumentList.Add(argument);
            var process = Process.Start(start)!;
            var log = process.StandardError.ReadToEndAsync();
            process.BeginOutputReadLine();
            var prometheus = new Prometheus(folder, process, new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") });
            for (var patience = Stopwatch.StartNew(); await prometheus.ValueAsync("up{job=\"qwenserve\"}") != 1; await Task.Delay(100))
            {
                Assert.False(process.HasExited, process.HasExited ? await log : "");
                Assert.True(patience.Elapsed < TimeSpan.FromMinutes(2), "Prometheus has not scraped the server");
            }
            return prometheus;
        }

        /// <summary>NaN when there is none.</summary>
        public async Task<double> ValueAsync(string query)
        {
            var result = await QueryAsync(query);
            return result.Count == 0 ? double.NaN : double.Parse(result[0].GetProperty("value")[1].GetString()!, CultureInfo.InvariantCulture);
        }

        /// <summary>The series of an answer; none while it does not answer yet.</summary>
        public async Task<List<JsonElement>> QueryAsync(string query)
        {
            try
            {
                using var response = await _client.GetAsync(new Uri("/api/v1/query?query=" + Uri.EscapeDataString(query), UriKind.Relative));
                using var answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
                Assert.True(response.StatusCode != System.Net.HttpStatusCode.BadRequest, $"{query}: {answer.RootElement}");
                return response.IsSuccessStatusCode ? [.. answer.RootElement.GetProperty("data").GetProperty("result").EnumerateArray().Select(r => r.Clone())] : [];
            }
            catch (Exception e) when (e is HttpRequestException or JsonException)
            {
                return [];
            }
        }

        public async ValueTask DisposeAsync()
        {
            if (!_process.HasExited) _process.Kill();
            await _process.WaitForExitAsync();
            _process.Dispose();
            _client.Dispose();
            _folder.Dispose();
        }
    }
}
