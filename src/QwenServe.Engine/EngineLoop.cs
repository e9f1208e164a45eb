using System.Diagnostics;
using QwenServe.Compute;
using QwenServe.Engine.Diagnostics;
using QwenServe.Engine.Execution;
using QwenServe.Engine.Scheduling;

namespace QwenServe.Engine;

/// <summary>
/// The heart of the engine: what happens in a step, and between steps. One thread runs it and owns everything it touches; others reach it
/// through the <see cref="Mailbox"/> and hear from it through the <see cref="Outbox"/>.
///
/// The plain step does one thing after the other. The overlapped step queues the forward pass of the next batch before it looks at the
/// results of the last, so that the device never waits for the host; the tokens in between it reads from the slots they were drawn into. Both
/// are the same calls in another order and give the same tokens. A choice that turns out to have ended takes part in one forward
/// pass too many, of which nothing is drawn.
///
/// Where a grammar forces what comes next, a sequence takes that in place of a draw, and the next step computes all of it like a piece of a prompt.
/// </summary>
internal sealed class EngineLoop
{
    private static readonly TimeSpan MemoryAge = TimeSpan.FromSeconds(10);

    private readonly ModelRunner _runner;
    private readonly Scheduler _scheduler;
    private readonly Mailbox _mailbox;
    private readonly Outbox _outbox;
    private readonly MaskFiller _masks;
    private readonly EngineMetrics _metrics;
    private readonly bool _overlap;
    private readonly List<(Sequence Sequence, string Error)> _failed = [];
    private List<SequenceGroup> _added = new(64);
    private List<(SequenceGroup Group, int Choice)> _aborted = new(64);
    private ScheduledBatch _batch;
    private ScheduledBatch _next;
    private bool _inFlight;
    private bool _checked = true;
    private long _stopTimestamp = long.MaxValue;
    private long _progressTimestamp = Stopwatch.GetTimestamp();
    private long _mark;
    private long _availableMemory;
    private long _memoryTimestamp;

    public EngineLoop(ModelRunner runner, Scheduler scheduler, Mailbox mailbox, Outbox outbox, MaskFiller masks, EngineMetrics metrics, bool overlap)
    {
        _runner = runner;
        _scheduler = scheduler;
        _mailbox = mailbox;
        _outbox = outbox;
        _masks = masks;
        _metrics = metrics;
        _overlap = overlap;
        _batch = new ScheduledBatch(runner.Limits, runner.MaskStride);
        _next = new ScheduledBatch(runner.Limits, runner.MaskStride);
        _scheduler.LeftQueue = mailbox.Leave;
        _availableMemory = runner.AvailableMemory;
        _memoryTimestamp = _mark = Stopwatch.GetTimestamp();
    }

    /// <summary>Whether there is anything to compute or to wait for.</summary>
    public bool HasWork => _inFlight || _scheduler.HasWork;

    /// <summary>What broke the loop, or null.</summary>
    public string? Fault { get; private set; }

    /// <summary>Bytes that the device could still give, looked up every ten seconds while there is work.</summary>
    public long AvailableMemory => Interlocked.Read(ref _availableMemory);

    /// <summary>When the loop last got on.</summary>
    public long ProgressTimestamp => Volatile.Read(ref _progressTimestamp);

    /// <summary>Runs until <see cref="Stop"/> or a fault; no request is left without an end.</summary>
    public void Run()
    {
        string end = "the server is shutting down";
        try
        {
            while (Receive(wait: true)) Step();
        }
#pragma warning disable CA1031 // Whatever it is, every reader has to hear of it.
        catch (Exception e)
#pragma warning restore CA1031
        {
            end = $"the engine failed: {e.Message}";
            Fault = $"{e.GetType().Name}: {e.Message}";
        }
        _mailbox.Close(end, Fault is not null);
        EndEverything(end);
    }

    /// <summary>Any thread: ends the loop when its work is done, or once the time is over.</summary>
    public void Stop(TimeSpan timeout)
    {
        long ticks = timeout < TimeSpan.Zero ? long.MaxValue : Stopwatch.GetTimestamp() + (long)Math.Min(timeout.TotalSeconds * Stopwatch.Frequency, long.MaxValue / 4);
        Interlocked.Exchange(ref _stopTimestamp, Math.Min(ticks, long.MaxValue - 1));
        _mailbox.Ring();
    }

