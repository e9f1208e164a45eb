using System.Globalization;
using System.Text;

namespace QwenServe.Benchmarks.Load;

/// <summary>Two pictures in one SVG: the share of requests (or tokens) within a time, and what was going on over the run.</summary>
internal static class LoadChart
{
    private const int Width = 900, PanelHeight = 280, Left = 60, Right = 20;
    private static readonly string[] Colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

    public static string Draw(LoadSummary summary)
    {
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {2 * PanelHeight + 40}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
        Distribution(svg, summary, 30);
        Course(svg, summary, PanelHeight + 50);
        return svg.Append("</svg>\n").ToString();
    }

    private static void Distribution(StringBuilder svg, LoadSummary summary, int top)
    {
        var values = summary.Latencies.SelectMany(l => l.Sorted).Where(v => v > 0).ToList();
        double low = values.Count == 0 ? 1e-3 : Math.Floor(Math.Log10(values.Min())), high = values.Count == 0 ? 1 : Math.Ceiling(Math.Log10(values.Max()));
        if (high <= low) high = low + 1;
        int bottom = top + PanelHeight - 60;
        double X(double seconds) => Left + (Math.Log10(Math.Max(seconds, Math.Pow(10, low))) - low) / (high - low) * (Width - Left - Right);
        double Y(double share) => bottom - share * (bottom - top);
        Title(svg, "Share within a time", top - 12);
        foreach (double share in new[] { 0, 0.25, 0.5, 0.75, 0.9, 1 }) Rule(svg, Left, Y(share), Width - Right, Y(share), (share * 100).ToString("F0", CultureInfo.InvariantCulture) + "%", Left - 8, Y(share) + 4, "end");
        for (double power = low; power <= high; power++)
        {
            double seconds = Math.Pow(10, power);
            string label = seconds < 1 ? (seconds * 1000).ToString("0.###", CultureInfo.InvariantCulture) + " ms" : seconds.ToString("0", CultureInfo.InvariantCulture) + " s";
            Rule(svg, X(seconds), top, X(seconds), bottom, label, X(seconds), bottom + 16, "middle");
        }
        for (int i = 0; i < summary.Latencies.Count; i++)
        {
            var (name, sorted) = summary.Latencies[i];
            // A few hundred points draw the same line as a million.
            var points = Enumerable.Range(0, sorted.Length == 0 ? 0 : 301).Select(p => (X(LoadSummary.Percentile(sorted, p / 300.0)), Y(p / 300.0)));
            Line(svg, points, Colors[i], name, i, bottom + 36);
        }
    }

    private static void Course(StringBuilder svg, LoadSummary summary, int top)
    {
        int bottom = top + PanelHeight - 60;
        double begin = summary.Results.Count == 0 ? 0 : summary.Results.Min(r => r.Due), end = summary.Results.Count == 0 ? 1 : Math.Max(begin + 0.001, summary.Results.Max(r => r.End));
        int bins = 120;
        double width = (end - begin) / bins;
        double[] pieces = new double[bins], running = new double[bins], failed = new double[bins];
        foreach (var result in summary.Results)
        {
            foreach (double at in result.Pieces) pieces[Bin(at)] += 1 / width;
            if (result.Error is not null) failed[Bin(result.End)]++;
            for (int bin = Bin(result.Due); bin <= Bin(result.End); bin++)
                running[bin] += (Math.Min(result.End, begin + (bin + 1) * width) - Math.Max(result.Due, begin + bin * width)) / width;
        }
        int Bin(double at) => Math.Clamp((int)((at - begin) / width), 0, bins - 1);
        Title(svg, "Over the run, each line by its own maximum", top - 12);
        for (int i = 0; i <= 6; i++)
        {
            double x = Left + i / 6.0 * (Width - Left - Right);
            Rule(svg, x, top, x, bottom, ((end - begin) * i / 6).ToString("F1", CultureInfo.InvariantCulture) + " s", x, bottom + 16, "middle");
        }
        int series = 0;
        foreach (var (name, row) in new[] { ("pieces/s", pieces), ("in flight", running), ("errors", failed) })
        {
            double most = row.Max();
            var points = row.Select((value, bin) => (Left + (bin + 0.5) / bins * (Width - Left - Right), bottom - (most > 0 ? value / most : 0) * (bottom - top)));
            Line(svg, points, Colors[series], $"{name} (max {most.ToString("F0", CultureInfo.InvariantCulture)})", series, bottom + 36);
            series++;
        }
    }

    private static void Title(StringBuilder svg, string text, double y) => svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left}\" y=\"{y}\" font-weight=\"bold\">{text}</text>\n");

    private static void Rule(StringBuilder svg, double x1, double y1, double x2, double y2, string label, double x, double y, string anchor)
        => svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x1:F1}\" y1=\"{y1:F1}\" x2=\"{x2:F1}\" y2=\"{y2:F1}\" stroke=\"#ddd\"/><text x=\"{x:F1}\" y=\"{y:F1}\" text-anchor=\"{anchor}\" fill=\"#555\">{label}</text>\n");

    private static void Line(StringBuilder svg, IEnumerable<(double X, double Y)> points, string color, string name, int index, double legend)
    {
        svg.Append(CultureInfo.InvariantCulture, $"<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"1.6\" points=\"");
        foreach (var (x, y) in points) svg.Append(CultureInfo.InvariantCulture, $"{x:F1},{y:F1} ");
        double at = Left + index * 180;
        svg.Append(CultureInfo.InvariantCulture, $"\"/><rect x=\"{at}\" y=\"{legend - 9}\" width=\"14\" height=\"4\" fill=\"{color}\"/><text x=\"{at + 20}\" y=\"{legend - 2}\">{name}</text>\n");
    }
}
