namespace QwenServe.Tests;

/// <summary>Where the tests find the checkout and, beside it, the optional reference data.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>The folder of reference data beside the checkout (<c>../shared</c>), or null when there is none.</summary>
    public static string? Shared { get; } = FindShared();

    private static string FindRoot()
    {
        for (var d = new DirectoryInfo(AppContext.BaseDirectory); d is not null; d = d.Parent)
            if (File.Exists(Path.Combine(d.FullName, "QwenServe.sln"))) return d.FullName;
        throw new DirectoryNotFoundException("QwenServe.sln not found above " + AppContext.BaseDirectory);
    }

    private static string? FindShared()
    {
        var named = Environment.GetEnvironmentVariable("QWENSERVE_SHARED");
        var path = string.IsNullOrEmpty(named) ? Path.Combine(Root, "..", "shared") : named;
        return Directory.Exists(path) ? Path.GetFullPath(path) : null;
    }
}

/// <summary>A test that needs the reference data beside the checkout; skipped with a reason when it is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SharedDataFactAttribute : FactAttribute
{
    public SharedDataFactAttribute()
    {
        if (Repository.Shared is null) Skip = "the reference data (../shared) is not beside the checkout";
    }
}

/// <summary>The theory form of <see cref="SharedDataFactAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SharedDataTheoryAttribute : TheoryAttribute
{
    public SharedDataTheoryAttribute()
    {
        if (Repository.Shared is null) Skip = "the reference data (../shared) is not beside the checkout";
    }
}
