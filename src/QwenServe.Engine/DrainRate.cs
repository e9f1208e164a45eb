namespace QwenServe.Engine;

/// <summary>
/// How fast a queue empties, in requests and in tokens a second, measured while something waits; what lies longer back counts for less.
/// Times are in seconds on any clock. Not thread-safe.
/// </summary>
/// <param name="horizon">Seconds after which an observation counts for 1/e.</param>
internal sealed class DrainRate(double horizon)
{
    private double _requests;
    private double _tokens;
    private double _seconds;
    private double _mark;

    /// <summary>The queue was empty and is so no more.</summary>
    public void Begin(double now) => _mark = now;

    /// <summary>Something has left the queue.</summary>
    public void Left(double now, int requests, long tokens)
    {
        Pass(now);
        _requests += requests;
        _tokens += tokens;
    }

    /// <summary>How long so much takes to leave at the measured pace; as long as nothing has left, no less than the wait so far.</summary>
    public double SecondsFor(double now, double requests, double tokens)
    {
        Pass(now);
        double seconds = Math.Max(_seconds, 1e-3);
        if (_requests < 1e-3) return seconds;
        return Math.Max(Math.Max(requests, 0) * seconds / _requests, _tokens > 0 ? Math.Max(tokens, 0) * seconds / _tokens : 0);
    }

    private void Pass(double now)
    {
        double elapsed = Math.Max(0, now - _mark);
        double kept = Math.Exp(-elapsed / horizon);
        _requests *= kept;
        _tokens *= kept;
        // The integral of the same weight over the time that has passed.
        _seconds = _seconds * kept + horizon * (1 - kept);
        _mark = now;
    }
}
