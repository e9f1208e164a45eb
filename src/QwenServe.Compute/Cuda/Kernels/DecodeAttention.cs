using System.Runtime.InteropServices;

namespace QwenServe.Compute.Cuda.Kernels;

/// <summary>Launches of DecodeAttention.cu, with the memory in which shares of a sequence wait to be merged.</summary>
internal sealed class DecodeAttention
{
    private const int MaxSplits = 64;

    private readonly CudaKernel _four;
    private readonly CudaKernel? _eight;
    private readonly nint _stream;
    private readonly ModelGeometry _geometry;
    private readonly int _processors;
    private readonly ulong _partials, _partialSums, _arrivals;

    public DecodeAttention(CudaModule module, nint stream, int processors, ModelGeometry geometry, int sequences, DeviceMemory memory)
    {
        (_stream, _geometry, _processors) = (stream, geometry, processors);
        _four = module.Kernel("decodeAttention4");
        if (geometry.HeadCount / geometry.KvHeadCount * geometry.HeadDim <= 1024) _eight = module.Kernel("decodeAttention8");
        long shares = 0;
        for (int n = 1; n <= sequences; n++) shares = Math.Max(shares, (long)n * geometry.KvHeadCount * SplitsFor(n, false));
        int group = geometry.HeadCount / geometry.KvHeadCount;
        _partials = memory.Allocate(shares * group * geometry.HeadDim * 4, "shares of decode attention");
        _partialSums = memory.Allocate(shares * group * 8, "shares of decode attention");
        _arrivals = memory.Allocate(4L * sequences * geometry.KvHeadCount, "shares of decode attention");
        Interop.CudaDriver.cuMemsetD8Async(_arrivals, 0, (nuint)(4L * sequences * geometry.KvHeadCount), stream).Check(nameof(Interop.CudaDriver.cuMemsetD8Async));
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct DecodeAttentionArgs
    {
        public ulong Q, Keys, Values, Out, Contexts, Tables, TableStride, Partials, PartialSums, Arrivals;
        public float Scale;
        public int QStride, Heads, KvHeads, BlockSize, Window;
    }

    /// <summary>Eight warps a block as long as there are multiprocessors for all: fewer shares are left to merge.</summary>
    private bool TakesEight(int sequences) => _eight is not null && sequences * _geometry.KvHeadCount <= _processors;

    /// <summary>Shares a sequence: enough blocks to fill the card once.</summary>
    private int SplitsFor(int sequences, bool eight) => Math.Clamp((eight ? 1 : 2) * _processors / (sequences * _geometry.KvHeadCount), 1, MaxSplits);

    public void Launch(ulong q, ulong keys, ulong values, ulong destination, int sequences, int blockSize, int window, in StepAddresses step)
    {
        bool eight = TakesEight(sequences);
        (eight ? _eight! : _four).Launch(_stream, new DecodeAttentionArgs
        {
            Q = q,
            Keys = keys,
            Values = values,
            Out = destination,
            Contexts = step.Contexts,
            Tables = step.Tables,
            TableStride = step.TableStride,
            Partials = _partials,
            PartialSums = _partialSums,
            Arrivals = _arrivals,
            Scale = 1f / MathF.Sqrt(_geometry.HeadDim),
            QStride = _geometry.QkvSize,
            Heads = _geometry.HeadCount,
            KvHeads = _geometry.KvHeadCount,
            BlockSize = blockSize,
            Window = window,
        }, _geometry.KvHeadCount, SplitsFor(sequences, eight), sequences, eight ? 256 : 128, 0, true);
    }
}
