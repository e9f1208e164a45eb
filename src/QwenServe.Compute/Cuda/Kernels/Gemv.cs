using System.Runtime.InteropServices;

namespace QwenServe.Compute.Cuda.Kernels;

/// <summary>Launches of Gemv.cu: linear layers of at most eight rows.</summary>
internal sealed class Gemv
{
    public const int MaxRows = 8;

    private const int MaxShared = 160 * 1024;

    private readonly CudaKernel _store, _add, _normStore, _normSwiglu, _normRopeStore;
    private readonly nint _stream;
    private readonly int _processors;

    public Gemv(CudaModule module, nint stream, int processors, int maxShared)
    {
        int shared = Math.Min(MaxShared, maxShared - 12 * 1024);
        (_stream, _processors) = (stream, processors);
        _store = module.Kernel("gemvStore");
        _add = module.Kernel("gemvAdd");
        _normStore = module.Kernel("gemvNormStore", shared);
        _normSwiglu = module.Kernel("gemvNormSwiglu", shared);
        _normRopeStore = module.Kernel("gemvNormRopeStore", shared);
        SharedLimit = shared;
    }

    /// <summary>Shared memory that normed rows may take.</summary>
    public int SharedLimit { get; }

    [StructLayout(LayoutKind.Sequential)]
    private struct GemvArgs
    {
        public ulong W, Bias, X, H, NormWeight, Rows, Out;
        public float Epsilon;
        public int N, K, M;
        public ulong Turns, Positions, CacheSlots, Keys, Values;
        public int Heads, KvHeads, HeadDim, BlockSize;
    }

    /// <summary>Bytes of shared memory for m normed rows of k.</summary>
    public static int SharedFor(int m, int k) => m * (k + ((k & 63) == 0 ? 32 : 0)) * 2;

    /// <summary>out[m, n] += x·Wᵀ in fp32.</summary>
    public void Add(CudaMatrix w, ulong x, ulong destination, int m) => Launch(_add, Args(w, m) with { X = x, Out = destination }, w.Rows / 16, 0);

    /// <summary>out[m, n] = x·Wᵀ in fp32.</summary>
    public void Store(CudaMatrix w, ulong x, ulong destination, int m) => Launch(_store, Args(w, m) with { X = x, Out = destination }, (w.Rows + 15) / 16, 0);

    /// <summary>out[m, n] = RMSNorm(h[rows])·Wᵀ in fp32.</summary>
    public void NormStore(CudaMatrix w, ulong h, ulong norm, float epsilon, ulong rows, ulong destination, int m)
        => Launch(_normStore, Args(w, m) with { H = h, NormWeight = norm, Epsilon = epsilon, Rows = rows, Out = destination }, (w.Rows + 15) / 16, SharedFor(m, w.Columns));

    /// <summary>out[m, n / 2] = silu(gate)·up of RMSNorm(h), W being gate above up.</summary>
    public void NormSwiglu(CudaMatrix w, ulong h, ulong norm, float epsilon, ulong destination, int m)
        => Launch(_normSwiglu, Args(w, m) with { H = h, NormWeight = norm, Epsilon = epsilon, Out = destination, N = w.Rows / 2 }, w.Rows / 16, SharedFor(m, w.Columns));

    /// <summary>q to out, k and v to the cache, of RMSNorm(h)·Wᵀ + b, turned.</summary>
    public void NormRopeStore(CudaMatrix w, ulong h, ulong norm, float epsilon, ulong destination, int m, ulong turns, ulong keys, ulong values,
        ModelGeometry geometry, int blockSize, in StepAddresses step)
        => Launch(_normRopeStore, Args(w, m) with
        {
            H = h,
            NormWeight = norm,
            Epsilon = epsilon,
            Out = destination,
            Turns = turns,
            Positions = step.Positions,
            CacheSlots = step.CacheSlots,
            Keys = keys,
            Values = values,
            Heads = geometry.HeadCount,
            KvHeads = geometry.KvHeadCount,
            HeadDim = geometry.HeadDim,
            BlockSize = blockSize,
        }, w.Rows / 16, SharedFor(m, w.Columns));

    private static GemvArgs Args(CudaMatrix w, int m) => new() { W = w.Data, Bias = w.Bias, N = w.Rows, K = w.Columns, M = m };

    private void Launch(CudaKernel kernel, in GemvArgs arguments, int tiles, int shared)
        => kernel.Launch(_stream, arguments, Math.Min(tiles, _processors * (shared > 90 * 1024 ? 1 : 2)), 1, 1, 256, shared, true);
}
