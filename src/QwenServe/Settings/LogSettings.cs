namespace QwenServe.Settings;

/// <summary>How the log is written. Keys are never in it, and prompts only where <see cref="Requests"/> says so.</summary>
public sealed record LogSettings
{
    /// <summary>verbose, debug, information, warning or error.</summary>
    public string Level { get; init; } = "information";

    /// <summary>Whether each line is a JSON object.</summary>
    public bool Json { get; init; }

    /// <summary>Whether the bodies of requests are written.</summary>
    public bool Requests { get; init; }

    public static LogSettings Read(SettingsReader reader) => new()
    {
        Level = reader.Choice("Log:Level", "information", "verbose", "debug", "information", "warning", "error"),
        Json = reader.Choice("Log:Format", "auto", "auto", "text", "json") switch
        {
            "json" => true,
            "text" => false,
            _ => Console.IsOutputRedirected,
        },
        Requests = reader.Switch("Log:Requests", false),
    };
}
