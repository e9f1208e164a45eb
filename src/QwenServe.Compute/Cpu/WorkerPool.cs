using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace QwenServe.Compute.Cpu;

/// <summary>Work in independent items; one object is used again for every step.</summary>
internal interface IPoolJob
{
    /// <param name="item">0 .. items-1.</param>
    /// <param name="worker">0 .. threads-1, the same for all items a thread takes: an index for scratch memory.</param>
    void Execute(int item, int worker);
}

/// <summary>
/// Threads that take items of one job at a time. The caller of <see cref="Run"/> takes part as worker 0.
///
/// A decode step is some two hundred small jobs, so joining must cost a microsecond: workers watch one word for a while before
/// they sleep. A worker that is late, because the system runs something else on its core, simply misses the job: Run waits for
/// those workers only that have begun an item, so an oversubscribed machine costs throughput and not a stall a job. After long
/// waits everybody sleeps sooner.
///
/// The word: generation in the upper 32 bits, bit 31 set while workers may still join, their number below.
/// </summary>
internal sealed class WorkerPool : IDisposable
{
    private const long Open = 1L << 31;
    private const long ActiveMask = Open - 1;

    private static readonly long LongSpin = Stopwatch.Frequency / 10_000;
    private static readonly long ShortSpin = Stopwatch.Frequency / 200_000;
    private static readonly long LongWait = Stopwatch.Frequency / 1_000;

    private readonly Worker[] _workers;
    private readonly SemaphoreSlim _joined = new(0);
    private readonly Shared _shared = new();
    private IPoolJob? _job;
    private int _items;
    private int _callerSleeps;
    private int _crowded;
    private volatile bool _stopping;
    private Exception? _failure;

    public WorkerPool(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        _workers = new Worker[threads - 1];
        for (int i = 0; i < _workers.Length; i++)
        {
            var worker = _workers[i] = new Worker(i + 1);
            worker.Thread = new Thread(() => Loop(worker)) { IsBackground = true, Name = $"compute {i + 1}" };
            worker.Thread.Start();
        }
    }

    /// <summary>Workers, the caller included.</summary>
    public int Threads => _workers.Length + 1;

    /// <summary>Workers that sleep until there is work.</summary>
    internal int Sleeping => _workers.Count(w => Volatile.Read(ref w.Asleep) == 1);

    /// <summary>How often a worker was woken.</summary>
    internal long Wakes => _workers.Sum(w => Volatile.Read(ref w.Wakes));

    /// <summary>Executes items 0 .. items-1 in no particular order and returns when all are done.</summary>
    public void Run(IPoolJob job, int items)
    {
        if (items <= 1 || _workers.Length == 0)
        {
            for (int i = 0; i < items; i++) job.Execute(i, 0);
            return;
        }
        _job = job;
        _items = items;
        _shared.Next = 0;
        long generation = (_shared.State >> 32) + 1;
        Interlocked.Exchange(ref _shared.State, (generation << 32) | Open);

        int wanted = Math.Min(_workers.Length, items - 1);
        for (int i = 0; i < wanted; i++)
            if (Volatile.Read(ref _workers[i].Asleep) == 1 && Interlocked.Exchange(ref _workers[i].Asleep, 0) == 1) _workers[i].Wake.Release();

        try
        {
            TakeItems(job, items, 0);
        }
        finally
        {
            Interlocked.And(ref _shared.State, ~Open);
            Join();
        }
        if (_failure is { } failure)
        {
            _failure = null;
            throw new InvalidOperationException("a worker failed: " + failure.Message, failure);
        }
    }

    public void Dispose()
    {
        _stopping = true;
        foreach (var worker in _workers)
        {
            worker.Wake.Release();
            worker.Thread!.Join();
            worker.Wake.Dispose();
        }
        _joined.Dispose();
    }

    private void Join()
    {
        if ((Volatile.Read(ref _shared.State) & ActiveMask) == 0) return;
        long start = Stopwatch.GetTimestamp();
        long limit = start + SpinTicks;
        while ((Volatile.Read(ref _shared.State) & ActiveMask) != 0)
        {
            Thread.SpinWait(4);
            if (Stopwatch.GetTimestamp() < limit) continue;
            Interlocked.Exchange(ref _callerSleeps, 1);
            if ((Volatile.Read(ref _shared.State) & ActiveMask) != 0) _joined.Wait();
            else if (Interlocked.Exchange(ref _callerSleeps, 0) == 0) _joined.Wait();
        }
        if (Stopwatch.GetTimestamp() - start > LongWait) _crowded = Math.Min(_crowded + 16, 256);
        else if (_crowded > 0) _crowded--;
    }

    private long SpinTicks => _crowded > 32 ? ShortSpin : LongSpin;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Loop(Worker worker)
    {
        long seen = 0;
        long limit = Stopwatch.GetTimestamp() + SpinTicks;
        while (!_stopping)
        {
            long state = Volatile.Read(ref _shared.State);
            if (state >> 32 != seen && (state & Open) != 0)
            {
                if (Interlocked.CompareExchange(ref _shared.State, state + 1, state) != state) continue;
                seen = state >> 32;
                try
                {
                    TakeItems(_job!, _items, worker.Index);
                }
                catch (Exception e) when (e is not OutOfMemoryException)
                {
                    _failure = e;
                }
                state = Interlocked.Decrement(ref _shared.State);
                if ((state & (Open | ActiveMask)) == 0 && Interlocked.Exchange(ref _callerSleeps, 0) == 1) _joined.Release();
                limit = Stopwatch.GetTimestamp() + SpinTicks;
                continue;
            }
            Thread.SpinWait(8);
            if (Stopwatch.GetTimestamp() < limit) continue;
            Interlocked.Exchange(ref worker.Asleep, 1);
            state = Volatile.Read(ref _shared.State);
            bool work = state >> 32 != seen && (state & Open) != 0;
            if (!work || Interlocked.Exchange(ref worker.Asleep, 0) == 0) worker.Wake.Wait();
            worker.Wakes++;
            limit = Stopwatch.GetTimestamp() + SpinTicks;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void TakeItems(IPoolJob job, int items, int worker)
    {
        while (true)
        {
            int item = Interlocked.Increment(ref _shared.Next) - 1;
            if (item >= items) return;
            job.Execute(item, worker);
        }
    }

    private sealed class Worker(int index)
    {
        public int Asleep;

        public long Wakes;

        public int Index => index;

        public SemaphoreSlim Wake { get; } = new(0);

        public Thread? Thread { get; set; }
    }

    /// <summary>The two contended words, each on cache lines of its own.</summary>
    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Explicit, Size = 384)]
    private sealed class Shared
    {
        [System.Runtime.InteropServices.FieldOffset(128)]
        public long State;

        [System.Runtime.InteropServices.FieldOffset(256)]
        public int Next;
    }
}
