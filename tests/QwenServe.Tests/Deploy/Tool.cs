using System.Diagnostics;

namespace QwenServe.Tests.Deploy;

/// <summary>Finds and runs programs from outside: those that read what deploy/ and docker/ hold, and libfaketime.</summary>
internal static class Tool
{
    public static string NodeFolder { get; } = Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Deploy", "node");

    /// <summary>Null when it is not installed. <c>node-packages</c> stands for those of the folder of this file, <c>libfaketime</c> for its library for programs with threads.</summary>
    public static string? Find(string name)
    {
        if (name == "node-packages")
        {
            string modules = Path.Combine(NodeFolder, "node_modules");
            return Directory.Exists(Path.Combine(modules, "typescript")) ? modules : null;
        }
        if (name == "libfaketime")
            return new[] { "/usr/lib", "/usr/lib64" }.Where(Directory.Exists).SelectMany(folder => Directory.GetDirectories(folder).Append(folder))
                .Select(folder => Path.Combine(folder, "faketime", "libfaketimeMT.so.1")).FirstOrDefault(File.Exists);
        string home = Environment.GetEnvironmentVariable("HOME") ?? "/root";
        return (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Concat(["/usr/sbin", Path.Combine(home, "go", "bin")])
            .Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
    }

    /// <returns>The exit code, and what was written to both outputs.</returns>
    public static (int ExitCode, string Output) Run(string name, string[] arguments, string? input = null, string? folder = null)
    {
        var start = new ProcessStartInfo(Find(name) ?? throw new FileNotFoundException($"{name} is not installed; .ci/install-deploy does that"))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? Repository.Root,
        };
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEndAsync();
        if (input is not null) process.StandardInput.Write(input);
        process.StandardInput.Close();
        process.WaitForExit();
        return (process.ExitCode, output.Result + error.Result);
    }

    /// <summary>Runs and fails the test when the tool does.</summary>
    public static string Check(string name, params string[] arguments)
    {
        var (code, output) = Run(name, arguments);
        Assert.True(code == 0, output);
        return output;
    }

    /// <summary>The checks of <c>node/check.mjs</c>.</summary>
    public static (int ExitCode, string Output) CheckWithNode(string command, string[] files, string? input = null)
        => Run("node", [Path.Combine(NodeFolder, "check.mjs"), command, .. files], input);
}

/// <summary>A test that needs programs; skipped where one is missing, except in CI, where it then fails.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ToolFactAttribute : FactAttribute
{
    public ToolFactAttribute(params string[] tools) => Skip = ToolSkip.Reason(tools);
}

[AttributeUsage(AttributeTargets.Method)]
internal sealed class ToolTheoryAttribute : TheoryAttribute
{
    public ToolTheoryAttribute(params string[] tools) => Skip = ToolSkip.Reason(tools);
}

internal static class ToolSkip
{
    public static string? Reason(string[] tools)
    {
        if (Environment.GetEnvironmentVariable("CI") == "true") return null;
        string[] missing = [.. tools.Where(t => t == "kustomize" ? Tool.Find("kubectl") is null && Tool.Find(t) is null : Tool.Find(t) is null)];
        return missing.Length == 0 ? null : string.Join(", ", missing) + " not installed (.ci/install-*)";
    }
}
