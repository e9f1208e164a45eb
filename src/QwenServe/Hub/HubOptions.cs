namespace QwenServe.Hub;

/// <summary>Where a hub is, who asks, and where downloads are kept. The names are those of huggingface_hub's and ModelScope's own environment variables.</summary>
public sealed record HubOptions
{
    /// <summary>HF_ENDPOINT or MODELSCOPE_ENDPOINT; without a slash at its end.</summary>
    public required Uri Endpoint { get; init; }

    /// <summary>HF_TOKEN, or the file that <c>hf auth login</c> wrote; MODELSCOPE_API_TOKEN.</summary>
    public string? Token { get; init; }

    /// <summary>HF_HUB_CACHE, or HF_HOME/hub, or ~/.cache/huggingface/hub.</summary>
    public required string Cache { get; init; }

    /// <summary>HF_HUB_OFFLINE: only what is in the cache is used.</summary>
    public bool Offline { get; init; }

    /// <summary>Tries of one request that bring nothing before giving up.</summary>
    public int MaxAttempts { get; init; } = 5;

    /// <summary>Wait before the second try; doubled for each one after it.</summary>
    public TimeSpan Backoff { get; init; } = TimeSpan.FromSeconds(0.5);

    /// <summary>A connection that brings nothing for so long is taken for dead.</summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(30);

    public static HubOptions HuggingFace(Func<string, string?> environment, string? cache = null)
    {
        string home = Value(environment, "HF_HOME")
            ?? Path.Combine(Value(environment, "XDG_CACHE_HOME") ?? Path.Combine(UserHome(environment), ".cache"), "huggingface");
        string tokenFile = Value(environment, "HF_TOKEN_PATH") ?? Path.Combine(home, "token");
        return new HubOptions
        {
            Endpoint = ParseEndpoint("HF_ENDPOINT", Value(environment, "HF_ENDPOINT") ?? "https://huggingface.co"),
            Token = Value(environment, "HF_TOKEN") ?? (File.Exists(tokenFile) ? File.ReadAllText(tokenFile).Trim() : null),
            Cache = cache ?? Value(environment, "HF_HUB_CACHE") ?? Path.Combine(home, "hub"),
            Offline = IsOn(Value(environment, "HF_HUB_OFFLINE")),
        };
    }

    public static HubOptions ModelScope(Func<string, string?> environment, string? cache = null) => new()
    {
        Endpoint = ParseEndpoint("MODELSCOPE_ENDPOINT", Value(environment, "MODELSCOPE_ENDPOINT") ?? "https://www.modelscope.cn"),
        Token = Value(environment, "MODELSCOPE_API_TOKEN"),
        Cache = cache ?? Value(environment, "MODELSCOPE_CACHE") ?? Path.Combine(UserHome(environment), ".cache", "modelscope", "hub"),
        Offline = IsOn(Value(environment, "HF_HUB_OFFLINE")),
    };

    private static string? Value(Func<string, string?> environment, string name) => environment(name) is { Length: > 0 } value ? value : null;

    private static string UserHome(Func<string, string?> environment)
        => Value(environment, "HOME") ?? Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);

    private static bool IsOn(string? value) => value?.ToUpperInvariant() is "1" or "TRUE" or "YES" or "ON";

    private static Uri ParseEndpoint(string name, string value)
        => Uri.TryCreate(value.TrimEnd('/'), UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
            ? uri
            : throw new Hosting.StartupException($"{name}: '{value}' is not a web address", exitCode: 2);
}
