using System.Diagnostics.Metrics;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using QwenServe.Access;

namespace QwenServe.Hosting;

/// <summary>Gathers the meters of one server, however many servers a process holds, and exposes them.</summary>
internal sealed class Metrics : IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<(MeterProvider Provider, PrometheusText Exporter)> _gatherers = [];

    public Metrics(HttpMetrics http, TenantMetrics tenants)
    {
        Gather([], http.Meter, "System.Runtime");
        Gather([], tenants.Meter);
    }

    /// <summary>Adds an engine's meter, once there is one.</summary>
    public void Attach(Meter engine, string model) => Gather([new("model_name", model), new("engine", "0")], engine);

    public string Scrape()
    {
        lock (_gate) return PrometheusText.Scrape(_gatherers.Select(g => g.Exporter));
    }

    public void Dispose()
    {
        foreach (var (provider, _) in _gatherers) provider.Dispose();
    }

    private void Gather(IReadOnlyList<KeyValuePair<string, string>> labels, Meter meter, params string[] more)
    {
        var exporter = new PrometheusText { ConstantLabels = labels };
        var provider = Sdk.CreateMeterProviderBuilder()
            .AddMeter([meter.Name, .. more])
            // Meters are found by name; another server's of the same name is not ours.
            .AddView(instrument => ReferenceEquals(instrument.Meter, meter) || more.Contains(instrument.Meter.Name) ? null : MetricStreamConfiguration.Drop)
            .AddReader(new BaseExportingMetricReader(exporter))
            .Build();
        lock (_gate) _gatherers.Add((provider, exporter));
    }
}
