namespace QwenServe.Settings;

/// <summary>What a single request may ask for.</summary>
public sealed record LimitSettings
{
    public long MaxBodyBytes { get; init; } = 64L << 20;

    /// <summary>Of a request's line and headers together.</summary>
    public int MaxHeaderBytes { get; init; } = 32 << 10;

    /// <summary>From a request's arrival to the end of its answer; null: no limit.</summary>
    public TimeSpan? RequestTimeout { get; init; }

    public int MaxMessages { get; init; } = 4096;

    public int MaxTools { get; init; } = 512;

    /// <summary>JSON of a tool, a format, a pattern or a grammar.</summary>
    public long MaxSchemaBytes { get; init; } = 256 << 10;

    public int MaxStopStrings { get; init; } = 64;

    /// <summary>Characters of a stop string.</summary>
    public int MaxStopLength { get; init; } = 1024;

    /// <summary>0 to 20.</summary>
    public int MaxLogProbs { get; init; } = 20;

    /// <summary>Whether an unknown field is an error; OpenAI's SDKs send new ones from time to time, so it is not by default.</summary>
    public bool RejectUnknownFields { get; init; }

    /// <summary>Responses that are kept to be continued; 0 keeps none.</summary>
    public int MaxStoredResponses { get; init; } = 1000;

    public long MaxStoredResponseBytes { get; init; } = 64L << 20;

    public static LimitSettings Read(SettingsReader reader) => new()
    {
        MaxBodyBytes = reader.Bytes("Limits:MaxBodyBytes", 64L << 20),
        MaxHeaderBytes = reader.Integer("Limits:MaxHeaderBytes", 32 << 10, 1 << 10, 1 << 20),
        RequestTimeout = reader.Number("Limits:RequestTimeout", 0, 0, 1e6) is > 0 and var seconds ? TimeSpan.FromSeconds(seconds) : null,
        MaxMessages = reader.Integer("Limits:MaxMessages", 4096, 1, int.MaxValue),
        MaxTools = reader.Integer("Limits:MaxTools", 512, 0, int.MaxValue),
        MaxSchemaBytes = reader.Bytes("Limits:MaxSchemaBytes", 256L << 10),
        MaxStopStrings = reader.Integer("Limits:MaxStopStrings", 64, 0, int.MaxValue),
        MaxStopLength = reader.Integer("Limits:MaxStopLength", 1024, 1, int.MaxValue),
        MaxLogProbs = reader.Integer("Limits:MaxLogProbs", 20, 0, 20),
        MaxStoredResponses = reader.Integer("Limits:MaxStoredResponses", 1000, 0, int.MaxValue),
        MaxStoredResponseBytes = reader.Bytes("Limits:MaxStoredResponseBytes", 64L << 20),
        RejectUnknownFields = reader.Switch("Limits:RejectUnknownFields", false),
    };
}
