using System.Diagnostics;
using QwenServe.Compute;
using QwenServe.Engine.Cache;
using QwenServe.Engine.Diagnostics;

namespace QwenServe.Engine.Scheduling;

/// <summary>
/// Decides what each step computes, and what its results mean. Owns all sequences that have left the mailbox, their blocks and their slots;
/// called by the engine thread only.
///
/// A step first gives each sequence that lacks one token that token, then fills its budget with chunks of those that lack more, in the order
/// in which they were admitted, then admits waiting ones as the <see cref="FairQueue"/> offers them. When blocks run out the one admitted last
/// (of the lowest priority) loses all of its own and waits to compute them anew; the oldest therefore always gets on, and every request
/// that fits the cache by itself ends.
///
/// <see cref="Schedule"/> may be called for the next step before <see cref="Commit"/> of this one. Blocks and slots of a sequence that ends are
/// given on at once all the same: a device works through its calls in order, so a step already queued is done before the next owner's begins.
/// </summary>
internal sealed class Scheduler
{
    /// <summary>Where the places in line of requests begin that have had no step.</summary>
    private const long NotAdmitted = 1L << 46;

    private readonly StepLimits _limits;
    private readonly KvCache _cache;
    private readonly Outbox _outbox;
    private readonly EngineMetrics _metrics;
    private readonly FairQueue _waiting = new();
    private readonly Sequence[] _running;
    private readonly int[] _freeSlots;
    private readonly ScheduledRow[] _singles;
    private readonly ScheduledRow[] _chunks;
    private int _runningCount;
    private int _freeSlotCount;
    private int _singleCount;
    private int _chunkCount;
    private int _budget;
    private int _samplesLeft;
    private int _unforked;
    private long _nextTimeout = long.MaxValue;
    private bool _preempted;
    private bool _ended;
    private long _arrivals;
    private long _admissions;

    public Scheduler(StepLimits limits, KvCache cache, Outbox outbox, EngineMetrics metrics)
    {
        _limits = limits;
        _cache = cache;
        _outbox = outbox;
        _metrics = metrics;
        _running = new Sequence[limits.Sequences];
        _singles = new ScheduledRow[limits.Sequences];
        _chunks = new ScheduledRow[limits.Sequences];
        _freeSlots = new int[limits.Sequences];
        for (int i = 0; i < _freeSlots.Length; i++) _freeSlots[i] = _freeSlots.Length - 1 - i;
        _freeSlotCount = _freeSlots.Length;
    }

    public int RunningCount => _runningCount;

    /// <summary>Choices that wait, those for the prompt of their first choice included.</summary>
    public int WaitingCount => _waiting.Count + _unforked;

    /// <summary>Those of <see cref="WaitingCount"/> that wait for the prompt of their first choice.</summary>
    public int UnforkedCount => _unforked;

    public bool HasWork => _runningCount > 0 || _waiting.Count > 0;

    public KvCache Cache => _cache;

    /// <summary>Tenants whose service is on record.</summary>
    public int TenantCount => _waiting.TenantCount;

    /// <summary>Called once a group gets into its first step, or ends before it.</summary>
    public Action<SequenceGroup>? LeftQueue { get; set; }

    public void Add(SequenceGroup group)
    {
        SetOrder(group, NotAdmitted + _arrivals++);
        _unforked += group.Unforked;
        _nextTimeout = Math.Min(_nextTimeout, group.TimeoutTimestamp);
        group.Tenant = _waiting.Open(group.Request.Tenant);
        var first = group.Choices[0];
        first.State = SequenceState.Waiting;
        _waiting.Add(first);
    }

    /// <summary>Ends what is left of a group, giving its reader the reason.</summary>
    public void End(SequenceGroup group, FinishReason reason, string? error)
    {
        foreach (var choice in group.Choices)
            if (choice.State != SequenceState.Finished) End(choice, reason, error);
        Compact();
    }

    /// <summary>Ends one choice at its reader's word.</summary>
    public void Stop(Sequence sequence)
    {
        // Nothing has been drawn while the first choice computes the prompt for all.
        if (sequence.State != SequenceState.Finished && sequence.Group.Unforked == 0) End(sequence, FinishReason.Stop, null);
        Compact();
    }

    /// <summary>Ends one choice with an error of its own.</summary>
    public void Fail(Sequence sequence, string error)
    {
        if (sequence.State != SequenceState.Finished) End(sequence, FinishReason.Error, error);
        Compact();
    }

