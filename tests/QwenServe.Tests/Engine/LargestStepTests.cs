using QwenServe.Compute;
using QwenServe.Engine.Execution;

namespace QwenServe.Tests.Engine;

public class LargestStepTests
{
    [Theory]
    // A long context: one sequence takes all tokens of a step.
    [InlineData(8192, 256, 32768, 16, 100_000, 8192, 1, 8192)]
    // Short ones: as many sequences as it takes, the last one shorter.
    [InlineData(8192, 256, 5000, 16, 100_000, 8192, 2, 5000)]
    // No more sequences than may run.
    [InlineData(8192, 4, 16, 16, 100_000, 64, 4, 16)]
    // No more than the cache holds.
    [InlineData(8192, 256, 4096, 16, 300, 4096, 1, 4096)]
    [InlineData(8192, 256, 32768, 16, 3, 48, 1, 48)]
    [InlineData(8192, 256, 16, 1024, 5, 80, 5, 16)]
    public void Is_as_large_as_step_sequences_and_cache_allow(int stepTokens, int maxSequences, int context, int blockSize, int blocks, int tokens, int sequences, int each)
    {
        var step = LargestStep.Of(new StepLimits(stepTokens, maxSequences, maxSequences, context), blockSize, blocks);

        Assert.Equal((tokens, sequences, each), (step.Tokens, step.Sequences, step.TokensEach));
        Assert.True(step.Sequences * step.BlocksEach <= blocks);
    }
}
