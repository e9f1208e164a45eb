using System.Runtime.InteropServices;

namespace QwenServe.Compute.Cpu;

/// <summary>
/// Zeroed memory outside the managed heap; pages are taken when first written. What is streamed by the gigabyte asks the system for
/// huge pages; what is touched here and there does not, because it would take 2 MiB for each place.
/// </summary>
internal sealed unsafe class NativeBuffer : IDisposable
{
    private const nuint HugePage = 2 << 20;
    private const int AdviceHugePage = 14;
    private void* _allocation;

    public NativeBuffer(long bytes, bool streamed = false)
    {
        Bytes = bytes;
        nuint alignment = streamed && bytes >= (long)HugePage ? HugePage : 64;
        _allocation = NativeMemory.AllocZeroed((nuint)Math.Max(bytes, 1) + alignment);
        Pointer = (byte*)(((nuint)_allocation + alignment - 1) / alignment * alignment);
        if (alignment == HugePage && OperatingSystem.IsLinux()) _ = Madvise(Pointer, (nuint)bytes, AdviceHugePage);
    }

    /// <summary>Aligned to 64 bytes.</summary>
    public byte* Pointer { get; private set; }

    public float* Floats => (float*)Pointer;

    public long Bytes { get; }

    public static NativeBuffer OfFloats(long count) => new(count * sizeof(float));

    public void Dispose()
    {
        NativeMemory.Free(_allocation);
        _allocation = null;
        Pointer = null;
        GC.SuppressFinalize(this);
    }

    ~NativeBuffer() => NativeMemory.Free(_allocation);

    [DllImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Madvise(void* address, nuint length, int advice);
}
