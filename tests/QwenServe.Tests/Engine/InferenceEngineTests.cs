using System.Diagnostics.Metrics;
using QwenServe.Engine;
using QwenServe.Engine.Diagnostics;
using QwenServe.Engine.Execution;
using static QwenServe.Tests.Engine.ScriptedEngine;

namespace QwenServe.Tests.Engine;

/// <summary>The engine with its own thread.</summary>
public class InferenceEngineTests
{
    private static readonly EngineOptions Small = new() { MaxModelLength = 2000, BlockSize = 4, MaxNumSeqs = 8, MaxNumBatchedTokens = 32 };
    private static readonly SamplingParameters Seeded = new() { Seed = 7, IgnoreEos = true };

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Concurrent_readers_get_what_each_would_get_alone(bool overlap)
    {
        await using var engine = await Start(Small with { OverlapSteps = overlap });
        await Task.WhenAll(Enumerable.Range(0, 40).Select(i => Task.Run(async () =>
        {
            var request = Request(i, 5 + i, 30);
            var tokens = new List<int>();
            await foreach (var e in engine.Submit(request)) tokens.Add(e.Token);
            Assert.Equal(ScriptedModel.Generate(request, 0, 30).Tokens, tokens);
        })));
    }

    [Fact]
    public async Task A_full_queue_refuses_at_once_and_says_how_full_it_is()
    {
        using var gate = new ManualResetEventSlim();
        var device = new ScriptedDevice { OnForward = gate.Wait };
        await using var engine = await Start(Small with { MaxQueuedRequests = 3, MaxNumSeqs = 1 }, device);
        var streams = new List<GenerationStream> { engine.Submit(Request(0, 5, 2)) };
        SpinWait.SpinUntil(() => engine.Queued.Requests == 0);
        for (int i = 1; i <= 3; i++) streams.Add(engine.Submit(Request(i, 5, 2)));
        var refused = Assert.Throws<EngineOverloadedException>(() => engine.Submit(Request(4, 5, 2)));
        Assert.Equal((3, 15L), (refused.QueuedRequests, refused.QueuedTokens));
        Assert.InRange(refused.RetryAfter, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(60));
        Assert.Equal(1, engine.Metrics.Refused);
        gate.Set();
        foreach (var stream in streams) Assert.Equal(2, await Count(stream));
        Assert.Equal(2, await Count(engine.Submit(Request(5, 5, 2))));
    }

    [Fact]
    public async Task The_queue_is_bounded_in_tokens_too_but_takes_any_request_when_empty()
    {
        using var gate = new ManualResetEventSlim();
        var device = new ScriptedDevice { OnForward = gate.Wait };
        await using var engine = await Start(Small with { MaxQueuedTokens = 100, MaxNumSeqs = 1 }, device);
        var first = engine.Submit(Request(0, 5, 2));
        SpinWait.SpinUntil(() => engine.Queued.Requests == 0);
        var large = engine.Submit(Request(1, 150, 2));
        Assert.Throws<EngineOverloadedException>(() => engine.Submit(Request(2, 1, 2)));
        gate.Set();
        Assert.Equal((2, 2), (await Count(first), await Count(large)));
    }

    [Fact]
    public async Task Leaving_a_stream_frees_its_blocks()
    {
        using var gate = new ManualResetEventSlim();
        int forwards = 0;
        await using var engine = await Start(Small, new ScriptedDevice
        {
            OnForward = () =>
            {
                if (++forwards > 5) gate.Wait();
            },
        });
        var stream = engine.Submit(Request(0, 50, 1900));
        await using (var reader = stream.GetAsyncEnumerator())
        {
            Assert.True(await reader.MoveNextAsync());
        }
        gate.Set();
        Assert.True(SpinWait.SpinUntil(() => engine.Metrics.Ended(FinishReason.Abort) == 1 && engine.Metrics.KvUsage == 0, TimeSpan.FromSeconds(30)));
        Assert.Equal(0, engine.Metrics.Running);
    }

