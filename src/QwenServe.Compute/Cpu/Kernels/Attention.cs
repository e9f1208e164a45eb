using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenServe.Compute.Cpu.Kernels;

/// <summary>A run of query tokens of one sequence and the keys they may see.</summary>
/// <param name="Sequence">Row of the block tables.</param>
/// <param name="FirstToken">Index in the step.</param>
/// <param name="Tokens">Query tokens.</param>
/// <param name="FirstPosition">Absolute position of the first query token.</param>
internal readonly record struct AttentionRun(int Sequence, int FirstToken, int Tokens, int FirstPosition);

/// <summary>
/// softmax(q·Kᵀ·scale)·V over the paged cache with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022). An item is a run of query
/// tokens and one key head with all query heads that read it.
///
/// Keys are visited in tiles of 64 positions whose borders are absolute, in ascending order, and within a tile every sum has a
/// fixed order. What a query computes is therefore the same whichever other queries share its run. A key that a query may not see
/// has weight zero exactly, and a tile of such keys changes nothing.
///
/// Each tile of keys and values is widened to fp32 panels once and used by all rows of the run, by the register tiles of the linear
/// layers: scores are q (rows) by keys (columns), outputs weights (rows) by values (columns).
/// </summary>
internal sealed unsafe class AttentionJob : IPoolJob, IDisposable
{
    /// <summary>Positions in a tile.</summary>
    public const int TileKeys = 64;

    /// <summary>Query rows (tokens by heads) that share a run.</summary>
    private const int RunRows = 96;

    private readonly ModelGeometry _geometry;
    private readonly NativeBuffer _scratch;
    private readonly long _scratchStride;
    private readonly int _ratio;
    private readonly int _panels;
    private readonly int _maxRows;

    public AttentionJob(ModelGeometry geometry, int threads)
    {
        _geometry = geometry;
        _ratio = geometry.HeadCount / geometry.KvHeadCount;
        RunTokens = Math.Max(1, RunRows / _ratio);
        _panels = (geometry.HeadDim + 31) / 32;
        _maxRows = RowTiles.MaxPadded(RunTokens * _ratio);
        // keys, values, queries, scores, weights, outputs, and two numbers a row
        _scratchStride = (long)geometry.HeadDim * TileKeys + (long)_panels * 32 * TileKeys
            + (long)_maxRows * geometry.HeadDim + 2L * 12 * TileKeys + (long)_panels * _maxRows * 32 + 2L * _maxRows;
        _scratchStride = (_scratchStride + 63) / 16 * 16;
        _scratch = NativeBuffer.OfFloats(threads * _scratchStride);
        Tiles = new RowTiles[threads];
        for (int i = 0; i < threads; i++) Tiles[i] = new RowTiles(_maxRows);
    }

    /// <summary>Query tokens that share a run.</summary>
    public int RunTokens { get; }

    public KvStore? Cache { get; set; }

    public int Layer { get; set; }

    public int Window { get; set; }

    public AttentionRun[] Runs { get; set; } = [];

    public int[] BlockTables { get; set; } = [];

    public int BlockTableStride { get; set; }

    /// <summary>[tokens, QueryStride]</summary>
    public float* Queries { get; set; }

    public long QueryStride { get; set; }

    /// <summary>[tokens, HeadCount · HeadDim]</summary>
    public float* Destination { get; set; }

    private RowTiles[] Tiles { get; }

    public void Dispose() => _scratch.Dispose();

