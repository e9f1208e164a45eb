using QwenServe.Benchmarks;
using QwenServe.Engine;
using QwenServe.Engine.Execution;

namespace QwenServe.Tests.Engine;

public class AllocationTests
{
    /// <summary>
    /// Counted by the runtime for the thread that steps, which also takes the events, so that no stream has to grow. Several windows,
    /// of which the best counts: handing work to a pool that other tests keep busy may make the pool's own queue grow.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_step_of_256_decoding_sequences_allocates_nothing(bool overlap)
    {
        const int Sequences = 256;
        var options = new EngineOptions { MaxModelLength = 2000, MaxNumSeqs = Sequences, OverlapSteps = overlap, KvCacheBytes = 8L * Sequences * 2000 };
        using var device = new IdleDevice();
        var engine = new InferenceEngine(options, ModelRunner.Create(device, ScriptedEngine.Geometry, () => { }, options));
        var streams = new List<GenerationStream>();
        for (int i = 0; i < Sequences; i++)
            streams.Add(engine.Submit(new GenerationRequest { Id = $"{i}", Prompt = ScriptedEngine.Prompt(50, i), Sampling = new() { IgnoreEos = true, MinTokens = 10, StopTokenIds = [5] } }));
        Steps(300);
        Assert.Equal(Sequences, engine.Metrics.Running);
        long least = Enumerable.Range(0, 8).Min(_ => Steps(100));
        Assert.Equal(Sequences, engine.Metrics.Running);
        Assert.Equal(0, least);
        engine.StopAsync(TimeSpan.Zero);
        engine.Run();

        long Steps(int count)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < count; i++)
            {
                engine.Loop.Receive(wait: false);
                engine.Loop.Step();
                foreach (var stream in streams)
                    while (stream.TryRead(out _)) { }
            }
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }
}
