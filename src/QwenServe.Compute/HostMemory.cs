using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace QwenServe.Compute;

/// <summary>
/// Bytes outside the managed heap: a file mapped for reading, or memory of our own. Offsets and lengths are 64-bit, because
/// one tensor of a 72B checkpoint is larger than a span can be.
/// </summary>
public sealed unsafe class HostMemory : IDisposable
{
    private readonly MemoryMappedFile? _file;
    private readonly MemoryMappedViewAccessor? _view;
    private byte* _pointer;

    private HostMemory(byte* pointer, long length, MemoryMappedFile? file, MemoryMappedViewAccessor? view)
    {
        _pointer = pointer;
        Length = length;
        _file = file;
        _view = view;
    }

    /// <summary>Length in bytes.</summary>
    public long Length { get; }

    internal byte* Pointer => _pointer;

    /// <summary>Maps a whole file for reading.</summary>
    /// <exception cref="IOException">The file cannot be opened or is empty.</exception>
    public static HostMemory MapFile(string path)
    {
        // FileInfo would give the length of a symbolic link, and hub caches are made of links.
        long length;
        using (var handle = File.OpenHandle(path)) length = RandomAccess.GetLength(handle);
        if (length == 0) throw new IOException($"{path}: the file is empty");
        var file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        var view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        byte* pointer = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
        return new HostMemory(pointer + view.PointerOffset, length, file, view);
    }

    /// <summary>Uninitialised memory, aligned to 64 bytes.</summary>
    public static HostMemory Allocate(long length)
        => new((byte*)NativeMemory.AlignedAlloc((nuint)length, 64), length, null, null);

    /// <summary>A copy of managed data, for tests and small tables.</summary>
    public static HostMemory CopyOf<T>(ReadOnlySpan<T> values) where T : unmanaged
    {
        var bytes = MemoryMarshal.AsBytes(values);
        var memory = Allocate(Math.Max(bytes.Length, 1));
        bytes.CopyTo(new Span<byte>(memory._pointer, bytes.Length));
        return memory;
    }

    /// <summary>A window of at most 2 GiB.</summary>
    public ReadOnlySpan<byte> Slice(long offset, int length)
    {
        if (offset < 0 || length < 0 || offset > Length - length)
            throw new ArgumentOutOfRangeException(nameof(offset), $"bytes {offset}..{offset + length} of {Length}");
        return new ReadOnlySpan<byte>(_pointer + offset, length);
    }

    /// <summary>Gives mapped pages back to the system once their content has been copied elsewhere. Does nothing for memory of our own.</summary>
    public void Discard(long offset, long length)
    {
        if (_view is null || !OperatingSystem.IsLinux()) return;
        long page = Environment.SystemPageSize;
        long start = ((long)_pointer + offset + page - 1) / page * page;
        long end = ((long)_pointer + offset + length) / page * page;
        if (end > start) _ = Madvise((void*)start, (nuint)(end - start), AdviceDontNeed);
    }

    public void Dispose()
    {
        if (_pointer is null) return;
        if (_view is null) NativeMemory.AlignedFree(_pointer);
        else
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _file!.Dispose();
        }
        _pointer = null;
        GC.SuppressFinalize(this);
    }

    ~HostMemory() => Dispose();

    private const int AdviceDontNeed = 4;

    [DllImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Madvise(void* address, nuint length, int advice);
}

/// <summary>A vector or row-major matrix as it lies in a checkpoint; nothing is copied. A vector has one row.</summary>
/// <param name="Name">The tensor's name, for errors.</param>
/// <param name="Type">How elements are stored; they may be unaligned.</param>
/// <param name="Rows">Output features of a linear layer, entries of an embedding, 1 for a vector.</param>
/// <param name="Columns">Input features.</param>
/// <param name="Memory">Where the bytes are.</param>
/// <param name="Offset">First byte within <paramref name="Memory"/>.</param>
public readonly record struct HostTensor(string Name, DType Type, long Rows, long Columns, HostMemory Memory, long Offset)
{
    public long Bytes => Rows * Columns * Type.Size();

    internal unsafe byte* Pointer => Memory.Pointer + Offset;

    /// <summary>A copy in fp32, row after row.</summary>
    public unsafe float[] ToFloats()
    {
        var values = new float[checked((int)(Rows * Columns))];
        for (int i = 0; i < values.Length; i++) values[i] = Cpu.PackedMatrix.ReadElement(Pointer, Type, i);
        return values;
    }
}
