using System.Runtime.InteropServices;
using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Compute.Cuda.Kernels;

/// <summary>Launches of HopperPrefillAttention.cu, on compute capability 9.0.</summary>
internal sealed class HopperPrefillAttention
{
    private readonly CudaKernel _kernel;
    private readonly nint _stream;
    private readonly ModelGeometry _geometry;
    private readonly int _shared, _blockSize;
    private readonly long _layerRows;
    private readonly CUtensorMap _keys, _values;

    /// <summary>Whether pages of this size can be copied whole.</summary>
    public static bool Takes(int blockSize) => blockSize is 16 or 32 or 64 or 128 or 256;

    public HopperPrefillAttention(CudaModule module, nint stream, ModelGeometry geometry, ulong keys, ulong values, int blocks, int blockSize)
    {
        (_stream, _geometry, _blockSize) = (stream, geometry, blockSize);
        _layerRows = (long)blocks * geometry.KvHeadCount * blockSize;
        _shared = (128 + 4 * 128) * geometry.HeadDim * 2 + 1024;
        _kernel = module.Kernel("hopperPrefillAttention", _shared);
        _keys = TensorMaps.Rows(keys, _layerRows * geometry.LayerCount, geometry.HeadDim, Math.Min(blockSize, 128));
        _values = TensorMaps.Rows(values, _layerRows * geometry.LayerCount, geometry.HeadDim, Math.Min(blockSize, 128));
    }

    [StructLayout(LayoutKind.Sequential, Size = 384)]
    private struct HopperAttentionArgs
    {
        public CUtensorMap Keys, Values;
        public ulong Q, Out, Tiles, Starts, Contexts, Tables, TableStride;
        public long LayerRow;
        public float Scale;
        public int QStride, Heads, KvHeads, BlockSize, Window;
    }

    public void Launch(ulong q, int layer, ulong destination, int tiles, int window, in StepAddresses step)
        => _kernel.Launch(_stream, new HopperAttentionArgs
        {
            Keys = _keys,
            Values = _values,
            Q = q,
            Out = destination,
            Tiles = step.Tiles,
            Starts = step.QueryStarts,
            Contexts = step.Contexts,
            Tables = step.Tables,
            TableStride = step.TableStride,
            LayerRow = layer * _layerRows,
            Scale = 1f / MathF.Sqrt(_geometry.HeadDim),
            QStride = _geometry.QkvSize,
            Heads = _geometry.HeadCount,
            KvHeads = _geometry.KvHeadCount,
            BlockSize = _blockSize,
            Window = window,
        }, _geometry.HeadCount, tiles, 1, 384, _shared, true);
}
