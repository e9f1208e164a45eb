using QwenServe.Compute;
using QwenServe.Compute.Cpu;
using QwenServe.Settings;

namespace QwenServe.Hosting;

/// <summary>Which device serves, by the settings and by what is there.</summary>
internal static class Devices
{
    /// <summary>Opens the device; on the thread that will use it.</summary>
    /// <exception cref="StartupException">The device asked for is not there.</exception>
    public static IDevice Open(EngineSettings settings, Action<string> say)
    {
        if (settings.Device == "cuda") throw new StartupException("--device cuda: this build serves on the CPU only", exitCode: 2);
        return new CpuDevice(new CpuOptions { Threads = settings.Threads ?? 0 });
    }
}
