using System.Collections.Frozen;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Routing;
using Microsoft.Net.Http.Headers;

namespace QwenServe.Playground;

/// <summary>
/// <c>GET /</c>: a page to talk to the model with, and what it is made of under <c>/playground/</c>. All of it is in the assembly. The page
/// needs neither the model nor a key to be shown; what it calls does. Its policy lets it load and call nothing but this server, and makes
/// browsers refuse markup made from text, so that nothing a model writes can act.
/// </summary>
internal static class PlaygroundEndpoint
{
    private const string Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

    private const string Prefix = "playground/";

    private static readonly string[] Reading = [HttpMethods.Get, HttpMethods.Head];

    private static readonly FrozenDictionary<string, Resource> Resources = typeof(PlaygroundEndpoint).Assembly.GetManifestResourceNames()
        .Where(n => n.StartsWith(Prefix, StringComparison.Ordinal))
        .ToFrozenDictionary(n => n[Prefix.Length..], Resource.Load, StringComparer.Ordinal);

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/", Reading, context => SendAsync(context, Resources["index.html"])).ExcludeFromDescription();
        routes.MapMethods("/playground/{file}", Reading, context =>
        {
            if (Resources.TryGetValue((string)context.Request.RouteValues["file"]!, out var resource)) return SendAsync(context, resource);
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }).ExcludeFromDescription();
    }

    private static Task SendAsync(HttpContext context, Resource resource)
    {
        var response = context.Response;
        var headers = response.GetTypedHeaders();
        headers.ETag = resource.ETag;
        // Kept, and asked for again each time: a newer server's page must not run with an older one's scripts.
        headers.CacheControl = new CacheControlHeaderValue { NoCache = true };
        response.Headers.ContentSecurityPolicy = Policy;
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers["Cross-Origin-Opener-Policy"] = "same-origin";
        if (context.Request.GetTypedHeaders().IfNoneMatch.Any(tag => tag.Equals(EntityTagHeaderValue.Any) || tag.Compare(resource.ETag, useStrongComparison: false)))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return Task.CompletedTask;
        }
        response.ContentType = resource.ContentType;
        response.ContentLength = resource.Bytes.Length;
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : response.Body.WriteAsync(resource.Bytes, context.RequestAborted).AsTask();
    }

    private sealed record Resource(byte[] Bytes, string ContentType, EntityTagHeaderValue ETag)
    {
        public static Resource Load(string name)
        {
            using var stream = typeof(PlaygroundEndpoint).Assembly.GetManifestResourceStream(name)!;
            byte[] bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            string type = Path.GetExtension(name) switch
            {
                ".html" => "text/html; charset=utf-8",
                ".css" => "text/css; charset=utf-8",
                ".js" => "text/javascript; charset=utf-8",
                ".svg" => "image/svg+xml",
                var other => throw new InvalidOperationException($"the playground has no content type for {other}"),
            };
            return new Resource(bytes, type, new EntityTagHeaderValue($"\"{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 12))}\""));
        }
    }
}
