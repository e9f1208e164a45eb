using System.Globalization;

namespace QwenServe.Compute.Cpu;

/// <summary>Memory that the process can still take: what the machine has available, within the limits of its control groups.</summary>
internal static class FreeMemory
{
    /// <summary>Bytes.</summary>
    public static long Bytes() => Bytes("/proc", "/sys/fs/cgroup");

    internal static long Bytes(string proc, string cgroup)
    {
        var gc = GC.GetGCMemoryInfo();
        long free = MemAvailable(Path.Combine(proc, "meminfo")) ?? Math.Max(0, gc.TotalAvailableMemoryBytes - gc.MemoryLoadBytes);
        foreach (var (version2, path) in Groups(Path.Combine(proc, "self", "cgroup")))
        {
            string root = version2 ? cgroup : Path.Combine(cgroup, "memory");
            // Inside a container the path is often that of the host and the group is mounted at the root: take what exists.
            for (string group = path; ; group = Path.GetDirectoryName(group) ?? "/")
            {
                string directory = Path.Combine(root, group.TrimStart('/'));
                long? limit = Number(Path.Combine(directory, version2 ? "memory.max" : "memory.limit_in_bytes"));
                long? used = Number(Path.Combine(directory, version2 ? "memory.current" : "memory.usage_in_bytes"));
                if (limit is { } l && used is { } u && l < long.MaxValue / 2)
                    free = Math.Min(free, Math.Max(0, l - u + Reclaimable(Path.Combine(directory, "memory.stat"))));
                if (group is "/" or "") break;
            }
        }
        return free;
    }

    private static long? MemAvailable(string path)
    {
        const string Key = "MemAvailable:";
        foreach (string line in Lines(path))
        {
            if (!line.StartsWith(Key, StringComparison.Ordinal)) continue;
            string number = line[Key.Length..].Replace("kB", "", StringComparison.Ordinal).Trim();
            return long.TryParse(number, CultureInfo.InvariantCulture, out long kilobytes) ? kilobytes * 1024 : null;
        }
        return null;
    }

    private static IEnumerable<(bool Version2, string Path)> Groups(string path)
    {
        foreach (string line in Lines(path))
        {
            string[] parts = line.Split(':', 3);
            if (parts.Length != 3) continue;
            if (parts[0] == "0" && parts[1].Length == 0) yield return (true, parts[2]);
            else if (parts[1].Split(',').Contains("memory")) yield return (false, parts[2]);
        }
    }

    /// <summary>Pages of files that the group gives back when it needs room.</summary>
    private static long Reclaimable(string path)
    {
        foreach (string line in Lines(path))
        {
            if (line.StartsWith("inactive_file ", StringComparison.Ordinal)
                && long.TryParse(line.AsSpan("inactive_file ".Length), CultureInfo.InvariantCulture, out long bytes)) return bytes;
        }
        return 0;
    }

    private static long? Number(string path)
    {
        foreach (string line in Lines(path))
            return long.TryParse(line.Trim(), CultureInfo.InvariantCulture, out long value) ? value : null;
        return null;
    }

    private static string[] Lines(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllLines(path) : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
