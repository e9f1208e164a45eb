using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenServe.Compute.Cpu;

/// <summary>8 floats.</summary>
internal readonly unsafe struct V256 : ISimd<V256>
{
    private readonly Vector256<float> _value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private V256(Vector256<float> value) => _value = value;

    public static int Count => 8;

    public static int TileRows => 6;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 Create(float value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 Load(float* source) => new(Vector256.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(V256 value, float* destination) => value._value.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 Add(V256 a, V256 b) => new(a._value + b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 Subtract(V256 a, V256 b) => new(a._value - b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 Multiply(V256 a, V256 b) => new(a._value * b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 Divide(V256 a, V256 b) => new(a._value / b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 Fma(V256 a, V256 b, V256 c) => new(Vector256.MultiplyAddEstimate(a._value, b._value, c._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 Min(V256 a, V256 b) => new(Vector256.MinNative(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 Max(V256 a, V256 b) => new(Vector256.MaxNative(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(V256 a) => Vector256.Sum(a._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxAcross(V256 a) => V128.MaxAcross(V128.Wrap(Vector128.MaxNative(a._value.GetLower(), a._value.GetUpper())));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static V256 Wrap(Vector256<float> value) => new(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 ZeroBelow(V256 value, V256 x, V256 limit) => new(Vector256.AndNot(value._value, Vector256.LessThan(x._value, limit._value)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 Pow2(V256 t) => new(((Vector256.AsInt32(t._value) << 23) + Vector256.Create(0x3F800000)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 LowBf16(V256 bits) => new((bits._value.AsUInt32() << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 HighBf16(V256 bits) => new((bits._value.AsUInt32() & Vector256.Create(0xFFFF0000u)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 LowF16(V256 bits) => HighF16(new((bits._value.AsUInt32() << 16).AsSingle()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 HighF16(V256 bits)
    {
        // The exponent is rebased by a multiplication, which also makes subnormals right.
        var u = bits._value.AsUInt32();
        var magnitude = ((u & Vector256.Create(0x7FFF0000u)) >> 3).AsSingle() * Vector256.Create(5.192296858534828e33f);
        return new((magnitude.AsUInt32() | (u & Vector256.Create(0x80000000u))).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 LoadBf16(ushort* source) => new((Avx2.ConvertToVector256Int32(Vector128.Load(source)).AsUInt32() << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V256 LoadF16(ushort* source)
    {
        var u = Avx2.ConvertToVector256Int32(Vector128.Load(source)).AsUInt32() << 16;
        var magnitude = (u & Vector256.Create(0x7FFF0000u)) >> 3;
        var rebased = (magnitude.AsSingle() * Vector256.Create(5.192296858534828e33f)).AsUInt32();
        var special = Vector256.GreaterThanOrEqual(magnitude, Vector256.Create(0x0F800000u)) & Vector256.Create(0x7F800000u);
        return new((rebased | special | (u & Vector256.Create(0x80000000u))).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(byte* address)
    {
        if (Sse.IsSupported) Sse.Prefetch0(address);
    }
}
