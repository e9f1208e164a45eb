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
    /// <summary>Pairs of k steps a block: 16 KiB of a bfloat16 panel.</summary>
    private const int BlockPairs = 128;

    /// <summary>Rows whose partial sums a worker keeps between blocks.</summary>
    private const int BlockRows = 504;

    /// <summary>Panels an item at most.</summary>
    private const int MaxGroup = 4;

    private readonly RowTiles _tiles;
    private readonly NativeBuffer _partial;
    private readonly long _partialStride;
    private int _group = 1;

    public LinearJob(RowTiles tiles, int threads, int maxRows)
    {
        _tiles = tiles;
        _partialStride = (long)Math.Min(RowTiles.MaxPadded(maxRows), BlockRows + 12) * 32 * MaxGroup;
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
        _group = _tiles.Rows == 1 ? 2 : _tiles.Count == 1 ? 1 : Math.Clamp(panels / (threads * 6), 1, MaxGroup);
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
        float* partial = _partial.Floats + worker * _partialStride;
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
            for (int k = 0; k < pairs; k += block)
            {
                int count = Math.Min(block, pairs - k);
                for (int panel = 0; panel < panels; panel++)
                {
                    // A lone tile asks for what it needs next; several share the next block among them, so that memory works all the time.
                    long blockBytes = (long)count * TFormat.PairBytes;
                    byte* next = b + panel * panelBytes + (long)k * TFormat.PairBytes + blockBytes;
                    nint aheadStep = TFormat.PairBytes / (end - begin);
                    for (int tile = begin; tile < end; tile++)
                    {
                        int size = _tiles.Size(tile);
                        byte* ahead = end - begin == 1 ? next - blockBytes + Tile.PrefetchBytes : next + (tile - begin) * blockBytes / (end - begin);
                        Tile.Multiply<V, TFormat>(
                            b + panel * panelBytes + (long)k * TFormat.PairBytes,
                            Source + (long)_tiles.PaddedFirst(tile) * (2 * pairs) + 2L * k * size,
                            count,
                            partial + (panel * rows + _tiles.PaddedFirst(tile) - origin) * 32,
                            size,
                            k == 0,
                            ahead,
                            aheadStep);
                    }
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
