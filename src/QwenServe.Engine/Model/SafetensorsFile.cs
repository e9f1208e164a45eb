using System.Buffers.Binary;
using System.Text.Json;
using QwenServe.Compute;

namespace QwenServe.Engine.Model;

/// <summary>One tensor of a safetensors file: where it lies and what shape it has, outermost dimension first.</summary>
public sealed record SafetensorsEntry(string Name, DType Type, long[] Shape, long Offset, long Bytes, SafetensorsFile File);

/// <summary>
/// A memory-mapped safetensors file: 8 bytes of header length, a JSON header, then the tensors' bytes. Nothing in the file is trusted: the
/// header's size, each tensor's type, shape and range, and that ranges neither overlap nor leave holes are checked before any byte is used.
/// Source: the format's description in huggingface/safetensors.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    /// <summary>The reference reader's limit.</summary>
    private const long MaxHeaderBytes = 100_000_000;

    private readonly Dictionary<string, SafetensorsEntry> _entries = new(StringComparer.Ordinal);

    private SafetensorsFile(string path, HostMemory memory) => (Path, Memory) = (path, memory);

    public string Path { get; }

    public HostMemory Memory { get; }

    public IReadOnlyDictionary<string, SafetensorsEntry> Entries => _entries;

    /// <exception cref="CheckpointException">The file cannot be read or breaks the format.</exception>
    public static SafetensorsFile Open(string path)
    {
        HostMemory memory;
        try
        {
            memory = HostMemory.MapFile(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path}: cannot be read ({e.Message})", e);
        }
        var file = new SafetensorsFile(path, memory);
        try
        {
            file.ReadHeader();
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public void Dispose() => Memory.Dispose();

    private void ReadHeader()
    {
        if (Memory.Length < 8) throw Broken("is shorter than a safetensors header");
        ulong headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(Memory.Slice(0, 8));
        if (headerBytes > MaxHeaderBytes) throw Broken($"claims a header of {headerBytes} bytes; the limit is {MaxHeaderBytes}");
        if ((long)headerBytes > Memory.Length - 8) throw Broken($"claims a header of {headerBytes} bytes and has {Memory.Length - 8}: the file is cut off or not safetensors");

        long data = 8 + (long)headerBytes;
        try
        {
            var reader = new Utf8JsonReader(Memory.Slice(8, (int)headerBytes), new JsonReaderOptions { MaxDepth = 8 });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) throw Broken("has a header that is not a JSON object");
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                string name = reader.GetString()!;
                reader.Read();
                if (name == "__metadata__") reader.Skip();
                else if (!_entries.TryAdd(name, ReadEntry(ref reader, name, data))) throw Broken($"lists tensor '{name}' twice");
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new CheckpointException($"{Path}: has a header that is not valid JSON ({e.Message})", e);
        }
        CheckRanges(data);
    }

    private SafetensorsEntry ReadEntry(ref Utf8JsonReader reader, string name, long data)
    {
        string? type = null;
        long[]? shape = null, range = null;
        if (reader.TokenType != JsonTokenType.StartObject) throw Broken($"describes tensor '{name}' by something other than an object");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string field = reader.GetString()!;
            reader.Read();
            if (field == "dtype") type = reader.GetString();
            else if (field == "shape") shape = ReadIntegers(ref reader, name);
            else if (field == "data_offsets") range = ReadIntegers(ref reader, name);
            else reader.Skip();
        }
        if (type is null || shape is null || range is not { Length: 2 }) throw Broken($"describes tensor '{name}' without dtype, shape or data_offsets");

        var stored = type switch
        {
            "BF16" => DType.BF16,
            "F16" => DType.F16,
            "F32" => DType.F32,
            _ => throw Broken($"stores tensor '{name}' as {type}; served are BF16, F16 and F32"),
        };
        long elements = 1;
        foreach (long dimension in shape)
        {
            if (dimension < 0 || (dimension != 0 && elements > long.MaxValue / 8 / dimension)) throw Broken($"gives tensor '{name}' the shape [{string.Join(", ", shape)}]");
            elements *= dimension;
        }
        var (begin, end) = (range[0], range[1]);
        if (begin < 0 || end < begin || end > Memory.Length - data)
            throw Broken($"places tensor '{name}' at bytes {begin}..{end} of {Memory.Length - data}: the file is cut off or damaged");
        if (end - begin != elements * stored.Size())
            throw Broken($"gives tensor '{name}' {end - begin} bytes; its shape [{string.Join(", ", shape)}] of {type} takes {elements * stored.Size()}");
        return new SafetensorsEntry(name, stored, shape, data + begin, end - begin, this);
    }

    private long[] ReadIntegers(ref Utf8JsonReader reader, string name)
    {
        if (reader.TokenType != JsonTokenType.StartArray) throw Broken($"gives tensor '{name}' a shape or range that is not a list");
        var values = new List<long>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray) values.Add(reader.GetInt64());
        return [.. values];
    }

    private void CheckRanges(long data)
    {
        long expected = data;
        SafetensorsEntry? previous = null;
        foreach (var entry in _entries.Values.OrderBy(e => e.Offset).ThenBy(e => e.Bytes))
        {
            if (entry.Offset < expected) throw Broken($"lets tensors '{previous!.Name}' and '{entry.Name}' overlap");
            if (entry.Offset > expected) throw Broken($"leaves {entry.Offset - expected} bytes before tensor '{entry.Name}' that belong to none");
            expected = entry.Offset + entry.Bytes;
            previous = entry;
        }
        if (expected != Memory.Length) throw Broken($"has {Memory.Length - expected} bytes after its last tensor");
    }

    private CheckpointException Broken(string what) => new($"{Path}: {what}");
}
