using System.Collections.Concurrent;
using QwenServe.Compute;
using QwenServe.Compute.Cuda;
using QwenServe.Compute.Reference;

namespace QwenServe.Benchmarks;

/// <summary>
/// Every operation of the CUDA device against the scalar oracle on random models: head sizes, group ratios, page sizes, windows, batch
/// sizes on every path of the linear layers, graphs on and off, sampling with everything. One line a case; the exit code counts failures.
/// </summary>
internal static class CudaCheck
{
    public static int Run(string[] args)
    {
        var options = new Options(args, "cuda-check [--only TEXT] [--quick] [--threads N]");
        string only = options.Text("only") ?? "";
        bool quick = options.Flag("quick");
        using (var probe = CudaDevice.TryOpen(0, out string reason))
        {
            if (probe is null)
            {
                Console.Error.WriteLine(reason);
                return 2;
            }
            Console.WriteLine(probe.Description);
        }
        CudaDevice.KeepsAlgorithms = false;
        var cases = new List<(string Name, Func<(bool Passed, string Detail)> Run)>();
        foreach (int batch in new[] { 160, 100, 64, 33, 24, 16, 9, 8, 5, 3, 2, 1 })
            cases.Add(($"batch {batch}, prompts then decoding, eager, recorded and replayed", () => Batch(batch)));
        foreach (int vocabulary in quick ? [5000] : new[] { 151936, 5000, 300 }) cases.Add(($"sampling from {vocabulary}", () => Sampling(vocabulary)));
        foreach (var c in OperationCases())
            cases.Add((c.Name, () =>
            {
                using var device = Open();
                using var oracle = new ReferenceDevice();
                if (c.Geometry.ExpertCount > 0) return Experts(c, device, oracle);
                double difference = c.Compare(device, oracle);
                // Activations are rounded to bf16 at every operation: 2^-9 relative each, and the worst of many thousand logits counts.
                return (difference < 0.06, $"worst difference {difference:0.0000} of the deviation");
            }
            ));
        cases.Add(("block copy", BlockCopy));
        cases.Add(("hidden states", HiddenStates));
        cases.Add(("NaN rows end alone", NotANumber));
        cases.RemoveAll(c => !c.Name.Contains(only, StringComparison.Ordinal));

        // The oracle takes nearly all of the time, one core a case.
        int failures = 0;
        int threads = options.Integer("threads") ?? Math.Clamp(Environment.ProcessorCount - 1, 1, 12);
        foreach (var (name, passed, detail) in Partitioner.Create(cases, EnumerablePartitionerOptions.NoBuffering).AsParallel().AsOrdered().WithDegreeOfParallelism(threads).WithMergeOptions(ParallelMergeOptions.NotBuffered).Select(Try))
        {
            if (!passed) failures++;
            Console.WriteLine($"{(passed ? "ok    " : "FAILED")} {name}: {detail}");
        }
        Console.WriteLine(failures == 0 ? $"all {cases.Count} cases passed" : $"{failures} of {cases.Count} cases failed");
        return Math.Min(failures, 100);
    }

    private static (string Name, bool Passed, string Detail) Try((string Name, Func<(bool Passed, string Detail)> Run) one)
    {
        try
        {
            var (passed, detail) = one.Run();
            return (one.Name, passed, detail);
        }
#pragma warning disable CA1031 // Whatever it is, the other cases go on.
        catch (Exception problem)
#pragma warning restore CA1031
        {
            return (one.Name, false, problem.Message);
        }
    }

    private static CudaDevice Open() => CudaDevice.TryOpen(0, out string reason) ?? throw new InvalidOperationException(reason);

    private static readonly ModelGeometry Small = new()
    {
        HiddenSize = 256,
        LayerCount = 2,
        HeadCount = 4,
        KvHeadCount = 2,
        HeadDim = 64,
        IntermediateSize = 464,
        VocabularySize = 300,
        RmsNormEpsilon = 1e-6f,
    };

