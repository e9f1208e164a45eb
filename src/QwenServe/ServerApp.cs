using System.Net;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using QwenServe.Access;
using QwenServe.Anthropic;
using QwenServe.Anthropic.Wire;
using QwenServe.Hosting;
using QwenServe.OpenAI;
using QwenServe.OpenAI.Responses;
using QwenServe.Playground;
using QwenServe.Settings;
using Serilog;
using ILogger = Microsoft.Extensions.Logging.ILogger;

namespace QwenServe;

/// <summary>
/// What exists: settings, log, metrics, the model host, and the endpoints on one Kestrel port. The port listens first and the models
/// load behind it. The process's signals are ours, because the framework's own answer to SIGTERM closes the port at once, and then
/// nothing can be refused politely.
/// </summary>
public sealed class ServerApp : IAsyncDisposable
{
    private readonly WebApplication _web;
    private readonly QwenServeSettings _settings;
    private readonly ILogger _log;

    private ServerApp(WebApplication web, QwenServeSettings settings)
    {
        _web = web;
        _settings = settings;
        _log = web.Services.GetRequiredService<ILoggerFactory>().CreateLogger("QwenServe");
    }

    /// <summary>Where the server listens; known after <see cref="StartAsync"/>.</summary>
    public Uri Address { get; private set; } = new("http://127.0.0.1");

    internal IServiceProvider Services => _web.Services;

    /// <summary>Builds the server of the program.</summary>
    public static ServerApp Build(QwenServeSettings settings) => Build(settings, ModelLoading.LoadAsync);

