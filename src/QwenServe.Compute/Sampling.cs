namespace QwenServe.Compute;

/// <summary>
/// How one token is drawn. The order is vLLM V1's: mask and banned ids, logit bias; penalties (repetition over prompt and output, the
/// others over output); temperature; min-p; top-k; top-p. Log-probabilities are those of the raw logits over the whole vocabulary.
/// </summary>
public struct SamplingRow
{
    /// <summary>Row of logits, an index into <see cref="StepInputs.LogitTokens"/>.</summary>
    public int LogitRow;

    /// <summary>The slot that receives the token and whose counts the penalties use.</summary>
    public int Slot;

    /// <summary>An id whose log-probability is asked for in place of a draw (prompt log-probs), or -1 to draw.</summary>
    public int Target;

    /// <summary>0 takes the most probable id, the lowest of equals.</summary>
    public float Temperature;

    /// <summary>0 is off.</summary>
    public int TopK;

    /// <summary>1 is off.</summary>
    public float TopP;

    /// <summary>0 is off.</summary>
    public float MinP;

    /// <summary>0 is off.</summary>
    public float PresencePenalty;

    /// <summary>0 is off.</summary>
    public float FrequencyPenalty;

    /// <summary>1 is off.</summary>
    public float RepetitionPenalty;

    /// <summary>
    /// With <see cref="Position"/> the key of the random draw: equal keys on equal logits draw the same id. The kept ids are walked in
    /// ascending order until their probability passes <see cref="Philox.Uniform"/>.
    /// </summary>
    public ulong Seed;

    /// <summary>Tokens before the drawn one.</summary>
    public int Position;

    /// <summary>-1: no log-probs; 0: that of the token; k up to <see cref="SamplingResults.MaxTopLogProbs"/>: also the k most probable.</summary>
    public int TopLogProbs;

    /// <summary>First entry of the row in <see cref="SamplingInputs.Biases"/>.</summary>
    public int BiasStart;

    /// <summary>Entries in <see cref="SamplingInputs.Biases"/>; a bias of negative infinity bans the id.</summary>
    public int BiasCount;

    /// <summary>Row of <see cref="SamplingInputs.Masks"/> that holds the admitted ids, or -1.</summary>
    public int MaskRow;
}

/// <summary>A value added to one id's logit.</summary>
public readonly record struct TokenBias(int Token, float Bias);

/// <summary>What a step samples. Filled anew for each step; the device copies what it needs in <see cref="IDevice.Sample"/>.</summary>
public sealed class SamplingInputs(int maxRows, int vocabularySize)
{
    public int Count { get; set; }

    /// <summary>[Count]</summary>
    public SamplingRow[] Rows { get; } = new SamplingRow[maxRows];

    public List<TokenBias> Biases { get; } = [];

    /// <summary>32-bit words of one mask row; bit id % 32 of word id / 32 admits the id.</summary>
    public int MaskStride { get; } = (vocabularySize + 31) / 32;

    public int MaskCount { get; set; }

    /// <summary>[MaskCount, MaskStride]; grown by whoever fills masks.</summary>
    public uint[] Masks { get; set; } = [];
}

public enum SampleStatus : byte
{
    Sampled,

    /// <summary>The row's logits hold a NaN or positive infinity, or nothing finite is admitted: nothing was drawn.</summary>
    NonFinite,
}

/// <summary>What came of <see cref="IDevice.Sample"/>, row by row.</summary>
public sealed class SamplingResults(int maxRows)
{
    public const int MaxTopLogProbs = 20;

    public int Count { get; set; }

    /// <summary>[Count]; the drawn id, or the target.</summary>
    public int[] Tokens { get; } = new int[maxRows];

    public SampleStatus[] Status { get; } = new SampleStatus[maxRows];

    /// <summary>[Count]; natural log; only for rows that asked.</summary>
    public float[] LogProbs { get; } = new float[maxRows];

    /// <summary>[Count, MaxTopLogProbs]; ids with a token, most probable first, the lower id first of equals.</summary>
    public int[] TopTokens { get; } = new int[maxRows * MaxTopLogProbs];

    /// <summary>[Count, MaxTopLogProbs]</summary>
    public float[] TopLogProbs { get; } = new float[maxRows * MaxTopLogProbs];
}
