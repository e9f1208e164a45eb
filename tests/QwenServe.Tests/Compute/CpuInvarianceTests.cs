using QwenServe.Compute;
using QwenServe.Compute.Cpu;
using QwenServe.Compute.Reference;

namespace QwenServe.Tests.Compute;

/// <summary>A sequence's logits are the same bits whatever surrounds it.</summary>
public class CpuInvarianceTests
{
    private const int Length = 150;

    private static readonly ModelGeometry Dense = new()
    {
        HiddenSize = 128,
        LayerCount = 2,
        HeadCount = 6,
        KvHeadCount = 2,
        HeadDim = 40,
        IntermediateSize = 320,
        VocabularySize = 500,
        RmsNormEpsilon = 1e-6f,
    };

    private static readonly ModelGeometry Sparse = Dense with
    {
        ExpertCount = 5,
        ExpertsPerToken = 2,
        ExpertIntermediateSize = 48,
        SharedExpertIntermediateSize = 64,
    };

    [Theory]
    [InlineData(false, DType.BF16, DType.F32, 0)]
    [InlineData(false, DType.F16, DType.F16, 0)]
    [InlineData(false, DType.F32, DType.BF16, 33)]
    [InlineData(true, DType.BF16, DType.F32, 0)]
    public void Logits_do_not_depend_on_how_the_prompt_was_cut(bool sparse, DType weights, DType cache, int window)
    {
        float[][] whole = Compute(sparse, weights, cache, window, 16, 2, [Length]);
        foreach (int[] cuts in new int[][] { [1, 149], [64, 86], [7, 1, 60, 82], [100, 50], [Length - 1, 1] })
            Same(whole, Compute(sparse, weights, cache, window, 16, 2, cuts));
        Same(whole, Compute(sparse, weights, cache, window, 16, 2, [.. Enumerable.Repeat(1, Length)]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Logits_do_not_depend_on_block_size_or_threads(bool sparse)
    {
        float[][] expected = Compute(sparse, DType.BF16, DType.F32, 0, 16, 1, [Length]);
        foreach (int blockSize in new[] { 1, 3, 8, 32, 128 }) Same(expected, Compute(sparse, DType.BF16, DType.F32, 0, blockSize, 2, [90, 60]));
        foreach (int threads in new[] { 2, 3, 4 }) Same(expected, Compute(sparse, DType.BF16, DType.F32, 0, 16, threads, [Length]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Logits_do_not_depend_on_the_rest_of_the_batch(bool sparse)
    {
        float[][] alone = Compute(sparse, DType.BF16, DType.F32, 0, 16, 2, [.. Enumerable.Repeat(1, Length)]);
        foreach (int others in new[] { 1, 2, 3, 4, 5, 7, 11, 12, 15, 23 }) Same(alone[140..], ComputeAmong(sparse, others));
    }

    /// <summary>A query's keys are computed in ranges of 512 positions, which threads share where a step has little else to do.</summary>
    [Theory]
    [InlineData(DType.F32, 0, 16)]
    [InlineData(DType.BF16, 700, 16)]
    [InlineData(DType.F32, 520, 8)]
    public void Long_contexts_are_the_same_however_their_keys_are_shared_out(DType cache, int window, int blockSize)
    {
        const int length = 1100;
        using var reference = new ReferenceDevice();
        float[][] right = Compute(reference, Dense, DType.F32, cache, window, 16, length, [length]);
        using var alone = new CpuDevice(new CpuOptions { Threads = 1 });
        float[][] expected = Compute(alone, Dense, DType.F32, cache, window, 16, length, [length]);
        for (int i = 0; i < length; i++)
            for (int j = 0; j < expected[i].Length; j++) Assert.Equal(right[i][j], expected[i][j], cache == DType.F32 ? 2e-3 : 5e-2);
        foreach (int threads in new[] { 1, 2, 4 })
        {
            int[] cuts = [600, 3, 420, 20, 40, .. Enumerable.Repeat(1, 17)];
            using var device = new CpuDevice(new CpuOptions { Threads = threads });
            Same(expected, Compute(device, Dense, DType.F32, cache, window, blockSize, length, cuts));
        }
    }

    [Fact]
    public void A_copied_block_serves_like_the_one_it_was_copied_from()
    {
        using var device = new CpuDevice(new CpuOptions { Threads = 2 });
        using var model = new RandomModel(Dense, DType.BF16, tied: true, seed: 5).Load(device);
        var driver = new StepDriver(device, Dense, new StepLimits(64, 2, 64, 64), 8, 16, DType.F32, () => model.Forward(0));
        int[] tokens = Tokens(1, 40);
        var original = new DrivenSequence(tokens, 0, [0, 1, 2]);
        driver.Step((original, 39));
        for (int block = 0; block < 3; block++) device.CopyBlock(block, 7 - block);
        var copy = new DrivenSequence(tokens, 1, [7, 6, 5]) { Computed = 39 };
        float[][] logits = driver.Step((original, 1), (copy, 1));
        Assert.Equal(logits[0], logits[1]);
    }

    private static float[][] Compute(bool sparse, DType weights, DType cache, int window, int blockSize, int threads, int[] cuts)
    {
        using var device = new CpuDevice(new CpuOptions { Threads = threads });
        return Compute(device, sparse ? Sparse : Dense, weights, cache, window, blockSize, Length, cuts);
    }

    private static float[][] Compute(
        IDevice device, ModelGeometry geometry, DType weights, DType cache, int window, int blockSize, int length, int[] cuts)
    {
        using var model = new RandomModel(geometry, weights, tied: true, seed: 5).Load(device);
        int blocks = (length + blockSize - 1) / blockSize;
        var driver = new StepDriver(
            device, geometry, new StepLimits(length, 1, length, length), blocks, blockSize, cache, () => model.Forward(window));
        var sequence = new DrivenSequence(Tokens(1, length), 0, [.. Enumerable.Range(0, blocks).Reverse()]);
        var logits = new List<float[]>();
        foreach (int count in cuts) logits.AddRange(driver.Step((sequence, count)));
        return [.. logits];
    }

    /// <summary>The last ten tokens of the sequence, decoded beside others of other lengths.</summary>
    private static float[][] ComputeAmong(bool sparse, int others)
    {
        var geometry = sparse ? Sparse : Dense;
        using var device = new CpuDevice(new CpuOptions { Threads = 2 });
        using var model = new RandomModel(geometry, DType.BF16, tied: true, seed: 5).Load(device);
        var driver = new StepDriver(
            device, geometry, new StepLimits(2 * Length, others + 1, 2 * Length, Length), (others + 1) * 10, 16, DType.F32, () => model.Forward(0));
        var sequences = Enumerable.Range(0, others + 1)
            .Select(s => new DrivenSequence(Tokens(s + 1, Length), s, [.. Enumerable.Range(s * 10, 10)])).ToArray();
        foreach (var sequence in sequences) driver.Step((sequence, sequence.Slot == 0 ? 140 : 11 * sequence.Slot % 100 + 1));
        var logits = new List<float[]>();
        // Its place in the batch changes too, and the last step holds a prompt beside the decoding rows.
        for (int i = 0; i < 9; i++)
        {
            var order = sequences.Skip(i % sequences.Length).Concat(sequences.Take(i % sequences.Length)).ToArray();
            float[][] rows = driver.Step([.. order.Select(s => (s, 1))]);
            logits.Add(rows[Array.IndexOf(order, sequences[0])]);
        }
        logits.Add(driver.Step((sequences[0], 1), (sequences[1], 30))[0]);
        return [.. logits];
    }

    private static int[] Tokens(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(Dense.VocabularySize))];
    }

    private static void Same(float[][] expected, float[][] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++) Assert.True(expected[i].AsSpan().SequenceEqual(actual[i]), $"row {i} differs");
    }
}
