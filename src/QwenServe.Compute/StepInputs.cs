namespace QwenServe.Compute;

/// <summary>
/// One step's rows as the device reads them: a ragged batch in which sequence s has the tokens
/// <c>QueryStarts[s] .. QueryStarts[s + 1]</c>. Sequences with one token come first (the decoding ones), so that a device may treat
/// the two kinds apart. The runner fills it anew for each step; the device copies what it needs in <see cref="IDevice.Begin"/>.
/// </summary>
public sealed class StepInputs
{
    /// <summary>In <see cref="TokenIds"/>: the token that was last sampled in the sequence's slot, which the host may not know yet.</summary>
    public const int SampledInSlot = -1;

    public StepInputs(StepLimits limits, int blocksPerSequence)
    {
        TokenIds = new int[limits.Tokens];
        Positions = new int[limits.Tokens];
        QueryStarts = new int[limits.Sequences + 1];
        ContextLengths = new int[limits.Sequences];
        Slots = new int[limits.Sequences];
        BlockTableStride = blocksPerSequence;
        BlockTables = new int[(long)limits.Sequences * blocksPerSequence];
        LogitTokens = new int[limits.LogitRows];
    }

    public int TokenCount { get; set; }

    public int SequenceCount { get; set; }

    public int LogitCount { get; set; }

    /// <summary>[TokenCount]; an id of the vocabulary or <see cref="SampledInSlot"/>.</summary>
    public int[] TokenIds { get; }

    /// <summary>[TokenCount]; absolute positions from 0, consecutive within a sequence.</summary>
    public int[] Positions { get; }

    /// <summary>[SequenceCount + 1]; the first token of each sequence, and the token count.</summary>
    public int[] QueryStarts { get; }

    /// <summary>[SequenceCount]; keys that the sequence's last token sees, itself included.</summary>
    public int[] ContextLengths { get; }

    /// <summary>[SequenceCount]; where the device keeps the sequence's last sampled token and its penalty counts.</summary>
    public int[] Slots { get; }

    /// <summary>[SequenceCount, BlockTableStride]; the KV block of each run of block-size positions. Entries past the context are not read.</summary>
    public int[] BlockTables { get; }

    public int BlockTableStride { get; }

    /// <summary>[LogitCount]; the tokens, by index, whose logits are wanted.</summary>
    public int[] LogitTokens { get; }
}
