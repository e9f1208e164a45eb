using System.Runtime.InteropServices;
using System.Text.Json;
using QwenServe.Benchmarks.Numerics;

namespace QwenServe.Tests.Engine.Model;

/// <summary>The program that records the engine's log-probs for a comparison, on the fixtures, whose numbers are known.</summary>
public class LogProbsCommandTests
{
    private static readonly string[] Modes = ["whole", "batch", "decode-1", "decode-3", "greedy", "chunked-32", "chunked-7", "prefix"];

    [Theory]
    [InlineData("dense-tied-64")]
    [InlineData("moe-mixed")]
    public void Every_way_to_the_log_probs_gives_those_of_the_fixture(string name)
    {
        using var output = new TemporaryDirectory();
        string directory = Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Fixtures", name);
        var fixture = Fixture.Load(directory);

        Assert.Equal(0, LogProbsCommand.Run(["--model", directory, "--out", output.Path, "--device", "cpu", "--threads", "2", "--ids", Path.Combine(directory, "tokens.json"),
            "--lengths", "2,40,70", "--decode", $"{fixture.Greedy.Length}", "--batches", "1,4", "--chunks", "32,7"]));

        using var run = JsonDocument.Parse(File.ReadAllBytes(output.File("run.json")));
        var modes = run.RootElement.GetProperty("modes").EnumerateArray().ToArray();
        Assert.Equal(Modes, modes.Select(m => m.GetProperty("name").GetString()));
        Assert.Equal(Enumerable.Range(0, fixture.LogProbs[0].Length), run.RootElement.GetProperty("sample").EnumerateArray().Select(id => id.GetInt32()));
        Assert.All(run.RootElement.GetProperty("bits").EnumerateArray(), b => Assert.True(b.GetProperty("equal").GetBoolean()));
        foreach (var mode in modes)
        {
            var rows = MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(output.File(mode.GetProperty("name").GetString() + ".f32"))).ToArray().Chunk(fixture.LogProbs[0].Length + 1).ToArray();
            var sequence = mode.GetProperty("sequences")[0];
            int[] ids = [.. sequence.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            int first = sequence.GetProperty("first").GetInt32(), count = sequence.GetProperty("rows").GetInt32();
            Assert.Equal(ids.Length, first + count);
            Assert.Equal(rows.Length, mode.GetProperty("top1").GetArrayLength());
            Assert.InRange(mode.GetProperty("reported_difference").GetDouble(), 0, 1e-5);
            if (mode.GetProperty("name").GetString() == "greedy") Assert.Equal(fixture.Greedy, ids[fixture.Prompt.Length..]);
            else Assert.Equal(fixture.Prompt, ids);
            // The last token of the prompt has a row in the fixture too: that of the first greedy token.
            for (int i = 0; i < count && first + i <= fixture.Prompt.Length; i++)
            {
                float[] expected = fixture.LogProbs[first + i - 1];
                for (int v = 0; v < expected.Length; v++) Assert.Equal(expected[v], rows[i][v], 1e-3);
                Assert.Equal(rows[i][ids[first + i]], rows[i][^1]);
                Assert.Equal(rows[i][..^1].Max(), rows[i][mode.GetProperty("top1")[i].GetInt32()]);
            }
        }
        Assert.All(modes[^1].GetProperty("sequences").EnumerateArray(), s => Assert.True(s.GetProperty("cached").GetInt32() > 0));
    }
}
