using System.Runtime.InteropServices;
using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Compute.Cuda;

/// <summary>A call into NVIDIA's libraries failed; the message names the call, the status and what to do.</summary>
public sealed class CudaException : Exception
{
    public CudaException(string message) : base(message) { }

    /// <summary>True when the device ran out of memory, which a smaller configuration cures.</summary>
    public bool OutOfMemory { get; private init; }

    internal static unsafe CudaException Of(CUresult status, string call)
    {
        string name = CudaDriver.cuGetErrorName(status, out byte* text) == CUresult.CUDA_SUCCESS ? Marshal.PtrToStringUTF8((nint)text)! : $"CUresult {(int)status}";
        string meaning = CudaDriver.cuGetErrorString(status, out text) == CUresult.CUDA_SUCCESS ? Marshal.PtrToStringUTF8((nint)text)! : "unknown error";
        string advice = status switch
        {
            CUresult.CUDA_ERROR_OUT_OF_MEMORY => "; use a smaller --max-batch-tokens or --max-sequences, or free memory that other processes hold",
            CUresult.CUDA_ERROR_ILLEGAL_ADDRESS or CUresult.CUDA_ERROR_LAUNCH_FAILED => "; the CUDA context is lost, restart the server",
            CUresult.CUDA_ERROR_NO_DEVICE => "; check nvidia-smi and, in a container, that the GPU is passed through",
            _ => "",
        };
        return new CudaException($"{call}: {name} ({meaning}){advice}") { OutOfMemory = status == CUresult.CUDA_ERROR_OUT_OF_MEMORY };
    }
}

internal static class CudaStatus
{
    public static void Check(this CUresult status, string call)
    {
        if (status != CUresult.CUDA_SUCCESS) throw CudaException.Of(status, call);
    }

    public static void Check(this cublasStatus_t status, string call)
    {
        if (status != cublasStatus_t.CUBLAS_STATUS_SUCCESS) throw new CudaException($"{call}: {status}");
    }

    public static void Check(this nvrtcResult status, string call)
    {
        if (status != nvrtcResult.NVRTC_SUCCESS) throw new CudaException($"{call}: {status}");
    }
}
