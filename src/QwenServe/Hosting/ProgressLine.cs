using System.Diagnostics;
using System.Globalization;

namespace QwenServe.Hosting;

/// <summary>
/// Shows how far something long has come, on standard error: one line that is redrawn on a terminal, a plain line every few seconds
/// elsewhere. Thread-safe.
/// </summary>
public sealed class ProgressLine(TextWriter output, bool terminal)
{
    private static readonly TimeSpan RedrawEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LineEvery = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private long _shown = Stopwatch.GetTimestamp();
    private string? _activity;
    private bool _drawn;

    public static ProgressLine OnStandardError() => new(Console.Error, !Console.IsErrorRedirected);

    /// <param name="activity">What is being done.</param>
    /// <param name="progress">Share done, 0 to 1; null when unknown.</param>
    /// <param name="detail">Such as <c>1.2 of 3.1 GB</c>.</param>
    public void Report(string activity, double? progress, string? detail = null)
    {
        lock (_gate)
        {
            bool changed = activity != _activity;
            var since = Stopwatch.GetElapsedTime(_shown);
            if (!changed && since < (terminal ? RedrawEvery : LineEvery)) return;
            // Short activities need no line of their own in a log.
            if (!terminal && changed && progress is not null && since < LineEvery && _activity is not null) return;
            _activity = activity;
            _shown = Stopwatch.GetTimestamp();
            string percent = progress is { } share ? string.Create(CultureInfo.InvariantCulture, $" {Math.Clamp(share, 0, 1) * 100,3:F0}%") : "";
            string suffix = detail is null ? "" : "  " + detail;
            if (!terminal)
            {
                output.WriteLine($"{activity}{percent}{suffix}");
                return;
            }
            string bar = progress is { } part ? " [" + new string('#', (int)(Math.Clamp(part, 0, 1) * 24)).PadRight(24, '.') + "]" : "";
            output.Write($"\r\u001b[2K{activity}{bar}{percent}{suffix}");
            _drawn = true;
        }
    }

    /// <summary>Takes the redrawn line away, so that ordinary output can follow.</summary>
    public void Clear()
    {
        lock (_gate)
        {
            if (_drawn) output.Write("\r\u001b[2K");
            _drawn = false;
            _activity = null;
        }
    }
}
