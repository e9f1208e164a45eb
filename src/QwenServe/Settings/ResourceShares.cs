using System.Globalization;
using QwenServe.Hosting;

namespace QwenServe.Settings;

/// <summary>
/// Divides a machine among models that are loaded one after the other. A GPU's share of memory is divided: those with a share of their own have it, the
/// others have equal parts of what is left. On the CPU each model has an equal part of the threads and of the KV cache that one model would have.
/// </summary>
internal static class ResourceShares
{
    /// <param name="models">In the order of loading: name, settings, and whether the share of a GPU is the model's own.</param>
    /// <exception cref="StartupException">The shares of a GPU are more than the whole, or leave nothing for a model.</exception>
    public static IReadOnlyList<EngineSettings> Divide(IReadOnlyList<(string Name, EngineSettings Engine, bool OwnShare)> models)
    {
        var divided = models.Select(m => m.Engine).ToArray();
        int onCpu = divided.Count(e => e.Device is "auto" or "cpu");
        foreach (var gpu in Enumerable.Range(0, divided.Length).Where(i => divided[i].Device != "cpu").GroupBy(i => divided[i].GpuOrdinal))
        {
            double own = gpu.Where(i => models[i].OwnShare).Sum(i => divided[i].GpuMemoryUtilization);
            if (own > 1) throw Wrong($"the shares of GPU {gpu.Key} add up to {own:0.##}");
            int[] others = [.. gpu.Where(i => !models[i].OwnShare)];
            double taken = 0;
            foreach (int i in gpu)
            {
                double share = divided[i].GpuMemoryUtilization;
                if (!models[i].OwnShare) share = (share - own) / others.Length;
                if (share <= 0) throw Wrong($"the shares of other models leave {models[i].Name} nothing of GPU {gpu.Key}");
                // What is in use when a model is loaded counts against the bound, so the bounds add up.
                taken = Math.Min(1, taken + share);
                divided[i] = divided[i] with { GpuMemoryUtilization = taken };
            }
        }
        for (int i = 0; i < divided.Length; i++)
            if (divided[i].Device is "auto" or "cpu") divided[i] = divided[i] with { CpuSharers = onCpu };
        return divided;
    }

    private static StartupException Wrong(FormattableString message)
        => new("--gpu-memory-utilization: " + message.ToString(CultureInfo.InvariantCulture), exitCode: 2);
}
