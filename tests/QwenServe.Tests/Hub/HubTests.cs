using System.Text;
using QwenServe.Hosting;
using QwenServe.Hub;

namespace QwenServe.Tests.Hub;

public sealed class HubTests : IDisposable
{
    private readonly string _home = Directory.CreateTempSubdirectory("qwenserve-hub-").FullName;
    private readonly List<string> _reports = [];

    public void Dispose() => Directory.Delete(_home, recursive: true);

    [Fact]
    public async Task Downloads_what_is_needed_into_the_shared_cache_layout()
    {
        await using var hub = await StartAsync();
        string folder = await FetchAsync(hub);
        string root = Path.Combine(_home, "hub", "models--org--name");
        Assert.Equal(Path.Combine(root, "snapshots", FakeHub.Commit), folder);
        Assert.Equal(FakeHub.Commit, File.ReadAllText(Path.Combine(root, "refs", "main")));
        foreach (string name in new[] { "config.json", "tokenizer.json", "model.safetensors" })
        {
            Assert.Equal(hub.Files[name], File.ReadAllBytes(Path.Combine(folder, name)));
            Assert.StartsWith("../../blobs/", new FileInfo(Path.Combine(folder, name)).LinkTarget, StringComparison.Ordinal);
        }
        Assert.False(File.Exists(Path.Combine(folder, "pytorch_model.bin")));
        Assert.False(File.Exists(Path.Combine(folder, "README.md")));
        Assert.Empty(Directory.GetFiles(Path.Combine(root, "blobs"), "*.incomplete"));
        Assert.Contains(_reports, r => r.StartsWith("downloading org/name", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Takes_the_shards_that_an_index_names()
    {
        await using var hub = await StartAsync();
        hub.Files.Remove("model.safetensors");
        hub.Files["model-00001-of-00002.safetensors"] = Bytes(1000);
        hub.Files["model-00002-of-00002.safetensors"] = Bytes(2000);
        hub.Files["model.safetensors.index.json"] = Encoding.UTF8.GetBytes("""{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}""");
        string folder = await FetchAsync(hub);
        Assert.Equal(2000, new FileInfo(Path.Combine(folder, "model-00002-of-00002.safetensors")).ResolveLinkTarget(true)!.Length());
        Assert.True(ModelFiles.IsComplete(folder));
        File.Delete(Path.Combine(folder, "model-00001-of-00002.safetensors"));
        Assert.False(ModelFiles.IsComplete(folder));
    }

    [Fact]
    public async Task The_token_goes_to_the_hub_and_not_to_where_it_redirects()
    {
        await using var hub = await StartAsync();
        hub.RequiredToken = "secret";
        await FetchAsync(hub, token: "secret");
        Assert.Contains(hub.Log, l => l.StartsWith("CONTENT model.safetensors", StringComparison.Ordinal) && l.EndsWith("auth=", StringComparison.Ordinal));
        Assert.Contains(hub.Log, l => l.StartsWith("HEAD /org/name/resolve", StringComparison.Ordinal) && l.EndsWith("auth=Bearer secret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Goes_on_where_a_cut_connection_left_off()
    {
        await using var hub = await StartAsync();
        hub.CutAfter = 30_000;
        string folder = await FetchAsync(hub);
        Assert.Equal(hub.Files["model.safetensors"], File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
        Assert.Contains(hub.Log, l => l.Contains("CONTENT model.safetensors range=bytes=", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Goes_on_where_an_earlier_run_left_off()
    {
        await using var hub = await StartAsync();
        byte[] bytes = hub.Files["model.safetensors"];
        string blob = Path.Combine(_home, "hub", "models--org--name", "blobs", Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes)));
        Directory.CreateDirectory(Path.GetDirectoryName(blob)!);
        File.WriteAllBytes(blob + ".incomplete", bytes[..70_000]);
        string folder = await FetchAsync(hub);
        Assert.Equal(bytes, File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
        Assert.Contains(hub.Log, l => l.StartsWith("CONTENT model.safetensors range=bytes=70000-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Starts_anew_when_what_was_left_is_damaged_or_ranges_are_ignored()
    {
        await using var hub = await StartAsync();
        hub.NoRanges = true;
        byte[] bytes = hub.Files["model.safetensors"];
        string blob = Path.Combine(_home, "hub", "models--org--name", "blobs", Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes)));
        Directory.CreateDirectory(Path.GetDirectoryName(blob)!);
        File.WriteAllBytes(blob + ".incomplete", new byte[bytes.Length]);
        string folder = await FetchAsync(hub);
        Assert.Equal(bytes, File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
    }

    [Fact]
    public async Task Content_that_is_not_what_the_hub_promised_is_refused()
    {
        await using var hub = await StartAsync();
        hub.Corrupt = true;
        var error = await Assert.ThrowsAsync<StartupException>(() => FetchAsync(hub));
        Assert.Contains("checksum", error.Message, StringComparison.Ordinal);
        string root = Path.Combine(_home, "hub", "models--org--name");
        Assert.DoesNotContain(Directory.GetFiles(Path.Combine(root, "blobs")), f => !f.EndsWith(".incomplete", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(503)]
    public async Task What_may_pass_is_tried_again(int status)
    {
        await using var hub = await StartAsync();
        for (int i = 0; i < 3; i++) hub.Refusals.Enqueue(status);
        Assert.True(ModelFiles.IsComplete(await FetchAsync(hub)));
    }

    [Fact]
    public async Task A_hub_that_stays_down_is_one_line_in_the_end()
    {
        await using var hub = await StartAsync();
        for (int i = 0; i < 100; i++) hub.Refusals.Enqueue(503);
        var error = await Assert.ThrowsAsync<StartupException>(() => FetchAsync(hub));
        Assert.Contains("answered 503 (5 tries)", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public async Task A_missing_token_repository_or_revision_is_told_apart()
    {
        await using var hub = await StartAsync();
        hub.RequiredToken = "secret";
        Assert.Contains("HF_TOKEN", (await Assert.ThrowsAsync<StartupException>(() => FetchAsync(hub))).Message, StringComparison.Ordinal);
        hub.RequiredToken = null;
        Assert.Contains("no such revision", (await Assert.ThrowsAsync<StartupException>(() => FetchAsync(hub, revision: "v9"))).Message, StringComparison.Ordinal);
        var unknown = await Assert.ThrowsAsync<StartupException>(() => HuggingFaceHub.FetchAsync(Options(hub), "org/other", null, Progress(), default));
        Assert.Contains("org/other: not found", unknown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_repository_without_safetensors_is_told_what_it_has()
    {
        await using var hub = await StartAsync();
        hub.Files.Remove("model.safetensors");
        var error = await Assert.ThrowsAsync<StartupException>(() => FetchAsync(hub));
        Assert.Contains("it has PyTorch .bin weights", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Offline_serves_from_the_cache_and_asks_nothing()
    {
        var hub = await StartAsync();
        string folder = await FetchAsync(hub);
        var options = Options(hub) with { Offline = true };
        await hub.DisposeAsync();
        Assert.Equal(folder, await HuggingFaceHub.FetchAsync(options, "org/name", null, Progress(), default));
        var error = await Assert.ThrowsAsync<StartupException>(() => HuggingFaceHub.FetchAsync(options, "org/other", null, Progress(), default));
        Assert.Contains("HF_HUB_OFFLINE", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_whole_model_in_the_cache_is_served_when_the_hub_is_unreachable()
    {
        var hub = await StartAsync();
        string folder = await FetchAsync(hub);
        var options = Options(hub);
        await hub.DisposeAsync();
        Assert.Equal(folder, await HuggingFaceHub.FetchAsync(options, "org/name", null, Progress(), default));
        Assert.Contains(_reports, r => r.Contains("from the cache", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_second_time_nothing_is_downloaded()
    {
        await using var hub = await StartAsync();
        await FetchAsync(hub);
        hub.Log.Clear();
        await FetchAsync(hub);
        Assert.DoesNotContain(hub.Log, l => l.StartsWith("CONTENT", StringComparison.Ordinal));
        hub.Log.Clear();
        await FetchAsync(hub, revision: FakeHub.Commit);
        Assert.Empty(hub.Log);
    }

    [Fact]
    public async Task Two_downloads_at_once_do_not_disturb_each_other()
    {
        await using var hub = await StartAsync();
        string[] folders = await Task.WhenAll(FetchAsync(hub), FetchAsync(hub));
        Assert.Equal(folders[0], folders[1]);
        Assert.Equal(hub.Files["model.safetensors"], File.ReadAllBytes(Path.Combine(folders[0], "model.safetensors")));
    }

    [Fact]
    public async Task ModelScope_is_spoken_too()
    {
        await using var hub = await StartAsync();
        hub.CutAfter = 30_000;
        var options = new HubOptions { Endpoint = hub.Address, Cache = Path.Combine(_home, "ms"), Backoff = TimeSpan.FromMilliseconds(1) };
        string folder = await ModelScopeHub.FetchAsync(options, "org/na.me", null, Progress(), default);
        Assert.Equal(Path.Combine(_home, "ms", "models", "org", "na___me"), folder);
        Assert.Equal(hub.Files["model.safetensors"], File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
        hub.Log.Clear();
        await ModelScopeHub.FetchAsync(options, "org/na.me", null, Progress(), default);
        Assert.DoesNotContain(hub.Log, l => l.StartsWith("CONTENT", StringComparison.Ordinal));
    }

    [Fact]
    public void The_environment_of_huggingface_hub_is_honoured()
    {
        File.WriteAllText(Path.Combine(_home, "token"), "from-file\n");
        var environment = new Dictionary<string, string?> { ["HF_HOME"] = _home, ["HF_ENDPOINT"] = "https://mirror.example/hf/" };
        var options = HubOptions.HuggingFace(environment.GetValueOrDefault);
        Assert.Equal(Path.Combine(_home, "hub"), options.Cache);
        Assert.Equal("from-file", options.Token);
        Assert.Equal("https://mirror.example/hf", options.Endpoint.ToString());
        environment["HF_TOKEN"] = "from-variable";
        environment["HF_HUB_CACHE"] = "/elsewhere";
        environment["HF_HUB_OFFLINE"] = "1";
        options = HubOptions.HuggingFace(environment.GetValueOrDefault);
        Assert.Equal("from-variable", options.Token);
        Assert.Equal("/elsewhere", options.Cache);
        Assert.True(options.Offline);
    }

    private static async Task<FakeHub> StartAsync()
    {
        var hub = await FakeHub.StartAsync();
        hub.Files["config.json"] = "{}"u8.ToArray();
        hub.Files["tokenizer.json"] = Encoding.UTF8.GetBytes("{\"model\": {}}");
        hub.Files["README.md"] = "# not needed"u8.ToArray();
        hub.Files["pytorch_model.bin"] = Bytes(10);
        hub.Files["model.safetensors"] = Bytes(100_000);
        return hub;
    }

    private HubOptions Options(FakeHub hub, string? token = null) => new()
    {
        Endpoint = hub.Address,
        Token = token,
        Cache = Path.Combine(_home, "hub"),
        Backoff = TimeSpan.FromMilliseconds(1),
    };

    private DownloadProgress Progress() => new((activity, _, _) =>
    {
        lock (_reports) _reports.Add(activity);
    });

    private Task<string> FetchAsync(FakeHub hub, string? revision = null, string? token = null)
        => HuggingFaceHub.FetchAsync(Options(hub, token), "org/name", revision, Progress(), default);

    private static byte[] Bytes(int count)
    {
        byte[] bytes = new byte[count];
        new Random(count).NextBytes(bytes);
        return bytes;
    }
}

internal static class FileSystemInfoExtensions
{
    public static long Length(this FileSystemInfo file) => new FileInfo(file.FullName).Length;
}