    [Fact]
    public async Task A_cancelled_reader_stops_waiting()
    {
        using var gate = new ManualResetEventSlim();
        var device = new ScriptedDevice { OnForward = gate.Wait };
        await using var engine = await Start(Small, device);
        using var cancel = new CancellationTokenSource();
        await using var reader = engine.Submit(Request(0, 5, 5)).GetAsyncEnumerator(cancel.Token);
        var wait = reader.MoveNextAsync().AsTask();
        Assert.False(wait.IsCompleted);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => wait);
        gate.Set();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_device_fault_ends_all_requests_with_its_message(bool overlap)
    {
        using var gate = new ManualResetEventSlim();
        var device = new ScriptedDevice { OnForward = gate.Wait };
        var engine = await Start(Small with { OverlapSteps = overlap, MaxNumSeqs = 2 }, device);
        var streams = Enumerable.Range(0, 5).Select(i => engine.Submit(Request(i, 5, 500))).ToList();
        Assert.Null(engine.Health.Fault);
        device.Fault = new InvalidOperationException("illegal address");
        gate.Set();
        foreach (var stream in streams)
        {
            var last = default(TokenEvent);
            await foreach (var e in stream) last = e;
            Assert.Equal((FinishReason.Error, "the engine failed: illegal address"), (last.Finish, last.Error));
        }
        await engine.Ended;
        Assert.Equal("InvalidOperationException: illegal address", engine.Health.Fault);
        Assert.True(Assert.Throws<EngineUnavailableException>(() => engine.Submit(Request(9, 5, 5))).Faulted);
        Assert.True(device.Disposed);
    }

