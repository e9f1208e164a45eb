using QwenServe.Generation;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;
using QwenServe.Text.Output;
using QwenServe.Text.Tokenization;

namespace QwenServe.OpenAI;

/// <summary><c>POST /v1/completions</c>: one engine request a prompt, answered together.</summary>
internal static class CompletionsEndpoint
{
    public static void Map(IEndpointRouteBuilder routes) => routes.MapPost("/v1/completions", (RequestDelegate)AnswerAsync);

    private static async Task AnswerAsync(HttpContext context)
    {
        using var work = new RequestScope(context);
        using var body = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        var model = work.FindModel(body.Fields);
        CompletionRequest request;
        using (Spans.Begin("tokenize")) request = CompletionRequest.Read(body.Fields, model, context.RequestServices.GetRequiredService<LimitSettings>());
        // More than the queue holds would be told to come again for ever.
        CompletionRequest.RequireFewPrompts(request.Prompts.Count, model.Engine.MaxQueuedRequests);
        var masks = await GrammarMask.FactoryAsync(model, request.Options, ReasoningMode.Off, work.Cancelled).ConfigureAwait(false);
        string id = "cmpl-" + Guid.NewGuid().ToString("N");
        // All are queued, or none, before the first byte goes out, so that a refusal is a status.
        var generations = TextGeneration.StartAll(model, id, request.Prompts, request.Options, new OutputOptions(), masks, chat: false, work.Caller);
        try
        {
            var writer = new CompletionAnswerWriter(id, DateTimeOffset.UtcNow.ToUnixTimeSeconds(), model.Name, model.Tokenizer, request.Stream, request.LogProbs);
            if (request.Stream.Stream) await StreamAsync(context, work, generations, writer, request, model.Tokenizer).ConfigureAwait(false);
            else await AnswerWholeAsync(context, work, generations, writer, request, model.Tokenizer).ConfigureAwait(false);
        }
        finally
        {
            foreach (var generation in generations) await generation.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static async Task AnswerWholeAsync(HttpContext context, RequestScope work, TextGeneration[] generations, CompletionAnswerWriter writer, CompletionRequest request, Tokenizer tokenizer)
    {
        int n = request.Options.Choices;
        var choices = new CompletionChoice[generations.Length * n];
        for (int i = 0; i < choices.Length; i++) choices[i] = new CompletionChoice();
        await work.WaitAsync(() => Task.WhenAll(generations.Select(async (generation, g) =>
        {
            bool begun = false;
            while (await generation.ReadAsync().ConfigureAwait(false) is { } deltas)
            {
                if (!begun)
                {
                    begun = true;
                    for (int k = 0; k < n; k++) Begin(choices[g * n + k], request, g, generation, tokenizer);
                }
                foreach (var delta in deltas) Add(choices[g * n + delta.Choice], delta, tokenizer);
            }
        }))).ConfigureAwait(false);
        if (request.Answered < n) choices = [.. choices.Chunk(n).SelectMany(own => own.OrderByDescending(c => c.MeanLogProb).Take(request.Answered))];
        await JsonAnswer.SendAsync(context, json => writer.WriteAnswer(json, choices, Usage.Of(generations))).ConfigureAwait(false);
    }

    private static Task StreamAsync(HttpContext context, RequestScope work, TextGeneration[] generations, CompletionAnswerWriter writer, CompletionRequest request, Tokenizer tokenizer)
        => work.StreamAsync(context, async events =>
        {
            int n = request.Options.Choices;
            using var turn = new SemaphoreSlim(1, 1);
            await Task.WhenAll(generations.Select(async (generation, g) =>
            {
                var choices = new CompletionChoice?[n];
                while (await generation.ReadAsync().ConfigureAwait(false) is { } deltas)
                {
                    await turn.WaitAsync(work.Cancelled).ConfigureAwait(false);
                    try
                    {
                        var usage = request.Stream.ContinuousUsage ? Usage.Of(generations) : default;
                        foreach (var delta in deltas)
                        {
                            var choice = choices[delta.Choice];
                            if (choice is null)
                            {
                                choices[delta.Choice] = choice = new CompletionChoice();
                                Begin(choice, request, g, generation, tokenizer);
                            }
                            Add(choice, delta, tokenizer);
                            if (choice.Text.Length > 0 || delta.Tokens.Count > 0)
                                writer.WriteChunk(events, g * n + delta.Choice, choice.Text.ToString(), choice.LogProbs, null, usage);
                            if (choice.Finish is not null) writer.WriteChunk(events, g * n + delta.Choice, "", null, choice.Finish, usage);
                            choice.Text.Clear();
                            choice.LogProbs.Clear();
                        }
                        await events.FlushAsync(work.Cancelled).ConfigureAwait(false);
                    }
                    finally
                    {
                        turn.Release();
                    }
                }
            })).ConfigureAwait(false);
            if (request.Stream.IncludeUsage) writer.WriteUsageChunk(events, Usage.Of(generations));
            events.Done();
        });

    /// <summary>Puts an echoed prompt, with its log-probs, at the beginning of a choice.</summary>
    private static void Begin(CompletionChoice choice, CompletionRequest request, int prompt, TextGeneration generation, Tokenizer tokenizer)
    {
        // Asked for by its own name, as against what echo needs.
        if (!request.Echo)
        {
            choice.PromptLogProbs = generation.PromptLogProbs;
            return;
        }
        int[] tokens = request.Prompts[prompt];
        choice.Text.Append(tokenizer.Decode(tokens, skipSpecialTokens: false));
        if (generation.PromptLogProbs is not { } places) return;
        for (int i = 0; i < tokens.Length; i++)
            choice.LogProbs.Add(tokens[i], places[i]?.LogProb, places[i]?.Top ?? [], tokenizer);
    }

    private static void Add(CompletionChoice choice, ChoiceDelta delta, Tokenizer tokenizer)
    {
        foreach (var piece in delta.Output)
            if (piece.Kind == OutputDeltaKind.Content) choice.Text.Append(piece.Text);
        choice.LogProbs.Add(delta.Tokens, tokenizer);
        foreach (var token in delta.Tokens) choice.Rate(token.LogProb);
        choice.Finish = delta.Finish ?? choice.Finish;
    }
}