    private static IEnumerable<OperationCase> OperationCases()
    {
        var basic = new OperationCase { Name = "", Geometry = Small, Operations = (_, _) => { }, Weights = DType.BF16, Cache = DType.BF16 };
        yield return basic with { Name = "Embed NormLogits" };
        yield return basic with { Name = "Embed NormLogits tied, 302 ids", Tied = true, Geometry = Small with { VocabularySize = 302 } };
        foreach (DType type in new[] { DType.F32, DType.F16 }) yield return basic with { Name = $"from {type}", Weights = type, Convert = DType.BF16, Operations = Whole };
        foreach (var (hidden, inner) in new[] { (256, 464), (96, 176), (80, 48), (896, 4864), (1040, 2064), (320, 192) })
            yield return basic with
            {
                Name = $"NormGateUpSwiglu DownAdd {hidden} x {inner}",
                Geometry = Small with { HiddenSize = hidden, IntermediateSize = inner },
                Operations = (m, _) => m.Mlp(0),
            };
        foreach (var (heads, kvHeads, dim) in new[] { (1, 1, 64), (4, 4, 128), (5, 1, 128), (10, 2, 64), (6, 1, 128), (7, 1, 64), (14, 2, 64), (7, 1, 128), (8, 1, 128), (16, 1, 64) })
            yield return basic with { Name = $"attention, {heads}/{kvHeads} heads of {dim}", Geometry = Small with { HeadCount = heads, KvHeadCount = kvHeads, HeadDim = dim }, Operations = Attention };
        foreach (int blockSize in new[] { 16, 32, 64, 256 })
            yield return basic with { Name = $"attention, blocks of {blockSize}", BlockSize = blockSize, Operations = Attention };
        foreach (int window in new[] { 1, 7, 16, 64, 65, 100 })
            yield return basic with { Name = $"attention, window {window}", Window = window, Operations = Attention };
        foreach (int window in new[] { 33, 64 })
            yield return basic with { Name = $"attention, window {window}, heads of 128", Window = window, Geometry = Small with { HeadDim = 128 }, Operations = Attention };
        foreach (var (experts, used, width, normalise) in new[] { (6, 2, 48, false), (60, 4, 64, true), (8, 8, 80, false) })
            yield return basic with
            {
                Name = $"NormRouteExperts {used} of {experts}",
                Geometry = Small with { ExpertCount = experts, ExpertsPerToken = used, ExpertIntermediateSize = width, SharedExpertIntermediateSize = 144, NormalizeExpertWeights = normalise },
                Operations = (m, _) => m.Mlp(0),
            };
        yield return basic with { Name = "whole model", Operations = Whole };
        yield return basic with { Name = "whole model, hidden 320", Geometry = Small with { HiddenSize = 320 }, Operations = Whole };
        yield return basic with { Name = "whole model, 7 heads of 128", Geometry = Small with { HeadCount = 7, KvHeadCount = 1, HeadDim = 128, HiddenSize = 512 }, Operations = Whole };
    }

    private static void Attention(LoadedModel model, OperationCase c) => model.Attention(0, c.Window);

    private static void Whole(LoadedModel model, OperationCase c)
    {
        for (int i = 0; i < model.Layers.Length; i++)
        {
            model.Attention(i, c.Window);
            model.Mlp(i);
        }
    }

    /// <summary>Rounding may choose another expert of two that are nearly equal, so a few rows may lie outside the bound.</summary>
    private static (bool, string) Experts(OperationCase c, IDevice device, IDevice oracle)
    {
        float[][] a = c.Execute(device), b = c.Execute(oracle);
        int outside = 0;
        for (int r = 0; r < b.Length; r++)
        {
            double deviation = Math.Sqrt(b[r].Average(x => (double)x * x));
            if (!b[r].Zip(a[r]).All(p => Math.Abs(p.First - p.Second) < 0.06 * deviation)) outside++;
        }
        return (outside <= b.Length / 30, $"{outside} of {b.Length} rows chose other experts");
    }

