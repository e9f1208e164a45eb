using QwenServe.Engine;

namespace QwenServe.Tests.Engine;

/// <summary>Requests for hidden states in place of tokens.</summary>
public class PoolingTests
{
    private static readonly EngineOptions Options = new() { MaxModelLength = 64, BlockSize = 4, MaxNumSeqs = 4, MaxNumBatchedTokens = 8 };

    [Fact]
    public void The_last_token_reads_the_prefix_cache_and_a_mean_does_not()
    {
        using var scripted = new ScriptedEngine(Options);
        int[] prompt = ScriptedEngine.Prompt(30);
        scripted.Finish(scripted.Submit(prompt, maxTokens: 2));

        var last = Submit(scripted, prompt, Pooling.Last);
        var mean = Submit(scripted, prompt, Pooling.Mean);
        var some = Submit(scripted, prompt, Pooling.At(13, 20, 29));
        scripted.Drain();
        float[] states = ScriptedModel.HiddenStates(prompt);
        Assert.Equal([states[29]], Rows(last));
        Assert.Equal([(float)(states.Aggregate(0.0, (sum, s) => sum + s) / 30)], Rows(mean));
        Assert.Equal([states[13], states[20], states[29]], Rows(some));
        Assert.Equal(28, last.CachedTokens);
        Assert.Equal(0, mean.CachedTokens);
        Assert.Equal(12, some.CachedTokens);
    }

    [Fact]
    public void A_prompt_may_fill_the_whole_context()
    {
        using var scripted = new ScriptedEngine(Options);
        var stream = Submit(scripted, ScriptedEngine.Prompt(64), Pooling.Last);
        scripted.Drain();
        Assert.Single(Rows(stream));
        Assert.Throws<PromptTooLongException>(() => Submit(scripted, ScriptedEngine.Prompt(65), Pooling.Last));
    }

    [Fact]
    public void Blocks_are_free_as_soon_as_the_rows_are_there_or_nobody_wants_them()
    {
        using var scripted = new ScriptedEngine(Options);
        var aborted = Submit(scripted, ScriptedEngine.Prompt(40), Pooling.Mean);
        scripted.Step();
        Assert.True(scripted.Engine.Cache.FreeBlocks < scripted.Engine.Cache.BlockCount);
        _ = aborted.DisposeAsync().AsTask();
        scripted.Drain();
        Assert.Equal(scripted.Engine.Cache.BlockCount, scripted.Engine.Cache.FreeBlocks);

        var whole = Submit(scripted, ScriptedEngine.Prompt(40, seed: 2), Pooling.Mean);
        scripted.Drain();
        Assert.Single(Rows(whole));
        Assert.Equal(scripted.Engine.Cache.BlockCount, scripted.Engine.Cache.FreeBlocks);
    }

    [Fact]
    public void Hidden_states_that_are_not_finite_are_an_error_of_their_own()
    {
        using var scripted = new ScriptedEngine(Options);
        int[] prompt = ScriptedEngine.Prompt(10);
        prompt[4] = ScriptedModel.Poison;
        var bad = Submit(scripted, prompt, Pooling.Last);
        var good = Submit(scripted, prompt, Pooling.At(0, 3));
        scripted.Drain();
        var end = Assert.Single(ScriptedEngine.Read(bad));
        Assert.Equal(FinishReason.Error, end.Finish);
        Assert.Contains("not finite", end.Error, StringComparison.Ordinal);
        Assert.Equal(2, Rows(good).Length);
        Assert.Equal(1, scripted.Engine.Metrics.NonFiniteRows);
    }

    [Fact]
    public void What_cannot_be_combined_is_refused()
    {
        using var scripted = new ScriptedEngine(Options);
        Assert.Throws<InvalidParameterException>(() => Submit(scripted, ScriptedEngine.Prompt(5), Pooling.At(5)));
        Assert.Throws<InvalidParameterException>(() => scripted.Engine.Submit(new() { Id = "n", Prompt = [5], Pooling = Pooling.Last, Choices = 2 }));
        Assert.Throws<InvalidParameterException>(() => scripted.Engine.Submit(new() { Id = "p", Prompt = [5], Pooling = Pooling.Last, PromptLogProbs = 1 }));
        Assert.Throws<ArgumentException>(() => Pooling.At(3, 3));
        Assert.Throws<ArgumentException>(() => Pooling.At());
    }

    private static GenerationStream Submit(ScriptedEngine scripted, int[] prompt, Pooling pooling)
        => scripted.Engine.Submit(new GenerationRequest { Id = "pooled", Prompt = prompt, Pooling = pooling });

    private static float[] Rows(GenerationStream stream)
    {
        var only = Assert.Single(ScriptedEngine.Read(stream));
        Assert.Equal(FinishReason.Stop, only.Finish);
        return [.. only.Pooled!.Select(row => Assert.Single(row))];
    }
}
