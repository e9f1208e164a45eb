using System.Runtime.CompilerServices;

namespace QwenServe.Compute.Cpu.Kernels;

/// <summary>
/// Turns queries in place and keys on their way into the cache (Su et al. 2021, half-split), and stores values. An item is a token.
/// </summary>
internal sealed unsafe class RopeStoreJob : IPoolJob
{
    public ModelGeometry? Geometry { get; set; }

    public KvStore? Cache { get; set; }

    public int Layer { get; set; }

    /// <summary>[tokens, QkvStride]: queries, keys, values.</summary>
    public float* Qkv { get; set; }

    public long QkvStride { get; set; }

    /// <summary>[tokens, HeadDim]: cosines, then sines.</summary>
    public float* Angles { get; set; }

    /// <summary>[tokens]: block · BlockSize + position within the block.</summary>
    public long* Places { get; set; }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Execute(int item, int worker)
    {
        int d = Geometry!.HeadDim;
        int half = d / 2;
        float* cos = Angles + (long)item * d;
        float* sin = cos + half;
        float* head = Qkv + item * QkvStride;
        for (int h = 0; h < Geometry.HeadCount + Geometry.KvHeadCount; h++, head += d)
        {
            for (int i = 0; i < half; i++)
            {
                float a = head[i], b = head[i + half];
                head[i] = a * cos[i] - b * sin[i];
                head[i + half] = b * cos[i] + a * sin[i];
            }
        }
        int block = (int)(Places[item] / Cache!.BlockSize);
        int slot = (int)(Places[item] % Cache.BlockSize);
        float* k = Qkv + item * QkvStride + (long)Geometry.HeadCount * d;
        float* v = k + (long)Geometry.KvHeadCount * d;
        int stride = Cache.KeyStride;
        long place = (long)(slot / stride) * stride * d + slot % stride;
        for (int h = 0; h < Geometry.KvHeadCount; h++, k += d, v += d)
        {
            byte* keys = Cache.Keys(Layer, block, h);
            byte* values = Cache.Values(Layer, block, h);
            if (Cache.Type == DType.F32)
            {
                for (int i = 0; i < d; i++) ((float*)keys)[place + (long)i * stride] = k[i];
                for (int i = 0; i < d; i++) ((float*)values)[(long)slot * d + i] = v[i];
            }
            else
            {
                for (int i = 0; i < d; i++) ((ushort*)keys)[place + (long)i * stride] = PackedMatrix.Narrow(k[i], Cache.Type);
                for (int i = 0; i < d; i++) ((ushort*)values)[(long)slot * d + i] = PackedMatrix.Narrow(v[i], Cache.Type);
            }
        }
    }
}
