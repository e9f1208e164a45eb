using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenServe.Compute.Cpu;

/// <summary>16 floats.</summary>
internal readonly unsafe struct V512 : ISimd<V512>
{
    private readonly Vector512<float> _value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private V512(Vector512<float> value) => _value = value;

    public static int Count => 16;

    public static int TileRows => 12;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 Create(float value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 Load(float* source) => new(Vector512.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(V512 value, float* destination) => value._value.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 Add(V512 a, V512 b) => new(a._value + b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 Subtract(V512 a, V512 b) => new(a._value - b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 Multiply(V512 a, V512 b) => new(a._value * b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 Divide(V512 a, V512 b) => new(a._value / b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 Fma(V512 a, V512 b, V512 c) => new(Vector512.FusedMultiplyAdd(a._value, b._value, c._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 Min(V512 a, V512 b) => new(Vector512.MinNative(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 Max(V512 a, V512 b) => new(Vector512.MaxNative(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(V512 a) => Vector512.Sum(a._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxAcross(V512 a) => V256.MaxAcross(V256.Wrap(Vector256.MaxNative(a._value.GetLower(), a._value.GetUpper())));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 ZeroBelow(V512 value, V512 x, V512 limit) => new(Vector512.AndNot(value._value, Vector512.LessThan(x._value, limit._value)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 Pow2(V512 t) => new(((Vector512.AsInt32(t._value) << 23) + Vector512.Create(0x3F800000)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 LowBf16(V512 bits) => new((bits._value.AsUInt32() << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 HighBf16(V512 bits) => new((bits._value.AsUInt32() & Vector512.Create(0xFFFF0000u)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 LowF16(V512 bits) => HighF16(new((bits._value.AsUInt32() << 16).AsSingle()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 HighF16(V512 bits)
    {
        // The exponent is rebased by a multiplication, which also makes subnormals right.
        var u = bits._value.AsUInt32();
        var magnitude = ((u & Vector512.Create(0x7FFF0000u)) >> 3).AsSingle() * Vector512.Create(5.192296858534828e33f);
        return new((magnitude.AsUInt32() | (u & Vector512.Create(0x80000000u))).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 LoadBf16(ushort* source) => new((Avx512F.ConvertToVector512UInt32(Vector256.Load(source)) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V512 LoadF16(ushort* source)
    {
        var u = Avx512F.ConvertToVector512UInt32(Vector256.Load(source)) << 16;
        var magnitude = (u & Vector512.Create(0x7FFF0000u)) >> 3;
        var rebased = (magnitude.AsSingle() * Vector512.Create(5.192296858534828e33f)).AsUInt32();
        var special = Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(0x0F800000u)) & Vector512.Create(0x7F800000u);
        return new((rebased | special | (u & Vector512.Create(0x80000000u))).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(byte* address)
    {
        if (Sse.IsSupported) Sse.Prefetch0(address);
    }
}
