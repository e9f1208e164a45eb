using QwenServe.Compute;
using QwenServe.Engine.Cache;

namespace QwenServe.Engine.Scheduling;

internal enum SequenceState : byte
{
    /// <summary>Begins when the first choice has computed the prompt.</summary>
    Unforked,

    Waiting,
    Running,
    Finished,
}

/// <summary>
/// One choice of one request. It has no phase: it has tokens, some of them computed, and a step computes some of the difference. A token that
/// has been queued for drawing but is not known to the host yet counts as had: see <see cref="Pending"/>.
/// </summary>
internal sealed class Sequence(SequenceGroup group, int choice, int[] tokens, int promptLength, PrefixKey[] keys, int keyCount, BlockTable blocks)
{
    private int[] _tokens = tokens;
    private PrefixKey[] _keys = keys;

    public SequenceGroup Group { get; } = group;

    public int Choice { get; } = choice;

    public int PromptLength { get; } = promptLength;

    /// <summary>Place in the line: by arrival until the group's first step, from then on by that step, before all that have had none.</summary>
    public long Order { get; set; }

    public SequenceState State { get; set; } = SequenceState.Unforked;

    /// <summary>Tokens the host knows: prompt and output.</summary>
    public int Length { get; private set; } = promptLength;

    /// <summary>Tokens queued for drawing whose ids the host does not know yet: 0 to 2.</summary>
    public int Pending { get; set; }

    /// <summary>Tokens whose keys and values are in the cache, or will be when the steps queued so far are done.</summary>
    public int Computed { get; set; }

    /// <summary>Tokens whose keys and values are in the cache by the results received.</summary>
    public int Committed { get; set; }

    /// <summary>Full blocks that have been offered to the prefix index.</summary>
    public int RegisteredBlocks { get; set; }

    /// <summary>Where the device keeps its last token and penalty counts; -1 without.</summary>
    public int Slot { get; set; } = -1;

    public BlockTable Blocks { get; } = blocks;

    /// <summary>The fixed part of its sampling row.</summary>
    public SamplingRow Draw { get; init; }

    public ITokenMask? Mask { get; init; }

    /// <summary>The token that <see cref="Mask"/> has not been told of, or -1.</summary>
    public int UnacceptedToken { get; set; } = -1;

    /// <summary>Whether <see cref="Mask"/> may give tokens without a draw: not where log-probs are wanted of each, or an id has a bias.</summary>
    public bool MayJump { get; init; }

    /// <summary>The tokens that <see cref="Mask"/> has moved on by without a draw and that the sequence does not have yet.</summary>
    public int[] Forced { get; set; } = [];

    /// <summary>The device's slot lacks tokens that were not drawn.</summary>
    public bool SlotIsBehind { get; set; }

    /// <summary>0 before the first token.</summary>
    public long FirstTokenTimestamp { get; set; }

    public long LastTokenTimestamp { get; set; }

    // Links of the queue it stands in.
    public Sequence? Previous { get; set; }

    public Sequence? Next { get; set; }

    /// <summary>Whether it is to be computed rather than the other when not both can be.</summary>
    public bool Precedes(Sequence other)
        => Group.Priority != other.Group.Priority ? Group.Priority < other.Group.Priority : Order < other.Order;

    public int OutputLength => Length - PromptLength;

    /// <summary>Tokens had and not computed.</summary>
    public int Uncomputed => Length + Pending - Computed;

    /// <summary>Whether no further token can follow those it has.</summary>
    public bool Full => OutputLength + Pending >= Group.MaxOutput;

    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Length);

    public ReadOnlySpan<int> Prompt => _tokens.AsSpan(0, PromptLength);

    public ReadOnlySpan<int> Output => _tokens.AsSpan(PromptLength, OutputLength);

    public void Append(int token)
    {
        if (Length == _tokens.Length) Array.Resize(ref _tokens, 2 * Length);
        _tokens[Length++] = token;
    }

    /// <summary>Keys of the first full blocks.</summary>
    public ReadOnlySpan<PrefixKey> Keys(int count, int blockSize)
    {
        if (count > _keys.Length) Array.Resize(ref _keys, Math.Max(count, 2 * _keys.Length));
        while (keyCount < count)
        {
            var parent = keyCount > 0 ? _keys[keyCount - 1] : PrefixKey.Root(Group.Request.CacheSalt);
            _keys[keyCount] = parent.Next(_tokens.AsSpan(keyCount * blockSize, blockSize));
            keyCount++;
        }
        return _keys.AsSpan(0, count);
    }
}
