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

    private static OpenAIClient Client(TestServer server) => new(new ApiKeyCredential("key"),
        new OpenAIClientOptions { Endpoint = new Uri(server.App.Address, "v1"), RetryPolicy = new ClientRetryPolicy(0) });
}
