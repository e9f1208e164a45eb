using QwenServe.Compute.Cpu;

namespace QwenServe.Tests.Compute;

public class WorkerPoolTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    public void Every_item_is_executed_once(int threads)
    {
        using var pool = new WorkerPool(threads);
        for (int round = 0; round < 3000; round++)
        {
            var job = new CountingJob(round % 40);
            pool.Run(job, round % 40);
            Assert.All(job.Counts, count => Assert.Equal(1, count));
        }
    }

    [Fact]
    public void Workers_that_slept_wake_up_again()
    {
        using var pool = new WorkerPool(4);
        for (int round = 0; round < 20; round++)
        {
            Thread.Sleep(round);
            var job = new CountingJob(100);
            pool.Run(job, 100);
            Assert.All(job.Counts, count => Assert.Equal(1, count));
        }
    }

    [Fact]
    public void A_worker_index_is_never_used_by_two_threads_at_once()
    {
        using var pool = new WorkerPool(6);
        var job = new ExclusiveJob(6);
        for (int round = 0; round < 500; round++) pool.Run(job, 64);
        Assert.False(job.Collided);
    }

    [Fact]
    public void Idle_workers_take_no_processor_time()
    {
        using var pool = new WorkerPool(4);
        pool.Run(new CountingJob(100), 100);
        Assert.True(SpinWait.SpinUntil(() => pool.Sleeping == 3, TimeSpan.FromSeconds(60)));
        long switches = pool.Wakes;
        Thread.Sleep(100);
        Assert.Equal(3, pool.Sleeping);
        Assert.Equal(switches, pool.Wakes);
    }

    [Fact]
    public void A_failure_reaches_the_caller_and_the_pool_goes_on()
    {
        using var pool = new WorkerPool(3);
        for (int round = 0; round < 50; round++) Assert.ThrowsAny<Exception>(() => pool.Run(new FailingJob(), 64));
        var job = new CountingJob(50);
        pool.Run(job, 50);
        Assert.All(job.Counts, count => Assert.Equal(1, count));
    }

    [Fact]
    public void Many_pools_share_the_machine_without_stalling()
    {
        // Eight pools of four threads on a small machine: jobs must end though most workers are not running.
        Parallel.For(0, 8, new ParallelOptions { MaxDegreeOfParallelism = 8 }, _ =>
        {
            using var pool = new WorkerPool(4);
            for (int round = 0; round < 300; round++)
            {
                var job = new CountingJob(16);
                pool.Run(job, 16);
                Assert.All(job.Counts, count => Assert.Equal(1, count));
            }
        });
    }

    private sealed class CountingJob(int items) : IPoolJob
    {
        public int[] Counts { get; } = new int[items];

        public void Execute(int item, int worker) => Interlocked.Increment(ref Counts[item]);
    }

    private sealed class ExclusiveJob(int threads) : IPoolJob
    {
        private readonly int[] _inside = new int[threads];

        public bool Collided { get; private set; }

        public void Execute(int item, int worker)
        {
            if (Interlocked.Increment(ref _inside[worker]) != 1) Collided = true;
            Thread.SpinWait(50);
            Interlocked.Decrement(ref _inside[worker]);
        }
    }

    private sealed class FailingJob : IPoolJob
    {
        public void Execute(int item, int worker)
        {
            if (item == 13) throw new InvalidDataException("thirteen");
        }
    }
}
