using QwenServe.Engine;
using QwenServe.Generation;
using QwenServe.Hosting;
using QwenServe.Settings;

namespace QwenServe.OpenAI.Wire;

/// <summary>
/// A request for what a model makes of texts, to <c>/v1/embeddings</c> or <c>/pooling</c>: <c>input</c>, or <c>messages</c> as vLLM takes them. Beyond
/// OpenAI's fields are vLLM's <c>normalize</c> and <c>truncate_prompt_tokens</c>, and <c>pooling</c> (last or mean).
/// </summary>
internal sealed record EmbeddingRequest
{
    /// <summary>Inputs of one request, as OpenAI has it.</summary>
    public const int MaxInputs = 2048;

    /// <summary>One entry an input, each with at least one token and none longer than the context.</summary>
    public required IReadOnlyList<int[]> Inputs { get; init; }

    /// <summary>What to pool.</summary>
    public required Pooling Pooling { get; init; }

    /// <summary>Elements to keep; null: all.</summary>
    public int? Dimensions { get; init; }

    public bool Normalize { get; init; } = true;

    /// <summary>Whether vectors are written as base64 of little-endian fp32.</summary>
    public bool Base64 { get; init; }

    public PooledOptions Options { get; init; }

    public int Tokens => Inputs.Sum(i => i.Length);

    public static EmbeddingRequest Read(RequestFields fields, ServedModel model, LimitSettings limits)
    {
        string? pooling = fields.Choice("pooling", "last", "mean");
        var request = new EmbeddingRequest
        {
            Inputs = ReadInputs(fields, model, limits),
            Pooling = pooling switch { "last" => Pooling.Last, "mean" => Pooling.Mean, _ => model.Embedding.Pooling },
            Dimensions = (int?)fields.Integer("dimensions", 1, model.Engine.HiddenSize),
            Normalize = fields.Boolean("normalize") ?? true,
            Base64 = fields.Choice("encoding_format", "float", "base64") == "base64",
            Options = ReadOptions(fields),
        };
        fields.Ignore("model", "user", "chat_template_kwargs", "add_generation_prompt", "add_special_tokens", "request_id", "additional_data");
        if (limits.RejectUnknownFields) fields.RejectUnknown();
        return request;
    }

    public static PooledOptions ReadOptions(RequestFields fields) => new(
        fields.Text("cache_salt"),
        (int?)fields.Integer("priority", int.MinValue, int.MaxValue) ?? 0,
        fields.Number("timeout", 1e-3, 1e9) is { } seconds ? TimeSpan.FromSeconds(seconds) : null);

    private static List<int[]> ReadInputs(RequestFields fields, ServedModel model, LimitSettings limits)
    {
        bool conversation = fields.Find("messages") is not null;
        if (conversation && fields.Find("input") is not null) throw ApiException.InvalidValue("messages", "'messages' and 'input' cannot both be given.");
        string field = conversation ? "messages" : "input";
        var inputs = conversation
            ? [.. ConversationFields.ReadWhole(fields, limits.RejectUnknownFields).Select(c => ChatPrompt.Render(model, c).Tokens)]
            : ReadTexts(fields, model) ?? throw ApiException.Missing("input");
        PromptField.RequireFew(field, inputs.Count, MaxInputs);
        // -1 stands for the context, as in vLLM; what is kept is the end.
        long? cut = fields.Integer("truncate_prompt_tokens", -1, int.MaxValue);
        if (cut == 0) throw ApiException.InvalidValue("truncate_prompt_tokens", "Invalid 'truncate_prompt_tokens': there is nothing left of the input.");
        int most = cut == -1 ? model.MaxModelLen : (int)(cut ?? int.MaxValue);
        for (int i = 0; i < inputs.Count; i++)
        {
            if (inputs[i].Length > most) inputs[i] = inputs[i][^most..];
            RequireFits(inputs[i], model, field);
            foreach (int id in inputs[i])
                if (id >= model.Engine.VocabularySize) throw ApiException.InvalidValue(field, $"Invalid '{field}': token id {id} is not in the vocabulary of {model.Engine.VocabularySize}.");
        }
        return inputs;
    }

    /// <exception cref="ApiException">The prompt is longer than the context.</exception>
    public static void RequireFits(int[] tokens, ServedModel model, string field)
    {
        if (tokens.Length > model.MaxModelLen)
            throw new ApiException(400, $"This model's maximum context length is {model.MaxModelLen} tokens. However, your {field} resulted in {tokens.Length} tokens. Please reduce the length of the {field}.", field, "context_length_exceeded");
    }

    private static List<int[]>? ReadTexts(RequestFields fields, ServedModel model)
    {
        using var tokenizing = Spans.Begin("tokenize");
        return PromptField.Read(fields, "input", text => Encode(text, model), MaxInputs);
    }

    private static int[] Encode(string text, ServedModel model)
    {
        int[] ids = model.Tokenizer.Encode(text);
        if (ids.Length == 0) throw ApiException.InvalidValue("input", "Invalid 'input': an empty text has no embedding.");
        return model.Embedding.EndToken is { } end ? [.. ids, end] : ids;
    }
}
