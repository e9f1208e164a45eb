namespace QwenServe.Compute.Cpu;

/// <summary>How many threads are worth having: one a physical core that this process may use.</summary>
internal static class PhysicalCores
{
    /// <summary>At least 1; never more than the processors left by affinity and a container's quota.</summary>
    public static int Count()
    {
        int allowed = Math.Max(1, Environment.ProcessorCount);
        if (!OperatingSystem.IsLinux()) return allowed;
        var cores = new HashSet<string>(StringComparer.Ordinal);
        foreach (int cpu in AllowedProcessors())
        {
            try
            {
                cores.Add(File.ReadAllText($"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").Trim());
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return allowed;
            }
        }
        return cores.Count == 0 ? allowed : Math.Min(allowed, cores.Count);
    }

    private static List<int> AllowedProcessors()
    {
        const string Key = "Cpus_allowed_list:";
        try
        {
            foreach (string line in File.ReadLines("/proc/self/status"))
                if (line.StartsWith(Key, StringComparison.Ordinal)) return ParseList(line.AsSpan(Key.Length).Trim());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
        }
        return [];
    }

    /// <summary>"0-3,8" as the kernel writes lists of processors.</summary>
    internal static List<int> ParseList(ReadOnlySpan<char> list)
    {
        var numbers = new List<int>();
        foreach (var range in list.Split(','))
        {
            var part = list[range];
            int dash = part.IndexOf('-');
            int first = int.Parse(dash < 0 ? part : part[..dash], System.Globalization.CultureInfo.InvariantCulture);
            int last = dash < 0 ? first : int.Parse(part[(dash + 1)..], System.Globalization.CultureInfo.InvariantCulture);
            for (int i = first; i <= last; i++) numbers.Add(i);
        }
        return numbers;
    }
}