    public void EndAll(FinishReason reason, string? error)
    {
        foreach (var sequence in _running.AsSpan(0, _runningCount).ToArray()) End(sequence.Group, reason, error);
        while (_waiting.First is { } first) End(first.Group, reason, error);
    }

    /// <summary>Ends groups whose time is over.</summary>
    public void EndExpired(long now)
    {
        if (now < _nextTimeout) return;
        _nextTimeout = long.MaxValue;
        for (int i = 0; i < _runningCount;)
            if (!EndIfExpired(_running[i].Group, now)) i++;
        // Backwards, since a tenant whose last request ends changes places with the last of the list.
        for (int t = _waiting.Backlogged.Count - 1; t >= 0; t--)
            for (var next = _waiting.Backlogged[t].Waiting.First; next is not null;)
            {
                var group = next.Group;
                do next = next.Next;
                while (next is not null && next.Group == group);
                EndIfExpired(group, now);
            }
    }

    /// <summary>Fills the batch with the next step; it stays empty when nothing can be computed before a step in flight is committed.</summary>
    public void Schedule(ScheduledBatch batch)
    {
        batch.Clear();
        _singleCount = _chunkCount = 0;
        _budget = _limits.Tokens;
        _samplesLeft = _limits.LogitRows;
        _preempted = false;
        for (int i = 0; i < _runningCount && _budget > 0; i++)
            if (_running[i].Uncomputed == 1) Continue(batch, _running[i]);
        for (int i = 0; i < _runningCount && _budget > 0; i++)
            if (_running[i].Uncomputed > 1) Continue(batch, _running[i]);
        if (!_preempted && _waiting.Count > 0) Admit(batch);
        Lay(batch);
    }

    /// <summary>Takes in the results of a step: one for each of the batch's samples.</summary>
    public void Commit(ScheduledBatch batch, SamplingResults results, long now)
    {
        int promptTokens = 0, generated = 0;
        foreach (ref var row in batch.Rows)
        {
            var sequence = row.Sequence;
            // One that was preempted since it was scheduled waits until this step is committed, so its state tells.
            if (sequence.State != SequenceState.Running) continue;
            sequence.Committed = row.Start + row.Count;
            RegisterFullBlocks(sequence);
            if (!sequence.Group.PromptDone && sequence.Committed >= sequence.PromptLength)
            {
                sequence.Group.PromptDone = true;
                promptTokens += sequence.PromptLength;
                _metrics.PromptComputed(sequence.Group);
            }
        }
        var samples = batch.Samples;
        for (int i = 0; i < samples.Length; i++)
        {
            ref var sample = ref samples[i];
            var sequence = sample.Sequence;
            if (sequence.State == SequenceState.Finished) continue;
            if (results.Status[i] == SampleStatus.NonFinite)
            {
                EndNonFinite(sequence, sample.Target >= 0);
                continue;
            }
            if (sample.Target >= 0)
            {
                AddPromptLogProb(sequence.Group, sample.Target, results, i);
                continue;
            }
            generated++;
            Draw(sequence, results, i, now);
        }
        foreach (ref var row in batch.Rows)
        {
            var sequence = row.Sequence;
            if (sequence.Group.MaxOutput > 0 || sequence.State != SequenceState.Running || sequence.Committed < sequence.PromptLength) continue;
            if (sequence.Group.Pooled is { } pooled)
            {
                DeliverPooled(sequence, pooled);
                continue;
            }
            DeliverPromptLogProbs(sequence.Group);
            End(sequence.Group, FinishReason.Length, null);
        }
        Compact();
        _metrics.StepCommitted(promptTokens, generated);
    }

    /// <summary>
    /// Gives sequences the tokens that their grammars force, in place of the batch's draw: the next step computes them as it computes a prompt.
    /// Between the masks and the draws nothing else of a sequence is under way. They never end a choice.
    /// </summary>
    public void TakeForced(ScheduledBatch batch, long now)
    {
        if (batch.MaskCount == 0) return;
        int taken = 0;
        for (int i = batch.SampleCount - 1; i >= 0; i--)
        {
            var sample = batch.Samples[i];
            var sequence = sample.Sequence;
            if (sample.Target >= 0 || sequence.Forced.Length == 0) continue;
            batch.Drop(i);
            sequence.Pending--;
            sequence.SlotIsBehind = true;
            foreach (int token in sequence.Forced)
            {
                Gain(sequence, token, now);
                _outbox.Send(sequence.Group.Stream, new TokenEvent { Choice = sequence.Choice, Token = token });
            }
            taken += sequence.Forced.Length;
            sequence.Forced = [];
        }
        _metrics.TokensForced(taken);
    }

