using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenServe.Compute.Cpu.Kernels;

/// <summary>
/// Draws one token a row. An item is a row, so a draw depends on nothing but the row's logits, parameters and key.
///
/// A row is scanned for its maximum (and NaN), copied only when something has to be edited. With a small top-k one further scan keeps the
/// k best in a sorted list that is rarely touched; min-p and top-p then are prefixes of that list. Otherwise probabilities of all ids
/// are computed, and a cut (large top-k, top-p) is found by a histogram over the leading bits and a sort of the one bucket in which it
/// falls. The kept ids are walked in ascending order until their sum passes a uniform number.
/// </summary>
internal sealed unsafe class SampleJob : IPoolJob, IDisposable
{
    /// <summary>The largest k that the sorted list serves.</summary>
    private const int ListLimit = 256;

    /// <summary>Leading 16 bits of a float in [0, 1].</summary>
    private const int Buckets = 0x3F80 + 1;

    private readonly int _vocabularySize;
    private readonly SlotTable _slots;
    private readonly Scratch[] _scratch;

    public SampleJob(int vocabularySize, SlotTable slots, int threads)
    {
        _vocabularySize = vocabularySize;
        _slots = slots;
        _scratch = new Scratch[threads];
        for (int i = 0; i < threads; i++) _scratch[i] = new Scratch(vocabularySize);
    }

    public SamplingInputs? Inputs { get; set; }

    public SamplingResults? Results { get; set; }

    /// <summary>[rows, LogitStride]</summary>
    public float* Logits { get; set; }

    public long LogitStride { get; set; }

    /// <summary>One past the last id that has a token.</summary>
    public int VocabularyEnd { get; set; }

    /// <summary>Ids below <see cref="VocabularyEnd"/> that have no token.</summary>
    public int[] Holes { get; set; } = [];

    public void Dispose()
    {
        foreach (var scratch in _scratch) scratch.Dispose();
    }

