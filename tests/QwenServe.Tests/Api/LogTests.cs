using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace QwenServe.Tests.Api;

/// <summary>What the program writes, read from its standard output.</summary>
public class LogTests
{
    private const string Key = "sk-the-key-nobody-may-read-1", Prompt = "xylophone-secret-prompt", Wrong = "sk-a-wrong-key-nobody-may-read";

    [Fact]
    public async Task Json_lines_tell_of_each_request_and_never_a_key_or_a_prompt()
    {
        using var folder = new TemporaryDirectory();
        string keys = Path.Combine(folder.Path, "keys");
        await File.WriteAllTextAsync(keys, Key + " name=web\n");
        string output = await ServeAsync(["--log-format", "json", "--log-level", "verbose", "--api-key-file", keys], async client =>
        {
            await PostAsync(client, "/v1/chat/completions", $$"""{"model":"qwenserve-demo","max_tokens":6,"ignore_eos":true,"messages":[{"role":"user","content":"{{Prompt}}"}]}""", "req-one", Key);
            await PostAsync(client, "/v1/chat/completions", $$"""{"model":"qwenserve-demo","stream":true,"max_tokens":6,"messages":[{"role":"user","content":"{{Prompt}}"}]}""", "req-two", Key);
            await PostAsync(client, "/v1/completions", $$"""{"model":"qwenserve-demo","max_tokens":"{{Prompt}}","prompt":"{{Prompt}}"}""", "req-three", Key);
            await PostAsync(client, "/v1/completions", $$"""{"model":"{{Prompt}}" not json""", "req-four", Key);
            await PostAsync(client, "/v1/completions", "{}", "req-five", Wrong);
        });
        Assert.DoesNotContain(Key, output, StringComparison.Ordinal);
        Assert.DoesNotContain(Wrong, output, StringComparison.Ordinal);
        Assert.DoesNotContain("xylophone", output, StringComparison.Ordinal);

        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement).ToList();
        var requests = lines.Where(l => Property(l, "RequestId")?.StartsWith("req-", StringComparison.Ordinal) == true).ToList();
        Assert.Equal(["req-one", "req-two", "req-three", "req-four", "req-five"], requests.Where(l => Property(l, "Path") is not null).Select(l => Property(l, "RequestId")));
        Assert.All(requests, l => Assert.Equal("0af7651916cd43dd8448eb211c80319c", l.GetProperty("TraceId").GetString()));
        var one = requests.First(l => Property(l, "RequestId") == "req-one").GetProperty("Properties");
        Assert.Equal("web", one.GetProperty("Tenant").GetString());
        Assert.Equal(200, one.GetProperty("Status").GetInt32());
        Assert.Equal(6, one.GetProperty("OutputTokens").GetInt32());
        Assert.Equal("length", one.GetProperty("FinishReasons").GetString());
        Assert.True(one.GetProperty("PromptTokens").GetInt32() > 6);
        Assert.InRange(one.GetProperty("FirstTokenMilliseconds").GetDouble(), one.GetProperty("QueuedMilliseconds").GetDouble(), one.GetProperty("Milliseconds").GetDouble());
        var five = requests.First(l => Property(l, "RequestId") == "req-five").GetProperty("Properties");
        Assert.Equal("invalid_api_key", five.GetProperty("Error").GetString());
        Assert.Equal(401, five.GetProperty("Status").GetInt32());
    }

    [Fact]
    public async Task Text_lines_bear_request_and_trace_and_bodies_only_where_a_setting_says_so()
    {
        string output = await ServeAsync(["--log-format", "text", "--enable-log-requests", "--api-key", Key], client =>
            PostAsync(client, "/v1/completions", $$"""{"model":"qwenserve-demo","max_tokens":2,"ignore_eos":true,"prompt":"{{Prompt}}"}""", "req-one", Key));
        Assert.DoesNotContain(Key, output, StringComparison.Ordinal);
        Assert.Contains(Prompt, output, StringComparison.Ordinal);
        string line = output.Split('\n').Single(l => l.Contains("POST /v1/completions", StringComparison.Ordinal));
        Assert.Matches(@"^\d\d:\d\d:\d\d INF POST /v1/completions 200 in [\d.]+ ms: \d+ prompt tokens, 0 of them cached, 2 generated; length; queued [\d.]+ ms, first token after [\d.]+ ms req-one 0af7651916cd43dd8448eb211c80319c", line);
    }

    [Fact]
    public async Task An_embedding_tells_its_prompts_and_nothing_of_tokens_that_nobody_asked_for()
    {
        string output = await ServeAsync(["--log-format", "text"], client => PostAsync(client, "/v1/embeddings", $$"""{"model":"qwenserve-demo","input":["{{Prompt}}","b"]}""", "req-one", Key));
        string line = output.Split('\n').Single(l => l.Contains("POST /v1/embeddings", StringComparison.Ordinal));
        Assert.Matches(@"^\d\d:\d\d:\d\d INF POST /v1/embeddings 200 in [\d.]+ ms: \d+ prompt tokens in 2 prompts, 0 of them cached; queued [\d.]+ ms req-one", line);
    }

    private static string? Property(JsonElement line, string name)
        => line.GetProperty("Properties").TryGetProperty(name, out var value) ? value.GetString() : null;

    private static async Task PostAsync(HttpClient client, string path, string body, string id, string key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative)) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Add("x-request-id", id);
        request.Headers.Add("authorization", "Bearer " + key);
        request.Headers.Add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        using var response = await client.SendAsync(request);
        await response.Content.ReadAsStringAsync();
    }

    /// <summary>Runs the program, asks it, ends it.</summary>
    /// <returns>All that it wrote to both outputs.</returns>
    private static async Task<string> ServeAsync(string[] arguments, Func<HttpClient, Task> ask)
    {
        int port = Ports.Take(1)[0];
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])[Path.Combine(AppContext.BaseDirectory, "qwenserve.dll"), "--port", port.ToString(CultureInfo.InvariantCulture), "--kv-cache-memory", "16MiB", "--threads", "1", .. arguments])
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync();
            var error = process.StandardError.ReadToEndAsync();
            using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = TimeSpan.FromMinutes(2) };
            while (!await IsReadyAsync(client))
            {
                Assert.False(process.HasExited, "the server has ended");
                await Task.Delay(30);
            }
            await ask(client);
            using (var kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)])) await kill.WaitForExitAsync();
            await process.WaitForExitAsync();
            string errors = await error;
            Assert.DoesNotContain(Key, errors, StringComparison.Ordinal);
            Assert.DoesNotContain(Prompt, errors, StringComparison.Ordinal);
            return await output;
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    private static async Task<bool> IsReadyAsync(HttpClient client)
    {
        try
        {
            using var answer = await client.GetAsync(new Uri("/readyz", UriKind.Relative));
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
