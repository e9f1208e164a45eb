using System.Globalization;
using System.Net;
using QwenServe.Hosting;
using QwenServe.Settings;

namespace QwenServe.Tests.Api;

/// <summary>One server of several models, each with an engine of its own.</summary>
public class SeveralModelsTests
{
    [Fact]
    public async Task A_request_is_answered_by_the_model_it_names_and_all_are_listed()
    {
        await using var server = await StartAsync(Scripted("one"), Scripted("two"));
        Assert.Equal("I am one", await AskAsync(server, "one"));
        Assert.Equal("I am two", await AskAsync(server, "two"));
        Assert.Equal("I am two", await AskAsync(server, "also-two"));
        var list = (await TestServer.JsonAsync(await server.GetAsync("/v1/models"))).GetProperty("data").EnumerateArray().Select(m => m.GetProperty("id").GetString());
        Assert.Equal(["one", "also-one", "two", "also-two"], list);
        Assert.Equal("two", (await TestServer.JsonAsync(await server.GetAsync("/v1/models/two"))).GetProperty("id").GetString());

        using var unknown = await server.PostAsync("/v1/chat/completions", Body("three"));
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Equal("model_not_found", (await TestServer.JsonAsync(unknown)).GetProperty("error").GetProperty("code").GetString());
        // Where the name may be left out, it may not be when there is a choice.
        using var unnamed = await server.PostAsync("/tokenize", """{"prompt":"a"}""");
        Assert.Equal(HttpStatusCode.BadRequest, unnamed.StatusCode);
        Assert.Equal("model", (await TestServer.JsonAsync(unnamed)).GetProperty("error").GetProperty("param").GetString());
    }