    public void Execute(int item, int worker)
    {
        if (Vector512.IsHardwareAccelerated) Execute<V512>(item, worker);
        else if (Vector256.IsHardwareAccelerated) Execute<V256>(item, worker);
        else if (Vector128.IsHardwareAccelerated) Execute<V128>(item, worker);
        else Execute<V32>(item, worker);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Execute<V>(int item, int worker) where V : unmanaged, ISimd<V>
    {
        ref readonly var row = ref Inputs!.Rows[item];
        var results = Results!;
        var scratch = _scratch[worker];
        float* raw = Logits + row.LogitRow * LogitStride;
        results.Tokens[item] = Math.Max(row.Target, 0);
        results.LogProbs[item] = 0;
        if (!Usable<V>(raw, _vocabularySize, out float rawMaximum))
        {
            results.Status[item] = SampleStatus.NonFinite;
            return;
        }
        results.Status[item] = SampleStatus.Sampled;

        int token = row.Target >= 0 ? row.Target : Draw<V>(row, raw, scratch);
        if (token < 0)
        {
            results.Status[item] = SampleStatus.NonFinite;
            return;
        }
        results.Tokens[item] = token;
        if (row.TopLogProbs < 0) return;
        float normaliser = rawMaximum + (float)Math.Log(ExpSum<V>(raw, _vocabularySize, rawMaximum));
        results.LogProbs[item] = raw[token] - normaliser;
        if (row.TopLogProbs == 0) return;
        float* source = raw;
        if (Holes.Length > 0)
        {
            source = scratch.Edited.Floats;
            Buffer.MemoryCopy(raw, source, VocabularyEnd * 4L, VocabularyEnd * 4L);
            foreach (int hole in Holes) source[hole] = float.NegativeInfinity;
        }
        int found = KeepBest<V>(source, VocabularyEnd, row.TopLogProbs, scratch);
        for (int i = 0; i < row.TopLogProbs; i++)
        {
            results.TopTokens[item * SamplingResults.MaxTopLogProbs + i] = i < found ? scratch.Ids[i] : 0;
            results.TopLogProbs[item * SamplingResults.MaxTopLogProbs + i]
                = i < found ? scratch.Values[i] - normaliser : float.NegativeInfinity;
        }
    }

    /// <summary>The drawn id, or -1 when none is admitted.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int Draw<V>(in SamplingRow row, float* raw, Scratch scratch) where V : unmanaged, ISimd<V>
    {
        int n = VocabularyEnd;
        float* z = Edit(row, raw, n, scratch);
        float maximum = Maximum<V>(z, n);
        if (float.IsNegativeInfinity(maximum)) return -1;
        if (row.Temperature <= 0) return FirstOf<V>(z, n, maximum);

        double uniform = Philox.Uniform(row.Seed, row.Position);
        float inverse = 1f / row.Temperature;
        if (row.TopK is > 0 and <= ListLimit)
        {
            int count = KeepBest<V>(z, n, row.TopK, scratch);
            return DrawFromList(row, count, inverse, uniform, scratch);
        }

        float* weights = scratch.Weights.Floats;
        double total = Weigh<V>(z, weights, n, maximum, inverse, row.MinP);
        if (row.TopK > 0 && row.TopK < n) total = Cut(weights, n, row.TopK, double.PositiveInfinity, scratch);
        if (row.TopP < 1) total = Cut(weights, n, int.MaxValue, row.TopP * total, scratch);
        double goal = uniform * total;
        double sum = 0;
        int last = -1;
        for (int i = 0; i < n; i++)
        {
            if (weights[i] == 0) continue;
            sum += weights[i];
            last = i;
            if (sum > goal) break;
        }
        return last;
    }

    private static int DrawFromList(in SamplingRow row, int count, float inverse, double uniform, Scratch scratch)
    {
        var weights = scratch.ListWeights.AsSpan(0, count);
        double total = 0;
        int kept = 0;
        for (int i = 0; i < count; i++)
        {
            float w = Simd.Exp(V32.Create((scratch.Values[i] - scratch.Values[0]) * inverse)).Value;
            if (w < row.MinP || w == 0) break;
            weights[i] = w;
            total += w;
            kept++;
        }
        if (row.TopP < 1)
        {
            double limit = row.TopP * total;
            total = 0;
            for (int i = 0; i < kept; i++)
            {
                total += weights[i];
                if (total >= limit) kept = i + 1;
            }
        }
        var ids = scratch.Ids.AsSpan(0, kept);
        ids.Sort(weights[..kept]);
        double goal = uniform * total;
        double sum = 0;
        for (int i = 0; i < kept; i++)
        {
            sum += weights[i];
            if (sum > goal) return ids[i];
        }
        return ids[kept - 1];
    }

    /// <summary>The row after masks, biases and penalties: the row itself when there is nothing to change.</summary>
    private float* Edit(in SamplingRow row, float* raw, int n, Scratch scratch)
    {
        bool penalties = row.RepetitionPenalty != 1 || row.PresencePenalty != 0 || row.FrequencyPenalty != 0;
        if (row.MaskRow < 0 && row.BiasCount == 0 && Holes.Length == 0 && !penalties) return raw;
        float* z = scratch.Edited.Floats;
        Buffer.MemoryCopy(raw, z, n * 4L, n * 4L);
        foreach (int hole in Holes) z[hole] = float.NegativeInfinity;
        if (row.MaskRow >= 0)
        {
            var mask = Inputs!.Masks.AsSpan(row.MaskRow * Inputs.MaskStride, Inputs.MaskStride);
            for (int word = 0; word * 32 < n; word++)
            {
                uint banned = ~mask[word];
                while (banned != 0)
                {
                    int id = word * 32 + System.Numerics.BitOperations.TrailingZeroCount(banned);
                    if (id < n) z[id] = float.NegativeInfinity;
                    banned &= banned - 1;
                }
            }
        }
        for (int i = 0; i < row.BiasCount; i++)
        {
            var bias = Inputs!.Biases[row.BiasStart + i];
            if ((uint)bias.Token < (uint)n) z[bias.Token] += bias.Bias;
        }
        if (!penalties) return z;
        uint* counts = _slots.Counts(row.Slot);
        foreach (int token in _slots.Tokens(row.Slot))
        {
            if (token >= n) continue;
            float x = z[token];
            x = x > 0 ? x / row.RepetitionPenalty : x * row.RepetitionPenalty;
            uint count = counts[token] & ~SlotTable.InPrompt;
            if (count > 0) x -= row.FrequencyPenalty * count + row.PresencePenalty;
            z[token] = x;
        }
        return z;
    }

    /// <summary>
    /// Zeroes all weights but the largest, the lower id first of equals: as many as <paramref name="count"/>, or as many as it takes to
    /// reach <paramref name="mass"/>, whichever is fewer. Returns the sum of what stays.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Cut(float* weights, int n, int count, double mass, Scratch scratch)
    {
        var counts = scratch.BucketCounts;
        var masses = scratch.BucketMasses;
        counts.AsSpan().Clear();
        masses.AsSpan().Clear();
        for (int i = 0; i < n; i++)
        {
            if (weights[i] == 0) continue;
            uint bucket = BitConverter.SingleToUInt32Bits(weights[i]) >> 16;
            counts[bucket]++;
            masses[bucket] += weights[i];
        }
        double total = 0;
        long kept = 0;
        int border = Buckets - 1;
        while (border > 0 && kept + counts[border] < count && total + masses[border] < mass)
        {
            kept += counts[border];
            total += masses[border];
            border--;
        }
        var members = scratch.Members;
        int m = 0;
        for (int i = 0; i < n; i++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(weights[i]);
            if (bits >> 16 > border || bits == 0) continue;
            if (bits >> 16 == border) members[m++] = ((ulong)~bits << 32) | (uint)i;
            else weights[i] = 0;
        }
        members.AsSpan(0, m).Sort();
        for (int j = 0; j < m; j++)
        {
            int id = (int)(uint)members[j];
            if (kept < count && total < mass)
            {
                kept++;
                total += weights[id];
            }
            else weights[id] = 0;
        }
        return total;
    }

    /// <summary>The k largest in descending order, the lower id first of equals; fewer when fewer are above negative infinity.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int KeepBest<V>(float* z, int n, int k, Scratch scratch) where V : unmanaged, ISimd<V>
    {
        var values = scratch.Values;
        var ids = scratch.Ids;
        int found = 0;
        float threshold = float.NegativeInfinity;
        int block = 4 * V.Count;
        for (int start = 0; start < n; start += block)
        {
            int end = Math.Min(start + block, n);
            if (end - start == block)
            {
                V m = V.Max(V.Max(V.Load(z + start), V.Load(z + start + V.Count)),
                    V.Max(V.Load(z + start + 2 * V.Count), V.Load(z + start + 3 * V.Count)));
                if (!(V.MaxAcross(m) > threshold)) continue;
            }
            for (int i = start; i < end; i++)
            {
                float x = z[i];
                if (!(x > threshold)) continue;
                int at = found < k ? found++ : k - 1;
                while (at > 0 && values[at - 1] < x)
                {
                    values[at] = values[at - 1];
                    ids[at] = ids[at - 1];
                    at--;
                }
                values[at] = x;
                ids[at] = i;
                if (found == k) threshold = values[k - 1];
            }
        }
        return found;
    }

    /// <summary>Whether the row has a finite value and neither NaN nor positive infinity.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool Usable<V>(float* z, int n, out float maximum) where V : unmanaged, ISimd<V>
    {
        V zero = V.Create(0f), poison = zero, m = V.Create(float.NegativeInfinity);
        int i = 0;
        for (; i <= n - V.Count; i += V.Count)
        {
            V x = V.Load(z + i);
            m = V.Max(m, x);
            poison = V.Fma(x, zero, poison);
        }
        float top = V.MaxAcross(m);
        float bad = V.Sum(poison);
        for (; i < n; i++)
        {
            top = MathF.Max(top, z[i]);
            bad += z[i] * 0f;
        }
        maximum = top;
        if (bad == 0) return true;
        // Something is not finite: look which.
        maximum = float.NegativeInfinity;
        for (i = 0; i < n; i++)
        {
            if (float.IsNaN(z[i]) || float.IsPositiveInfinity(z[i])) return false;
            maximum = MathF.Max(maximum, z[i]);
        }
        return !float.IsNegativeInfinity(maximum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Maximum<V>(float* z, int n) where V : unmanaged, ISimd<V>
    {
        V m = V.Create(float.NegativeInfinity);
        int i = 0;
        for (; i <= n - V.Count; i += V.Count) m = V.Max(m, V.Load(z + i));
        float top = V.MaxAcross(m);
        for (; i < n; i++) top = MathF.Max(top, z[i]);
        return top;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int FirstOf<V>(float* z, int n, float value) where V : unmanaged, ISimd<V>
    {
        int i = 0;
        for (; i <= n - V.Count && V.MaxAcross(V.Load(z + i)) != value; i += V.Count) ;
        for (; i < n; i++)
            if (z[i] == value) return i;
        return -1;
    }

    /// <summary>Σ e^(z - shift), summed in double by blocks of 1024.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double ExpSum<V>(float* z, int n, float shift) where V : unmanaged, ISimd<V>
    {
        V offset = V.Create(shift);
        double total = 0;
        int i = 0;
        while (i <= n - V.Count)
        {
            V sum = V.Create(0f);
            int end = Math.Min(i + 1024, n - V.Count + 1);
            for (; i < end; i += V.Count) sum = V.Add(sum, Simd.Exp(V.Subtract(V.Load(z + i), offset)));
            total += V.Sum(sum);
        }
        for (; i < n; i++) total += Simd.Exp(V32.Create(z[i] - shift)).Value;
        return total;
    }

    /// <summary>weights = e^((z - maximum) / temperature), zero below minP; returns their sum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Weigh<V>(float* z, float* weights, int n, float maximum, float inverse, float minP) where V : unmanaged, ISimd<V>
    {
        V offset = V.Create(maximum), factor = V.Create(inverse), least = V.Create(minP);
        double total = 0;
        int i = 0;
        while (i <= n - V.Count)
        {
            V sum = V.Create(0f);
            int end = Math.Min(i + 1024, n - V.Count + 1);
            for (; i < end; i += V.Count)
            {
                V w = Simd.Exp(V.Multiply(V.Subtract(V.Load(z + i), offset), factor));
                w = V.ZeroBelow(w, w, least);
                V.Store(w, weights + i);
                sum = V.Add(sum, w);
            }
            total += V.Sum(sum);
        }
        for (; i < n; i++)
        {
            float w = Simd.Exp(V32.Create((z[i] - maximum) * inverse)).Value;
            weights[i] = w < minP ? 0 : w;
            total += weights[i];
        }
        return total;
    }

    private sealed class Scratch(int vocabularySize) : IDisposable
    {
        public NativeBuffer Edited { get; } = NativeBuffer.OfFloats(vocabularySize);

        public NativeBuffer Weights { get; } = NativeBuffer.OfFloats(vocabularySize);

        public float[] Values { get; } = new float[ListLimit];

        public float[] ListWeights { get; } = new float[ListLimit];

        public int[] Ids { get; } = new int[ListLimit];

        public int[] BucketCounts { get; } = new int[Buckets];

        public double[] BucketMasses { get; } = new double[Buckets];

        public ulong[] Members { get; } = new ulong[vocabularySize];

        public void Dispose()
        {
            Edited.Dispose();
            Weights.Dispose();
        }
    }
}
