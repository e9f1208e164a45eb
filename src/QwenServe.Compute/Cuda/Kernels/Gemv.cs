using System.Runtime.InteropServices;

namespace QwenServe.Compute.Cuda.Kernels;

/// <summary>Launches of Gemv.cu: linear layers of at most eight rows.</summary>
internal sealed class Gemv
{
    public const int MaxRows = 8;

    private const int MaxShared = 160 * 1024, Ring = 4 * 8 * 8 * 96 * 2, StaticShared = 11 * 1024;

    private readonly CudaKernel _store, _add, _swiglu, _ropeStore;
    private readonly nint _stream;
    private readonly int _processors, _sharedPerProcessor;

    public Gemv(CudaModule module, nint stream, int processors, int maxShared, int sharedPerProcessor)
    {
        int shared = Math.Min(MaxShared, maxShared - 12 * 1024);
        (_stream, _processors, _sharedPerProcessor) = (stream, processors, sharedPerProcessor);
        _store = module.Kernel("gemvStore", Ring);
        _add = module.Kernel("gemvAdd", Ring);
        _swiglu = module.Kernel("gemvSwiglu", shared);
        _ropeStore = module.Kernel("gemvRopeStore", shared);
        SharedLimit = shared;
    }

    /// <summary>Shared memory that rows of x may take.</summary>
    public int SharedLimit { get; }

    [StructLayout(LayoutKind.Sequential)]
    private struct GemvArgs
    {
        public ulong W, Bias, X, Out;
        public float Epsilon;
        public int N, K, M, TileRows, SquareCount;
        public ulong Squares, NextWeight, NextX, NextSquares;
        public ulong Turns, Positions, CacheSlots, Keys, Values;
        public int Heads, KvHeads, HeadDim, BlockSize;
    }

    /// <summary>Bytes of shared memory for m rows of k.</summary>
    public static int SharedFor(int m, int k) => m * (k + ((k & 63) == 0 ? 32 : 0)) * 2;

    /// <summary>out[m, n] += x·Wᵀ in fp32, and what the norm after it needs; gives back how many sums of squares a row has.</summary>
    public int Add(CudaMatrix w, ulong x, ulong destination, int m, in NextNorm next)
        => Launch(_add, Args(w, m) with { X = x, Out = destination, NextWeight = next.Weight, NextX = next.X, NextSquares = next.Squares }, w.Rows, Ring);

    /// <summary>out[m, n] = x·Wᵀ in fp32.</summary>
    public void Store(CudaMatrix w, ulong x, ulong destination, int m) => Launch(_store, Args(w, m) with { X = x, Out = destination }, w.Rows, Ring);

    /// <summary>out[m, n / 2] = silu(gate)·up of x·Wᵀ / rms, W being gate above up.</summary>
    public void Swiglu(CudaMatrix w, ulong x, in Scale scale, ulong destination, int m)
        => Launch(_swiglu, Args(w, m) with { X = x, Squares = scale.Squares, SquareCount = scale.Count, Epsilon = scale.Epsilon, Out = destination, N = w.Rows / 2 }, w.Rows, SharedFor(m, w.Columns));

    /// <summary>q to out, k and v to the cache, of x·Wᵀ / rms + b, turned.</summary>
    public void RopeStore(CudaMatrix w, ulong x, in Scale scale, ulong destination, int m, ulong turns, ulong keys, ulong values,
        ModelGeometry geometry, int blockSize, in StepAddresses step)
        => Launch(_ropeStore, Args(w, m) with
        {
            X = x,
            Squares = scale.Squares,
            SquareCount = scale.Count,
            Epsilon = scale.Epsilon,
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
        }, w.Rows, SharedFor(m, w.Columns));

    /// <summary>Blocks that the card holds at a time, two a multiprocessor where shared memory allows.</summary>
    private int Blocks(int shared) => _processors * Math.Clamp(_sharedPerProcessor / (shared + StaticShared), 1, 2);

    /// <summary>The height of a tile, even and at most 16, at which the block with most rows has fewest.</summary>
    private static int TileRows(int rows, int blocks)
    {
        int best = 16, fewest = int.MaxValue;
        for (int height = 16; height >= 4; height -= 2)
        {
            int tiles = (rows + height - 1) / height, most = (tiles + blocks - 1) / blocks * height;
            if (most < fewest) (best, fewest) = (height, most);
        }
        return best;
    }

    private static GemvArgs Args(CudaMatrix w, int m) => new() { W = w.Data, Bias = w.Bias, N = w.Rows, K = w.Columns, M = m };

    /// <summary>Gives back the number of tiles.</summary>
    private int Launch(CudaKernel kernel, GemvArgs arguments, int rows, int shared)
    {
        int blocks = Blocks(shared);
        arguments.TileRows = TileRows(rows, blocks);
        int tiles = (rows + arguments.TileRows - 1) / arguments.TileRows;
        kernel.Launch(_stream, arguments, Math.Min(tiles, blocks), 1, 1, 256, shared, true);
        return tiles;
    }
}

/// <summary>The norm that follows an addition to h: the additions also write x = h * weight in bf16 and sums of squares of parts of
/// h, [rows, parts] fp32. All zero when something else does it.</summary>
internal readonly record struct NextNorm(ulong Weight, ulong X, ulong Squares);

/// <summary>What is left of a norm when x is h * weight: results are divided by the rms that <see cref="NextNorm.Squares"/> give. No squares: nothing is.</summary>
internal readonly record struct Scale(ulong Squares, int Count, float Epsilon);
