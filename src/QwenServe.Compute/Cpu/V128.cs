using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace QwenServe.Compute.Cpu;

/// <summary>4 floats.</summary>
internal readonly unsafe struct V128 : ISimd<V128>
{
    private readonly Vector128<float> _value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private V128(Vector128<float> value) => _value = value;

    public static int Count => 4;

    public static int TileRows => AdvSimd.IsSupported ? 12 : 6;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 Create(float value) => new(Vector128.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 Load(float* source) => new(Vector128.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(V128 value, float* destination) => value._value.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 Add(V128 a, V128 b) => new(a._value + b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 Subtract(V128 a, V128 b) => new(a._value - b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 Multiply(V128 a, V128 b) => new(a._value * b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 Divide(V128 a, V128 b) => new(a._value / b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 Fma(V128 a, V128 b, V128 c) => new(Vector128.MultiplyAddEstimate(a._value, b._value, c._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 Min(V128 a, V128 b) => new(Vector128.MinNative(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 Max(V128 a, V128 b) => new(Vector128.MaxNative(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(V128 a) => Vector128.Sum(a._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxAcross(V128 a)
    {
        var m = Vector128.MaxNative(a._value, Vector128.Shuffle(a._value, Vector128.Create(2, 3, 0, 1)));
        return Vector128.MaxNative(m, Vector128.Shuffle(m, Vector128.Create(1, 0, 3, 2))).ToScalar();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static V128 Wrap(Vector128<float> value) => new(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 ZeroBelow(V128 value, V128 x, V128 limit) => new(Vector128.AndNot(value._value, Vector128.LessThan(x._value, limit._value)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 Pow2(V128 t) => new(((Vector128.AsInt32(t._value) << 23) + Vector128.Create(0x3F800000)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 LowBf16(V128 bits) => new((bits._value.AsUInt32() << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 HighBf16(V128 bits) => new((bits._value.AsUInt32() & Vector128.Create(0xFFFF0000u)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 LowF16(V128 bits) => HighF16(new((bits._value.AsUInt32() << 16).AsSingle()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 HighF16(V128 bits)
    {
        // The exponent is rebased by a multiplication, which also makes subnormals right.
        var u = bits._value.AsUInt32();
        var magnitude = ((u & Vector128.Create(0x7FFF0000u)) >> 3).AsSingle() * Vector128.Create(5.192296858534828e33f);
        return new((magnitude.AsUInt32() | (u & Vector128.Create(0x80000000u))).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 LoadBf16(ushort* source) => new((Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)source).AsUInt16()) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V128 LoadF16(ushort* source)
    {
        var u = Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)source).AsUInt16()) << 16;
        var magnitude = (u & Vector128.Create(0x7FFF0000u)) >> 3;
        var rebased = (magnitude.AsSingle() * Vector128.Create(5.192296858534828e33f)).AsUInt32();
        var special = Vector128.GreaterThanOrEqual(magnitude, Vector128.Create(0x0F800000u)) & Vector128.Create(0x7F800000u);
        return new((rebased | special | (u & Vector128.Create(0x80000000u))).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(byte* address)
    {
        if (Sse.IsSupported) Sse.Prefetch0(address);
    }
}
