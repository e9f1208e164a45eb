namespace QwenServe.Engine.Cache;

/// <summary>
/// Finds the block that holds a prefix. At most one block a key and one key a block, so the hash chains run through arrays over blocks and
/// nothing is allocated after construction. A hit compares the block's own tokens beside the 128-bit key.
/// </summary>
internal sealed class PrefixIndex
{
    private readonly int _blockSize;
    private readonly int[] _buckets;
    private readonly int[] _next;
    private readonly PrefixKey[] _keys;
    private readonly int[] _tokens;
    private readonly bool[] _held;

    public PrefixIndex(int blocks, int blockSize)
    {
        _blockSize = blockSize;
        _buckets = new int[System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(blocks, 1))];
        Array.Fill(_buckets, -1);
        _next = new int[blocks];
        _keys = new PrefixKey[blocks];
        _tokens = new int[blocks * blockSize];
        _held = new bool[blocks];
    }

    public int Count { get; private set; }

    /// <summary>Whether the block can be found.</summary>
    public bool Holds(int block) => _held[block];

    /// <summary>The block with this key and these tokens, or -1.</summary>
    public int Find(PrefixKey key, ReadOnlySpan<int> tokens)
    {
        for (int block = _buckets[Bucket(key)]; block >= 0; block = _next[block])
            if (_keys[block] == key && tokens.SequenceEqual(TokensOf(block))) return block;
        return -1;
    }

    /// <summary>Makes the block findable; false when another block already holds this prefix.</summary>
    public bool TryAdd(PrefixKey key, ReadOnlySpan<int> tokens, int block)
    {
        if (_held[block] || Find(key, tokens) >= 0) return false;
        _keys[block] = key;
        tokens.CopyTo(TokensOf(block));
        ref int bucket = ref _buckets[Bucket(key)];
        _next[block] = bucket;
        bucket = block;
        _held[block] = true;
        Count++;
        return true;
    }

    public void Remove(int block)
    {
        if (!_held[block]) return;
        ref int link = ref _buckets[Bucket(_keys[block])];
        while (link != block) link = ref _next[link];
        link = _next[block];
        _held[block] = false;
        Count--;
    }

    /// <summary>Counts what the chains reach.</summary>
    /// <exception cref="InvalidOperationException">The chains and the marks disagree.</exception>
    public void CheckIntegrity()
    {
        int reached = 0;
        foreach (int first in _buckets)
        {
            for (int block = first; block >= 0; block = _next[block])
                if (!_held[block] || ++reached > Count) throw new InvalidOperationException($"prefix index: block {block} is in a chain but not held, or twice");
        }
        if (reached != Count) throw new InvalidOperationException($"prefix index: {Count} blocks held but {reached} reachable");
    }

    private Span<int> TokensOf(int block) => _tokens.AsSpan(block * _blockSize, _blockSize);

    private int Bucket(PrefixKey key) => (int)(key.Low & (ulong)(_buckets.Length - 1));
}
