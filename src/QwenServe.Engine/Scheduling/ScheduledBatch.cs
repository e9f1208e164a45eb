using QwenServe.Compute;

namespace QwenServe.Engine.Scheduling;

/// <summary>Tokens Start .. Start+Count-1 of a sequence, to be computed in a step.</summary>
internal record struct ScheduledRow(Sequence Sequence, int Start, int Count);

/// <summary>One row of sampling: a draw, or the log-prob of prompt token <paramref name="Target"/>.</summary>
/// <param name="Sequence">Whose.</param>
/// <param name="LogitRow">Index into <see cref="ScheduledBatch.LogitTokens"/>; choices that fork share one.</param>
/// <param name="Position">Tokens before the drawn one, or the position of the target.</param>
/// <param name="Target">An id whose log-prob is wanted, or -1 for a draw.</param>
/// <param name="MaskRow">Row of <see cref="ScheduledBatch.Masks"/>, or -1.</param>
internal record struct ScheduledSample(Sequence Sequence, int LogitRow, int Position, int Target, int MaskRow);

/// <summary>One step: who computes how many tokens, in which blocks, and what is drawn. Filled anew for each step, never reallocated.</summary>
internal sealed class ScheduledBatch(StepLimits limits, int maskStride)
{
    private readonly ScheduledRow[] _rows = new ScheduledRow[limits.Sequences];
    private readonly ScheduledSample[] _samples = new ScheduledSample[limits.LogitRows];
    private readonly int[] _logitTokens = new int[limits.LogitRows];

    public int RowCount { get; private set; }

    public int TokenCount { get; private set; }

    /// <summary>Sequences with one token first.</summary>
    public Span<ScheduledRow> Rows => _rows.AsSpan(0, RowCount);

    public int SampleCount { get; private set; }

    public Span<ScheduledSample> Samples => _samples.AsSpan(0, SampleCount);

    public int LogitCount { get; private set; }

    /// <summary>Tokens of the step, by index, whose logits are wanted.</summary>
    public ReadOnlySpan<int> LogitTokens => _logitTokens.AsSpan(0, LogitCount);

    /// <summary>Blocks to copy before the step, in this order.</summary>
    public List<(int Source, int Destination)> Copies { get; } = new(limits.Sequences);

    /// <summary>Sequences whose slot is to be started anew before the step.</summary>
    public List<Sequence> Assigned { get; } = new(limits.Sequences);

    public int MaskCount { get; private set; }

    /// <summary>Words of one mask.</summary>
    public int MaskStride { get; } = maskStride;

    /// <summary>[MaskCount, MaskStride]</summary>
    public uint[] Masks { get; private set; } = [];

    public bool IsEmpty => RowCount == 0;

    public void Clear()
    {
        Rows.Clear();
        Samples.Clear();
        RowCount = TokenCount = SampleCount = LogitCount = MaskCount = 0;
        Copies.Clear();
        Assigned.Clear();
    }

    public void Add(in ScheduledRow row)
    {
        _rows[RowCount++] = row;
        TokenCount += row.Count;
    }

    public int AddLogits(int token)
    {
        _logitTokens[LogitCount] = token;
        return LogitCount++;
    }

    public void AddSample(in ScheduledSample sample) => _samples[SampleCount++] = sample;

    /// <summary>Forgets what sequences that have ended would have drawn.</summary>
    public void DropFinished()
    {
        int kept = 0;
        for (int i = 0; i < SampleCount; i++)
            if (_samples[i].Sequence.State != SequenceState.Finished) _samples[kept++] = _samples[i];
        SampleCount = kept;
    }

    /// <summary>Forgets a sample.</summary>
    public void Drop(int sample)
    {
        _samples.AsSpan(sample + 1, SampleCount - sample - 1).CopyTo(_samples.AsSpan(sample));
        SampleCount--;
    }

    /// <summary>Gives each draw of a sequence with a mask its row.</summary>
    public void AssignMasks()
    {
        MaskCount = 0;
        foreach (ref var sample in Samples)
            sample.MaskRow = sample.Target < 0 && sample.Sequence.Mask is not null ? MaskCount++ : -1;
        if (Masks.Length < MaskCount * MaskStride) Masks = new uint[Math.Max(MaskCount, 8) * MaskStride];
    }

    public Span<uint> Mask(int row) => Masks.AsSpan(row * MaskStride, MaskStride);
}
