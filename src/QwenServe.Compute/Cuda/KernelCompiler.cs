using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Compute.Cuda;

/// <summary>
/// CUDA C++ from this assembly to machine code for one architecture, by NVRTC. Results are kept on disk under a hash of source,
/// options, compiler and driver, so that only the first start of a version on a card compiles. Each carries its own hash behind it: what a
/// full disk or a crash left behind would crash the driver, or worse, and is compiled again.
/// </summary>
internal static unsafe class KernelCompiler
{
    private const string Prefix = "Kernels.";

    static KernelCompiler() => NativeLibraries.Register();

    /// <summary>Names of the kernel files, without extension.</summary>
    public static IReadOnlyList<string> Files { get; } =
        [.. typeof(KernelCompiler).Assembly.GetManifestResourceNames().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal) && n.EndsWith(".cu", StringComparison.Ordinal))
            .Select(n => n[Prefix.Length..^3]).Order(StringComparer.Ordinal)];

    /// <summary>"sm_90a" for Hopper, whose own instructions need the suffix; "sm_86" and so on for others.</summary>
    public static string Architecture(int major, int minor) => $"sm_{major}{minor}{(major == 9 ? "a" : "")}";

    /// <summary>Where cubins are kept, and the algorithms of cuBLASLt that were timed.</summary>
    public static string CacheFolder { get; } = Environment.GetEnvironmentVariable("QWENSERVE_CUBIN_CACHE") is { Length: > 0 } chosen ? chosen
        : Path.Combine(Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache ? cache
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"), "qwenserve", "cubins");

    /// <summary>The cubin from the cache, or compiled and put there. A cache that cannot be written costs time only.</summary>
    public static byte[] Get(string file, string architecture, int driverVersion, params ReadOnlySpan<string> definitions)
        => Get(CacheFolder, file, architecture, driverVersion, definitions, out _);

    /// <summary>As above, with a cache of the caller's; tells whether the cubin came from it.</summary>
    internal static byte[] Get(string folder, string file, string architecture, int driverVersion, ReadOnlySpan<string> definitions, out bool cached)
    {
        var options = Options(architecture, definitions);
        string key = Hash(file, options, driverVersion);
        string path = Path.Combine(folder, $"{file}-{architecture}-{key}.cubin");
        if (SealedFile.Read(path) is { } kept)
        {
            cached = true;
            return kept;
        }
        cached = false;
        byte[] cubin = Compile(file, options, out _);
        SealedFile.Write(path, cubin);
        return cubin;
    }

    /// <summary>Compiles without the cache; the log is the compiler's, register counts included.</summary>
    /// <exception cref="CudaException">The source does not compile; the message holds the compiler's.</exception>
    public static byte[] Compile(string file, string architecture, ReadOnlySpan<string> definitions, out string log)
        => Compile(file, [.. Options(architecture, definitions), "--ptxas-options=--verbose"], out log);

    private static List<string> Options(string architecture, ReadOnlySpan<string> definitions)
    {
        var options = new List<string> { $"--gpu-architecture={architecture}", "--std=c++17", "--fmad=true", "-default-device", "--extra-device-vectorization" };
        foreach (string definition in definitions) options.Add($"-D{definition}");
        return options;
    }

    private static string Hash(string file, List<string> options, int driverVersion)
    {
        Nvrtc.nvrtcVersion(out int major, out int minor).Check(nameof(Nvrtc.nvrtcVersion));
        string text = string.Join('\n', [$"{major}.{minor} {driverVersion}", .. options, Read("Common.cuh"), Read($"{file}.cu")]);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..24];
    }

    private static byte[] Compile(string file, List<string> options, out string log)
    {
        nint program;
        fixed (byte* source = Terminated(Read($"{file}.cu")), name = Terminated($"{file}.cu"), header = Terminated(Read("Common.cuh")), headerName = Terminated("Common.cuh"))
        {
            byte* headers = header, names = headerName;
            Nvrtc.nvrtcCreateProgram(out program, source, name, 1, &headers, &names).Check(nameof(Nvrtc.nvrtcCreateProgram));
        }
        try
        {
            var arguments = stackalloc byte*[options.Count];
            var pins = new System.Runtime.InteropServices.GCHandle[options.Count];
            nvrtcResult result;
            try
            {
                for (int i = 0; i < pins.Length; i++)
                {
                    pins[i] = System.Runtime.InteropServices.GCHandle.Alloc(Terminated(options[i]), System.Runtime.InteropServices.GCHandleType.Pinned);
                    arguments[i] = (byte*)pins[i].AddrOfPinnedObject();
                }
                result = Nvrtc.nvrtcCompileProgram(program, options.Count, arguments);
            }
            finally
            {
                foreach (var pin in pins) if (pin.IsAllocated) pin.Free();
            }
            Nvrtc.nvrtcGetProgramLogSize(program, out nuint size).Check(nameof(Nvrtc.nvrtcGetProgramLogSize));
            byte[] text = new byte[(int)size];
            fixed (byte* to = text) Nvrtc.nvrtcGetProgramLog(program, to).Check(nameof(Nvrtc.nvrtcGetProgramLog));
            log = Encoding.UTF8.GetString(text).TrimEnd('\0', '\n');
            if (result != nvrtcResult.NVRTC_SUCCESS) throw new CudaException($"{file}.cu does not compile ({string.Join(' ', options)}): {result}\n{log}");
            Nvrtc.nvrtcGetCUBINSize(program, out size).Check(nameof(Nvrtc.nvrtcGetCUBINSize));
            byte[] cubin = new byte[(int)size];
            fixed (byte* to = cubin) Nvrtc.nvrtcGetCUBIN(program, to).Check(nameof(Nvrtc.nvrtcGetCUBIN));
            return cubin;
        }
        finally
        {
            _ = Nvrtc.nvrtcDestroyProgram(ref program);
        }
    }

    private static string Read(string name)
    {
        using var stream = typeof(KernelCompiler).Assembly.GetManifestResourceStream(Prefix + name) ?? throw new ArgumentException($"no kernel file {name}");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    private static byte[] Terminated(string text) => Encoding.UTF8.GetBytes(text + '\0');
}
