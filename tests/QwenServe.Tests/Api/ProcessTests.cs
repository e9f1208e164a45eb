using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using QwenServe.Hosting;

namespace QwenServe.Tests.Api;

/// <summary>The program itself: how it starts, what it says when it cannot, how it ends.</summary>
public class ProcessTests
{
    [Fact]
    public async Task What_cannot_be_served_is_one_line_and_a_code()
    {
        using var folder = new TemporaryDirectory();
        string truncated = Copy(folder, "truncated");
        using (var weights = File.OpenWrite(Path.Combine(truncated, "model.safetensors"))) weights.SetLength(weights.Length / 2);
        string other = Copy(folder, "other");
        File.WriteAllText(Path.Combine(other, "config.json"), File.ReadAllText(Path.Combine(other, "config.json")).Replace("Qwen2ForCausalLM", "LlamaForCausalLM", StringComparison.Ordinal));
        string mismatched = Copy(folder, "mismatched");
        Engine.Model.SafetensorsWriter.WriteTinyCheckpoint(mismatched);
        string gguf = Path.Combine(folder.Path, "gguf");
        Directory.CreateDirectory(gguf);
        File.WriteAllText(Path.Combine(gguf, "model.gguf"), "GGUF");
        string template = Path.Combine(folder.Path, "broken.jinja");
        File.WriteAllText(template, "{% for m in messages %}\n{{ m.role }");
        using var taken = new TcpListener(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        string port = ((System.Net.IPEndPoint)taken.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);

        var cases = new (string[] Arguments, int Code, string Says)[]
        {
            (["--port", "0", "--model", Path.Combine(folder.Path, "nothing")], 1, "no such directory"),
            (["--port", "0", "--model", "Qwen2.5-0.5B-Instruct"], 1, "Qwen2.5-0.5B-Instruct: no such directory; on the hub a model is ORG/NAME, such as Qwen/Qwen2.5-0.5B-Instruct"),
            (["--port", "0", "--model", "llama"], 1, "such as Qwen/Qwen2.5-0.5B-Instruct"),
            (["--port", "0", "--model", gguf], 1, "GGUF"),
            (["--port", "0", "--model", Path.Combine(gguf, "model.gguf")], 1, "is a file"),
            (["--port", "0", "--model", truncated], 1, "model.safetensors"),
            (["--port", "0", "--model", other], 1, "LlamaForCausalLM"),
            (["--port", "0", "--model", mismatched], 1, "do not belong together"),
            (["--port", "0", "--kv-cache-memory", "1KiB"], 1, "KV cache"),
            (["--port", "0", "--kv-cache-memory", "900TiB"], 1, "do not fit"),
            (["--port", "0", "--chat-template", template], 1, "broken.jinja: chat template, line 2"),
            (["--port", "0", "--max-model-len", "1000000"], 2, "--max-model-len"),
            (["--port", port], 1, "in use"),
            (["--port", "many"], 2, "--port"),
            (["--prot", "8000"], 2, "--prot"),
        };
        foreach (var (arguments, code, says) in cases)
        {
            using var process = Start(arguments);
            var output = process.StandardOutput.ReadToEndAsync();
            string error = await process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync();
            string last = error.TrimEnd().Split('\n')[^1];
            Assert.StartsWith("qwenserve: ", last, StringComparison.Ordinal);
            Assert.Contains(says, last, StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", error + await output, StringComparison.Ordinal);
            Assert.Equal(code, process.ExitCode);
        }
    }

    [Fact]
    public async Task A_misspelled_variable_is_one_warning_in_the_log()
    {
        using var server = ServerProcess.Launch(null, ["--port", "0", "--kv-cache-memory", "16MiB", "--log-format", "text"], new() { ["QWENSERVE_MAX_SEQS"] = "4" });
        await server.UntilLogAsync(" WRN QWENSERVE_MAX_SEQS is no setting and is ignored; the nearest is QWENSERVE_MAX_NUM_SEQS");
        await server.UntilLogAsync("Serving qwenserve-demo on ");
        await server.SignalAsync("TERM");
        Assert.Equal(0, (await server.EndAsync()).Code);
    }

    [Fact]
    public async Task A_model_named_on_the_hub_is_downloaded_once_and_served()
    {
        await using var hub = await Hub.FakeHub.StartAsync();
        foreach (string file in Directory.GetFiles(ModelLoading.EmbeddedDirectory)) hub.Files[Path.GetFileName(file)] = await File.ReadAllBytesAsync(file);
        hub.CutAfter = 4_000_000;
        using var home = new TemporaryDirectory();
        for (int run = 0; run < 2; run++)
        {
            using var process = Start(new Dictionary<string, string> { ["HF_ENDPOINT"] = hub.Address.ToString(), ["HF_HOME"] = home.Path }, "--port", "0", "--model", "org/name", "--log-format", "json", "--kv-cache-memory", "16MiB");
            string? serving = null;
            while (serving is null)
            {
                string line = await process.StandardOutput.ReadLineAsync() ?? throw new EndOfStreamException(await process.StandardError.ReadToEndAsync());
                if (JsonDocument.Parse(line).RootElement.GetProperty("Properties").TryGetProperty("Summary", out var summary)) serving = summary.GetString();
            }
            Assert.StartsWith("Serving org/name on ", serving, StringComparison.Ordinal);
            using (var kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)])) await kill.WaitForExitAsync();
            string progress = await process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync();
            Assert.Equal(run == 0, progress.Contains("downloading org/name", StringComparison.Ordinal));
            Assert.Equal(run == 0, hub.Log.Any(l => l.StartsWith("CONTENT model.safetensors", StringComparison.Ordinal)));
            hub.Log.Clear();
        }
    }

    private static Process Start(params string[] arguments) => Start(new Dictionary<string, string>(), arguments);

    private static Process Start(Dictionary<string, string> environment, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "qwenserve.dll"));
        foreach (var (name, value) in environment) start.Environment[name] = value;
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }

    private static string Copy(TemporaryDirectory folder, string name)
    {
        string target = Path.Combine(folder.Path, name);
        Directory.CreateDirectory(target);
        foreach (string file in Directory.GetFiles(ModelLoading.EmbeddedDirectory)) File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        return target;
    }
}
