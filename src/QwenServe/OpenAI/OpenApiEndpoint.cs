using Microsoft.AspNetCore.Mvc.Abstractions;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace QwenServe.OpenAI;

/// <summary>
/// <c>GET /openapi/v1.json</c>, made by Microsoft.AspNetCore.OpenApi of the endpoints that are mapped. What each reads and writes comes from
/// openapi.json, written by hand: requests are read field by field and answers written token by token, so there are no types to derive it from, and
/// streams could not be described that way. The document is made at the first request, since reading and writing it takes longer than starting does.
/// </summary>
internal static class OpenApiEndpoint
{
    private const string Name = "v1";

    public static void AddServices(IServiceCollection services)
    {
        services.AddOpenApi(Name, options =>
        {
            options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
            // HEAD is GET without a body, and OpenAPI's readers take that for granted.
            options.ShouldInclude = endpoint => endpoint.HttpMethod != HttpMethods.Head;
            options.AddDocumentTransformer((document, _, cancel) => DescribeAsync(document, cancel));
        });
        services.AddTransient<IApiDescriptionProvider, MappedEndpoints>();
        services.AddSingleton<Cached>();
    }

    public static void Map(IEndpointRouteBuilder routes)
        => routes.MapMethods("/openapi/v1.json", [HttpMethods.Get, HttpMethods.Head], (RequestDelegate)SendAsync);

    /// <summary>The document as it is written, endpoints included that are not mapped.</summary>
    private static async Task<OpenApiDocument> ReadWrittenAsync(CancellationToken cancel)
    {
        using var stream = typeof(OpenApiEndpoint).Assembly.GetManifestResourceStream("openapi.json")!;
        return (await OpenApiDocument.LoadAsync(stream, "json", cancellationToken: cancel).ConfigureAwait(false)).Document!;
    }

    /// <summary>Puts what is written in the place of what was found, operation by operation. One that is not written stays as it was found: bare.</summary>
    private static async Task DescribeAsync(OpenApiDocument document, CancellationToken cancel)
    {
        var written = await ReadWrittenAsync(cancel).ConfigureAwait(false);
        document.Info = written.Info;
        document.Servers = written.Servers;
        document.Components = written.Components;
        document.Tags = null;
        foreach (var (path, found) in document.Paths)
        {
            if (found.Operations is not { } operations || !written.Paths.TryGetValue(path, out var item)) continue;
            foreach (var method in operations.Keys.ToList())
                if (item.Operations!.TryGetValue(method, out var operation)) operations[method] = operation;
        }
    }

    private static async Task SendAsync(HttpContext context)
    {
        byte[] document = await context.RequestServices.GetRequiredService<Cached>().Document.WaitAsync(context.RequestAborted).ConfigureAwait(false);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = document.Length;
        if (!HttpMethods.IsHead(context.Request.Method)) await context.Response.Body.WriteAsync(document, context.RequestAborted).ConfigureAwait(false);
    }

    /// <summary>The document's bytes: endpoints do not change while the server runs.</summary>
    private sealed class Cached(IServiceProvider services)
    {
        private readonly Lazy<Task<byte[]>> _document = new(() => MakeAsync(services));

        public Task<byte[]> Document => _document.Value;

        private static async Task<byte[]> MakeAsync(IServiceProvider services)
        {
            var document = await services.GetRequiredKeyedService<IOpenApiDocumentProvider>(Name).GetOpenApiDocumentAsync().ConfigureAwait(false);
            using var buffer = new MemoryStream();
            await document.SerializeAsJsonAsync(buffer, OpenApiSpecVersion.OpenApi3_1).ConfigureAwait(false);
            return buffer.ToArray();
        }
    }

    /// <summary>Tells the framework of our endpoints, which it passes over: they are request delegates, without parameters or results to look at.</summary>
    private sealed class MappedEndpoints(EndpointDataSource endpoints) : IApiDescriptionProvider
    {
        public int Order => 0;

        public void OnProvidersExecuting(ApiDescriptionProviderContext context)
        {
            foreach (var endpoint in endpoints.Endpoints.OfType<RouteEndpoint>().Where(e => e.Metadata.GetMetadata<IExcludeFromDescriptionMetadata>() is null))
            {
                foreach (string method in endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? [])
                {
                    context.Results.Add(new ApiDescription
                    {
                        HttpMethod = method,
                        RelativePath = endpoint.RoutePattern.RawText!.TrimStart('/'),
                        // The framework makes a tag of the controller, and there is none.
                        ActionDescriptor = new ActionDescriptor { RouteValues = { ["controller"] = null }, EndpointMetadata = [.. endpoint.Metadata] },
                    });
                }
            }
        }

        public void OnProvidersExecuted(ApiDescriptionProviderContext context)
        {
        }
    }
}
