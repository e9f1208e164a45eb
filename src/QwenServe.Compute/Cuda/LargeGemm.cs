using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Compute.Cuda;

/// <summary>
/// Matrix products through cuBLASLt: D[m, n] = X[m, k] · W[n, k]ᵀ, bf16 in, fp32 accumulation, bf16 or fp32 out, or added to an fp32 D.
/// m is rounded up so that shapes repeat. The candidates of the heuristic are timed once a shape and card, and the fastest goes to the disk; above 256 rows
/// only powers of two are timed, and what was found for one serves up to the next, so that no step waits for measurements for long.
/// </summary>
internal sealed unsafe class LargeGemm : IDisposable
{
    private const long WorkspaceBytes = 64 << 20;
    private const int Candidates = 8;

    private readonly nint _handle, _description, _preference, _stream;
    private readonly ulong _workspace;
    private readonly AlgorithmCache _cache;
    private readonly Dictionary<ProductShape, Plan> _plans = [];

    private sealed class Plan
    {
        public nint W, X, D;
        public cublasLtMatmulAlgo_t Algorithm;
    }

    /// <param name="memory">For the workspace.</param>
    /// <param name="stream">What products are queued on.</param>
    /// <param name="card">Names the card, as part of a file's name; null keeps nothing on disk.</param>
    public LargeGemm(DeviceMemory memory, nint stream, string? card)
    {
        _stream = stream;
        _cache = new AlgorithmCache(card is null ? null : Path.Combine(KernelCompiler.CacheFolder, $"cublaslt-{CublasLt.cublasLtGetVersion()}-{card}.algorithms"));
        CublasLt.cublasLtCreate(out _handle).Check(nameof(CublasLt.cublasLtCreate));
        CublasLt.cublasLtMatmulDescCreate(out _description, cublasComputeType_t.CUBLAS_COMPUTE_32F, cudaDataType.CUDA_R_32F).Check(nameof(CublasLt.cublasLtMatmulDescCreate));
        int transpose = (int)cublasOperation_t.CUBLAS_OP_T;
        CublasLt.cublasLtMatmulDescSetAttribute(_description, cublasLtMatmulDescAttributes_t.CUBLASLT_MATMUL_DESC_TRANSA, &transpose, sizeof(int))
            .Check(nameof(CublasLt.cublasLtMatmulDescSetAttribute));
        CublasLt.cublasLtMatmulPreferenceCreate(out _preference).Check(nameof(CublasLt.cublasLtMatmulPreferenceCreate));
        ulong limit = (ulong)WorkspaceBytes;
        CublasLt.cublasLtMatmulPreferenceSetAttribute(_preference, cublasLtMatmulPreferenceAttributes_t.CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &limit, sizeof(ulong))
            .Check(nameof(CublasLt.cublasLtMatmulPreferenceSetAttribute));
        _workspace = memory.Allocate(WorkspaceBytes, "the workspace of cuBLASLt");
    }

    /// <summary>Rows that a product of m rows touches.</summary>
    public static int RowsFor(int m) => m <= 64 ? (m + 7) & ~7 : m <= 256 ? (m + 31) & ~31 : (m + 255) & ~255;

    /// <summary>Queues the product. The buffers behind x and d must have <see cref="RowsFor"/> rows.</summary>
    public void Multiply(ulong w, ulong x, ulong d, int m, int n, int k, bool single, bool add, bool capturing)
    {
        m = RowsFor(m);
        var shape = new ProductShape(m, n, k, single, add);
        if (!_plans.TryGetValue(shape, out var plan)) plan = Choose(w, x, d, shape, capturing);
        fixed (cublasLtMatmulAlgo_t* algorithm = &plan.Algorithm) Queue(plan, w, x, d, add, algorithm);
    }

    private void Queue(Plan plan, ulong w, ulong x, ulong d, bool add, cublasLtMatmulAlgo_t* algorithm)
    {
        float alpha = 1, beta = add ? 1 : 0;
        var status = CublasLt.cublasLtMatmul(_handle, _description, &alpha, w, plan.W, x, plan.X, &beta, d, plan.D, d, plan.D, algorithm, _workspace, (nuint)WorkspaceBytes, _stream);
        if (status != cublasStatus_t.CUBLAS_STATUS_SUCCESS) status.Check(nameof(CublasLt.cublasLtMatmul));
    }

