namespace QwenServe.Compute.Cpu;

/// <summary>
/// Keys and values of all layers in blocks of positions. Within a block and head keys lie [HeadDim, positions], so that a vector
/// holds one dimension of neighbouring keys, and values [positions, HeadDim].
/// </summary>
internal sealed unsafe class KvStore : IDisposable
{
    private readonly NativeBuffer _data;
    private readonly int _blocks;
    private readonly int _layers;
    private readonly long _headBytes;

    public KvStore(ModelGeometry geometry, int blocks, int blockSize, DType type)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blocks, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(blockSize, 1);
        BlockSize = blockSize;
        Type = type;
        HeadDim = geometry.HeadDim;
        _blocks = blocks;
        _layers = geometry.LayerCount;
        _headBytes = (long)blockSize * HeadDim * type.Size();
        BlockBytes = 2 * geometry.KvHeadCount * _headBytes;
        _data = new NativeBuffer(BlockBytes * blocks * _layers, streamed: true);
    }

    public int BlockSize { get; }

    public int HeadDim { get; }

    public DType Type { get; }

    /// <summary>Of one layer.</summary>
    public long BlockBytes { get; }

    public long Bytes => _data.Bytes;

    /// <summary>[HeadDim, BlockSize]</summary>
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
