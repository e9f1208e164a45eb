namespace QwenServe.Engine.Cache;

/// <summary>The KV blocks of one sequence, in order of position.</summary>
internal sealed class BlockTable(int capacity)
{
    private int[] _blocks = new int[Math.Max(capacity, 1)];

    public int Count { get; private set; }

    /// <summary>Changes whenever anything but an append happened, so that a copy of the table can be brought up to date by its tail alone.</summary>
    public int Version { get; private set; }

    public ReadOnlySpan<int> Blocks => _blocks.AsSpan(0, Count);

    public int this[int index] => _blocks[index];

    public void Add(int block)
    {
        if (Count == _blocks.Length) Array.Resize(ref _blocks, 2 * Count);
        _blocks[Count++] = block;
    }

    public void Replace(int index, int block)
    {
        _blocks[index] = block;
        Version++;
    }

    public void Clear()
    {
        Count = 0;
        Version++;
    }
}
