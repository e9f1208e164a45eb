using System.Runtime.InteropServices;
using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Compute.Cuda.Kernels;

/// <summary>Launches of HopperGemm.cu: linear layers of up to 128 rows on compute capability 9.0.</summary>
internal sealed class HopperGemm
{
    public const int MaxRows = 128;

    /// <summary>Numbers of columns that the kernel is compiled for.</summary>
    public static readonly int[] Tiles = [8, 16, 32, 64, 128];

    private static readonly int[] Stages = [6, 5, 5, 4, 6];

    private readonly (CudaKernel Store, CudaKernel Add, CudaKernel Swiglu, CudaKernel RopeStore)[] _kernels;
    private readonly nint _stream;
    private readonly int _processors;
    private readonly ulong _partials, _arrivals;
    private readonly Dictionary<(ulong, End), CUtensorMap> _weightMaps = [];
    private readonly Dictionary<(ulong, int, int), CUtensorMap> _inputMaps = [];

    private enum End
    {
        Plain,
        Swiglu,
        RopeStore,
    }

    public HopperGemm(IReadOnlyList<CudaModule> modules, nint stream, int processors, DeviceMemory memory, int largestRows)
    {
        (_stream, _processors) = (stream, processors);
        _kernels = [.. modules.Select((m, i) => (m.Kernel("hopperStore", Shared(i)), m.Kernel("hopperAdd", Shared(i)), m.Kernel("hopperSwiglu", Shared(i)), m.Kernel("hopperRopeStore", Shared(i))))];
        long parts = 0;
        for (int i = 0; i < Tiles.Length; i++) parts = Math.Max(parts, (long)processors * 2 * Tiles[i] * 128 * 4);
        _partials = memory.Allocate(parts, "parts of matrix products");
        int tiles = largestRows / 64 + 64;
        _arrivals = memory.Allocate(4L * tiles, "parts of matrix products");
        CudaDriver.cuMemsetD8Async(_arrivals, 0, (nuint)(4L * tiles), stream).Check(nameof(CudaDriver.cuMemsetD8Async));
    }

    [StructLayout(LayoutKind.Sequential, Size = 448)]
    private struct HopperGemmArgs
    {
        public CUtensorMap W, X;
        public ulong Bias, Out, Partials, Arrivals;
        public int N, K, M, Tiles;
        public ulong Squares, NextWeight, NextX, NextSquares;
        public ulong Turns, Positions, CacheSlots, Keys, Values;
        public int Heads, KvHeads, HeadDim, BlockSize;
        public float Epsilon;
        public int SquareCount;
    }

    /// <summary>Whether a product of these sizes can go this way.</summary>
    public static bool Takes(int m, CudaMatrix w) => m <= MaxRows && w.Columns % 64 == 0 && w.Rows % 8 == 0;

    public void Store(CudaMatrix w, ulong x, ulong destination, int m) => Launch(w, x, destination, m, End.Plain, k => k.Store, Divide(w.Rows, 128), w.Rows, default, default);

    /// <summary>out += x·Wᵀ, and what the norm after it needs; gives back how many sums of squares a row has.</summary>
    public int Add(CudaMatrix w, ulong x, ulong destination, int m, in NextNorm next)
    {
        Launch(w, x, destination, m, End.Plain, k => k.Add, Divide(w.Rows, 128), w.Rows, default, next);
        return w.Rows / 16;
    }

    /// <summary>out = silu(gate)·up of x·Wᵀ / rms, W being gate above up.</summary>
    public void Swiglu(CudaMatrix w, ulong x, in Scale scale, ulong destination, int m)
        => Launch(w, x, destination, m, End.Swiglu, k => k.Swiglu, Divide(w.Rows / 2, 64), w.Rows / 2, scale, default);

