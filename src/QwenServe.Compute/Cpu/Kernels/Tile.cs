using System.Runtime.CompilerServices;

namespace QwenServe.Compute.Cpu.Kernels;

/// <summary>
/// The register tiles under every matrix product: c[r][0..31] (+)= Σ_k a[k][r] · b[k][0..31], for 1 to 12 rows r.
///
/// Each element of c is one chain of fused multiply-adds over k in ascending order, starting from zero, whatever the number of rows
/// in the tile and wherever k is cut into blocks (c holds the exact partial sum between them). That is what makes results
/// independent of batch, chunking and threads.
///
/// The tiles differ in their number of rows only. They are written out because accumulators have to be named locals to live in
/// registers: 12 rows by two 512-bit vectors are 24 of the 32.
/// </summary>
/// <remarks>
/// b is a panel of 32 columns as <see cref="IWeightFormat"/> lays it out; a holds for each k the tile's rows together; c has 32
/// floats a row. A call covers two vectors of columns.
/// </remarks>
internal static unsafe class Tile
{
    /// <summary>How far ahead of the loads memory is asked for: past the page border at which the processor's own prefetch stops.</summary>
    public const int PrefetchBytes = 2048;

    /// <summary>Rows of the smallest tile that holds the rows given.</summary>
    public static int RoundUp(int rows) => rows switch { <= 2 => rows, <= 4 => 4, <= 6 => 6, <= 8 => 8, _ => 12 };

    /// <summary>All 32 columns of a panel by a tile of 1, 2, 4, 6, 8 or 12 rows.</summary>
    /// <param name="b">The panel, from the pair of k steps at which to start.</param>
    /// <param name="a">The rows' inputs, [2·pairs, rows].</param>
    /// <param name="pairs">Pairs of k steps.</param>
    /// <param name="c">[rows, 32]</param>
    /// <param name="rows">Rows of the tile.</param>
    /// <param name="fresh">Start from zero, not from what c holds.</param>
    /// <param name="ahead">Memory to ask for meanwhile, two cache lines a pair.</param>
    /// <param name="aheadStep">Bytes by which it moves on each pair.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<V, TFormat>(byte* b, float* a, nint pairs, float* c, int rows, bool fresh, byte* ahead, nint aheadStep)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IWeightFormat
    {
        int step = 2 * V.Count;
        for (int column = 0; column < 32; column += step)
        {
            switch (rows)
            {
                case 1: Rows1<V, TFormat>(b, a, pairs, c, column, fresh, ahead, aheadStep); break;
                case 2: Rows2<V, TFormat>(b, a, pairs, c, column, fresh, ahead, aheadStep); break;
                case 4: Rows4<V, TFormat>(b, a, pairs, c, column, fresh, ahead, aheadStep); break;
                case 6: Rows6<V, TFormat>(b, a, pairs, c, column, fresh, ahead, aheadStep); break;
                case 8: Rows8<V, TFormat>(b, a, pairs, c, column, fresh, ahead, aheadStep); break;
                case 12: Rows12<V, TFormat>(b, a, pairs, c, column, fresh, ahead, aheadStep); break;
                default: throw new ArgumentOutOfRangeException(nameof(rows));
            }
        }
    }