    [Fact]
    public async Task Metrics_bear_the_models_name_and_describe_each_series_once()
    {
        await using var server = await StartAsync(Scripted("one"), Scripted("two"));
        for (int i = 0; i < 3; i++) await AskAsync(server, "one");
        await AskAsync(server, "two");
        string[] lines = (await (await server.GetAsync("/metrics")).Content.ReadAsStringAsync()).Split('\n');
        Assert.Equal([3, 1], new[] { "one", "two" }.Select(name => lines.Where(l => l.StartsWith("vllm:request_success_total{model_name=\"" + name + "\"", StringComparison.Ordinal)).Sum(Value)));
        Assert.Equal(4, lines.Where(l => l.StartsWith("http_requests_total{", StringComparison.Ordinal)).Sum(Value));
        var described = lines.Where(l => l.StartsWith("# TYPE ", StringComparison.Ordinal)).ToList();
        Assert.Equal(described.Distinct(), described);
        // All series of a name stand together under its description.
        string family = "";
        var closed = new HashSet<string>();
        foreach (string line in lines.Where(l => l.Length > 0))
        {
            string name = line.StartsWith('#') ? line.Split(' ')[2] : family;
            if (!line.StartsWith('#')) Assert.StartsWith(family, line, StringComparison.Ordinal);
            if (name != family) Assert.True(closed.Add(family = name), name);
        }

        static double Value(string line) => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task The_server_is_ready_when_all_models_are_and_says_which_it_waits_for()
    {
        var gate = new TaskCompletionSource();
        var second = Scripted("two");
        await using var server = await StartAsync(waitUntilReady: false, Scripted("one").LoadAsync, async (settings, report, cancel) =>
        {
            report("downloading", 0.5, null);
            await gate.Task.WaitAsync(cancel);
            return await second.LoadAsync(settings, report, cancel);
        });
        string message;
        do message = (await TestServer.JsonAsync(await server.GetAsync("/readyz"))).GetProperty("error").GetProperty("message").GetString()!;
        while (!message.Contains("two", StringComparison.Ordinal));
        Assert.Contains("model 2 of 2, two: downloading (75%)", message, StringComparison.Ordinal);
        using (var early = await server.PostAsync("/v1/chat/completions", Body("one"))) Assert.Equal(HttpStatusCode.ServiceUnavailable, early.StatusCode);
        gate.SetResult();
        await server.App.WhenReadyAsync();
        Assert.Equal("I am two", await AskAsync(server, "two"));
    }

    [Fact]
    public async Task A_model_that_cannot_be_loaded_is_named_and_the_others_are_given_back()
    {
        var first = Scripted("one");
        await using var server = await StartAsync(waitUntilReady: false, first.LoadAsync, (_, _, _) => throw new InvalidDataException("its file is cut"));
        var error = await Assert.ThrowsAsync<StartupException>(server.App.WhenReadyAsync);
        Assert.Equal("two: its file is cut", error.Message);
        await first.Engine!.Ended.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task An_engine_that_breaks_takes_the_server_with_it()
    {
        var second = Scripted("two");
        await using var server = await StartAsync(Scripted("one"), second);
        Assert.Equal(HttpStatusCode.OK, (await server.GetAsync("/livez")).StatusCode);
        second.Device.Fault = new InvalidOperationException("the second device is gone");
        using (var response = await server.PostAsync("/v1/chat/completions", Body("two"))) Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        var host = (ModelHost)server.App.Services.GetService(typeof(ModelHost))!;
        Assert.StartsWith("two: ", await host.Broken.WaitAsync(TimeSpan.FromSeconds(30)), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await server.GetAsync("/livez")).StatusCode);
    }

    [Fact]
    public async Task Draining_waits_for_the_requests_of_all_models()
    {
        ScriptedModel first = Scripted("one"), second = Scripted("two");
        await using var server = await StartAsync(first, second);
        first.Device.Gate.Reset();
        second.Device.Gate.Reset();
        Task<string>[] answers = [AskAsync(server, "one"), AskAsync(server, "two")];
        var lifecycle = (Lifecycle)server.App.Services.GetService(typeof(Lifecycle))!;
        while (lifecycle.Running < 2) await Task.Delay(5);
        var stopped = server.App.StopAsync();
        first.Device.Gate.Set();
        Assert.Equal("I am one", await answers[0]);
        Assert.False(stopped.IsCompleted);
        second.Device.Gate.Set();
        Assert.Equal("I am two", await answers[1]);
        await stopped;
    }

    [Fact]
    public async Task The_embedded_model_is_served_beside_a_checkpoint_and_each_answers_as_it_does_alone()
    {
        using var folder = new TemporaryDirectory();
        string random = RandomModel(folder.Path);
        var embedded = new QwenServeSettings { Server = new ServerSettings { Port = 0 }, Log = new LogSettings { Level = "error" }, Engine = new EngineSettings { Device = "cpu", KvCacheMemory = 16 << 20 } };
        var checkpoint = embedded with { Model = new ModelSettings { Name = random, ServedNames = ["random"] } };
        var alone = new List<string>();
        foreach (var one in new[] { embedded, checkpoint })
        {
            await using var single = await TestServer.StartAsync(ModelLoading.LoadAsync, _ => one);
            alone.Add(await AskAsync(single, one.Model.Names[0], "\"temperature\":0,\"max_tokens\":24,\"seed\":1"));
        }
        await using var server = await TestServer.StartAsync(ModelLoading.LoadAsync, _ => embedded with { MoreModels = [(checkpoint.Model, checkpoint.Engine)] });
        for (int round = 0; round < 2; round++)
        {
            string[] together = await Task.WhenAll(new[] { "qwenserve-demo", "random" }.Select(name => AskAsync(server, name, "\"temperature\":0,\"max_tokens\":24,\"seed\":1")));
            Assert.Equal(alone, together);
        }
        Assert.NotEqual(alone[0], alone[1]);
    }

    /// <summary>The embedded model's geometry and files, with weights turned about: it answers, and answers otherwise.</summary>
    private static string RandomModel(string folder)
    {
        foreach (string file in Directory.GetFiles(ModelLoading.EmbeddedDirectory)) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        string weights = Path.Combine(folder, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(weights);
        int start = 8 + (int)BitConverter.ToInt64(bytes);
        var random = new Random(7);
        // The low byte of each 16-bit weight: other values of the same size.
        for (int i = start; i + 1 < bytes.Length; i += 2) bytes[i] = (byte)random.Next(256);
        File.WriteAllBytes(weights, bytes);
        return folder;
    }

    private static ScriptedModel Scripted(string name)
    {
        var model = ScriptedModel.Saying("I am " + name);
        model.Names = [name, "also-" + name];
        return model;
    }

    private static Task<TestServer> StartAsync(params ScriptedModel[] models) => StartAsync(waitUntilReady: true, [.. models.Select(m => (ModelLoader)m.LoadAsync)]);

    private static Task<TestServer> StartAsync(bool waitUntilReady, params ModelLoader[] loaders)
    {
        string[] names = ["one", "two"];
        ModelLoader choose = (settings, report, cancel) => loaders[Array.IndexOf(names, settings.Model.Names[0])](settings, report, cancel);
        return TestServer.StartAsync(choose, s => s with
        {
            Model = new ModelSettings { ServedNames = ["one"] },
            MoreModels = [(new ModelSettings { ServedNames = ["two"] }, s.Engine)],
        }, waitUntilReady);
    }

    private static string Body(string model, string more = "\"max_tokens\":64") => $$"""{"model":"{{model}}",{{more}},"messages":[{"role":"user","content":"Who are you?"}]}""";

    private static async Task<string> AskAsync(TestServer server, string model, string more = "\"max_tokens\":64")
    {
        using var response = await server.PostAsync("/v1/chat/completions", Body(model, more));
        var json = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, json.GetRawText());
        Assert.Equal(model.Replace("also-", "", StringComparison.Ordinal), json.GetProperty("model").GetString());
        return json.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
    }
}
