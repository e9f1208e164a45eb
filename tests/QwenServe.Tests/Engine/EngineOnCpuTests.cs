using QwenServe.Compute;
using QwenServe.Compute.Cpu;
using QwenServe.Engine;
using QwenServe.Engine.Execution;
using QwenServe.Engine.Model;

namespace QwenServe.Tests.Engine;

/// <summary>Engine, model and CPU device together, on the small checkpoints of the fixtures.</summary>
public class EngineOnCpuTests
{
    private const int Context = 96;

    [Theory]
    [InlineData("dense-tied-64", false)]
    [InlineData("dense-tied-64", true)]
    [InlineData("sliding-window", true)]
    [InlineData("moe", false)]
    public void Chunks_neighbours_prefixes_forks_and_preemption_change_no_token_and_no_log_prob(string fixture, bool overlap)
    {
        var alone = new List<string>();
        foreach (var request in Requests(fixture))
        {
            using var quiet = new Served(fixture, new() { MaxModelLength = Context, MaxNumSeqs = 8, EnablePrefixCaching = false }, blocks: 100);
            var stream = quiet.Engine.Submit(request);
            quiet.Drain();
            alone.Add(Text(stream));
        }

        using var crowded = new Served(fixture, new() { MaxModelLength = Context, MaxNumSeqs = 6, MaxNumBatchedTokens = 11, BlockSize = 4, OverlapSteps = overlap }, blocks: 34);
        var streams = Requests(fixture).Select(crowded.Engine.Submit).ToList();
        crowded.Drain();
        Assert.Equal(alone, streams.Select(Text));
        Assert.True(crowded.Engine.Metrics.Preemptions > 0);
        Assert.True(crowded.Engine.Metrics.PrefixHits > 0);
    }

    [Theory]
    [InlineData("dense-tied-64", false)]
    [InlineData("dense-untied-128", true)]
    [InlineData("sliding-window", true)]
    [InlineData("moe", false)]
    public void Chunks_neighbours_prefixes_and_preemption_change_no_bit_of_hidden_states(string fixture, bool overlap)
    {
        var alone = new List<string>();
        foreach (var request in PooledRequests(fixture))
        {
            using var quiet = new Served(fixture, new() { MaxModelLength = Context, MaxNumSeqs = 8, EnablePrefixCaching = false }, blocks: 100);
            var stream = quiet.Engine.Submit(request);
            quiet.Drain();
            alone.Add(Bits(stream));
        }

        using var crowded = new Served(fixture, new() { MaxModelLength = Context, MaxNumSeqs = 6, MaxNumBatchedTokens = 11, BlockSize = 4, OverlapSteps = overlap }, blocks: 34);
        var streams = new List<GenerationStream>();
        foreach (var (pooled, generated) in PooledRequests(fixture).Zip(Requests(fixture)))
        {
            crowded.Engine.Submit(generated);
            streams.Add(crowded.Engine.Submit(pooled));
        }
        crowded.Drain();
        Assert.Equal(alone, streams.Select(Bits));
        Assert.True(crowded.Engine.Metrics.Preemptions > 0);
        Assert.Contains(streams, s => s.CachedTokens > 0);
        Assert.Equal(crowded.Engine.Cache.BlockCount, crowded.Engine.Cache.FreeBlocks);
    }

    private static List<GenerationRequest> PooledRequests(string fixture) => [.. Requests(fixture).Select((r, i) => new GenerationRequest
    {
        Id = r.Id,
        Prompt = [.. r.Prompt, .. r.Prompt.Take(40)],
        Pooling = (i % 3) switch { 0 => Pooling.Last, 1 => Pooling.Mean, _ => Pooling.At(2, r.Prompt.Length - 1, r.Prompt.Length + 1) },
    })];

    private static string Bits(GenerationStream stream)
    {
        var only = Assert.Single(ScriptedEngine.Read(stream));
        Assert.Equal(FinishReason.Stop, only.Finish);
        return string.Join('\n', only.Pooled!.Select(row => string.Join(' ', row.Select(v => $"{BitConverter.SingleToInt32Bits(v):x}"))));
    }

    private static List<GenerationRequest> Requests(string fixture)
    {
        int vocabulary;
        using (var checkpoint = Checkpoint.Open(Directory(fixture))) vocabulary = checkpoint.Config.Geometry.VocabularySize;
        var random = new Random(11);
        int[] shared = [.. Enumerable.Range(0, 24).Select(_ => random.Next(vocabulary))];
        SamplingParameters[] samplings =
        [
            new() { Temperature = 0, LogProbs = 2 },
            new() { Seed = 1, TopP = 0.9f, LogProbs = 0 },
            new() { Seed = 2, TopK = 20, PresencePenalty = 0.5f, FrequencyPenalty = 0.5f, LogProbs = 1 },
            new() { Seed = 3, MinP = 0.01f, RepetitionPenalty = 1.2f, LogProbs = 0 },
        ];
        return [.. Enumerable.Range(0, 12).Select(i => new GenerationRequest
        {
            Id = $"{i}",
            Prompt = [.. shared.Take(i % 3 * 12), .. Enumerable.Range(0, 3 + 2 * i).Select(_ => random.Next(vocabulary))],
            MaxTokens = 24,
            Choices = i % 4 == 1 ? 3 : 1,
            PromptLogProbs = i % 5 == 2 ? 1 : null,
            Sampling = samplings[i % samplings.Length],
        })];
    }

    /// <summary>All events of a stream by choice, with every bit of their log-probs.</summary>
    private static string Text(GenerationStream stream)
    {
        static string One(int token, float logProb) => $"{token}:{BitConverter.SingleToInt32Bits(logProb):x}";
        var events = ScriptedEngine.Read(stream);
        return string.Join('\n', events.GroupBy(e => e.Choice).OrderBy(g => g.Key).Select(g => string.Join(' ', g.Select(e =>
            e.PromptLogProbs is { } prompt ? string.Join(',', prompt.Select(p => p is null ? "-" : One(p.Token, p.LogProb)))
            : $"{One(e.Token, e.LogProb)}[{string.Join(',', e.TopLogProbs.Select(t => One(t.Token, t.LogProb)))}]{e.Finish}"))));
    }

    private static string Directory(string fixture) => Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Fixtures", fixture);

    private sealed class Served : IDisposable
    {
        public Served(string fixture, EngineOptions options, int blocks)
        {
            var device = new CpuDevice(new CpuOptions { Threads = 2 });
            using var checkpoint = Checkpoint.Open(Directory(fixture));
            var model = QwenModel.Load(checkpoint, device, null, options.MaxModelLength);
            var geometry = model.Config.Geometry;
            var everyId = new uint[(geometry.VocabularySize + 31) / 32];
            Array.Fill(everyId, uint.MaxValue);
            if (geometry.VocabularySize % 32 != 0) everyId[^1] = (1u << (geometry.VocabularySize % 32)) - 1;
            device.SetVocabulary(everyId);
            options = options with { KvCacheBytes = blocks * geometry.KvElementsPerToken * options.BlockSize * device.DefaultKvType.Size() };
            Engine = new InferenceEngine(options, ModelRunner.Create(device, geometry, model.Forward, options, model, model.ReadHidden, model.Generates));
        }

        public InferenceEngine Engine { get; }

        public void Drain()
        {
            do
            {
                Engine.Loop.Receive(wait: false);
                Engine.Loop.Step();
                Engine.Scheduler.CheckIntegrity();
            }
            while (Engine.Loop.HasWork);
        }

        public void Dispose()
        {
            Engine.StopAsync(TimeSpan.Zero);
            Engine.Run();
        }
    }
}
