using System.Buffers;

namespace QwenServe.Text.Tokenization;

/// <summary>A growing run of token ids over pooled memory.</summary>
internal sealed class IdBuffer(int capacity) : IDisposable
{
    private int[] _ids = ArrayPool<int>.Shared.Rent(Math.Max(capacity, 16));
    private int _count;

    public ReadOnlySpan<int> Written => _ids.AsSpan(0, _count);

    public void Add(int id)
    {
        var ids = _ids;
        var count = _count;
        if ((uint)count >= (uint)ids.Length)
        {
            Grow(1);
            ids = _ids;
        }
        ids[count] = id;
        _count = count + 1;
    }

    public void Add(ReadOnlySpan<int> ids)
    {
        ids.CopyTo(Room(ids.Length));
        _count += ids.Length;
    }

    /// <summary>At least <paramref name="count"/> places after the last id, to be followed by <see cref="Advance"/>.</summary>
    public Span<int> Room(int count)
    {
        if (_ids.Length - _count < count) Grow(count);
        return _ids.AsSpan(_count);
    }

    public void Advance(int count) => _count += count;

    public void Dispose()
    {
        ArrayPool<int>.Shared.Return(_ids);
        _ids = [];
        _count = 0;
    }

    private void Grow(int more)
    {
        var larger = ArrayPool<int>.Shared.Rent(Math.Max(_ids.Length * 2, _count + more));
        Written.CopyTo(larger);
        ArrayPool<int>.Shared.Return(_ids);
        _ids = larger;
    }
}