    private Plan Choose(ulong w, ulong x, ulong d, ProductShape shape, bool capturing)
    {
        var (m, n, k, single, add) = shape;
        var plan = new Plan();
        var outType = single ? cudaDataType.CUDA_R_32F : cudaDataType.CUDA_R_16BF;
        CublasLt.cublasLtMatrixLayoutCreate(out plan.W, cudaDataType.CUDA_R_16BF, (ulong)k, (ulong)n, k).Check(nameof(CublasLt.cublasLtMatrixLayoutCreate));
        CublasLt.cublasLtMatrixLayoutCreate(out plan.X, cudaDataType.CUDA_R_16BF, (ulong)k, (ulong)m, k).Check(nameof(CublasLt.cublasLtMatrixLayoutCreate));
        CublasLt.cublasLtMatrixLayoutCreate(out plan.D, outType, (ulong)n, (ulong)m, n).Check(nameof(CublasLt.cublasLtMatrixLayoutCreate));
        int timed = m <= 256 ? m : 1 << System.Numerics.BitOperations.Log2((uint)m);
        if (timed != m)
        {
            var smaller = shape with { M = timed };
            if (!_plans.TryGetValue(smaller, out var kin)) kin = Choose(w, x, d, smaller, capturing);
            plan.Algorithm = kin.Algorithm;
            if (Serves(plan)) return _plans[shape] = plan;
        }
        else if (_cache.TryGet(shape, out plan.Algorithm) && Serves(plan)) return _plans[shape] = plan;

        var results = stackalloc cublasLtMatmulHeuristicResult_t[Candidates];
        CublasLt.cublasLtMatmulAlgoGetHeuristic(_handle, _description, plan.W, plan.X, plan.D, plan.D, _preference, Candidates, results, out int count)
            .Check(nameof(CublasLt.cublasLtMatmulAlgoGetHeuristic));
        if (count == 0) throw new CudaException($"cuBLASLt has no algorithm for a product of {m} x {n} x {k}");
        plan.Algorithm = results[0].algo;
        // Nothing can be timed under capture, and what is timed must not be added into d.
        ulong target = !add ? d : _scratch != 0 && (long)m * n * 4 <= _scratchBytes ? _scratch : 0;
        if (timed != m || capturing || target == 0) return _plans[shape] = plan;
        plan.Algorithm = results[Fastest(plan, w, x, target, results, count)].algo;
        _cache.Put(shape, plan.Algorithm);
        return _plans[shape] = plan;
    }

    /// <summary>Whether the library takes the plan's algorithm for the plan's sizes.</summary>
    private bool Serves(Plan plan)
    {
        cublasLtMatmulHeuristicResult_t result;
        fixed (cublasLtMatmulAlgo_t* algorithm = &plan.Algorithm)
            return CublasLt.cublasLtMatmulAlgoCheck(_handle, _description, plan.W, plan.X, plan.D, plan.D, algorithm, &result) == cublasStatus_t.CUBLAS_STATUS_SUCCESS
                && result.state == cublasStatus_t.CUBLAS_STATUS_SUCCESS && result.workspaceSize <= (nuint)WorkspaceBytes;
    }

    private ulong _scratch;
    private long _scratchBytes;

    /// <summary>Memory that timed additions may spoil.</summary>
    public void UseScratch(ulong scratch, long bytes) => (_scratch, _scratchBytes) = (scratch, bytes);

    private int Fastest(Plan plan, ulong w, ulong x, ulong d, cublasLtMatmulHeuristicResult_t* results, int count)
    {
        CudaDriver.cuEventCreate(out nint start, 0).Check(nameof(CudaDriver.cuEventCreate));
        CudaDriver.cuEventCreate(out nint end, 0).Check(nameof(CudaDriver.cuEventCreate));
        int best = 0;
        float bestTime = float.MaxValue;
        for (int i = 0; i < count; i++)
        {
            float time = float.MaxValue;
            for (int round = 0; round < 4; round++)
            {
                CudaDriver.cuEventRecord(start, _stream).Check(nameof(CudaDriver.cuEventRecord));
                Queue(plan, w, x, d, false, &results[i].algo);
                CudaDriver.cuEventRecord(end, _stream).Check(nameof(CudaDriver.cuEventRecord));
                CudaDriver.cuEventSynchronize(end).Check(nameof(CudaDriver.cuEventSynchronize));
                CudaDriver.cuEventElapsedTime(out float elapsed, start, end).Check(nameof(CudaDriver.cuEventElapsedTime));
                if (round > 0) time = Math.Min(time, elapsed);
            }
            if (time < bestTime) (best, bestTime) = (i, time);
        }
        _ = CudaDriver.cuEventDestroy_v2(start);
        _ = CudaDriver.cuEventDestroy_v2(end);
        return best;
    }

    public void Dispose()
    {
        foreach (var plan in _plans.Values)
        {
            _ = CublasLt.cublasLtMatrixLayoutDestroy(plan.W);
            _ = CublasLt.cublasLtMatrixLayoutDestroy(plan.X);
            _ = CublasLt.cublasLtMatrixLayoutDestroy(plan.D);
        }
        _ = CublasLt.cublasLtMatmulPreferenceDestroy(_preference);
        _ = CublasLt.cublasLtMatmulDescDestroy(_description);
        _ = CublasLt.cublasLtDestroy(_handle);
    }
}
