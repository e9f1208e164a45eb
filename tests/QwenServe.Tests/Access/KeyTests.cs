using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using QwenServe.Access;
using QwenServe.Hosting;
using QwenServe.Settings;
using QwenServe.Tests.Api;

namespace QwenServe.Tests.Access;

/// <summary>Keys and what they may use, over HTTP.</summary>
public sealed class KeyTests : IDisposable
{
    private const string Chat = "/v1/chat/completions";

    private readonly TemporaryDirectory _folder = new();

    private string FilePath => Path.Combine(_folder.Path, "api-keys");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("/", true)]
    [InlineData("/livez", true)]
    [InlineData("/readyz", true)]
    [InlineData("/health", true)]
    [InlineData("/ping", true)]
    [InlineData("/metrics", true)]
    [InlineData("/version", false)]
    [InlineData("/openapi/v1.json", false)]
    [InlineData("/v1/models", false)]
    [InlineData("/tokenize", false)]
    [InlineData("/livez/", false)]
    [InlineData("/V1/models", false)]
    [InlineData("/nowhere", false)]
    public async Task Everything_but_probes_asks_for_a_key(string path, bool open)
    {
        await using var server = await StartAsync("sk-1 name=a");
        Assert.Equal(!open, (await server.GetAsync(path)).StatusCode == HttpStatusCode.Unauthorized);
        Assert.NotEqual(HttpStatusCode.Unauthorized, await StatusAsync(server, path, "sk-1"));
    }

    [Fact]
    public async Task Metrics_ask_for_a_key_where_a_setting_says_so()
    {
        await using var server = await StartAsync("sk-1", s => s with { Access = s.Access with { GuardMetrics = true } });
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.GetAsync("/metrics")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, "/metrics", "sk-1"));
    }

    [Fact]
    public async Task A_key_may_come_in_the_header_of_Anthropics_clients()
    {
        await using var server = await StartAsync("sk-1");
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, "/v1/models", "sk-1", "x-api-key"));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(server, "/v1/models", "sk-2", "x-api-key"));
    }

    [Fact]
    public async Task The_key_file_is_read_again_by_itself()
    {
        await using var server = await StartAsync("sk-old\nsk-stays");
        await File.WriteAllTextAsync(FilePath, "sk-new\nsk-stays");
        await UntilAsync(async () => await StatusAsync(server, "/v1/models", "sk-new") == HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(server, "/v1/models", "sk-old"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, "/v1/models", "sk-stays"));
    }

    [Fact]
    public async Task A_broken_or_missing_key_file_leaves_the_keys_as_they_are()
    {
        await using var server = await StartAsync("sk-1");
        var ring = server.App.Services.GetRequiredService<ApiKeyRing>();
        foreach (string text in new[] { "", "sk-2 rpm=x" })
        {
            await File.WriteAllTextAsync(FilePath, text);
            ring.Poll();
            Assert.NotNull(ring.Find("sk-1"));
            Assert.Null(ring.Find("sk-2"));
        }
        File.Delete(FilePath);
        ring.Poll();
        Assert.NotNull(ring.Find("sk-1"));
        await File.WriteAllTextAsync(FilePath, "# nobody");
        await UntilAsync(() => Task.FromResult(ring.Find("sk-1") is null));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(server, "/v1/models", "sk-1"));
    }

    [Fact]
    public async Task A_volume_whose_links_are_swapped_is_noticed()
    {
        // As Kubernetes mounts a secret: api-keys -> ..data/api-keys, ..data -> a folder that is replaced by another.
        foreach (string version in new[] { "1", "2" })
        {
            Directory.CreateDirectory(Path.Combine(_folder.Path, "..v" + version));
            await File.WriteAllTextAsync(Path.Combine(_folder.Path, "..v" + version, "api-keys"), "sk-" + version);
        }
        Directory.CreateSymbolicLink(Path.Combine(_folder.Path, "..data"), "..v1");
        File.CreateSymbolicLink(FilePath, "..data/api-keys");
        await using var server = await StartAsync(null);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, "/v1/models", "sk-1"));
        Directory.CreateSymbolicLink(Path.Combine(_folder.Path, "..next"), "..v2");
        using (var move = System.Diagnostics.Process.Start("mv", ["-T", Path.Combine(_folder.Path, "..next"), Path.Combine(_folder.Path, "..data")])) await move.WaitForExitAsync();
        Directory.Delete(Path.Combine(_folder.Path, "..v1"), recursive: true);
        await UntilAsync(async () => await StatusAsync(server, "/v1/models", "sk-2") == HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(server, "/v1/models", "sk-1"));
    }

    [Theory]
    [InlineData("sk-1 rpm=x", "line 1: rpm must be")]
    [InlineData(null, "Could not find file")]
    public async Task A_server_does_not_start_with_a_key_file_that_cannot_be_used(string? text, string message)
    {
        var error = await Assert.ThrowsAsync<StartupException>(() => StartAsync(text));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Equal(2, error.ExitCode);
    }

    [Fact]
    public async Task Requests_over_the_limit_of_their_key_are_429_and_other_keys_are_not()
    {
        await using var server = await StartAsync("sk-1 name=slow rpm=1\nsk-2 name=slow\nsk-3");
        using var first = await PostAsync(server, "sk-1");
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        Assert.Equal(("1", "0"), (Header(first, "x-ratelimit-limit-requests"), Header(first, "x-ratelimit-remaining-requests")));
        Assert.Matches(@"^(1m0s|\d\d(\.\d+)?s)$", Header(first, "x-ratelimit-reset-requests"));
        // The other key of the same name shares its limits.
        using var second = await PostAsync(server, "sk-2");
        Assert.Equal(HttpStatusCode.TooManyRequests, second.StatusCode);
        Assert.InRange(second.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        var error = (await TestServer.JsonAsync(second)).GetProperty("error");
        Assert.Equal(("rate_limit_exceeded", JsonValueKind.Null), (error.GetProperty("code").GetString(), error.GetProperty("param").ValueKind));
        Assert.StartsWith("Rate limit reached for slow on requests per minute (RPM): limit 1. Please try again in ", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        using var other = await PostAsync(server, "sk-3");
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);
        Assert.False(other.Headers.Contains("x-ratelimit-limit-requests"));
        string metrics = await (await server.GetAsync("/metrics")).Content.ReadAsStringAsync();
        Assert.Contains("""qwenserve_requests_rejected_total{reason="requests_per_minute",tenant="slow"} 1""", metrics, StringComparison.Ordinal);
        Assert.Contains("""qwenserve_tenant_requests_total{tenant="line-3"} 1""", metrics, StringComparison.Ordinal);
        Assert.DoesNotContain("sk-", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tokens_count_prompt_and_answer_and_what_was_reserved_too_much_comes_back()
    {
        await using var server = await StartAsync("sk-1 name=a tpm=400");
        using var first = await PostAsync(server, "sk-1", "\"max_tokens\":300");
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        var usage = (await TestServer.JsonAsync(first)).GetProperty("usage");
        Assert.InRange(usage.GetProperty("total_tokens").GetInt32(), 10, 200);
        // The headers went out before the answer was known.
        Assert.InRange(int.Parse(Header(first, "x-ratelimit-remaining-tokens"), System.Globalization.CultureInfo.InvariantCulture), 0, 120);
        using var second = await PostAsync(server, "sk-1", "\"max_tokens\":100");
        Assert.Equal(HttpStatusCode.OK, second.StatusCode);
        using var third = await PostAsync(server, "sk-1", "\"max_tokens\":390");
        Assert.Equal(HttpStatusCode.TooManyRequests, third.StatusCode);
        Assert.Contains("tokens per minute (TPM): limit 400", await third.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        string metrics = await (await server.GetAsync("/metrics")).Content.ReadAsStringAsync();
        Assert.Contains("qwenserve_tenant_tokens_total{kind=\"generation\",tenant=\"a\"}", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requests_at_once_are_limited_by_the_default_of_keys_without_limits()
    {
        var model = ScriptedModel.Saying("Hi.");
        await File.WriteAllTextAsync(FilePath, "sk-1 name=a\nsk-2 name=b concurrency=2");
        await using var server = await TestServer.StartAsync(model, s => s with { Access = new AccessSettings { ApiKeyFile = FilePath, Concurrency = 1 } });
        model.Device.Gate.Reset();
        var running = new List<Task<HttpResponseMessage>> { PostAsync(server, "sk-1"), PostAsync(server, "sk-2"), PostAsync(server, "sk-2") };
        await UntilAsync(() => Task.FromResult(server.App.Services.GetRequiredService<Lifecycle>().Running == 3));
        foreach (string key in new[] { "sk-1", "sk-2" })
        {
            using var refused = await PostAsync(server, key);
            Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
            Assert.NotNull(refused.Headers.RetryAfter);
        }
        model.Device.Gate.Set();
        foreach (var request in running) Assert.Equal(HttpStatusCode.OK, (await request).StatusCode);
        await UntilAsync(async () => (await PostAsync(server, "sk-1")).StatusCode == HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_flood_under_one_name_fills_the_queue_for_that_name_alone()
    {
        var model = ScriptedModel.Saying("Hi.");
        model.Options = o => o with { MaxQueuedRequests = 4, MaxNumSeqs = 1 };
        await File.WriteAllTextAsync(FilePath, "sk-1 name=flood\nsk-2 name=lone");
        await using var server = await TestServer.StartAsync(model, s => s with { Access = new AccessSettings { ApiKeyFile = FilePath } });
        model.Device.Gate.Reset();
        var flood = Enumerable.Range(0, 12).Select(_ => PostAsync(server, "sk-1")).ToList();
        // One computes and four wait.
        await UntilAsync(() => Task.FromResult(flood.Count(f => f.IsCompleted) >= 7));
        var lone = PostAsync(server, "sk-2");
        await UntilAsync(() => Task.FromResult(lone.IsCompleted || model.Engine!.Queued.Requests == flood.Count(f => !f.IsCompleted) - model.Engine.Metrics.Running + 1));
        Assert.False(lone.IsCompleted);
        model.Device.Gate.Set();
        using var answer = await lone;
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var statuses = (await Task.WhenAll(flood)).Select(r => r.StatusCode).ToList();
        Assert.All(statuses, s => Assert.True(s is HttpStatusCode.OK or HttpStatusCode.TooManyRequests));
        string metrics = await (await server.GetAsync("/metrics")).Content.ReadAsStringAsync();
        Assert.Contains($$"""qwenserve_requests_rejected_total{reason="queue_full",tenant="flood"} {{statuses.Count(s => s == HttpStatusCode.TooManyRequests)}}""", metrics, StringComparison.Ordinal);
        Assert.DoesNotContain("reason=\"queue_full\",tenant=\"lone\"", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tokens_are_reserved_for_Anthropics_clients_too()
    {
        await using var server = await StartAsync("sk-1 tpm=400");
        using var response = await SendAsync(server, HttpMethod.Post, "/v1/messages", "sk-1", """{"model":"short","max_tokens":300,"messages":[{"role":"user","content":"Hi"}]}""");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        // The headers went out before the answer was known.
        Assert.InRange(int.Parse(Header(response, "x-ratelimit-remaining-tokens"), System.Globalization.CultureInfo.InvariantCulture), 0, 120);
    }

    [Fact]
    public async Task Stored_responses_are_there_for_keys_of_the_same_name_alone()
    {
        await using var server = await StartAsync("sk-1 name=a\nsk-2 name=a\nsk-3 name=b\nsk-4");
        var (id, item) = await StoreAsync(server, "sk-1");
        string go = $$"""{"model":"short","input":"Go on.","previous_response_id":"{{id}}"}""";
        string refer = $$"""{"model":"short","input":[{"type":"item_reference","id":"{{item}}"},{"role":"user","content":"Go on."}]}""";
        string never = "resp_" + new string('0', 32);
        foreach (string key in new[] { "sk-3", "sk-4" })
        {
            foreach (var (method, path) in new[] { (HttpMethod.Get, ""), (HttpMethod.Delete, ""), (HttpMethod.Get, "/input_items"), (HttpMethod.Get, "?stream=true"), (HttpMethod.Post, "/cancel") })
            {
                using var response = await SendAsync(server, method, $"/v1/responses/{id}{path}", key);
                Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
                // As if it had never been.
                using var other = await SendAsync(server, method, $"/v1/responses/{never}{path}", key);
                Assert.Equal((await other.Content.ReadAsStringAsync()).Replace(never, id, StringComparison.Ordinal), await response.Content.ReadAsStringAsync());
            }
            using var continued = await SendAsync(server, HttpMethod.Post, "/v1/responses", key, go);
            Assert.Equal("previous_response_not_found", (await TestServer.JsonAsync(continued)).GetProperty("error").GetProperty("code").GetString());
            using var referred = await SendAsync(server, HttpMethod.Post, "/v1/responses", key, refer);
            Assert.Equal(HttpStatusCode.NotFound, referred.StatusCode);
        }
        foreach (string body in new[] { go, refer })
        {
            using var response = await SendAsync(server, HttpMethod.Post, "/v1/responses", "sk-2", body);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, $"/v1/responses/{id}", "sk-2"));
        using var deleted = await SendAsync(server, HttpMethod.Delete, $"/v1/responses/{id}", "sk-2");
        Assert.Equal(HttpStatusCode.OK, deleted.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(server, $"/v1/responses/{id}", "sk-1"));
    }

    [Fact]
    public async Task A_key_without_a_name_is_the_same_wherever_it_stands_in_the_file()
    {
        await using var server = await StartAsync("sk-1");
        var ring = server.App.Services.GetRequiredService<ApiKeyRing>();
        var (id, _) = await StoreAsync(server, "sk-1");
        await File.WriteAllTextAsync(FilePath, "sk-2\nsk-1");
        await UntilAsync(() =>
        {
            ring.Poll();
            return Task.FromResult(ring.Find("sk-2") is not null);
        });
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(server, $"/v1/responses/{id}", "sk-2"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, $"/v1/responses/{id}", "sk-1"));
        Assert.Equal(("line-1", "line-2"), (ring.Find("sk-2")!.Name, ring.Find("sk-1")!.Name));
    }

    private static async Task<(string Id, string Item)> StoreAsync(TestServer server, string key)
    {
        using var response = await SendAsync(server, HttpMethod.Post, "/v1/responses", key, """{"model":"short","input":"Hi","max_output_tokens":20}""");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var json = await TestServer.JsonAsync(response);
        return (json.GetProperty("id").GetString()!, json.GetProperty("output")[0].GetProperty("id").GetString()!);
    }

    private static async Task<HttpResponseMessage> SendAsync(TestServer server, HttpMethod method, string path, string key, string? body = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : new StringContent(body, System.Text.Encoding.UTF8, "application/json") };
        request.Headers.Authorization = new("Bearer", key);
        return await server.Client.SendAsync(request);
    }

    private async Task<TestServer> StartAsync(string? keys, Func<QwenServeSettings, QwenServeSettings>? change = null)
    {
        if (keys is not null) await File.WriteAllTextAsync(FilePath, keys);
        return await TestServer.StartAsync(ScriptedModel.Saying("Hi."), s =>
        {
            s = s with { Access = new AccessSettings { ApiKeyFile = FilePath }, Log = new LogSettings { Level = "error" } };
            return change is null ? s : change(s);
        });
    }

    private static async Task<HttpStatusCode> StatusAsync(TestServer server, string path, string key, string header = "Authorization")
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Add(header, header == "Authorization" ? "Bearer " + key : key);
        using var response = await server.Client.SendAsync(request);
        return response.StatusCode;
    }

    private static async Task<HttpResponseMessage> PostAsync(TestServer server, string key, string more = "\"max_tokens\":5")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Chat) { Content = new StringContent(ChatTests.Body(more), System.Text.Encoding.UTF8, "application/json") };
        request.Headers.Authorization = new("Bearer", key);
        return await server.Client.SendAsync(request);
    }

    private static string Header(HttpResponseMessage response, string name) => response.Headers.GetValues(name).Single();

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        for (int i = 0; i < 2000; i++)
        {
            if (await holds()) return;
            await Task.Delay(20);
        }
        Assert.Fail("it does not come to hold");
    }
}
