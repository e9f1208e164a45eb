using System.Diagnostics;
using Microsoft.AspNetCore.Routing;

namespace QwenServe.Hosting;

/// <summary>The span of each request but probes' and scrapers'; in use only while traces go somewhere. It follows the client's <c>traceparent</c>.</summary>
internal sealed class RequestTracing(RequestDelegate next)
{
    public async Task InvokeAsync(HttpContext context)
    {
        if (HttpMetricsMiddleware.IsHousekeeping(context.Request.Path))
        {
            await next(context).ConfigureAwait(false);
            return;
        }
        // The framework's own activity is not exported; a span below it would hang in the air.
        var framework = Activity.Current;
        ActivityContext.TryParse(context.Request.Headers.TraceParent.ToString(), context.Request.Headers.TraceState.ToString() is { Length: > 0 } state ? state : null, isRemote: true, out var parent);
        Activity.Current = null;
        using var span = Spans.Source.StartActivity(context.Request.Method, ActivityKind.Server, parent);
        if (span is null) Activity.Current = framework;
        try
        {
            await next(context).ConfigureAwait(false);
        }
        finally
        {
            if (span is { IsAllDataRequested: true }) Describe(span, context);
        }
    }

    private static void Describe(Activity span, HttpContext context)
    {
        string? route = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText;
        if (route is not null) span.DisplayName = $"{context.Request.Method} {route}";
        span.SetTag("http.request.method", context.Request.Method).SetTag("url.scheme", context.Request.Scheme).SetTag("url.path", context.Request.Path.Value)
            .SetTag("http.route", route).SetTag("http.response.status_code", context.Response.StatusCode)
            .SetTag("gen_ai.request.id", context.TraceIdentifier);
        var figures = RequestFigures.Of(context);
        if (figures.Prompts > 0)
        {
            span.SetTag("gen_ai.operation.name", Operation(route)).SetTag("gen_ai.provider.name", "qwenserve")
                .SetTag("gen_ai.usage.input_tokens", figures.PromptTokens).SetTag("gen_ai.usage.cache_read.input_tokens", figures.CachedTokens)
                .SetTag("gen_ai.usage.prompt_tokens", figures.PromptTokens);
            if (figures.Generates)
                span.SetTag("gen_ai.usage.output_tokens", figures.OutputTokens).SetTag("gen_ai.usage.completion_tokens", figures.OutputTokens)
                    .SetTag("gen_ai.response.finish_reasons", figures.FinishReasons.ToArray());
            if (figures.Queued is { } queued) span.SetTag("gen_ai.latency.time_in_queue", queued.TotalSeconds);
            if (figures.FirstToken is { } first) span.SetTag("gen_ai.latency.time_to_first_token", first.TotalSeconds);
            if (figures.LastToken is { } last) span.SetTag("gen_ai.latency.e2e", last.TotalSeconds);
        }
        if (figures.Error is not { } error) return;
        span.SetTag("error.type", error);
        // What a client did wrong is no error of the server's.
        if (figures.Failed) span.SetStatus(ActivityStatusCode.Error, figures.Message);
    }

    /// <summary>In the words of OpenTelemetry, which has none for scores.</summary>
    private static string Operation(string? route) => route switch
    {
        "/v1/completions" => "text_completion",
        "/v1/embeddings" => "embeddings",
        "/v1/score" or "/score" => "score",
        "/pooling" => "pooling",
        _ => "chat",
    };
}
