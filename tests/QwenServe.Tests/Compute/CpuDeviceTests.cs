using QwenServe.Compute;
using QwenServe.Compute.Cpu;
using QwenServe.Compute.Reference;

namespace QwenServe.Tests.Compute;

public class CpuDeviceTests
{
    private static readonly ModelGeometry Geometry = new()
    {
        HiddenSize = 128,
        LayerCount = 2,
        HeadCount = 4,
        KvHeadCount = 2,
        HeadDim = 32,
        IntermediateSize = 256,
        VocabularySize = 2000,
        RmsNormEpsilon = 1e-6f,
    };

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    public void Steps_allocate_nothing(int experts)
    {
        var geometry = experts == 0 ? Geometry
            : Geometry with { ExpertCount = experts, ExpertsPerToken = 2, ExpertIntermediateSize = 64, SharedExpertIntermediateSize = 64 };
        using var device = new CpuDevice(new CpuOptions { Threads = 2 });
        using var model = new RandomModel(geometry, DType.BF16, tied: true, seed: 2).Load(device);
        var driver = new StepDriver(device, geometry, new StepLimits(64, 4, 4, 512), 128, 16, DType.F32, () => model.Forward(0));
        int[] tokens = new int[500];
        var sequences = new (DrivenSequence, int)[4];
        for (int s = 0; s < 4; s++) sequences[s] = (new DrivenSequence(tokens, s, [.. Enumerable.Range(s * 32, 32)]), 1);
        var sampling = new SamplingInputs(4, geometry.VocabularySize) { Count = 4 };
        for (int s = 0; s < 4; s++)
        {
            sampling.Rows[s] = new SamplingRow
            {
                LogitRow = s,
                Slot = s,
                Target = -1,
                Temperature = s,
                TopK = s == 1 ? 20 : 0,
                TopP = 0.8f,
                RepetitionPenalty = 1.05f,
                TopLogProbs = 5,
                MaskRow = -1,
                Seed = 3,
            };
        }
        var results = new SamplingResults(4);
        void Step()
        {
            driver.StepLast(sequences);
            device.Sample(sampling);
            device.Complete(results);
        }
        for (int i = 0; i < 60; i++) Step();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 60; i++) Step();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void A_drawn_token_is_read_back_from_its_slot()
    {
        using var device = new CpuDevice(new CpuOptions { Threads = 1 });
        using var model = new RandomModel(Geometry, DType.F32, tied: true, seed: 2).Load(device);
        var driver = new StepDriver(device, Geometry, new StepLimits(8, 2, 8, 64), 8, 16, DType.F32, () => model.Forward(0));
        driver.StepLast((new DrivenSequence([5, 6, 7], 1, [0]), 3));
        var sampling = new SamplingInputs(1, Geometry.VocabularySize) { Count = 1 };
        sampling.Rows[0] = new SamplingRow { Slot = 1, Target = -1, TopP = 1, RepetitionPenalty = 1, TopLogProbs = -1, MaskRow = -1 };
        device.Sample(sampling);
        var results = new SamplingResults(1);
        device.Complete(results);
        float[] byId = driver.Step((new DrivenSequence([5, 6, 7, results.Tokens[0]], 1, [0]) { Computed = 3 }, 1))[0];
        float[] bySlot = driver.Step((new DrivenSequence([5, 6, 7, StepInputs.SampledInSlot], 1, [0]) { Computed = 3 }, 1))[0];
        Assert.Equal(byId, bySlot);
    }

    [Fact]
    public void The_table_and_the_tied_head_share_one_copy()
    {
        using var device = new CpuDevice(new CpuOptions { Threads = 1 });
        using var tied = new RandomModel(Geometry, DType.BF16, tied: true, seed: 2).Load(device);
        Assert.Same(tied.Embedding, tied.Head);
        long table = 2L * Geometry.VocabularySize * Geometry.HiddenSize;
        Assert.InRange(tied.Embedding.Bytes, table, table + 32 * 2 * Geometry.HiddenSize);
    }

