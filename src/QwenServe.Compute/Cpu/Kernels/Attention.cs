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
/// tokens and one key head with all query heads that read it or, where that gives too few items, one range of keys of these.
///
/// Keys are visited in tiles of 64 positions whose borders are absolute, in ascending order, and within a tile every sum has a
/// fixed order. Each range of 512 positions, absolute too, starts afresh, and ranges are merged in ascending order whether one item or several
/// computed them. What a query computes is therefore the same whichever other queries share its run and however many threads there
/// are. A key that a query may not see has weight zero exactly, and a tile or range of such keys changes nothing.
///
/// Chunks of the cache are read where they lie; only blocks that do not divide into chunks are copied to such chunks first.
/// </summary>
internal sealed unsafe class AttentionJob : IPoolJob, IDisposable
{
    /// <summary>Positions in a tile.</summary>
    public const int TileKeys = AttentionTile.Keys;

    /// <summary>Positions in a range.</summary>
    public const int RangeKeys = 8 * TileKeys;

    /// <summary>Query rows (tokens by heads) that share a run.</summary>
    private const int RunRows = 96;

    /// <summary>With fewer items than this a thread, runs are split into ranges.</summary>
    private const int ItemsPerThread = 4;

    /// <summary>Memory for the results of ranges; a step that needs more is not split.</summary>
    private const long RangeFloats = 4 << 20;

    private const int Chunks = TileKeys / KvStore.ChunkKeys;

    private readonly ModelGeometry _geometry;
    private readonly NativeBuffer _scratch;
    private readonly NativeBuffer _ranges;
    private readonly long _scratchStride;
    private readonly int[] _firstItems;
    private readonly long[] _firstFloats;
    private readonly int _threads;
    private readonly int _ratio;
    private readonly int _panels;
    private readonly int _maxRows;
    private bool _split;

    public AttentionJob(ModelGeometry geometry, int threads)
    {
        _geometry = geometry;
        _threads = threads;
        _ratio = geometry.HeadCount / geometry.KvHeadCount;
        RunTokens = Math.Max(1, RunRows / _ratio);
        _panels = (geometry.HeadDim + 31) / 32;
        _maxRows = RunTokens * _ratio + RowTiles.Largest;
        _scratchStride = 2 * StateFloats(_maxRows) + Align((long)_maxRows * geometry.HeadDim) + RowTiles.Largest * TileKeys
            + 2 * Align((long)geometry.HeadDim * TileKeys + 32);
        _scratch = NativeBuffer.OfFloats(threads * _scratchStride);
        _ranges = NativeBuffer.OfFloats(threads > 1 ? RangeFloats : 0);
        _firstItems = new int[ItemsPerThread * threads + 1];
        _firstFloats = new long[ItemsPerThread * threads + 1];
    }

    /// <summary>Query tokens that share a run.</summary>
    public int RunTokens { get; }

    public KvStore? Cache { get; set; }

    public int Layer { get; set; }

    public int Window { get; set; }

    public AttentionRun[] Runs { get; set; } = [];

    public int RunCount { get; set; }

    public int[] BlockTables { get; set; } = [];

    public int BlockTableStride { get; set; }

    /// <summary>[tokens, QueryStride]</summary>
    public float* Queries { get; set; }

    public long QueryStride { get; set; }

    /// <summary>[tokens, HeadCount · HeadDim]</summary>
    public float* Destination { get; set; }

    public void Dispose()
    {
        _scratch.Dispose();
        _ranges.Dispose();
    }

    /// <summary>Divides the step into items. Returns their number.</summary>
    public int Prepare()
    {
        int heads = _geometry.KvHeadCount;
        _split = false;
        if (_threads == 1 || RunCount * heads >= ItemsPerThread * _threads) return RunCount * heads;
        int items = 0;
        long floats = 0;
        for (int r = 0; r < RunCount; r++)
        {
            _firstItems[r] = items;
            _firstFloats[r] = floats;
            int ranges = EndRange(Runs[r]) - FirstRange(Runs[r]);
            items += ranges * heads;
            floats += ranges * heads * StateFloats(Padded(Runs[r].Tokens * _ratio));
        }
        _firstItems[RunCount] = items;
        _split = items > RunCount * heads && floats <= RangeFloats;
        return _split ? items : RunCount * heads;
    }

