using System.Diagnostics.Metrics;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace QwenServe.Hosting;

/// <summary>Gathers the meters of one server, however many servers a process holds, and exposes them.</summary>
internal sealed class Metrics : IDisposable
{
    private readonly PrometheusText _exporter = new();
    private readonly MeterProvider _provider;

    /// <param name="isOurs">Whether an instrument belongs to this server.</param>
    public Metrics(Func<Instrument, bool> isOurs)
    {
        _provider = Sdk.CreateMeterProviderBuilder()
            .AddMeter("QwenServe", HttpMetrics.MeterName, "System.Runtime")
            .AddView(instrument => isOurs(instrument) ? null : MetricStreamConfiguration.Drop)
            .AddReader(new BaseExportingMetricReader(_exporter))
            .Build();
    }

    public void SetModel(string name) => _exporter.ConstantLabels = [new("model_name", name), new("engine", "0")];

    public string Scrape() => _exporter.Scrape();

    public void Dispose() => _provider.Dispose();
}
