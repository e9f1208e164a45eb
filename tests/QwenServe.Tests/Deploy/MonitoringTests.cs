using System.Diagnostics.Metrics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using QwenServe.Access;
using QwenServe.Hosting;
using QwenServe.Tests.Api;

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
    public async Task Alerts_use_only_exposed_metrics()
    {
        var exposed = await ExposedAsync();
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
    public async Task The_dashboard_uses_only_exposed_metrics()
    {
        var exposed = await ExposedAsync();
        int seen = Queries().Sum(q => AssertExposed(q.Expression, exposed));
        using var dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "dashboard.json")));
        foreach (var variable in dashboard.RootElement.GetProperty("templating").GetProperty("list").EnumerateArray())
            if (variable.GetProperty("type").GetString() == "query")
                seen += AssertExposed(variable.GetProperty("query").GetProperty("query").GetString()!.Split(',')[0].Replace("label_values(", "", StringComparison.Ordinal).Split('{')[0], exposed);
        Assert.True(seen > 60);
    }

    [Fact]
    public async Task Every_figure_of_our_own_has_a_panel()
    {
        var asked = Queries().SelectMany(q => Identifiers().Matches(q.Expression)).Select(m => Family(m.Value)).ToHashSet();
        var ours = (await ExposedAsync()).Where(n => n.StartsWith("qwenserve_", StringComparison.Ordinal)).Select(Family).ToHashSet();
        Assert.True(ours.Count > 10);
        Assert.Empty(ours.Except(asked));

        static string Family(string name) => HistogramPart().Replace(name, "");
    }

    [Fact]
    public void Panels_lie_side_by_side_and_are_told_apart()
    {
        using var dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "dashboard.json")));
        var panels = dashboard.RootElement.GetProperty("panels").EnumerateArray().ToList();
        Assert.Equal(panels.Count, panels.Select(p => p.GetProperty("id").GetInt32()).Distinct().Count());
        Assert.Equal(panels.Count, panels.Select(p => p.GetProperty("title").GetString()).Distinct().Count());
        var taken = new HashSet<(int, int)>();
        foreach (var place in panels.Select(p => p.GetProperty("gridPos")))
        {
            int left = place.GetProperty("x").GetInt32(), top = place.GetProperty("y").GetInt32(), right = left + place.GetProperty("w").GetInt32(), bottom = top + place.GetProperty("h").GetInt32();
            Assert.InRange(right, left + 1, 24);
            for (int x = left; x < right; x++)
                for (int y = top; y < bottom; y++) Assert.True(taken.Add((x, y)), $"two panels at column {x}, line {y}");
        }
    }

    [Fact]
    public async Task Autoscaling_asks_for_exposed_metrics()
    {
        var exposed = await ExposedAsync();
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

    /// <summary>Every name that /metrics of a running server can have, from the instruments themselves: some have no series before something happens.</summary>
    private static async Task<HashSet<string>> ExposedAsync()
    {
        var names = new HashSet<string> { "up" };
        var model = ScriptedModel.Saying("Hello.");
        await using var server = await TestServer.StartAsync(model);
        var services = server.App.Services;
        Meter[] meters = [model.Engine!.Metrics.Meter, .. services.GetRequiredService<ModelHost>().Models.Select(m => m.Metrics.Meter), services.GetRequiredService<HttpMetrics>().Meter, services.GetRequiredService<TenantMetrics>().Meter];
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (!meters.Contains(instrument.Meter) && instrument.Meter.Name != "System.Runtime") return;
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

    /// <summary>What the panels of the dashboard ask for.</summary>
    /// <returns>Title, expression and legend of each query.</returns>
    internal static List<(string Title, string Expression, string Legend)> Queries()
    {
        using var dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "dashboard.json")));
        return [.. dashboard.RootElement.GetProperty("panels").EnumerateArray().Where(p => p.GetProperty("type").GetString() != "row")
            .SelectMany(p => p.GetProperty("targets").EnumerateArray().Select(t => (p.GetProperty("title").GetString()!, t.GetProperty("expr").GetString()!, t.GetProperty("legendFormat").GetString()!)))];
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

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex HistogramPart();

    [GeneratedRegex(@"[a-zA-Z_:][a-zA-Z0-9_:]*")]
    private static partial Regex Identifiers();
}
