namespace QwenServe.Compute.Cpu;

/// <summary>
/// Keys and values of all layers in blocks of positions. Within a block and head keys lie in chunks of <see cref="ChunkKeys"/> positions,
/// a chunk [HeadDim, positions], so that a vector holds one dimension of neighbouring keys and attention reads a chunk in place; values
/// lie [positions, HeadDim]. A block that does not divide into chunks is one odd chunk, which attention copies before it uses it.
/// </summary>
internal sealed unsafe class KvStore : IDisposable
{
    /// <summary>Positions in a chunk; a tile of attention is made of whole chunks.</summary>
    public const int ChunkKeys = 16;

    /// <summary>Bytes that may be read behind the last value: a vector may begin within a row and end behind it.</summary>
    private const int Slack = 128;

    private readonly NativeBuffer _data;
    private readonly int _blocks;
    private readonly int _layers;
    private readonly long _headBytes;

    public KvStore(ModelGeometry geometry, int blocks, int blockSize, DType type)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blocks, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(blockSize, 1);
        BlockSize = blockSize;
        KeyStride = blockSize % ChunkKeys == 0 ? ChunkKeys : blockSize;
        Type = type;
        HeadDim = geometry.HeadDim;
        _blocks = blocks;
        _layers = geometry.LayerCount;
        _headBytes = (long)blockSize * HeadDim * type.Size();
        BlockBytes = 2 * geometry.KvHeadCount * _headBytes;
        _data = new NativeBuffer(BlockBytes * blocks * _layers + Slack, streamed: true);
    }

    public int BlockSize { get; }

    /// <summary>Positions in this store's chunks: <see cref="ChunkKeys"/>, or BlockSize where that is no multiple of it.</summary>
    public int KeyStride { get; }

    public int HeadDim { get; }

    public DType Type { get; }

    /// <summary>Of one layer.</summary>
    public long BlockBytes { get; }

    public long Bytes => _data.Bytes - Slack;

    /// <summary>[BlockSize / KeyStride, HeadDim, KeyStride]</summary>
    public byte* Keys(int layer, int block, int head) => Block(layer, block) + 2 * head * _headBytes;

    /// <summary>[BlockSize, HeadDim]</summary>
    public byte* Values(int layer, int block, int head) => Block(layer, block) + (2 * head + 1) * _headBytes;

    public void Copy(int source, int destination)
    {
        Check(source);
        Check(destination);
        for (int layer = 0; layer < _layers; layer++)
            Buffer.MemoryCopy(Block(layer, source), Block(layer, destination), BlockBytes, BlockBytes);
    }

    public void Dispose() => _data.Dispose();

    /// <exception cref="ArgumentOutOfRangeException">There is no such block.</exception>
    public void Check(int block)
    {
        if ((uint)block >= (uint)_blocks) throw new ArgumentOutOfRangeException(nameof(block), $"block {block} of {_blocks}");
    }

    private byte* Block(int layer, int block) => _data.Pointer + ((long)layer * _blocks + block) * BlockBytes;
}
