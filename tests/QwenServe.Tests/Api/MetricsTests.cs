using System.Globalization;
using System.Text.RegularExpressions;
using QwenServe.Settings;

namespace QwenServe.Tests.Api;

/// <summary>What <c>/metrics</c> says after traffic.</summary>
public partial class MetricsTests
{
    private const string Labels = "{model_name=\"org/name\",engine=\"0\"}";

    /// <summary>Names that vLLM's acceptance test and dashboards ask for, as far as they apply.</summary>
    private static readonly string[] Histograms =
    [
        "vllm:time_to_first_token_seconds", "vllm:inter_token_latency_seconds", "vllm:request_time_per_output_token_seconds", "vllm:e2e_request_latency_seconds",
        "vllm:request_queue_time_seconds", "vllm:request_inference_time_seconds", "vllm:request_prefill_time_seconds", "vllm:request_decode_time_seconds",
        "vllm:iteration_tokens_total", "vllm:request_prompt_tokens", "vllm:request_generation_tokens", "vllm:request_max_num_generation_tokens",
        "vllm:request_params_max_tokens", "vllm:request_params_n", "vllm:request_prefill_kv_computed_tokens",
    ];

    [Fact]
    public async Task Sums_add_up_after_hits_siblings_and_aborts()
    {
        var model = ScriptedModel.Saying(prompt => prompt.Contains("short", StringComparison.Ordinal) ? "Hello there." : string.Concat(Enumerable.Repeat("one two three ", 100)));
        await using var server = await TestServer.StartAsync(model);
        var idle = new Exposition(await ScrapeAsync(server));
        Assert.Equal(0, idle.Sum("vllm:prompt_tokens_total") + idle.Sum("vllm:generation_tokens_total") + idle.Sum("vllm:iteration_tokens_total_count") + idle.Sum("vllm:request_success_total"));
        Assert.DoesNotContain("vllm:time_to_first_token_seconds_count" + Labels, idle.Text, StringComparison.Ordinal);

        string shared = string.Concat(Enumerable.Repeat("a common beginning of a short prompt ", 8));
        for (int i = 0; i < 3; i++) Assert.True((await server.PostAsync("/v1/completions", $$"""{"model":"short","prompt":"{{shared}}{{i}}","n":2,"max_tokens":20}""")).IsSuccessStatusCode);
        for (int i = 0; i < 3; i++)
        {
            using var leave = new CancellationTokenSource();
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/completions", UriKind.Relative))
            {
                Content = new StringContent("""{"model":"short","prompt":"long","stream":true,"n":3,"max_tokens":400}""", System.Text.Encoding.UTF8, "application/json"),
            };
            using var response = await server.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, leave.Token);
            await (await response.Content.ReadAsStreamAsync(leave.Token)).ReadExactlyAsync(new byte[10], leave.Token);
        }
        await ChatTests.IdleAsync(model);
        var metrics = new Exposition(await ScrapeAsync(server));
        double prompt = metrics.Sum("vllm:prompt_tokens_total"), generated = metrics.Sum("vllm:generation_tokens_total");
        Assert.True(prompt > 0 && generated > 0);
        Assert.Equal(prompt + generated, metrics.Sum("vllm:iteration_tokens_total_sum"));
        Assert.Equal(prompt, metrics.Sum("vllm:prompt_tokens_by_source_total"));
        Assert.True(metrics.Sum("vllm:prompt_tokens_cached_total") > 0);
        Assert.Equal(metrics.Sum("vllm:prefix_cache_hits_total"), metrics.Sum("vllm:prompt_tokens_cached_total"));
        Assert.Equal(6 + 9, metrics.Sum("vllm:request_success_total"));
        Assert.Equal(6, metrics.Sum("vllm:request_params_n_count"));
        Assert.Equal(15, metrics.Sum("vllm:request_params_n_sum"));
        Assert.Equal(generated, metrics.Sum("vllm:request_generation_tokens_sum"));
        foreach (string gauge in new[] { "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:num_requests_waiting_by_reason", "vllm:kv_cache_usage_perc" })
            Assert.Equal(0, metrics.Sum(gauge));
        Assert.Equal(metrics.Sum("vllm:time_to_first_token_seconds_count"), metrics.Sum("qwenserve_time_to_first_token_seconds_count"));
        Assert.Equal(metrics.Sum("vllm:inter_token_latency_seconds_count"), metrics.Sum("qwenserve_inter_token_latency_seconds_count"));
        Assert.Equal(generated, metrics.Sum("vllm:time_to_first_token_seconds_count") + metrics.Sum("vllm:inter_token_latency_seconds_count"));
    }

    [Fact]
    public async Task Names_labels_and_buckets_are_vLLMs()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hello there."));
        await server.PostAsync("/v1/completions", """{"model":"short","prompt":"Hello"}""");
        string text = await ScrapeAsync(server);
        foreach (string histogram in Histograms)
        {
            Assert.Contains($"# TYPE {histogram} histogram\n", text, StringComparison.Ordinal);
            Assert.Contains(histogram + "_count" + Labels, text, StringComparison.Ordinal);
        }
        Assert.Equal("0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1.0 2.5 5.0 7.5 10.0 20.0 40.0 80.0 160.0 640.0 2560.0 +Inf", Bounds(text, "vllm:time_to_first_token_seconds"));
        const string gaps = "0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1.0 2.5 5.0 7.5 10.0 20.0 40.0 80.0 +Inf";
        Assert.Equal(gaps, Bounds(text, "vllm:inter_token_latency_seconds"));
        Assert.Equal(gaps, Bounds(text, "vllm:request_time_per_output_token_seconds"));
        foreach (string latency in new[] { "e2e_request_latency", "request_queue_time", "request_inference_time", "request_prefill_time", "request_decode_time" })
            Assert.Equal("0.3 0.5 0.8 1.0 1.5 2.0 2.5 5.0 10.0 15.0 20.0 30.0 40.0 50.0 60.0 120.0 240.0 480.0 960.0 1920.0 7680.0 +Inf", Bounds(text, $"vllm:{latency}_seconds"));
        Assert.Equal("1.0 8.0 16.0 32.0 64.0 128.0 256.0 512.0 1024.0 2048.0 4096.0 8192.0 16384.0 +Inf", Bounds(text, "vllm:iteration_tokens_total"));
        Assert.Equal("1.0 2.0 5.0 10.0 20.0 50.0 100.0 200.0 500.0 +Inf", Bounds(text, "vllm:request_prompt_tokens"));
        Assert.Equal("1.0 2.0 5.0 10.0 20.0 +Inf", Bounds(text, "vllm:request_params_n"));
        foreach (string reason in new[] { "stop", "length", "abort", "error" })
            Assert.Contains($"vllm:request_success_total{{model_name=\"org/name\",engine=\"0\",finished_reason=\"{reason}\"}} ", text, StringComparison.Ordinal);
        foreach (string series in new[]
        {
            "num_requests_waiting_by_reason{model_name=\"org/name\",engine=\"0\",reason=\"deferred\"} 0", "engine_sleep_state{model_name=\"org/name\",engine=\"0\",sleep_state=\"awake\"} 1",
            "prompt_tokens_by_source_total{model_name=\"org/name\",engine=\"0\",source=\"local_cache_hit\"} ", "num_preemptions_total" + Labels, "corrupted_requests_total" + Labels, "cache_config_info{",
        })
            Assert.Contains("\nvllm:" + series, text, StringComparison.Ordinal);
        Assert.Contains("qwenserve_device_memory_bytes{model_name=\"org/name\",engine=\"0\",kind=\"kv_cache\"} ", text, StringComparison.Ordinal);
        Assert.Contains("qwenserve_step_stage_seconds_count{model_name=\"org/name\",engine=\"0\",stage=\"forward\"} ", text, StringComparison.Ordinal);
        Assert.Contains("# TYPE http_request_size_bytes summary\n", text, StringComparison.Ordinal);
        Assert.Contains("http_response_size_bytes_count{handler=\"/v1/completions\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("\nprocess_resident_memory_bytes ", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Older_names_say_the_same_unless_they_are_turned_off(bool on)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hello there."), s => s with { Telemetry = new TelemetrySettings { MetricAliases = on } });
        await server.PostAsync("/v1/completions", """{"model":"short","prompt":"Hello"}""");
        string text = await ScrapeAsync(server);
        foreach (var (name, older) in new[]
        {
            ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"), ("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"),
            ("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"), ("vllm:inter_token_latency_seconds_count", "vllm:time_per_output_token_seconds_count"),
        })
        {
            string value = Series(text, name + Labels)!;
            Assert.NotNull(value);
            Assert.Equal(on ? value : null, Series(text, older + Labels));
        }
        Assert.Equal(on, text.Contains("# TYPE vllm:time_per_output_token_seconds histogram\n", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Tool_calls_and_grammars_are_counted()
    {
        var model = ScriptedModel.Saying("<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>");
        await using var server = await TestServer.StartAsync(model);
        const string tools = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}],\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]";
        await server.PostAsync("/v1/chat/completions", "{\"model\":\"short\"," + tools + "}");
        await server.StreamAsync("/v1/chat/completions", "{\"model\":\"short\",\"stream\":true," + tools + "}");
        await server.PostAsync("/v1/chat/completions", "{\"model\":\"short\",\"max_tokens\":12," + tools + "}");
        await server.PostAsync("/v1/completions", """{"model":"short","prompt":"Hello","max_tokens":5,"structured_outputs":{"regex":"[a-z]+"}}""");
        await ChatTests.IdleAsync(model);
        string text = await ScrapeAsync(server);
        Assert.Equal("1", Series(text, "vllm:tool_call_parser_invocations_total{model_name=\"org/name\",mode=\"streaming\",outcome=\"tool_call\",request_type=\"chat_completions\"}"));
        Assert.Equal("2", Series(text, "qwenserve_tool_calls_total{model_name=\"org/name\",outcome=\"complete\"}"));
        Assert.Equal("1", Series(text, "qwenserve_tool_calls_total{model_name=\"org/name\",outcome=\"truncated\"}"));
        Assert.NotEqual("0", Series(text, "qwenserve_grammar_compile_seconds_count{model_name=\"org/name\"}"));
        Assert.True(int.Parse(Series(text, "qwenserve_grammar_mask_seconds_count" + Labels)!, CultureInfo.InvariantCulture) >= 5);
    }

    internal static async Task<string> ScrapeAsync(TestServer server) => await (await server.GetAsync("/metrics")).Content.ReadAsStringAsync();

    private static string? Series(string text, string series)
        => text.Split('\n').SingleOrDefault(l => l.StartsWith(series + " ", StringComparison.Ordinal))?.Split(' ')[^1];

    private static string Bounds(string text, string histogram)
        => string.Join(' ', Le().Matches(string.Join('\n', text.Split('\n').Where(l => l.StartsWith(histogram + "_bucket{", StringComparison.Ordinal)))).Select(m => m.Groups[1].Value));

    [GeneratedRegex("le=\"([^\"]+)\"")]
    private static partial Regex Le();

    private sealed record Exposition(string Text)
    {
        /// <summary>Over all series of the name.</summary>
        public double Sum(string name) => Text.Split('\n').Where(l => l.StartsWith(name + "{", StringComparison.Ordinal)).Sum(l => double.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }
}
