using System.Diagnostics.Metrics;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using QwenServe.Access;
using QwenServe.Settings;

namespace QwenServe.Hosting;

/// <summary>Gathers the meters of one server, however many servers a process holds, and exposes them.</summary>
internal sealed class Metrics : IDisposable
{
    /// <summary>Gauges whose names end like a histogram's part, which Prometheus' linter objects to.</summary>
    private static readonly string[] Unwanted = ["dotnet.assembly.count", "dotnet.process.cpu.count", "dotnet.timer.count"];

    private readonly Lock _gate = new();
    private readonly bool _aliases;
    private readonly List<(MeterProvider Provider, PrometheusText Exporter)> _gatherers = [];

    public Metrics(HttpMetrics http, TenantMetrics tenants, TelemetrySettings telemetry)
    {
        _aliases = telemetry.MetricAliases;
        Gather([], http.Meter, "System.Runtime");
        Gather([], tenants.Meter);
    }

    /// <summary>Adds the meters of a model and its engine, once there is one.</summary>
    public void Attach(ServedModel model)
    {
        Gather([new("model_name", model.Name), new("engine", "0")], model.Engine.Metrics.Meter);
        Gather([new("model_name", model.Name)], model.Metrics.Meter);
    }

    public string Scrape()
    {
        lock (_gate) return PrometheusText.Scrape(_gatherers.Select(g => g.Exporter), _aliases);
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
            .AddView(instrument => ReferenceEquals(instrument.Meter, meter) || more.Contains(instrument.Meter.Name) && !Unwanted.Contains(instrument.Name) ? null : MetricStreamConfiguration.Drop)
            .AddReader(new BaseExportingMetricReader(exporter))
            .Build();
        lock (_gate) _gatherers.Add((provider, exporter));
    }
}
