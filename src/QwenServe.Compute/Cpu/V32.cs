using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace QwenServe.Compute.Cpu;

/// <summary>One float: the portable fallback, and the arithmetic of single numbers that must agree with the vectors.</summary>
internal readonly unsafe struct V32 : ISimd<V32>
{
    private readonly float _value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private V32(float value) => _value = value;

    public static int Count => 1;

    public static int TileRows => 4;

    public float Value => _value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 Create(float value) => new(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 Load(float* source) => new(*source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(V32 value, float* destination) => *destination = value._value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 Add(V32 a, V32 b) => new(a._value + b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 Subtract(V32 a, V32 b) => new(a._value - b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 Multiply(V32 a, V32 b) => new(a._value * b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 Divide(V32 a, V32 b) => new(a._value / b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 Fma(V32 a, V32 b, V32 c)
        => new(System.Runtime.Intrinsics.X86.Fma.IsSupported || AdvSimd.IsSupported
            ? MathF.FusedMultiplyAdd(a._value, b._value, c._value)
            : a._value * b._value + c._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 Min(V32 a, V32 b) => new(a._value < b._value ? a._value : b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 Max(V32 a, V32 b) => new(a._value > b._value ? a._value : b._value);

    public static float Sum(V32 a) => a._value;

    public static float MaxAcross(V32 a) => a._value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 ZeroBelow(V32 value, V32 x, V32 limit) => new(x._value < limit._value ? 0f : value._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 Pow2(V32 t) => new(BitConverter.Int32BitsToSingle((BitConverter.SingleToInt32Bits(t._value) << 23) + 0x3F800000));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 LowBf16(V32 bits) => new(BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(bits._value) << 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 HighBf16(V32 bits)
        => new(BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(bits._value) & 0xFFFF0000u));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 LowF16(V32 bits) => new((float)BitConverter.UInt16BitsToHalf((ushort)BitConverter.SingleToUInt32Bits(bits._value)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 HighF16(V32 bits)
        => new((float)BitConverter.UInt16BitsToHalf((ushort)(BitConverter.SingleToUInt32Bits(bits._value) >> 16)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 LoadBf16(ushort* source) => new(BitConverter.UInt32BitsToSingle((uint)*source << 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V32 LoadF16(ushort* source) => new((float)BitConverter.UInt16BitsToHalf(*source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(byte* address)
    {
        if (Sse.IsSupported) Sse.Prefetch0(address);
    }
}
