using QwenServe.Generation;
using QwenServe.Hosting;
using QwenServe.Settings;
using QwenServe.Text.Chat;
using QwenServe.Text.Output;

namespace QwenServe.OpenAI.Wire;

/// <summary>A request to <c>/v1/chat/completions</c>, read and checked; nothing after it sees JSON.</summary>
internal sealed record ChatCompletionRequest
{
    public required Conversation Conversation { get; init; }

    /// <summary>How calls are looked for in the answer.</summary>
    public required OutputOptions Output { get; init; }

    public required GenerationOptions Options { get; init; }

    public required StreamOptions Stream { get; init; }

    /// <summary>Whether the answer begins with the final message it continues (vLLM's extension).</summary>
    public bool Echo { get; init; }

    public static ChatCompletionRequest Read(RequestFields fields, ServedModel model, LimitSettings limits)
    {
        var conversation = ConversationFields.Read(fields, limits.RejectUnknownFields, out var tools);
        var format = AnswerFormat.Read(fields);
        var stream = StreamOptions.Read(fields);
        bool logProbs = fields.Boolean("logprobs") ?? false;
        int? top = (int?)fields.Integer("top_logprobs", 0, limits.MaxLogProbs);
        if (top is > 0 && !logProbs) throw ApiException.InvalidValue("top_logprobs", "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.");
        int? maxTokens = (int?)fields.Integer("max_completion_tokens", 1, int.MaxValue);
        int? oldMaxTokens = (int?)fields.Integer("max_tokens", 1, int.MaxValue);
        var options = SamplingFields.Read(fields, maxTokens ?? oldMaxTokens, null, logProbs ? top ?? 0 : null, model.Defaults, limits);
        if (options.PromptLogProbs is not null && stream.Stream) throw ApiException.InvalidValue("prompt_logprobs", "'prompt_logprobs' are not available when 'stream' is enabled.");
        if (fields.Boolean("parallel_tool_calls") == false) tools = tools with { Single = true };
        var grammar = tools.Compile(format, model.Grammars);
        var request = new ChatCompletionRequest
        {
            Conversation = conversation,
            Output = tools.Reading(grammar) with { IncludeReasoning = fields.Boolean("include_reasoning") ?? true },
            Options = options with { Grammar = grammar },
            Stream = stream,
            Echo = fields.Boolean("echo") ?? false,
        };
        fields.Ignore("model", "modalities", "verbosity", "reasoning_effort", "prediction", "web_search_options", "moderation", "functions", "function_call", "audio",
            "documents", "top_logprobs");
        if (limits.RejectUnknownFields) fields.RejectUnknown();
        return request;
    }
}
