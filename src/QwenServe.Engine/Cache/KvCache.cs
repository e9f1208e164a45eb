namespace QwenServe.Engine.Cache;

/// <summary>
/// Which blocks of the device's KV memory hold which positions of which sequence. A block that is full, computed and known by its tokens
/// becomes findable for later sequences with the same prefix and is never written again; only the last, partial block of a forked
/// sequence can be shared while somebody still has to write it, and the writer then takes a copy. The numbers only: the memory is the device's.
/// </summary>
internal sealed class KvCache
{
    private readonly PrefixIndex? _prefixes;
    private readonly BlockPool _pool;
    private readonly int[] _matched;
    private readonly int[] _counted;

    public KvCache(int blocks, int blockSize, bool prefixCaching)
    {
        BlockSize = blockSize;
        _prefixes = prefixCaching ? new PrefixIndex(blocks, blockSize) : null;
        _pool = new BlockPool(blocks, _prefixes);
        _matched = new int[blocks];
        _counted = new int[blocks];
    }

    public int BlockSize { get; }

    public int BlockCount => _pool.Count;

    public int FreeBlocks => _pool.FreeCount;

    public long Evictions => _pool.Evictions;

    public bool PrefixCaching => _prefixes is not null;

    /// <summary>Share of blocks in use, 0 to 1; unused prefixes count as free.</summary>
    public double Usage => 1 - (double)FreeBlocks / BlockCount;

    /// <summary>Blocks for this many positions.</summary>
    public int BlocksFor(int tokens) => (tokens + BlockSize - 1) / BlockSize;

    /// <summary>Finds the longest cached prefix, to be taken over by <see cref="Adopt"/> before any other call.</summary>
    /// <param name="keys">Keys of the sequence's full blocks.</param>
    /// <param name="tokens">Its tokens; the last is never matched, since somebody has to compute logits.</param>
    /// <param name="free">How many of the blocks found are free now, so that adopting them takes from <see cref="FreeBlocks"/>.</param>
    /// <returns>Blocks found.</returns>
    public int Match(ReadOnlySpan<PrefixKey> keys, ReadOnlySpan<int> tokens, out int free)
    {
        free = 0;
        if (_prefixes is null) return 0;
        int limit = Math.Min(keys.Length, (tokens.Length - 1) / BlockSize);
        for (int i = 0; i < limit; i++)
        {
            int block = _prefixes.Find(keys[i], tokens.Slice(i * BlockSize, BlockSize));
            if (block < 0) return i;
            _matched[i] = block;
            if (_pool.References(block) == 0) free++;
        }
        return limit;
    }

    /// <summary>Puts the first blocks of the last <see cref="Match"/> into an empty table.</summary>
    public void Adopt(BlockTable table, int count)
    {
        for (int i = 0; i < count; i++)
        {
            _pool.AddReference(_matched[i]);
            table.Add(_matched[i]);
        }
    }

    /// <summary>
    /// Makes positions start .. start+count-1 writable: takes the blocks missing, and a copy of the first one if others use it too.
    /// Changes nothing when there are too few free blocks. The copy is the one to make before the step, or (-1, -1).
    /// </summary>
    public bool TryReserve(BlockTable table, int start, int count, out (int Source, int Destination) copy)
    {
        copy = (-1, -1);
        int missing = BlocksFor(start + count) - table.Count;
        int first = start / BlockSize;
        bool shared = first < table.Count && _pool.References(table[first]) > 1;
        if (Math.Max(missing, 0) + (shared ? 1 : 0) > FreeBlocks) return false;
        if (shared)
        {
            int source = table[first];
            int destination = _pool.Take();
            _pool.Release(source);
            table.Replace(first, destination);
            copy = (source, destination);
        }
        for (int i = 0; i < missing; i++) table.Add(_pool.Take());
        return true;
    }

    /// <summary>Gives an empty table the blocks of another.</summary>
    public void Share(BlockTable from, BlockTable to)
    {
        foreach (int block in from.Blocks)
        {
            _pool.AddReference(block);
            to.Add(block);
        }
    }

    /// <summary>Makes a full, computed block findable.</summary>
    public void Register(PrefixKey key, ReadOnlySpan<int> tokens, int block) => _prefixes?.TryAdd(key, tokens, block);

    /// <summary>Makes all blocks of a table unfindable, because what they hold is wrong.</summary>
    public void Forget(BlockTable table)
    {
        foreach (int block in table.Blocks) _prefixes?.Remove(block);
    }

    /// <summary>Gives up a sequence's blocks, the last first, so that the end of a prefix is evicted before its start.</summary>
    public void Release(BlockTable table)
    {
        for (int i = table.Count - 1; i >= 0; i--) _pool.Release(table[i]);
        table.Clear();
    }

    /// <summary>Starts a check: the caller adds every table in use, then calls <see cref="EndCheck"/>.</summary>
    public void BeginCheck() => Array.Clear(_counted);

    public void Check(BlockTable table)
    {
        foreach (int block in table.Blocks) _counted[block]++;
    }

    /// <exception cref="InvalidOperationException">References, free lists, index and tables disagree.</exception>
    public void EndCheck() => _pool.CheckIntegrity(_counted);
}
