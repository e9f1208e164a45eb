using System.Reflection;
using System.Runtime.InteropServices;

namespace QwenServe.Compute.Cuda.Interop;

/// <summary>Finds NVIDIA's libraries, of CUDA 12 or 13, where drivers, toolkits and Python packages put them.</summary>
internal static class NativeLibraries
{
    public const string Driver = "cuda";
    public const string Nvrtc = "nvrtc";
    public const string CublasLt = "cublasLt";

    private static readonly Dictionary<string, (string[] Files, string Hint)> Known = new(StringComparer.Ordinal)
    {
        [Driver] = (["libcuda.so.1"], "install NVIDIA's driver, 525 or newer"),
        [Nvrtc] = (["libnvrtc.so.13", "libnvrtc.so.12"], "install the CUDA toolkit's NVRTC, 12.4 or newer (Debian: libnvrtc12; NVIDIA's repository: cuda-nvrtc-12-4)"),
        [CublasLt] = (["libcublasLt.so.13", "libcublasLt.so.12"], "install cuBLAS of CUDA 12 or 13 (Debian: libcublaslt12; NVIDIA's repository: libcublas-12-4)"),
    };

    private static readonly Lock Guard = new();
    private static readonly Dictionary<string, nint> Loaded = new(StringComparer.Ordinal);
    private static bool _registered;

    /// <summary>Makes the imports of this namespace resolvable; must come before the first of them.</summary>
    public static void Register()
    {
        lock (Guard)
        {
            if (_registered) return;
            _registered = true;
            NativeLibrary.SetDllImportResolver(typeof(NativeLibraries).Assembly,
                (name, _, _) => Known.ContainsKey(name) ? Load(name, out _) : 0);
        }
    }

    /// <summary>Null when the library can be loaded; otherwise one line that names it, what was looked for and what to install.</summary>
    public static string? WhyMissing(string name) => Load(name, out string? problem) != 0 ? null : problem;

    private static nint Load(string name, out string? problem)
    {
        problem = null;
        lock (Guard)
        {
            if (Loaded.TryGetValue(name, out nint handle)) return handle;
            var (files, hint) = Known[name];
            foreach (string file in files)
                if (NativeLibrary.TryLoad(file, out handle)) return Loaded[name] = handle;
            foreach (string folder in Folders())
                foreach (string file in files)
                {
                    string path = Path.Combine(folder, file);
                    if (File.Exists(path) && NativeLibrary.TryLoad(path, out handle)) return Loaded[name] = handle;
                }
            problem = $"{string.Join(" or ", files)} was not found; {hint}";
            return 0;
        }
    }

    private static IEnumerable<string> Folders()
    {
        foreach (string variable in new[] { "CUDA_HOME", "CUDA_PATH" })
            if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } root)
            {
                yield return Path.Combine(root, "lib64");
                yield return Path.Combine(root, "targets", "x86_64-linux", "lib");
            }
        foreach (string folder in new[]
        {
            "/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib", "/usr/local/cuda-13/lib64", "/usr/local/cuda-12/lib64",
            "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/local/nvidia/lib64", "/usr/lib/wsl/lib", "/opt/cuda/lib64",
        }) yield return folder;
        // Python packages (nvidia-cuda-nvrtc, nvidia-cublas) carry the same files.
        var pythons = new List<string>();
        if (Environment.GetEnvironmentVariable("VIRTUAL_ENV") is { Length: > 0 } environment) pythons.Add(environment);
        pythons.AddRange(["/usr", "/usr/local"]);
        foreach (string root in Environment.GetEnvironmentVariable("PATH")?.Split(':') ?? [])
            if (root.EndsWith("/bin", StringComparison.Ordinal)) pythons.Add(root[..^4]);
        foreach (string root in pythons.Distinct(StringComparer.Ordinal))
        {
            string lib = Path.Combine(root, "lib");
            if (!Directory.Exists(lib)) continue;
            foreach (string python in Directory.EnumerateDirectories(lib, "python3*"))
                foreach (string site in new[] { "site-packages", "dist-packages" })
                {
                    string nvidia = Path.Combine(python, site, "nvidia");
                    if (!Directory.Exists(nvidia)) continue;
                    foreach (string package in Directory.EnumerateDirectories(nvidia)) yield return Path.Combine(package, "lib");
                }
        }
    }
}
