using QwenServe.Compute;
using QwenServe.Compute.Cpu;
using QwenServe.Settings;

namespace QwenServe.Hosting;

/// <summary>Which device serves, by the settings and by what is there.</summary>
internal static class Devices
{
    /// <summary>The kind of device, so that defaults can be chosen before there is one: <c>cpu</c> or <c>cuda</c>.</summary>
    public static string Choose(EngineSettings settings) => settings.Device switch
    {
        "cuda" => throw new StartupException("--device cuda: this build serves on the CPU only", exitCode: 2),
        _ => "cpu",
    };

    /// <summary>Makes the device; on the thread that will use it.</summary>
    public static IDevice Create(EngineSettings settings) => new CpuDevice(new CpuOptions { Threads = settings.Threads ?? 0 });
}
