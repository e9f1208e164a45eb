using QwenServe.Compute.Cuda;
using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Tests.Compute.Cuda;

public class KernelCompilerTests
{
    public static TheoryData<string, string> Kernels()
    {
        var data = new TheoryData<string, string>();
        foreach (string architecture in new[] { "sm_80", "sm_86", "sm_89", "sm_90a" })
            foreach (string file in KernelCompiler.Files)
                data.Add(file, architecture);
        return data;
    }

    [NvrtcTheory]
    [MemberData(nameof(Kernels))]
    public void Every_kernel_compiles_and_hardly_spills(string file, string architecture)
    {
        string[][] sizes = [["HEAD_DIM=128", "GROUP=7"], ["HEAD_DIM=64", "GROUP=7"]];
        string[][] tiles = [["TILE=8"], ["TILE=64"], ["TILE=128"]];
        foreach (string[] definitions in file.EndsWith("Attention", StringComparison.Ordinal) ? sizes : file == "HopperGemm" ? tiles : [[]])
        {
            byte[] cubin = KernelCompiler.Compile(file, architecture, definitions, out string log);
            Assert.True(cubin.Length > 100);
            Assert.DoesNotMatch("[0-9]{4,} bytes spill", log);
            if (Environment.GetEnvironmentVariable("QWENSERVE_KERNEL_LOG") is { Length: > 0 } path) File.AppendAllText(path, $"== {file} {architecture} {string.Join(' ', definitions)}\n{log}\n");
        }
    }

    [NvrtcFact]
    public void A_source_that_does_not_compile_says_where()
    {
        var problem = Assert.Throws<CudaException>(() => KernelCompiler.Compile("DecodeAttention", "sm_80", [], out _));
        Assert.Contains("HEAD_DIM", problem.Message, StringComparison.Ordinal);
    }

    private static string? WhyNot()
    {
        NativeLibraries.Register();
        // In CI the compiler is part of the machine, so its absence is a failure there.
        return Environment.GetEnvironmentVariable("CI") == "true" ? null : NativeLibraries.WhyMissing(NativeLibraries.Nvrtc);
    }

    private sealed class NvrtcFactAttribute : FactAttribute
    {
        public NvrtcFactAttribute() => Skip = WhyNot();
    }

    private sealed class NvrtcTheoryAttribute : TheoryAttribute
    {
        public NvrtcTheoryAttribute() => Skip = WhyNot();
    }
}
