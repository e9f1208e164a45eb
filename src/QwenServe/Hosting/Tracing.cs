using System.Globalization;
using Microsoft.Extensions.Configuration;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using QwenServe.Settings;

namespace QwenServe.Hosting;

/// <summary>Sends spans over OTLP as the variables of OpenTelemetry say. Made only when they name an endpoint.</summary>
internal sealed class Tracing : IDisposable
{
    private readonly TracerProvider _provider;

    /// <exception cref="StartupException">A variable has no meaning.</exception>
    public Tracing(TelemetrySettings settings)
    {
        // The library reads the variables itself, from the configuration it is given.
        IConfiguration variables = new ConfigurationBuilder().AddInMemoryCollection(settings.OpenTelemetry.Where(v => !string.IsNullOrWhiteSpace(v.Value))).Build();
        try
        {
            _provider = Sdk.CreateTracerProviderBuilder()
                .ConfigureServices(services => services.AddSingleton(variables))
                .SetResourceBuilder(ResourceBuilder.CreateEmpty().AddService("qwenserve", serviceVersion: Probes.Version).AddTelemetrySdk().AddEnvironmentVariableDetector())
                .AddSource(Spans.SourceName)
                .AddOtlpExporter(options => Configure(options, settings))
                .Build();
        }
        catch (Exception e) when (e is FormatException or ArgumentException or NotSupportedException or UriFormatException)
        {
            throw new StartupException("the variables of OpenTelemetry: " + e.Message, e, exitCode: 2);
        }
    }

    /// <summary>Sends what has not been sent, for five seconds at most.</summary>
    public void Dispose() => _provider.Dispose();

    /// <summary>The variables for traces go before those for all signals, and their endpoint is taken as it is.</summary>
    private static void Configure(OtlpExporterOptions options, TelemetrySettings settings)
    {
        if (settings.Variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") is { } protocol)
            options.Protocol = protocol switch
            {
                "grpc" => OtlpExportProtocol.Grpc,
                "http/protobuf" => OtlpExportProtocol.HttpProtobuf,
                _ => throw new FormatException($"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: '{protocol}' must be grpc or http/protobuf"),
            };
        if (settings.Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") is { } endpoint) options.Endpoint = new Uri(endpoint);
        if (settings.Variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS") is { } headers) options.Headers = headers;
        if (settings.Variable("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT") is { } timeout) options.TimeoutMilliseconds = int.Parse(timeout, NumberStyles.None, CultureInfo.InvariantCulture);
    }
}
