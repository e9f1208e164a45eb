using QwenServe.Compute;

namespace QwenServe.Engine.Execution;

/// <summary>A step as large as any that the limits and a KV cache allow, run once at start: what a device loads, chooses and allocates for it is there before the first request.</summary>
/// <param name="Tokens">Of all sequences; the last may be shorter than the others.</param>
/// <param name="Sequences">How many.</param>
/// <param name="TokensEach">Of all but the last.</param>
/// <param name="BlockSize">Positions a KV block.</param>
internal readonly record struct LargestStep(int Tokens, int Sequences, int TokensEach, int BlockSize)
{
    public int BlocksEach => (TokensEach + BlockSize - 1) / BlockSize;

    public static LargestStep Of(StepLimits limits, int blockSize, int blocks)
    {
        int each = (int)Math.Min(Math.Min(limits.Tokens, limits.ContextLength), (long)blocks * blockSize), blocksEach = (each + blockSize - 1) / blockSize;
        int sequences = Math.Min(Math.Min(limits.Sequences, blocks / blocksEach), (limits.Tokens + each - 1) / each);
        return new LargestStep((int)Math.Min(limits.Tokens, (long)sequences * each), sequences, each, blockSize);
    }

    /// <summary>Runs it on a device whose KV cache has the blocks, and waits for its end.</summary>
    public void Run(IDevice device, Action forward, bool generates, StepLimits limits, int vocabulary)
    {
        var inputs = new StepInputs(limits, BlocksEach) { TokenCount = Tokens, SequenceCount = Sequences, LogitCount = generates ? Sequences : 0 };
        var sampling = new SamplingInputs(limits.LogitRows, vocabulary) { Count = inputs.LogitCount };
        for (int s = 0, token = 0; s < Sequences; s++)
        {
            int count = Math.Min(TokensEach, Tokens - token);
            for (int i = 0; i < count; i++) inputs.Positions[token + i] = i;
            for (int i = 0; i < BlocksEach; i++) inputs.BlockTables[s * BlocksEach + i] = s * BlocksEach + i;
            token += count;
            (inputs.Slots[s], inputs.ContextLengths[s], inputs.QueryStarts[s + 1]) = (s, count, token);
            if (!generates) continue;
            inputs.LogitTokens[s] = token - 1;
            sampling.Rows[s] = new SamplingRow { LogitRow = s, Slot = s, Target = -1, TopP = 1, RepetitionPenalty = 1, TopLogProbs = -1, MaskRow = -1 };
        }
        device.Begin(inputs);
        device.Run(forward);
        device.Sample(sampling);
        device.Complete(new SamplingResults(limits.LogitRows));
    }
}