    /// <summary>Builds a server around any model; tests start here.</summary>
    internal static ServerApp Build(QwenServeSettings settings, ModelLoader loader)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = settings.Limits.MaxBodyBytes;
            kestrel.Limits.MaxRequestHeadersTotalSize = settings.Limits.MaxHeaderBytes;
            kestrel.Limits.MaxRequestLineSize = Math.Min(kestrel.Limits.MaxRequestLineSize, settings.Limits.MaxHeaderBytes);
            // Who sends or reads no faster than a drip is cut off after these, and holds neither a connection nor a sequence for longer.
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
            kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));
            kestrel.Limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));
            kestrel.Listen(settings.Server.Host switch
            {
                "*" => IPAddress.IPv6Any,
                "localhost" => IPAddress.Loopback,
                var address => IPAddress.Parse(address),
            }, settings.Server.Port, listener =>
            {
                if (settings.Access.SslCertFile is null) return;
                var certificate = kestrel.ApplicationServices.GetRequiredService<ServerCertificate>();
                listener.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => ValueTask.FromResult(certificate.Options) });
            });
        });
        builder.Logging.AddSerilog(Logging.Create(settings.Log), dispose: true);

        var services = builder.Services;
        services.AddSingleton<IHostLifetime, NoSignals>();
        services.AddRoutingCore();
        services.AddCors(cors => cors.AddDefaultPolicy(policy =>
        {
            if (settings.Server.AllowedOrigins.Contains("*")) policy.AllowAnyOrigin();
            else policy.WithOrigins([.. settings.Server.AllowedOrigins]);
            // Browsers' SDKs send a dozen x-stainless-* headers; allowing any reflects what was asked for.
            policy.AllowAnyHeader().AllowAnyMethod().WithExposedHeaders([RequestIds.Header, MessagesError.RequestIdHeader, "retry-after", "x-should-retry", .. ApiTenant.Headers]).SetPreflightMaxAge(TimeSpan.FromHours(1));
        }));
        services.AddSingleton(settings).AddSingleton(settings.Server).AddSingleton(settings.Limits).AddSingleton(settings.Access).AddSingleton(settings.Log).AddSingleton(settings.Telemetry);
        services.AddSingleton(TimeProvider.System).AddSingleton<ApiKeyRing>().AddSingleton<ServerCertificate>().AddSingleton<TenantMetrics>();
        services.AddSingleton<Lifecycle>().AddSingleton<HttpMetrics>().AddSingleton<ModelHost>().AddSingleton(loader);
        OpenApiEndpoint.AddServices(services);
        services.AddSingleton<Tracing>().AddSingleton<Metrics>().AddSingleton<ResponseStore>();

        var web = builder.Build();
        // What is wrong with keys or certificate is said before anything begins.
        web.Services.GetRequiredService<ApiKeyRing>();
        if (settings.Access.SslCertFile is not null) web.Services.GetRequiredService<ServerCertificate>();
        if (settings.Telemetry.TracesAreOn)
        {
            web.Services.GetRequiredService<Tracing>();
            web.UseMiddleware<RequestTracing>();
        }
        web.UseMiddleware<RequestIds>();
        web.UseMiddleware<HttpMetricsMiddleware>();
        web.UseRouting();
        web.UseMiddleware<ErrorHandling>();
        web.UseCors();
        web.UseMiddleware<ApiKeys>();
        Probes.Map(web);
        ModelsEndpoint.Map(web);
        ChatCompletionsEndpoint.Map(web);
        CompletionsEndpoint.Map(web);
        ResponsesEndpoint.Map(web);
        MessagesEndpoint.Map(web);
        EmbeddingsEndpoint.Map(web);
        ScoreEndpoint.Map(web);
        PoolingEndpoint.Map(web);
        TokenizeEndpoint.Map(web);
        OpenApiEndpoint.Map(web);
        if (settings.Server.Playground) PlaygroundEndpoint.Map(web);
        return new ServerApp(web, settings);
    }

    /// <summary>Opens the port and begins to load the models behind it.</summary>
    /// <exception cref="StartupException">The port cannot be opened.</exception>
    public async Task StartAsync(ProgressLine? progress = null)
    {
        _web.Services.GetRequiredService<Metrics>();
        try
        {
            await _web.StartAsync().ConfigureAwait(false);
        }
        catch (IOException e)
        {
            throw new StartupException($"cannot listen on {_settings.Server.Host}:{_settings.Server.Port}: {(e.InnerException ?? e).Message}", e);
        }
        catch (System.Net.Sockets.SocketException e)
        {
            throw new StartupException($"cannot listen on {_settings.Server.Host}:{_settings.Server.Port}: {e.Message}", e);
        }
        string bound = _web.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        Address = new Uri(bound.Replace("[::]", "localhost", StringComparison.Ordinal).Replace("0.0.0.0", "localhost", StringComparison.Ordinal));
        _log.LogInformation("Listening on {Address}", Address);
        _web.Services.GetRequiredService<ModelHost>().Start(progress ?? new ProgressLine(TextWriter.Null, terminal: false));
    }

    /// <summary>Completes when all models answer.</summary>
    /// <exception cref="StartupException">One cannot be loaded.</exception>
    public Task WhenReadyAsync() => _web.Services.GetRequiredService<ModelHost>().Loaded;

    /// <summary>Lets running requests finish, within the shutdown timeout, and closes the port.</summary>
    public async Task StopAsync()
    {
        await _web.Services.GetRequiredService<Lifecycle>().DrainAsync(_settings.Server.ShutdownTimeout).ConfigureAwait(false);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _web.StopAsync(patience.Token).ConfigureAwait(false);
    }

    /// <summary>Serves until SIGTERM or SIGINT; a second signal ends at once.</summary>
    /// <returns>The exit code of the process.</returns>
    /// <exception cref="StartupException">The server cannot start.</exception>
    public async Task<int> RunAsync()
    {
        var stop = new TaskCompletionSource<PosixSignal>(TaskCreationOptions.RunContinuationsAsynchronously);
        void OnSignal(PosixSignalContext context) => context.Cancel = stop.TrySetResult(context.Signal);
        using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);

        foreach (string warning in _settings.Warnings) _log.LogWarning("{Warning:l}", warning);
        await StartAsync(ProgressLine.OnStandardError()).ConfigureAwait(false);
        var ready = WhenReadyAsync();
        if (await Task.WhenAny(ready, stop.Task).ConfigureAwait(false) == ready)
        {
            try
            {
                await ready.ConfigureAwait(false);
            }
            catch
            {
                // Probes that are being answered are answered to their end.
                await StopAsync().ConfigureAwait(false);
                throw;
            }
            foreach (var model in _web.Services.GetRequiredService<ModelHost>().Models) _log.LogInformation("{Summary:l}", model.Describe(Address));
        }
        var broken = _web.Services.GetRequiredService<ModelHost>().Broken;
        if (await Task.WhenAny(stop.Task, broken).ConfigureAwait(false) == broken)
        {
            // The streams in flight are writing their error frames.
            await StopAsync().ConfigureAwait(false);
            throw new StartupException("the engine has failed: " + await broken.ConfigureAwait(false));
        }
        var signal = await stop.Task.ConfigureAwait(false);
        int running = _web.Services.GetRequiredService<Lifecycle>().Running;
        _log.LogInformation("{Signal}: refusing new requests; requests that run: {Running}, given {Timeout} s to finish", signal, running, _settings.Server.ShutdownTimeout.TotalSeconds);
        await StopAsync().ConfigureAwait(false);
        return 0;
    }

    public ValueTask DisposeAsync() => _web.DisposeAsync();

    /// <summary>Leaves the process's signals to <see cref="RunAsync"/>.</summary>
    private sealed class NoSignals : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
