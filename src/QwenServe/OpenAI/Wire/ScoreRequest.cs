using System.Text.Json;
using QwenServe.Generation;
using QwenServe.Hosting;
using QwenServe.Settings;
using QwenServe.Text.Chat;

namespace QwenServe.OpenAI.Wire;

/// <summary>
/// A request to <c>/v1/score</c>: <c>messages</c>, one conversation or a list of them, or vLLM's pairs of texts (<c>text_1</c> and <c>text_2</c>, or <c>queries</c>
/// and <c>documents</c>), where the first is what the user asked and the second what the assistant answered; one first text serves all second ones.
/// </summary>
internal sealed record ScoreRequest
{
    /// <summary>One entry a conversation, none longer than the context.</summary>
    public required IReadOnlyList<int[]> Prompts { get; init; }

    /// <summary>The field they came in.</summary>
    public required string Field { get; init; }

    public PooledOptions Options { get; init; }

    public static ScoreRequest Read(RequestFields fields, ServedModel model, LimitSettings limits)
    {
        bool pairs = fields.Find("messages") is null;
        var (first, second) = fields.Find("queries") is not null ? ("queries", "documents") : ("text_1", "text_2");
        string field = pairs ? second : "messages";
        var conversations = pairs ? Pairs(fields, first, second) : ConversationFields.ReadWhole(fields, limits.RejectUnknownFields);
        PromptField.RequireFew(field, conversations.Count, EmbeddingRequest.MaxInputs);
        int[][] prompts = [.. conversations.Select(c => ChatPrompt.Render(model, c).Tokens)];
        foreach (int[] tokens in prompts) EmbeddingRequest.RequireFits(tokens, model, field);
        var options = EmbeddingRequest.ReadOptions(fields);
        fields.Ignore("model", "user", "encoding_format", "request_id", "truncate_prompt_tokens", "messages", "chat_template_kwargs", "add_generation_prompt", "text_1", "text_2", "queries", "documents");
        if (limits.RejectUnknownFields) fields.RejectUnknown();
        return new ScoreRequest { Prompts = prompts, Field = field, Options = options };
    }

    private static List<Conversation> Pairs(RequestFields fields, string first, string second)
    {
        if (fields.Find(first) is null && fields.Find(second) is null) throw ApiException.Missing("messages");
        var questions = Texts(fields, first);
        var answers = Texts(fields, second);
        if (questions.Count != answers.Count && questions.Count != 1)
            throw ApiException.InvalidValue(second, $"Invalid '{second}': {questions.Count} texts in '{first}' do not pair with {answers.Count} texts.");
        return [.. answers.Select((answer, i) => new Conversation
        {
            Messages = [new ConversationMessage { Role = "user", Content = questions[questions.Count == 1 ? 0 : i] }, new ConversationMessage { Role = "assistant", Content = answer }],
            AddGenerationPrompt = false,
        })];
    }

    private static List<string> Texts(RequestFields fields, string name)
    {
        var value = fields.Find(name) ?? throw ApiException.Missing(name);
        if (value.ValueKind == JsonValueKind.String) return [value.GetString()!];
        if (value.ValueKind != JsonValueKind.Array) throw ApiException.WrongType(name, "a string or an array of strings", RequestFields.Describe(value));
        var texts = new List<string>();
        foreach (var element in value.EnumerateArray())
            texts.Add(element.ValueKind == JsonValueKind.String ? element.GetString()! : throw ApiException.WrongType($"{name}[{texts.Count}]", "a string", RequestFields.Describe(element)));
        return texts.Count > 0 ? texts : throw ApiException.EmptyArray(name);
    }
}
