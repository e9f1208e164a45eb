namespace QwenServe.Settings;

/// <summary>What a single request may ask for.</summary>
public sealed record LimitSettings
{
    public long MaxBodyBytes { get; init; } = 64L << 20;

    /// <summary>0 to 20.</summary>
    public int MaxLogProbs { get; init; } = 20;

    /// <summary>Whether an unknown field is an error; OpenAI's SDKs send new ones from time to time, so it is not by default.</summary>
    public bool RejectUnknownFields { get; init; }

    /// <summary>Responses that are kept to be continued; 0 keeps none.</summary>
    public int MaxStoredResponses { get; init; } = 1000;

    public long MaxStoredResponseBytes { get; init; } = 64L << 20;

    public static LimitSettings Read(SettingsReader reader) => new()
    {
        MaxBodyBytes = reader.Bytes("Limits:MaxBodyBytes") ?? 64L << 20,
        MaxLogProbs = reader.Integer("Limits:MaxLogProbs", 20, 0, 20),
        MaxStoredResponses = reader.Integer("Limits:MaxStoredResponses", 1000, 0, int.MaxValue),
        MaxStoredResponseBytes = reader.Bytes("Limits:MaxStoredResponseBytes") ?? 64L << 20,
        RejectUnknownFields = reader.Switch("Limits:RejectUnknownFields", false),
    };
}
