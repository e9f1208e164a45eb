using QwenServe.Engine.Model;

namespace QwenServe.Tests.Engine.Model;

public sealed class CheckpointTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void A_missing_directory_is_named()
        => Assert.Contains("/no/such/model", Message("/no/such/model"), StringComparison.Ordinal);

    [Fact]
    public void A_directory_without_weights_says_what_was_expected()
    {
        File.WriteAllText(_directory.File("config.json"), SafetensorsWriter.TinyConfig);
        File.WriteAllText(_directory.File("model.gguf"), "");
        Assert.Contains("GGUF", Message(_directory.Path), StringComparison.Ordinal);
    }

    [Fact]
    public void A_shard_that_the_index_names_and_nobody_downloaded_is_named()
    {
        File.WriteAllText(_directory.File("config.json"), SafetensorsWriter.TinyConfig);
        File.WriteAllText(_directory.File("model.safetensors.index.json"), """{"weight_map":{"a":"model-00001-of-00002.safetensors"}}""");
        Assert.Contains("model-00001-of-00002.safetensors: the shard is missing", Message(_directory.Path), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../../etc/passwd")]
    [InlineData("..")]
    [InlineData("a/b.safetensors")]
    public void An_index_cannot_point_out_of_the_directory(string shard)
    {
        File.WriteAllText(_directory.File("config.json"), SafetensorsWriter.TinyConfig);
        File.WriteAllText(_directory.File("model.safetensors.index.json"), "{\"weight_map\":{\"a\":\"" + shard + "\"}}");
        Assert.Contains("not a file name", Message(_directory.Path), StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_in_another_shard_than_the_index_says_is_an_error()
    {
        File.WriteAllText(_directory.File("config.json"), SafetensorsWriter.TinyConfig);
        SafetensorsWriter.Write(_directory.File("one.safetensors"), [("a", [2])]);
        SafetensorsWriter.Write(_directory.File("two.safetensors"), [("b", [2])]);
        File.WriteAllText(_directory.File("model.safetensors.index.json"), """{"weight_map":{"a":"two.safetensors","b":"one.safetensors"}}""");
        Assert.Contains("tensor 'a' is missing", Message(_directory.Path), StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_tensor_in_two_shards_is_an_error()
    {
        File.WriteAllText(_directory.File("config.json"), SafetensorsWriter.TinyConfig);
        SafetensorsWriter.Write(_directory.File("one.safetensors"), [("a", [2]), ("b", [1])]);
        SafetensorsWriter.Write(_directory.File("two.safetensors"), [("a", [2])]);
        File.WriteAllText(_directory.File("model.safetensors.index.json"), """{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}""");
        Assert.Contains("tensor 'a' is in one.safetensors too", Message(_directory.Path), StringComparison.Ordinal);
    }

    private static string Message(string directory) => Assert.Throws<CheckpointException>(() => Checkpoint.Open(directory)).Message;
}
