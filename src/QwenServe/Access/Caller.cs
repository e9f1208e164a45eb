using System.Diagnostics;
using System.Globalization;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;

namespace QwenServe.Access;

/// <summary>
/// Who asks, until when, and what is booked to them: a request's dealings with its tenant's limits, from its admission to its end.
/// </summary>
internal sealed class Caller : IDisposable
{
    /// <summary>Seconds that the client gives the request, as decimal digits.</summary>
    public const string TimeoutHeader = "x-request-timeout";

    private readonly ApiTenant _tenant;
    private readonly HttpContext _context;
    private readonly IHeaderDictionary _headers;
    private readonly TenantMetrics _metrics;
    private readonly TimeSpan? _timeout;
    private bool _left;

    /// <exception cref="ApiException">429: the tenant is at one of its limits. 400: the header is no time.</exception>
    public Caller(HttpContext context, TimeSpan? longest, CancellationToken cancelled)
    {
        _tenant = ApiTenant.Of(context);
        Tenant = _tenant.Name;
        _metrics = context.RequestServices.GetRequiredService<TenantMetrics>();
        _context = context;
        _headers = context.Response.Headers;
        Figures = RequestFigures.Of(context);
        Cancelled = cancelled;
        _timeout = Least(longest, Timeout(context.Request.Headers[TimeoutHeader].ToString()));
        _metrics.Asked(Tenant);
        try
        {
            _tenant.Enter();
        }
        finally
        {
            _tenant.WriteHeaders(_headers);
        }
    }

    /// <summary>The client has left, or the server has no more time.</summary>
    public CancellationToken Cancelled { get; }

    /// <summary>The name of the key; empty when no keys are asked for.</summary>
    public string Tenant { get; }

    /// <summary>When the request came, in <see cref="Stopwatch"/> ticks; its time counts from here.</summary>
    public long Arrival { get; } = Stopwatch.GetTimestamp();

    /// <summary>Where to note what the request comes to.</summary>
    public RequestFigures Figures { get; }

    /// <summary>Of the request.</summary>
    public string Path => _context.Request.Path.Value ?? "";

    /// <summary>Whether the answer has begun as a stream of events.</summary>
    public bool Streams => _context.Response.ContentType?.StartsWith("text/event-stream", StringComparison.Ordinal) == true;

    /// <summary>The least of what the server allows, the client's header says and the request's body asks for; null: no limit.</summary>
    public TimeSpan? TimeoutOr(TimeSpan? asked) => Least(_timeout, asked);

    /// <summary>Reserves tokens for prompts and what they may generate, to be settled when they have ended.</summary>
    /// <returns>What was reserved, for <see cref="Settle"/>.</returns>
    /// <exception cref="ApiException">429: there are not so many left.</exception>
    public long Reserve(long prompt, long output)
    {
        try
        {
            return _tenant.Reserve(prompt, output);
        }
        finally
        {
            _tenant.WriteHeaders(_headers);
        }
    }

    /// <summary>Books what a request has used in place of what was reserved for it.</summary>
    public void Settle(long reserved, int promptTokens, int outputTokens)
    {
        _tenant.Settle(reserved, (long)promptTokens + outputTokens);
        _metrics.Used(Tenant, promptTokens, outputTokens);
    }

    public void Dispose()
    {
        if (_left) return;
        _left = true;
        _tenant.Leave();
    }

    private static TimeSpan? Timeout(string header)
    {
        if (header.Length == 0) return null;
        return double.TryParse(header, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds) && seconds is > 0 and <= 1e9
            ? TimeSpan.FromSeconds(seconds)
            : throw new ApiException(400, $"Invalid '{TimeoutHeader}' header: expected a number of seconds above 0.", TimeoutHeader, "invalid_value");
    }

    private static TimeSpan? Least(TimeSpan? a, TimeSpan? b) => a is null || b < a ? b : a;
}
