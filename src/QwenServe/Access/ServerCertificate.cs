using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using QwenServe.Hosting;
using QwenServe.Settings;

namespace QwenServe.Access;

/// <summary>
/// The certificate that Kestrel shows, with those between it and its root, read again when its files change: a renewed one serves the next
/// connection, and those that are open go on. Files that cannot be used leave the certificate as it is.
/// </summary>
internal sealed class ServerCertificate : IDisposable
{
    private readonly PolledFiles _files;
    private volatile SslServerAuthenticationOptions _options;

    /// <exception cref="StartupException">The files cannot be used.</exception>
    public ServerCertificate(AccessSettings settings, TimeProvider time, ILogger<ServerCertificate> log)
    {
        // As vLLM has it, the key may be in the certificate's file.
        string[] paths = settings.SslKeyFile is { } key ? [settings.SslCertFile!, key] : [settings.SslCertFile!];
        try
        {
            byte[][] contents = [.. paths.Select(File.ReadAllBytes)];
            _options = Read(contents);
            _files = new PolledFiles(paths, contents, files =>
            {
                _options = Read(files);
                log.LogInformation("The certificate has changed: {Subject}, valid until {End:u}", Certificate.Subject, Certificate.NotAfter.ToUniversalTime());
            }, message => log.LogError("The certificate {Path}: {Message:l}; the one before it stays in use", paths[0], message), time);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new StartupException($"--ssl-certfile {string.Join(", --ssl-keyfile ", paths)}: {e.Message}", e, 2);
        }
    }

    public X509Certificate2 Certificate => _options.ServerCertificateContext!.TargetCertificate;

    /// <summary>For the next handshake.</summary>
    public SslServerAuthenticationOptions Options => _options;

    /// <summary>Looks at the files now rather than within a second.</summary>
    public void Poll() => _files.Poll();

    public void Dispose() => _files.Dispose();

    private static SslServerAuthenticationOptions Read(byte[][] files)
    {
        string pem = Encoding.UTF8.GetString(files[0]);
        var certificate = X509Certificate2.CreateFromPem(pem, Encoding.UTF8.GetString(files[^1]));
        var chain = new X509Certificate2Collection();
        chain.ImportFromPem(pem);
        return new SslServerAuthenticationOptions
        {
            // Those after the first, as the file has them; nothing is fetched.
            ServerCertificateContext = SslStreamCertificateContext.Create(certificate, [.. chain.Skip(1)], offline: true),
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
        };
    }
}
