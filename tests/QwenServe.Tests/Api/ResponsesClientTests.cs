using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json;
using OpenAI.Responses;

#pragma warning disable OPENAI001 // The SDK calls its client of this API experimental.

namespace QwenServe.Tests.Api;

/// <summary>The OpenAI SDK for .NET over the Responses API.</summary>
public sealed class ResponsesClientTests(ClientServers servers) : IClassFixture<ClientServers>
{
    private const string Model = "org/name";
    private const string Question = "What is the average of the temperatures in Paris and Rome?";

    private static readonly FunctionTool[] Tools =
    [
        ResponseTool.CreateFunctionTool("get_weather", BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}"""), true, "Weather of a city"),
        ResponseTool.CreateFunctionTool("average", BinaryData.FromString("""{"type":"object","properties":{"values":{"type":"array","items":{"type":"number"}}},"required":["values"],"additionalProperties":false}"""), true, "Average of numbers"),
    ];

    [Fact]
    public async Task Text_is_the_same_streamed_and_not()
    {
        foreach (var (server, model) in new[] { (servers.Embedded, Hosting.ModelLoading.EmbeddedName), (servers.Scripted, Model) })
        {
            var client = Client(server);
            CreateResponseOptions Options() => new(model, [ResponseItem.CreateUserMessageItem("Hello! What can you do?")]) { Temperature = 0, MaxOutputTokenCount = 60, Instructions = "You help." };
            ResponseResult whole = await client.CreateResponseAsync(Options());
            Assert.NotEmpty(whole.GetOutputText());
            if (model == Model) Assert.Equal(ClientScript.Greeting, whole.GetOutputText());
            Assert.Equal(whole.Usage.TotalTokenCount, whole.Usage.InputTokenCount + whole.Usage.OutputTokenCount);
            string text = "";
            ResponseResult? last = null;
            int number = 0;
            await foreach (var update in await StreamAsync(client, Options()))
            {
                Assert.Equal(number++, update.SequenceNumber);
                if (update is StreamingResponseOutputTextDeltaUpdate delta) text += delta.Delta;
                if (update is StreamingResponseCompletedUpdate completed) last = completed.Response;
                if (update is StreamingResponseIncompleteUpdate incomplete) last = incomplete.Response;
            }
            Assert.Equal(whole.GetOutputText(), text);
            Assert.Equal(whole.GetOutputText(), last!.GetOutputText());
            Assert.Equal(whole.Status, last.Status);
        }
    }

    [Fact]
    public async Task A_loop_of_several_steps_goes_on_by_id_and_by_items()
    {
        var client = Client(servers.Scripted);
        foreach (bool byId in new[] { true, false })
        {
            List<ResponseItem> items = [ResponseItem.CreateUserMessageItem(Question)];
            string? previous = null;
            ResponseResult response;
            while (true)
            {
                var options = new CreateResponseOptions(Model, items) { PreviousResponseId = previous, StoredOutputEnabled = byId };
                foreach (var tool in Tools) options.Tools.Add(tool);
                response = await client.CreateResponseAsync(options);
                var calls = response.OutputItems.OfType<FunctionCallResponseItem>().ToList();
                if (calls.Count == 0) break;
                if (byId) items = [];
                else items.AddRange(response.OutputItems);
                previous = byId ? response.Id : null;
                foreach (var call in calls)
                {
                    using var arguments = JsonDocument.Parse(call.FunctionArguments);
                    items.Add(ResponseItem.CreateFunctionCallOutputItem(call.CallId, call.FunctionName == "average"
                        ? arguments.RootElement.GetProperty("values").EnumerateArray().Average(v => v.GetDouble()).ToString(System.Globalization.CultureInfo.InvariantCulture)
                        : "21 degrees in " + arguments.RootElement.GetProperty("city").GetString()));
                }
            }
            Assert.Equal("The average is 23 degrees.", response.GetOutputText());
        }
    }

    [Fact]
    public async Task Calls_are_streamed_and_demanded()
    {
        var options = new CreateResponseOptions(Model, [ResponseItem.CreateUserMessageItem(Question)]) { ToolChoice = ResponseToolChoice.CreateFunctionChoice("get_weather"), ParallelToolCallsEnabled = false };
        foreach (var tool in Tools) options.Tools.Add(tool);
        string arguments = "", done = "";
        var items = new List<ResponseItem>();
        await foreach (var update in await StreamAsync(Client(servers.Scripted), options))
        {
            if (update is StreamingResponseFunctionCallArgumentsDeltaUpdate delta) arguments += delta.Delta;
            if (update is StreamingResponseFunctionCallArgumentsDoneUpdate whole) done = whole.FunctionArguments.ToString();
            if (update is StreamingResponseOutputItemDoneUpdate item) items.Add(item.Item);
        }
        Assert.Equal("""{"city": "Paris"}""", arguments);
        Assert.Equal(arguments, done);
        Assert.Equal("get_weather", Assert.IsType<FunctionCallResponseItem>(Assert.Single(items)).FunctionName);
    }

    [Fact]
    public async Task A_format_log_probs_and_what_is_stored_are_read()
    {
        var client = Client(servers.Scripted);
        ResponseResult response = await client.CreateResponseAsync(new CreateResponseOptions(Model, [ResponseItem.CreateUserMessageItem("Describe Ada as JSON.")])
        {
            TextOptions = new() { TextFormat = ResponseTextFormat.CreateJsonSchemaFormat("person", BinaryData.FromString("""{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}"""), null, true) },
            IncludedProperties = { IncludedResponseProperty.MessageOutputTextLogProbabilities },
            TopLogProbabilityCount = 2,
            Metadata = { ["topic"] = "person" },
        });
        using (var person = JsonDocument.Parse(response.GetOutputText())) Assert.Equal("Ada", person.RootElement.GetProperty("name").GetString());
        ResponseResult kept = await client.GetResponseAsync(response.Id);
        Assert.Equal(response.GetOutputText(), kept.GetOutputText());
        Assert.Equal("person", kept.Metadata["topic"]);
        Assert.Equal(ResponseStatus.Completed, kept.Status);
        string replayed = "";
        await foreach (var update in await client.GetResponseStreamingAsync(response.Id))
            if (update is StreamingResponseOutputTextDeltaUpdate delta) replayed += delta.Delta;
        Assert.Equal(response.GetOutputText(), replayed);
        var input = new List<ResponseItem>();
        await foreach (var item in client.GetResponseInputItemsAsync(response.Id)) input.Add(item);
        Assert.Equal("Describe Ada as JSON.", Assert.IsAssignableFrom<MessageResponseItem>(Assert.Single(input)).Content[0].Text);
        Assert.True((await client.DeleteResponseAsync(response.Id)).Value.Deleted);
        Assert.Equal(404, (await Assert.ThrowsAsync<ClientResultException>(() => client.GetResponseAsync(response.Id))).Status);
    }

    private static async Task<IAsyncEnumerable<StreamingResponseUpdate>> StreamAsync(ResponsesClient client, CreateResponseOptions options)
    {
        options.StreamingEnabled = true;
        return await client.CreateResponseStreamingAsync(options);
    }

    private static ResponsesClient Client(TestServer server) => new(new ApiKeyCredential("key"),
        new ResponsesClientOptions { Endpoint = new Uri(server.App.Address, "v1"), RetryPolicy = new ClientRetryPolicy(0) });
}
