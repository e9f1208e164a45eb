using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace QwenServe.Compute.Cpu;

/// <summary>
/// A vector of floats of one width. Kernels are written once over this interface and compiled for the widest implementation the
/// machine has; the implementations are single-field structs, so that the compiler keeps them in registers.
/// </summary>
/// <remarks>Min and Max return the second operand when it is NaN.</remarks>
internal unsafe interface ISimd<T> where T : unmanaged, ISimd<T>
{
    /// <summary>Lanes; a power of two, at most 16.</summary>
    static abstract int Count { get; }

    /// <summary>Rows of the largest register tile: two accumulators a row have to fit the register file.</summary>
    static abstract int TileRows { get; }

    static abstract T Create(float value);

    static abstract T Load(float* source);

    static abstract void Store(T value, float* destination);

    static abstract T Add(T a, T b);

    static abstract T Subtract(T a, T b);

    static abstract T Multiply(T a, T b);

    static abstract T Divide(T a, T b);

    /// <summary>a·b + c, fused where the hardware fuses.</summary>
    static abstract T Fma(T a, T b, T c);

    static abstract T Min(T a, T b);

    static abstract T Max(T a, T b);

    static abstract float Sum(T a);

    static abstract float MaxAcross(T a);

    /// <summary>value where x is not less than limit, else 0.</summary>
    static abstract T ZeroBelow(T value, T x, T limit);

    /// <summary>2^n for t = n + 1.5·2^23, n an integer in [-126, 127].</summary>
    static abstract T Pow2(T t);

    /// <summary>Asks for a cache line; any address will do.</summary>
    static abstract void Prefetch(byte* address);

    /// <summary>The lower halves of the lanes' bits as bfloat16.</summary>
    static abstract T LowBf16(T bits);

    /// <summary>The upper halves of the lanes' bits as bfloat16.</summary>
    static abstract T HighBf16(T bits);

    /// <summary>The lower halves of the lanes' bits as finite binary16.</summary>
    static abstract T LowF16(T bits);

    /// <summary>The upper halves of the lanes' bits as finite binary16.</summary>
    static abstract T HighF16(T bits);

    /// <summary>Widens neighbouring bfloat16.</summary>
    static abstract T LoadBf16(ushort* source);

    /// <summary>Widens neighbouring binary16, infinities and NaN included.</summary>
    static abstract T LoadF16(ushort* source);
}

internal static class Simd
{
    /// <summary>Lanes of the widest implementation the machine has.</summary>
    public static int Lanes
        => Vector512.IsHardwareAccelerated ? 16 : Vector256.IsHardwareAccelerated ? 8 : Vector128.IsHardwareAccelerated ? 4 : 1;

    /// <summary>For people: what the kernels compute with.</summary>
    public static string Name => Lanes switch
    {
        16 => "AVX-512",
        8 => "AVX2",
        4 => AdvSimd.IsSupported ? "NEON" : "128-bit SIMD",
        _ => "scalar code",
    };

    /// <summary>
    /// e^x to about 2 ulp; 0 below -87.33. Range reduction by ln 2 in two parts and the polynomial of Cephes' expf (Moshier).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Exp<V>(V x) where V : unmanaged, ISimd<V>
    {
        V clamped = V.Max(V.Create(-87.33f), V.Min(V.Create(88f), x));
        V magic = V.Create(12582912f);
        V t = V.Fma(clamped, V.Create(1.44269504088896341f), magic);
        V n = V.Subtract(t, magic);
        V r = V.Fma(n, V.Create(-0.693359375f), clamped);
        r = V.Fma(n, V.Create(2.12194440e-4f), r);
        V p = V.Fma(V.Create(1.9875691500E-4f), r, V.Create(1.3981999507E-3f));
        p = V.Fma(p, r, V.Create(8.3334519073E-3f));
        p = V.Fma(p, r, V.Create(4.1665795894E-2f));
        p = V.Fma(p, r, V.Create(1.6666665459E-1f));
        p = V.Fma(p, r, V.Create(5.0000001201E-1f));
        p = V.Fma(p, V.Multiply(r, r), V.Add(r, V.Create(1f)));
        return V.ZeroBelow(V.Multiply(p, V.Pow2(t)), x, V.Create(-87.33f));
    }

    /// <summary>x / (1 + e^-x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Silu<V>(V x) where V : unmanaged, ISimd<V>
    {
        V one = V.Create(1f);
        return V.Divide(x, V.Add(one, Exp(V.Subtract(V.Create(0f), x))));
    }
}
