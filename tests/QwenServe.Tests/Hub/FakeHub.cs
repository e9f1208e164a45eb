using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace QwenServe.Tests.Hub;

/// <summary>
/// A server that speaks the URLs of Hugging Face's hub (and ModelScope's) on one port and serves large files from a second one, as the
/// hub's redirects to its content network do. Faults can be ordered.
/// </summary>
internal sealed class FakeHub : IAsyncDisposable
{
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly WebApplication _hub;
    private readonly WebApplication _content;

    private FakeHub(WebApplication hub, WebApplication content)
    {
        _hub = hub;
        _content = content;
    }

    public Dictionary<string, byte[]> Files { get; } = new(StringComparer.Ordinal);

    /// <summary>Every request: "GET /path" with what matters behind it.</summary>
    public ConcurrentQueue<string> Log { get; } = new();

    public string? RequiredToken { get; set; }

    /// <summary>Statuses to answer with before doing what was asked.</summary>
    public ConcurrentQueue<int> Refusals { get; } = new();

    /// <summary>Bytes after which each connection that carries content is cut; 0 for none.</summary>
    public int CutAfter { get; set; }

    /// <summary>Bytes of content that go out at once, with a rest after each; 0 for all.</summary>
    public int Piece { get; set; }

    /// <summary>Whether the content differs from its hash.</summary>
    public bool Corrupt { get; set; }

    /// <summary>Whether ranges are ignored.</summary>
    public bool NoRanges { get; set; }

    public Uri Address => new(_hub.Urls.First());

    public static async Task<FakeHub> StartAsync()
    {
        FakeHub? self = null;
        var content = Create();
        content.MapGet("/blob/{name}", (RequestDelegate)(c => self!.SendContentAsync(c, (string)c.Request.RouteValues["name"]!)));
        var hub = Create();
        hub.Use(async (context, next) =>
        {
            self!.Log.Enqueue($"{context.Request.Method} {context.Request.Path}{context.Request.QueryString} auth={context.Request.Headers.Authorization}");
            if (self.Refusals.TryDequeue(out int status))
            {
                context.Response.StatusCode = status;
                context.Response.Headers.RetryAfter = "0";
            }
            else if (self.RequiredToken is { } token && context.Request.Headers.Authorization != "Bearer " + token)
            {
                context.Response.StatusCode = 401;
                context.Response.Headers["X-Error-Code"] = "RepoNotFound";
            }
            else await next(context);
        });
        hub.MapGet("/api/models/org/name/revision/{revision}", (RequestDelegate)(c => self!.DescribeAsync(c)));
        hub.MapMethods("/org/name/resolve/{commit}/{file}", ["GET", "HEAD"], (RequestDelegate)(c => self!.ResolveAsync(c)));
        hub.MapGet("/api/v1/models/org/na.me/repo/files", (RequestDelegate)(c => self!.ListModelScopeAsync(c)));
        hub.MapGet("/api/v1/models/org/na.me/repo", (RequestDelegate)(c => self!.SendContentAsync(c, c.Request.Query["FilePath"]!)));
        self = new FakeHub(hub, content);
        await content.StartAsync();
        await hub.StartAsync();
        return self;
    }

    public async ValueTask DisposeAsync()
    {
        await _hub.DisposeAsync();
        await _content.DisposeAsync();
    }

    private static WebApplication Create()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        builder.Services.AddRoutingCore();
        var app = builder.Build();
        app.UseRouting();
        return app;
    }

    private Task DescribeAsync(HttpContext context)
    {
        if ((string)context.Request.RouteValues["revision"]! is not ("main" or "v1" or Commit))
        {
            context.Response.StatusCode = 404;
            context.Response.Headers["X-Error-Code"] = "RevisionNotFound";
            return Task.CompletedTask;
        }
        var siblings = new JsonArray([.. Files.Keys.Select(f => (JsonNode)new JsonObject { ["rfilename"] = f })]);
        return context.Response.WriteAsync(new JsonObject { ["sha"] = Commit, ["siblings"] = siblings }.ToJsonString());
    }

    private async Task ResolveAsync(HttpContext context)
    {
        string name = (string)context.Request.RouteValues["file"]!;
        byte[] bytes = Files[name];
        bool large = name.EndsWith(".safetensors", StringComparison.Ordinal);
        string etag = large ? Convert.ToHexStringLower(SHA256.HashData(bytes)) : GitHash(bytes);
        context.Response.Headers["X-Repo-Commit"] = Commit;
        if (large)
        {
            context.Response.Headers["X-Linked-ETag"] = $"\"{etag}\"";
            context.Response.Headers["X-Linked-Size"] = bytes.Length.ToString(CultureInfo.InvariantCulture);
            context.Response.StatusCode = 302;
            context.Response.Headers.Location = $"{_content.Urls.First()}/blob/{name}";
            return;
        }
        context.Response.Headers.ETag = $"\"{etag}\"";
        if (HttpMethods.IsHead(context.Request.Method)) context.Response.ContentLength = bytes.Length;
        else await SendContentAsync(context, name);
    }

    private Task ListModelScopeAsync(HttpContext context)
    {
        var files = new JsonArray([.. Files.Select(f => (JsonNode)new JsonObject
        {
            ["Path"] = f.Key,
            ["Type"] = "blob",
            ["Size"] = f.Value.Length,
            ["Sha256"] = Convert.ToHexStringLower(SHA256.HashData(f.Value)),
        })]);
        return context.Response.WriteAsync(new JsonObject { ["Code"] = 200, ["Data"] = new JsonObject { [nameof(Files)] = files } }.ToJsonString());
    }

    private async Task SendContentAsync(HttpContext context, string name)
    {
        byte[] bytes = [.. Files[name]];
        if (Corrupt) bytes[^1] ^= 1;
        int from = 0;
        string range = context.Request.Headers.Range.ToString();
        Log.Enqueue($"CONTENT {name} range={range} auth={context.Request.Headers.Authorization}");
        if (range.Length > 0 && !NoRanges)
        {
            from = int.Parse(range["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture);
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = $"bytes {from}-{bytes.Length - 1}/{bytes.Length}";
        }
        context.Response.ContentLength = bytes.Length - from;
        if (CutAfter > 0 && bytes.Length - from > CutAfter)
        {
            await context.Response.Body.WriteAsync(bytes.AsMemory(from, CutAfter));
            await context.Response.Body.FlushAsync();
            await Task.Delay(50);
            context.Abort();
            return;
        }
        for (int piece = Piece > 0 ? Piece : int.MaxValue; from < bytes.Length; from += Math.Min(piece, bytes.Length - from))
        {
            await context.Response.Body.WriteAsync(bytes.AsMemory(from, Math.Min(piece, bytes.Length - from)));
            if (Piece == 0) continue;
            await context.Response.Body.FlushAsync();
            await Task.Delay(1);
        }
    }

    private static string GitHash(byte[] bytes)
#pragma warning disable CA5350 // git's own hash
        => Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {bytes.Length}\0"), .. bytes]));
#pragma warning restore CA5350
}
