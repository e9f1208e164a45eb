namespace QwenServe.Settings;

/// <summary>What a single request may ask for.</summary>
public sealed record LimitSettings
{
    public long MaxBodyBytes { get; init; } = 64L << 20;

    /// <summary>0 to 20.</summary>
    public int MaxLogProbs { get; init; } = 20;

    /// <summary>Whether an unknown field is an error; OpenAI's SDKs send new ones from time to time, so it is not by default.</summary>
    public bool RejectUnknownFields { get; init; }

    public static LimitSettings Read(SettingsReader reader) => new()
    {
        MaxBodyBytes = reader.Bytes("Limits:MaxBodyBytes") ?? 64L << 20,
        MaxLogProbs = reader.Integer("Limits:MaxLogProbs", 20, 0, 20),
        RejectUnknownFields = reader.Switch("Limits:RejectUnknownFields", false),
    };
}
