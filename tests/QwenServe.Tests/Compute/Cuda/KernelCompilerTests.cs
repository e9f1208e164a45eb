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

    [NvrtcFact]
    public void A_cached_cubin_that_is_damaged_or_cut_short_is_compiled_again()
    {
        using var folder = new TemporaryDirectory();
        string cache = Path.Combine(folder.Path, "cubins");
        byte[] Get(out bool cached) => KernelCompiler.Get(cache, "Elementwise", "sm_80", 12080, [], out cached);
        byte[] fresh = Get(out bool cached);
        Assert.False(cached);
        Assert.Equal(fresh, Get(out cached));
        Assert.True(cached);

        string file = Assert.Single(Directory.GetFiles(cache));
        byte[] whole = File.ReadAllBytes(file);
        byte[] flipped = [.. whole];
        flipped[whole.Length / 2] ^= 1;
        foreach (byte[] damaged in new byte[][] { flipped, whole[..(whole.Length / 2)], whole[..^1], [.. whole, 0], fresh, new byte[whole.Length], [] })
        {
            File.WriteAllBytes(file, damaged);
            Assert.Equal(fresh, Get(out cached));
            Assert.False(cached);
            Assert.Equal(whole, File.ReadAllBytes(file));
        }
        Get(out cached);
        Assert.True(cached);
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