    /// <summary>Takes in requests and aborts; when asked to, waits for some if there is nothing to do. False when the loop shall end.</summary>
    public bool Receive(bool wait)
    {
        while (true)
        {
            Begin();
            bool idle = !HasWork;
            long now = _mark;
            if (idle && !_checked)
            {
                _scheduler.CheckIntegrity();
                _checked = true;
            }
            long stop = Interlocked.Read(ref _stopTimestamp);
            _mailbox.Receive(ref _added, ref _aborted, idle && wait && stop == long.MaxValue ? Timeout.Infinite : 0);
            // Before there is work: however long the loop has waited, that was no step that hangs.
            Volatile.Write(ref _progressTimestamp, Stopwatch.GetTimestamp());
            foreach (var group in _added)
            {
                _metrics.Muted = group.Request.WarmUp;
                _scheduler.Add(group);
            }
            foreach (var (group, choice) in _aborted)
            {
                if (choice == Mailbox.AllChoices) _scheduler.End(group, FinishReason.Abort, null);
                else _scheduler.Stop(group.Choices[choice]);
            }
            _added.Clear();
            _aborted.Clear();
            _scheduler.EndExpired(now);
            _outbox.Flush();
            Volatile.Write(ref _progressTimestamp, Stopwatch.GetTimestamp());
            stop = Interlocked.Read(ref _stopTimestamp);
            if (stop != long.MaxValue && (!HasWork || Stopwatch.GetTimestamp() >= stop)) return false;
            if (!HasWork && wait) continue;
            if (!idle) Took(StepStage.Receive);
            if (Stopwatch.GetElapsedTime(_memoryTimestamp, _mark) > MemoryAge)
            {
                Interlocked.Exchange(ref _availableMemory, _runner.AvailableMemory);
                _memoryTimestamp = _mark;
            }
            return true;
        }
    }

    /// <summary>One step; the results of the last one too when steps overlap.</summary>
    public void Step()
    {
        if (!HasWork) return;
        _checked = false;
        if (_overlap) OverlappedStep();
        else PlainStep();
        Volatile.Write(ref _progressTimestamp, Stopwatch.GetTimestamp());
    }

    private void PlainStep()
    {
        Begin();
        _scheduler.Schedule(_batch);
        Took(StepStage.Schedule);
        if (_batch.IsEmpty) throw new InvalidOperationException("there is work, but nothing can be computed");
        _masks.Start(_batch);
        _runner.Forward(_batch);
        Took(StepStage.Forward);
        WaitForMasks(_batch);
        Took(StepStage.Masks);
        _runner.Sample(_batch);
        Took(StepStage.Sample);
        CommitOldest(_batch);
    }

    private void OverlappedStep()
    {
        Begin();
        _scheduler.Schedule(_next);
        Took(StepStage.Schedule);
        if (_next.IsEmpty && !_inFlight) throw new InvalidOperationException("there is work, but nothing can be computed");
        if (!_next.IsEmpty) _runner.Forward(_next);
        Took(StepStage.Forward);
        if (_inFlight) CommitOldest(_batch);
        (_batch, _next) = (_next, _batch);
        _inFlight = !_batch.IsEmpty;
        if (!_inFlight) return;
        _batch.DropFinished();
        _masks.Start(_batch);
        WaitForMasks(_batch);
        Took(StepStage.Masks);
        _runner.Sample(_batch);
        Took(StepStage.Sample);
    }

    private void CommitOldest(ScheduledBatch batch)
    {
        Begin();
        var results = _runner.Complete();
        Took(StepStage.Complete);
        _scheduler.Commit(batch, results, Stopwatch.GetTimestamp());
        _outbox.Flush();
        Took(StepStage.Commit);
    }

    private void WaitForMasks(ScheduledBatch batch)
    {
        _masks.Wait(_failed);
        _scheduler.TakeForced(batch, Stopwatch.GetTimestamp());
        if (_failed.Count > 0)
        {
            foreach (var (sequence, error) in _failed) _scheduler.Fail(sequence, error);
            _failed.Clear();
            batch.DropFinished();
        }
        _outbox.Flush();
    }

    private void EndEverything(string message)
    {
        _mailbox.Receive(ref _added, ref _aborted, 0);
        foreach (var group in _added) _scheduler.Add(group);
        _scheduler.EndAll(FinishReason.Error, message);
        _outbox.Flush();
        _inFlight = false;
        Volatile.Write(ref _progressTimestamp, Stopwatch.GetTimestamp());
    }

    private void Begin() => _mark = Stopwatch.GetTimestamp();

    private void Took(StepStage stage)
    {
        long now = Stopwatch.GetTimestamp();
        _metrics.StageTook(stage, now - _mark);
        _mark = now;
    }
}
