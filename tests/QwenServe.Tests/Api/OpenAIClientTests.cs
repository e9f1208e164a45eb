using System.ClientModel;
using System.ClientModel.Primitives;
using OpenAI;
using OpenAI.Chat;

namespace QwenServe.Tests.Api;

/// <summary>The OpenAI SDK for .NET, the strictest of the clients, against the real server.</summary>
public class OpenAIClientTests
{
    private static readonly ChatTool Weather = ChatTool.CreateFunctionTool("get_weather", "Weather of a city",
        BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"""));

    [Fact]
    public async Task Chats_and_streams_with_the_embedded_model()
    {
        await using var server = await TestServer.StartEmbeddedAsync();
        var chat = Client(server).GetChatClient(Hosting.ModelLoading.EmbeddedName);
        ChatMessage[] messages = [new UserChatMessage("Hello! What can you do?")];
        var options = new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 100 };
        ChatCompletion whole = await chat.CompleteChatAsync(messages, options);
        Assert.NotEmpty(whole.Content[0].Text);
        Assert.Equal(ChatFinishReason.Stop, whole.FinishReason);
        string text = "";
        ChatFinishReason? finish = null;
        ChatTokenUsage? usage = null;
        await foreach (var update in chat.CompleteChatStreamingAsync(messages, options))
        {
            text += string.Concat(update.ContentUpdate.Select(c => c.Text));
            finish = update.FinishReason ?? finish;
            usage = update.Usage ?? usage;
        }
        Assert.Equal(whole.Content[0].Text, text);
        Assert.Equal(ChatFinishReason.Stop, finish);
        Assert.Equal(whole.Usage.OutputTokenCount, usage!.OutputTokenCount);
    }

    [Fact]
    public async Task Makes_a_tool_round_trip()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(p => p.Contains("<tool_response>", StringComparison.Ordinal) ? "It is 21 degrees in both." : NodeTests.Calls));
        var chat = Client(server).GetChatClient("org/name");
        var options = new ChatCompletionOptions { Tools = { Weather } };
        List<ChatMessage> messages = [new UserChatMessage("What is the weather in Paris and Rome?")];
        ChatCompletion asks = await chat.CompleteChatAsync(messages, options);
        Assert.Equal(ChatFinishReason.ToolCalls, asks.FinishReason);
        Assert.Equal(["get_weather", "get_weather"], asks.ToolCalls.Select(c => c.FunctionName));
        messages.Add(new AssistantChatMessage(asks));
        foreach (var call in asks.ToolCalls) messages.Add(new ToolChatMessage(call.Id, "21 degrees"));
        ChatCompletion answers = await chat.CompleteChatAsync(messages, options);
        Assert.Equal("It is 21 degrees in both.", answers.Content[0].Text);

        var arguments = new Dictionary<int, string>();
        await foreach (var update in chat.CompleteChatStreamingAsync([messages[0]], options))
            foreach (var call in update.ToolCallUpdates)
                arguments[call.Index] = arguments.GetValueOrDefault(call.Index) + call.FunctionArgumentsUpdate;
        Assert.Equal(asks.ToolCalls.Select(c => c.FunctionArguments.ToString()), arguments.OrderBy(a => a.Key).Select(a => a.Value));
    }

    [Fact]
    public async Task Demands_calls_with_the_embedded_model()
    {
        await using var server = await TestServer.StartEmbeddedAsync();
        var chat = Client(server).GetChatClient(Hosting.ModelLoading.EmbeddedName);
        foreach (var choice in new[] { ChatToolChoice.CreateRequiredChoice(), ChatToolChoice.CreateFunctionChoice("get_weather") })
        {
            var options = new ChatCompletionOptions { Tools = { Weather }, ToolChoice = choice, AllowParallelToolCalls = false, MaxOutputTokenCount = 300 };
            ChatCompletion answer = await chat.CompleteChatAsync([new UserChatMessage("Hello")], options);
            Assert.Equal(ChatFinishReason.ToolCalls, answer.FinishReason);
            using var arguments = System.Text.Json.JsonDocument.Parse(Assert.Single(answer.ToolCalls).FunctionArguments);
            Assert.Equal(System.Text.Json.JsonValueKind.String, arguments.RootElement.GetProperty("city").ValueKind);
        }
        var none = new ChatCompletionOptions { Tools = { Weather }, ToolChoice = ChatToolChoice.CreateNoneChoice(), MaxOutputTokenCount = 20 };
        Assert.Empty((await chat.CompleteChatAsync([new UserChatMessage("What is the weather in Lisbon?")], none)).Value.ToolCalls);
    }

    [Fact]
    public async Task Runs_a_loop_of_several_steps()
    {
        var model = ScriptedModel.Saying(ClientScript.Answer);
        model.Options = o => o with { MaxModelLength = 2048 };
        await using var server = await TestServer.StartAsync(model);
        var chat = Client(server).GetChatClient("org/name");
        var average = ChatTool.CreateFunctionTool("average", "Average of numbers", BinaryData.FromString("""{"type":"object","properties":{"values":{"type":"array","items":{"type":"number"}}},"required":["values"],"additionalProperties":false}"""), functionSchemaIsStrict: true);
        List<ChatMessage> messages = [new SystemChatMessage("You help."), new UserChatMessage("What is the average of the temperatures in Paris and Rome?")];
        var asked = new List<string>();
        for (int step = 0; step < 5; step++)
        {
            ChatCompletion answer = await chat.CompleteChatAsync(messages, new ChatCompletionOptions { Tools = { Weather, average } });
            messages.Add(new AssistantChatMessage(answer));
            if (answer.FinishReason != ChatFinishReason.ToolCalls) break;
            foreach (var call in answer.ToolCalls)
            {
                asked.Add(call.FunctionArguments.ToString());
                messages.Add(new ToolChatMessage(call.Id, call.FunctionName == "average" ? "23" : "21 degrees"));
            }
        }
        Assert.Equal(["""{"city": "Paris"}""", """{"city": "Rome"}""", """{"values": [21, 25]}"""], asked);
        Assert.Equal("The average is 23 degrees.", messages[^1].Content[0].Text);
    }

    [Fact]
    public async Task Gets_structured_output_from_the_embedded_model()
    {
        await using var server = await TestServer.StartEmbeddedAsync();
        var options = new ChatCompletionOptions
        {
            MaxOutputTokenCount = 200,
            Temperature = 1.5f,
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("order", BinaryData.FromString("""{"type":"object","properties":{"size":{"enum":["small","large"]},"count":{"type":"integer","minimum":1,"maximum":9}},"required":["size","count"],"additionalProperties":false}"""), jsonSchemaIsStrict: true),
        };
        ChatCompletion answer = await Client(server).GetChatClient(Hosting.ModelLoading.EmbeddedName).CompleteChatAsync([new UserChatMessage("Two large boxes.")], options);
        using var order = System.Text.Json.JsonDocument.Parse(answer.Content[0].Text);
        Assert.Contains(order.RootElement.GetProperty("size").GetString(), new[] { "small", "large" });
        Assert.InRange(order.RootElement.GetProperty("count").GetInt32(), 1, 9);
    }

    [Fact]
    public async Task Tries_again_when_the_model_is_still_loading()
    {
        var model = ScriptedModel.Saying("Hi.");
        var load = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(async (settings, report, cancel) =>
        {
            await load.Task.WaitAsync(cancel);
            return await model.LoadAsync(settings, report, cancel);
        }, waitUntilReady: false);
        var refused = await Assert.ThrowsAsync<ClientResultException>(() => Client(server).GetChatClient("org/name").CompleteChatAsync([new UserChatMessage("x")]));
        Assert.Equal(503, refused.Status);
        var answer = Client(server, retries: 4).GetChatClient("org/name").CompleteChatAsync([new UserChatMessage("x")]);
        load.SetResult();
        Assert.Equal("Hi.", (await answer).Value.Content[0].Text);
    }

    [Fact]
    public async Task Leaves_a_stream_and_the_engine_stops_working_for_it()
    {
        var model = ScriptedModel.Endless();
        model.Device.StepTime = TimeSpan.FromMilliseconds(50);
        await using var server = await TestServer.StartAsync(model);
        using var leaving = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in Client(server).GetChatClient("org/name").CompleteChatStreamingAsync([new UserChatMessage("x")], cancellationToken: leaving.Token))
                await leaving.CancelAsync();
        });
        await ChatTests.IdleAsync(model);
        Assert.True(model.Engine!.Metrics.GenerationTokens < ScriptedModel.MaxModelLen / 2, "it went on without a reader");
    }

    [Fact]
    public async Task Reads_log_probs()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hello there."));
        ChatCompletion answer = await Client(server).GetChatClient("org/name").CompleteChatAsync([new UserChatMessage("x")], new ChatCompletionOptions { IncludeLogProbabilities = true, TopLogProbabilityCount = 3 });
        Assert.All(answer.ContentTokenLogProbabilities, t => Assert.Equal(3, t.TopLogProbabilities.Count));
    }

    [Fact]
    public async Task Lists_models_and_reads_errors()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        var client = Client(server);
        Assert.Equal(["org/name", "short"], (await client.GetOpenAIModelClient().GetModelsAsync()).Value.Select(m => m.Id));
        Assert.Equal("org/name", (await client.GetOpenAIModelClient().GetModelAsync("org/name")).Value.Id);
        var error = await Assert.ThrowsAsync<ClientResultException>(() => client.GetChatClient("nothing").CompleteChatAsync([new UserChatMessage("x")]));
        Assert.Equal(404, error.Status);
        Assert.Contains("model_not_found", error.Message, StringComparison.Ordinal);
    }

    private static OpenAIClient Client(TestServer server, int retries = 0) => new(new ApiKeyCredential("key"),
        new OpenAIClientOptions { Endpoint = new Uri(server.App.Address, "v1"), RetryPolicy = new ClientRetryPolicy(retries) });
}
