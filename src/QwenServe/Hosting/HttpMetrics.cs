using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Routing;
using QwenServe.Access;
using Serilog.Context;

namespace QwenServe.Hosting;

/// <summary>
/// Counts requests under the names that dashboards of vLLM know from prometheus-fastapi-instrumentator, and writes one log line for each.
/// Probes and metrics are left out of both.
/// </summary>
internal sealed class HttpMetrics : IDisposable
{
    public static readonly double[] DurationBuckets = [0.1, 0.5, 1];

    public static readonly double[] FineDurationBuckets =
        [0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60];

    private const string Handles = "/proc/self/fd";

    private static readonly double Started = (DateTime.UtcNow - (DateTime.Now - Process.GetCurrentProcess().StartTime) - DateTime.UnixEpoch).TotalSeconds;

    private readonly Meter _meter = new("QwenServe.Http");
    private readonly Counter<long> _requests;
    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _fineDuration;
    private readonly Histogram<long> _requestSize;
    private readonly Histogram<long> _responseSize;

    public HttpMetrics()
    {
        _requests = _meter.CreateCounter<long>("http_requests", description: "Requests by method, status and handler.");
        _duration = _meter.CreateHistogram("http_request_duration_seconds", description: "Duration of requests by handler.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = DurationBuckets });
        _fineDuration = _meter.CreateHistogram("http_request_duration_highr_seconds", description: "Duration of all requests, in finer buckets.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = FineDurationBuckets });
        _requestSize = _meter.CreateHistogram("http_request_size_bytes", description: "Content length of requests by handler.", advice: new InstrumentAdvice<long> { HistogramBucketBoundaries = [] });
        _responseSize = _meter.CreateHistogram("http_response_size_bytes", description: "Content length of answers by handler; 0 for streams.", advice: new InstrumentAdvice<long> { HistogramBucketBoundaries = [] });
        // What prometheus_client tells of its process; alerts on memory and file handles ask for it.
        _meter.CreateObservableGauge("process_resident_memory_bytes", () => Environment.WorkingSet, description: "Resident memory.");
        _meter.CreateObservableGauge("process_start_time_seconds", () => Started, description: "Start of the process since 1970.");
        _meter.CreateObservableCounter("process_cpu_seconds", () => Environment.CpuUsage.TotalTime.TotalSeconds, description: "Processor time, of user and system.");
        if (Directory.Exists(Handles)) _meter.CreateObservableGauge("process_open_fds", () => Directory.EnumerateFileSystemEntries(Handles).Count(), description: "Open file handles.");
    }

    public Meter Meter => _meter;

    public void Record(HttpContext context, TimeSpan elapsed)
    {
        string handler = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "none";
        string method = KnownMethod(context.Request.Method);
        string status = $"{context.Response.StatusCode / 100}xx";
        _requests.Add(1, new TagList { { "method", method }, { "status", status }, { "handler", handler } });
        _duration.Record(elapsed.TotalSeconds, new TagList { { "method", method }, { "handler", handler } });
        _fineDuration.Record(elapsed.TotalSeconds);
        _requestSize.Record(context.Request.ContentLength ?? 0, new KeyValuePair<string, object?>("handler", handler));
        _responseSize.Record(context.Response.ContentLength ?? 0, new KeyValuePair<string, object?>("handler", handler));
    }

    public void Dispose() => _meter.Dispose();

    /// <summary>A label of few values whatever clients send; OpenTelemetry's word for the rest.</summary>
    private static string KnownMethod(string method)
        => method is "GET" or "HEAD" or "POST" or "PUT" or "DELETE" or "OPTIONS" or "PATCH" or "CONNECT" or "TRACE" ? method : "_OTHER";
}

internal sealed class HttpMetricsMiddleware(RequestDelegate next, HttpMetrics metrics, ILogger<HttpMetrics> log)
{
    public async Task InvokeAsync(HttpContext context)
    {
        if (IsHousekeeping(context.Request.Path))
        {
            await next(context).ConfigureAwait(false);
            return;
        }
        long started = Stopwatch.GetTimestamp();
        try
        {
            await next(context).ConfigureAwait(false);
        }
        finally
        {
            var elapsed = Stopwatch.GetElapsedTime(started);
            metrics.Record(context, elapsed);
            using var tenant = context.Features.Get<ApiTenant>() is { } known ? LogContext.PushProperty("Tenant", known.Name) : null;
            if (log.IsEnabled(LogLevel.Information)) Log(context, elapsed);
        }
    }

    private void Log(HttpContext context, TimeSpan elapsed)
    {
        var figures = RequestFigures.Of(context);
        using var error = figures.Error is null ? null : LogContext.PushProperty("Error", figures.Error);
        if (figures.Prompts == 0)
        {
            log.LogInformation("{Method} {Path} {Status} in {Milliseconds:F1} ms", context.Request.Method, context.Request.Path.Value, context.Response.StatusCode, elapsed.TotalMilliseconds);
            return;
        }
        if (!figures.Generates)
        {
            log.LogInformation("{Method} {Path} {Status} in {Milliseconds:F1} ms: {PromptTokens} prompt tokens in {Prompts} prompts, {CachedTokens} of them cached; queued {QueuedMilliseconds:F1} ms",
                context.Request.Method, context.Request.Path.Value, context.Response.StatusCode, elapsed.TotalMilliseconds, figures.PromptTokens, figures.Prompts, figures.CachedTokens, figures.Queued?.TotalMilliseconds);
            return;
        }
        log.LogInformation("{Method} {Path} {Status} in {Milliseconds:F1} ms: {PromptTokens} prompt tokens, {CachedTokens} of them cached, {OutputTokens} generated; {FinishReasons:l}; queued {QueuedMilliseconds:F1} ms, first token after {FirstTokenMilliseconds:F1} ms",
            context.Request.Method, context.Request.Path.Value, context.Response.StatusCode, elapsed.TotalMilliseconds, figures.PromptTokens, figures.CachedTokens, figures.OutputTokens,
            string.Join(',', figures.FinishReasons.Distinct()), figures.Queued?.TotalMilliseconds, figures.FirstToken?.TotalMilliseconds);
    }

    internal static bool IsHousekeeping(PathString path)
        => path.StartsWithSegments("/metrics") || path.StartsWithSegments("/livez") || path.StartsWithSegments("/readyz")
        || path.StartsWithSegments("/health") || path.StartsWithSegments("/version");
}