    /// <summary>Prompts of all lengths, then four decoding steps; the oracle, the recorded and the eager run must agree, the last two bit for bit.</summary>
    private static (bool, string) Batch(int count)
    {
        var geometry = Small with { VocabularySize = 320, HeadCount = 7, KvHeadCount = 1, HiddenSize = count % 2 == 0 ? 256 : 320 };
        using var graphs = Open();
        using var eager = Open();
        eager.UseGraphs = false;
        using var oracle = new ReferenceDevice();
        float[][] a = Play(graphs), b = Play(eager), expected = Play(oracle);
        double worst = 0;
        bool equal = true;
        for (int r = 0; r < expected.Length; r++)
        {
            double deviation = Math.Sqrt(expected[r].Average(x => (double)x * x));
            for (int i = 0; i < expected[r].Length; i++)
            {
                worst = double.IsNaN(a[r][i]) ? double.PositiveInfinity : Math.Max(worst, Math.Abs(a[r][i] - expected[r][i]) / deviation);
                equal &= a[r][i] == b[r][i];
            }
        }
        return (worst < 0.06 && equal, $"worst difference {worst:0.0000} of the deviation, {(equal ? "equal bits" : "BITS DIFFER")} with graphs and without");

        float[][] Play(IDevice device)
        {
            var model = new RandomModel(geometry, DType.BF16, false, 11);
            using var loaded = model.Load(device);
            var random = new Random(5);
            const int Longest = 96;
            var driver = new StepDriver(device, geometry, new StepLimits(count * Longest, count, count * Longest, Longest), count * Longest / 16, 16, DType.BF16, () => loaded.Forward(0));
            var sequences = Enumerable.Range(0, count).Select(s => new DrivenSequence(
                [.. Enumerable.Range(0, Longest).Select(_ => random.Next(geometry.VocabularySize))], s, [.. Enumerable.Range(0, Longest / 16).Select(i => i * count + s)])).ToArray();
            var logits = new List<float[]>();
            // Those with one token come first.
            logits.AddRange(driver.Step([.. sequences.Select((s, i) => (s, i < count / 4 ? 1 : 1 + i * 37 % 90))]));
            for (int step = 0; step < 4; step++) logits.AddRange(driver.Step([.. sequences.Select(s => (s, 1))]));
            return [.. logits];
        }
    }

