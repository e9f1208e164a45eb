namespace QwenServe.Compute.Reference;

/// <summary>A sequence that a <see cref="StepDriver"/> computes.</summary>
/// <param name="tokens">All its tokens.</param>
/// <param name="slot">Its slot on the device.</param>
/// <param name="blocks">Its KV blocks in order of position, enough for all tokens.</param>
public sealed class DrivenSequence(int[] tokens, int slot, int[] blocks)
{
    public int[] Tokens => tokens;

    public int Slot => slot;

    public int[] Blocks => blocks;

    /// <summary>Tokens whose keys and values are in the cache.</summary>
    public int Computed { get; set; }
}

/// <summary>Issues steps of hand-made sequences to a device and hands out the logits of every token: the smallest possible engine.</summary>
public sealed class StepDriver
{
    private readonly IDevice _device;
    private readonly int _vocabularySize;
    private readonly Action _forward;
    private readonly StepInputs _inputs;

    /// <param name="device">Configured, weights loaded.</param>
    /// <param name="geometry">Its sizes.</param>
    /// <param name="limits">The largest step.</param>
    /// <param name="blocks">KV blocks to allocate.</param>
    /// <param name="blockSize">Positions a block.</param>
    /// <param name="kvType">Type of the cache.</param>
    /// <param name="forward">The operations of a step.</param>
    public StepDriver(IDevice device, ModelGeometry geometry, StepLimits limits, int blocks, int blockSize, DType kvType, Action forward)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(geometry);
        _device = device;
        _vocabularySize = geometry.VocabularySize;
        _forward = forward;
        device.AllocateStep(limits);
        device.AllocateKvCache(blocks, blockSize, kvType);
        _inputs = new StepInputs(limits, (limits.ContextLength + blockSize - 1) / blockSize);
    }

    public StepInputs Inputs => _inputs;

    /// <summary>Computes the next tokens of each sequence; those with one token must come first. Returns the logits of every token, in order.</summary>
    public float[][] Step(params ReadOnlySpan<(DrivenSequence Sequence, int Count)> work)
    {
        Prepare(work);
        _inputs.LogitCount = _inputs.TokenCount;
        for (int t = 0; t < _inputs.TokenCount; t++) _inputs.LogitTokens[t] = t;
        _device.Begin(_inputs);
        _device.Run(_forward);
        float[][] logits = new float[_inputs.TokenCount][];
        for (int t = 0; t < logits.Length; t++) _device.ReadLogits(t, logits[t] = new float[_vocabularySize]);
        return logits;
    }

    /// <summary>Computes the next tokens of each sequence with logits of the last ones only; nothing is read back.</summary>
    public void StepLast(params ReadOnlySpan<(DrivenSequence Sequence, int Count)> work)
    {
        Prepare(work);
        _inputs.LogitCount = work.Length;
        for (int s = 0; s < work.Length; s++) _inputs.LogitTokens[s] = _inputs.QueryStarts[s + 1] - 1;
        _device.Begin(_inputs);
        _device.Run(_forward);
    }

    private void Prepare(ReadOnlySpan<(DrivenSequence Sequence, int Count)> work)
    {
        int t = 0;
        for (int s = 0; s < work.Length; s++)
        {
            var (sequence, count) = work[s];
            _inputs.QueryStarts[s] = t;
            _inputs.Slots[s] = sequence.Slot;
            for (int i = 0; i < count; i++, t++)
            {
                _inputs.TokenIds[t] = sequence.Tokens[sequence.Computed + i];
                _inputs.Positions[t] = sequence.Computed + i;
            }
            sequence.Computed += count;
            _inputs.ContextLengths[s] = sequence.Computed;
            sequence.Blocks.CopyTo(_inputs.BlockTables, s * _inputs.BlockTableStride);
        }
        _inputs.QueryStarts[work.Length] = t;
        _inputs.TokenCount = t;
        _inputs.SequenceCount = work.Length;
    }
}
