using QwenServe.Generation;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;
using QwenServe.Text.Tokenization;

namespace QwenServe.OpenAI;

/// <summary><c>POST /v1/chat/completions</c>.</summary>
internal static class ChatCompletionsEndpoint
{
    public static void Map(IEndpointRouteBuilder routes) => routes.MapPost("/v1/chat/completions", (RequestDelegate)AnswerAsync);

    private static async Task AnswerAsync(HttpContext context)
    {
        using var work = new RequestScope(context);
        using var body = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        var model = work.FindModel(body.Fields);
        var request = ChatCompletionRequest.Read(body.Fields, model, context.RequestServices.GetRequiredService<LimitSettings>());
        var prompt = ChatPrompt.Render(model, request.Conversation);
        string id = "chatcmpl-" + Guid.NewGuid().ToString("N");
        // Queued here, so that a refusal is a status and not a broken stream.
        await using var generation = await prompt.ContinueAsync(model, id, request.Options, request.Output, work.Caller).ConfigureAwait(false);
        var writer = new ChatAnswerWriter(id, DateTimeOffset.UtcNow.ToUnixTimeSeconds(), model.Name, model.Tokenizer, request.Stream, request.Options.Choices, request.Options.Sampling.LogProbs is not null);
        string? prefix = request.Echo ? request.Conversation.Messages[^1].Content : null;
        if (request.Stream.Stream) await StreamAsync(context, work, generation, writer, request, prefix).ConfigureAwait(false);
        else await AnswerWholeAsync(context, work, generation, writer, request, prefix, model.Tokenizer).ConfigureAwait(false);
    }

    private static Task StreamAsync(HttpContext context, RequestScope work, TextGeneration generation, ChatAnswerWriter writer, ChatCompletionRequest request, string? prefix)
        => work.StreamAsync(context, async events =>
        {
            while (await generation.ReadAsync().ConfigureAwait(false) is { } deltas)
            {
                var usage = request.Stream.ContinuousUsage ? Usage.Of([generation]) : default;
                foreach (var delta in deltas) writer.WriteChunks(events, delta, prefix, usage);
                await events.FlushAsync(work.Cancelled).ConfigureAwait(false);
            }
            if (request.Stream.IncludeUsage) writer.WriteUsageChunk(events, Usage.Of([generation]));
            events.Done();
        });

    private static async Task AnswerWholeAsync(HttpContext context, RequestScope work, TextGeneration generation, ChatAnswerWriter writer, ChatCompletionRequest request, string? prefix, Tokenizer tokenizer)
    {
        var choices = new ChatChoice[request.Options.Choices];
        for (int i = 0; i < choices.Length; i++) choices[i] = new ChatChoice(prefix);
        await work.WaitAsync(async () =>
        {
            while (await generation.ReadAsync().ConfigureAwait(false) is { } deltas)
                foreach (var delta in deltas) choices[delta.Choice].Add(delta);
        }).ConfigureAwait(false);
        await JsonAnswer.SendAsync(context, json => writer.WriteAnswer(json, choices, Usage.Of([generation]),
            more => AnswerWriter.WritePromptLogProbs(more, tokenizer, generation.PromptLogProbs))).ConfigureAwait(false);
    }
}