    public void Execute(int item, int worker)
    {
        var run = Runs[item / _geometry.KvHeadCount];
        int head = item % _geometry.KvHeadCount;
        if (Vector512.IsHardwareAccelerated) Execute<V512>(run, head, worker);
        else if (Vector256.IsHardwareAccelerated) Execute<V256>(run, head, worker);
        else if (Vector128.IsHardwareAccelerated) Execute<V128>(run, head, worker);
        else Execute<V32>(run, head, worker);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Execute<V>(AttentionRun run, int kvHead, int worker) where V : unmanaged, ISimd<V>
    {
        int d = _geometry.HeadDim;
        int rows = run.Tokens * _ratio;
        var tiles = Tiles[worker];
        tiles.Cut(rows);
        float* keys = _scratch.Floats + worker * _scratchStride;
        float* values = keys + (long)d * TileKeys;
        float* queries = values + (long)_panels * 32 * TileKeys;
        float* scores = queries + (long)_maxRows * d;
        float* weights = scores + 12 * TileKeys;
        float* outputs = weights + 12 * TileKeys;
        float* maxima = outputs + (long)_panels * _maxRows * 32;
        float* sums = maxima + _maxRows;

        // Row r is token r / ratio and query head kvHead·ratio + r % ratio.
        for (int tile = 0; tile < tiles.Count; tile++)
        {
            int size = tiles.Size(tile);
            float* to = queries + (long)tiles.PaddedFirst(tile) * d;
            for (int r = 0; r < size; r++)
            {
                int row = tiles.First(tile) + r;
                if (r >= tiles.Valid(tile))
                {
                    for (int i = 0; i < d; i++) to[i * size + r] = 0;
                    continue;
                }
                float* q = Queries + (run.FirstToken + row / _ratio) * QueryStride + (long)(kvHead * _ratio + row % _ratio) * d;
                for (int i = 0; i < d; i++) to[i * size + r] = q[i];
            }
        }
        new Span<float>(outputs, _panels * tiles.PaddedRows * 32).Clear();
        new Span<float>(maxima, tiles.PaddedRows).Fill(float.NegativeInfinity);
        new Span<float>(sums, tiles.PaddedRows).Clear();

        float scale = 1f / MathF.Sqrt(d);
        int last = run.FirstPosition + run.Tokens - 1;
        int firstKey = Window > 0 ? Math.Max(0, run.FirstPosition - Window + 1) : 0;
        for (int tileStart = firstKey / TileKeys * TileKeys; tileStart <= last; tileStart += TileKeys)
        {
            int count = Math.Min(TileKeys, last + 1 - tileStart);
            LoadKeys<V>(run.Sequence, kvHead, tileStart, Math.Max(0, firstKey - tileStart), count, keys, values);
            for (int tile = 0; tile < tiles.Count; tile++)
            {
                int size = tiles.Size(tile);
                int padded = tiles.PaddedFirst(tile);
                int tileFirst = run.FirstPosition + tiles.First(tile) / _ratio;
                int tileLast = run.FirstPosition + (tiles.First(tile) + tiles.Valid(tile) - 1) / _ratio;
                if (tileStart > tileLast) continue;
                if (Window > 0 && tileStart + TileKeys <= tileFirst - Window + 1) continue;

                Tile.Multiply<V, F32Format>((byte*)keys, queries + (long)padded * d, d / 2, scores, size, true, Ahead(run.Sequence, kvHead, tileStart, 0, last), 256);
                Tile.Multiply<V, F32Format>((byte*)(keys + (long)d * 32), queries + (long)padded * d, d / 2, scores + 12 * 32, size, true,
                    Ahead(run.Sequence, kvHead, tileStart, 1, last), 256);
                for (int r = 0; r < size; r++)
                {
                    int low = 0, high = 0;
                    if (r < tiles.Valid(tile))
                    {
                        int position = run.FirstPosition + (tiles.First(tile) + r) / _ratio;
                        high = Math.Clamp(position + 1 - tileStart, 0, TileKeys);
                        low = Window > 0 ? Math.Clamp(position - Window + 1 - tileStart, 0, TileKeys) : 0;
                    }
                    float correction = Weigh<V>(
                        scores + r * 32, scores + (12 + r) * 32, scale, low, high, ref maxima[padded + r], ref sums[padded + r]);
                    for (int j = 0; j < 32; j++)
                    {
                        weights[j * size + r] = scores[r * 32 + j];
                        weights[(32 + j) * size + r] = scores[(12 + r) * 32 + j];
                    }
                    if (correction != 1f)
                    {
                        V factor = V.Create(correction);
                        for (int panel = 0; panel < _panels; panel++)
                        {
                            float* o = outputs + ((long)panel * tiles.PaddedRows + padded + r) * 32;
                            for (int i = 0; i < 32; i += V.Count) V.Store(V.Multiply(V.Load(o + i), factor), o + i);
                        }
                    }
                }
                for (int panel = 0; panel < _panels; panel++)
                {
                    Tile.Multiply<V, F32Format>(
                        (byte*)(values + (long)panel * 32 * TileKeys),
                        weights,
                        (count + 1) / 2,
                        outputs + ((long)panel * tiles.PaddedRows + padded) * 32,
                        size,
                        false,
                        Ahead(run.Sequence, kvHead, tileStart, 2 + panel % 2, last),
                        256);
                }
            }
        }

        for (int tile = 0; tile < tiles.Count; tile++)
        {
            for (int r = 0; r < tiles.Valid(tile); r++)
            {
                int row = tiles.First(tile) + r;
                int padded = tiles.PaddedFirst(tile) + r;
                float* to = Destination
                    + (long)(run.FirstToken + row / _ratio) * _geometry.HeadCount * d + (long)(kvHead * _ratio + row % _ratio) * d;
                float inverse = 1f / sums[padded];
                for (int i = 0; i < d; i++) to[i] = outputs[((long)(i / 32) * tiles.PaddedRows + padded) * 32 + i % 32] * inverse;
            }
        }
    }

    /// <summary>Where a quarter of the next tile's keys lies, with its values behind: asked for while this tile is computed.</summary>
    private byte* Ahead(int sequence, int head, int tileStart, int quarter, int last)
    {
        int position = Math.Min(tileStart + TileKeys + quarter * (TileKeys / 4), last);
        int block = BlockTables[(long)sequence * BlockTableStride + position / Cache!.BlockSize];
        return Cache.Keys(Layer, block, head);
    }

    /// <summary>
    /// Turns the scores of keys low .. high-1 into weights e^(s·scale - max), the others into zeros, and updates the row's maximum and
    /// sum. Returns the factor for what was summed under the old maximum.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Weigh<V>(float* s0, float* s1, float scale, int low, int high, ref float maximum, ref float sum)
        where V : unmanaged, ISimd<V>
    {
        if (high <= low)
        {
            new Span<float>(s0, 32).Clear();
            new Span<float>(s1, 32).Clear();
            return 1f;
        }
        if (low > 0 || high < TileKeys)
        {
            for (int j = 0; j < TileKeys; j++)
                if (j < low || j >= high) (j < 32 ? s0 : s1)[j % 32] = float.NegativeInfinity;
        }
        V factor = V.Create(scale);
        V m = V.Create(maximum);
        for (int i = 0; i < 32; i += V.Count)
        {
            V a = V.Multiply(V.Load(s0 + i), factor), b = V.Multiply(V.Load(s1 + i), factor);
            V.Store(a, s0 + i);
            V.Store(b, s1 + i);
            m = V.Max(V.Max(m, a), b);
        }
        float top = V.MaxAcross(m);
        float correction = top == maximum ? 1f : Simd.Exp(V32.Create(maximum - top)).Value;
        V shift = V.Create(top);
        V total = V.Create(0f);
        for (int i = 0; i < 32; i += V.Count)
        {
            V a = Simd.Exp(V.Subtract(V.Load(s0 + i), shift)), b = Simd.Exp(V.Subtract(V.Load(s1 + i), shift));
            V.Store(a, s0 + i);
            V.Store(b, s1 + i);
            total = V.Add(total, V.Add(a, b));
        }
        sum = sum * correction + V.Sum(total);
        maximum = top;
        return correction;
    }

    /// <summary>Widens keys first .. count-1 of a tile to two panels of 32 and their values to panels of 32 dimensions; the rest is zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void LoadKeys<V>(int sequence, int head, int tileStart, int first, int count, float* keys, float* values)
        where V : unmanaged, ISimd<V>
    {
        int d = _geometry.HeadDim;
        var cache = Cache!;
        int blockSize = cache.BlockSize;
        if (first > 0 || count < TileKeys)
        {
            new Span<float>(keys, d * TileKeys).Clear();
            new Span<float>(values, _panels * 32 * TileKeys).Clear();
        }
        int j = first;
        while (j < count)
        {
            int position = tileStart + j;
            int block = BlockTables[(long)sequence * BlockTableStride + position / blockSize];
            int slot = position % blockSize;
            int n = Math.Min(Math.Min(blockSize - slot, count - j), 32 - j % 32);
            float* keyTo = keys + (long)(j / 32) * d * 32 + j % 32;
            byte* k = cache.Keys(Layer, block, head);
            byte* v = cache.Values(Layer, block, head);
            if (cache.Type == DType.F32 && n == 16)
            {
                float* from = (float*)k + slot;
                for (int i = 0; i < d; i++, from += blockSize, keyTo += 32)
                {
                    for (int c = 0; c < 16; c += V.Count) V.Store(V.Load(from + c), keyTo + c);
                }
                from = (float*)v + (long)slot * d;
                for (int t = 0; t < 16; t++)
                {
                    float* to = values + (long)(j + t) * 32;
                    for (int column = 0; column < d; column += 32, from += 32, to += TileKeys * 32)
                    {
                        if (column + 32 <= d)
                        {
                            for (int c = 0; c < 32; c += V.Count) V.Store(V.Load(from + c), to + c);
                            continue;
                        }
                        Copy<V>(from, to, d - column);
                        from += d - column - 32;
                    }
                }
            }
            else if (cache.Type == DType.F32)
            {
                for (int i = 0; i < d; i++)
                    Copy<V>((float*)k + (long)i * blockSize + slot, keyTo + (long)i * 32, n);
                for (int t = 0; t < n; t++)
                    for (int panel = 0; panel < _panels; panel++)
                        Copy<V>((float*)v + (long)(slot + t) * d + panel * 32, values + ((long)panel * TileKeys + j + t) * 32, Math.Min(32, d - panel * 32));
            }
            else
            {
                for (int i = 0; i < d; i++)
                    Widen((ushort*)k + (long)i * blockSize + slot, keyTo + (long)i * 32, n, cache.Type);
                for (int t = 0; t < n; t++)
                    for (int panel = 0; panel < _panels; panel++)
                        Widen((ushort*)v + (long)(slot + t) * d + panel * 32, values + ((long)panel * TileKeys + j + t) * 32, Math.Min(32, d - panel * 32), cache.Type);
            }
            j += n;
        }
        for (int panel = 0; panel < _panels && d % 32 != 0; panel++)
        {
            int valid = Math.Min(32, d - panel * 32);
            if (valid == 32) continue;
            for (int t = 0; t < TileKeys; t++) new Span<float>(values + ((long)panel * TileKeys + t) * 32 + valid, 32 - valid).Clear();
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Copy<V>(float* from, float* to, int n) where V : unmanaged, ISimd<V>
    {
        int i = 0;
        for (; i <= n - V.Count; i += V.Count) V.Store(V.Load(from + i), to + i);
        for (; i < n; i++) to[i] = from[i];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen(ushort* from, float* to, int n, DType type)
    {
        if (type == DType.BF16)
            for (int i = 0; i < n; i++) to[i] = BitConverter.UInt32BitsToSingle((uint)from[i] << 16);
        else
            for (int i = 0; i < n; i++) to[i] = (float)BitConverter.UInt16BitsToHalf(from[i]);
    }
}