    /// <summary>Compares blocks, slots and queues with the sequences that should hold them.</summary>
    /// <exception cref="InvalidOperationException">They disagree.</exception>
    public void CheckIntegrity()
    {
        _cache.BeginCheck();
        for (int i = 0; i < _runningCount; i++)
        {
            var sequence = _running[i];
            _cache.Check(sequence.Blocks);
            if (sequence.State != SequenceState.Running || sequence.Slot < 0) throw new InvalidOperationException($"running choice {i} is {sequence.State} in slot {sequence.Slot}");
            if (i > 0 && !_running[i - 1].Precedes(sequence)) throw new InvalidOperationException("the running choices are out of order");
            if (sequence.Order >= NotAdmitted << 16 || sequence.Group.Queued) throw new InvalidOperationException($"running choice {i} counts as waiting");
            if (sequence.Computed > sequence.Length + sequence.Pending || sequence.Blocks.Count < _cache.BlocksFor(sequence.Computed))
                throw new InvalidOperationException($"choice {i} has computed {sequence.Computed} of {sequence.Length} tokens in {sequence.Blocks.Count} blocks");
        }
        int waiting = 0;
        foreach (var tenant in _waiting.Backlogged)
        {
            int before = waiting;
            for (var sequence = tenant.Waiting.First; sequence is not null; sequence = sequence.Next, waiting++)
            {
                if (sequence.State != SequenceState.Waiting || sequence.Blocks.Count > 0 || sequence.Slot >= 0 || sequence.Computed > 0)
                    throw new InvalidOperationException($"a waiting choice is {sequence.State} with {sequence.Blocks.Count} blocks");
                if (sequence.Group.Tenant != tenant) throw new InvalidOperationException($"a choice of '{sequence.Group.Request.Tenant}' waits for '{tenant.Name}'");
                if (sequence.Next is { } next && !sequence.Precedes(next)) throw new InvalidOperationException("the waiting choices are out of order");
            }
            if (waiting == before || waiting - before != tenant.Waiting.Count || tenant.Open == 0)
                throw new InvalidOperationException($"'{tenant.Name}' has {tenant.Waiting.Count} choices waiting of {tenant.Open} requests but {waiting - before} are linked");
        }
        if (waiting != _waiting.Count) throw new InvalidOperationException($"{_waiting.Count} choices wait but {waiting} are linked");
        if (_freeSlotCount + _runningCount != _freeSlots.Length) throw new InvalidOperationException($"{_freeSlotCount} slots are free with {_runningCount} choices running");
        if (!HasWork && TenantCount != 0) throw new InvalidOperationException($"{TenantCount} tenants have open requests that nobody computes");
        if (!HasWork && _unforked != 0) throw new InvalidOperationException($"{_unforked} choices wait for nobody");
        _cache.EndCheck();
    }

    // ---- schedule ----

    private void Continue(ScheduledBatch batch, Sequence sequence)
    {
        if (sequence.Full && sequence.Group.MaxOutput > 0) return;
        int count = FitSamples(sequence, Math.Min(sequence.Uncomputed, _budget), out int samples);
        if (count == 0) return;
        (int Source, int Destination) copy;
        while (!_cache.TryReserve(sequence.Blocks, sequence.Computed, count, out copy))
        {
            var victim = _running[_runningCount - 1];
            Preempt(victim);
            if (victim == sequence) return;
        }
        if (copy.Source >= 0) batch.Copies.Add(copy);
        Place(sequence, count, samples);
    }

    private void Preempt(Sequence victim)
    {
        _running[--_runningCount] = null!;
        Unplace(victim);
        Vacate(victim);
        victim.Computed = victim.Committed = victim.RegisteredBlocks = 0;
        victim.Group.Pooled?.Reset();
        victim.State = SequenceState.Waiting;
        _waiting.Add(victim);
        _preempted = true;
        _metrics.Preempted();
    }

