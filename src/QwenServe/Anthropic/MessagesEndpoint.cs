using QwenServe.Anthropic.Wire;
using QwenServe.Generation;
using QwenServe.Hosting;
using QwenServe.OpenAI;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;

namespace QwenServe.Anthropic;

/// <summary>
/// <c>POST /v1/messages</c> and <c>/v1/messages/count_tokens</c>: chat as Anthropic's API has it. Conversation, tools, limits and refusals are the
/// same as those of <c>/v1/chat/completions</c>; only their spelling differs, errors included.
/// </summary>
internal static class MessagesEndpoint
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/messages", (RequestDelegate)AnswerAsync);
        routes.MapPost("/v1/messages/count_tokens", (RequestDelegate)CountAsync);
    }

    private static async Task AnswerAsync(HttpContext context)
    {
        using var work = new RequestScope(context);
        using var body = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        var model = work.FindModel(body.Fields);
        var request = MessagesRequest.Read(body.Fields, model, context.RequestServices.GetRequiredService<LimitSettings>());
        var prompt = ChatPrompt.Render(model, request.Conversation);
        if (prompt.Tokens.Length >= model.MaxModelLen) throw TooLong(prompt.Tokens.Length, model.MaxModelLen);
        string id = "msg_" + Guid.NewGuid().ToString("N");
        await using var generation = await prompt.ContinueAsync(model, id, request.Options, request.Output, work.Caller).ConfigureAwait(false);
        var writer = new MessageWriter(id, model.Name, request.MaxTokens);
        if (request.Stream)
        {
            await work.StreamAsync(context, async events =>
            {
                while (await generation.ReadAsync().ConfigureAwait(false) is { } deltas)
                {
                    foreach (var delta in deltas) writer.WriteEvents(events, delta, Usage.Of([generation]));
                    await events.FlushAsync(work.Cancelled).ConfigureAwait(false);
                }
            }, (events, error) => MessagesError.WriteEvent(events, error, context.TraceIdentifier)).ConfigureAwait(false);
            return;
        }
        var message = new AssembledContent();
        await work.WaitAsync(async () =>
        {
            while (await generation.ReadAsync().ConfigureAwait(false) is { } deltas)
                foreach (var delta in deltas) message.Add(delta);
        }).ConfigureAwait(false);
        await JsonAnswer.SendAsync(context, json => writer.WriteMessage(json, message, Usage.Of([generation]))).ConfigureAwait(false);
    }

    private static async Task CountAsync(HttpContext context)
    {
        using var work = new RequestScope(context);
        using var body = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        var model = work.FindModel(body.Fields);
        bool strict = context.RequestServices.GetRequiredService<LimitSettings>().RejectUnknownFields;
        var conversation = MessageFields.Read(body.Fields, strict, out _);
        MessageFields.IgnoreUnserved(body.Fields);
        if (strict) body.Fields.RejectUnknown();
        int tokens = ChatPrompt.Render(model, conversation).Tokens.Length;
        await JsonAnswer.SendAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteNumber("input_tokens"u8, tokens);
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }

    /// <summary>In Anthropic's words, which agents look for before they shorten a conversation.</summary>
    private static ApiException TooLong(int tokens, int context)
        => new(400, $"prompt is too long: {tokens} tokens > {context - 1} maximum", "messages", "context_length_exceeded");
}