    private static (bool, string) Sampling(int vocabulary)
    {
        var geometry = Small with { VocabularySize = vocabulary, LayerCount = 1, HiddenSize = 64, HeadCount = 1, KvHeadCount = 1, IntermediateSize = 64 };
        using var device = Open();
        using var oracle = new ReferenceDevice();
        const int Rows = 24;
        var (first, logits) = Play(device, null);
        // The oracle samples from the device's own logits, so that only sampling is compared.
        var (second, _) = Play(oracle, logits);
        int wrong = 0, rounding = 0, checkedRows = 0;
        string what = "";
        for (int step = 0; step < first.Count; step++)
            for (int r = 0; r < Rows; r++)
            {
                var (a, b) = (first[step], second[step]);
                checkedRows++;
                bool same = a.Tokens[r] == b.Tokens[r] && a.Status[r] == b.Status[r];
                bool close = true;
                if (Row(r, step, vocabulary).TopLogProbs >= 0 && same)
                {
                    close &= Math.Abs(a.LogProbs[r] - b.LogProbs[r]) < 1e-4;
                    for (int i = 0; i < Row(r, step, vocabulary).TopLogProbs; i++)
                        close &= a.TopTokens[r * 20 + i] == b.TopTokens[r * 20 + i] && Math.Abs(a.TopLogProbs[r * 20 + i] - b.TopLogProbs[r * 20 + i]) < 1e-4;
                }
                if (!same && Row(r, step, vocabulary).Temperature > 0) rounding++;
                else if (!same || !close)
                {
                    wrong++;
                    what += $" [step {step} row {r}: {a.Tokens[r]} {b.Tokens[r]} {a.LogProbs[r]} {b.LogProbs[r]}]";
                }
            }
        // Masses in fp32 may put a draw on the other side of a border once in a great while.
        return (wrong == 0 && rounding <= 1 + checkedRows / 200, $"{checkedRows} rows, {wrong} wrong, {rounding} draws off by rounding{what}");

        (List<SamplingResults>, float[][]) Play(IDevice on, float[][]? given)
        {
            var model = new RandomModel(geometry, DType.BF16, false, 3);
            using var loaded = model.Load(on);
            uint[] ids = new uint[(vocabulary + 31) / 32];
            for (int i = 0; i < vocabulary - 7; i++) ids[i / 32] |= 1u << i % 32;
            on.SetVocabulary(ids);
            var driver = new StepDriver(on, geometry, new StepLimits(Rows, Rows, Rows, 64), Rows * 4, 16, on.DefaultKvType, () => loaded.Forward(0));
            var random = new Random(9);
            var sequences = Enumerable.Range(0, Rows).Select(s => new DrivenSequence(
                [.. Enumerable.Range(0, 16).Select(_ => random.Next(vocabulary - 7))], s, [s * 4, s * 4 + 1, s * 4 + 2, s * 4 + 3])).ToArray();
            for (int s = 0; s < Rows; s++) on.AssignSlot(s, sequences[s].Tokens.AsSpan(0, 4), sequences[s].Tokens.AsSpan(4, s % 3));
            var all = new List<SamplingResults>();
            var read = new List<float[]>();
            for (int step = 0; step < 6; step++)
            {
                driver.StepLast([.. sequences.Select(s => (s, 1))]);
                if (given is null)
                    for (int r = 0; r < Rows; r++)
                    {
                        float[] row = new float[vocabulary];
                        on.ReadLogits(r, row);
                        read.Add(row);
                    }
                else ((ReferenceDevice)on).SetLogits([.. Enumerable.Range(0, Rows).SelectMany(r => given[step * Rows + r])]);
                var inputs = new SamplingInputs(Rows, vocabulary) { Count = Rows, MaskCount = 2, Masks = new uint[2 * ids.Length] };
                var bits = new Random(17 + step);
                for (int i = 0; i < vocabulary; i++)
                {
                    if (bits.Next(3) == 0) inputs.Masks[i / 32] |= 1u << i % 32;
                    if (bits.Next(vocabulary) < 4) inputs.Masks[ids.Length + i / 32] |= 1u << i % 32;
                }
                for (int r = 0; r < Rows; r++)
                {
                    var row = Row(r, step, vocabulary);
                    row.BiasStart = inputs.Biases.Count;
                    for (int i = 0; i < row.BiasCount; i++) inputs.Biases.Add(new TokenBias(bits.Next(vocabulary - 7), i % 4 == 0 ? float.NegativeInfinity : bits.Next(-20, 20) / 4f));
                    inputs.Rows[r] = row;
                }
                on.Sample(inputs);
                var results = new SamplingResults(Rows);
                on.Complete(results);
                all.Add(results);
            }
            return (all, [.. read]);
        }
    }

    private static SamplingRow Row(int r, int step, int vocabulary) => new()
    {
        LogitRow = r,
        Slot = r,
        Target = r == 23 ? 11 + step : -1,
        Temperature = r % 6 == 0 ? 0 : 0.5f + r % 4 * 0.4f,
        TopK = (r % 5) switch { 0 => 0, 1 => 20, 2 => 1, 3 => 64, _ => 200 },
        TopP = r % 7 == 3 || r % 7 == 5 ? 1 : 0.6f + r % 3 * 0.15f,
        MinP = r % 8 == 7 ? 0.05f : 0,
        PresencePenalty = r % 9 == 4 ? 0.7f : 0,
        FrequencyPenalty = r % 9 == 5 ? 0.4f : 0,
        RepetitionPenalty = r % 4 == 1 ? 1.3f : 1,
        Seed = (ulong)(1234567 * r + 99),
        Position = 10 + step,
        TopLogProbs = (r % 4) switch { 0 => -1, 1 => 0, 2 => 5, _ => 20 },
        BiasCount = r % 10 == 6 ? 12 : 0,
        MaskRow = r % 11 == 8 ? 0 : r % 11 == 9 ? 1 : -1,
    };

