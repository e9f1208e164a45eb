namespace QwenServe.Access;

/// <summary>What the keys of one name may use; null: no limit.</summary>
/// <param name="RequestsPerMinute">Requests a minute; as many may come at once after a quiet minute.</param>
/// <param name="TokensPerMinute">Prompt and generated tokens a minute.</param>
/// <param name="Concurrency">Requests that may be under way at once.</param>
internal readonly record struct KeyLimits(int? RequestsPerMinute, long? TokensPerMinute, int? Concurrency)
{
    /// <summary>These limits, and the defaults where they say nothing.</summary>
    public KeyLimits Or(KeyLimits defaults)
        => new(RequestsPerMinute ?? defaults.RequestsPerMinute, TokensPerMinute ?? defaults.TokensPerMinute, Concurrency ?? defaults.Concurrency);
}
