using QwenServe.Text.Chat.Jinja;

namespace QwenServe.Tests.Chat;

/// <summary>The interpreter against what Jinja2 printed for templates of our own (make_template_vectors.py writes the file).</summary>
public class TemplateVectorTests
{
    private static readonly string File = Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Chat", "template_vectors.json");

    [Fact]
    public void Prints_what_Jinja2_prints()
    {
        var failures = new List<string>();
        var vectors = ((PyList)PythonJson.Parse(System.IO.File.ReadAllText(File))!).Items;
        Assert.True(vectors.Count > 150);
        var rendering = new Rendering();
        foreach (var vector in vectors.Cast<PyDict>())
        {
            string template = Text(vector, "template")!;
            Assert.True(vector.TryGetValue("variables", out object? variables));
            var (text, error) = Interpreter.TryRender(template, PythonJson.Write(rendering, variables, PythonJson.Format.Default).Text);
            string? expected = Text(vector, "text");
            if (text != expected)
                failures.Add($"{Text(vector, "name")}\n  expected {expected ?? "an error: " + Text(vector, "error")}\n  got      {text ?? "an error: " + error}");
        }

        Assert.True(failures.Count == 0, $"{failures.Count} differ\n" + string.Join("\n", failures));
    }

    private static string? Text(PyDict vector, string name) => vector.TryGetValue(name, out object? value) ? value!.ToString() : null;
}
