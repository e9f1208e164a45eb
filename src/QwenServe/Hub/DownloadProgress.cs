using System.Diagnostics;
using System.Globalization;

namespace QwenServe.Hub;

/// <summary>How far a download has come, over all its files. Thread-safe.</summary>
internal sealed class DownloadProgress(Action<string, double?, string?> report)
{
    private readonly long _started = Stopwatch.GetTimestamp();
    private string _activity = "downloading";
    private long _total;
    private long _done;

    public void Begin(string repository, long total)
    {
        _activity = "downloading " + repository;
        _total = total;
        if (total > 0) Show();
    }

    public void Add(long bytes)
    {
        Interlocked.Add(ref _done, bytes);
        Show();
    }

    public void Say(string line) => report(line, null, null);

    private void Show()
    {
        long done = Interlocked.Read(ref _done);
        double seconds = Math.Max(0.001, Stopwatch.GetElapsedTime(_started).TotalSeconds);
        report(_activity, _total == 0 ? null : (double)done / _total,
            string.Create(CultureInfo.InvariantCulture, $"{done / 1e6:F0} of {_total / 1e6:F0} MB, {done / 1e6 / seconds:F0} MB/s"));
    }
}
