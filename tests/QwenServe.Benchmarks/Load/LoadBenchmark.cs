using System.Globalization;

namespace QwenServe.Benchmarks.Load;

/// <summary><c>qwenserve-bench load</c>: load on any OpenAI-compatible server, and what it did with it.</summary>
internal static class LoadBenchmark
{
    public static int Run(string[] args)
    {
        var options = LoadOptions.Parse(args);
        var runner = new LoadRunner(options);
        using var stop = new CancellationTokenSource();
        ConsoleCancelEventHandler onInterrupt = (_, e) =>
        {
            // The first interrupt ends the sending; what is in flight is still counted.
            e.Cancel = !stop.IsCancellationRequested;
            stop.Cancel();
        };
        Console.CancelKeyPress += onInterrupt;
        var running = runner.RunAsync(stop.Token);
        ShowProgress(runner, running);
        Console.CancelKeyPress -= onInterrupt;
        var summary = new LoadSummary(options, running.GetAwaiter().GetResult(), runner.Seconds);
        Console.Out.Write(summary.Table());
        if (options.Svg is { } svg) File.WriteAllText(svg, LoadChart.Draw(summary));
        if (options.Json is { } json) File.WriteAllText(json, summary.Json() + "\n");
        return summary.Answered > 0 ? 0 : 1;
    }

    private static void ShowProgress(LoadRunner runner, Task running)
    {
        bool terminal = !Console.IsErrorRedirected;
        var every = terminal ? TimeSpan.FromMilliseconds(200) : TimeSpan.FromSeconds(10);
        long pieces = 0;
        while (!running.Wait(every))
        {
            double pace = (runner.Pieces - pieces) / every.TotalSeconds;
            pieces = runner.Pieces;
            int done = (int)(24 * Math.Clamp(runner.Progress, 0, 1));
            string line = string.Create(CultureInfo.InvariantCulture,
                $"[{new string('#', done)}{new string('.', 24 - done)}] {100 * runner.Progress,3:F0}%  {runner.Finished} answered, {runner.Running} in flight, {runner.Failed} failed, {pace:F0} pieces/s");
            if (terminal) Console.Error.Write("\r\u001b[2K" + line);
            else Console.Error.WriteLine(line);
        }
        if (terminal) Console.Error.Write("\r\u001b[2K");
    }
}