    public void Execute(int item, int worker)
    {
        switch (Cache!.Type)
        {
            case DType.F32: Execute<F32Kv>(item, worker); break;
            case DType.BF16: Execute<Bf16Kv>(item, worker); break;
            default: Execute<F16Kv>(item, worker); break;
        }
    }

    /// <summary>After all items: merges the ranges of runs that were split.</summary>
    public void Finish()
    {
        if (!_split) return;
        for (int r = 0; r < RunCount; r++)
        {
            int padded = Padded(Runs[r].Tokens * _ratio);
            int ranges = EndRange(Runs[r]) - FirstRange(Runs[r]);
            for (int head = 0; head < _geometry.KvHeadCount; head++)
            {
                float* total = _ranges.Floats + _firstFloats[r] + (long)head * ranges * StateFloats(padded);
                for (int i = 1; i < ranges; i++) Merge(total, total + i * StateFloats(padded), padded);
                Write(Runs[r], head, total, padded);
            }
        }
    }

    private static long Align(long floats) => (floats + 15) / 16 * 16;

    private static int Padded(int rows)
    {
        int full = (rows - 1) / RowTiles.Largest * RowTiles.Largest;
        return full + AttentionTile.RoundUp(rows - full);
    }

    /// <summary>Outputs [panels, padded, 32], maxima [padded], sums [padded].</summary>
    private long StateFloats(int padded) => Align(_panels * 32L * padded + 2 * padded);

    private float* Maxima(float* state, int padded) => state + _panels * 32L * padded;

    private float* Sums(float* state, int padded) => Maxima(state, padded) + padded;

    private int FirstKey(AttentionRun run) => Window > 0 ? Math.Max(0, run.FirstPosition - Window + 1) : 0;

    private int FirstRange(AttentionRun run) => FirstKey(run) / RangeKeys;

    private int EndRange(AttentionRun run) => (run.FirstPosition + run.Tokens - 1) / RangeKeys + 1;

    private void Execute<TFormat>(int item, int worker) where TFormat : unmanaged, IKvFormat
    {
        if (Vector512.IsHardwareAccelerated) Execute<V512, TFormat>(item, worker);
        else if (Vector256.IsHardwareAccelerated) Execute<V256, TFormat>(item, worker);
        else if (Vector128.IsHardwareAccelerated) Execute<V128, TFormat>(item, worker);
        else Execute<V32, TFormat>(item, worker);
    }

