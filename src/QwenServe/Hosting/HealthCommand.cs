using System.Globalization;
using System.Net;
using QwenServe.Settings;

namespace QwenServe.Hosting;

/// <summary>
/// <c>qwenserve health</c>: asks <c>/readyz</c> of the server that the same settings describe, for containers that have neither a shell nor
/// curl. Ends with 0 when the server is ready.
/// </summary>
internal static class HealthCommand
{
    /// <param name="settings">Where the server listens.</param>
    /// <param name="output">Takes the server's answer, or why there is none.</param>
    /// <param name="tls">Whether it speaks TLS there; whose certificate it shows does not matter here.</param>
    /// <returns>The exit code: 0 ready, 1 not.</returns>
    public static async Task<int> RunAsync(ServerSettings settings, TextWriter output, bool tls = false)
    {
        string host = settings.Host is "*" or "0.0.0.0" or "::" or "localhost" ? "127.0.0.1" : settings.Host;
        if (IPAddress.TryParse(host, out var address) && address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6) host = $"[{host}]";
        var uri = new Uri($"{(tls ? "https" : "http")}://{host}:{settings.Port.ToString(CultureInfo.InvariantCulture)}/readyz");
        using var handler = new SocketsHttpHandler { UseProxy = false, ConnectTimeout = TimeSpan.FromSeconds(2) };
#pragma warning disable CA5359 // It asks the machine it runs on and sends nothing secret; the certificate is for the name that clients use.
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        using var client = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(4) };
        try
        {
            using var response = await client.GetAsync(uri).ConfigureAwait(false);
            await output.WriteLineAsync(await response.Content.ReadAsStringAsync().ConfigureAwait(false)).ConfigureAwait(false);
            return response.IsSuccessStatusCode ? 0 : 1;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            await output.WriteLineAsync($"{uri}: {e.Message}").ConfigureAwait(false);
            return 1;
        }
    }
}
