namespace QwenServe.Settings;

/// <summary>Traces by OpenTelemetry's own variables, and what the metrics carry.</summary>
public sealed record TelemetrySettings
{
    /// <summary>The variables of OpenTelemetry that are heeded: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/</summary>
    public static IReadOnlyList<string> Variables { get; } =
    [
        "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    ];

    /// <summary>Those that are set.</summary>
    public IReadOnlyDictionary<string, string?> OpenTelemetry { get; init; } = new Dictionary<string, string?>();

    /// <summary>Whether metrics bear vLLM's older names beside those of today.</summary>
    public bool MetricAliases { get; init; } = true;

    /// <summary>Whether traces go anywhere; without, they cost nothing.</summary>
    public bool TracesAreOn
        => !string.Equals(Variable("OTEL_SDK_DISABLED"), "true", StringComparison.OrdinalIgnoreCase)
        && !string.Equals(Variable("OTEL_TRACES_EXPORTER"), "none", StringComparison.OrdinalIgnoreCase)
        && (Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") ?? Variable("OTEL_EXPORTER_OTLP_ENDPOINT")) is not null;

    /// <summary>Null when not set, or set to nothing.</summary>
    public string? Variable(string name) => OpenTelemetry.GetValueOrDefault(name) is { } value && !string.IsNullOrWhiteSpace(value) ? value.Trim() : null;

    public static TelemetrySettings Read(SettingsReader reader, Func<string, string?> environment)
    {
        var variables = Variables.ToDictionary(v => v, environment);
        if (reader.Text("Telemetry:OtlpTracesEndpoint") is { } endpoint)
        {
            if (!Uri.TryCreate(endpoint, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
                throw reader.Wrong("Telemetry:OtlpTracesEndpoint", endpoint, "must be an address such as http://localhost:4317");
            variables["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = endpoint;
        }
        return new TelemetrySettings { OpenTelemetry = variables, MetricAliases = reader.Switch("Telemetry:MetricAliases", true) };
    }
}
