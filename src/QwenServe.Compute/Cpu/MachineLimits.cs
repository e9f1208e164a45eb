using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenServe.Compute.Cpu;

/// <summary>What the machine can do at best, measured: the figures that kernels are held against.</summary>
public static class MachineLimits
{
    /// <summary>Bytes read and fp32 operations (a fused multiply-add is two) a second, by so many threads together.</summary>
    public static (double ReadBandwidth, double FmaPeak) Measure(int threads)
    {
        using var pool = new WorkerPool(threads);
        return (ReadBandwidth(pool), FmaPeak(pool));
    }

    /// <summary>The best of several passes over 1 GiB.</summary>
    private static double ReadBandwidth(WorkerPool pool)
    {
        using var memory = new NativeBuffer(1L << 30, streamed: true);
        var job = new ReadJob(memory);
        pool.Run(job, ReadJob.Items);
        double best = 0;
        for (int i = 0; i < 8; i++)
        {
            long start = Stopwatch.GetTimestamp();
            pool.Run(job, ReadJob.Items);
            best = Math.Max(best, memory.Bytes / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return best;
    }

    private static double FmaPeak(WorkerPool pool)
    {
        var job = new FmaJob();
        double best = 0;
        for (int i = 0; i < 8; i++)
        {
            long start = Stopwatch.GetTimestamp();
            pool.Run(job, pool.Threads * 4);
            best = Math.Max(best, pool.Threads * 4 * job.Operations / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return best;
    }

    private sealed unsafe class ReadJob : IPoolJob
    {
        public const int Items = 256;
        private readonly NativeBuffer _memory;
        private float _sink;

        public ReadJob(NativeBuffer memory)
        {
            _memory = memory;
            for (long i = 0; i < memory.Bytes; i += 4096) memory.Pointer[i] = 1;
        }

        public void Execute(int item, int worker)
        {
            long bytes = _memory.Bytes / Items;
            float* from = (float*)(_memory.Pointer + item * bytes);
            float sum = Vector512.IsHardwareAccelerated ? Read<V512>(from, bytes / 4)
                : Vector256.IsHardwareAccelerated ? Read<V256>(from, bytes / 4)
                : Read<V128>(from, bytes / 4);
            if (sum == 12345) _sink = sum;
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static float Read<V>(float* from, long count) where V : unmanaged, ISimd<V>
        {
            V a = V.Create(0f), b = a, c = a, d = a;
            for (float* end = from + count; from < end; from += 4 * V.Count)
            {
                for (int line = 0; line < 16 * V.Count; line += 64) V.Prefetch((byte*)from + 2048 + line);
                a = V.Add(a, V.Load(from));
                b = V.Add(b, V.Load(from + V.Count));
                c = V.Add(c, V.Load(from + 2 * V.Count));
                d = V.Add(d, V.Load(from + 3 * V.Count));
            }
            return V.Sum(V.Add(V.Add(a, b), V.Add(c, d)));
        }
    }

    private sealed class FmaJob : IPoolJob
    {
        private const int Rounds = 2_000_000;
        private float _sink;

        public double Operations { get; private set; }

        public void Execute(int item, int worker)
        {
            float sum = Vector512.IsHardwareAccelerated ? Multiply<V512>() : Vector256.IsHardwareAccelerated ? Multiply<V256>() : Multiply<V128>();
            if (sum == 12345) _sink = sum;
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private float Multiply<V>() where V : unmanaged, ISimd<V>
        {
            V x = V.Create(0.999f), y = V.Create(0.001f);
            V a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
            for (int r = 0; r < Rounds; r++)
            {
                a = V.Fma(a, x, y);
                b = V.Fma(b, x, y);
                c = V.Fma(c, x, y);
                d = V.Fma(d, x, y);
                e = V.Fma(e, x, y);
                f = V.Fma(f, x, y);
                g = V.Fma(g, x, y);
                h = V.Fma(h, x, y);
                i = V.Fma(i, x, y);
                j = V.Fma(j, x, y);
                k = V.Fma(k, x, y);
                l = V.Fma(l, x, y);
            }
            Operations = 12.0 * 2 * V.Count * Rounds;
            V s = V.Add(V.Add(V.Add(a, b), V.Add(c, d)), V.Add(V.Add(e, f), V.Add(g, h)));
            return V.Sum(V.Add(s, V.Add(V.Add(i, j), V.Add(k, l))));
        }
    }
}
