using QwenServe.Generation;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;
using QwenServe.Text.Chat;
using QwenServe.Text.Output;

namespace QwenServe.Anthropic.Wire;

/// <summary>A request to <c>/v1/messages</c>, read and checked; nothing after it sees JSON.</summary>
internal sealed record MessagesRequest
{
    public required Conversation Conversation { get; init; }

    public required OutputOptions Output { get; init; }

    public required GenerationOptions Options { get; init; }

    /// <summary>What the request asks for; the answer may have less room than that.</summary>
    public required int MaxTokens { get; init; }

    public required bool Stream { get; init; }

    public static MessagesRequest Read(RequestFields fields, ServedModel model, LimitSettings limits)
    {
        int maxTokens = (int?)fields.Integer("max_tokens", 1, int.MaxValue) ?? throw ApiException.Missing("max_tokens");
        var conversation = MessageFields.Read(fields, limits.RejectUnknownFields, out var tools);
        var options = new GenerationOptions
        {
            // Agents ask for more than a small model's context has room for; the answer is then cut there, and says so.
            DefaultMaxTokens = maxTokens,
            Stop = SamplingFields.StopStrings(fields, "stop_sequences"),
            Sampling = SamplingFields.Sampling(fields, null, model.Defaults, maxTemperature: 1),
        };
        var grammar = tools.Compile(Format(fields), model.Grammars);
        bool stream = fields.Boolean("stream") ?? false;
        MessageFields.IgnoreUnserved(fields);
        if (limits.RejectUnknownFields) fields.RejectUnknown();
        return new MessagesRequest
        {
            Conversation = conversation,
            Output = tools.Reading(grammar),
            Options = options with { Grammar = grammar },
            MaxTokens = maxTokens,
            Stream = stream,
        };
    }

    /// <summary><c>output_config.format</c>; <c>effort</c> beside it asks for nothing that the model could do.</summary>
    private static AnswerFormat? Format(RequestFields fields)
    {
        if (fields.Object("output_config")?.Object("format") is not { } format) return null;
        format.Choice("type", "json_schema");
        var schema = format.Object("schema") ?? throw ApiException.Missing(format.PathOf("schema"));
        return AnswerFormat.Schema(format.PathOf("schema"), schema.Element);
    }
}
