using System.Runtime.CompilerServices;

namespace QwenServe.Compute.Cpu.Kernels;

/// <summary>
/// The register tiles of attention, for 1 to 12 query rows: scores of 32 keys, and weighted sums of 32 dimensions of values. They read the
/// cache where and as it lies, widening 16-bit types in registers, and each number read serves all rows of the tile.
///
/// Each score is one chain of fused multiply-adds over the dimensions, each output one over the keys, ascending, whatever the number of
/// rows. Written out for the reason given at <see cref="Tile"/>.
/// </summary>
internal static unsafe class AttentionTile
{
    /// <summary>Keys of a tile, and floats between two rows of scores.</summary>
    public const int Keys = 64;

    /// <summary>Rows of the smallest tile that holds the rows given.</summary>
    public static int RoundUp(int rows) => rows switch { 3 => 4, 5 => 6, > 8 => 12, _ => rows };

    /// <summary>Scores of two chunks of 16 keys.</summary>
    /// <param name="k0">The first chunk, [d, 16].</param>
    /// <param name="k1">The second chunk.</param>
    /// <param name="q">Queries, [d, rows].</param>
    /// <param name="d">Dimensions of a head.</param>
    /// <param name="s">[rows, 64], of which 32 columns are written.</param>
    /// <param name="rows">1, 2, 4, 6, 7, 8 or 12.</param>
    /// <param name="ahead0">A chunk to ask memory for meanwhile.</param>
    /// <param name="ahead1">Another.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Score<V, TFormat>(byte* k0, byte* k1, float* q, int d, float* s, int rows, byte* ahead0, byte* ahead1)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        for (int lane = 0; lane < KvStore.ChunkKeys; lane += V.Count)
        {
            int skip = lane * TFormat.Size;
            switch (rows)
            {
                case 1: Score1<V, TFormat>(k0 + skip, k1 + skip, q, d, s + lane, ahead0, ahead1); break;
                case 2: Score2<V, TFormat>(k0 + skip, k1 + skip, q, d, s + lane, ahead0, ahead1); break;
                case 4: Score4<V, TFormat>(k0 + skip, k1 + skip, q, d, s + lane, ahead0, ahead1); break;
                case 6: Score6<V, TFormat>(k0 + skip, k1 + skip, q, d, s + lane, ahead0, ahead1); break;
                case 7: Score7<V, TFormat>(k0 + skip, k1 + skip, q, d, s + lane, ahead0, ahead1); break;
                case 8: Score8<V, TFormat>(k0 + skip, k1 + skip, q, d, s + lane, ahead0, ahead1); break;
                case 12: Score12<V, TFormat>(k0 + skip, k1 + skip, q, d, s + lane, ahead0, ahead1); break;
                default: throw new ArgumentOutOfRangeException(nameof(rows));
            }
        }
    }

    /// <summary>Adds keys first .. end-1 of a tile, each by its weight, to 32 dimensions of the outputs.</summary>
    /// <param name="chunks">Values of 16 keys each, [16, d], at the first of the dimensions.</param>
    /// <param name="ahead">Chunks to ask memory for meanwhile.</param>
    /// <param name="first">0 .. 63.</param>
    /// <param name="end">first .. 64.</param>
    /// <param name="stride">Bytes from one key to the next.</param>
    /// <param name="w">Weights, [rows, 64].</param>
    /// <param name="o">Outputs, [rows, 32].</param>
    /// <param name="rows">1, 2, 4, 6, 7, 8 or 12.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Weigh<V, TFormat>(byte** chunks, byte** ahead, int first, int end, nint stride, float* w, float* o, int rows)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        for (int column = 0; column < 32; column += 2 * V.Count)
        {
            switch (rows)
            {
                case 1: Weigh1<V, TFormat>(chunks, ahead, column * TFormat.Size, first, end, stride, w, o + column); break;
                case 2: Weigh2<V, TFormat>(chunks, ahead, column * TFormat.Size, first, end, stride, w, o + column); break;
                case 4: Weigh4<V, TFormat>(chunks, ahead, column * TFormat.Size, first, end, stride, w, o + column); break;
                case 6: Weigh6<V, TFormat>(chunks, ahead, column * TFormat.Size, first, end, stride, w, o + column); break;
                case 7: Weigh7<V, TFormat>(chunks, ahead, column * TFormat.Size, first, end, stride, w, o + column); break;
                case 8: Weigh8<V, TFormat>(chunks, ahead, column * TFormat.Size, first, end, stride, w, o + column); break;
                case 12: Weigh12<V, TFormat>(chunks, ahead, column * TFormat.Size, first, end, stride, w, o + column); break;
                default: throw new ArgumentOutOfRangeException(nameof(rows));
            }
        }
    }

    /// <summary>1 row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Score1<V, TFormat>(byte* k0, byte* k1, float* q, int d, float* s, byte* ahead0, byte* ahead1)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        c00a = c00b = V.Create(0f);
        for (float* stop = q + (long)d * 1; q < stop; q += 1)
        {
            V.Prefetch(ahead0);
            V.Prefetch(ahead1);
            ahead0 += KvStore.ChunkKeys * TFormat.Size;
            ahead1 += KvStore.ChunkKeys * TFormat.Size;
            V b0 = TFormat.Load<V>(k0);
            V b1 = TFormat.Load<V>(k1);
            k0 += KvStore.ChunkKeys * TFormat.Size;
            k1 += KvStore.ChunkKeys * TFormat.Size;
            V x = V.Create(q[0]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
        }
        V.Store(c00a, s);
        V.Store(c00b, s + KvStore.ChunkKeys);
    }

    /// <summary>1 row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Weigh1<V, TFormat>(byte** chunks, byte** ahead, int offset, int first, int end, nint stride, float* w, float* o)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        c00a = V.Load(o);
        c00b = V.Load(o + V.Count);
        while (first < end)
        {
            int chunk = first / KvStore.ChunkKeys;
            nint skip = first % KvStore.ChunkKeys * stride + offset;
            byte* v = chunks[chunk] + skip;
            byte* next = ahead[chunk] + skip;
            int until = Math.Min(end, (chunk + 1) * KvStore.ChunkKeys);
            float* a = w + first;
            for (float* stop = w + until; a < stop; a++)
            {
                V.Prefetch(next);
                V.Prefetch(next + 64);
                next += stride;
                V b0 = TFormat.Load<V>(v);
                V b1 = TFormat.Load<V>(v + V.Count * TFormat.Size);
                v += stride;
                V x = V.Create(a[0]);
                c00a = V.Fma(x, b0, c00a);
                c00b = V.Fma(x, b1, c00b);
            }
            first = until;
        }
        V.Store(c00a, o);
        V.Store(c00b, o + V.Count);
    }

    /// <summary>2 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Score2<V, TFormat>(byte* k0, byte* k1, float* q, int d, float* s, byte* ahead0, byte* ahead1)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        V c01a, c01b;
        c00a = c00b = V.Create(0f);
        c01a = c01b = V.Create(0f);
        for (float* stop = q + (long)d * 2; q < stop; q += 2)
        {
            V.Prefetch(ahead0);
            V.Prefetch(ahead1);
            ahead0 += KvStore.ChunkKeys * TFormat.Size;
            ahead1 += KvStore.ChunkKeys * TFormat.Size;
            V b0 = TFormat.Load<V>(k0);
            V b1 = TFormat.Load<V>(k1);
            k0 += KvStore.ChunkKeys * TFormat.Size;
            k1 += KvStore.ChunkKeys * TFormat.Size;
            V x = V.Create(q[0]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(q[1]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
        }
        V.Store(c00a, s);
        V.Store(c00b, s + KvStore.ChunkKeys);
        V.Store(c01a, s + 1 * Keys);
        V.Store(c01b, s + 1 * Keys + KvStore.ChunkKeys);
    }

    /// <summary>2 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Weigh2<V, TFormat>(byte** chunks, byte** ahead, int offset, int first, int end, nint stride, float* w, float* o)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        V c01a, c01b;
        c00a = V.Load(o);
        c00b = V.Load(o + V.Count);
        c01a = V.Load(o + 32);
        c01b = V.Load(o + 32 + V.Count);
        while (first < end)
        {
            int chunk = first / KvStore.ChunkKeys;
            nint skip = first % KvStore.ChunkKeys * stride + offset;
            byte* v = chunks[chunk] + skip;
            byte* next = ahead[chunk] + skip;
            int until = Math.Min(end, (chunk + 1) * KvStore.ChunkKeys);
            float* a = w + first;
            for (float* stop = w + until; a < stop; a++)
            {
                V.Prefetch(next);
                V.Prefetch(next + 64);
                next += stride;
                V b0 = TFormat.Load<V>(v);
                V b1 = TFormat.Load<V>(v + V.Count * TFormat.Size);
                v += stride;
                V x = V.Create(a[0]);
                c00a = V.Fma(x, b0, c00a);
                c00b = V.Fma(x, b1, c00b);
                x = V.Create(a[1 * Keys]);
                c01a = V.Fma(x, b0, c01a);
                c01b = V.Fma(x, b1, c01b);
            }
            first = until;
        }
        V.Store(c00a, o);
        V.Store(c00b, o + V.Count);
        V.Store(c01a, o + 32);
        V.Store(c01b, o + 32 + V.Count);
    }

    /// <summary>4 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Score4<V, TFormat>(byte* k0, byte* k1, float* q, int d, float* s, byte* ahead0, byte* ahead1)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        V c01a, c01b;
        V c02a, c02b;
        V c03a, c03b;
        c00a = c00b = V.Create(0f);
        c01a = c01b = V.Create(0f);
        c02a = c02b = V.Create(0f);
        c03a = c03b = V.Create(0f);
        for (float* stop = q + (long)d * 4; q < stop; q += 4)
        {
            V.Prefetch(ahead0);
            V.Prefetch(ahead1);
            ahead0 += KvStore.ChunkKeys * TFormat.Size;
            ahead1 += KvStore.ChunkKeys * TFormat.Size;
            V b0 = TFormat.Load<V>(k0);
            V b1 = TFormat.Load<V>(k1);
            k0 += KvStore.ChunkKeys * TFormat.Size;
            k1 += KvStore.ChunkKeys * TFormat.Size;
            V x = V.Create(q[0]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(q[1]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            x = V.Create(q[2]);
            c02a = V.Fma(x, b0, c02a);
            c02b = V.Fma(x, b1, c02b);
            x = V.Create(q[3]);
            c03a = V.Fma(x, b0, c03a);
            c03b = V.Fma(x, b1, c03b);
        }
        V.Store(c00a, s);
        V.Store(c00b, s + KvStore.ChunkKeys);
        V.Store(c01a, s + 1 * Keys);
        V.Store(c01b, s + 1 * Keys + KvStore.ChunkKeys);
        V.Store(c02a, s + 2 * Keys);
        V.Store(c02b, s + 2 * Keys + KvStore.ChunkKeys);
        V.Store(c03a, s + 3 * Keys);
        V.Store(c03b, s + 3 * Keys + KvStore.ChunkKeys);
    }

    /// <summary>4 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Weigh4<V, TFormat>(byte** chunks, byte** ahead, int offset, int first, int end, nint stride, float* w, float* o)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        V c01a, c01b;
        V c02a, c02b;
        V c03a, c03b;
        c00a = V.Load(o);
        c00b = V.Load(o + V.Count);
        c01a = V.Load(o + 32);
        c01b = V.Load(o + 32 + V.Count);
        c02a = V.Load(o + 64);
        c02b = V.Load(o + 64 + V.Count);
        c03a = V.Load(o + 96);
        c03b = V.Load(o + 96 + V.Count);
        while (first < end)
        {
            int chunk = first / KvStore.ChunkKeys;
            nint skip = first % KvStore.ChunkKeys * stride + offset;
            byte* v = chunks[chunk] + skip;
            byte* next = ahead[chunk] + skip;
            int until = Math.Min(end, (chunk + 1) * KvStore.ChunkKeys);
            float* a = w + first;
            for (float* stop = w + until; a < stop; a++)
            {
                V.Prefetch(next);
                V.Prefetch(next + 64);
                next += stride;
                V b0 = TFormat.Load<V>(v);
                V b1 = TFormat.Load<V>(v + V.Count * TFormat.Size);
                v += stride;
                V x = V.Create(a[0]);
                c00a = V.Fma(x, b0, c00a);
                c00b = V.Fma(x, b1, c00b);
                x = V.Create(a[1 * Keys]);
                c01a = V.Fma(x, b0, c01a);
                c01b = V.Fma(x, b1, c01b);
                x = V.Create(a[2 * Keys]);
                c02a = V.Fma(x, b0, c02a);
                c02b = V.Fma(x, b1, c02b);
                x = V.Create(a[3 * Keys]);
                c03a = V.Fma(x, b0, c03a);
                c03b = V.Fma(x, b1, c03b);
            }
            first = until;
        }
        V.Store(c00a, o);
        V.Store(c00b, o + V.Count);
        V.Store(c01a, o + 32);
        V.Store(c01b, o + 32 + V.Count);
        V.Store(c02a, o + 64);
        V.Store(c02b, o + 64 + V.Count);
        V.Store(c03a, o + 96);
        V.Store(c03b, o + 96 + V.Count);
    }

    /// <summary>6 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Score6<V, TFormat>(byte* k0, byte* k1, float* q, int d, float* s, byte* ahead0, byte* ahead1)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        V c01a, c01b;
        V c02a, c02b;
        V c03a, c03b;
        V c04a, c04b;
        V c05a, c05b;
        c00a = c00b = V.Create(0f);
        c01a = c01b = V.Create(0f);
        c02a = c02b = V.Create(0f);
        c03a = c03b = V.Create(0f);
        c04a = c04b = V.Create(0f);
        c05a = c05b = V.Create(0f);
        for (float* stop = q + (long)d * 6; q < stop; q += 6)
        {
            V.Prefetch(ahead0);
            V.Prefetch(ahead1);
            ahead0 += KvStore.ChunkKeys * TFormat.Size;
            ahead1 += KvStore.ChunkKeys * TFormat.Size;
            V b0 = TFormat.Load<V>(k0);
            V b1 = TFormat.Load<V>(k1);
            k0 += KvStore.ChunkKeys * TFormat.Size;
            k1 += KvStore.ChunkKeys * TFormat.Size;
            V x = V.Create(q[0]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(q[1]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            x = V.Create(q[2]);
            c02a = V.Fma(x, b0, c02a);
            c02b = V.Fma(x, b1, c02b);
            x = V.Create(q[3]);
            c03a = V.Fma(x, b0, c03a);
            c03b = V.Fma(x, b1, c03b);
            x = V.Create(q[4]);
            c04a = V.Fma(x, b0, c04a);
            c04b = V.Fma(x, b1, c04b);
            x = V.Create(q[5]);
            c05a = V.Fma(x, b0, c05a);
            c05b = V.Fma(x, b1, c05b);
        }
        V.Store(c00a, s);
        V.Store(c00b, s + KvStore.ChunkKeys);
        V.Store(c01a, s + 1 * Keys);
        V.Store(c01b, s + 1 * Keys + KvStore.ChunkKeys);
        V.Store(c02a, s + 2 * Keys);
        V.Store(c02b, s + 2 * Keys + KvStore.ChunkKeys);
        V.Store(c03a, s + 3 * Keys);
        V.Store(c03b, s + 3 * Keys + KvStore.ChunkKeys);
        V.Store(c04a, s + 4 * Keys);
        V.Store(c04b, s + 4 * Keys + KvStore.ChunkKeys);
        V.Store(c05a, s + 5 * Keys);
        V.Store(c05b, s + 5 * Keys + KvStore.ChunkKeys);
    }

    /// <summary>6 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Weigh6<V, TFormat>(byte** chunks, byte** ahead, int offset, int first, int end, nint stride, float* w, float* o)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        V c01a, c01b;
        V c02a, c02b;
        V c03a, c03b;
        V c04a, c04b;
        V c05a, c05b;
        c00a = V.Load(o);
        c00b = V.Load(o + V.Count);
        c01a = V.Load(o + 32);
        c01b = V.Load(o + 32 + V.Count);
        c02a = V.Load(o + 64);
        c02b = V.Load(o + 64 + V.Count);
        c03a = V.Load(o + 96);
        c03b = V.Load(o + 96 + V.Count);
        c04a = V.Load(o + 128);
        c04b = V.Load(o + 128 + V.Count);
        c05a = V.Load(o + 160);
        c05b = V.Load(o + 160 + V.Count);
        while (first < end)
        {
            int chunk = first / KvStore.ChunkKeys;
            nint skip = first % KvStore.ChunkKeys * stride + offset;
            byte* v = chunks[chunk] + skip;
            byte* next = ahead[chunk] + skip;
            int until = Math.Min(end, (chunk + 1) * KvStore.ChunkKeys);
            float* a = w + first;
            for (float* stop = w + until; a < stop; a++)
            {
                V.Prefetch(next);
                V.Prefetch(next + 64);
                next += stride;
                V b0 = TFormat.Load<V>(v);
                V b1 = TFormat.Load<V>(v + V.Count * TFormat.Size);
                v += stride;
                V x = V.Create(a[0]);
                c00a = V.Fma(x, b0, c00a);
                c00b = V.Fma(x, b1, c00b);
                x = V.Create(a[1 * Keys]);
                c01a = V.Fma(x, b0, c01a);
                c01b = V.Fma(x, b1, c01b);
                x = V.Create(a[2 * Keys]);
                c02a = V.Fma(x, b0, c02a);
                c02b = V.Fma(x, b1, c02b);
                x = V.Create(a[3 * Keys]);
                c03a = V.Fma(x, b0, c03a);
                c03b = V.Fma(x, b1, c03b);
                x = V.Create(a[4 * Keys]);
                c04a = V.Fma(x, b0, c04a);
                c04b = V.Fma(x, b1, c04b);
                x = V.Create(a[5 * Keys]);
                c05a = V.Fma(x, b0, c05a);
                c05b = V.Fma(x, b1, c05b);
            }
            first = until;
        }
        V.Store(c00a, o);
        V.Store(c00b, o + V.Count);
        V.Store(c01a, o + 32);
        V.Store(c01b, o + 32 + V.Count);
        V.Store(c02a, o + 64);
        V.Store(c02b, o + 64 + V.Count);
        V.Store(c03a, o + 96);
        V.Store(c03b, o + 96 + V.Count);
        V.Store(c04a, o + 128);
        V.Store(c04b, o + 128 + V.Count);
        V.Store(c05a, o + 160);
        V.Store(c05b, o + 160 + V.Count);
    }

    /// <summary>7 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Score7<V, TFormat>(byte* k0, byte* k1, float* q, int d, float* s, byte* ahead0, byte* ahead1)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        V c01a, c01b;
        V c02a, c02b;
        V c03a, c03b;
        V c04a, c04b;
        V c05a, c05b;
        V c06a, c06b;
        c00a = c00b = V.Create(0f);
        c01a = c01b = V.Create(0f);
        c02a = c02b = V.Create(0f);
        c03a = c03b = V.Create(0f);
        c04a = c04b = V.Create(0f);
        c05a = c05b = V.Create(0f);
        c06a = c06b = V.Create(0f);
        for (float* stop = q + (long)d * 7; q < stop; q += 7)
        {
            V.Prefetch(ahead0);
            V.Prefetch(ahead1);
            ahead0 += KvStore.ChunkKeys * TFormat.Size;
            ahead1 += KvStore.ChunkKeys * TFormat.Size;
            V b0 = TFormat.Load<V>(k0);
            V b1 = TFormat.Load<V>(k1);
            k0 += KvStore.ChunkKeys * TFormat.Size;
            k1 += KvStore.ChunkKeys * TFormat.Size;
            V x = V.Create(q[0]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(q[1]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            x = V.Create(q[2]);
            c02a = V.Fma(x, b0, c02a);
            c02b = V.Fma(x, b1, c02b);
            x = V.Create(q[3]);
            c03a = V.Fma(x, b0, c03a);
            c03b = V.Fma(x, b1, c03b);
            x = V.Create(q[4]);
            c04a = V.Fma(x, b0, c04a);
            c04b = V.Fma(x, b1, c04b);
            x = V.Create(q[5]);
            c05a = V.Fma(x, b0, c05a);
            c05b = V.Fma(x, b1, c05b);
            x = V.Create(q[6]);
            c06a = V.Fma(x, b0, c06a);
            c06b = V.Fma(x, b1, c06b);
        }
        V.Store(c00a, s);
        V.Store(c00b, s + KvStore.ChunkKeys);
        V.Store(c01a, s + 1 * Keys);
        V.Store(c01b, s + 1 * Keys + KvStore.ChunkKeys);
        V.Store(c02a, s + 2 * Keys);
        V.Store(c02b, s + 2 * Keys + KvStore.ChunkKeys);
        V.Store(c03a, s + 3 * Keys);
        V.Store(c03b, s + 3 * Keys + KvStore.ChunkKeys);
        V.Store(c04a, s + 4 * Keys);
        V.Store(c04b, s + 4 * Keys + KvStore.ChunkKeys);
        V.Store(c05a, s + 5 * Keys);
        V.Store(c05b, s + 5 * Keys + KvStore.ChunkKeys);
        V.Store(c06a, s + 6 * Keys);
        V.Store(c06b, s + 6 * Keys + KvStore.ChunkKeys);
    }

    /// <summary>7 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Weigh7<V, TFormat>(byte** chunks, byte** ahead, int offset, int first, int end, nint stride, float* w, float* o)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        V c01a, c01b;
        V c02a, c02b;
        V c03a, c03b;
        V c04a, c04b;
        V c05a, c05b;
        V c06a, c06b;
        c00a = V.Load(o);
        c00b = V.Load(o + V.Count);
        c01a = V.Load(o + 32);
        c01b = V.Load(o + 32 + V.Count);
        c02a = V.Load(o + 64);
        c02b = V.Load(o + 64 + V.Count);
        c03a = V.Load(o + 96);
        c03b = V.Load(o + 96 + V.Count);
        c04a = V.Load(o + 128);
        c04b = V.Load(o + 128 + V.Count);
        c05a = V.Load(o + 160);
        c05b = V.Load(o + 160 + V.Count);
        c06a = V.Load(o + 192);
        c06b = V.Load(o + 192 + V.Count);
        while (first < end)
        {
            int chunk = first / KvStore.ChunkKeys;
            nint skip = first % KvStore.ChunkKeys * stride + offset;
            byte* v = chunks[chunk] + skip;
            byte* next = ahead[chunk] + skip;
            int until = Math.Min(end, (chunk + 1) * KvStore.ChunkKeys);
            float* a = w + first;
            for (float* stop = w + until; a < stop; a++)
            {
                V.Prefetch(next);
                V.Prefetch(next + 64);
                next += stride;
                V b0 = TFormat.Load<V>(v);
                V b1 = TFormat.Load<V>(v + V.Count * TFormat.Size);
                v += stride;
                V x = V.Create(a[0]);
                c00a = V.Fma(x, b0, c00a);
                c00b = V.Fma(x, b1, c00b);
                x = V.Create(a[1 * Keys]);
                c01a = V.Fma(x, b0, c01a);
                c01b = V.Fma(x, b1, c01b);
                x = V.Create(a[2 * Keys]);
                c02a = V.Fma(x, b0, c02a);
                c02b = V.Fma(x, b1, c02b);
                x = V.Create(a[3 * Keys]);
                c03a = V.Fma(x, b0, c03a);
                c03b = V.Fma(x, b1, c03b);
                x = V.Create(a[4 * Keys]);
                c04a = V.Fma(x, b0, c04a);
                c04b = V.Fma(x, b1, c04b);
                x = V.Create(a[5 * Keys]);
                c05a = V.Fma(x, b0, c05a);
                c05b = V.Fma(x, b1, c05b);
                x = V.Create(a[6 * Keys]);
                c06a = V.Fma(x, b0, c06a);
                c06b = V.Fma(x, b1, c06b);
            }
            first = until;
        }
        V.Store(c00a, o);
        V.Store(c00b, o + V.Count);
        V.Store(c01a, o + 32);
        V.Store(c01b, o + 32 + V.Count);
        V.Store(c02a, o + 64);
        V.Store(c02b, o + 64 + V.Count);
        V.Store(c03a, o + 96);
        V.Store(c03b, o + 96 + V.Count);
        V.Store(c04a, o + 128);
        V.Store(c04b, o + 128 + V.Count);
        V.Store(c05a, o + 160);
        V.Store(c05b, o + 160 + V.Count);
        V.Store(c06a, o + 192);
        V.Store(c06b, o + 192 + V.Count);
    }

    /// <summary>8 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Score8<V, TFormat>(byte* k0, byte* k1, float* q, int d, float* s, byte* ahead0, byte* ahead1)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        V c01a, c01b;
        V c02a, c02b;
        V c03a, c03b;
        V c04a, c04b;
        V c05a, c05b;
        V c06a, c06b;
        V c07a, c07b;
        c00a = c00b = V.Create(0f);
        c01a = c01b = V.Create(0f);
        c02a = c02b = V.Create(0f);
        c03a = c03b = V.Create(0f);
        c04a = c04b = V.Create(0f);
        c05a = c05b = V.Create(0f);
        c06a = c06b = V.Create(0f);
        c07a = c07b = V.Create(0f);
        for (float* stop = q + (long)d * 8; q < stop; q += 8)
        {
            V.Prefetch(ahead0);
            V.Prefetch(ahead1);
            ahead0 += KvStore.ChunkKeys * TFormat.Size;
            ahead1 += KvStore.ChunkKeys * TFormat.Size;
            V b0 = TFormat.Load<V>(k0);
            V b1 = TFormat.Load<V>(k1);
            k0 += KvStore.ChunkKeys * TFormat.Size;
            k1 += KvStore.ChunkKeys * TFormat.Size;
            V x = V.Create(q[0]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(q[1]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            x = V.Create(q[2]);
            c02a = V.Fma(x, b0, c02a);
            c02b = V.Fma(x, b1, c02b);
            x = V.Create(q[3]);
            c03a = V.Fma(x, b0, c03a);
            c03b = V.Fma(x, b1, c03b);
            x = V.Create(q[4]);
            c04a = V.Fma(x, b0, c04a);
            c04b = V.Fma(x, b1, c04b);
            x = V.Create(q[5]);
            c05a = V.Fma(x, b0, c05a);
            c05b = V.Fma(x, b1, c05b);
            x = V.Create(q[6]);
            c06a = V.Fma(x, b0, c06a);
            c06b = V.Fma(x, b1, c06b);
            x = V.Create(q[7]);
            c07a = V.Fma(x, b0, c07a);
            c07b = V.Fma(x, b1, c07b);
        }
        V.Store(c00a, s);
        V.Store(c00b, s + KvStore.ChunkKeys);
        V.Store(c01a, s + 1 * Keys);
        V.Store(c01b, s + 1 * Keys + KvStore.ChunkKeys);
        V.Store(c02a, s + 2 * Keys);
        V.Store(c02b, s + 2 * Keys + KvStore.ChunkKeys);
        V.Store(c03a, s + 3 * Keys);
        V.Store(c03b, s + 3 * Keys + KvStore.ChunkKeys);
        V.Store(c04a, s + 4 * Keys);
        V.Store(c04b, s + 4 * Keys + KvStore.ChunkKeys);
        V.Store(c05a, s + 5 * Keys);
        V.Store(c05b, s + 5 * Keys + KvStore.ChunkKeys);
        V.Store(c06a, s + 6 * Keys);
        V.Store(c06b, s + 6 * Keys + KvStore.ChunkKeys);
        V.Store(c07a, s + 7 * Keys);
        V.Store(c07b, s + 7 * Keys + KvStore.ChunkKeys);
    }

    /// <summary>8 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Weigh8<V, TFormat>(byte** chunks, byte** ahead, int offset, int first, int end, nint stride, float* w, float* o)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        V c01a, c01b;
        V c02a, c02b;
        V c03a, c03b;
        V c04a, c04b;
        V c05a, c05b;
        V c06a, c06b;
        V c07a, c07b;
        c00a = V.Load(o);
        c00b = V.Load(o + V.Count);
        c01a = V.Load(o + 32);
        c01b = V.Load(o + 32 + V.Count);
        c02a = V.Load(o + 64);
        c02b = V.Load(o + 64 + V.Count);
        c03a = V.Load(o + 96);
        c03b = V.Load(o + 96 + V.Count);
        c04a = V.Load(o + 128);
        c04b = V.Load(o + 128 + V.Count);
        c05a = V.Load(o + 160);
        c05b = V.Load(o + 160 + V.Count);
        c06a = V.Load(o + 192);
        c06b = V.Load(o + 192 + V.Count);
        c07a = V.Load(o + 224);
        c07b = V.Load(o + 224 + V.Count);
        while (first < end)
        {
            int chunk = first / KvStore.ChunkKeys;
            nint skip = first % KvStore.ChunkKeys * stride + offset;
            byte* v = chunks[chunk] + skip;
            byte* next = ahead[chunk] + skip;
            int until = Math.Min(end, (chunk + 1) * KvStore.ChunkKeys);
            float* a = w + first;
            for (float* stop = w + until; a < stop; a++)
            {
                V.Prefetch(next);
                V.Prefetch(next + 64);
                next += stride;
                V b0 = TFormat.Load<V>(v);
                V b1 = TFormat.Load<V>(v + V.Count * TFormat.Size);
                v += stride;
                V x = V.Create(a[0]);
                c00a = V.Fma(x, b0, c00a);
                c00b = V.Fma(x, b1, c00b);
                x = V.Create(a[1 * Keys]);
                c01a = V.Fma(x, b0, c01a);
                c01b = V.Fma(x, b1, c01b);
                x = V.Create(a[2 * Keys]);
                c02a = V.Fma(x, b0, c02a);
                c02b = V.Fma(x, b1, c02b);
                x = V.Create(a[3 * Keys]);
                c03a = V.Fma(x, b0, c03a);
                c03b = V.Fma(x, b1, c03b);
                x = V.Create(a[4 * Keys]);
                c04a = V.Fma(x, b0, c04a);
                c04b = V.Fma(x, b1, c04b);
                x = V.Create(a[5 * Keys]);
                c05a = V.Fma(x, b0, c05a);
                c05b = V.Fma(x, b1, c05b);
                x = V.Create(a[6 * Keys]);
                c06a = V.Fma(x, b0, c06a);
                c06b = V.Fma(x, b1, c06b);
                x = V.Create(a[7 * Keys]);
                c07a = V.Fma(x, b0, c07a);
                c07b = V.Fma(x, b1, c07b);
            }
            first = until;
        }
        V.Store(c00a, o);
        V.Store(c00b, o + V.Count);
        V.Store(c01a, o + 32);
        V.Store(c01b, o + 32 + V.Count);
        V.Store(c02a, o + 64);
        V.Store(c02b, o + 64 + V.Count);
        V.Store(c03a, o + 96);
        V.Store(c03b, o + 96 + V.Count);
        V.Store(c04a, o + 128);
        V.Store(c04b, o + 128 + V.Count);
        V.Store(c05a, o + 160);
        V.Store(c05b, o + 160 + V.Count);
        V.Store(c06a, o + 192);
        V.Store(c06b, o + 192 + V.Count);
        V.Store(c07a, o + 224);
        V.Store(c07b, o + 224 + V.Count);
    }

    /// <summary>12 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Score12<V, TFormat>(byte* k0, byte* k1, float* q, int d, float* s, byte* ahead0, byte* ahead1)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        V c01a, c01b;
        V c02a, c02b;
        V c03a, c03b;
        V c04a, c04b;
        V c05a, c05b;
        V c06a, c06b;
        V c07a, c07b;
        V c08a, c08b;
        V c09a, c09b;
        V c10a, c10b;
        V c11a, c11b;
        c00a = c00b = V.Create(0f);
        c01a = c01b = V.Create(0f);
        c02a = c02b = V.Create(0f);
        c03a = c03b = V.Create(0f);
        c04a = c04b = V.Create(0f);
        c05a = c05b = V.Create(0f);
        c06a = c06b = V.Create(0f);
        c07a = c07b = V.Create(0f);
        c08a = c08b = V.Create(0f);
        c09a = c09b = V.Create(0f);
        c10a = c10b = V.Create(0f);
        c11a = c11b = V.Create(0f);
        for (float* stop = q + (long)d * 12; q < stop; q += 12)
        {
            V.Prefetch(ahead0);
            V.Prefetch(ahead1);
            ahead0 += KvStore.ChunkKeys * TFormat.Size;
            ahead1 += KvStore.ChunkKeys * TFormat.Size;
            V b0 = TFormat.Load<V>(k0);
            V b1 = TFormat.Load<V>(k1);
            k0 += KvStore.ChunkKeys * TFormat.Size;
            k1 += KvStore.ChunkKeys * TFormat.Size;
            V x = V.Create(q[0]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(q[1]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            x = V.Create(q[2]);
            c02a = V.Fma(x, b0, c02a);
            c02b = V.Fma(x, b1, c02b);
            x = V.Create(q[3]);
            c03a = V.Fma(x, b0, c03a);
            c03b = V.Fma(x, b1, c03b);
            x = V.Create(q[4]);
            c04a = V.Fma(x, b0, c04a);
            c04b = V.Fma(x, b1, c04b);
            x = V.Create(q[5]);
            c05a = V.Fma(x, b0, c05a);
            c05b = V.Fma(x, b1, c05b);
            x = V.Create(q[6]);
            c06a = V.Fma(x, b0, c06a);
            c06b = V.Fma(x, b1, c06b);
            x = V.Create(q[7]);
            c07a = V.Fma(x, b0, c07a);
            c07b = V.Fma(x, b1, c07b);
            x = V.Create(q[8]);
            c08a = V.Fma(x, b0, c08a);
            c08b = V.Fma(x, b1, c08b);
            x = V.Create(q[9]);
            c09a = V.Fma(x, b0, c09a);
            c09b = V.Fma(x, b1, c09b);
            x = V.Create(q[10]);
            c10a = V.Fma(x, b0, c10a);
            c10b = V.Fma(x, b1, c10b);
            x = V.Create(q[11]);
            c11a = V.Fma(x, b0, c11a);
            c11b = V.Fma(x, b1, c11b);
        }
        V.Store(c00a, s);
        V.Store(c00b, s + KvStore.ChunkKeys);
        V.Store(c01a, s + 1 * Keys);
        V.Store(c01b, s + 1 * Keys + KvStore.ChunkKeys);
        V.Store(c02a, s + 2 * Keys);
        V.Store(c02b, s + 2 * Keys + KvStore.ChunkKeys);
        V.Store(c03a, s + 3 * Keys);
        V.Store(c03b, s + 3 * Keys + KvStore.ChunkKeys);
        V.Store(c04a, s + 4 * Keys);
        V.Store(c04b, s + 4 * Keys + KvStore.ChunkKeys);
        V.Store(c05a, s + 5 * Keys);
        V.Store(c05b, s + 5 * Keys + KvStore.ChunkKeys);
        V.Store(c06a, s + 6 * Keys);
        V.Store(c06b, s + 6 * Keys + KvStore.ChunkKeys);
        V.Store(c07a, s + 7 * Keys);
        V.Store(c07b, s + 7 * Keys + KvStore.ChunkKeys);
        V.Store(c08a, s + 8 * Keys);
        V.Store(c08b, s + 8 * Keys + KvStore.ChunkKeys);
        V.Store(c09a, s + 9 * Keys);
        V.Store(c09b, s + 9 * Keys + KvStore.ChunkKeys);
        V.Store(c10a, s + 10 * Keys);
        V.Store(c10b, s + 10 * Keys + KvStore.ChunkKeys);
        V.Store(c11a, s + 11 * Keys);
        V.Store(c11b, s + 11 * Keys + KvStore.ChunkKeys);
    }

    /// <summary>12 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Weigh12<V, TFormat>(byte** chunks, byte** ahead, int offset, int first, int end, nint stride, float* w, float* o)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IKvFormat
    {
        V c00a, c00b;
        V c01a, c01b;
        V c02a, c02b;
        V c03a, c03b;
        V c04a, c04b;
        V c05a, c05b;
        V c06a, c06b;
        V c07a, c07b;
        V c08a, c08b;
        V c09a, c09b;
        V c10a, c10b;
        V c11a, c11b;
        c00a = V.Load(o);
        c00b = V.Load(o + V.Count);
        c01a = V.Load(o + 32);
        c01b = V.Load(o + 32 + V.Count);
        c02a = V.Load(o + 64);
        c02b = V.Load(o + 64 + V.Count);
        c03a = V.Load(o + 96);
        c03b = V.Load(o + 96 + V.Count);
        c04a = V.Load(o + 128);
        c04b = V.Load(o + 128 + V.Count);
        c05a = V.Load(o + 160);
        c05b = V.Load(o + 160 + V.Count);
        c06a = V.Load(o + 192);
        c06b = V.Load(o + 192 + V.Count);
        c07a = V.Load(o + 224);
        c07b = V.Load(o + 224 + V.Count);
        c08a = V.Load(o + 256);
        c08b = V.Load(o + 256 + V.Count);
        c09a = V.Load(o + 288);
        c09b = V.Load(o + 288 + V.Count);
        c10a = V.Load(o + 320);
        c10b = V.Load(o + 320 + V.Count);
        c11a = V.Load(o + 352);
        c11b = V.Load(o + 352 + V.Count);
        while (first < end)
        {
            int chunk = first / KvStore.ChunkKeys;
            nint skip = first % KvStore.ChunkKeys * stride + offset;
            byte* v = chunks[chunk] + skip;
            byte* next = ahead[chunk] + skip;
            int until = Math.Min(end, (chunk + 1) * KvStore.ChunkKeys);
            float* a = w + first;
            for (float* stop = w + until; a < stop; a++)
            {
                V.Prefetch(next);
                V.Prefetch(next + 64);
                next += stride;
                V b0 = TFormat.Load<V>(v);
                V b1 = TFormat.Load<V>(v + V.Count * TFormat.Size);
                v += stride;
                V x = V.Create(a[0]);
                c00a = V.Fma(x, b0, c00a);
                c00b = V.Fma(x, b1, c00b);
                x = V.Create(a[1 * Keys]);
                c01a = V.Fma(x, b0, c01a);
                c01b = V.Fma(x, b1, c01b);
                x = V.Create(a[2 * Keys]);
                c02a = V.Fma(x, b0, c02a);
                c02b = V.Fma(x, b1, c02b);
                x = V.Create(a[3 * Keys]);
                c03a = V.Fma(x, b0, c03a);
                c03b = V.Fma(x, b1, c03b);
                x = V.Create(a[4 * Keys]);
                c04a = V.Fma(x, b0, c04a);
                c04b = V.Fma(x, b1, c04b);
                x = V.Create(a[5 * Keys]);
                c05a = V.Fma(x, b0, c05a);
                c05b = V.Fma(x, b1, c05b);
                x = V.Create(a[6 * Keys]);
                c06a = V.Fma(x, b0, c06a);
                c06b = V.Fma(x, b1, c06b);
                x = V.Create(a[7 * Keys]);
                c07a = V.Fma(x, b0, c07a);
                c07b = V.Fma(x, b1, c07b);
                x = V.Create(a[8 * Keys]);
                c08a = V.Fma(x, b0, c08a);
                c08b = V.Fma(x, b1, c08b);
                x = V.Create(a[9 * Keys]);
                c09a = V.Fma(x, b0, c09a);
                c09b = V.Fma(x, b1, c09b);
                x = V.Create(a[10 * Keys]);
                c10a = V.Fma(x, b0, c10a);
                c10b = V.Fma(x, b1, c10b);
                x = V.Create(a[11 * Keys]);
                c11a = V.Fma(x, b0, c11a);
                c11b = V.Fma(x, b1, c11b);
            }
            first = until;
        }
        V.Store(c00a, o);
        V.Store(c00b, o + V.Count);
        V.Store(c01a, o + 32);
        V.Store(c01b, o + 32 + V.Count);
        V.Store(c02a, o + 64);
        V.Store(c02b, o + 64 + V.Count);
        V.Store(c03a, o + 96);
        V.Store(c03b, o + 96 + V.Count);
        V.Store(c04a, o + 128);
        V.Store(c04b, o + 128 + V.Count);
        V.Store(c05a, o + 160);
        V.Store(c05b, o + 160 + V.Count);
        V.Store(c06a, o + 192);
        V.Store(c06b, o + 192 + V.Count);
        V.Store(c07a, o + 224);
        V.Store(c07b, o + 224 + V.Count);
        V.Store(c08a, o + 256);
        V.Store(c08b, o + 256 + V.Count);
        V.Store(c09a, o + 288);
        V.Store(c09b, o + 288 + V.Count);
        V.Store(c10a, o + 320);
        V.Store(c10b, o + 320 + V.Count);
        V.Store(c11a, o + 352);
        V.Store(c11b, o + 352 + V.Count);
    }
}
