using System.Diagnostics.Metrics;
using System.Text.Json;
using System.Text.RegularExpressions;
using QwenServe.Engine.Diagnostics;
using QwenServe.Hosting;

namespace QwenServe.Tests.Deploy;

/// <summary>Dashboard and alerts ask only for what the server exposes, and the tools of Prometheus accept them.</summary>
public partial class MonitoringTests
{
    private static readonly string Folder = Path.Combine(Repository.Root, "deploy", "kustomize", "monitoring");
    private static readonly HashSet<string> Words = ["by", "without", "on", "ignoring", "group_left", "group_right", "bool", "and", "or", "unless", "offset", "inf", "nan"];

    [ToolFact("promtool")]
    public void Promtool_accepts_rules_and_configuration()
    {
        Tool.Check("promtool", "check", "rules", Path.Combine(Folder, "alerts.yml"));
        using var folder = new TemporaryDirectory();
        File.Copy(Path.Combine(Folder, "alerts.yml"), Path.Combine(folder.Path, "alerts.yml"));
        File.Copy(Path.Combine(Repository.Root, "docker", "prometheus.yml"), Path.Combine(folder.Path, "prometheus.yml"));
        string output = Tool.Check("promtool", "check", "config", Path.Combine(folder.Path, "prometheus.yml"));
        Assert.Contains("1 rule files found", output, StringComparison.Ordinal);
    }

    [ToolFact("promtool")]
    public void Alerts_fire_when_they_should_and_are_silent_otherwise()
    {
        using var folder = new TemporaryDirectory();
        File.Copy(Path.Combine(Folder, "alerts.yml"), Path.Combine(folder.Path, "alerts.yml"));
        File.Copy(Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Deploy", "alerts_test.yml"), Path.Combine(folder.Path, "test.yml"));
        Tool.Check("promtool", "test", "rules", Path.Combine(folder.Path, "test.yml"));
    }

    [Fact]
    public void The_operators_rule_object_carries_the_same_groups()
    {
        string[] rules = File.ReadAllLines(Path.Combine(Folder, "alerts.yml")).SkipWhile(l => l != "groups:").ToArray();
        string[] carried = File.ReadAllLines(Path.Combine(Folder, "prometheusrule.yaml")).SkipWhile(l => l != "  groups:").Select(l => l.Length == 0 ? l : l[2..]).ToArray();
        Assert.Equal(rules, carried);
    }

    [Fact]
    public void Alerts_use_only_exposed_metrics()
    {
        var exposed = Exposed();
        string[] lines = File.ReadAllLines(Path.Combine(Folder, "alerts.yml"));
        int seen = 0;
        for (int i = 0; i < lines.Length; i++)
        {
            string line = lines[i].Trim();
            if (!line.StartsWith("expr: ", StringComparison.Ordinal)) continue;
            string expression = line["expr: ".Length..];
            if (expression == ">-")
            {
                int depth = Indent(lines[i]);
                expression = string.Join(' ', lines.Skip(i + 1).TakeWhile(l => Indent(l) > depth));
            }
            seen += AssertExposed(expression, exposed);
        }
        Assert.True(seen >= 10);
    }

    [Fact]
    public void The_dashboard_uses_only_exposed_metrics()
    {
        var exposed = Exposed();
        using var dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "dashboard.json")));
        int seen = 0;
        var ids = new HashSet<int>();
        foreach (var panel in dashboard.RootElement.GetProperty("panels").EnumerateArray())
        {
            Assert.True(ids.Add(panel.GetProperty("id").GetInt32()));
            if (panel.GetProperty("type").GetString() == "row") continue;
            foreach (var target in panel.GetProperty("targets").EnumerateArray()) seen += AssertExposed(target.GetProperty("expr").GetString()!, exposed);
        }
        foreach (var variable in dashboard.RootElement.GetProperty("templating").GetProperty("list").EnumerateArray())
            if (variable.GetProperty("type").GetString() == "query")
                seen += AssertExposed(variable.GetProperty("query").GetProperty("query").GetString()!.Split(',')[0].Replace("label_values(", "", StringComparison.Ordinal).Split('{')[0], exposed);
        Assert.True(seen > 30);
    }

    [Fact]
    public void Autoscaling_asks_for_exposed_metrics()
    {
        var exposed = Exposed();
        string text = File.ReadAllText(Path.Combine(Repository.Root, "deploy", "kustomize", "overlays", "autoscale", "scaledobject.yaml"));
        Assert.Equal(2, Regex.Matches(text, "query: (.*)").Sum(m => AssertExposed(m.Groups[1].Value, exposed)));
    }

    private static int AssertExposed(string expression, HashSet<string> exposed)
    {
        string bare = Selectors().Replace(Strings().Replace(expression, ""), "");
        bare = Grouping().Replace(Durations().Replace(bare, ""), " ");
        int seen = 0;
        foreach (Match match in Identifiers().Matches(bare))
        {
            if (Words.Contains(match.Value.ToLowerInvariant()) || bare.AsSpan(match.Index + match.Length).TrimStart().StartsWith("(")) continue;
            Assert.True(exposed.Contains(match.Value), $"{match.Value} is not exposed; asked for by {expression}");
            seen++;
        }
        return seen;
    }

    /// <summary>Every name of /metrics, from the instruments themselves.</summary>
    private static HashSet<string> Exposed()
    {
        var names = new HashSet<string> { "up" };
        using var engine = new EngineMetrics(32768);
        using var http = new HttpMetrics();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, _) =>
        {
            bool ours = ReferenceEquals(instrument.Meter, engine.Meter) || ReferenceEquals(instrument.Meter, http.Meter) || instrument.Meter.Name == "System.Runtime";
            if (!ours) return;
            string kind = instrument.GetType().Name;
            string type = kind.StartsWith("Histogram", StringComparison.Ordinal) ? "histogram" : kind.Contains("UpDown", StringComparison.Ordinal) || kind.Contains("Gauge", StringComparison.Ordinal) ? "gauge" : "counter";
            string name = PrometheusText.ExposedName(instrument.Name, type);
            if (type != "histogram") names.Add(name);
            else foreach (string suffix in new[] { "_bucket", "_sum", "_count" }) names.Add(name + suffix);
        };
        listener.Start();
        Assert.Contains("vllm:num_requests_waiting", names);
        Assert.Contains("http_requests_total", names);
        return names;
    }

    private static int Indent(string line) => line.Length - line.TrimStart().Length;

    [GeneratedRegex("\"[^\"]*\"")]
    private static partial Regex Strings();

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Selectors();

    [GeneratedRegex(@"\[[^\]]*\]")]
    private static partial Regex Durations();

    [GeneratedRegex(@"\b(by|without|on|ignoring)\s*\([^)]*\)")]
    private static partial Regex Grouping();

    [GeneratedRegex(@"[a-zA-Z_:][a-zA-Z0-9_:]*")]
    private static partial Regex Identifiers();
}
