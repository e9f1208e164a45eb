using System.ClientModel;
using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using OpenAI.Chat;

namespace QwenServe.Tests.Api;

/// <summary>The API's README: its table names every field that the server reads, and its examples do what they say against the embedded model.</summary>
public sealed class ReadmeTests(EmbeddedServer embedded) : IClassFixture<EmbeddedServer>
{
    private const string Example = "http://localhost:8000/";

    private static readonly string Readme = File.ReadAllText(Path.Combine(Repository.Root, "src", "QwenServe", "OpenAI", "README.md"));

    [Theory]
    [InlineData("ChatCompletionRequest", 1)]
    [InlineData("CompletionRequest", 2)]
    public async Task The_table_names_every_field_of_a_request(string schema, int column)
    {
        var document = await TestServer.JsonAsync(await embedded.Server.GetAsync("/openapi/v1.json"));
        var fields = document.GetProperty("components").GetProperty("schemas").GetProperty(schema).GetProperty("properties").EnumerateObject().Select(p => p.Name);
        var named = Readme.Split('\n').Where(l => l.StartsWith("| `", StringComparison.Ordinal)).Select(l => l.Split('|', StringSplitOptions.TrimEntries))
            .Where(cells => cells[column + 1].Length > 0).SelectMany(cells => Regex.Matches(cells[1], "`([a-z_]+)`").Select(m => m.Groups[1].Value));
        Assert.Empty(fields.Except(named));
    }

    [Fact]
    public async Task The_examples_for_curl_are_answered()
    {
        string[] commands = [.. Blocks("sh")];
        Assert.Equal(3, commands.Length);
        foreach (string command in commands)
        {
            var start = new ProcessStartInfo("bash") { RedirectStandardOutput = true, RedirectStandardError = true };
            start.ArgumentList.Add("-c");
            start.ArgumentList.Add(command);
            using var process = Process.Start(start)!;
            var error = process.StandardError.ReadToEndAsync();
            string output = await process.StandardOutput.ReadToEndAsync();
            Assert.True(output.StartsWith('{'), output + await error);
            using var answer = JsonDocument.Parse(output);
            Assert.Contains(answer.RootElement.GetProperty("choices")[0].GetProperty("finish_reason").GetString(), new[] { "stop", "tool_calls" });
        }
    }

    [NodeFact]
    public async Task The_example_for_Node_runs()
    {
        string output = await NodeProcess.RunAsync(["--input-type=module", "-e", Assert.Single(Blocks("js"))], []);
        Assert.Matches(@"^\{ size: '(small|large)', count: \d \}", output);
    }

    [Fact]
    public async Task The_example_for_CSharp_is_this_one_and_runs()
    {
        using var output = new StringWriter();
        await ExampleAsync(new Uri(embedded.Server.App.Address, "v1"), output);
        Assert.Matches(@"^\{""size"": ?""(small|large)"", ?""count"": ?\d\}", output.ToString());
        string source = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Api", "ReadmeTests.cs"));
        string example = Assert.Single(Blocks("csharp")).Replace($"new Uri(\"{embedded.Server.App.Address}v1\")", "address", StringComparison.Ordinal).Replace("Console.", "output.", StringComparison.Ordinal);
        foreach (string line in example.Split('\n', StringSplitOptions.TrimEntries)) Assert.Contains(line, source, StringComparison.Ordinal);
    }

    private static async Task ExampleAsync(Uri address, TextWriter output)
    {
        var client = new ChatClient("qwenserve-demo", new ApiKeyCredential("none"), new() { Endpoint = address });
        var options = new ChatCompletionOptions
        {
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("order", BinaryData.FromString("""
                {"type":"object","properties":{"size":{"enum":["small","large"]},"count":{"type":"integer","minimum":1,"maximum":9}},"required":["size","count"],"additionalProperties":false}
                """)),
        };
        ChatCompletion order = await client.CompleteChatAsync([new UserChatMessage("Extract the size and the count as JSON: We need 2 boxes in the size large.")], options);
        output.WriteLine(order.Content[0].Text);

        var weather = ChatTool.CreateFunctionTool("get_weather", "Weather of a city", BinaryData.FromString("""
            {"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}
            """));
        List<ChatMessage> messages = [new UserChatMessage("What is the weather in Lisbon?")];
        ChatCompletion asks = await client.CompleteChatAsync(messages, new ChatCompletionOptions { Tools = { weather }, ToolChoice = ChatToolChoice.CreateRequiredChoice() });
        messages.Add(new AssistantChatMessage(asks));
        foreach (var call in asks.ToolCalls) messages.Add(new ToolChatMessage(call.Id, "21 degrees, clear"));
        await foreach (var update in client.CompleteChatStreamingAsync(messages))
            foreach (var part in update.ContentUpdate) output.Write(part.Text);
    }

    private IEnumerable<string> Blocks(string language)
        => Regex.Matches(Readme, $"```{language}\n(.*?)\n```", RegexOptions.Singleline).Select(m => m.Groups[1].Value.Replace(Example, embedded.Server.App.Address.ToString(), StringComparison.Ordinal));
}
