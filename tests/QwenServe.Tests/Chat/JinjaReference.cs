using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using QwenServe.Text.Chat.Jinja;

namespace QwenServe.Tests.Chat;

/// <summary>Jinja2 itself, in a Python process that answers one request at a time. Absent Jinja2 skips a test here and fails it in CI.</summary>
internal sealed class JinjaReference : IDisposable
{
    private static readonly Lazy<string?> Python = new(FindPython);

    private readonly Process _process;

    private JinjaReference(string python)
    {
        string script = Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Chat", "make_template_vectors.py");
        _process = Process.Start(new ProcessStartInfo(python, [script, "--serve"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            StandardInputEncoding = new UTF8Encoding(false),
            StandardOutputEncoding = Encoding.UTF8,
            Environment = { ["PYTHONIOENCODING"] = "utf-8" },
        })!;
    }

    public static bool IsAvailable => Python.Value is not null;

    public static JinjaReference Start() =>
        new(Python.Value ?? throw new InvalidOperationException("no python3 with Jinja2 was found (Debian: apt-get install python3-jinja2)"));

    /// <summary>The rendered text, or null and the error.</summary>
    public (string? Text, string? Error) Render(string template, string variables)
    {
        string request = new JsonObject { ["template"] = template }.ToJsonString();
        _process.StandardInput.WriteLine(request[..^1] + ",\"variables\":" + variables.ReplaceLineEndings(" ") + "}");
        _process.StandardInput.Flush();
        string answer = _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException("the Python process ended");
        var parsed = (PyDict)PythonJson.Parse(answer)!;
        return parsed.TryGetValue("text", out object? text) ? (text!.ToString(), null)
            : (null, parsed.TryGetValue("error", out object? error) ? error!.ToString() : "?");
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit(5000);
        _process.Dispose();
    }

    private static string? FindPython()
    {
        foreach (string python in new[] { "/usr/bin/python3", "python3" })
            try
            {
                using var process = Process.Start(new ProcessStartInfo(python, ["-c", "import jinja2"]) { RedirectStandardError = true })!;
                process.WaitForExit();
                if (process.ExitCode == 0)
                    return python;
            }
            catch (System.ComponentModel.Win32Exception)
            {
                // Not installed under this name.
            }

        return null;
    }
}

/// <summary>A test that needs Python with Jinja2: skipped where it is absent, except in CI.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class JinjaFactAttribute : FactAttribute
{
    public JinjaFactAttribute(bool shared = false)
    {
        if (!JinjaReference.IsAvailable && Environment.GetEnvironmentVariable("CI") != "true")
            Skip = "python3 with Jinja2 is not installed";
        else if (shared && Repository.Shared is null)
            Skip = "the reference data (../shared) is not beside the checkout";
    }
}

/// <summary>Runs the interpreter on bare variables, as the reference is run.</summary>
internal static class Interpreter
{
    public static MarkedString Render(string template, string variables)
    {
        var body = Parser.Parse(template);
        var scope = new Scope(null);
        foreach (var entry in ((PyDict)PythonJson.Parse(variables)!).Entries)
            scope.Set(string.Intern(entry.Key!.ToString()!), entry.Value);
        var rendering = new Rendering { Now = () => new DateTime(2025, 3, 7, 14, 5, 9) };
        Statement.Run(body, rendering, scope);
        return rendering.Output.ToMarkedString();
    }

    /// <summary>The rendered text, or null and the error.</summary>
    public static (string? Text, string? Error) TryRender(string template, string variables)
    {
        try
        {
            return (Render(template, variables).Text, null);
        }
        catch (Exception error) when (error is JinjaException or JinjaSyntaxException)
        {
            return (null, error.Message);
        }
    }
}
