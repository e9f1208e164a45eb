namespace QwenServe.Compute.Cpu;

/// <summary>
/// Cuts weights out of large chunks, so that a matrix of two megabytes lies on huge pages like one of two hundred. A chunk is freed
/// when it is full and the last matrix in it is disposed.
/// </summary>
internal sealed unsafe class WeightArena
{
    private const long ChunkBytes = 256L << 20;
    private Chunk? _current;

    public Piece Allocate(long bytes)
    {
        long rounded = (bytes + 255) / 256 * 256;
        if (rounded > ChunkBytes / 4) return new Piece(new Chunk(rounded), rounded);
        if (_current is null || _current.Used + rounded > ChunkBytes)
        {
            _current?.Release();
            _current = new Chunk(ChunkBytes);
            _current.Share();
        }
        _current.Share();
        return new Piece(_current, rounded);
    }

    /// <summary>No further matrix will be cut out of the chunk in hand.</summary>
    public void Close()
    {
        _current?.Release();
        _current = null;
    }

    /// <summary>Zeroed memory of one matrix, aligned to 64 bytes.</summary>
    internal sealed class Piece : IDisposable
    {
        private Chunk? _chunk;

        public Piece(Chunk chunk, long bytes)
        {
            _chunk = chunk;
            Bytes = bytes;
            Pointer = chunk.Buffer.Pointer + chunk.Used;
            chunk.Used += bytes;
        }

        public byte* Pointer { get; private set; }

        public long Bytes { get; }

        public void Dispose()
        {
            _chunk?.Release();
            _chunk = null;
            Pointer = null;
        }
    }

    internal sealed class Chunk(long bytes)
    {
        private int _shares;

        public NativeBuffer Buffer { get; } = new(bytes, streamed: true);

        public long Used { get; set; }

        public void Share() => _shares++;

        public void Release()
        {
            if (--_shares <= 0) Buffer.Dispose();
        }
    }
}