    private void Admit(ScheduledBatch batch)
    {
        int reserved = -1;
        while (_budget > 0 && _runningCount < _running.Length && _waiting.First is { } sequence)
        {
            if (sequence.Pending > 0) return;
            var group = sequence.Group;
            // Log-probs of the prompt need the logits of every prompt token; hidden states are not cached either.
            bool reads = _cache.PrefixCaching && (group.PromptLogProbs is null || sequence.Choice > 0);
            int readable = group.Pooled?.FirstPosition ?? sequence.Length;
            var keys = reads ? sequence.Keys(readable / _cache.BlockSize, _cache.BlockSize) : [];
            int hits = _cache.Match(keys, sequence.Tokens, out int freeHits);
            int needed = _cache.BlocksFor(sequence.Length + (group.MaxOutput > 0 ? 1 : 0)) - hits;
            if (_runningCount > 0)
            {
                if (reserved < 0) reserved = ReservedBlocks();
                if (needed + freeHits + reserved > _cache.FreeBlocks) return;
            }
            sequence.Computed = hits * _cache.BlockSize;
            int count = FitSamples(sequence, Math.Min(sequence.Uncomputed, _budget), out int samples);
            if (count == 0)
            {
                sequence.Computed = 0;
                return;
            }
            _waiting.Remove(sequence);
            _cache.Adopt(sequence.Blocks, hits);
            sequence.Committed = sequence.Computed;
            sequence.RegisteredBlocks = hits;
            if (group.Queued) SetOrder(group, _admissions++);
            Run(batch, sequence);
            if (!_cache.TryReserve(sequence.Blocks, sequence.Computed, count, out _))
                throw new InvalidOperationException($"{_cache.FreeBlocks} free blocks do not hold {count} tokens that were admitted");
            if (reserved >= 0) reserved += needed - (sequence.Blocks.Count - hits) + 1;
            if (group.Queued)
            {
                group.CachedTokens = sequence.Computed;
                group.ScheduledTimestamp = Stopwatch.GetTimestamp();
                _metrics.PrefixLooked(reads ? sequence.Length : 0, sequence.Computed);
                _waiting.Admitted(group.Tenant!, sequence.Uncomputed);
                LeaveQueue(group);
            }
            Place(sequence, count, samples);
        }
    }

    /// <summary>Blocks that running sequences still need for what they have, and one more each, so that a newcomer is not preempted at once.</summary>
    private int ReservedBlocks()
    {
        int blocks = _runningCount;
        for (int i = 0; i < _runningCount; i++)
            blocks += Math.Max(0, _cache.BlocksFor(_running[i].Length + _running[i].Pending) - _running[i].Blocks.Count);
        return blocks;
    }

    /// <summary>Gives a sequence a slot and its place among the running.</summary>
    private void Run(ScheduledBatch batch, Sequence sequence)
    {
        sequence.State = SequenceState.Running;
        sequence.Slot = _freeSlots[--_freeSlotCount];
        sequence.SlotIsBehind = false;
        int i = _runningCount++;
        for (; i > 0 && sequence.Precedes(_running[i - 1]); i--) _running[i] = _running[i - 1];
        _running[i] = sequence;
        batch.Assigned.Add(sequence);
    }

    /// <summary>Cuts a chunk to the rows of sampling left in the step.</summary>
    private int FitSamples(Sequence sequence, int count, out int samples)
    {
        var (first, last) = PromptTargets(sequence, sequence.Computed, count);
        int targets = Math.Max(0, last - first + 1);
        if (targets > _samplesLeft)
        {
            targets = _samplesLeft;
            count = first + targets - 1 - sequence.Computed;
        }
        bool draws = count == sequence.Uncomputed && sequence.Group.MaxOutput > 0;
        if (draws && targets == _samplesLeft)
        {
            count--;
            draws = false;
        }
        samples = targets + (draws ? 1 : 0);
        return count;
    }

    /// <summary>The prompt positions whose log-probs the logits of tokens start .. start+count-1 give and which are still wanted.</summary>
    private static (int First, int Last) PromptTargets(Sequence sequence, int start, int count)
        => sequence.Group.PromptLogProbs is { } known && sequence.Choice == 0
            ? (Math.Max(start + 1, known.Count), Math.Min(start + count, sequence.PromptLength - 1))
            : (0, -1);

    private void Place(Sequence sequence, int count, int samples)
    {
        var row = new ScheduledRow(sequence, sequence.Computed, count);
        if (count == 1) _singles[_singleCount++] = row;
        else _chunks[_chunkCount++] = row;
        sequence.Computed += count;
        _budget -= count;
        _samplesLeft -= samples;
    }

