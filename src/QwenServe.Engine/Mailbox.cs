using QwenServe.Engine.Scheduling;

namespace QwenServe.Engine;

/// <summary>
/// The way into the engine thread: requests, bounded in number and prompt tokens, and aborts, which are always taken. A request counts from
/// the moment it is posted until its first step, so what the bounds hold is the queue, wherever in the engine it stands.
/// </summary>
internal sealed class Mailbox(int maxRequests, long maxTokens)
{
    private readonly object _gate = new();
    private List<SequenceGroup> _added = new(64);
    private List<SequenceGroup> _aborted = new(64);
    private int _queuedRequests;
    private long _queuedTokens;
    private string? _closed;
    private bool _faulted;
    private bool _rung;

    /// <summary>Requests posted that are in no step yet, and their prompt tokens.</summary>
    public (int Requests, long Tokens) Queued
    {
        get { lock (_gate) return (_queuedRequests, _queuedTokens); }
    }

    /// <summary>Takes a request; false when the queue is full.</summary>
    /// <exception cref="EngineUnavailableException">The mailbox has been closed.</exception>
    public bool TryPost(SequenceGroup group)
    {
        lock (_gate)
        {
            if (_closed is not null) throw new EngineUnavailableException(_closed, _faulted);
            long tokens = Weight(group);
            if (_queuedRequests > 0 && (_queuedRequests >= maxRequests || _queuedTokens + tokens > maxTokens)) return false;
            _queuedRequests++;
            _queuedTokens += tokens;
            _added.Add(group);
            Monitor.Pulse(_gate);
            return true;
        }
    }

    public void Abort(SequenceGroup group)
    {
        lock (_gate)
        {
            _aborted.Add(group);
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>The request no longer counts as queued.</summary>
    public void Leave(SequenceGroup group)
    {
        lock (_gate)
        {
            _queuedRequests--;
            _queuedTokens -= Weight(group);
        }
    }

    /// <summary>Exchanges the caller's empty lists for what has come; waits for something, a ring or the timeout when asked to.</summary>
    public void Receive(ref List<SequenceGroup> added, ref List<SequenceGroup> aborted, int waitMilliseconds)
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

    private static long Weight(SequenceGroup group) => (long)group.Request.Prompt.Length * group.Choices.Length;
}
