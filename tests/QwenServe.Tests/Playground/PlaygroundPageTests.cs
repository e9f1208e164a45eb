using System.Net;
using System.Net.Http.Headers;
using QwenServe.Hosting;
using QwenServe.Tests.Api;

namespace QwenServe.Tests.Playground;

/// <summary>The page as an HTTP resource.</summary>
public class PlaygroundPageTests
{
    [Theory]
    [InlineData("/", "text/html")]
    [InlineData("/playground/style.css", "text/css")]
    [InlineData("/playground/main.js", "text/javascript")]
    [InlineData("/playground/mark.svg", "image/svg+xml")]
    public async Task Each_part_has_a_strict_policy_and_is_sent_again_only_when_it_has_changed(string path, string type)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var first = await server.GetAsync(path);
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        Assert.Equal(type, first.Content.Headers.ContentType!.MediaType);
        Assert.True(first.Headers.CacheControl!.NoCache);
        string policy = first.Headers.GetValues("Content-Security-Policy").Single();
        Assert.StartsWith("default-src 'none'; script-src 'self'; style-src 'self'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        Assert.Equal("nosniff", first.Headers.GetValues("X-Content-Type-Options").Single());

        using var again = new HttpRequestMessage(HttpMethod.Get, path);
        again.Headers.IfNoneMatch.Add(first.Headers.ETag!);
        using var second = await server.Client.SendAsync(again);
        Assert.Equal(HttpStatusCode.NotModified, second.StatusCode);
        Assert.Equal(first.Headers.ETag, second.Headers.ETag);
        Assert.Empty(await second.Content.ReadAsByteArrayAsync());

        using var changed = new HttpRequestMessage(HttpMethod.Get, path);
        changed.Headers.IfNoneMatch.Add(new EntityTagHeaderValue("\"another\""));
        Assert.Equal(HttpStatusCode.OK, (await server.Client.SendAsync(changed)).StatusCode);

        using var head = await server.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, path));
        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        Assert.Equal(first.Content.Headers.ContentLength, head.Content.Headers.ContentLength);
        Assert.Empty(await head.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task It_needs_neither_a_key_nor_the_model()
    {
        await using var server = await TestServer.StartAsync((_, _, _) => Task.FromException<ServedModel>(new StartupException("none")),
            s => s with { Server = s.Server with { ApiKeys = ["key"] } }, waitUntilReady: false);
        Assert.Equal(HttpStatusCode.OK, (await server.GetAsync("/")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.GetAsync("/v1/models")).StatusCode);
        await Assert.ThrowsAsync<StartupException>(server.App.WhenReadyAsync);
    }

    [Fact]
    public async Task It_can_be_turned_off()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."), s => s with { Server = s.Server with { Playground = false } });
        foreach (string path in new[] { "/", "/playground/main.js" })
            Assert.Equal("unknown_url", (await TestServer.JsonAsync(await server.GetAsync(path))).GetProperty("error").GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("nothing.js")]
    [InlineData("..%2Fopenapi.json")]
    public async Task What_it_is_not_made_of_is_not_found(string file)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        Assert.Equal(HttpStatusCode.NotFound, (await server.GetAsync("/playground/" + file)).StatusCode);
    }
}