    private void Unplace(Sequence sequence)
    {
        foreach (ref var row in _singles.AsSpan(0, _singleCount))
            if (row.Sequence == sequence) Take(ref row);
        foreach (ref var row in _chunks.AsSpan(0, _chunkCount))
            if (row.Sequence == sequence) Take(ref row);

        void Take(ref ScheduledRow row)
        {
            _budget += row.Count;
            row = default;
        }
    }

    /// <summary>Lays the rows out one after the other and names the logits they are wanted for.</summary>
    private void Lay(ScheduledBatch batch)
    {
        foreach (ref var row in _singles.AsSpan(0, _singleCount)) Lay(batch, ref row);
        foreach (ref var row in _chunks.AsSpan(0, _chunkCount)) Lay(batch, ref row);
        _singles.AsSpan(0, _singleCount).Clear();
        _chunks.AsSpan(0, _chunkCount).Clear();
    }

    private void Lay(ScheduledBatch batch, ref ScheduledRow row)
    {
        if (row.Sequence is not { } sequence) return;
        int firstToken = batch.TokenCount;
        batch.Add(row);
        if (sequence.SlotIsBehind)
        {
            batch.Assigned.Add(sequence);
            sequence.SlotIsBehind = false;
        }
        var (first, last) = PromptTargets(sequence, row.Start, row.Count);
        for (int position = first; position <= last; position++)
            batch.AddSample(new(sequence, batch.AddLogits(firstToken + position - 1 - row.Start), position, sequence.Tokens[position], -1));
        if (sequence.Uncomputed > 0 || sequence.Group.MaxOutput == 0) return;
        int logits = batch.AddLogits(firstToken + row.Count - 1);
        batch.AddSample(new(sequence, logits, sequence.Length + sequence.Pending, -1, -1));
        sequence.Pending++;
        if (sequence.Group.Unforked > 0) Fork(batch, sequence, logits);
    }

    /// <summary>
    /// Starts the other choices on the prompt just computed: they draw from the same logits and share its blocks. Those for which there is
    /// no slot go through the queue like a request of their own.
    /// </summary>
    private void Fork(ScheduledBatch batch, Sequence first, int logits)
    {
        var group = first.Group;
        foreach (var choice in group.Choices)
        {
            if (choice.State != SequenceState.Unforked) continue;
            group.Unforked--;
            _unforked--;
            if (_runningCount == _running.Length || _samplesLeft == 0)
            {
                choice.State = SequenceState.Waiting;
                _waiting.Add(choice);
                continue;
            }
            _cache.Share(first.Blocks, choice.Blocks);
            Run(batch, choice);
            choice.Computed = first.Computed;
            batch.AddSample(new(choice, logits, choice.Length, -1, -1));
            choice.Pending++;
            _samplesLeft--;
        }
    }

    // ---- commit ----

    private void RegisterFullBlocks(Sequence sequence)
    {
        int full = sequence.Committed / _cache.BlockSize;
        if (!_cache.PrefixCaching || full <= sequence.RegisteredBlocks) return;
        var keys = sequence.Keys(full, _cache.BlockSize);
        for (int i = sequence.RegisteredBlocks; i < full; i++)
            _cache.Register(keys[i], sequence.Tokens.Slice(i * _cache.BlockSize, _cache.BlockSize), sequence.Blocks[i]);
        sequence.RegisteredBlocks = full;
    }

    private void Draw(Sequence sequence, SamplingResults results, int i, long now)
    {
        var group = sequence.Group;
        DeliverPromptLogProbs(group);
        int token = results.Tokens[i];
        sequence.Pending--;
        Gain(sequence, token, now);

        var reason = sequence.OutputLength >= group.MaxOutput ? FinishReason.Length : FinishReason.None;
        if (sequence.OutputLength >= group.Request.Sampling.MinTokens && Array.IndexOf(group.StopIds, token) >= 0) reason = FinishReason.Stop;
        var drawn = new TokenEvent { Choice = sequence.Choice, Token = token, Finish = reason };
        if (group.Request.Sampling.LogProbs is { } top)
            drawn = drawn with { LogProb = results.LogProbs[i], TopLogProbs = TopOf(results, i, top) };
        _outbox.Send(group.Stream, drawn);
        if (reason != FinishReason.None) Close(sequence, reason);
        else if (sequence.Mask is not null) sequence.UnacceptedToken = token;
    }

    private void Gain(Sequence sequence, int token, long now)
    {
        sequence.Append(token);
        sequence.Group.GeneratedTokens++;
        FairQueue.Drawn(sequence.Group.Tenant!);
        _metrics.TokenDrawn(sequence, now);
        sequence.LastTokenTimestamp = now;
    }

