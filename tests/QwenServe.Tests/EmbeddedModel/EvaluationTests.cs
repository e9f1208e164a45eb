using System.Diagnostics;

namespace QwenServe.Tests.EmbeddedModel;

/// <summary>What the embedded model is measured with must be unknown to what it was trained on.</summary>
public class EvaluationTests
{
    private static string Train(params string[] parts) => Path.Combine([Repository.Root, "src", "EmbeddedModel", "train", .. parts]);

    [Fact]
    public void The_generator_imports_nothing_of_the_evaluation()
    {
        var sources = Directory.GetFiles(Train("corpus"), "*.py");
        Assert.NotEmpty(sources);
        foreach (string file in sources)
            Assert.DoesNotContain(File.ReadLines(file), l => l.Contains("import", StringComparison.Ordinal) && l.Contains("evaluation", StringComparison.Ordinal));
    }

    [PythonFact]
    public void No_eight_words_no_function_and_no_value_of_the_evaluation_are_known_to_the_generator()
    {
        using var process = Process.Start(new ProcessStartInfo("python3", [Train("evaluation", "overlap.py")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["PYTHONIOENCODING"] = "utf-8", ["PYTHONDONTWRITEBYTECODE"] = "1" },
        })!;
        var errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, output + errors.Result);
    }
}

/// <summary>A test that runs Python's standard library; where python3 is absent it is skipped, in CI it fails.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PythonFactAttribute : FactAttribute
{
    public PythonFactAttribute()
    {
        if (Environment.GetEnvironmentVariable("CI") == "true") return;
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        if (!folders.Any(f => File.Exists(Path.Combine(f, "python3")) || File.Exists(Path.Combine(f, "python3.exe")))) Skip = "python3 is not on the path";
    }
}
