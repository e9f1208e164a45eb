using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Compute.Cuda;

/// <summary>Owns what a device allocates: memory of the card and pinned memory of the host, all given back together.</summary>
internal sealed unsafe class DeviceMemory : IDisposable
{
    private readonly HashSet<ulong> _device = [];
    private readonly List<nint> _pinned = [];

    /// <summary>Allocates on the card, on a 256-byte boundary.</summary>
    /// <exception cref="CudaException">There is not enough; the message says how much is free and what was wanted.</exception>
    public ulong Allocate(long bytes, string what)
    {
        var status = CudaDriver.cuMemAlloc_v2(out ulong pointer, (nuint)Math.Max(bytes, 256));
        if (status == CUresult.CUDA_ERROR_OUT_OF_MEMORY)
        {
            CudaDriver.cuMemGetInfo_v2(out nuint free, out nuint total).Check(nameof(CudaDriver.cuMemGetInfo_v2));
            throw new CudaException($"{what} takes {Gib(bytes)}, but only {Gib((long)free)} of {Gib((long)total)} are free on the GPU; " +
                "a smaller model, fewer tokens a step or a lower --gpu-memory-utilization would fit");
        }
        status.Check(nameof(CudaDriver.cuMemAlloc_v2));
        _device.Add(pointer);
        return pointer;
    }

    public void Free(ulong pointer)
    {
        if (pointer != 0 && _device.Remove(pointer)) _ = CudaDriver.cuMemFree_v2(pointer);
    }

    /// <summary>Page-locked memory of the host.</summary>
    public byte* AllocatePinned(long bytes)
    {
        CudaDriver.cuMemHostAlloc(out void* pointer, (nuint)Math.Max(bytes, 64), 0).Check(nameof(CudaDriver.cuMemHostAlloc));
        _pinned.Add((nint)pointer);
        return (byte*)pointer;
    }

    public void FreePinned(byte* pointer)
    {
        if (_pinned.Remove((nint)pointer)) _ = CudaDriver.cuMemFreeHost(pointer);
    }

    public void Dispose()
    {
        foreach (ulong pointer in _device) _ = CudaDriver.cuMemFree_v2(pointer);
        foreach (nint pointer in _pinned) _ = CudaDriver.cuMemFreeHost((void*)pointer);
        _device.Clear();
        _pinned.Clear();
    }

    private static string Gib(long bytes) => $"{bytes / (double)(1L << 30):0.00} GiB";
}
