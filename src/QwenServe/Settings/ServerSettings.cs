using System.Net;

namespace QwenServe.Settings;

/// <summary>Where the server listens and who may call it.</summary>
public sealed record ServerSettings
{
    public string Host { get; init; } = "127.0.0.1";

    public int Port { get; init; } = 8000;

    /// <summary>Empty: no key is asked for.</summary>
    public IReadOnlyList<string> ApiKeys { get; init; } = [];

    public IReadOnlyList<string> AllowedOrigins { get; init; } = ["*"];

    /// <summary>Whether <c>/</c> is a page to talk to the model with.</summary>
    public bool Playground { get; init; } = true;

    public TimeSpan ShutdownTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a client may leave what was sent unread.</summary>
    public TimeSpan ClientTimeout { get; init; } = TimeSpan.FromSeconds(60);

    public static ServerSettings Read(SettingsReader reader)
    {
        var origins = reader.List("Server:AllowedOrigins");
        string host = reader.Text("Server:Host", "127.0.0.1");
        if (host is not ("localhost" or "*") && !IPAddress.TryParse(host, out _))
            throw reader.Wrong("Server:Host", host, "must be an IP address, localhost or *");
        return new ServerSettings
        {
            Host = host,
            Port = reader.Integer("Server:Port", 8000, 0, 65535),
            ApiKeys = reader.Secrets("Server:ApiKey"),
            AllowedOrigins = origins.Count == 0 ? ["*"] : origins,
            ClientTimeout = TimeSpan.FromSeconds(reader.Number("Server:ClientTimeout", 60, 0.1, 86_400)),
            Playground = reader.Switch("Server:Playground", true),
            ShutdownTimeout = TimeSpan.FromSeconds(reader.Number("Server:ShutdownTimeout", 30, 0, 86_400)),
        };
    }
}
