using System.Runtime.InteropServices;
using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Compute.Cuda;

/// <summary>A product's sizes and its end: D[M, N] = X[M, K]·W[N, K]ᵀ, fp32 or bf16 out, added to D or not.</summary>
internal readonly record struct ProductShape(int M, int N, int K, bool Single, bool Add);

/// <summary>
/// The algorithms of cuBLASLt that measurement chose, kept on disk for a card and a version of the library, so that the next start neither measures
/// nor chooses others.
/// </summary>
internal sealed unsafe class AlgorithmCache
{
    private readonly string? _path;
    private readonly Dictionary<ProductShape, cublasLtMatmulAlgo_t> _known = [];

    [StructLayout(LayoutKind.Sequential)]
    private struct Entry
    {
        public int M, N, K, Single, Add, Unused;
        public cublasLtMatmulAlgo_t Algorithm;
    }

    /// <param name="path">The file; null keeps nothing.</param>
    public AlgorithmCache(string? path)
    {
        _path = path;
        Load();
    }

    public bool TryGet(ProductShape shape, out cublasLtMatmulAlgo_t algorithm) => _known.TryGetValue(shape, out algorithm);

    public void Put(ProductShape shape, cublasLtMatmulAlgo_t algorithm)
    {
        _known[shape] = algorithm;
        if (_path is null) return;
        // Another engine or process may have written meanwhile.
        Load();
        Entry[] entries = [.. _known.Select(k => new Entry { M = k.Key.M, N = k.Key.N, K = k.Key.K, Single = k.Key.Single ? 1 : 0, Add = k.Key.Add ? 1 : 0, Algorithm = k.Value })];
        SealedFile.Write(_path, MemoryMarshal.AsBytes(entries.AsSpan()));
    }

    /// <summary>Takes in what the file has beyond what is known.</summary>
    private void Load()
    {
        if (_path is null || SealedFile.Read(_path) is not { } content || content.Length % sizeof(Entry) != 0) return;
        foreach (ref readonly var e in MemoryMarshal.Cast<byte, Entry>(content)) _known.TryAdd(new ProductShape(e.M, e.N, e.K, e.Single != 0, e.Add != 0), e.Algorithm);
    }
}
