using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenServe.Compute.Cpu.Kernels;

/// <summary>What becomes of a product's elements.</summary>
internal enum Epilogue
{
    /// <summary>y = c (+ bias)</summary>
    Store,

    /// <summary>y += c</summary>
    Add,

    /// <summary>y = silu(gate) · up, from panels of 16 gate and 16 up columns.</summary>
    Swiglu,

    /// <summary>y[Rows[i]] += Scales[i] · c[i]</summary>
    AddScaled,
}

/// <summary>
/// y = epilogue(x·Wᵀ): an item is a few panels of 32 outputs for all rows. Decode streams each panel from memory once; for many rows k
/// is cut into blocks, so that a block of a panel stays in the first cache while all row tiles pass over it, and a block of the rows in
/// the second while the item's panels do.
/// </summary>
internal sealed unsafe class LinearJob : IPoolJob, IDisposable
{
    /// <summary>Pairs of k steps a block: 16 KiB of a panel in fp32.</summary>
    private const int BlockPairs = 64;

    /// <summary>From so many row tiles on it pays to widen a block to fp32 once.</summary>
    private const int WidenFrom = 6;

    /// <summary>Rows whose partial sums a worker keeps between blocks.</summary>
    private const int BlockRows = 504;

    /// <summary>Panels an item at most.</summary>
    private const int MaxGroup = 8;

    private readonly RowTiles _tiles;
    private readonly NativeBuffer _partial;
    private readonly long _partialStride;
    private int _group = 1;

    public LinearJob(RowTiles tiles, int threads, int maxRows)
    {
        _tiles = tiles;
        _partialStride = (long)Math.Min(RowTiles.MaxPadded(maxRows), BlockRows + 12) * 32 * MaxGroup + 2 * BlockPairs * 32;
        _partial = NativeBuffer.OfFloats(threads * _partialStride);
    }

    public PackedMatrix? Weights { get; set; }

    /// <summary>Inputs in tile order.</summary>
    public float* Source { get; set; }

    public Epilogue Epilogue { get; set; }

    public float* Destination { get; set; }

    /// <summary>Floats from one row of the destination to the next.</summary>
    public long Stride { get; set; }

    /// <summary>Columns of the destination that exist.</summary>
    public int Columns { get; set; }

    public int* Rows { get; set; }

    public float* Scales { get; set; }

    /// <summary>Decides how the panels are grouped; returns the number of items.</summary>
    public int Prepare(int threads)
    {
        int panels = Weights!.Panels;
        // One row goes over two panels at once; many rows read a block of their inputs for several panels from the second cache.
        _group = _tiles.Rows == 1 ? 2 : 1;
        if (_tiles.Count >= WidenFrom)
        {
            int rounds = (panels + threads * MaxGroup - 1) / (threads * MaxGroup);
            _group = (panels + rounds * threads - 1) / (rounds * threads);
        }
        return (panels + _group - 1) / _group;
    }

    public void Dispose() => _partial.Dispose();

    public void Execute(int item, int worker)
    {
        if (Vector512.IsHardwareAccelerated) Execute<V512>(item, worker);
        else if (Vector256.IsHardwareAccelerated) Execute<V256>(item, worker);
        else if (Vector128.IsHardwareAccelerated) Execute<V128>(item, worker);
        else Execute<V32>(item, worker);
    }

