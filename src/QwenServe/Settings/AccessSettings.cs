using QwenServe.Access;
using QwenServe.Hosting;

namespace QwenServe.Settings;

/// <summary>Keys, what each may use, and TLS.</summary>
public sealed record AccessSettings
{
    /// <summary>Keys with names and limits, one a line, read again when it changes.</summary>
    public string? ApiKeyFile { get; init; }

    /// <summary>Requests a minute of keys that have no limit of their own; null: no limit.</summary>
    public int? RequestsPerMinute { get; init; }

    /// <summary>Prompt and generated tokens a minute of keys that have no limit of their own; null: no limit.</summary>
    public long? TokensPerMinute { get; init; }

    /// <summary>Requests at once of keys that have no limit of their own; null: no limit.</summary>
    public int? Concurrency { get; init; }

    /// <summary>Whether <c>/metrics</c> asks for a key too.</summary>
    public bool GuardMetrics { get; init; }

    /// <summary>A certificate in PEM, those between it and its root after it; null: no TLS.</summary>
    public string? SslCertFile { get; init; }

    /// <summary>Its private key in PEM; null: in the certificate's file.</summary>
    public string? SslKeyFile { get; init; }

    internal KeyLimits Limits => new(RequestsPerMinute, TokensPerMinute, Concurrency);

    public static AccessSettings Read(SettingsReader reader)
    {
        var settings = new AccessSettings
        {
            ApiKeyFile = reader.Text("Access:ApiKeyFile"),
            RequestsPerMinute = Limit(reader, "Access:RequestsPerMinute"),
            TokensPerMinute = Limit(reader, "Access:TokensPerMinute"),
            Concurrency = Limit(reader, "Access:Concurrency"),
            GuardMetrics = reader.Switch("Access:GuardMetrics", false),
            SslCertFile = reader.Text("Access:SslCertFile"),
            SslKeyFile = reader.Text("Access:SslKeyFile"),
        };
        return settings.SslKeyFile is null || settings.SslCertFile is not null ? settings : throw new StartupException("--ssl-keyfile is given without --ssl-certfile", exitCode: 2);
    }

    private static int? Limit(SettingsReader reader, string key) => reader.Integer(key, 0, 0, int.MaxValue) is > 0 and var limit ? limit : null;
}
