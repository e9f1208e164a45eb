using System.Runtime.CompilerServices;

namespace QwenServe.Compute.Cpu;

/// <summary>
/// How a pair of k steps lies in a panel of 32 columns, and how a vector of one of the two is read as fp32. 16-bit types hold the
/// pair in one 32-bit word, the even k in its lower half, so that bfloat16 widens by a shift or a mask.
/// </summary>
internal unsafe interface IWeightFormat
{
    static abstract DType Type { get; }

    /// <summary>Bytes of 32 columns by 2 k.</summary>
    static abstract int PairBytes { get; }

    /// <summary>Bits of the lanes starting at <paramref name="column"/> (for 16-bit types of both k).</summary>
    static abstract V LoadEven<V>(byte* pair, int column) where V : unmanaged, ISimd<V>;

    static abstract V LoadOdd<V>(byte* pair, int column) where V : unmanaged, ISimd<V>;
}

internal readonly unsafe struct F32Format : IWeightFormat
{
    public static DType Type => DType.F32;

    public static int PairBytes => 256;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V LoadEven<V>(byte* pair, int column) where V : unmanaged, ISimd<V> => V.Load((float*)pair + column);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V LoadOdd<V>(byte* pair, int column) where V : unmanaged, ISimd<V> => V.Load((float*)pair + 32 + column);
}

internal readonly unsafe struct Bf16Format : IWeightFormat
{
    public static DType Type => DType.BF16;

    public static int PairBytes => 128;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V LoadEven<V>(byte* pair, int column) where V : unmanaged, ISimd<V> => V.LowBf16(V.Load((float*)pair + column));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V LoadOdd<V>(byte* pair, int column) where V : unmanaged, ISimd<V> => V.HighBf16(V.Load((float*)pair + column));
}

internal readonly unsafe struct F16Format : IWeightFormat
{
    public static DType Type => DType.F16;

    public static int PairBytes => 128;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V LoadEven<V>(byte* pair, int column) where V : unmanaged, ISimd<V> => V.LowF16(V.Load((float*)pair + column));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V LoadOdd<V>(byte* pair, int column) where V : unmanaged, ISimd<V> => V.HighF16(V.Load((float*)pair + column));
}
