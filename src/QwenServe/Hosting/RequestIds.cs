using QwenServe.Anthropic.Wire;

namespace QwenServe.Hosting;

/// <summary>Gives each request an id: the client's <c>x-request-id</c> when it sent a sensible one, ours otherwise. It is in the answer and in each log line.</summary>
internal sealed class RequestIds(RequestDelegate next, ILogger<RequestIds> log)
{
    public const string Header = "x-request-id";

    public async Task InvokeAsync(HttpContext context)
    {
        string sent = context.Request.Headers[Header].ToString();
        string id = IsSensible(sent) ? sent : "req_" + Guid.NewGuid().ToString("N");
        context.TraceIdentifier = id;
        context.Response.Headers[Header] = id;
        if (MessagesError.Speaks(context.Request.Path)) context.Response.Headers[MessagesError.RequestIdHeader] = id;
        // A scope, and not a property of the context: the framework's scope has a RequestId of its own, and the innermost scope is heard.
        using (log.BeginScope(new KeyValuePair<string, object>[] { new("RequestId", id) }))
            await next(context).ConfigureAwait(false);
    }

    /// <summary>Printable ASCII of bounded length, so that it can be a header and a log field.</summary>
    private static bool IsSensible(string id)
    {
        if (id.Length is 0 or > 256) return false;
        foreach (char c in id)
            if (c is < '!' or > '~') return false;
        return true;
    }
}
