namespace QwenServe.Benchmarks.Load;

/// <summary>
/// Sends a workload and gathers what became of it. In the open loop requests leave when a Poisson process says so, whatever the server does:
/// only that shows queueing. In the closed loop a fixed number of clients each wait for their answer before they ask again.
/// </summary>
internal sealed class LoadRunner(LoadOptions options)
{
    private int _running;
    private int _finished;
    private int _failed;
    private long _pieces;

    public int Running => Volatile.Read(ref _running);

    public int Finished => Volatile.Read(ref _finished);

    public int Failed => Volatile.Read(ref _failed);

    public long Pieces => Interlocked.Read(ref _pieces);

    /// <summary>Share of the run that is over, 0 to 1.</summary>
    public double Progress { get; private set; }

    /// <summary>Seconds from the first counted request to the last answer.</summary>
    public double Seconds { get; private set; }

    /// <returns>The counted requests, warm-up not among them, in order of their end.</returns>
    public async Task<IReadOnlyList<LoadResult>> RunAsync(CancellationToken cancel = default)
    {
        using var client = new LoadClient(options);
        var workload = new Workload(options);
        await Task.WhenAll(Enumerable.Range(0, options.Warmup).Select(_ => client.SendAsync(workload.Next(), client.Now))).ConfigureAwait(false);

        var results = new List<LoadResult>();
        double began = client.Now;
        int sent = 0;
        bool More()
        {
            double elapsed = client.Now - began;
            Progress = options.Duration is { } duration ? Math.Min(1, elapsed / duration.TotalSeconds) : (double)Finished / options.Requests;
            return !cancel.IsCancellationRequested && (options.Duration is { } limit ? elapsed < limit.TotalSeconds : sent < options.Requests);
        }
        async Task Send(LoadRequest request, double due)
        {
            Interlocked.Increment(ref _running);
            var result = await client.SendAsync(request, due, () => Interlocked.Increment(ref _pieces)).ConfigureAwait(false);
            Interlocked.Decrement(ref _running);
            if (result.Error is not null) Interlocked.Increment(ref _failed);
            Interlocked.Increment(ref _finished);
            lock (results) results.Add(result);
        }

        if (options.Rate is not null)
        {
            var open = new List<Task>();
            for (double due = began + workload.Gap(); More(); due += workload.Gap(), sent++)
            {
                var request = workload.Next();
                double at = due, wait = at - client.Now;
                if (wait > 0) await Task.Delay(TimeSpan.FromSeconds(wait), CancellationToken.None).ConfigureAwait(false);
                open.Add(Task.Run(() => Send(request, at), CancellationToken.None));
            }
            await Task.WhenAll(open).ConfigureAwait(false);
        }
        else
        {
            var gate = new Lock();
            LoadRequest? Take()
            {
                lock (gate)
                {
                    if (!More()) return null;
                    sent++;
                    return workload.Next();
                }
            }
            await Task.WhenAll(Enumerable.Range(0, options.Concurrency).Select(_ => Task.Run(async () =>
            {
                while (Take() is { } request) await Send(request, client.Now).ConfigureAwait(false);
            }, CancellationToken.None))).ConfigureAwait(false);
        }
        Seconds = client.Now - began;
        Progress = 1;
        return results;
    }
}
