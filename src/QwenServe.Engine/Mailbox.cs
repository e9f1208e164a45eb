using System.Diagnostics;
using QwenServe.Engine.Scheduling;

namespace QwenServe.Engine;

/// <summary>
/// The way into the engine thread: requests, bounded in number and prompt tokens, and aborts, which are always taken. A request counts from
/// the moment it is posted until its first step or its abort, so what the bounds hold is the queue, wherever in the engine it stands.
///
/// A full queue refuses those that fill it. A tenant with less than its equal share of the bounds is taken all the same, and so is one of
/// which nothing waits, whatever its size; the queue is therefore at most twice as long as its bounds, a request a tenant aside.
/// </summary>
internal sealed class Mailbox(int maxRequests, long maxTokens)
{
    /// <summary>Instead of a choice: the whole request.</summary>
    public const int AllChoices = -1;

    private readonly object _gate = new();
    private readonly Dictionary<string, Share> _shares = new(StringComparer.Ordinal);
    private readonly DrainRate _drain = new(horizon: 10);
    private List<SequenceGroup> _added = new(64);
    private List<(SequenceGroup Group, int Choice)> _aborted = new(64);
    private int _queuedRequests;
    private long _queuedTokens;
    private double _told;
    private double _toldAt;
    private string? _closed;
    private bool _faulted;
    private bool _rung;

    /// <summary>Requests posted that are in no step yet, and their prompt tokens.</summary>
    public (int Requests, long Tokens) Queued
    {
        get { lock (_gate) return (_queuedRequests, _queuedTokens); }
    }

    /// <summary>Whether so much of a tenant would be taken now.</summary>
    public bool HasRoom(string tenant, int requests, long tokens)
    {
        lock (_gate) return _closed is not null || Fits(tenant, requests, tokens);
    }

    /// <summary>Takes requests of one tenant, all or none; false when the queue is full.</summary>
    /// <exception cref="EngineUnavailableException">The mailbox has been closed.</exception>
    public bool TryPost(ReadOnlySpan<SequenceGroup> groups)
    {
        lock (_gate)
        {
            if (_closed is not null) throw new EngineUnavailableException(_closed, _faulted);
            string tenant = groups[0].Request.Tenant;
            long tokens = 0;
            foreach (var group in groups) tokens += group.Request.Weight;
            if (!Fits(tenant, groups.Length, tokens)) return false;
            if (!_shares.TryGetValue(tenant, out var share)) _shares.Add(tenant, share = new Share());
            if (_queuedRequests == 0) _drain.Begin(Now());
            share.Requests += groups.Length;
            share.Tokens += tokens;
            _queuedRequests += groups.Length;
            _queuedTokens += tokens;
            foreach (var group in groups)
            {
                group.Counted = true;
                _added.Add(group);
            }
            Monitor.Pulse(_gate);
            return true;
        }
    }

    /// <summary>Ends a request, or one choice of it, before the next step; a request's place in the queue is free at once.</summary>
    public void Abort(SequenceGroup group, int choice)
    {
        lock (_gate)
        {
            if (choice == AllChoices && group.Counted) Release(group);
            _aborted.Add((group, choice));
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>The request no longer waits: it has got its first step, or has ended.</summary>
    public void Leave(SequenceGroup group)
    {
        lock (_gate)
        {
            if (!group.Counted) return;
            _drain.Left(Now(), 1, group.Request.Weight);
            Release(group);
        }
    }

    /// <summary>
    /// When there will be room for so much at the measured pace, behind those who were refused before and told so; never later than what waits
    /// now takes to leave.
    /// </summary>
    /// <returns>1 to 60 seconds.</returns>
    public TimeSpan RetryAfter(int requests, long tokens)
    {
        lock (_gate)
        {
            double now = Now();
            double whole = _drain.SecondsFor(now, _queuedRequests, _queuedTokens);
            double room = _drain.SecondsFor(now, _queuedRequests + requests - maxRequests, _queuedTokens + tokens - maxTokens);
            _told = Math.Max(0, _told - (now - _toldAt)) + _drain.SecondsFor(now, requests, tokens);
            _toldAt = now;
            return TimeSpan.FromSeconds(Math.Clamp(Math.Ceiling(Math.Min(whole, room + _told)), 1, 60));
        }
    }

    /// <summary>Exchanges the caller's empty lists for what has come; waits for something, a ring or the timeout when asked to.</summary>
    public void Receive(ref List<SequenceGroup> added, ref List<(SequenceGroup Group, int Choice)> aborted, int waitMilliseconds)
    {
        lock (_gate)
        {
            if (waitMilliseconds != 0 && _added.Count == 0 && _aborted.Count == 0 && !_rung) Monitor.Wait(_gate, waitMilliseconds);
            _rung = false;
            (_added, added) = (added, _added);
            (_aborted, aborted) = (aborted, _aborted);
        }
    }

    /// <summary>Ends the current or next wait.</summary>
    public void Ring()
    {
        lock (_gate)
        {
            _rung = true;
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Refuses all further requests with this message; the first reason given stays.</summary>
    public void Close(string message, bool faulted)
    {
        lock (_gate)
        {
            if (_closed is not null && !faulted) return;
            _closed = message;
            _faulted = faulted;
            _rung = true;
            Monitor.Pulse(_gate);
        }
    }

    private bool Fits(string tenant, int requests, long tokens)
    {
        if (_queuedRequests + requests <= maxRequests && _queuedTokens + tokens <= maxTokens) return true;
        if (!_shares.TryGetValue(tenant, out var share)) return true;
        return _shares.Count > 1 && share.Requests + requests <= maxRequests / _shares.Count && share.Tokens + tokens <= maxTokens / _shares.Count;
    }

    private void Release(SequenceGroup group)
    {
        group.Counted = false;
        _queuedRequests--;
        _queuedTokens -= group.Request.Weight;
        var share = _shares[group.Request.Tenant];
        share.Tokens -= group.Request.Weight;
        if (--share.Requests == 0) _shares.Remove(group.Request.Tenant);
    }

    private static double Now() => (double)Stopwatch.GetTimestamp() / Stopwatch.Frequency;

    /// <summary>What a tenant has in the queue.</summary>
    private sealed class Share
    {
        public int Requests { get; set; }

        public long Tokens { get; set; }
    }
}