    private void Execute<V>(int item, int worker) where V : unmanaged, ISimd<V>
    {
        switch (Weights!.Type)
        {
            case DType.BF16: Execute<V, Bf16Format>(item, worker); break;
            case DType.F16: Execute<V, F16Format>(item, worker); break;
            default: Execute<V, F32Format>(item, worker); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Execute<V, TFormat>(int item, int worker)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IWeightFormat
    {
        int firstPanel = item * _group;
        int panels = Math.Min(_group, Weights!.Panels - firstPanel);
        long panelBytes = Weights.PanelBytes;
        byte* b = Weights.Panel(firstPanel);
        int pairs = Weights.Pairs;
        float* widened = _partial.Floats + worker * _partialStride;
        float* partial = widened + 2 * BlockPairs * 32;
        if (_tiles.Rows == 1 && panels == 2)
        {
            Tile.Row2Panels<V, TFormat>(b, panelBytes, Source, pairs, partial);
            Finish<V>(firstPanel, partial, 0, 1);
            Finish<V>(firstPanel + 1, partial + 32, 0, 1);
            return;
        }
        int begin = 0;
        while (begin < _tiles.Count)
        {
            int end = begin + 1;
            int origin = _tiles.PaddedFirst(begin);
            while (end < _tiles.Count && _tiles.PaddedFirst(end) + _tiles.Size(end) - origin <= BlockRows) end++;
            int rows = _tiles.PaddedFirst(end - 1) + _tiles.Size(end - 1) - origin;
            int block = end - begin == 1 ? pairs : BlockPairs;
            bool widen = end - begin >= WidenFrom && TFormat.Type != DType.F32;
            for (int k = 0; k < pairs; k += block)
            {
                int count = Math.Min(block, pairs - k);
                for (int panel = 0; panel < panels; panel++)
                {
                    byte* from = b + panel * panelBytes + (long)k * TFormat.PairBytes;
                    float* c = partial + (long)panel * rows * 32;
                    if (widen)
                    {
                        Widen<V, TFormat>(from, widened, count);
                        Block<V, F32Format>((byte*)widened, from + (long)count * TFormat.PairBytes, count, k, begin, end, pairs, c);
                    }
                    else Block<V, TFormat>(from, from + (long)count * TFormat.PairBytes, count, k, begin, end, pairs, c);
                }
            }
            for (int panel = 0; panel < panels; panel++)
            {
                for (int tile = begin; tile < end; tile++)
                {
                    float* c = partial + (panel * rows + _tiles.PaddedFirst(tile) - origin) * 32;
                    Finish<V>(firstPanel + panel, c, _tiles.First(tile), _tiles.Valid(tile));
                }
            }
            begin = end;
        }
    }

    /// <summary>A block of a panel by all row tiles.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Block<V, TFormat>(byte* b, byte* next, int count, int k, int begin, int end, int pairs, float* c)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IWeightFormat
    {
        // A lone tile asks for what it needs next; several share the next block among them, so that memory works all the time.
        int tiles = end - begin;
        long nextBytes = (long)count * Weights!.PairBytes;
        nint aheadStep = Weights.PairBytes / tiles;
        for (int tile = begin; tile < end; tile++)
        {
            int size = _tiles.Size(tile);
            float* a = Source + (long)_tiles.PaddedFirst(tile) * (2 * pairs) + 2L * k * size;
            byte* ahead = tiles == 1 ? b + Tile.PrefetchBytes : next + (tile - begin) * nextBytes / tiles;
            Tile.Multiply<V, TFormat>(b, a, count, c, size, k == 0, ahead, aheadStep);
            c += size * 32;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen<V, TFormat>(byte* from, float* to, int pairs)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IWeightFormat
    {
        for (int pair = 0; pair < pairs; pair++, from += TFormat.PairBytes, to += 64)
        {
            for (int column = 0; column < 32; column += V.Count)
            {
                V.Store(TFormat.LoadEven<V>(from, column), to + column);
                V.Store(TFormat.LoadOdd<V>(from, column), to + 32 + column);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Finish<V>(int panel, float* c, int first, int rows) where V : unmanaged, ISimd<V>
    {
        int column = panel * (Epilogue == Epilogue.Swiglu ? 16 : 32);
        int columns = Math.Min(Columns - column, Epilogue == Epilogue.Swiglu ? 16 : 32);
        int whole = columns / V.Count * V.Count;
        for (int r = 0; r < rows; r++, c += 32)
        {
            int row = Rows != null && Epilogue == Epilogue.AddScaled ? Rows[first + r] : first + r;
            float* y = Destination + row * Stride + column;
            int i = 0;
            switch (Epilogue)
            {
                case Epilogue.Store:
                    float* bias = Weights!.Bias;
                    if (bias == null)
                    {
                        for (; i < whole; i += V.Count) V.Store(V.Load(c + i), y + i);
                        for (; i < columns; i++) y[i] = c[i];
                    }
                    else
                    {
                        bias += column;
                        for (; i < whole; i += V.Count) V.Store(V.Add(V.Load(c + i), V.Load(bias + i)), y + i);
                        for (; i < columns; i++) y[i] = c[i] + bias[i];
                    }
                    break;
                case Epilogue.Add:
                    for (; i < whole; i += V.Count) V.Store(V.Add(V.Load(y + i), V.Load(c + i)), y + i);
                    for (; i < columns; i++) y[i] += c[i];
                    break;
                case Epilogue.Swiglu:
                    for (; i < whole; i += V.Count) V.Store(V.Multiply(Simd.Silu(V.Load(c + i)), V.Load(c + 16 + i)), y + i);
                    for (; i < columns; i++) y[i] = Simd.Silu(V32.Load(c + i)).Value * c[16 + i];
                    break;
                case Epilogue.AddScaled:
                    V scale = V.Create(Scales[first + r]);
                    for (; i < whole; i += V.Count) V.Store(V.Fma(scale, V.Load(c + i), V.Load(y + i)), y + i);
                    for (; i < columns; i++) y[i] = V32.Fma(V32.Create(Scales[first + r]), V32.Load(c + i), V32.Load(y + i)).Value;
                    break;
            }
        }
    }
}