    private static TokenLogProb[] TopOf(SamplingResults results, int row, int count)
    {
        if (count == 0) return [];
        var top = new TokenLogProb[count];
        for (int k = 0; k < count; k++)
        {
            int at = row * SamplingResults.MaxTopLogProbs + k;
            top[k] = new(results.TopTokens[at], results.TopLogProbs[at]);
        }
        return top;
    }

    private static void AddPromptLogProb(SequenceGroup group, int token, SamplingResults results, int row)
        => group.PromptLogProbs!.Add(new PromptLogProb(token, results.LogProbs[row], TopOf(results, row, group.Request.PromptLogProbs!.Value)));

    private void DeliverPromptLogProbs(SequenceGroup group)
    {
        if (group.PromptLogProbs is not { } all || all.Count < group.Request.Prompt.Length) return;
        group.PromptLogProbs = null;
        _outbox.Send(group.Stream, new TokenEvent { PromptLogProbs = all });
    }

    private void DeliverPooled(Sequence sequence, PooledRows pooled)
    {
        float[][] rows = pooled.Rows();
        foreach (float[] row in rows)
        {
            foreach (float value in row)
            {
                if (float.IsFinite(value)) continue;
                EndNonFinite(sequence, prompt: true, "the model's hidden states are not finite");
                return;
            }
        }
        sequence.LastTokenTimestamp = Stopwatch.GetTimestamp();
        _outbox.Send(sequence.Group.Stream, new TokenEvent { Pooled = rows, Finish = FinishReason.Stop });
        Close(sequence, FinishReason.Stop);
    }

    private void EndNonFinite(Sequence sequence, bool prompt, string error = "the model's logits are not finite")
    {
        _metrics.NonFiniteRow();
        // What led here may lie in its blocks; nobody else shall find them.
        _cache.Forget(sequence.Blocks);
        if (prompt) End(sequence.Group, FinishReason.Error, error);
        else End(sequence, FinishReason.Error, error);
    }

    // ---- ends ----

    private void End(Sequence sequence, FinishReason reason, string? error)
    {
        _outbox.Send(sequence.Group.Stream, new TokenEvent { Choice = sequence.Choice, Finish = reason, Error = error });
        Close(sequence, reason);
    }

    /// <summary>Gives up what a choice holds; its last event has been sent.</summary>
    private void Close(Sequence sequence, FinishReason reason)
    {
        var group = sequence.Group;
        switch (sequence.State)
        {
            case SequenceState.Running:
                Vacate(sequence);
                _ended = true;
                break;
            case SequenceState.Waiting:
                _waiting.Remove(sequence);
                break;
            case SequenceState.Unforked:
                group.Unforked--;
                _unforked--;
                break;
        }
        sequence.State = SequenceState.Finished;
        _metrics.ChoiceEnded(sequence, reason);
        if (--group.Open > 0) return;
        if (group.Queued) LeaveQueue(group);
        _waiting.Close(group.Tenant!);
        _metrics.RequestEnded(group);
        _outbox.Complete(group.Stream);
    }

    private void Vacate(Sequence sequence)
    {
        _cache.Release(sequence.Blocks);
        _freeSlots[_freeSlotCount++] = sequence.Slot;
        sequence.Slot = -1;
    }

    private bool EndIfExpired(SequenceGroup group, long now)
    {
        if (now < group.TimeoutTimestamp)
        {
            _nextTimeout = Math.Min(_nextTimeout, group.TimeoutTimestamp);
            return false;
        }
        _metrics.TimedOut(group.Queued);
        End(group, FinishReason.Timeout, group.Queued ? "the request's time was over before its turn came" : "the request's time is over");
        return true;
    }

    private static void SetOrder(SequenceGroup group, long place)
    {
        foreach (var choice in group.Choices) choice.Order = (place << 16) + choice.Choice;
    }

    private void LeaveQueue(SequenceGroup group)
    {
        group.Queued = false;
        LeftQueue?.Invoke(group);
    }

    private void Compact()
    {
        if (!_ended) return;
        _ended = false;
        int kept = 0;
        for (int i = 0; i < _runningCount; i++)
            if (_running[i].State == SequenceState.Running) _running[kept++] = _running[i];
        Array.Clear(_running, kept, _runningCount - kept);
        _runningCount = kept;
    }
}
