using QwenServe.Compute;
using QwenServe.Compute.Cpu;
using QwenServe.Compute.Cuda;
using QwenServe.Settings;

namespace QwenServe.Hosting;

/// <summary>Which device serves, by the settings and by what is there.</summary>
internal static class Devices
{
    /// <summary>Opens the device; on the thread that will use it.</summary>
    /// <exception cref="StartupException">The device asked for is not there, or cannot serve the model.</exception>
    public static IDevice Open(EngineSettings settings, ModelGeometry geometry, DType? weightType, Action<string> say)
    {
        if (settings.Device != "cpu")
        {
            string? reason = CudaDevice.WhyUnsupported(geometry, weightType);
            if (reason is null && CudaDevice.TryOpen(settings.GpuOrdinal, out reason) is { } cuda) return cuda;
            if (settings.Device == "cuda") throw new StartupException($"--device cuda: {reason}", exitCode: 2);
            say($"serving on the CPU: {reason}");
        }
        return new CpuDevice(new CpuOptions { Threads = settings.Threads ?? 0, Sharers = settings.CpuSharers });
    }
}
