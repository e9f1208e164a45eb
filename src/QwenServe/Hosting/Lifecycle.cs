using System.Globalization;
using QwenServe.OpenAI.Wire;

namespace QwenServe.Hosting;

public enum LifecyclePhase
{
    /// <summary>The port answers; the model is being fetched, loaded or warmed up.</summary>
    Loading,

    Ready,

    /// <summary>Running requests finish; new ones are refused.</summary>
    Draining,

    /// <summary>The model could not be loaded or the engine died; the process is about to end.</summary>
    Failed,
}

/// <summary>Where the server is between start and end, and how many requests are in it. Thread-safe.</summary>
public sealed class Lifecycle : IDisposable
{
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _expired = new();
    private int _running;

    public LifecyclePhase Phase { get; private set; } = LifecyclePhase.Loading;

    /// <summary>What is being done now, for people and for <c>/readyz</c>.</summary>
    public string Activity { get; private set; } = "starting";

    /// <summary>Share of <see cref="Activity"/> that is done, 0 to 1; null when unknown.</summary>
    public double? Progress { get; private set; }

    /// <summary>Generating requests that have been admitted and not yet answered to the end.</summary>
    public int Running
    {
        get { lock (_gate) return _running; }
    }

    /// <summary>Cancelled when draining has taken as long as it may: what still runs has to end with an error.</summary>
    public CancellationToken Expired => _expired.Token;

    public void Report(string activity, double? progress)
    {
        lock (_gate)
        {
            Activity = activity;
            Progress = progress;
        }
    }

    public void BecomeReady()
    {
        lock (_gate)
        {
            if (Phase == LifecyclePhase.Loading) Phase = LifecyclePhase.Ready;
        }
    }

    public void Fail()
    {
        lock (_gate) Phase = LifecyclePhase.Failed;
        _idle.TrySetResult();
    }

    /// <summary>Admits a request that will use the engine; dispose what comes back when it has been answered.</summary>
    /// <exception cref="ApiException">503: not ready yet, or no longer.</exception>
    public Admission Enter()
    {
        lock (_gate)
        {
            ThrowIfNotReady();
            _running++;
            return new Admission(this);
        }
    }

    /// <exception cref="ApiException">503 with progress.</exception>
    public void ThrowIfNotReady()
    {
        switch (Phase)
        {
            case LifecyclePhase.Loading:
                string done = Progress is { } share ? string.Create(CultureInfo.InvariantCulture, $" ({share * 100:F0}%)") : "";
                throw ApiException.NotReady($"The model is not ready yet: {Activity}{done}.", TimeSpan.FromSeconds(Progress is > 0.8 ? 1 : 2));
            case LifecyclePhase.Draining:
                throw ApiException.NotReady("The server is shutting down.", TimeSpan.FromSeconds(5));
            case LifecyclePhase.Failed:
                throw ApiException.NotReady("The server has failed.", TimeSpan.FromSeconds(5));
            default:
                return;
        }
    }

    /// <summary>Refuses new requests and waits for the running ones, at most for <paramref name="timeout"/>.</summary>
    public async Task DrainAsync(TimeSpan timeout)
    {
        lock (_gate)
        {
            if (Phase != LifecyclePhase.Failed) Phase = LifecyclePhase.Draining;
            if (_running == 0) _idle.TrySetResult();
        }
        try
        {
            await _idle.Task.WaitAsync(timeout).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            await _expired.CancelAsync().ConfigureAwait(false);
            // The cut requests write their error frame; that takes milliseconds, unless a client does not read.
            for (int i = 0; i < 100 && Running > 0; i++) await Task.Delay(20).ConfigureAwait(false);
        }
    }

    public void Dispose() => _expired.Dispose();

    private void Leave()
    {
        lock (_gate)
        {
            if (--_running == 0 && Phase == LifecyclePhase.Draining) _idle.TrySetResult();
        }
    }

    /// <summary>A request's place in the server.</summary>
    public sealed class Admission : IDisposable
    {
        private Lifecycle? _owner;

        internal Admission(Lifecycle owner) => _owner = owner;

        public void Dispose() => Interlocked.Exchange(ref _owner, null)?.Leave();
    }
}
