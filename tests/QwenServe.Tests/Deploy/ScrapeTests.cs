using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using QwenServe.Tests.Api;

namespace QwenServe.Tests.Deploy;

/// <summary>Prometheus itself reads /metrics.</summary>
public class ScrapeTests
{
    [ToolFact("prometheus")]
    public async Task Prometheus_scrapes_the_server_and_knows_its_counters()
    {
        var model = ScriptedModel.Saying("Hello there.");
        await using var server = await TestServer.StartAsync(model);
        for (int i = 0; i < 3; i++) Assert.True((await server.PostAsync("/v1/completions", """{"model":"short","prompt":"Hello","n":2}""")).IsSuccessStatusCode);
        await ChatTests.IdleAsync(model);

        using var folder = new TemporaryDirectory();
        int port = Ports.Take(1)[0];
        string config = Path.Combine(folder.Path, "prometheus.yml");
        await File.WriteAllTextAsync(config, $$"""
            global: { scrape_interval: 1s, scrape_timeout: 1s }
            scrape_configs:
              - job_name: qwenserve
                scrape_interval: 2s
                scrape_timeout: 2s
                static_configs: [{ targets: ["{{server.App.Address.Authority}}"] }]
            """);
        var start = new ProcessStartInfo(Tool.Find("prometheus")!) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in new[] { "--config.file=" + config, "--storage.tsdb.path=" + Path.Combine(folder.Path, "data"), $"--web.listen-address=127.0.0.1:{port}", "--log.level=warn" })
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var log = process.StandardError.ReadToEndAsync();
        process.BeginOutputReadLine();
        try
        {
            using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
            for (var patience = Stopwatch.StartNew(); await ValueAsync(client, "up{job=\"qwenserve\"}") != 1; await Task.Delay(100))
            {
                Assert.False(process.HasExited, process.HasExited ? await log : "");
                Assert.True(patience.Elapsed < TimeSpan.FromMinutes(2), "Prometheus has not scraped the server");
            }
            Assert.Equal(6, await ValueAsync(client, "sum(vllm:request_success_total{finished_reason=\"stop\",model_name=\"org/name\"})"));
            Assert.Equal(0, await ValueAsync(client, "vllm:num_requests_running"));
            Assert.Equal(0, await ValueAsync(client, "vllm:prompt_tokens_total + vllm:generation_tokens_total - vllm:iteration_tokens_total_sum"));
            Assert.Equal(1, await ValueAsync(client, "count(histogram_quantile(0.5, vllm:time_to_first_token_seconds_bucket))"));
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
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

    /// <summary>NaN when there is none.</summary>
    private static async Task<double> ValueAsync(HttpClient client, string query)
    {
        try
        {
            using var answer = JsonDocument.Parse(await client.GetStringAsync(new Uri("/api/v1/query?query=" + Uri.EscapeDataString(query), UriKind.Relative)));
            var result = answer.RootElement.GetProperty("data").GetProperty("result");
            return result.GetArrayLength() == 0 ? double.NaN : double.Parse(result[0].GetProperty("value")[1].GetString()!, CultureInfo.InvariantCulture);
        }
        catch (HttpRequestException)
        {
            return double.NaN;
        }
    }
}
