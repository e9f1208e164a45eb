using System.Text.Json;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;

namespace QwenServe.Hosting;

/// <summary>What orchestrators and scrapers ask. None of it needs a key or waits for the engine.</summary>
internal static class Probes
{
    private const string NoProgress = "The engine makes no progress.";

    private static readonly string[] Reading = [HttpMethods.Get, HttpMethods.Head];

    public static string Version { get; } = typeof(Probes).Assembly.GetName().Version?.ToString(3) ?? "0";

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/livez", Reading, (RequestDelegate)Live);
        routes.MapMethods("/readyz", Reading, (RequestDelegate)Ready);
        routes.MapMethods("/health", Reading, (RequestDelegate)Ready);
        routes.MapMethods("/ping", Reading, (RequestDelegate)Ready);
        routes.MapMethods("/version", Reading, (RequestDelegate)TellVersion);
        routes.MapMethods("/metrics", Reading, (RequestDelegate)Scrape);
    }

    private static Task Live(HttpContext context)
    {
        var lifecycle = context.RequestServices.GetRequiredService<Lifecycle>();
        bool stuck = IsStuck(context);
        return lifecycle.Phase == LifecyclePhase.Failed || stuck
            ? ErrorEnvelope.SendAsync(context, new ApiException(503, stuck ? NoProgress : "The engine has failed.", type: ApiException.ServerError))
            : SendStatusAsync(context, "live");
    }

    private static Task Ready(HttpContext context)
    {
        context.RequestServices.GetRequiredService<Lifecycle>().ThrowIfNotReady();
        if (IsStuck(context)) throw ApiException.NotReady(NoProgress, TimeSpan.FromSeconds(5));
        return SendStatusAsync(context, "ready");
    }

    private static bool IsStuck(HttpContext context)
    {
        var limit = context.RequestServices.GetRequiredService<QwenServeSettings>().Engine.StepTimeout;
        return context.RequestServices.GetRequiredService<ModelHost>().Health.Any(h => h.Busy && h.SinceProgress > limit);
    }

    private static Task SendStatusAsync(HttpContext context, string status) => JsonAnswer.SendAsync(context, json =>
    {
        json.WriteStartObject();
        json.WriteString("status"u8, status);
        json.WriteEndObject();
    });

    private static Task TellVersion(HttpContext context) => JsonAnswer.SendAsync(context, json =>
    {
        json.WriteStartObject();
        json.WriteString("version"u8, Version);
        json.WriteEndObject();
    });

    private static async Task Scrape(HttpContext context)
    {
        string text = context.RequestServices.GetRequiredService<Metrics>().Scrape();
        context.Response.ContentType = PrometheusText.ContentType;
        if (!HttpMethods.IsHead(context.Request.Method)) await context.Response.WriteAsync(text, context.RequestAborted).ConfigureAwait(false);
    }
}
