using System.Globalization;
using System.Text;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace QwenServe.Hosting;

/// <summary>
/// Writes all meters in Prometheus' text format 0.0.4 when scraped.
///
/// OpenTelemetry drops an instrument whose name holds a colon, without a word; so instruments are called <c>vllm.x</c> and the first dot
/// becomes the colon here. Counters get <c>_total</c>. Each series of <c>vllm.</c> and <c>qwenserve.</c> also bears the constant labels. Series of one
/// name stand together whichever engine they are of, because the format wants each name described once.
/// </summary>
internal sealed class PrometheusText : BaseExporter<Metric>, IPullMetricExporter
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>What vLLM called things before: gauges and counters renamed with its second engine, and a histogram renamed in 0.12.</summary>
    internal static readonly (string Name, string Older)[] Aliases =
    [
        ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
        ("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"),
        ("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"),
        ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
    ];

    private Dictionary<string, StringBuilder> _families = [];
    private List<string> _order = [];
    private StringBuilder _text = new();

    /// <summary>Set by the reader: makes it gather and call <see cref="Export"/>.</summary>
    public Func<int, bool>? Collect { get; set; }

    /// <summary>Labels of every series about the model, such as its name.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> ConstantLabels { get; set; } = [];

    /// <summary>Gathers all and writes them as one text. One caller at a time.</summary>
    /// <param name="exporters">What there is.</param>
    /// <param name="aliases">Whether what has an older name is written under that too.</param>
    public static string Scrape(IEnumerable<PrometheusText> exporters, bool aliases)
    {
        var families = new Dictionary<string, StringBuilder>();
        var order = new List<string>();
        foreach (var exporter in exporters)
        {
            (exporter._families, exporter._order) = (families, order);
            exporter.Collect?.Invoke(5000);
        }
        string text = string.Concat(order.Select(name => families[name]));
        return aliases
            ? text + string.Concat(Aliases.Where(a => families.ContainsKey(a.Name)).Select(a => families[a.Name].ToString().Replace(a.Name, a.Older, StringComparison.Ordinal)))
            : text;
    }

    public override ExportResult Export(in Batch<Metric> batch)
    {
        foreach (var metric in batch)
        {
            string type = metric.MetricType switch
            {
                MetricType.LongSum or MetricType.DoubleSum => "counter",
                // Without bounds nothing but sum and count is kept.
                MetricType.Histogram => metric.Name.StartsWith("http_", StringComparison.Ordinal) && metric.Name.EndsWith("_size_bytes", StringComparison.Ordinal) ? "summary" : "histogram",
                _ => "gauge",
            };
            string name = ExposedName(metric.Name, type);
            if (!_families.TryGetValue(name, out var family))
            {
                _families[name] = _text = new StringBuilder();
                _order.Add(name);
                if (!string.IsNullOrEmpty(metric.Description))
                    _text.Append("# HELP ").Append(name).Append(' ').Append(metric.Description.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)).Append('\n');
                _text.Append("# TYPE ").Append(name).Append(' ').Append(type).Append('\n');
            }
            else _text = family;
            bool aboutModel = metric.Name.StartsWith("vllm.", StringComparison.Ordinal) || metric.Name.StartsWith("qwenserve.", StringComparison.Ordinal);
            foreach (ref readonly var point in metric.GetMetricPoints()) WritePoint(name, metric.MetricType, type == "summary", in point, aboutModel);
        }
        return ExportResult.Success;
    }

    internal static string ExposedName(string instrument, string type)
    {
        string name = instrument.StartsWith("vllm.", StringComparison.Ordinal) ? "vllm:" + instrument[5..] : instrument;
        name = name.Replace('.', '_').Replace('-', '_').Replace('/', '_');
        return type == "counter" && !name.EndsWith("_total", StringComparison.Ordinal) ? name + "_total" : name;
    }

    private void WritePoint(string name, MetricType type, bool summary, in MetricPoint point, bool aboutModel)
    {
        switch (type)
        {
            case MetricType.Histogram:
                long cumulative = 0;
                foreach (var bucket in point.GetHistogramBuckets())
                {
                    if (summary) break;
                    cumulative += bucket.BucketCount;
                    WriteSeries(name, "_bucket", in point, aboutModel, double.IsPositiveInfinity(bucket.ExplicitBound) ? "+Inf" : Number(bucket.ExplicitBound));
                    _text.Append(cumulative).Append('\n');
                }
                WriteSeries(name, "_sum", in point, aboutModel, null);
                _text.Append(Number(point.GetHistogramSum())).Append('\n');
                WriteSeries(name, "_count", in point, aboutModel, null);
                _text.Append(point.GetHistogramCount()).Append('\n');
                break;
            case MetricType.LongSum or MetricType.LongSumNonMonotonic:
                WriteSeries(name, "", in point, aboutModel, null);
                _text.Append(point.GetSumLong()).Append('\n');
                break;
            case MetricType.DoubleSum or MetricType.DoubleSumNonMonotonic:
                WriteSeries(name, "", in point, aboutModel, null);
                _text.Append(Number(point.GetSumDouble())).Append('\n');
                break;
            case MetricType.LongGauge:
                WriteSeries(name, "", in point, aboutModel, null);
                _text.Append(point.GetGaugeLastValueLong()).Append('\n');
                break;
            case MetricType.DoubleGauge:
                WriteSeries(name, "", in point, aboutModel, null);
                _text.Append(Number(point.GetGaugeLastValueDouble())).Append('\n');
                break;
            default:
                break;
        }
    }

    private void WriteSeries(string name, string suffix, in MetricPoint point, bool aboutModel, string? bound)
    {
        _text.Append(name).Append(suffix);
        bool any = false;
        if (aboutModel)
            foreach (var (key, value) in ConstantLabels) Label(key, value);
        foreach (var tag in point.Tags) Label(tag.Key.Replace('.', '_'), Convert.ToString(tag.Value, CultureInfo.InvariantCulture) ?? "");
        if (bound is not null) Label("le", bound);
        _text.Append(any ? "} " : " ");

        void Label(string key, string value)
        {
            _text.Append(any ? ',' : '{').Append(key).Append("=\"");
            any = true;
            foreach (char c in value)
            {
                switch (c)
                {
                    case '\\': _text.Append("\\\\"); break;
                    case '"': _text.Append("\\\""); break;
                    case '\n': _text.Append("\\n"); break;
                    default: _text.Append(c); break;
                }
            }
            _text.Append('"');
        }
    }

    /// <summary>As Python writes it, which is what the buckets of existing dashboards and rules are spelled like: 1.0 and not 1.</summary>
    private static string Number(double value)
    {
        if (double.IsNaN(value)) return "NaN";
        if (double.IsInfinity(value)) return value > 0 ? "+Inf" : "-Inf";
        string text = value.ToString("R", CultureInfo.InvariantCulture);
        return text.AsSpan().IndexOfAny('.', 'E') < 0 ? text + ".0" : text;
    }
}
