using System.Diagnostics;
using System.Diagnostics.Metrics;
using QwenServe.Engine.Scheduling;

namespace QwenServe.Engine.Diagnostics;

/// <summary>What a step spends its time on.</summary>
public enum StepStage
{
    Receive,
    Schedule,
    Forward,
    Masks,
    Sample,
    Complete,
    Commit,
}

/// <summary>
/// The engine's figures under the meter "QwenServe": vLLM's names with a dot after <c>vllm</c> (an exposition writes it as a colon) and
/// <c>qwenserve.*</c> for what vLLM does not have. Totals are plain numbers that the engine thread alone writes and listeners read when they
/// ask; only histograms call out, and only while somebody listens.
/// </summary>
public sealed class EngineMetrics : IDisposable
{
    public const string MeterName = "QwenServe";

    private static readonly double[] LatencyBuckets = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680];
    private static readonly double[] TokenGapBuckets = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80];
    private static readonly double[] FirstTokenBuckets = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560];
    private static readonly double[] FineBuckets = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30];
    private static readonly double[] StepBuckets = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
    private static readonly long[] IterationBuckets = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];
    private static readonly string[] SleepStates = ["awake", "weights_offloaded", "discard_all"];
    private static readonly KeyValuePair<string, object?>[] StageTags = [.. Enum.GetNames<StepStage>().Select(n => new KeyValuePair<string, object?>("stage", n.ToLowerInvariant()))];

    private readonly Meter _meter = new(MeterName);
    private readonly Histogram<double> _timeToFirstToken;
    private readonly Histogram<double> _interTokenLatency;
    private readonly Histogram<double> _fineTimeToFirstToken;
    private readonly Histogram<double> _fineInterTokenLatency;
    private readonly Histogram<double> _timePerOutputToken;
    private readonly Histogram<double> _endToEnd;
    private readonly Histogram<double> _queueTime;
    private readonly Histogram<double> _inferenceTime;
    private readonly Histogram<double> _prefillTime;
    private readonly Histogram<double> _decodeTime;
    private readonly Histogram<long> _iterationTokens;
    private readonly Histogram<long> _requestPromptTokens;
    private readonly Histogram<long> _requestGenerationTokens;
    private readonly Histogram<long> _requestMaxGenerationTokens;
    private readonly Histogram<long> _requestMaxTokens;
    private readonly Histogram<long> _requestPrefillComputed;
    private readonly Histogram<long> _requestChoices;
    private readonly Histogram<double> _stepTime;
    private readonly Histogram<double> _maskTime;
    private readonly long[] _ended = new long[Enum.GetValues<FinishReason>().Length];
    private Func<(int Running, int Waiting, int Unforked, double KvUsage, long Evictions)> _state = () => default;

    public EngineMetrics(int maxModelLength)
    {
        var lengths = Buckets125(maxModelLength);
        _meter.CreateObservableGauge("vllm.num_requests_running", () => _state().Running, null, "Choices in the batch.");
        _meter.CreateObservableGauge("vllm.num_requests_waiting", () => _state().Waiting, null, "Choices waiting to be computed.");
        _meter.CreateObservableGauge("vllm.num_requests_waiting_by_reason", () =>
        {
            var state = _state();
            return new[]
            {
                new Measurement<int>(state.Waiting - state.Unforked, new KeyValuePair<string, object?>("reason", "capacity")),
                new Measurement<int>(state.Unforked, new KeyValuePair<string, object?>("reason", "deferred")),
            };
        }, null, "Choices waiting: for room, or for the prompt that the first choice of their request computes.");
        _meter.CreateObservableGauge("vllm.engine_sleep_state", () => SleepStates
            .Select(s => new Measurement<int>(s == "awake" ? 1 : 0, new KeyValuePair<string, object?>("sleep_state", s))), null, "1 for the state that the engine is in, which is always awake.");
        _meter.CreateObservableGauge("vllm.kv_cache_usage_perc", () => _state().KvUsage, null, "Share of KV blocks in use, 0 to 1.");
        Total("vllm.prompt_tokens", () => PromptTokens, "Prompt tokens processed.");
        Total("vllm.prompt_tokens_cached", () => CachedPromptTokens, "Prompt tokens found in the prefix cache.");
        _meter.CreateObservableCounter("vllm.prompt_tokens_by_source", () => new[]
        {
            new Measurement<long>(PromptTokens - CachedPromptTokens, new KeyValuePair<string, object?>("source", "local_compute")),
            new Measurement<long>(CachedPromptTokens, new KeyValuePair<string, object?>("source", "local_cache_hit")),
        }, null, "Prompt tokens processed, by source.");
        Total("vllm.generation_tokens", () => GenerationTokens, "Tokens generated.");
        _meter.CreateObservableCounter("vllm.request_success", () => new[] { FinishReason.Stop, FinishReason.Length, FinishReason.Abort, FinishReason.Error }
            .Select(r => new Measurement<long>(Ended(r) + (r == FinishReason.Abort ? Ended(FinishReason.Timeout) : 0), new KeyValuePair<string, object?>("finished_reason", r.ToString().ToLowerInvariant()))), null, "Choices ended, by reason.");
        Total("vllm.num_preemptions", () => Preemptions, "Times a sequence gave up its blocks.");
        Total("vllm.prefix_cache_queries", () => PrefixQueries, "Tokens looked up in the prefix cache.");
        Total("vllm.prefix_cache_hits", () => PrefixHits, "Tokens found in the prefix cache.");
        Total("vllm.corrupted_requests", () => NonFiniteRows, "Requests ended for logits that were not finite.");
        Total("qwenserve.forced_tokens", () => ForcedTokens, "Tokens that a grammar forced and nobody drew.");
        Total("qwenserve.nonfinite_rows", () => NonFiniteRows, "Rows of logits that were not finite.");
        Total("qwenserve.prefix_cache_evictions", () => _state().Evictions, "Cached blocks given up to make room.");
        Total("qwenserve.steps", () => Steps, "Steps of the engine.");
        Total("qwenserve.requests_refused", () => Interlocked.Read(ref _refused), "Requests refused because the queue was full.");
        _meter.CreateObservableCounter("qwenserve.requests_timed_out", () => new[]
        {
            new Measurement<long>(TimedOutQueued, new KeyValuePair<string, object?>("stage", "queued")),
            new Measurement<long>(TimedOutRunning, new KeyValuePair<string, object?>("stage", "running")),
        }, null, "Requests ended by their deadline, by what they were at.");

        _timeToFirstToken = Seconds("vllm.time_to_first_token_seconds", FirstTokenBuckets, "From arrival to the first token.");
        _interTokenLatency = Seconds("vllm.inter_token_latency_seconds", TokenGapBuckets, "Between two tokens of a choice.");
        _fineTimeToFirstToken = Seconds("qwenserve.time_to_first_token_seconds", FineBuckets, "From arrival to the first token, in finer buckets.");
        _fineInterTokenLatency = Seconds("qwenserve.inter_token_latency_seconds", FineBuckets, "Between two tokens of a choice, in finer buckets.");
        _timePerOutputToken = Seconds("vllm.request_time_per_output_token_seconds", TokenGapBuckets, "Mean time between the tokens of a choice.");
        _endToEnd = Seconds("vllm.e2e_request_latency_seconds", LatencyBuckets, "From arrival to the last token.");
        _queueTime = Seconds("vllm.request_queue_time_seconds", LatencyBuckets, "From arrival to the first step.");
        _inferenceTime = Seconds("vllm.request_inference_time_seconds", LatencyBuckets, "From the first step to the last token.");
        _prefillTime = Seconds("vllm.request_prefill_time_seconds", LatencyBuckets, "From the first step to the first token.");
        _decodeTime = Seconds("vllm.request_decode_time_seconds", LatencyBuckets, "From the first token to the last.");
        _stepTime = Seconds("qwenserve.step_stage_seconds", StepBuckets, "Time of the engine thread by stage of a step.");
        _maskTime = Seconds("qwenserve.grammar_mask_seconds", [1e-6, 2e-6, 5e-6, .. StepBuckets], "Telling a grammar the last token and filling the mask of the next.");
        _iterationTokens = Tokens("vllm.iteration_tokens_total", IterationBuckets, "Prompt and generated tokens a step.");
        _requestPromptTokens = Tokens("vllm.request_prompt_tokens", lengths, "Prompt tokens a choice.");
        _requestGenerationTokens = Tokens("vllm.request_generation_tokens", lengths, "Generated tokens a choice.");
        _requestMaxGenerationTokens = Tokens("vllm.request_max_num_generation_tokens", lengths, "Generated tokens of a request's longest choice.");
        _requestMaxTokens = Tokens("vllm.request_params_max_tokens", lengths, "max_tokens of requests.");
        _requestPrefillComputed = Tokens("vllm.request_prefill_kv_computed_tokens", lengths, "Prompt tokens computed, those from the cache not counted.");
        _requestChoices = Tokens("vllm.request_params_n", [1, 2, 5, 10, 20], "n of requests.");

        void Total(string name, Func<long> read, string help) => _meter.CreateObservableCounter(name, read, null, help);
        Histogram<double> Seconds(string name, double[] buckets, string help)
            => _meter.CreateHistogram(name, "s", help, null, new InstrumentAdvice<double> { HistogramBucketBoundaries = buckets });
        Histogram<long> Tokens(string name, long[] buckets, string help)
            => _meter.CreateHistogram(name, null, help, null, new InstrumentAdvice<long> { HistogramBucketBoundaries = buckets });
    }

    private long _refused;

    /// <summary>The meter whose instruments these are; tells the figures of one engine from those of another in the same process.</summary>
    public Meter Meter => _meter;

    /// <summary>Engine thread: whether nothing is counted.</summary>
    internal bool Muted { get; set; }

    public int Running => _state().Running;

    public int Waiting => _state().Waiting;

    public double KvUsage => _state().KvUsage;

    public long PromptTokens { get; private set; }

    public long CachedPromptTokens { get; private set; }

    public long GenerationTokens { get; private set; }

    /// <summary>Those of <see cref="GenerationTokens"/> that a grammar forced and nobody drew.</summary>
    public long ForcedTokens { get; private set; }

    public long PrefixQueries { get; private set; }

    public long PrefixHits { get; private set; }

    public long Preemptions { get; private set; }

    public long NonFiniteRows { get; private set; }

    public long Steps { get; private set; }

    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>Requests whose deadline came before their first step.</summary>
    public long TimedOutQueued { get; private set; }

    /// <summary>Requests whose deadline came after their first step.</summary>
    public long TimedOutRunning { get; private set; }

    /// <summary>Choices that ended for this reason.</summary>
    public long Ended(FinishReason reason) => Volatile.Read(ref _ended[(int)reason]);

    public void Dispose() => _meter.Dispose();

    /// <summary>1, 2, 5, 10, … up to a limit.</summary>
    internal static long[] Buckets125(int limit)
    {
        var buckets = new List<long>();
        for (long decade = 1; decade <= limit; decade *= 10)
            foreach (long step in (ReadOnlySpan<long>)[1, 2, 5])
                if (decade * step <= limit) buckets.Add(decade * step);
        return [.. buckets];
    }

    internal void Observe(Func<(int Running, int Waiting, int Unforked, double KvUsage, long Evictions)> state) => _state = state;

    /// <summary>What the KV cache is, as the labels of a gauge that is always 1.</summary>
    internal void DescribeCache(params KeyValuePair<string, object?>[] labels)
        => _meter.CreateObservableGauge("vllm.cache_config_info", () => new Measurement<int>(1, labels), null, "The KV cache's configuration.");

    /// <summary>The device's memory by what it is, in bytes.</summary>
    internal void DescribeMemory(Func<(long KvCache, long Available)> memory)
        => _meter.CreateObservableGauge("qwenserve.device_memory_bytes", () =>
        {
            var (kvCache, available) = memory();
            return new[]
            {
                new Measurement<long>(kvCache, new KeyValuePair<string, object?>("kind", "kv_cache")),
                new Measurement<long>(available, new KeyValuePair<string, object?>("kind", "available")),
            };
        }, null, "Memory of the device: the KV cache, and what is left, as of the last time the engine looked.");

    internal void RequestRefused() => Interlocked.Increment(ref _refused);

    internal void PrefixLooked(int tokens, int hits)
    {
        if (Muted) return;
        PrefixQueries += tokens;
        PrefixHits += hits;
    }

    internal void Preempted()
    {
        if (!Muted) Preemptions++;
    }

    internal void NonFiniteRow()
    {
        if (!Muted) NonFiniteRows++;
    }

    /// <summary>Any thread.</summary>
    internal void MaskFilled(long ticks)
    {
        if (_maskTime.Enabled) _maskTime.Record((double)ticks / Stopwatch.Frequency);
    }

    internal void PromptComputed(SequenceGroup group)
    {
        if (Muted) return;
        PromptTokens += group.Request.Prompt.Length;
        CachedPromptTokens += group.CachedTokens;
    }

    internal void TokenDrawn(Sequence sequence, long now)
    {
        if (sequence.FirstTokenTimestamp == 0)
        {
            sequence.FirstTokenTimestamp = now;
            if (Muted) return;
            double first = Elapsed(sequence.Group.Request.ArrivalTimestamp, now);
            _timeToFirstToken.Record(first);
            _fineTimeToFirstToken.Record(first);
        }
        else if (_interTokenLatency.Enabled && !Muted)
        {
            double gap = Elapsed(sequence.LastTokenTimestamp, now);
            _interTokenLatency.Record(gap);
            _fineInterTokenLatency.Record(gap);
        }
    }

    internal void StepCommitted(int promptTokens, int generated)
    {
        if (Muted) return;
        Steps++;
        GenerationTokens += generated;
        _iterationTokens.Record(promptTokens + generated);
    }

    internal void TokensForced(int count)
    {
        GenerationTokens += count;
        ForcedTokens += count;
    }

    internal void TimedOut(bool queued)
    {
        if (queued) TimedOutQueued++;
        else TimedOutRunning++;
    }

    internal void StageTook(StepStage stage, long ticks)
    {
        if (_stepTime.Enabled && !Muted) _stepTime.Record((double)ticks / Stopwatch.Frequency, StageTags[(int)stage]);
    }

    internal void ChoiceEnded(Sequence sequence, FinishReason reason)
    {
        if (Muted) return;
        _ended[(int)reason]++;
        var group = sequence.Group;
        _requestPromptTokens.Record(sequence.PromptLength);
        _requestGenerationTokens.Record(sequence.OutputLength);
        if (group.ScheduledTimestamp == 0 || !_endToEnd.Enabled) return;
        long now = sequence.LastTokenTimestamp != 0 ? sequence.LastTokenTimestamp : Stopwatch.GetTimestamp();
        _endToEnd.Record(Elapsed(group.Request.ArrivalTimestamp, now));
        _queueTime.Record(Elapsed(group.Request.ArrivalTimestamp, group.ScheduledTimestamp));
        _inferenceTime.Record(Elapsed(group.ScheduledTimestamp, now));
        if (sequence.FirstTokenTimestamp == 0) return;
        _prefillTime.Record(Elapsed(group.ScheduledTimestamp, sequence.FirstTokenTimestamp));
        double decode = Elapsed(sequence.FirstTokenTimestamp, now);
        _decodeTime.Record(decode);
        if (sequence.OutputLength > 1) _timePerOutputToken.Record(decode / (sequence.OutputLength - 1));
    }

    internal void RequestEnded(SequenceGroup group)
    {
        if (Muted) return;
        _requestChoices.Record(group.Choices.Length);
        _requestMaxTokens.Record(group.MaxOutput);
        _requestPrefillComputed.Record(group.Request.Prompt.Length - group.CachedTokens);
        if (!_requestMaxGenerationTokens.Enabled) return;
        int longest = 0;
        foreach (var choice in group.Choices) longest = Math.Max(longest, choice.OutputLength);
        _requestMaxGenerationTokens.Record(longest);
    }

    private static double Elapsed(long from, long to) => Math.Max(0, (double)(to - from) / Stopwatch.Frequency);
}
