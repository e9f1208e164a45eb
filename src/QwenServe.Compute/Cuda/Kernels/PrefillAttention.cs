using System.Runtime.InteropServices;

namespace QwenServe.Compute.Cuda.Kernels;

/// <summary>Launches of PrefillAttention.cu.</summary>
internal sealed class PrefillAttention(CudaModule module, nint stream, ModelGeometry geometry)
{
    /// <summary>Queries a block.</summary>
    public const int TileRows = 128;

    private readonly int _shared = (TileRows + 4 * 64) * geometry.HeadDim * 2;
    private readonly CudaKernel _kernel = module.Kernel("prefillAttention", (TileRows + 4 * 64) * geometry.HeadDim * 2);

    [StructLayout(LayoutKind.Sequential)]
    private struct PrefillAttentionArgs
    {
        public ulong Q, Keys, Values, Out, Tiles, Starts, Contexts, Tables, TableStride;
        public float Scale;
        public int QStride, Heads, KvHeads, BlockSize, Window;
    }

    public void Launch(ulong q, ulong keys, ulong values, ulong destination, int tiles, int blockSize, int window, in StepAddresses step)
        => _kernel.Launch(stream, new PrefillAttentionArgs
        {
            Q = q,
            Keys = keys,
            Values = values,
            Out = destination,
            Tiles = step.Tiles,
            Starts = step.QueryStarts,
            Contexts = step.Contexts,
            Tables = step.Tables,
            TableStride = step.TableStride,
            Scale = 1f / MathF.Sqrt(geometry.HeadDim),
            QStride = geometry.QkvSize,
            Heads = geometry.HeadCount,
            KvHeads = geometry.KvHeadCount,
            BlockSize = blockSize,
            Window = window,
        }, tiles, geometry.HeadCount, 1, 128, _shared, true);
}