    private static (bool, string) BlockCopy()
    {
        using var device = Open();
        var model = new RandomModel(Small, DType.BF16, false, 4);
        using var loaded = model.Load(device);
        var driver = new StepDriver(device, Small, new StepLimits(64, 2, 64, 64), 8, 16, DType.BF16, () => loaded.Forward(0));
        int[] tokens = [.. Enumerable.Range(0, 40).Select(i => i * 7 % 300)];
        var first = new DrivenSequence(tokens, 0, [3, 5, 6, 0]);
        driver.Step((first, 30));
        device.CopyBlock(3, 2);
        device.CopyBlock(5, 7);
        var second = new DrivenSequence(tokens, 1, [2, 7, 4, 1]) { Computed = 30 };
        float[][] logits = driver.Step((first, 1), (second, 1));
        bool equal = logits[0].AsSpan().SequenceEqual(logits[1]);
        return (equal, equal ? "a copied prefix gives equal bits" : "a copied prefix gives other bits");
    }

    /// <summary>The last norm of the residual stream, read back for a prompt's tokens.</summary>
    private static (bool, string) HiddenStates()
    {
        using var device = Open();
        using var oracle = new ReferenceDevice();
        float[] a = Play(device), b = Play(oracle);
        double deviation = Math.Sqrt(b.Average(x => (double)x * x)), worst = a.Zip(b).Max(p => Math.Abs(p.First - p.Second)) / deviation;
        return (worst < 0.06, $"worst difference {worst:0.0000} of the deviation");

        static float[] Play(IDevice on)
        {
            var model = new RandomModel(Small, DType.BF16, false, 4);
            using var loaded = model.Load(on);
            var driver = new StepDriver(on, Small, new StepLimits(64, 2, 64, 64), 8, 16, DType.BF16, () => loaded.Forward(0));
            driver.Step((new DrivenSequence([.. Enumerable.Range(0, 40)], 0, [3, 5, 6, 0]), 33));
            float[] rows = new float[5 * Small.HiddenSize];
            on.ReadHidden(loaded.FinalNorm, [0, 1, 2, 17, 32], rows);
            return rows;
        }
    }

    private static (bool, string) NotANumber()
    {
        using var device = Open();
        var model = new RandomModel(Small, DType.BF16, false, 4);
        using var loaded = model.Load(device);
        var driver = new StepDriver(device, Small, new StepLimits(64, 2, 64, 64), 8, 16, DType.BF16, () => loaded.Forward(0));
        var first = new DrivenSequence([.. Enumerable.Range(0, 40)], 0, [3, 5, 6, 0]);
        var second = new DrivenSequence([.. Enumerable.Range(0, 40)], 1, [1, 2, 4, 7]);
        driver.Step((first, 20), (second, 20));
        device.PoisonCache(3);
        float[][] logits = driver.Step((first, 1), (second, 1));
        bool ended = logits[0].Any(float.IsNaN), alone = !logits[1].Any(float.IsNaN);
        var inputs = new SamplingInputs(2, Small.VocabularySize) { Count = 2 };
        for (int r = 0; r < 2; r++) inputs.Rows[r] = new SamplingRow { LogitRow = r, Slot = r, Target = -1, TopP = 1, RepetitionPenalty = 1, TopLogProbs = -1, MaskRow = -1 };
        device.Sample(inputs);
        var results = new SamplingResults(2);
        device.Complete(results);
        bool flagged = results.Status[0] == SampleStatus.NonFinite && results.Status[1] == SampleStatus.Sampled;
        return (ended && alone && flagged, $"the poisoned row is NaN: {ended}, its neighbour is not: {alone}, statuses tell: {flagged}");
    }
}