    /// <summary>q to out, k and v to the cache, of x·Wᵀ / rms + b, turned.</summary>
    public void RopeStore(CudaMatrix w, ulong x, in Scale scale, ulong destination, int m, ulong turns, ulong keys, ulong values, ModelGeometry geometry, int blockSize, in StepAddresses step)
    {
        int index = IndexFor(m);
        var arguments = Args(w, x, destination, m, index, End.RopeStore, geometry.HeadDim);
        arguments.N = w.Rows;
        arguments.Tiles = Divide(w.Rows, 128);
        arguments.Squares = scale.Squares;
        arguments.SquareCount = scale.Count;
        arguments.Epsilon = scale.Epsilon;
        arguments.Turns = turns;
        arguments.Positions = step.Positions;
        arguments.CacheSlots = step.CacheSlots;
        arguments.Keys = keys;
        arguments.Values = values;
        arguments.Heads = geometry.HeadCount;
        arguments.KvHeads = geometry.KvHeadCount;
        arguments.HeadDim = geometry.HeadDim;
        arguments.BlockSize = blockSize;
        _kernels[index].RopeStore.Launch(_stream, arguments, Blocks(arguments), 1, 1, 288, Shared(index), true);
    }

    private void Launch(CudaMatrix w, ulong x, ulong destination, int m, End end, Func<(CudaKernel Store, CudaKernel Add, CudaKernel Swiglu, CudaKernel RopeStore), CudaKernel> kernel, int tiles, int n,
        in Scale scale, in NextNorm next)
    {
        int index = IndexFor(m);
        var arguments = Args(w, x, destination, m, index, end, 0);
        arguments.N = n;
        arguments.Tiles = tiles;
        (arguments.Squares, arguments.SquareCount, arguments.Epsilon) = (scale.Squares, scale.Count, scale.Epsilon);
        (arguments.NextWeight, arguments.NextX, arguments.NextSquares) = (next.Weight, next.X, next.Squares);
        kernel(_kernels[index]).Launch(_stream, arguments, Blocks(arguments), 1, 1, 288, Shared(index), true);
    }

    private HopperGemmArgs Args(CudaMatrix w, ulong x, ulong destination, int m, int index, End end, int headDim) => new()
    {
        W = WeightMap(w, end, headDim),
        X = InputMap(x, w.Columns, Tiles[index]),
        Bias = w.Bias,
        Out = destination,
        Partials = _partials,
        Arrivals = _arrivals,
        K = w.Columns,
        M = m,
    };

    /// <summary>Pairs of rows that an end needs together lie eight rows apart in a tile.</summary>
    private CUtensorMap WeightMap(CudaMatrix w, End end, int headDim)
    {
        if (_weightMaps.TryGetValue((w.Data, end), out var map)) return map;
        ulong row = 2ul * (ulong)w.Columns, columns = (ulong)w.Columns, rows = (ulong)w.Rows;
        map = end switch
        {
            End.Swiglu => TensorMaps.Create(w.Data, [columns, 8, 2, rows / 16, 1], [row, row * rows / 2, 8 * row, rows * row], [64, 8, 2, 8, 1]),
            End.RopeStore => TensorMaps.Create(w.Data, [columns, 8, 2, (ulong)headDim / 16, rows / (ulong)headDim], [row, row * (ulong)headDim / 2, 8 * row, row * (ulong)headDim],
                [64, 8, 2, (uint)headDim / 16, 128 / (uint)headDim]),
            _ => TensorMaps.Rows(w.Data, w.Rows, w.Columns, 128),
        };
        return _weightMaps[(w.Data, end)] = map;
    }

    // A copy may read rows past the step's; the buffers have them, and results of theirs are not stored.
    private CUtensorMap InputMap(ulong x, int columns, int tile)
    {
        if (_inputMaps.TryGetValue((x, columns, tile), out var map)) return map;
        return _inputMaps[(x, columns, tile)] = TensorMaps.Rows(x, tile, columns, tile);
    }

    // One block a multiprocessor, and each must have a step to do.
    private int Blocks(in HopperGemmArgs arguments) => Math.Min(_processors, arguments.Tiles * (arguments.K / 64));

    private static int IndexFor(int m)
    {
        int index = 0;
        while (Tiles[index] < m) index++;
        return index;
    }

    // So much that a block has its multiprocessor alone: where two fit, both of one launch may land on it while another has none.
    private static int Shared(int index) => Math.Max(Stages[index] * (128 + Tiles[index]) * 128 + 1024, 120 * 1024);

    private static int Divide(int n, int by) => (n + by - 1) / by;
}
