using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using QwenServe.Access;
using QwenServe.OpenAI.Wire;

namespace QwenServe.Hosting;

/// <summary>Puts every failure of a request into OpenAI's envelope: our own refusals, Kestrel's, empty 404s and 405s, and bugs.</summary>
internal sealed class ErrorHandling(RequestDelegate next, TenantMetrics tenants, ILogger<ErrorHandling> log)
{
    public async Task InvokeAsync(HttpContext context)
    {
        ApiException error;
        try
        {
            await next(context).ConfigureAwait(false);
            if (context.Response.HasStarted || context.Response.ContentLength is not null || context.Response.ContentType is not null) return;
            switch (context.Response.StatusCode)
            {
                case 404:
                    error = new ApiException(404, $"Invalid URL ({context.Request.Method} {context.Request.Path})", null, "unknown_url");
                    break;
                case 405 when HttpMethods.IsOptions(context.Request.Method):
                    // Outside of a browser's question before its request: routing has already said what is allowed.
                    context.Response.StatusCode = 204;
                    return;
                case 405:
                    error = new ApiException(405, $"Not allowed to {context.Request.Method} on {context.Request.Path} (HINT: Perhaps you meant to use a different HTTP method?)");
                    break;
                default:
                    return;
            }
        }
        catch (ApiException e)
        {
            error = e;
        }
        catch (BadHttpRequestException e)
        {
            error = e.StatusCode == 413
                ? new ApiException(413, $"The request body is larger than the {context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize} bytes that this server takes.")
                : new ApiException(e.StatusCode, e.Message);
        }
        catch (Exception e) when (context.RequestAborted.IsCancellationRequested && e is OperationCanceledException or IOException || e is ConnectionResetException)
        {
            // The client has left. Nobody reads this status, but the log and the metrics do.
            if (!context.Response.HasStarted) context.Response.StatusCode = 499;
            RequestFigures.Of(context).Leave();
            // Or Kestrel tries to read the rest of a body that never comes, and logs that as an error of its own.
            context.Abort();
            return;
        }
        catch (Exception e)
        {
            log.LogError(e, "The request failed");
            error = ApiException.Internal();
        }

        RequestFigures.Of(context).Fail(error);
        // Probes are told that the server is not ready, and are not turned away.
        if (error.Reason is { } reason && HttpMethods.IsPost(context.Request.Method)) tenants.Rejected(context.Features.Get<ApiTenant>()?.Name ?? "", reason);
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }
        await ErrorEnvelope.SendAsync(context, error).ConfigureAwait(false);
    }
}
