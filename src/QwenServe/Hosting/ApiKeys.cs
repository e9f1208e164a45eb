using QwenServe.Access;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;
using Serilog.Context;

namespace QwenServe.Hosting;

/// <summary>
/// Asks for a key, and says whose it is to those that come after, in a feature of type <see cref="ApiTenant"/>. Open are the probes, the playground's
/// page, which shows nothing by itself, and <c>/metrics</c> unless a setting guards it.
/// </summary>
internal sealed class ApiKeys(RequestDelegate next, ApiKeyRing ring, AccessSettings settings)
{
    public async Task InvokeAsync(HttpContext context)
    {
        if (!ring.IsAsked || IsOpen(context.Request.Path))
        {
            await next(context).ConfigureAwait(false);
            return;
        }
        var tenant = ring.Find(Key(context.Request.Headers))
            ?? throw new ApiException(401, "Incorrect API key provided.", null, "invalid_api_key") { Reason = "invalid_key" };
        context.Features.Set(tenant);
        using (LogContext.PushProperty("Tenant", tenant.Name))
            await next(context).ConfigureAwait(false);
    }

    private bool IsOpen(PathString path)
        => path.Value is "/" or "/livez" or "/readyz" or "/health" or "/ping" || path.StartsWithSegments("/playground")
        || path.Value is "/metrics" && !settings.GuardMetrics;

    /// <summary>OpenAI's clients send the key as a bearer's, Anthropic's in a header of its own.</summary>
    private static string Key(IHeaderDictionary headers)
    {
        const string scheme = "Bearer ";
        string authorization = headers.Authorization.ToString();
        if (authorization.StartsWith(scheme, StringComparison.OrdinalIgnoreCase) && authorization.AsSpan(scheme.Length).Trim() is { IsEmpty: false } bearer) return bearer.ToString();
        if (headers.Authorization.Count == 0 && headers["x-api-key"] is [{ Length: > 0 } key]) return key.Trim();
        throw new ApiException(401, "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).") { Reason = "no_key" };
    }
}
