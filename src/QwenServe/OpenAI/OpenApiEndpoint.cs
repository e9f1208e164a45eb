namespace QwenServe.OpenAI;

/// <summary>
/// <c>GET /openapi/v1.json</c>. The document is written by hand: requests are read field by field and answers written token by token, so there are no
/// types to derive it from, and streams could not be described that way. Tests hold it to what the endpoints read and write.
/// </summary>
internal static class OpenApiEndpoint
{
    private static readonly byte[] Document = Load();

    public static void Map(IEndpointRouteBuilder routes)
        => routes.MapMethods("/openapi/v1.json", [HttpMethods.Get, HttpMethods.Head], (RequestDelegate)SendAsync);

    private static Task SendAsync(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = Document.Length;
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : context.Response.Body.WriteAsync(Document, context.RequestAborted).AsTask();
    }

    private static byte[] Load()
    {
        using var stream = typeof(OpenApiEndpoint).Assembly.GetManifestResourceStream("openapi.json")!;
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
