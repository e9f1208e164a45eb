using System.Diagnostics;
using QwenServe.Compute;
using QwenServe.Engine;
using QwenServe.Engine.Execution;
using QwenServe.Engine.Model;
using QwenServe.Hosting;
using QwenServe.Settings;

namespace QwenServe.Benchmarks;

/// <summary>
/// Decoding and prefill of a checkpoint through <see cref="InferenceEngine.Submit"/>, on any device: scheduler, paged cache, sampling, and ids in
/// the readers' hands. The server over HTTP is measured against these figures.
/// </summary>
internal static class EngineBenchmark
{
    private const string Usage = "engine --model DIR [--device auto|cpu|cuda] [--batches 1,8,32] [--context 500] [--steps 200] [--prefill 512,2048] [--threads N] [--sampled-only] [--greedy-only]\n  or, instead of --batches and --prefill: --concurrency 256 --requests 768 --context 512 --output 256";

    private static readonly SamplingParameters Greedy = new() { Temperature = 0, IgnoreEos = true };
    private static readonly SamplingParameters Sampled = new() { Temperature = 0.7f, TopP = 0.8f, TopK = 20, RepetitionPenalty = 1.05f, Seed = 1, IgnoreEos = true };

    public static int Run(string[] args)
    {
        RunAsync(new Options(args, Usage)).GetAwaiter().GetResult();
        return 0;
    }

    private static async Task RunAsync(Options options)
    {
        string directory = options.Required("model");
        int context = options.Integer("context") ?? 500, steps = options.Integer("steps") ?? 200;
        int[] batches = options.Integers("batches", 1, 8, 32), prefills = options.Integers("prefill", 512, 2048);
        var config = QwenConfig.Load(directory);
        int output = options.Integer("output") ?? 256;
        int length = Math.Min(config.MaxContextLength, Math.Max(context + (2 * steps) + (2 * batches.Max()) + output, prefills.Max() + 16));
        await using var engine = await StartAsync(directory, config, length, Math.Max(batches.Max(), options.Integer("concurrency") ?? 0), options).ConfigureAwait(false);
        var random = new Random(1);
        int[] Prompt(int tokens) => [.. Enumerable.Range(0, tokens).Select(_ => random.Next(engine.VocabularySize))];

        await FirstTokenAsync(engine, Prompt(16)).ConfigureAwait(false);
        using (var process = Process.GetCurrentProcess())
            Console.WriteLine($"{engine.DeviceDescription}; from the process's start to the first token {(DateTime.Now - process.StartTime).TotalSeconds:0.00} s");

        if (options.Integer("concurrency") is { } clients)
        {
            await ServeAsync(engine, Prompt, clients, options.Integer("requests") ?? 3 * clients, context, output).ConfigureAwait(false);
            return;
        }
        foreach (int batch in batches)
        {
            double? greedy = options.Flag("sampled-only") ? null : await DecodeAsync(engine, batch, Prompt, context, steps, Greedy).ConfigureAwait(false);
            double? sampled = options.Flag("greedy-only") ? null : await DecodeAsync(engine, batch, Prompt, context, steps, Sampled).ConfigureAwait(false);
            string line = $"decode, batch {batch}, context {context}..{context + steps}:";
            if (greedy is { } g) line += $" greedy {g:0.000} ms a step, {batch / g * 1000:0} tok/s;";
            if (sampled is { } s) line += $" temperature 0.7 top_p 0.8 top_k 20 repetition 1.05 {s:0.000} ms, {batch / s * 1000:0} tok/s";
            if (greedy is { } a && sampled is { } b) line += $" ({(b / a) - 1:+0.0%;-0.0%})";
            Console.WriteLine(line);
        }
        foreach (int tokens in prefills)
        {
            var times = new List<double>();
            for (int run = 0; run < 3; run++) times.Add(await FirstTokenAsync(engine, Prompt(tokens)).ConfigureAwait(false));
            Console.WriteLine($"prefill {tokens}: {Median(times):0.0} ms to the first token, {tokens / Median(times) * 1000:0} tok/s");
        }
    }

    private static Task<InferenceEngine> StartAsync(string directory, QwenConfig config, int length, int sequences, Options options) => InferenceEngine.StartAsync(() =>
    {
        var settings = new EngineSettings { Device = options.Text("device") ?? "auto", Threads = options.Integer("threads") };
        var device = Devices.Open(settings, config.Geometry, null, Console.Error.WriteLine);
        try
        {
            var defaults = EngineOptions.For(device.Kind, length);
            var engine = defaults with { MaxNumSeqs = Math.Max(defaults.MaxNumSeqs, sequences), EnablePrefixCaching = false };
            using var checkpoint = Checkpoint.Open(directory);
            var model = QwenModel.Load(checkpoint, device, null, length, null);
            uint[] every = new uint[(config.Geometry.VocabularySize + 31) / 32];
            every.AsSpan().Fill(uint.MaxValue);
            device.SetVocabulary(every);
            return (engine, ModelRunner.Create(device, config.Geometry, model.Forward, engine, model, model.ReadHidden, model.Generates));
        }
        catch
        {
            device.Dispose();
            throw;
        }
    });

