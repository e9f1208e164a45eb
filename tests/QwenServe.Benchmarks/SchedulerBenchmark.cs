using System.Diagnostics;
using System.Globalization;
using QwenServe.Compute;
using QwenServe.Engine;
using QwenServe.Engine.Execution;

namespace QwenServe.Benchmarks;

/// <summary>
/// What a step costs on the engine thread beside the device: schedule, inputs, commit and events, with a device that does nothing. Events are
/// read by other threads meanwhile, as a server would.
/// </summary>
internal static class SchedulerBenchmark
{
    private const string Usage = "scheduler [--sequences 256] [--context 1000] [--steps 200] [--rounds 9] [--overlap] [--log-probs] [--waiting 0] [--tenants 1]";

    private static int _waiting;
    private static int _tenants = 1;

    private static readonly ModelGeometry Geometry = new()
    {
        HiddenSize = 896,
        LayerCount = 24,
        HeadCount = 14,
        KvHeadCount = 2,
        HeadDim = 64,
        IntermediateSize = 4864,
        VocabularySize = 151936,
        RmsNormEpsilon = 1e-6f,
    };

    public static int Run(string[] args)
    {
        var given = new Options(args, Usage);
        int sequences = given.Integer("sequences") ?? 256;
        int context = given.Integer("context") ?? 1000;
        int steps = given.Integer("steps") ?? 200;
        int rounds = given.Integer("rounds") ?? 9;
        bool overlap = given.Flag("overlap");
        Print($"{sequences} sequences of {context} tokens and more, {(overlap ? "overlapped" : "plain")} steps, {rounds} rounds of {steps}");

        bool logProbs = given.Flag("log-probs");
        _waiting = given.Integer("waiting") ?? 0;
        _tenants = given.Integer("tenants") ?? 1;
        if (_waiting > 0) Print($"{_waiting} requests of {_tenants} tenants waiting meanwhile, each with a deadline");
        // The runtime compiles a method again, better, after some calls and a tenth of a second.
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalSeconds < 2;) Measure(sequences, context, 200, 2, overlap, logProbs, readers: false);
        var (alone, bytes) = Measure(sequences, context, steps, rounds, overlap, logProbs, readers: false);
        Report("step, events taken between steps", alone, sequences);
        Print($"allocated on the engine thread: {(double)bytes / rounds / steps:0.00} bytes a step");
        var (read, _) = Measure(sequences, context, steps, rounds, overlap, logProbs, readers: true);
        Report("step, a reader a sequence awaiting on the pool", read, sequences);
        if (_tenants > 1) MeasureFairness(sequences);
        return 0;
    }

    /// <summary>Steps from a request's arrival to its first token while a thousand of one tenant wait: from that tenant, and from another.</summary>
    private static void MeasureFairness(int sequences)
    {
        foreach (string tenant in new[] { "other", "same" })
        {
            var options = new EngineOptions { MaxModelLength = 256, MaxNumSeqs = Math.Min(sequences, 64), MaxQueuedRequests = 2000, KvCacheBytes = 1L << 30 };
            using var device = new IdleDevice();
            var engine = new InferenceEngine(options, ModelRunner.Create(device, Geometry, () => { }, options));
            for (int i = 0; i < 1000; i++) engine.Submit(Short(i, "same"));
            for (int i = 0; i < 100; i++) Step(engine);
            var lone = engine.Submit(Short(1000, tenant));
            int steps = 0;
            for (; !lone.TryRead(out _); steps++) Step(engine);
            Print($"first token of one request behind 1000 of 64 tokens, 64 at once, {tenant} tenant: {steps} steps");
            engine.StopAsync(TimeSpan.Zero);
            engine.Run();
        }

        static GenerationRequest Short(int id, string tenant) => new()
        {
            Id = $"{id}",
            Prompt = [.. Enumerable.Range(id, 32)],
            MaxTokens = 64,
            Sampling = new SamplingParameters { IgnoreEos = true },
            Tenant = tenant,
        };
    }

    private static (List<double> Microseconds, long Bytes) Measure(int sequences, int context, int steps, int rounds, bool overlap, bool logProbs, bool readers)
    {
        int length = context + (rounds + 2) * steps + 64;
        var options = new EngineOptions
        {
            MaxModelLength = length,
            MaxNumSeqs = sequences,
            MaxNumBatchedTokens = 8192,
            OverlapSteps = overlap,
            MaxQueuedTokens = long.MaxValue,
            MaxQueuedRequests = 1 << 20,
            KvCacheBytes = (long)sequences * (length + 32) * Geometry.KvElementsPerToken * 4,
        };
        using var device = new IdleDevice();
        var engine = new InferenceEngine(options, ModelRunner.Create(device, Geometry, () => { }, options));
        var random = new Random(1);
        var streams = new List<GenerationStream>();
        for (int i = 0; i < sequences; i++)
        {
            var prompt = new int[context];
            foreach (ref int token in prompt.AsSpan()) token = random.Next(150000);
            streams.Add(engine.Submit(new GenerationRequest
            {
                Id = $"{i}",
                Prompt = prompt,
                Sampling = new SamplingParameters { Seed = i, IgnoreEos = true, LogProbs = logProbs ? 5 : null },
            }));
        }
        var reading = readers ? streams.Select(s => Task.Run(() => ReadAll(s))).ToArray() : [];
        do Step(engine);
        while (engine.Metrics.GenerationTokens < sequences || engine.Metrics.Waiting > 0);

        for (int i = 0; i < _waiting; i++)
            engine.Submit(new GenerationRequest { Id = $"w{i}", Prompt = [1, 2, 3], Tenant = $"tenant-{i % _tenants}", Timeout = TimeSpan.FromHours(1) });
        var costs = new List<double>();
        long bytes = 0;
        for (int round = -1; round < rounds; round++)
        {
            long ticks = 0;
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < steps; i++)
            {
                long start = Stopwatch.GetTimestamp();
                Step(engine);
                ticks += Stopwatch.GetTimestamp() - start;
                if (readers) continue;
                foreach (var stream in streams)
                    while (stream.TryRead(out _)) { }
            }
            if (round < 0) continue;
            bytes += GC.GetAllocatedBytesForCurrentThread() - before;
            costs.Add(1e6 * ticks / Stopwatch.Frequency / steps);
        }
        engine.StopAsync(TimeSpan.Zero);
        engine.Run();
        Task.WaitAll(reading);
        return (costs, bytes);
    }

    private static async Task ReadAll(GenerationStream stream)
    {
        await foreach (var _ in stream) { }
    }

    private static void Report(string what, List<double> costs, int sequences)
    {
        costs.Sort();
        double median = costs[costs.Count / 2];
        Print($"{what}: median {median:0.0} us, least {costs[0]:0.0}, most {costs[^1]:0.0}; {1000 * median / sequences:0} ns a token");
    }

    private static void Print(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    private static void Step(InferenceEngine engine)
    {
        engine.Loop.Receive(wait: false);
        engine.Loop.Step();
    }
}
