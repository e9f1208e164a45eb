using System.Text.Json;
using QwenServe.Compute;

namespace QwenServe.Engine.Model;

/// <summary>
/// The tensors of a checkpoint directory: <c>model.safetensors</c>, or shards under <c>model.safetensors.index.json</c>. Tensors are taken
/// by name and expected shape; what is missing, misshapen or left over at the end is an error that names file and tensor.
/// </summary>
public sealed class Checkpoint : IDisposable
{
    private readonly Dictionary<string, SafetensorsEntry> _tensors = new(StringComparer.Ordinal);
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);
    private readonly List<SafetensorsFile> _files = [];

    private Checkpoint(string directory, QwenConfig config) => (Directory, Config) = (directory, config);

    public string Directory { get; }

    public QwenConfig Config { get; }

    /// <summary>Bytes of all tensors.</summary>
    public long Bytes => _tensors.Values.Sum(t => t.Bytes);

    /// <summary>Bytes of all tensors once each element is of the type given; null leaves them as they are.</summary>
    public long BytesAs(DType? type) => type is { } t ? _tensors.Values.Sum(e => e.Bytes / e.Type.Size() * t.Size()) : Bytes;

    /// <exception cref="CheckpointException">The directory is missing, a file is broken, or the model is not served.</exception>
    public static Checkpoint Open(string directory)
    {
        if (!System.IO.Directory.Exists(directory)) throw new CheckpointException($"{directory}: no such directory");
        var checkpoint = new Checkpoint(directory, QwenConfig.Load(directory));
        try
        {
            checkpoint.OpenFiles();
            return checkpoint;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Whether a tensor is there and of the shape asked for, without taking it.</summary>
    public bool Has(string name) => _tensors.ContainsKey(name);

    /// <summary>A tensor's shape; null when it is not there.</summary>
    public IReadOnlyList<long>? ShapeOf(string name) => _tensors.TryGetValue(name, out var entry) ? entry.Shape : null;

    /// <summary>A vector [n].</summary>
    public HostTensor Vector(string name, long length)
    {
        var entry = Take(name, [length]);
        return new HostTensor(name, entry.Type, 1, length, entry.File.Memory, entry.Offset);
    }

    /// <summary>A matrix [rows, columns].</summary>
    public HostTensor Matrix(string name, long rows, long columns)
    {
        var entry = Take(name, [rows, columns]);
        return new HostTensor(name, entry.Type, rows, columns, entry.File.Memory, entry.Offset);
    }

    /// <summary>The matrices [rows, columns] of a tensor [count, rows, columns].</summary>
    public HostTensor[] Matrices(string name, int count, long rows, long columns)
    {
        var entry = Take(name, [count, rows, columns]);
        long stride = rows * columns * entry.Type.Size();
        return [.. Enumerable.Range(0, count).Select(i => new HostTensor($"{name}[{i}]", entry.Type, rows, columns, entry.File.Memory, entry.Offset + i * stride))];
    }

    /// <summary>Marks a tensor that is known and not needed.</summary>
    public void Ignore(string name) => _taken.Add(name);

    /// <exception cref="CheckpointException">The files hold a tensor the model has no place for.</exception>
    public void RequireAllTaken()
    {
        var surplus = _tensors.Values.Where(t => !_taken.Contains(t.Name)
            // Written by old versions of transformers; the table is computed from the configuration.
            && !t.Name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal)).ToList();
        if (surplus.Count > 0)
            throw new CheckpointException($"{surplus[0].File.Path}: holds tensor '{surplus[0].Name}', which {Config.Architecture} has no place for"
                + (surplus.Count > 1 ? $" (and {surplus.Count - 1} more such)" : ""));
    }

    public void Dispose()
    {
        foreach (var file in _files) file.Dispose();
    }

    private SafetensorsEntry Take(string name, long[] shape)
    {
        if (!_tensors.TryGetValue(name, out var entry))
            throw new CheckpointException($"{(_files.Count == 1 ? _files[0].Path : Directory)}: tensor '{name}' is missing");
        if (!entry.Shape.AsSpan().SequenceEqual(shape))
            throw new CheckpointException($"{entry.File.Path}: tensor '{name}' has the shape [{string.Join(", ", entry.Shape)}]; config.json makes it [{string.Join(", ", shape)}]");
        _taken.Add(name);
        return entry;
    }

    private void OpenFiles()
    {
        string single = Path.Combine(Directory, "model.safetensors"), index = single + ".index.json";
        if (File.Exists(index))
        {
            var shards = ReadIndex(index);
            foreach (string shard in shards.Values.Distinct().Order(StringComparer.Ordinal)) Add(Path.Combine(Directory, shard));
            foreach (var (name, shard) in shards)
                if (!_tensors.TryGetValue(name, out var entry) || Path.GetFileName(entry.File.Path) != shard)
                    throw new CheckpointException($"{Path.Combine(Directory, shard)}: tensor '{name}' is missing; the index places it there");
        }
        else if (File.Exists(single)) Add(single);
        else throw new CheckpointException($"{Directory}: no model.safetensors there{OtherWeights(Directory)}");
    }

    /// <summary>What to add to an error about a directory that holds weights in another format; empty when it holds none.</summary>
    internal static string OtherWeights(string directory)
        => System.IO.Directory.EnumerateFiles(directory).Any(f => f.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) || f.EndsWith(".bin", StringComparison.OrdinalIgnoreCase))
            ? "; GGUF and .bin weights are not served, safetensors are"
            : "";

    private void Add(string path)
    {
        if (!File.Exists(path)) throw new CheckpointException($"{path}: the shard is missing; is the download complete?");
        var file = SafetensorsFile.Open(path);
        _files.Add(file);
        foreach (var entry in file.Entries.Values)
            if (!_tensors.TryAdd(entry.Name, entry))
                throw new CheckpointException($"{path}: tensor '{entry.Name}' is in {Path.GetFileName(_tensors[entry.Name].File.Path)} too");
    }

    private static Dictionary<string, string> ReadIndex(string path)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            if (!document.RootElement.TryGetProperty("weight_map", out var map) || map.ValueKind != JsonValueKind.Object)
                throw new CheckpointException($"{path}: no weight_map");
            var shards = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var property in map.EnumerateObject())
            {
                string? shard = property.Value.ValueKind == JsonValueKind.String ? property.Value.GetString() : null;
                // A shard is a file beside the index, never a path out of the directory.
                if (string.IsNullOrEmpty(shard) || Path.GetFileName(shard) != shard || shard is "." or "..")
                    throw new CheckpointException($"{path}: tensor '{property.Name}' is placed in '{property.Value}', which is not a file name");
                shards[property.Name] = shard;
            }
            return shards;
        }
        catch (JsonException e)
        {
            throw new CheckpointException($"{path}: not valid JSON ({e.Message})", e);
        }
    }
}
