using System.Globalization;
using QwenServe.OpenAI.Wire;

namespace QwenServe.Access;

/// <summary>
/// Whoever holds the keys of one name, and what of its limits is used. Its tokens are reserved when a request is admitted, prompt and
/// <c>max_tokens</c> (or the default in its place), and settled when it ends; where neither is, the prompt is reserved and what is generated is owed.
/// Thread-safe.
/// </summary>
internal sealed class ApiTenant
{
    /// <summary>What <see cref="WriteHeaders"/> writes.</summary>
    public static readonly string[] Headers = [.. new[] { "limit", "remaining", "reset" }.SelectMany(h => new[] { $"x-ratelimit-{h}-requests", $"x-ratelimit-{h}-tokens" })];

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private TokenBucket? _requests;
    private TokenBucket? _tokens;
    private int? _concurrency;
    private int _running;

    /// <param name="name">Stands for the keys in logs and metrics; empty when no keys are asked for.</param>
    /// <param name="limits">Its limits.</param>
    /// <param name="time">The clock.</param>
    public ApiTenant(string name, KeyLimits limits, TimeProvider time)
    {
        Name = name;
        _time = time;
        Limit(limits);
    }

    public string Name { get; private set; }

    /// <summary>Requests under way.</summary>
    public int Running
    {
        get { lock (_gate) return _running; }
    }

    /// <summary>Whose key the request came with.</summary>
    public static ApiTenant Of(HttpContext context)
        => context.Features.Get<ApiTenant>() ?? context.RequestServices.GetRequiredService<ApiKeyRing>().Anonymous;

    /// <summary>Changes what stands for it in logs and metrics.</summary>
    public void Rename(string name) => Name = name;

    /// <summary>Changes the limits; what has been used of one that stays the same is kept.</summary>
    public void Limit(KeyLimits limits)
    {
        lock (_gate)
        {
            _concurrency = limits.Concurrency;
            if (_requests?.PerMinute != limits.RequestsPerMinute) _requests = limits.RequestsPerMinute is { } requests ? new TokenBucket(requests, _time) : null;
            if (_tokens?.PerMinute != limits.TokensPerMinute) _tokens = limits.TokensPerMinute is { } tokens ? new TokenBucket(tokens, _time) : null;
        }
    }

    /// <summary>Admits a request; call <see cref="Leave"/> when it has been answered.</summary>
    /// <exception cref="ApiException">429 with the time to come back.</exception>
    public void Enter()
    {
        lock (_gate)
        {
            if (_requests is not null && _requests.Until(1) is { Ticks: > 0 } wait)
                throw Refusal("requests_per_minute", $"requests per minute (RPM): limit {_requests.PerMinute}", wait);
            if (_running >= _concurrency)
                throw Refusal("concurrency", $"requests at once: limit {_concurrency}", TimeSpan.FromSeconds(1));
            _requests?.Take(1);
            _running++;
        }
    }

    public void Leave()
    {
        lock (_gate) _running--;
    }

    /// <summary>Reserves tokens for prompts and for what they may generate.</summary>
    /// <returns>What was reserved, to be given to <see cref="Settle"/>.</returns>
    /// <exception cref="ApiException">429 with the time to come back; or for ever, when the prompts alone are more than a minute's worth.</exception>
    public long Reserve(long promptTokens, long outputTokens)
    {
        lock (_gate)
        {
            if (_tokens is null) return 0;
            if (promptTokens > _tokens.PerMinute)
                throw new ApiException(429, $"Request too large{For()} on tokens per minute (TPM): limit {_tokens.PerMinute}, requested {promptTokens}. The prompt must be shortened.", null, "rate_limit_exceeded", ApiException.RateLimit) { ShouldRetry = false, Reason = "tokens_per_minute" };
            long amount = Math.Min(promptTokens + outputTokens, _tokens.PerMinute);
            if (_tokens.Until(amount) is { Ticks: > 0 } wait)
                throw Refusal("tokens_per_minute", $"tokens per minute (TPM): limit {_tokens.PerMinute}, remaining {_tokens.Remaining}, requested {amount}", wait);
            _tokens.Take(amount);
            return amount;
        }
    }

    /// <summary>Exchanges a reservation for what has been used.</summary>
    public void Settle(long reserved, long used)
    {
        lock (_gate) _tokens?.Take(used - reserved);
    }

    /// <summary>Tells what remains, in OpenAI's headers.</summary>
    public void WriteHeaders(IHeaderDictionary headers)
    {
        lock (_gate)
        {
            Write("requests", _requests);
            Write("tokens", _tokens);
        }

        void Write(string what, TokenBucket? bucket)
        {
            if (bucket is null) return;
            headers["x-ratelimit-limit-" + what] = bucket.PerMinute.ToString(CultureInfo.InvariantCulture);
            headers["x-ratelimit-remaining-" + what] = bucket.Remaining.ToString(CultureInfo.InvariantCulture);
            headers["x-ratelimit-reset-" + what] = Spell(bucket.UntilFull);
        }
    }

    /// <summary>A duration as OpenAI's headers have it: <c>1m6s</c>, <c>8.64s</c>, <c>20ms</c>.</summary>
    internal static string Spell(TimeSpan time)
    {
        if (time < TimeSpan.FromSeconds(1)) return string.Create(CultureInfo.InvariantCulture, $"{(int)Math.Ceiling(time.TotalMilliseconds)}ms");
        if (time < TimeSpan.FromMinutes(1)) return string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(time.TotalSeconds * 100) / 100}s");
        int seconds = (int)Math.Ceiling(time.TotalSeconds);
        return string.Create(CultureInfo.InvariantCulture, $"{seconds / 60}m{seconds % 60}s");
    }

    private ApiException Refusal(string reason, string limit, TimeSpan wait)
        => new(429, $"Rate limit reached{For()} on {limit}. Please try again in {Spell(wait)}.", null, "rate_limit_exceeded", ApiException.RateLimit) { RetryAfter = wait, Reason = reason };

    private string For() => Name.Length == 0 ? "" : $" for {Name}";
}
