using System.Diagnostics;
using QwenServe.Engine.Scheduling;

namespace QwenServe.Engine.Execution;

/// <summary>
/// Fills the grammar masks of a step on threads of its own while the device computes the step's logits. The engine thread only waits for the
/// rest, and lends a hand while it does, so that it waits for at most one mask a thread.
/// </summary>
internal sealed class MaskFiller : IDisposable
{
    private readonly object _gate = new();
    private readonly Action<long> _filled;
    private readonly Thread[] _threads;
    private readonly List<int> _jobs = new(64);
    private readonly List<(Sequence Sequence, string Error)> _failed = [];
    private ScheduledBatch? _batch;
    private int _taken;
    private int _done;
    private bool _stopped;

    /// <param name="threads">Threads beside the engine's.</param>
    /// <param name="filled">Told of each mask how long it took, in <see cref="Stopwatch"/> ticks; by any thread.</param>
    public MaskFiller(int threads, Action<long> filled)
    {
        _filled = filled;
        _threads = new Thread[threads];
        for (int i = 0; i < threads; i++)
        {
            _threads[i] = new Thread(Work) { IsBackground = true, Name = $"qwenserve-mask-{i}" };
            _threads[i].Start();
        }
    }

    /// <summary>Begins to fill the batch's masks. Its samples must not change until <see cref="Wait"/>.</summary>
    public void Start(ScheduledBatch batch)
    {
        batch.AssignMasks();
        if (batch.MaskCount == 0) return;
        lock (_gate)
        {
            _jobs.Clear();
            for (int i = 0; i < batch.SampleCount; i++)
                if (batch.Samples[i].MaskRow >= 0) _jobs.Add(i);
            _batch = batch;
            _taken = _done = 0;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Returns when all masks are filled; hands out the sequences whose grammar failed, with the reason.</summary>
    public void Wait(List<(Sequence Sequence, string Error)> failed)
    {
        if (_batch is null) return;
        while (TryTake(out var batch, out int sample)) Fill(batch, sample, failed);
        lock (_gate)
        {
            while (_done < _jobs.Count) Monitor.Wait(_gate);
            _batch = null;
            failed.AddRange(_failed);
            _failed.Clear();
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _stopped = true;
            Monitor.PulseAll(_gate);
        }
        foreach (var thread in _threads) thread.Join();
    }

    private void Work()
    {
        while (true)
        {
            ScheduledBatch? batch;
            int sample;
            lock (_gate)
            {
                while (!TryTake(out batch, out sample))
                {
                    if (_stopped) return;
                    Monitor.Wait(_gate);
                }
            }
            Fill(batch, sample, _failed);
        }
    }

    private bool TryTake(out ScheduledBatch batch, out int sample)
    {
        lock (_gate)
        {
            batch = _batch!;
            sample = -1;
            if (_batch is null || _taken == _jobs.Count) return false;
            sample = _jobs[_taken++];
            return true;
        }
    }

    private void Fill(ScheduledBatch batch, int index, List<(Sequence, string)> failed)
    {
        var sample = batch.Samples[index];
        var sequence = sample.Sequence;
        string? error = null;
        long begun = Stopwatch.GetTimestamp();
        try
        {
            int token = sequence.UnacceptedToken;
            sequence.UnacceptedToken = -1;
            if (token >= 0 && !sequence.Mask!.Accept(token)) error = $"token {token} does not follow the grammar";
            else if (sequence.MayJump && sequence.Mask!.Jump(sequence.Group.MaxOutput - sequence.OutputLength - 1) is { Length: > 0 } forced) sequence.Forced = forced;
            else
            {
                var mask = batch.Mask(sample.MaskRow);
                sequence.Mask!.Fill(mask);
                if (!mask.ContainsAnyExcept(0u)) error = "the grammar admits no token";
            }
        }
#pragma warning disable CA1031 // A grammar's fault ends its own choice and nothing else.
        catch (Exception e)
#pragma warning restore CA1031
        {
            error = $"the grammar failed: {e.Message}";
        }
        _filled(Stopwatch.GetTimestamp() - begun);
        lock (_gate)
        {
            if (error is not null) failed.Add((sequence, error));
            if (++_done == _jobs.Count) Monitor.PulseAll(_gate);
        }
    }
}