    [Fact]
    public async Task A_hanging_device_shows_as_busy_without_progress()
    {
        using var gate = new ManualResetEventSlim();
        await using var engine = await Start(Small, new ScriptedDevice { OnForward = gate.Wait });
        var stream = engine.Submit(Request(0, 5, 5));
        Assert.True(SpinWait.SpinUntil(() => engine.Health is { Busy: true, SinceProgress.TotalMilliseconds: > 50 }, TimeSpan.FromSeconds(30)));
        gate.Set();
        Assert.Equal(5, await Count(stream));
        Assert.True(SpinWait.SpinUntil(() => !engine.Health.Busy, TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task Stopping_lets_accepted_requests_end_and_takes_no_more()
    {
        using var gate = new ManualResetEventSlim();
        var device = new ScriptedDevice { OnForward = gate.Wait };
        var engine = await Start(Small with { MaxNumSeqs = 2 }, device);
        var streams = Enumerable.Range(0, 5).Select(i => engine.Submit(Request(i, 5, 20))).ToList();
        var stopped = engine.StopAsync(TimeSpan.FromMinutes(5));
        Assert.False(Assert.Throws<EngineUnavailableException>(() => engine.Submit(Request(9, 5, 5))).Faulted);
        gate.Set();
        foreach (var stream in streams) Assert.Equal(20, await Count(stream));
        await stopped;
        Assert.True(device.Disposed);
    }

    [Fact]
    public async Task What_has_not_ended_when_the_time_to_stop_is_over_ends_with_an_error()
    {
        using var started = new ManualResetEventSlim();
        using var gate = new ManualResetEventSlim();
        var device = new ScriptedDevice
        {
            OnForward = () =>
            {
                started.Set();
                gate.Wait();
            },
        };
        var engine = await Start(Small, device);
        var stream = engine.Submit(Request(0, 5, 1900));
        started.Wait();
        var stopped = engine.StopAsync(TimeSpan.Zero);
        gate.Set();
        await stopped;
        var last = default(TokenEvent);
        await foreach (var e in stream) last = e;
        Assert.Equal((FinishReason.Error, "the server is shutting down"), (last.Finish, last.Error));
    }

    [Fact]
    public async Task A_failed_load_comes_out_of_the_start()
    {
        var failed = await Assert.ThrowsAsync<InvalidDataException>(() => InferenceEngine.StartAsync(Small, () => throw new InvalidDataException("no such tensor")));
        Assert.Equal("no such tensor", failed.Message);
    }

    [Fact]
    public async Task Max_model_len_is_lowered_to_what_the_cache_holds_and_says_so()
    {
        var lines = new List<string>();
        await using var engine = await Start(Small with { Log = lines.Add }, blocks: 100);
        Assert.Equal(400, engine.MaxModelLength);
        Assert.Equal(["max-model-len lowered from 2000 to 400: 0 MiB of KV cache hold no more"], lines);
        Assert.Throws<PromptTooLongException>(() => engine.Submit(Request(0, 300, 101)));
    }

    [Fact]
    public void A_cache_larger_than_the_memory_is_refused_by_both_figures()
    {
        using var device = new ScriptedDevice { AvailableMemory = 3 << 20 };
        var refused = Assert.Throws<InvalidOperationException>(() => ModelRunner.Create(device, ScriptedEngine.Geometry, device.Forward, Small with { KvCacheBytes = 4 << 20 }));
        Assert.Matches("^4 MiB of KV cache do not fit the 3 MiB .*--kv-cache-memory$", refused.Message);
    }

    [Fact]
    public async Task The_figures_add_up_and_the_gauges_return_to_zero()
    {
        await using var engine = await Start(Small);
        var sums = new Dictionary<string, double>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Meter == engine.Metrics.Meter) l.EnableMeasurementEvents(instrument);
        };
        void Add(string name, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            lock (sums)
            {
                foreach (var tag in tags) name += $"{{{tag.Key}={tag.Value}}}";
                sums[name] = sums.GetValueOrDefault(name) + value;
                sums[name + " count"] = sums.GetValueOrDefault(name + " count") + 1;
            }
        }
        listener.SetMeasurementEventCallback<long>((i, v, tags, _) => Add(i.Name, v, tags));
        listener.SetMeasurementEventCallback<int>((i, v, tags, _) => Add(i.Name, v, tags));
        listener.SetMeasurementEventCallback<double>((i, v, tags, _) => Add(i.Name, v, tags));
        listener.Start();
        for (int i = 0; i < 10; i++) await Count(engine.Submit(Request(i % 5, 20, 6)));
        await engine.StopAsync(TimeSpan.FromMinutes(1));
        Assert.True(SpinWait.SpinUntil(() => engine.Metrics.Running == 0, TimeSpan.FromSeconds(30)));

        Assert.Equal((200, 60), (engine.Metrics.PromptTokens, engine.Metrics.GenerationTokens));
        Assert.Equal(5 * 16, engine.Metrics.CachedPromptTokens);
        Assert.Equal(10, engine.Metrics.Ended(FinishReason.Length));
        Assert.Equal((0, 0.0), (engine.Metrics.Waiting, engine.Metrics.KvUsage));
        lock (sums)
        {
            Assert.Equal(260, sums["vllm.iteration_tokens_total"]);
            Assert.Equal(10, sums["vllm.time_to_first_token_seconds count"]);
            Assert.Equal(50, sums["vllm.inter_token_latency_seconds count"]);
            foreach (string name in new[] { "e2e_request_latency", "request_queue_time", "request_inference_time", "request_prefill_time", "request_decode_time", "request_time_per_output_token" })
                Assert.Equal(10, sums[$"vllm.{name}_seconds count"]);
            Assert.Equal(200, sums["vllm.request_prompt_tokens"]);
            Assert.Equal(60, sums["vllm.request_generation_tokens"]);
            Assert.Equal(60, sums["vllm.request_params_max_tokens"]);
            Assert.Equal(10, sums["vllm.request_params_n"]);
            Assert.Equal(200 - 5 * 16, sums["vllm.request_prefill_kv_computed_tokens"]);
            Assert.True(sums["qwenserve.step_stage_seconds{stage=forward}"] > 0);
        }
    }

    [Fact]
    public async Task Every_instrument_that_a_dashboard_asks_for_is_there()
    {
        await using var engine = await Start(Small);
        var names = new HashSet<string>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (instrument.Meter == engine.Metrics.Meter) names.Add(instrument.Name);
        };
        listener.Start();
        string[] expected =
        [
            "e2e_request_latency_seconds", "generation_tokens", "prompt_tokens", "inter_token_latency_seconds", "time_to_first_token_seconds", "kv_cache_usage_perc",
            "num_requests_running", "num_requests_waiting", "request_success", "request_prompt_tokens", "request_generation_tokens", "request_max_num_generation_tokens",
            "request_prefill_time_seconds", "request_decode_time_seconds", "request_queue_time_seconds", "iteration_tokens_total", "prefix_cache_queries", "cache_config_info", "prefix_cache_hits", "num_preemptions",
        ];
        Assert.All(expected, name => Assert.Contains("vllm." + name, names));
    }

    [Fact]
    public void Buckets_of_lengths_end_at_the_context()
        => Assert.Equal([1, 2, 5, 10, 20, 50, 100, 200], EngineMetrics.Buckets125(400));

    private static GenerationRequest Request(int id, int length, int maxTokens)
        => new() { Id = $"r{id}", Prompt = Prompt(length, id), MaxTokens = maxTokens, Sampling = Seeded };

    private static Task<InferenceEngine> Start(EngineOptions options, ScriptedDevice? device = null, int blocks = 2000)
    {
        device ??= new ScriptedDevice();
        options = With(options, blocks);
        return InferenceEngine.StartAsync(options, () => ModelRunner.Create(device, Geometry, device.Forward, options));
    }

    private static async Task<int> Count(GenerationStream stream)
    {
        int tokens = 0;
        await foreach (var e in stream) tokens += e.Token >= 0 ? 1 : 0;
        return tokens;
    }
}
