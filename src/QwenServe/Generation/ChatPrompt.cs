using QwenServe.Access;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;
using QwenServe.Text;
using QwenServe.Text.Chat;
using QwenServe.Text.Output;

namespace QwenServe.Generation;

/// <summary>A conversation as the ids a model reads.</summary>
/// <param name="Tokens">The prompt.</param>
/// <param name="Reasoning">Whether the prompt ends inside the model's reasoning.</param>
internal readonly record struct ChatPrompt(int[] Tokens, ReasoningMode Reasoning)
{
    /// <exception cref="ApiException">The template refuses the conversation, or the model has none.</exception>
    public static ChatPrompt Render(ServedModel model, Conversation conversation)
    {
        if (model.Template is null)
            throw ApiException.InvalidValue("messages", $"The model `{model.Name}` has no chat template; use an endpoint that takes a text, or start the server with --chat-template.");
        try
        {
            PromptText prompt;
            using (Spans.Begin("template")) prompt = model.Template.Render(conversation);
            if (model.StepToken is not null) prompt = StepScores.Admit(prompt);
            var reasoning = EndsInReasoning(prompt.Text, conversation) ? ReasoningMode.Assumed : ReasoningMode.Off;
            using var tokenizing = Spans.Begin("tokenize");
            return new ChatPrompt(model.ControlTokensInContent ? model.Tokenizer.Encode(prompt.Text) : model.Tokenizer.Encode(prompt), reasoning);
        }
        catch (ChatTemplateException e)
        {
            throw new ApiException(400, "The chat template refuses the conversation: " + e.Message, "messages", "invalid_value");
        }
    }

    /// <summary>The template opens the reasoning, or the final message, which is continued, has not closed its own.</summary>
    private static bool EndsInReasoning(string prompt, Conversation conversation)
    {
        if (!conversation.ContinueFinalMessage) return prompt.AsSpan().TrimEnd().EndsWith("<think>", StringComparison.Ordinal);
        var message = (conversation.Messages[^1].Content ?? "").AsSpan().TrimStart();
        return message.StartsWith("<think>", StringComparison.Ordinal) && !message.Contains("</think>", StringComparison.Ordinal);
    }

    /// <summary>Queues the conversation's continuation.</summary>
    /// <param name="model">The model.</param>
    /// <param name="id">The request's id, for traces.</param>
    /// <param name="options">How to continue.</param>
    /// <param name="output">How to read what comes; the reasoning is the prompt's.</param>
    /// <param name="caller">Who asks.</param>
    /// <exception cref="ApiException">The engine refuses.</exception>
    public async ValueTask<TextGeneration> ContinueAsync(ServedModel model, string id, GenerationOptions options, OutputOptions output, Caller caller)
    {
        var masks = await GrammarMask.FactoryAsync(model, options, Reasoning, caller.Cancelled).ConfigureAwait(false);
        return TextGeneration.Start(model, id, Tokens, options, output with { Reasoning = Reasoning }, masks, chat: true, caller);
    }
}