    /// <summary>1 row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows1<V, TFormat>(byte* b, float* a, nint pairs, float* c, int column, bool fresh, byte* ahead, nint aheadStep)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IWeightFormat
    {
        c += column;
        V c00a, c00b;
        if (fresh)
        {
            c00a = c00b = V.Create(0f);
        }
        else
        {
            c00a = V.Load(c);
            c00b = V.Load(c + V.Count);
        }
        for (byte* end = b + pairs * TFormat.PairBytes; b < end; b += TFormat.PairBytes)
        {
            V.Prefetch(ahead);
            V.Prefetch(ahead + 64);
            ahead += aheadStep;
            V b0 = TFormat.LoadEven<V>(b, column);
            V b1 = TFormat.LoadEven<V>(b, column + V.Count);
            V x = V.Create(a[0]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            b0 = TFormat.LoadOdd<V>(b, column);
            b1 = TFormat.LoadOdd<V>(b, column + V.Count);
            x = V.Create(a[1]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            a += 2;
        }
        V.Store(c00a, c);
        V.Store(c00b, c + V.Count);
    }

    /// <summary>2 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows2<V, TFormat>(byte* b, float* a, nint pairs, float* c, int column, bool fresh, byte* ahead, nint aheadStep)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IWeightFormat
    {
        c += column;
        V c00a, c00b;
        V c01a, c01b;
        if (fresh)
        {
            c00a = c00b = V.Create(0f);
            c01a = c01b = V.Create(0f);
        }
        else
        {
            c00a = V.Load(c);
            c00b = V.Load(c + V.Count);
            c01a = V.Load(c + 32);
            c01b = V.Load(c + 32 + V.Count);
        }
        for (byte* end = b + pairs * TFormat.PairBytes; b < end; b += TFormat.PairBytes)
        {
            V.Prefetch(ahead);
            V.Prefetch(ahead + 64);
            ahead += aheadStep;
            V b0 = TFormat.LoadEven<V>(b, column);
            V b1 = TFormat.LoadEven<V>(b, column + V.Count);
            V x = V.Create(a[0]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(a[1]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            b0 = TFormat.LoadOdd<V>(b, column);
            b1 = TFormat.LoadOdd<V>(b, column + V.Count);
            x = V.Create(a[2]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(a[3]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            a += 4;
        }
        V.Store(c00a, c);
        V.Store(c00b, c + V.Count);
        V.Store(c01a, c + 32);
        V.Store(c01b, c + 32 + V.Count);
    }

    /// <summary>4 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows4<V, TFormat>(byte* b, float* a, nint pairs, float* c, int column, bool fresh, byte* ahead, nint aheadStep)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IWeightFormat
    {
        c += column;
        V c00a, c00b;
        V c01a, c01b;
        V c02a, c02b;
        V c03a, c03b;
        if (fresh)
        {
            c00a = c00b = V.Create(0f);
            c01a = c01b = V.Create(0f);
            c02a = c02b = V.Create(0f);
            c03a = c03b = V.Create(0f);
        }
        else
        {
            c00a = V.Load(c);
            c00b = V.Load(c + V.Count);
            c01a = V.Load(c + 32);
            c01b = V.Load(c + 32 + V.Count);
            c02a = V.Load(c + 64);
            c02b = V.Load(c + 64 + V.Count);
            c03a = V.Load(c + 96);
            c03b = V.Load(c + 96 + V.Count);
        }
        for (byte* end = b + pairs * TFormat.PairBytes; b < end; b += TFormat.PairBytes)
        {
            V.Prefetch(ahead);
            V.Prefetch(ahead + 64);
            ahead += aheadStep;
            V b0 = TFormat.LoadEven<V>(b, column);
            V b1 = TFormat.LoadEven<V>(b, column + V.Count);
            V x = V.Create(a[0]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(a[1]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            x = V.Create(a[2]);
            c02a = V.Fma(x, b0, c02a);
            c02b = V.Fma(x, b1, c02b);
            x = V.Create(a[3]);
            c03a = V.Fma(x, b0, c03a);
            c03b = V.Fma(x, b1, c03b);
            b0 = TFormat.LoadOdd<V>(b, column);
            b1 = TFormat.LoadOdd<V>(b, column + V.Count);
            x = V.Create(a[4]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(a[5]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            x = V.Create(a[6]);
            c02a = V.Fma(x, b0, c02a);
            c02b = V.Fma(x, b1, c02b);
            x = V.Create(a[7]);
            c03a = V.Fma(x, b0, c03a);
            c03b = V.Fma(x, b1, c03b);
            a += 8;
        }
        V.Store(c00a, c);
        V.Store(c00b, c + V.Count);
        V.Store(c01a, c + 32);
        V.Store(c01b, c + 32 + V.Count);
        V.Store(c02a, c + 64);
        V.Store(c02b, c + 64 + V.Count);
        V.Store(c03a, c + 96);
        V.Store(c03b, c + 96 + V.Count);
    }

    /// <summary>6 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows6<V, TFormat>(byte* b, float* a, nint pairs, float* c, int column, bool fresh, byte* ahead, nint aheadStep)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IWeightFormat
    {
        c += column;
        V c00a, c00b;
        V c01a, c01b;
        V c02a, c02b;
        V c03a, c03b;
        V c04a, c04b;
        V c05a, c05b;
        if (fresh)
        {
            c00a = c00b = V.Create(0f);
            c01a = c01b = V.Create(0f);
            c02a = c02b = V.Create(0f);
            c03a = c03b = V.Create(0f);
            c04a = c04b = V.Create(0f);
            c05a = c05b = V.Create(0f);
        }
        else
        {
            c00a = V.Load(c);
            c00b = V.Load(c + V.Count);
            c01a = V.Load(c + 32);
            c01b = V.Load(c + 32 + V.Count);
            c02a = V.Load(c + 64);
            c02b = V.Load(c + 64 + V.Count);
            c03a = V.Load(c + 96);
            c03b = V.Load(c + 96 + V.Count);
            c04a = V.Load(c + 128);
            c04b = V.Load(c + 128 + V.Count);
            c05a = V.Load(c + 160);
            c05b = V.Load(c + 160 + V.Count);
        }
        for (byte* end = b + pairs * TFormat.PairBytes; b < end; b += TFormat.PairBytes)
        {
            V.Prefetch(ahead);
            V.Prefetch(ahead + 64);
            ahead += aheadStep;
            V b0 = TFormat.LoadEven<V>(b, column);
            V b1 = TFormat.LoadEven<V>(b, column + V.Count);
            V x = V.Create(a[0]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(a[1]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            x = V.Create(a[2]);
            c02a = V.Fma(x, b0, c02a);
            c02b = V.Fma(x, b1, c02b);
            x = V.Create(a[3]);
            c03a = V.Fma(x, b0, c03a);
            c03b = V.Fma(x, b1, c03b);
            x = V.Create(a[4]);
            c04a = V.Fma(x, b0, c04a);
            c04b = V.Fma(x, b1, c04b);
            x = V.Create(a[5]);
            c05a = V.Fma(x, b0, c05a);
            c05b = V.Fma(x, b1, c05b);
            b0 = TFormat.LoadOdd<V>(b, column);
            b1 = TFormat.LoadOdd<V>(b, column + V.Count);
            x = V.Create(a[6]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(a[7]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            x = V.Create(a[8]);
            c02a = V.Fma(x, b0, c02a);
            c02b = V.Fma(x, b1, c02b);
            x = V.Create(a[9]);
            c03a = V.Fma(x, b0, c03a);
            c03b = V.Fma(x, b1, c03b);
            x = V.Create(a[10]);
            c04a = V.Fma(x, b0, c04a);
            c04b = V.Fma(x, b1, c04b);
            x = V.Create(a[11]);
            c05a = V.Fma(x, b0, c05a);
            c05b = V.Fma(x, b1, c05b);
            a += 12;
        }
        V.Store(c00a, c);
        V.Store(c00b, c + V.Count);
        V.Store(c01a, c + 32);
        V.Store(c01b, c + 32 + V.Count);
        V.Store(c02a, c + 64);
        V.Store(c02b, c + 64 + V.Count);
        V.Store(c03a, c + 96);
        V.Store(c03b, c + 96 + V.Count);
        V.Store(c04a, c + 128);
        V.Store(c04b, c + 128 + V.Count);
        V.Store(c05a, c + 160);
        V.Store(c05b, c + 160 + V.Count);
    }

    /// <summary>8 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows8<V, TFormat>(byte* b, float* a, nint pairs, float* c, int column, bool fresh, byte* ahead, nint aheadStep)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IWeightFormat
    {
        c += column;
        V c00a, c00b;
        V c01a, c01b;
        V c02a, c02b;
        V c03a, c03b;
        V c04a, c04b;
        V c05a, c05b;
        V c06a, c06b;
        V c07a, c07b;
        if (fresh)
        {
            c00a = c00b = V.Create(0f);
            c01a = c01b = V.Create(0f);
            c02a = c02b = V.Create(0f);
            c03a = c03b = V.Create(0f);
            c04a = c04b = V.Create(0f);
            c05a = c05b = V.Create(0f);
            c06a = c06b = V.Create(0f);
            c07a = c07b = V.Create(0f);
        }
        else
        {
            c00a = V.Load(c);
            c00b = V.Load(c + V.Count);
            c01a = V.Load(c + 32);
            c01b = V.Load(c + 32 + V.Count);
            c02a = V.Load(c + 64);
            c02b = V.Load(c + 64 + V.Count);
            c03a = V.Load(c + 96);
            c03b = V.Load(c + 96 + V.Count);
            c04a = V.Load(c + 128);
            c04b = V.Load(c + 128 + V.Count);
            c05a = V.Load(c + 160);
            c05b = V.Load(c + 160 + V.Count);
            c06a = V.Load(c + 192);
            c06b = V.Load(c + 192 + V.Count);
            c07a = V.Load(c + 224);
            c07b = V.Load(c + 224 + V.Count);
        }
        for (byte* end = b + pairs * TFormat.PairBytes; b < end; b += TFormat.PairBytes)
        {
            V.Prefetch(ahead);
            V.Prefetch(ahead + 64);
            ahead += aheadStep;
            V b0 = TFormat.LoadEven<V>(b, column);
            V b1 = TFormat.LoadEven<V>(b, column + V.Count);
            V x = V.Create(a[0]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(a[1]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            x = V.Create(a[2]);
            c02a = V.Fma(x, b0, c02a);
            c02b = V.Fma(x, b1, c02b);
            x = V.Create(a[3]);
            c03a = V.Fma(x, b0, c03a);
            c03b = V.Fma(x, b1, c03b);
            x = V.Create(a[4]);
            c04a = V.Fma(x, b0, c04a);
            c04b = V.Fma(x, b1, c04b);
            x = V.Create(a[5]);
            c05a = V.Fma(x, b0, c05a);
            c05b = V.Fma(x, b1, c05b);
            x = V.Create(a[6]);
            c06a = V.Fma(x, b0, c06a);
            c06b = V.Fma(x, b1, c06b);
            x = V.Create(a[7]);
            c07a = V.Fma(x, b0, c07a);
            c07b = V.Fma(x, b1, c07b);
            b0 = TFormat.LoadOdd<V>(b, column);
            b1 = TFormat.LoadOdd<V>(b, column + V.Count);
            x = V.Create(a[8]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(a[9]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            x = V.Create(a[10]);
            c02a = V.Fma(x, b0, c02a);
            c02b = V.Fma(x, b1, c02b);
            x = V.Create(a[11]);
            c03a = V.Fma(x, b0, c03a);
            c03b = V.Fma(x, b1, c03b);
            x = V.Create(a[12]);
            c04a = V.Fma(x, b0, c04a);
            c04b = V.Fma(x, b1, c04b);
            x = V.Create(a[13]);
            c05a = V.Fma(x, b0, c05a);
            c05b = V.Fma(x, b1, c05b);
            x = V.Create(a[14]);
            c06a = V.Fma(x, b0, c06a);
            c06b = V.Fma(x, b1, c06b);
            x = V.Create(a[15]);
            c07a = V.Fma(x, b0, c07a);
            c07b = V.Fma(x, b1, c07b);
            a += 16;
        }
        V.Store(c00a, c);
        V.Store(c00b, c + V.Count);
        V.Store(c01a, c + 32);
        V.Store(c01b, c + 32 + V.Count);
        V.Store(c02a, c + 64);
        V.Store(c02b, c + 64 + V.Count);
        V.Store(c03a, c + 96);
        V.Store(c03b, c + 96 + V.Count);
        V.Store(c04a, c + 128);
        V.Store(c04b, c + 128 + V.Count);
        V.Store(c05a, c + 160);
        V.Store(c05b, c + 160 + V.Count);
        V.Store(c06a, c + 192);
        V.Store(c06b, c + 192 + V.Count);
        V.Store(c07a, c + 224);
        V.Store(c07b, c + 224 + V.Count);
    }

    /// <summary>12 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows12<V, TFormat>(byte* b, float* a, nint pairs, float* c, int column, bool fresh, byte* ahead, nint aheadStep)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IWeightFormat
    {
        c += column;
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
        if (fresh)
        {
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
        }
        else
        {
            c00a = V.Load(c);
            c00b = V.Load(c + V.Count);
            c01a = V.Load(c + 32);
            c01b = V.Load(c + 32 + V.Count);
            c02a = V.Load(c + 64);
            c02b = V.Load(c + 64 + V.Count);
            c03a = V.Load(c + 96);
            c03b = V.Load(c + 96 + V.Count);
            c04a = V.Load(c + 128);
            c04b = V.Load(c + 128 + V.Count);
            c05a = V.Load(c + 160);
            c05b = V.Load(c + 160 + V.Count);
            c06a = V.Load(c + 192);
            c06b = V.Load(c + 192 + V.Count);
            c07a = V.Load(c + 224);
            c07b = V.Load(c + 224 + V.Count);
            c08a = V.Load(c + 256);
            c08b = V.Load(c + 256 + V.Count);
            c09a = V.Load(c + 288);
            c09b = V.Load(c + 288 + V.Count);
            c10a = V.Load(c + 320);
            c10b = V.Load(c + 320 + V.Count);
            c11a = V.Load(c + 352);
            c11b = V.Load(c + 352 + V.Count);
        }
        for (byte* end = b + pairs * TFormat.PairBytes; b < end; b += TFormat.PairBytes)
        {
            V.Prefetch(ahead);
            V.Prefetch(ahead + 64);
            ahead += aheadStep;
            V b0 = TFormat.LoadEven<V>(b, column);
            V b1 = TFormat.LoadEven<V>(b, column + V.Count);
            V x = V.Create(a[0]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(a[1]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            x = V.Create(a[2]);
            c02a = V.Fma(x, b0, c02a);
            c02b = V.Fma(x, b1, c02b);
            x = V.Create(a[3]);
            c03a = V.Fma(x, b0, c03a);
            c03b = V.Fma(x, b1, c03b);
            x = V.Create(a[4]);
            c04a = V.Fma(x, b0, c04a);
            c04b = V.Fma(x, b1, c04b);
            x = V.Create(a[5]);
            c05a = V.Fma(x, b0, c05a);
            c05b = V.Fma(x, b1, c05b);
            x = V.Create(a[6]);
            c06a = V.Fma(x, b0, c06a);
            c06b = V.Fma(x, b1, c06b);
            x = V.Create(a[7]);
            c07a = V.Fma(x, b0, c07a);
            c07b = V.Fma(x, b1, c07b);
            x = V.Create(a[8]);
            c08a = V.Fma(x, b0, c08a);
            c08b = V.Fma(x, b1, c08b);
            x = V.Create(a[9]);
            c09a = V.Fma(x, b0, c09a);
            c09b = V.Fma(x, b1, c09b);
            x = V.Create(a[10]);
            c10a = V.Fma(x, b0, c10a);
            c10b = V.Fma(x, b1, c10b);
            x = V.Create(a[11]);
            c11a = V.Fma(x, b0, c11a);
            c11b = V.Fma(x, b1, c11b);
            b0 = TFormat.LoadOdd<V>(b, column);
            b1 = TFormat.LoadOdd<V>(b, column + V.Count);
            x = V.Create(a[12]);
            c00a = V.Fma(x, b0, c00a);
            c00b = V.Fma(x, b1, c00b);
            x = V.Create(a[13]);
            c01a = V.Fma(x, b0, c01a);
            c01b = V.Fma(x, b1, c01b);
            x = V.Create(a[14]);
            c02a = V.Fma(x, b0, c02a);
            c02b = V.Fma(x, b1, c02b);
            x = V.Create(a[15]);
            c03a = V.Fma(x, b0, c03a);
            c03b = V.Fma(x, b1, c03b);
            x = V.Create(a[16]);
            c04a = V.Fma(x, b0, c04a);
            c04b = V.Fma(x, b1, c04b);
            x = V.Create(a[17]);
            c05a = V.Fma(x, b0, c05a);
            c05b = V.Fma(x, b1, c05b);
            x = V.Create(a[18]);
            c06a = V.Fma(x, b0, c06a);
            c06b = V.Fma(x, b1, c06b);
            x = V.Create(a[19]);
            c07a = V.Fma(x, b0, c07a);
            c07b = V.Fma(x, b1, c07b);
            x = V.Create(a[20]);
            c08a = V.Fma(x, b0, c08a);
            c08b = V.Fma(x, b1, c08b);
            x = V.Create(a[21]);
            c09a = V.Fma(x, b0, c09a);
            c09b = V.Fma(x, b1, c09b);
            x = V.Create(a[22]);
            c10a = V.Fma(x, b0, c10a);
            c10b = V.Fma(x, b1, c10b);
            x = V.Create(a[23]);
            c11a = V.Fma(x, b0, c11a);
            c11b = V.Fma(x, b1, c11b);
            a += 24;
        }
        V.Store(c00a, c);
        V.Store(c00b, c + V.Count);
        V.Store(c01a, c + 32);
        V.Store(c01b, c + 32 + V.Count);
        V.Store(c02a, c + 64);
        V.Store(c02b, c + 64 + V.Count);
        V.Store(c03a, c + 96);
        V.Store(c03b, c + 96 + V.Count);
        V.Store(c04a, c + 128);
        V.Store(c04b, c + 128 + V.Count);
        V.Store(c05a, c + 160);
        V.Store(c05b, c + 160 + V.Count);
        V.Store(c06a, c + 192);
        V.Store(c06b, c + 192 + V.Count);
        V.Store(c07a, c + 224);
        V.Store(c07b, c + 224 + V.Count);
        V.Store(c08a, c + 256);
        V.Store(c08b, c + 256 + V.Count);
        V.Store(c09a, c + 288);
        V.Store(c09b, c + 288 + V.Count);
        V.Store(c10a, c + 320);
        V.Store(c10b, c + 320 + V.Count);
        V.Store(c11a, c + 352);
        V.Store(c11b, c + 352 + V.Count);
    }

    /// <summary>One row by two neighbouring panels: twice as many independent chains as <see cref="Rows1"/> has.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Row2Panels<V, TFormat>(byte* b, long panelBytes, float* a, nint pairs, float* c)
        where V : unmanaged, ISimd<V>
        where TFormat : unmanaged, IWeightFormat
    {
        for (int column = 0; column < 32; column += 2 * V.Count)
        {
            V c0 = V.Create(0f), c1 = c0, c2 = c0, c3 = c0;
            float* x = a;
            byte* p = b;
            byte* q = b + panelBytes;
            for (byte* end = p + pairs * TFormat.PairBytes; p < end; p += TFormat.PairBytes, q += TFormat.PairBytes, x += 2)
            {
                V x0 = V.Create(x[0]), x1 = V.Create(x[1]);
                V.Prefetch(p + PrefetchBytes);
                V.Prefetch(p + PrefetchBytes + 64);
                V.Prefetch(q + PrefetchBytes);
                V.Prefetch(q + PrefetchBytes + 64);
                c0 = V.Fma(x0, TFormat.LoadEven<V>(p, column), c0);
                c1 = V.Fma(x0, TFormat.LoadEven<V>(p, column + V.Count), c1);
                c2 = V.Fma(x0, TFormat.LoadEven<V>(q, column), c2);
                c3 = V.Fma(x0, TFormat.LoadEven<V>(q, column + V.Count), c3);
                c0 = V.Fma(x1, TFormat.LoadOdd<V>(p, column), c0);
                c1 = V.Fma(x1, TFormat.LoadOdd<V>(p, column + V.Count), c1);
                c2 = V.Fma(x1, TFormat.LoadOdd<V>(q, column), c2);
                c3 = V.Fma(x1, TFormat.LoadOdd<V>(q, column + V.Count), c3);
            }
            V.Store(c0, c + column);
            V.Store(c1, c + column + V.Count);
            V.Store(c2, c + 32 + column);
            V.Store(c3, c + 32 + column + V.Count);
        }
    }
}
