using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenServe.Compute.Cpu.Kernels;

/// <summary>
/// Brings rows of activations into tile order, [k, rows of the tile], with or without RMSNorm (Zhang and Sennrich 2019) on the way:
/// y = x · rsqrt(mean(x²) + ε) · w.
/// </summary>
internal sealed unsafe class PackRowsJob : IPoolJob, IDisposable
{
    private const int BlockColumns = 64;

    private readonly RowTiles _tiles;
    private readonly NativeBuffer _rowBuffers;
    private readonly int _rowStride;

    /// <param name="tiles">How the rows are cut.</param>
    /// <param name="threads">Workers of the pool.</param>
    /// <param name="maxColumns">The longest row.</param>
    public PackRowsJob(RowTiles tiles, int threads, int maxColumns)
    {
        _tiles = tiles;
        _rowStride = (maxColumns + 31) / 16 * 16;
        _rowBuffers = NativeBuffer.OfFloats((long)threads * _rowStride * 12);
    }

    /// <summary>[.., SourceStride]</summary>
    public float* Source { get; set; }

    public long SourceStride { get; set; }

    /// <summary>Source rows to take, or null for all in order.</summary>
    public int* Rows { get; set; }

    public int Columns { get; set; }

    /// <summary>[Columns], or null to copy.</summary>
    public float* NormWeight { get; set; }

    public float Epsilon { get; set; }

    /// <summary>[padded rows · columns rounded up to a pair]</summary>
    public float* Destination { get; set; }

    public void Execute(int item, int worker)
    {
        float* buffer = _rowBuffers.Floats + (long)worker * _rowStride * 12;
        if (Vector512.IsHardwareAccelerated) PackTile<V512>(item, buffer);
        else if (Vector256.IsHardwareAccelerated) PackTile<V256>(item, buffer);
        else if (Vector128.IsHardwareAccelerated) PackTile<V128>(item, buffer);
        else PackTile<V32>(item, buffer);
    }

    public void Dispose() => _rowBuffers.Dispose();

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PackTile<V>(int tile, float* buffer) where V : unmanaged, ISimd<V>
    {
        int columns = Columns;
        int padded = (columns + 1) / 2 * 2;
        int size = _tiles.Size(tile);
        int valid = _tiles.Valid(tile);
        float* destination = Destination + (long)_tiles.PaddedFirst(tile) * padded;
        float** from = stackalloc float*[12];
        for (int r = 0; r < valid; r++)
        {
            int row = _tiles.First(tile) + r;
            if (Rows != null) row = Rows[row];
            from[r] = Source + row * SourceStride;
            if (NormWeight == null) continue;
            float* normalized = size == 1 ? destination : buffer + (long)r * _rowStride;
            Normalize<V>(from[r], NormWeight, columns, Epsilon, normalized);
            from[r] = normalized;
        }
        // In blocks of k, so that the transposed writes stay in the first cache.
        for (int start = 0; start < columns; start += BlockColumns)
        {
            int end = Math.Min(start + BlockColumns, columns);
            for (int r = 0; r < size; r++)
            {
                float* to = destination + (long)start * size + r;
                if (r >= valid)
                {
                    for (int k = start; k < end; k++, to += size) *to = 0;
                    continue;
                }
                float* x = from[r];
                if (x == destination) break;
                for (int k = start; k < end; k++, to += size) *to = x[k];
            }
        }
        for (int i = columns * size; i < padded * size; i++) destination[i] = 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Normalize<V>(float* x, float* weight, int n, float epsilon, float* y) where V : unmanaged, ISimd<V>
    {
        V s0 = V.Create(0f), s1 = s0;
        int i = 0;
        for (; i <= n - 2 * V.Count; i += 2 * V.Count)
        {
            V a = V.Load(x + i), b = V.Load(x + i + V.Count);
            s0 = V.Fma(a, a, s0);
            s1 = V.Fma(b, b, s1);
        }
        float sum = V.Sum(V.Add(s0, s1));
        for (; i < n; i++) sum += x[i] * x[i];
        float inverse = 1f / MathF.Sqrt(sum / n + epsilon);
        V scale = V.Create(inverse);
        for (i = 0; i <= n - V.Count; i += V.Count)
            V.Store(V.Multiply(V.Multiply(V.Load(x + i), scale), V.Load(weight + i)), y + i);
        for (; i < n; i++) y[i] = x[i] * inverse * weight[i];
    }
}
