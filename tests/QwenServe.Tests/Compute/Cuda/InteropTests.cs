using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using QwenServe.Compute;
using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Tests.Compute.Cuda;

/// <summary>Sizes and offsets as NVIDIA's headers of 64-bit Linux have them.</summary>
public class InteropTests
{
    [Fact]
    public void Structs_have_the_layout_of_the_headers()
    {
        Assert.Equal(72, Unsafe.SizeOf<CUlaunchAttribute>());
        Assert.Equal(8, Marshal.OffsetOf<CUlaunchAttribute>(nameof(CUlaunchAttribute.programmaticStreamSerializationAllowed)));
        Assert.Equal(56, Unsafe.SizeOf<CUlaunchConfig>());
        Assert.Equal(24, Marshal.OffsetOf<CUlaunchConfig>(nameof(CUlaunchConfig.sharedMemBytes)));
        Assert.Equal(32, Marshal.OffsetOf<CUlaunchConfig>(nameof(CUlaunchConfig.hStream)));
        Assert.Equal(40, Marshal.OffsetOf<CUlaunchConfig>(nameof(CUlaunchConfig.attrs)));
        Assert.Equal(48, Marshal.OffsetOf<CUlaunchConfig>(nameof(CUlaunchConfig.numAttrs)));
        Assert.Equal(128, Unsafe.SizeOf<CUtensorMap>());
        Assert.Equal(64, Unsafe.SizeOf<cublasLtMatmulAlgo_t>());
        Assert.Equal(96, Unsafe.SizeOf<cublasLtMatmulHeuristicResult_t>());
        Assert.Equal(64, Marshal.OffsetOf<cublasLtMatmulHeuristicResult_t>(nameof(cublasLtMatmulHeuristicResult_t.workspaceSize)));
        Assert.Equal(72, Marshal.OffsetOf<cublasLtMatmulHeuristicResult_t>(nameof(cublasLtMatmulHeuristicResult_t.state)));
        Assert.Equal(80, Marshal.OffsetOf<cublasLtMatmulHeuristicResult_t>(nameof(cublasLtMatmulHeuristicResult_t.reserved)));
    }

    [Fact]
    public void Sampling_rows_are_laid_out_as_the_kernels_read_them()
    {
        Assert.Equal(72, Unsafe.SizeOf<SamplingRow>());
        Assert.Equal(12, Marshal.OffsetOf<SamplingRow>(nameof(SamplingRow.Temperature)));
        Assert.Equal(40, Marshal.OffsetOf<SamplingRow>(nameof(SamplingRow.Seed)));
        Assert.Equal(64, Marshal.OffsetOf<SamplingRow>(nameof(SamplingRow.MaskRow)));
        Assert.Equal(8, Unsafe.SizeOf<TokenBias>());
    }
}
