using System.Threading.Tasks.Sources;
using QwenServe.Engine.Scheduling;

namespace QwenServe.Engine;

/// <summary>
/// What a request produces, for one reader. It has been submitted already; reading late loses nothing. Disposing before the end aborts the
/// request. The engine appends under a short lock and wakes readers once a step from another thread, so that a reader costs it next to nothing.
/// </summary>
public sealed class GenerationStream : IAsyncEnumerable<TokenEvent>, IAsyncEnumerator<TokenEvent>, IValueTaskSource<bool>
{
    private readonly Lock _gate = new();
    private readonly SequenceGroup _group;
    private ManualResetValueTaskSourceCore<bool> _wait = new() { RunContinuationsAsynchronously = true };
    private CancellationToken _cancellation;
    private CancellationTokenRegistration _registration;
    private TokenEvent[] _events = new TokenEvent[16];
    private int _head;
    private int _count;
    private bool _waiting;
    private bool _completed;
    private bool _disposed;
    private Action<SequenceGroup, int>? _abort;

    internal GenerationStream(SequenceGroup group) => _group = group;

    /// <summary>The request's id.</summary>
    public string Id => _group.Request.Id;

    /// <summary>Prompt tokens whose keys and values came from the prefix cache; known from the first event on.</summary>
    public int CachedTokens => _group.CachedTokens;

    /// <summary>When it came, was begun, and gave its first and its last token so far.</summary>
    public RequestTimes Times => _group.Times;

    /// <summary>The event that the last true of <see cref="MoveNextAsync"/> stands for.</summary>
    public TokenEvent Current { get; private set; }

    /// <summary>Set by the engine thread, and read by it only: whether readers are to be woken after the step.</summary>
    internal bool Dirty { get; set; }

    /// <summary>Whether it stands in the outbox's list of readers to wake; guarded by the outbox.</summary>
    internal bool Queued { get; set; }

    /// <summary>Returns the stream itself: there is one reader.</summary>
    public IAsyncEnumerator<TokenEvent> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.CanBeCanceled)
        {
            _cancellation = cancellationToken;
            _registration = cancellationToken.UnsafeRegister(static s => ((GenerationStream)s!).Wake(), this);
        }
        return this;
    }

    /// <summary>Takes an event that is already there.</summary>
    public bool TryRead(out TokenEvent next)
    {
        lock (_gate) return TryTake(out next);
    }

    /// <summary>Moves to the next event; false after the last event of the last choice.</summary>
    /// <exception cref="OperationCanceledException">The token given to GetAsyncEnumerator was cancelled.</exception>
    public ValueTask<bool> MoveNextAsync()
    {
        lock (_gate)
        {
            if (_cancellation.IsCancellationRequested) return ValueTask.FromException<bool>(new OperationCanceledException(_cancellation));
            if (TryTake(out var next))
            {
                Current = next;
                return ValueTask.FromResult(true);
            }
            if (_completed || _disposed) return ValueTask.FromResult(false);
            if (_waiting) throw new InvalidOperationException("a generation has one reader at a time");
            _waiting = true;
            _wait.Reset();
            return new ValueTask<bool>(this, _wait.Version);
        }
    }

    /// <summary>
    /// Ends a choice of which a token has been read, before the next step, as <see cref="FinishReason.Stop"/>; the others go on. What was drawn
    /// of it in the meantime still comes.
    /// </summary>
    public void StopChoice(int choice)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)choice, (uint)_group.Choices.Length, nameof(choice));
        lock (_gate)
            if (_disposed || _completed) return;
        _abort?.Invoke(_group, choice);
    }

    /// <summary>Ends reading; aborts what has not ended.</summary>
    public ValueTask DisposeAsync()
    {
        bool abort;
        lock (_gate)
        {
            abort = !_disposed && !_completed;
            _disposed = true;
        }
        _registration.Dispose();
        Wake();
        if (abort) _abort?.Invoke(_group, Mailbox.AllChoices);
        return ValueTask.CompletedTask;
    }

    internal void OnAbort(Action<SequenceGroup, int> abort) => _abort = abort;

    internal void Append(in TokenEvent next)
    {
        lock (_gate)
        {
            if (_disposed) return;
            if (_count == _events.Length)
            {
                var larger = new TokenEvent[2 * _count];
                for (int i = 0; i < _count; i++) larger[i] = _events[(_head + i) & (_events.Length - 1)];
                _events = larger;
                _head = 0;
            }
            _events[(_head + _count++) & (_events.Length - 1)] = next;
        }
    }

    /// <summary>No event follows.</summary>
    internal void Complete()
    {
        lock (_gate) _completed = true;
    }

    /// <summary>Lets a waiting reader go on if there is anything for it.</summary>
    internal void Wake()
    {
        bool more;
        lock (_gate)
        {
            if (!_waiting) return;
            if (_cancellation.IsCancellationRequested)
            {
                _waiting = false;
                _wait.SetException(new OperationCanceledException(_cancellation));
                return;
            }
            more = TryTake(out var next);
            if (!more && !_completed && !_disposed) return;
            if (more) Current = next;
            _waiting = false;
        }
        _wait.SetResult(more);
    }

    bool IValueTaskSource<bool>.GetResult(short token) => _wait.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _wait.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
        => _wait.OnCompleted(continuation, state, token, flags);

    private bool TryTake(out TokenEvent next)
    {
        if (_count == 0)
        {
            next = default;
            return false;
        }
        next = _events[_head];
        _events[_head] = default;
        _head = (_head + 1) & (_events.Length - 1);
        _count--;
        return true;
    }
}
