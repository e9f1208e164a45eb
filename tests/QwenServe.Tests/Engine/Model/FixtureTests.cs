using QwenServe.Compute;
using QwenServe.Compute.Cpu;

namespace QwenServe.Tests.Engine.Model;

/// <summary>Whole models against what transformers computed in fp32 from the same files.</summary>
public class FixtureTests
{
    private static string Folder => Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Fixtures");

    public static TheoryData<string> Names => [.. Directory.GetDirectories(Folder).Where(d => File.Exists(Path.Combine(d, "tokens.json"))).Select(d => Path.GetFileName(d)!)];

    [Fact]
    public void All_fixtures_are_there() => Assert.Equal(8, Names.Count);

    [Theory]
    [MemberData(nameof(Names))]
    public void Log_probs_equal_those_of_transformers_at_every_position(string name)
    {
        var fixture = Fixture.Load(Path.Combine(Folder, name));
        using var device = Open();
        using var model = new BareModel(fixture.Directory, device);
        AssertClose(fixture, model.LogProbs(fixture.Prompt), 1e-3);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Greedy_continuations_equal_those_of_transformers(string name)
    {
        var fixture = Fixture.Load(Path.Combine(Folder, name));
        using var device = Open();
        using var model = new BareModel(fixture.Directory, device);
        Assert.Equal(fixture.Greedy, model.Greedy(fixture.Prompt, fixture.Greedy.Length));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Chunks_blocks_and_neighbours_change_no_bit(string name)
    {
        var fixture = Fixture.Load(Path.Combine(Folder, name));
        float[][] whole;
        using (var device = Open())
        using (var model = new BareModel(fixture.Directory, device)) whole = model.LogProbs(fixture.Prompt);

        using (var device = Open())
        using (var model = new BareModel(fixture.Directory, device, blockSize: 8))
            AssertSameBits(whole, model.LogProbs(fixture.Prompt, 2, 1, 7, 16, 1, 1, 20));

        using (var device = Open())
        using (var model = new BareModel(fixture.Directory, device))
        {
            // The same prompt beside two others, one of them decoding.
            int half = fixture.Prompt.Length / 2;
            model.Step((1, 0, fixture.Prompt[..5]));
            var first = model.Step((1, 5, [fixture.Prompt[9]]), (0, 0, fixture.Prompt[..half]), (3, 0, fixture.Prompt[10..30]));
            var second = model.Step((3, 20, fixture.Prompt[30..33]), (1, 6, [fixture.Prompt[2]]), (0, half, fixture.Prompt[half..]));
            var beside = first[1..(1 + half)].Concat(second[4..]).Select(BareModel.LogSoftmax).ToArray();
            AssertSameBits(whole, beside);
        }
    }

    [Theory]
    [InlineData(DType.BF16, 0.1)]
    [InlineData(DType.F16, 0.02)]
    public void A_narrower_cache_costs_little(DType kvType, double bound)
    {
        var fixture = Fixture.Load(Path.Combine(Folder, "dense-tied-64"));
        using var device = Open();
        using var model = new BareModel(fixture.Directory, device, kvType);
        AssertClose(fixture, model.LogProbs(fixture.Prompt), bound);
    }

    private static CpuDevice Open() => new(new CpuOptions { Threads = 2 });

    private static void AssertClose(Fixture fixture, float[][] logProbs, double bound)
    {
        Assert.Equal(fixture.LogProbs.Length, logProbs.Length);
        double worst = 0;
        for (int t = 0; t < logProbs.Length; t++)
            for (int v = 0; v < logProbs[t].Length; v++) worst = Math.Max(worst, Math.Abs((double)logProbs[t][v] - fixture.LogProbs[t][v]));
        Assert.True(worst <= bound, $"{fixture.Directory}: the largest difference is {worst:g3}, the bound {bound:g3}");
    }

    private static void AssertSameBits(float[][] expected, float[][] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int t = 0; t < expected.Length; t++) Assert.Equal(expected[t], actual[t]);
    }
}
