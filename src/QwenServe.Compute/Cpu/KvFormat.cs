using System.Runtime.CompilerServices;

namespace QwenServe.Compute.Cpu;

/// <summary>How a vector of neighbouring elements of the KV cache is read as fp32.</summary>
internal unsafe interface IKvFormat
{
    /// <summary>Bytes of an element.</summary>
    static abstract int Size { get; }

    static abstract V Load<V>(byte* source) where V : unmanaged, ISimd<V>;
}

internal readonly unsafe struct F32Kv : IKvFormat
{
    public static int Size => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<V>(byte* source) where V : unmanaged, ISimd<V> => V.Load((float*)source);
}

internal readonly unsafe struct Bf16Kv : IKvFormat
{
    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<V>(byte* source) where V : unmanaged, ISimd<V> => V.LoadBf16((ushort*)source);
}

internal readonly unsafe struct F16Kv : IKvFormat
{
    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<V>(byte* source) where V : unmanaged, ISimd<V> => V.LoadF16((ushort*)source);
}
