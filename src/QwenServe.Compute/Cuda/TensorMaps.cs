using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Compute.Cuda;

/// <summary>Descriptors for the bulk copy engine, all of bf16 with rows swizzled by 128 bytes.</summary>
internal static unsafe class TensorMaps
{
    /// <param name="address">First element.</param>
    /// <param name="dimensions">Elements along each dimension, the contiguous one first.</param>
    /// <param name="strides">Bytes between neighbours along each dimension but the first.</param>
    /// <param name="box">What one copy brings; 64 elements along the first dimension.</param>
    public static CUtensorMap Create(ulong address, ReadOnlySpan<ulong> dimensions, ReadOnlySpan<ulong> strides, ReadOnlySpan<uint> box)
    {
        byte* memory = stackalloc byte[sizeof(CUtensorMap) + 64];
        var map = (CUtensorMap*)(((nint)memory + 63) & ~63);
        uint* ones = stackalloc uint[5];
        for (int i = 0; i < 5; i++) ones[i] = 1;
        fixed (ulong* sizes = dimensions, steps = strides)
        fixed (uint* part = box)
            CudaDriver.cuTensorMapEncodeTiled(map, CUtensorMapDataType.CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, (uint)dimensions.Length, address, sizes, steps, part, ones,
                0, CUtensorMapSwizzle.CU_TENSOR_MAP_SWIZZLE_128B, CUtensorMapL2promotion.CU_TENSOR_MAP_L2_PROMOTION_L2_256B, 0)
                .Check($"{nameof(CudaDriver.cuTensorMapEncodeTiled)} [{string.Join(", ", dimensions.ToArray())}]");
        return *map;
    }

    /// <summary>Rows of columns elements, in boxes of 64 by boxRows.</summary>
    public static CUtensorMap Rows(ulong address, long rows, int columns, int boxRows)
        => Create(address, [(ulong)columns, (ulong)rows], [2ul * (ulong)columns], [64, (uint)boxRows]);
}
