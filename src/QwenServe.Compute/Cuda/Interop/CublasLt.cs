using System.Runtime.InteropServices;

namespace QwenServe.Compute.Cuda.Interop;

internal enum cublasStatus_t
{
    CUBLAS_STATUS_SUCCESS = 0,
    CUBLAS_STATUS_NOT_INITIALIZED = 1,
    CUBLAS_STATUS_ALLOC_FAILED = 3,
    CUBLAS_STATUS_INVALID_VALUE = 7,
    CUBLAS_STATUS_ARCH_MISMATCH = 8,
    CUBLAS_STATUS_MAPPING_ERROR = 11,
    CUBLAS_STATUS_EXECUTION_FAILED = 13,
    CUBLAS_STATUS_INTERNAL_ERROR = 14,
    CUBLAS_STATUS_NOT_SUPPORTED = 15,
}

internal enum cublasComputeType_t
{
    CUBLAS_COMPUTE_32F = 68,
}

internal enum cudaDataType
{
    CUDA_R_32F = 0,
    CUDA_R_16BF = 14,
}

internal enum cublasOperation_t
{
    CUBLAS_OP_N = 0,
    CUBLAS_OP_T = 1,
}

internal enum cublasLtMatmulDescAttributes_t
{
    CUBLASLT_MATMUL_DESC_TRANSA = 3,
    CUBLASLT_MATMUL_DESC_TRANSB = 4,
}

internal enum cublasLtMatmulPreferenceAttributes_t
{
    CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1,
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct cublasLtMatmulAlgo_t
{
    public fixed ulong data[8];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct cublasLtMatmulHeuristicResult_t
{
    public cublasLtMatmulAlgo_t algo;
    public nuint workspaceSize;
    public cublasStatus_t state;
    public float wavesCount;
    public fixed int reserved[4];
}

/// <summary>The light cuBLAS API, libcublasLt.so.12 or .13.</summary>
internal static unsafe partial class CublasLt
{
    private const string Library = NativeLibraries.CublasLt;

    [LibraryImport(Library)] public static partial cublasStatus_t cublasLtCreate(out nint handle);
    [LibraryImport(Library)] public static partial cublasStatus_t cublasLtDestroy(nint handle);
    [LibraryImport(Library)] public static partial nuint cublasLtGetVersion();
    [LibraryImport(Library)] public static partial cublasStatus_t cublasLtMatmulDescCreate(out nint description, cublasComputeType_t compute, cudaDataType scale);
    [LibraryImport(Library)] public static partial cublasStatus_t cublasLtMatmulDescDestroy(nint description);
    [LibraryImport(Library)] public static partial cublasStatus_t cublasLtMatmulDescSetAttribute(nint description, cublasLtMatmulDescAttributes_t attribute, void* value, nuint bytes);
    [LibraryImport(Library)] public static partial cublasStatus_t cublasLtMatrixLayoutCreate(out nint layout, cudaDataType type, ulong rows, ulong columns, long leadingDimension);
    [LibraryImport(Library)] public static partial cublasStatus_t cublasLtMatrixLayoutDestroy(nint layout);
    [LibraryImport(Library)] public static partial cublasStatus_t cublasLtMatmulPreferenceCreate(out nint preference);
    [LibraryImport(Library)] public static partial cublasStatus_t cublasLtMatmulPreferenceDestroy(nint preference);
    [LibraryImport(Library)] public static partial cublasStatus_t cublasLtMatmulPreferenceSetAttribute(nint preference, cublasLtMatmulPreferenceAttributes_t attribute, void* value, nuint bytes);

    [LibraryImport(Library)]
    public static partial cublasStatus_t cublasLtMatmulAlgoGetHeuristic(nint handle, nint operation, nint a, nint b, nint c, nint d, nint preference,
        int requested, cublasLtMatmulHeuristicResult_t* results, out int returned);

    [LibraryImport(Library)]
    public static partial cublasStatus_t cublasLtMatmulAlgoCheck(nint handle, nint operation, nint a, nint b, nint c, nint d, cublasLtMatmulAlgo_t* algorithm, cublasLtMatmulHeuristicResult_t* result);

    [LibraryImport(Library)]
    public static partial cublasStatus_t cublasLtMatmul(nint handle, nint description, void* alpha, ulong a, nint aLayout, ulong b, nint bLayout, void* beta,
        ulong c, nint cLayout, ulong d, nint dLayout, cublasLtMatmulAlgo_t* algorithm, ulong workspace, nuint workspaceBytes, nint stream);
}
