namespace QwenServe.Engine;

/// <summary>
/// Carries events from the engine thread to the readers. The engine thread only appends; waking a reader costs a system call at times,
/// so once a step the streams that got something are handed to a thread of the pool, which wakes their readers.
/// </summary>
internal sealed class Outbox : IThreadPoolWorkItem
{
    private readonly Lock _gate = new();
    private readonly List<GenerationStream> _touched = new(256);
    private List<GenerationStream> _pending = new(256);
    private List<GenerationStream> _waking = new(256);
    private bool _active;

    public void Send(GenerationStream stream, in TokenEvent next)
    {
        stream.Append(next);
        Touch(stream);
    }

    public void Complete(GenerationStream stream)
    {
        stream.Complete();
        Touch(stream);
    }

    /// <summary>Has the readers of all streams touched since the last call woken.</summary>
    public void Flush()
    {
        if (_touched.Count == 0) return;
        bool start;
        lock (_gate)
        {
            foreach (var stream in _touched)
            {
                stream.Dirty = false;
                if (stream.Queued) continue;
                stream.Queued = true;
                _pending.Add(stream);
            }
            start = !_active;
            _active = true;
        }
        _touched.Clear();
        if (start) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute()
    {
        while (true)
        {
            lock (_gate)
            {
                if (_pending.Count == 0)
                {
                    _active = false;
                    return;
                }
                (_pending, _waking) = (_waking, _pending);
                foreach (var stream in _waking) stream.Queued = false;
            }
            foreach (var stream in _waking) stream.Wake();
            _waking.Clear();
        }
    }

    private void Touch(GenerationStream stream)
    {
        if (stream.Dirty) return;
        stream.Dirty = true;
        _touched.Add(stream);
    }
}
