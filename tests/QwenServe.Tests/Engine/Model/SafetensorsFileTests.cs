using System.Text.Json.Nodes;
using QwenServe.Engine.Model;

namespace QwenServe.Tests.Engine.Model;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private string Path => _directory.File("model.safetensors");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Reads_names_shapes_and_ranges()
    {
        SafetensorsWriter.Write(Path, [("a", [2, 3]), ("b", [4]), ("empty", [0, 7])], h => h["__metadata__"] = new JsonObject { ["format"] = "pt" });
        using var file = SafetensorsFile.Open(Path);
        Assert.Equal(["a", "b", "empty"], file.Entries.Keys.Order(StringComparer.Ordinal));
        Assert.Equal([2L, 3L], file.Entries["a"].Shape);
        Assert.Equal(file.Entries["a"].Offset + 24, file.Entries["b"].Offset);
    }

    [Fact]
    public void A_header_padded_with_spaces_is_read()
    {
        SafetensorsWriter.WriteRaw(Path, """{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}      """, [1, 2]);
        using var file = SafetensorsFile.Open(Path);
        Assert.Equal(2, file.Entries["a"].Bytes);
    }

    public static TheoryData<string, Action<JsonObject>> Spoiled => new()
    {
        { "tensors 'a' and 'b' overlap", h => h["b"]!["data_offsets"] = new JsonArray(8, 24) },
        { "'b' at bytes 24..4294967336", h => h["b"]!["data_offsets"] = new JsonArray(24, 4294967336) },
        { "'b' at bytes -8..8", h => h["b"]!["data_offsets"] = new JsonArray(-8, 8) },
        { "'b' at bytes 40..24", h => h["b"]!["data_offsets"] = new JsonArray(40, 24) },
        { "gives tensor 'a' 24 bytes; its shape [2, 4]", h => h["a"]!["shape"] = new JsonArray(2, 4) },
        { "gives tensor 'a' the shape [-2, -3]", h => h["a"]!["shape"] = new JsonArray(-2, -3) },
        { "gives tensor 'a' the shape", h => h["a"]!["shape"] = new JsonArray(4294967296, 4294967296) },
        { "stores tensor 'a' as I64", h => h["a"]!["dtype"] = "I64" },
        { "describes tensor 'a' without", h => ((JsonObject)h["a"]!).Remove("shape") },
        { "something other than an object", h => h["a"] = 7 },
        { "not valid JSON", h => h["a"]!["shape"] = new JsonArray("two", 3) },
        { "not valid JSON", h => h["a"]!["shape"] = new JsonArray(1e30, 3) },
        { "16 bytes after its last tensor", h => h.Remove("b") },
        { "24 bytes before tensor 'b' that belong to none", h => h.Remove("a") },
    };

    [Theory]
    [MemberData(nameof(Spoiled))]
    public void A_hostile_header_is_refused_with_file_and_tensor(string message, Action<JsonObject> spoil)
    {
        SafetensorsWriter.Write(Path, [("a", [2, 3]), ("b", [4])], spoil);
        var error = Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(Path));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.StartsWith(Path, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(100_000_001L, "limit")]
    [InlineData(-1L, "limit")]
    [InlineData(5_000L, "cut off")]
    public void A_giant_header_is_refused_before_it_is_read(long claimed, string message)
    {
        SafetensorsWriter.WriteRaw(Path, "{}", [0, 0, 0, 0], claimed);
        Assert.Contains(message, Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(Path)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}")]
    [InlineData("{\"a\":{\"dtype\":\"F32\"")]
    public void A_header_that_is_not_one_object_of_distinct_tensors_is_refused(string header)
    {
        SafetensorsWriter.WriteRaw(Path, header, [0, 0, 0, 0]);
        Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(Path));
    }

    [Fact]
    public void Truncation_at_any_byte_is_an_error_and_never_a_crash()
    {
        SafetensorsWriter.Write(Path, [("a", [2, 3]), ("b", [4])]);
        byte[] whole = File.ReadAllBytes(Path);
        for (int length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(Path, whole[..length]);
            Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(Path));
        }
    }

    [Fact]
    public void Random_damage_to_the_header_is_an_error_or_harmless_and_never_a_crash()
    {
        SafetensorsWriter.Write(Path, [("a", [2, 3]), ("b", [4])]);
        byte[] whole = File.ReadAllBytes(Path);
        var random = new Random(7);
        for (int i = 0; i < 500; i++)
        {
            byte[] damaged = [.. whole];
            for (int n = random.Next(1, 4); n > 0; n--) damaged[random.Next(whole.Length - 40)] = (byte)random.Next(256);
            File.WriteAllBytes(Path, damaged);
            try
            {
                using var file = SafetensorsFile.Open(Path);
                foreach (var entry in file.Entries.Values) Assert.True(entry.Offset + entry.Bytes <= whole.Length);
            }
            catch (CheckpointException)
            {
            }
        }
    }
}