    private void Execute<V, TFormat>(int item, int worker)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        float* scratch = _scratch.Floats + worker * _scratchStride;
        if (_split)
        {
            int r = 0;
            while (_firstItems[r + 1] <= item) r++;
            var part = Runs[r];
            int rows = Padded(part.Tokens * _ratio);
            int ranges = EndRange(part) - FirstRange(part);
            item -= _firstItems[r];
            PackQueries(part, item / ranges, scratch);
            float* state = _ranges.Floats + _firstFloats[r] + item * StateFloats(rows);
            Attend<V, TFormat>(part, item / ranges, FirstRange(part) + item % ranges, scratch, state, rows);
            return;
        }
        var run = Runs[item / _geometry.KvHeadCount];
        int head = item % _geometry.KvHeadCount;
        int padded = Padded(run.Tokens * _ratio);
        PackQueries(run, head, scratch);
        float* total = scratch + Align((long)_maxRows * _geometry.HeadDim);
        Attend<V, TFormat>(run, head, FirstRange(run), scratch, total, padded);
        float* next = total + StateFloats(_maxRows);
        for (int range = FirstRange(run) + 1; range < EndRange(run); range++)
        {
            Attend<V, TFormat>(run, head, range, scratch, next, padded);
            Merge(total, next, padded);
        }
        Write(run, head, total, padded);
    }

    /// <summary>Row r is token r / ratio and query head kvHead·ratio + r % ratio; a tile of rows lies [d, rows], what pads it is zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PackQueries(AttentionRun run, int kvHead, float* queries)
    {
        int d = _geometry.HeadDim;
        int rows = run.Tokens * _ratio;
        for (int first = 0; first < rows; first += RowTiles.Largest)
        {
            int valid = Math.Min(RowTiles.Largest, rows - first);
            int size = AttentionTile.RoundUp(valid);
            float* to = queries + (long)first * d;
            for (int r = 0; r < size; r++)
            {
                int row = first + r;
                float* q = Queries + (run.FirstToken + row / _ratio) * QueryStride + (long)(kvHead * _ratio + row % _ratio) * d;
                if (r < valid)
                    for (int i = 0; i < d; i++) to[i * size + r] = q[i];
                else
                    for (int i = 0; i < d; i++) to[i * size + r] = 0;
            }
        }
    }

    /// <summary>All rows of a run over one range of keys, from the start.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Attend<V, TFormat>(AttentionRun run, int kvHead, int range, float* queries, float* state, int padded)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        int d = _geometry.HeadDim;
        int rows = run.Tokens * _ratio;
        float* scores = queries + Align((long)_maxRows * d) + 2 * StateFloats(_maxRows);
        byte* copies = (byte*)(scores + RowTiles.Largest * TileKeys);
        float* maxima = Maxima(state, padded);
        float* sums = Sums(state, padded);
        new Span<float>(state, _panels * padded * 32).Clear();
        new Span<float>(maxima, padded).Fill(float.NegativeInfinity);
        new Span<float>(sums, padded).Clear();

        byte** keys = stackalloc byte*[4 * Chunks];
        byte** values = keys + Chunks;
        byte** nextKeys = keys + 2 * Chunks;
        byte** nextValues = keys + 3 * Chunks;
        byte** panelValues = stackalloc byte*[2 * Chunks];
        byte** panelAhead = panelValues + Chunks;

        float scale = 1f / MathF.Sqrt(d);
        int last = run.FirstPosition + run.Tokens - 1;
        int firstKey = FirstKey(run);
        int tileStart = Math.Max(firstKey, range * RangeKeys) / TileKeys * TileKeys;
        int stop = Math.Min(last + 1, (range + 1) * RangeKeys);
        bool direct = Cache!.KeyStride == KvStore.ChunkKeys;
        if (direct) Locate<TFormat>(run.Sequence, kvHead, tileStart, firstKey, last, nextKeys, nextValues);
        for (; tileStart < stop; tileStart += TileKeys)
        {
            if (direct)
            {
                for (int i = 0; i < 2 * Chunks; i++) keys[i] = nextKeys[i];
                Locate<TFormat>(run.Sequence, kvHead, tileStart + TileKeys, firstKey, last, nextKeys, nextValues);
            }
            else
            {
                Gather<TFormat>(run.Sequence, kvHead, Math.Max(tileStart, firstKey), Math.Min(tileStart + TileKeys, last + 1), copies);
                for (int i = 0; i < 2 * Chunks; i++) keys[i] = nextKeys[i] = copies + (long)i * KvStore.ChunkKeys * d * TFormat.Size;
            }
            for (int first = 0; first < rows; first += V.TileRows)
            {
                int valid = Math.Min(V.TileRows, rows - first);
                int size = AttentionTile.RoundUp(valid);
                int firstPosition = run.FirstPosition + first / _ratio;
                int lastPosition = run.FirstPosition + (first + valid - 1) / _ratio;
                int end = Math.Min(TileKeys, lastPosition + 1 - tileStart);
                int begin = Window > 0 ? Math.Max(0, firstPosition - Window + 1 - tileStart) : 0;
                if (begin >= end) continue;

                // The first tile of rows brings the next keys and values, the others find them there.
                byte** aheadKeys = first == 0 ? nextKeys : keys;
                byte** aheadValues = first == 0 ? nextValues : values;
                float* q = queries + (long)first * d;
                if (begin < TileKeys / 2)
                    AttentionTile.Score<V, TFormat>(keys[0], keys[1], q, d, scores, size, aheadKeys[0], aheadKeys[1]);
                if (end > TileKeys / 2)
                    AttentionTile.Score<V, TFormat>(keys[2], keys[3], q, d, scores + TileKeys / 2, size, aheadKeys[2], aheadKeys[3]);
                for (int r = 0; r < valid; r++)
                {
                    int position = run.FirstPosition + (first + r) / _ratio;
                    int high = Math.Clamp(position + 1 - tileStart, 0, TileKeys);
                    int low = Window > 0 ? Math.Clamp(position - Window + 1 - tileStart, 0, TileKeys) : 0;
                    float correction = Weigh<V>(scores + r * TileKeys, scale, low, high, ref maxima[first + r], ref sums[first + r]);
                    if (correction == 1f) continue;
                    V factor = V.Create(correction);
                    for (int panel = 0; panel < _panels; panel++)
                    {
                        float* o = state + ((long)panel * padded + first + r) * 32;
                        for (int i = 0; i < 32; i += V.Count) V.Store(V.Multiply(V.Load(o + i), factor), o + i);
                    }
                }
                for (int panel = 0; panel < _panels; panel++)
                {
                    for (int i = 0; i < Chunks; i++)
                    {
                        panelValues[i] = values[i] + panel * 32 * TFormat.Size;
                        panelAhead[i] = aheadValues[i] + panel * 32 * TFormat.Size;
                    }
                    AttentionTile.Weigh<V, TFormat>(
                        panelValues, panelAhead, begin, end, d * TFormat.Size, scores, state + ((long)panel * padded + first) * 32, size);
                }
            }
        }
    }

    /// <summary>Adds a later range to the ranges before it. A sum of zero says that a row saw no key.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Merge(float* total, float* part, int padded)
    {
        float* maxima = Maxima(total, padded);
        float* sums = Sums(total, padded);
        float* partMaxima = Maxima(part, padded);
        float* partSums = Sums(part, padded);
        for (int r = 0; r < padded; r++)
        {
            if (partSums[r] == 0f) continue;
            float maximum = partMaxima[r] > maxima[r] ? partMaxima[r] : maxima[r];
            float old = sums[r] == 0f ? 0f : Simd.Exp(V32.Create(maxima[r] - maximum)).Value;
            float added = Simd.Exp(V32.Create(partMaxima[r] - maximum)).Value;
            maxima[r] = maximum;
            sums[r] = sums[r] * old + partSums[r] * added;
            for (int panel = 0; panel < _panels; panel++)
            {
                float* o = total + ((long)panel * padded + r) * 32;
                float* p = part + ((long)panel * padded + r) * 32;
                for (int i = 0; i < 32; i += 4)
                    (Vector128.Load(o + i) * Vector128.Create(old) + Vector128.Load(p + i) * Vector128.Create(added)).Store(o + i);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Write(AttentionRun run, int kvHead, float* state, int padded)
    {
        int d = _geometry.HeadDim;
        for (int row = 0; row < run.Tokens * _ratio; row++)
        {
            float* to = Destination
                + (long)(run.FirstToken + row / _ratio) * _geometry.HeadCount * d + (long)(kvHead * _ratio + row % _ratio) * d;
            float inverse = 1f / Sums(state, padded)[row];
            for (int panel = 0; panel < _panels; panel++, to += 32)
            {
                float* o = state + ((long)panel * padded + row) * 32;
                int n = Math.Min(32, d - panel * 32);
                for (int i = 0; i < n; i++) to[i] = o[i] * inverse;
            }
        }
    }

    /// <summary>
    /// Turns the scores of keys low .. high-1 into weights e^(s·scale - max), the others into zeros, and updates the row's maximum and
    /// sum. Returns the factor for what was summed under the old maximum.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Weigh<V>(float* s, float scale, int low, int high, ref float maximum, ref float sum) where V : unmanaged, ISimd<V>
    {
        if (high <= low)
        {
            new Span<float>(s, TileKeys).Clear();
            return 1f;
        }
        for (int j = 0; j < low; j++) s[j] = float.NegativeInfinity;
        for (int j = high; j < TileKeys; j++) s[j] = float.NegativeInfinity;
        V factor = V.Create(scale);
        V m = V.Create(maximum);
        float top, correction;
        if (V.Count * 4 == TileKeys)
        {
            V a = V.Multiply(V.Load(s), factor), b = V.Multiply(V.Load(s + V.Count), factor);
            V c = V.Multiply(V.Load(s + 2 * V.Count), factor), e = V.Multiply(V.Load(s + 3 * V.Count), factor);
            top = V.MaxAcross(V.Max(V.Max(m, V.Max(a, b)), V.Max(c, e)));
            correction = top == maximum ? 1f : Simd.Exp(V32.Create(maximum - top)).Value;
            V shift = V.Create(top);
            a = Simd.Exp(V.Subtract(a, shift));
            b = Simd.Exp(V.Subtract(b, shift));
            c = Simd.Exp(V.Subtract(c, shift));
            e = Simd.Exp(V.Subtract(e, shift));
            V.Store(a, s);
            V.Store(b, s + V.Count);
            V.Store(c, s + 2 * V.Count);
            V.Store(e, s + 3 * V.Count);
            sum = sum * correction + V.Sum(V.Add(V.Add(a, b), V.Add(c, e)));
        }
        else
        {
            for (int i = 0; i < TileKeys; i += V.Count)
            {
                V a = V.Multiply(V.Load(s + i), factor);
                V.Store(a, s + i);
                m = V.Max(m, a);
            }
            top = V.MaxAcross(m);
            correction = top == maximum ? 1f : Simd.Exp(V32.Create(maximum - top)).Value;
            V shift = V.Create(top);
            V total = V.Create(0f);
            for (int i = 0; i < TileKeys; i += V.Count)
            {
                V a = Simd.Exp(V.Subtract(V.Load(s + i), shift));
                V.Store(a, s + i);
                total = V.Add(total, a);
            }
            sum = sum * correction + V.Sum(total);
        }
        maximum = top;
        return correction;
    }

    /// <summary>Where a tile's chunks lie; chunks that hold no key of the run are replaced by its nearest.</summary>
    private void Locate<TFormat>(int sequence, int head, int tileStart, int firstKey, int last, byte** keys, byte** values)
        where TFormat : unmanaged, IKvFormat
    {
        var cache = Cache!;
        int blockSize = cache.BlockSize;
        for (int i = 0; i < Chunks; i++)
        {
            int position = Math.Clamp(tileStart + i * KvStore.ChunkKeys, firstKey, last);
            int block = BlockTables[(long)sequence * BlockTableStride + position / blockSize];
            long skip = (long)(position % blockSize / KvStore.ChunkKeys) * KvStore.ChunkKeys * cache.HeadDim * TFormat.Size;
            keys[i] = cache.Keys(Layer, block, head) + skip;
            values[i] = cache.Values(Layer, block, head) + skip;
        }
    }

    /// <summary>Copies the keys and values of positions from .. to-1 of a tile to chunks: four of keys, then four of values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Gather<TFormat>(int sequence, int head, int from, int to, byte* copies) where TFormat : unmanaged, IKvFormat
    {
        var cache = Cache!;
        int d = cache.HeadDim;
        int blockSize = cache.BlockSize;
        byte* values = copies + (long)TileKeys * d * TFormat.Size;
        for (int position = from; position < to; position++)
        {
            int block = BlockTables[(long)sequence * BlockTableStride + position / blockSize];
            int slot = position % blockSize;
            int j = position % TileKeys;
            byte* key = cache.Keys(Layer, block, head) + (long)slot * TFormat.Size;
            byte* keyTo = copies + ((long)(j / KvStore.ChunkKeys) * d * KvStore.ChunkKeys + j % KvStore.ChunkKeys) * TFormat.Size;
            if (TFormat.Size == sizeof(float))
                for (int i = 0; i < d; i++) ((float*)keyTo)[i * KvStore.ChunkKeys] = ((float*)key)[(long)i * cache.KeyStride];
            else
                for (int i = 0; i < d; i++) ((ushort*)keyTo)[i * KvStore.ChunkKeys] = ((ushort*)key)[(long)i * cache.KeyStride];
            long bytes = (long)d * TFormat.Size;
            Buffer.MemoryCopy(cache.Values(Layer, block, head) + slot * bytes, values + j * bytes, bytes, bytes);
        }
    }
}
