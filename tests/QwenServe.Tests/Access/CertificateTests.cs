using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.DependencyInjection;
using QwenServe.Access;
using QwenServe.Hosting;
using QwenServe.Settings;
using QwenServe.Tests.Api;

namespace QwenServe.Tests.Access;

public sealed class CertificateTests : IDisposable
{
    private readonly TemporaryDirectory _folder = new();

    private string CertFile => Path.Combine(_folder.Path, "tls.crt");

    private string KeyFile => Path.Combine(_folder.Path, "tls.key");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task A_chat_over_TLS(string http)
    {
        Write("one");
        await using var server = await StartAsync();
        Assert.Equal("https", server.App.Address.Scheme);
        using var client = Client(server, out var shown);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(ChatTests.Body(), System.Text.Encoding.UTF8, "application/json"),
            Version = new Version(http),
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        using var response = await client.SendAsync(request);
        Assert.Contains("Hi.", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(["CN=one"], shown);
        using var output = new StringWriter();
        Assert.Equal(0, await HealthCommand.RunAsync(new ServerSettings { Port = server.App.Address.Port }, output, tls: true));
    }

    [Fact]
    public async Task A_renewed_certificate_is_shown_without_a_restart()
    {
        Write("one");
        await using var server = await StartAsync();
        var certificate = server.App.Services.GetRequiredService<ServerCertificate>();
        Assert.Equal("CN=one", await ShownAsync(server));
        Write("two");
        certificate.Poll();
        Assert.Equal("CN=two", await ShownAsync(server));
        // A certificate whose key is still the old one's, and then no certificate at all.
        string key = await File.ReadAllTextAsync(KeyFile);
        Write("three");
        string newKey = await File.ReadAllTextAsync(KeyFile);
        await File.WriteAllTextAsync(KeyFile, key);
        certificate.Poll();
        string shown = await ShownAsync(server);
        Assert.True(shown is "CN=two" or "CN=three", shown);
        await File.WriteAllTextAsync(CertFile, "-----BEGIN");
        certificate.Poll();
        Assert.Equal(shown, await ShownAsync(server));
        Write("four");
        for (int i = 0; i < 2000 && await ShownAsync(server) != "CN=four"; i++) await Task.Delay(20);
        Assert.Equal("CN=four", await ShownAsync(server));
        Assert.NotEqual(newKey, await File.ReadAllTextAsync(KeyFile));
    }

    [Fact]
    public async Task Certificate_and_key_may_be_in_one_file_and_what_is_neither_is_refused()
    {
        Write("one");
        await File.AppendAllTextAsync(CertFile, "\n" + await File.ReadAllTextAsync(KeyFile));
        File.Delete(KeyFile);
        await using (var server = await StartAsync(key: false)) Assert.Equal("CN=one", await ShownAsync(server));
        await File.WriteAllTextAsync(CertFile, "nothing");
        var error = await Assert.ThrowsAsync<StartupException>(() => StartAsync(key: false));
        Assert.Equal(2, error.ExitCode);
        Assert.Contains(CertFile, error.Message, StringComparison.Ordinal);
    }

    private Task<TestServer> StartAsync(bool key = true)
        => TestServer.StartAsync(ScriptedModel.Saying("Hi."), s => s with { Access = new AccessSettings { SslCertFile = CertFile, SslKeyFile = key ? KeyFile : null } });

    private void Write(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + name, key, HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        File.WriteAllText(CertFile, certificate.ExportCertificatePem());
        File.WriteAllText(KeyFile, key.ExportPkcs8PrivateKeyPem());
    }

    private static HttpClient Client(TestServer server, out List<string> shown)
    {
        var subjects = shown = [];
        return new HttpClient(new SocketsHttpHandler
        {
            SslOptions = new SslClientAuthenticationOptions
            {
#pragma warning disable CA5359 // The certificates of these tests are their own.
                RemoteCertificateValidationCallback = (_, certificate, _, _) =>
                {
                    lock (subjects) subjects.Add(certificate!.Subject);
                    return true;
                },
#pragma warning restore CA5359
            },
        })
        { BaseAddress = server.App.Address, Timeout = TimeSpan.FromSeconds(60) };
    }

    /// <summary>What a new connection is shown.</summary>
    private static async Task<string> ShownAsync(TestServer server)
    {
        using var client = Client(server, out var shown);
        using var response = await client.GetAsync(new Uri("/livez", UriKind.Relative));
        Assert.True(response.IsSuccessStatusCode);
        return Assert.Single(shown);
    }
}
