namespace QwenServe.Compute.Cpu;

/// <summary>
/// Per slot: the token last sampled and how often each token occurred, as the penalties want it. Counts are indexed by token (memory
/// is taken only where tokens fall) beside a list of the tokens that occurred, so that penalties and clearing cost what the
/// sequence is long and not what the vocabulary is wide.
/// </summary>
internal sealed unsafe class SlotTable : IDisposable
{
    /// <summary>Set in a count when the token is in the prompt; the rest counts the output.</summary>
    public const uint InPrompt = 1u << 31;

    private readonly NativeBuffer _counts;
    private readonly NativeBuffer _tokens;
    private readonly int[] _lengths;
    private readonly int[] _last;
    private readonly int _vocabularySize;

    public SlotTable(int slots, int vocabularySize)
    {
        _vocabularySize = vocabularySize;
        _counts = new NativeBuffer((long)slots * vocabularySize * sizeof(uint));
        _tokens = new NativeBuffer((long)slots * vocabularySize * sizeof(int));
        _lengths = new int[slots];
        _last = new int[slots];
    }

    public int Last(int slot) => _last[slot];

    /// <summary>[VocabularySize]</summary>
    public uint* Counts(int slot) => (uint*)_counts.Pointer + (long)slot * _vocabularySize;

    /// <summary>The distinct tokens of prompt and output.</summary>
    public ReadOnlySpan<int> Tokens(int slot) => new((int*)_tokens.Pointer + (long)slot * _vocabularySize, _lengths[slot]);

    public void Assign(int slot, ReadOnlySpan<int> prompt, ReadOnlySpan<int> output)
    {
        uint* counts = Counts(slot);
        foreach (int token in Tokens(slot)) counts[token] = 0;
        _lengths[slot] = 0;
        _last[slot] = output.IsEmpty ? 0 : output[^1];
        foreach (int token in prompt) *Entry(slot, token) |= InPrompt;
        foreach (int token in output) (*Entry(slot, token))++;
    }

    /// <summary>Notes a token drawn.</summary>
    public void Append(int slot, int token)
    {
        (*Entry(slot, token))++;
        _last[slot] = token;
    }

    public void Dispose()
    {
        _counts.Dispose();
        _tokens.Dispose();
    }

    private uint* Entry(int slot, int token)
    {
        if ((uint)token >= (uint)_vocabularySize) throw new ArgumentOutOfRangeException(nameof(token), $"token {token} of {_vocabularySize}");
        uint* entry = Counts(slot) + token;
        if (*entry == 0) ((int*)_tokens.Pointer)[(long)slot * _vocabularySize + _lengths[slot]++] = token;
        return entry;
    }
}
