using System.Text.Json;
using QwenServe.Compute;
using QwenServe.Compute.Cpu;
using QwenServe.Compute.Reference;
using QwenServe.Engine;
using QwenServe.Engine.Execution;
using QwenServe.Engine.Model;

namespace QwenServe.Tests.Engine.Model;

/// <summary>
/// Hidden states and scores through the engine: against what Fixtures/make_pooling_fixtures.py computed, and, by way of the head, against the
/// log-probs of transformers.
/// </summary>
public class PooledFixtureTests
{
    private static string Folder => Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Fixtures");

    [Theory]
    [InlineData("embedding", "cpu")]
    [InlineData("embedding", "reference")]
    [InlineData("reward", "cpu")]
    [InlineData("process-reward", "cpu")]
    [InlineData("classification", "cpu")]
    public void Pooled_rows_equal_those_of_the_second_implementation(string name, string kind)
    {
        var golden = Golden(name);
        int[] prompt = Numbers(golden, "prompt", e => e.GetInt32());
        using var model = new Loaded(Path.Combine(Folder, name), kind);
        AssertClose(Numbers(golden, "last", e => e.GetDouble()), Assert.Single(model.Pool(prompt, Pooling.Last)), 1e-3);
        AssertClose(Numbers(golden, "mean", e => e.GetDouble()), Assert.Single(model.Pool(prompt, Pooling.Mean)), 1e-3);
    }

    [Fact]
    public void A_reward_is_what_the_head_makes_of_the_last_token()
    {
        using var model = new Loaded(Path.Combine(Folder, "reward"), "cpu");
        var golden = Golden("reward");
        float[][] rows = model.Pool(Numbers(golden, "prompt", e => e.GetInt32()), Pooling.Last);
        AssertClose(Numbers(golden, "scores", e => e.GetDouble()), Assert.Single(model.Score!.Apply(rows)), 1e-3);
    }

    [Fact]
    public void Class_logits_are_what_the_head_makes_of_the_last_token()
    {
        using var model = new Loaded(Path.Combine(Folder, "classification"), "cpu");
        var golden = Golden("classification");
        float[][] rows = model.Pool(Numbers(golden, "prompt", e => e.GetInt32()), Pooling.Last);
        Assert.Equal(3, model.Score!.Outputs);
        AssertClose(Numbers(golden, "scores", e => e.GetDouble()), Assert.Single(model.Score!.Apply(rows)), 1e-3);
    }

    [Fact]
    public void A_step_is_scored_at_the_token_that_ends_it()
    {
        using var model = new Loaded(Path.Combine(Folder, "process-reward"), "cpu");
        var golden = Golden("process-reward");
        int[] prompt = Numbers(golden, "prompt", e => e.GetInt32());
        int step = golden.GetProperty("step_token").GetInt32();
        float[][] rows = model.Pool(prompt, Pooling.At([.. Enumerable.Range(0, prompt.Length).Where(i => prompt[i] == step)]));
        var right = model.Score!.Apply(rows).Select(two => (float)(Math.Exp(two[1]) / (Math.Exp(two[0]) + Math.Exp(two[1]))));
        AssertClose(Numbers(golden, "steps", e => e.GetDouble()), [.. right], 1e-3);
    }

    [Theory]
    [InlineData("dense-tied-64")]
    [InlineData("dense-untied-128")]
    [InlineData("yarn")]
    [InlineData("moe")]
    public void Hidden_states_through_the_head_are_the_log_probs_of_transformers(string name)
    {
        string directory = Path.Combine(Folder, name);
        var fixture = Fixture.Load(directory);
        float[] head;
        int width;
        using (var checkpoint = Checkpoint.Open(directory))
        {
            width = checkpoint.Config.Geometry.HiddenSize;
            head = checkpoint.Matrix(checkpoint.Config.TiedEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight", checkpoint.Config.Geometry.VocabularySize, width).ToFloats();
        }
        using var model = new Loaded(directory, "cpu");
        float[][] rows = model.Pool(fixture.Prompt, Pooling.At([.. Enumerable.Range(0, fixture.Prompt.Length)]));
        for (int t = 0; t < rows.Length; t++)
        {
            float[] logits = [.. head.Chunk(width).Select(w => (float)w.Zip(rows[t], (a, b) => (double)a * b).Sum())];
            AssertClose([.. fixture.LogProbs[t].Select(p => (double)p)], BareModel.LogSoftmax(logits), 1e-3);
        }
    }

    [Fact]
    public void A_model_without_a_head_generates_nothing()
    {
        using var model = new Loaded(Path.Combine(Folder, "embedding"), "cpu");
        Assert.False(model.Engine.Generates);
        var refusal = Assert.Throws<InvalidParameterException>(() => model.Engine.Submit(new GenerationRequest { Id = "text", Prompt = [1], MaxTokens = 1 }));
        Assert.Contains("no head", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Attention_to_later_tokens_is_refused_by_name()
    {
        using var directory = new TemporaryDirectory();
        string config = File.ReadAllText(Path.Combine(Folder, "embedding", "config.json"));
        File.WriteAllText(Path.Combine(directory.Path, "config.json"), config.Replace("\"model_type\"", "\"is_causal\": false, \"model_type\"", StringComparison.Ordinal));
        var refusal = Assert.Throws<CheckpointException>(() => QwenConfig.Load(directory.Path));
        Assert.Contains("is_causal", refusal.Message, StringComparison.Ordinal);
    }

    private static JsonElement Golden(string name)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, name, "pooled.json")));
        return document.RootElement.Clone();
    }

    private static T[] Numbers<T>(JsonElement golden, string name, Func<JsonElement, T> read) => [.. golden.GetProperty(name).EnumerateArray().Select(read)];

    private static void AssertClose(double[] expected, float[] actual, double bound)
    {
        Assert.Equal(expected.Length, actual.Length);
        double worst = expected.Zip(actual, (e, a) => Math.Abs(e - a)).Max();
        Assert.True(worst <= bound, $"the largest difference is {worst:g3}, the bound {bound:g3}");
    }

    private sealed class Loaded : IDisposable
    {
        public Loaded(string directory, string kind)
        {
            IDevice device = kind == "cpu" ? new CpuDevice(new CpuOptions { Threads = 2 }) : new ReferenceDevice();
            using var checkpoint = Checkpoint.Open(directory);
            var model = QwenModel.Load(checkpoint, device, null, 192);
            Score = model.Score;
            var options = new EngineOptions { MaxModelLength = 192, MaxNumBatchedTokens = 20, MaxNumSeqs = 4, KvCacheBytes = 2 << 20 };
            Engine = new InferenceEngine(options, ModelRunner.Create(device, model.Config.Geometry, model.Forward, options, model, model.ReadHidden, model.Generates));
        }

        public InferenceEngine Engine { get; }

        public ScoreHead? Score { get; }

        public float[][] Pool(int[] prompt, Pooling pooling)
        {
            var stream = Engine.Submit(new GenerationRequest { Id = "pooled", Prompt = prompt, Pooling = pooling });
            do
            {
                Engine.Loop.Receive(wait: false);
                Engine.Loop.Step();
            }
            while (Engine.Loop.HasWork);
            return [.. Assert.Single(ScriptedEngine.Read(stream)).Pooled!];
        }

        public void Dispose()
        {
            Engine.StopAsync(TimeSpan.Zero);
            Engine.Run();
        }
    }
}