    /// <summary>A closed loop of requests as the load benchmark sends over HTTP, without what lies above the engine.</summary>
    private static async Task ServeAsync(InferenceEngine engine, Func<int, int[]> prompt, int clients, int requests, int context, int output)
    {
        long tokens = 0;
        int[][] prompts = [.. Enumerable.Range(0, requests + clients).Select(_ => prompt(context))];
        await RunAsync(requests, requests + clients).ConfigureAwait(false);
        long start = Stopwatch.GetTimestamp();
        long before = tokens;
        await RunAsync(0, requests).ConfigureAwait(false);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Console.WriteLine($"{requests} requests of {context} in, {output} out, {clients} at a time: {seconds:0.00} s, {(tokens - before) / seconds:0} tok/s out");

        async Task RunAsync(int from, int to)
        {
            int next = from - 1;
            await Task.WhenAll(Enumerable.Range(0, clients).Select(_ => Task.Run(async () =>
            {
                for (int i; (i = Interlocked.Increment(ref next)) < to;)
                {
                    await using var stream = engine.Submit(new GenerationRequest { Id = $"request-{i}", Prompt = prompts[i], MaxTokens = output, Sampling = Greedy });
                    await foreach (var token in stream.WithCancellation(CancellationToken.None).ConfigureAwait(false))
                    {
                        Check(token);
                        if (token.Token >= 0) Interlocked.Increment(ref tokens);
                    }
                }
            }))).ConfigureAwait(false);
        }
    }

    /// <summary>Milliseconds from the submission of a prompt to its first token.</summary>
    private static async Task<double> FirstTokenAsync(InferenceEngine engine, int[] prompt)
    {
        long start = Stopwatch.GetTimestamp();
        await using var stream = engine.Submit(new GenerationRequest { Id = "prefill", Prompt = prompt, MaxTokens = 1, Sampling = Greedy });
        await foreach (var next in stream.WithCancellation(CancellationToken.None).ConfigureAwait(false)) Check(next);
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    /// <summary>
    /// The median time between two tokens of one sequence while all of the batch decode, in milliseconds. The sequences are long enough
    /// that the measured steps lie after the last prompt and before the first end.
    /// </summary>
    private static async Task<double> DecodeAsync(InferenceEngine engine, int batch, Func<int, int[]> prompt, int context, int steps, SamplingParameters sampling)
    {
        int started = 0, first = 0, last = 0;
        var stamps = new List<long>();
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var readers = new Task[batch];
        var streams = new GenerationStream[batch];
        for (int i = 0; i < batch; i++)
            streams[i] = engine.Submit(new GenerationRequest { Id = $"decode-{i}", Prompt = prompt(context), MaxTokens = steps + 8 + (2 * batch), Sampling = sampling });
        for (int i = 0; i < batch; i++)
        {
            int sequence = i;
            readers[i] = Task.Run(async () =>
            {
                await using var stream = streams[sequence];
                bool begun = false;
                await foreach (var next in stream.WithCancellation(CancellationToken.None).ConfigureAwait(false))
                {
                    Check(next);
                    if (sequence == 0) stamps.Add(Stopwatch.GetTimestamp());
                    if (!begun && Interlocked.Increment(ref started) == batch)
                    {
                        Volatile.Write(ref first, Volatile.Read(ref last) + 2);
                        all.SetResult();
                    }
                    begun = true;
                    if (sequence == 0)
                    {
                        Volatile.Write(ref last, stamps.Count);
                        if (all.Task.IsCompleted && stamps.Count >= Volatile.Read(ref first) + steps + 1) return;
                    }
                    else if (readers[0] is { IsCompleted: true })
                    {
                        return;
                    }
                }
            });
        }
        await Task.WhenAll(readers).ConfigureAwait(false);
        var gaps = new List<double>();
        for (int i = first; i < Math.Min(stamps.Count, first + steps + 1); i++)
            if (i > 0) gaps.Add(Stopwatch.GetElapsedTime(stamps[i - 1], stamps[i]).TotalMilliseconds);
        if (gaps.Count < steps) throw new InvalidOperationException($"only {gaps.Count} of {steps} steps had the whole batch");
        return Median(gaps);
    }

    private static void Check(TokenEvent next)
    {
        if (next.Finish == FinishReason.Error) throw new InvalidOperationException(next.Error);
    }

    private static double Median(List<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }
}