    [Fact]
    public void The_kv_budget_is_a_quarter_of_free_memory_and_at_most_4_GiB()
    {
        using var device = new CpuDevice(new CpuOptions { Threads = 1 });
        Assert.InRange(device.KvCacheBudget(0.9), 1, 4L << 30);
        Assert.InRange(device.KvCacheBudget(0.9), 1, device.AvailableMemory / 2);
    }

    [Theory]
    [InlineData("0", new[] { 0 })]
    [InlineData("0-3,8", new[] { 0, 1, 2, 3, 8 })]
    public void Processor_lists_are_read_as_the_kernel_writes_them(string list, int[] expected)
        => Assert.Equal(expected, PhysicalCores.ParseList(list));

    [Theory]
    [InlineData("0::/app\n", "app/memory.max", "app/memory.current")]
    [InlineData("4:memory:/app\n", "memory/app/memory.limit_in_bytes", "memory/app/memory.usage_in_bytes")]
    public void Limits_of_control_groups_bound_the_free_memory(string groups, string limit, string usage)
    {
        using var directory = new TemporaryDirectory();
        string proc = Path.Combine(directory.Path, "proc"), cgroup = Path.Combine(directory.Path, "cgroup");
        Write(Path.Combine(proc, "meminfo"), "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n");
        Write(Path.Combine(proc, "self", "cgroup"), groups);
        Assert.Equal(8_000_000L * 1024, FreeMemory.Bytes(proc, cgroup));
        Write(Path.Combine(cgroup, limit), "1000000000\n");
        Write(Path.Combine(cgroup, usage), "300000000\n");
        Assert.Equal(700_000_000, FreeMemory.Bytes(proc, cgroup));

        static void Write(string path, string text)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, text);
        }
    }

    [LargeMemoryFact]
    public void Matrices_over_2_GiB_are_indexed_right_to_the_end()
    {
        // 80,000 rows of 16,384 in bfloat16 are 2.6 GB; the last row is the only one that is not zero.
        const int Rows = 80_000, Columns = 16_384;
        var geometry = Geometry with { HiddenSize = Columns, VocabularySize = Rows, LayerCount = 1 };
        using var memory = HostMemory.MapFile(SparseFile(2L * Rows * Columns, out string path));
        File.Delete(path);
        using var device = new CpuDevice();
        device.Configure(geometry, null);
        using var table = device.LoadEmbedding(new HostTensor("table", DType.BF16, Rows, Columns, memory, 0), tied: true);
        float[] ones = new float[Columns];
        Array.Fill(ones, 1f);
        using var norm = device.LoadVector(new HostTensor("norm", DType.F32, 1, Columns, HostMemory.CopyOf<float>(ones), 0));
        device.AllocateStep(new StepLimits(1, 1, 1, 16));
        device.AllocateKvCache(1, 16, DType.F32);
        var inputs = new StepInputs(new StepLimits(1, 1, 1, 16), 1) { TokenCount = 1, SequenceCount = 1, LogitCount = 1 };
        inputs.TokenIds[0] = Rows - 1;
        inputs.QueryStarts[1] = 1;
        device.Begin(inputs);
        device.Embed(table);
        device.NormLogits(norm, table);
        float[] logits = new float[Rows];
        device.ReadLogits(0, logits);
        Assert.All(logits[..^1], x => Assert.Equal(0, x));
        Assert.Equal(Columns, logits[^1], 1f);

        static string SparseFile(long bytes, out string path)
        {
            path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
            using var file = File.Create(path);
            file.SetLength(bytes);
            byte[] row = new byte[2 * Columns];
            for (int i = 1; i < row.Length; i += 2) (row[i - 1], row[i]) = (0x80, 0x3F);
            file.Position = bytes - row.Length;
            file.Write(row);
            return path;
        }
    }
}

/// <summary>A test that takes gigabytes of memory; runs when QWENSERVE_LARGE_TESTS is 1.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class LargeMemoryFactAttribute : FactAttribute
{
    public LargeMemoryFactAttribute()
    {
        if (Environment.GetEnvironmentVariable("QWENSERVE_LARGE_TESTS") != "1") Skip = "takes 6 GB; set QWENSERVE_LARGE_TESTS=1";
    }
}
