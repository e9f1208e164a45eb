namespace QwenServe.Engine.Cache;

/// <summary>
/// Owns the numbers of all KV blocks: who references each, and which are free. A free block that still holds a findable prefix stands in a
/// list from the least to the most recently used and is taken from its old end, after the blocks that hold nothing. The list runs through
/// arrays over blocks; nothing is allocated after construction.
/// </summary>
internal sealed class BlockPool
{
    private readonly int[] _references;
    private readonly int[] _empty;
    private readonly int[] _older;
    private readonly int[] _newer;
    private readonly PrefixIndex? _prefixes;
    private int _emptyCount;
    private int _oldest = -1;
    private int _newest = -1;
    private int _reusableCount;

    public BlockPool(int blocks, PrefixIndex? prefixes)
    {
        _references = new int[blocks];
        _empty = new int[blocks];
        _older = new int[blocks];
        _newer = new int[blocks];
        _prefixes = prefixes;
        for (int i = 0; i < blocks; i++) _empty[i] = blocks - 1 - i;
        _emptyCount = blocks;
    }

    public int Count => _references.Length;

    /// <summary>Blocks that nobody references, findable prefixes among them.</summary>
    public int FreeCount => _emptyCount + _reusableCount;

    /// <summary>Findable prefixes that were given up to make room.</summary>
    public long Evictions { get; private set; }

    public int References(int block) => _references[block];

    /// <summary>Takes a free block with one reference; call only when <see cref="FreeCount"/> is above 0.</summary>
    public int Take()
    {
        int block;
        if (_emptyCount > 0) block = _empty[--_emptyCount];
        else
        {
            block = _oldest;
            Unlink(block);
            _prefixes!.Remove(block);
            Evictions++;
        }
        _references[block] = 1;
        return block;
    }

    /// <summary>One more reference to a block, which may be free when it holds a prefix.</summary>
    public void AddReference(int block)
    {
        if (_references[block]++ == 0) Unlink(block);
    }

    /// <summary>One reference less. Of blocks released together the first is evicted first.</summary>
    public void Release(int block)
    {
        if (--_references[block] > 0) return;
        if (_prefixes is not null && _prefixes.Holds(block)) Append(block);
        else _empty[_emptyCount++] = block;
    }

    /// <summary>Compares the free lists with the references, and these with the counts that the caller found.</summary>
    /// <exception cref="InvalidOperationException">They disagree.</exception>
    public void CheckIntegrity(ReadOnlySpan<int> expected)
    {
        int free = 0;
        for (int block = 0; block < Count; block++)
        {
            if (_references[block] != expected[block])
                throw new InvalidOperationException($"block {block} has {_references[block]} references but {expected[block]} users");
            if (_references[block] == 0) free++;
        }
        if (free != FreeCount) throw new InvalidOperationException($"{free} blocks have no user but {FreeCount} are free");
        for (int i = 0; i < _emptyCount; i++)
        {
            int block = _empty[i];
            if (_references[block] != 0 || (_prefixes?.Holds(block) ?? false)) throw new InvalidOperationException($"block {block} is taken for empty");
        }
        int listed = 0;
        for (int block = _oldest, older = -1; block >= 0; older = block, block = _newer[block])
        {
            if (_references[block] != 0 || !_prefixes!.Holds(block) || _older[block] != older || ++listed > _reusableCount)
                throw new InvalidOperationException($"block {block} is wrongly in the list of unused prefixes");
        }
        if (listed != _reusableCount) throw new InvalidOperationException($"{_reusableCount} unused prefixes but {listed} listed");
        _prefixes?.CheckIntegrity();
    }

    private void Append(int block)
    {
        _older[block] = _newest;
        _newer[block] = -1;
        if (_newest >= 0) _newer[_newest] = block;
        else _oldest = block;
        _newest = block;
        _reusableCount++;
    }

    private void Unlink(int block)
    {
        int older = _older[block], newer = _newer[block];
        if (older >= 0) _newer[older] = newer;
        else _oldest = newer;
        if (newer >= 0) _older[newer] = older;
        else _newest = older;
        _reusableCount--;
    }
}
