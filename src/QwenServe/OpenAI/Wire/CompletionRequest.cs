using System.Text.Json;
using QwenServe.Generation;
using QwenServe.Hosting;
using QwenServe.Settings;
using QwenServe.Text.Tokenization;

namespace QwenServe.OpenAI.Wire;

/// <summary>A request to <c>/v1/completions</c>, read and checked.</summary>
internal sealed record CompletionRequest
{
    /// <summary>Prompts, and choices over all of them, of one request.</summary>
    private const int MaxPrompts = 2048;

    /// <summary>One entry a prompt; a raw prompt's control tokens act as such.</summary>
    public required IReadOnlyList<int[]> Prompts { get; init; }

    public required GenerationOptions Options { get; init; }

    public required StreamOptions Stream { get; init; }

    /// <summary>Whether the answer begins with the prompt.</summary>
    public bool Echo { get; init; }

    /// <summary>How many choices of each prompt are answered; all of <see cref="Options"/> unless <c>best_of</c> asked for more to choose from.</summary>
    public required int Answered { get; init; }

    /// <summary>Whether the answer has log-probs; they are also computed to choose by.</summary>
    public required bool LogProbs { get; init; }

    public static CompletionRequest Read(RequestFields fields, ServedModel model, LimitSettings limits)
    {
        var tokenizer = model.Tokenizer;
        string? suffix = fields.Text("suffix");
        var prompts = string.IsNullOrEmpty(suffix) ? PromptField.Read(fields, "prompt", text => Encode(text, tokenizer), MaxPrompts) ?? [Encode("", tokenizer)] : Middle(fields, suffix, tokenizer);
        var stream = StreamOptions.Read(fields);
        bool echo = fields.Boolean("echo") ?? false;
        int? logProbs = (int?)fields.Integer("logprobs", 0, Math.Min(5, limits.MaxLogProbs));
        int? maxTokens = (int?)fields.Integer("max_tokens", 0, int.MaxValue);
        var options = SamplingFields.Read(fields, maxTokens, 16, logProbs, model.Defaults, limits);
        if (!string.IsNullOrEmpty(suffix))
        {
            if (echo) throw ApiException.InvalidValue("echo", "'echo' is not available together with 'suffix'.");
            options = options with { Sampling = options.Sampling with { StopTokenIds = [.. options.Sampling.StopTokenIds.Union(FillInTheMiddle.StopTokenIds(tokenizer))] } };
        }
        if (options.PromptLogProbs is not null && stream.Stream) throw ApiException.InvalidValue("prompt_logprobs", "'prompt_logprobs' are not available when 'stream' is enabled.");
        int answered = options.Choices;
        int best = (int?)fields.Integer("best_of", 1, 20) ?? answered;
        if (best < answered) throw ApiException.InvalidValue("best_of", $"Invalid 'best_of': it may not be less than 'n', which is {answered}.");
        if (best > answered)
        {
            if (stream.Stream) throw ApiException.InvalidValue("best_of", "'best_of' larger than 'n' is not available when 'stream' is enabled.");
            options = options with { Choices = best, Sampling = options.Sampling with { LogProbs = logProbs ?? 0 } };
        }
        if (options.Choices * prompts.Count > MaxPrompts) throw ApiException.InvalidValue("n", $"Invalid 'n': {prompts.Count} prompts with {options.Choices} choices each are more than {MaxPrompts}.");
        var format = AnswerFormat.Read(fields);
        fields.Ignore("model", "repository");
        if (limits.RejectUnknownFields) fields.RejectUnknown();
        options = options with { Grammar = format?.Compile(model.Grammars) };
        // The log-probs of an echoed prompt are part of the answer's.
        if (echo && logProbs is { } top) options = options with { PromptLogProbs = Math.Max(top, options.PromptLogProbs ?? 0) };
        return new CompletionRequest { Prompts = prompts, Options = options, Stream = stream, Echo = echo, Answered = answered, LogProbs = logProbs is not null };
    }

    /// <summary>Prompts with a suffix: each becomes what the model was trained to fill in. With <c>repository</c>, an extension, other files come before it.</summary>
    private static List<int[]> Middle(RequestFields fields, string suffix, Tokenizer tokenizer)
    {
        if (!FillInTheMiddle.IsServed(tokenizer)) throw ApiException.Unsupported("suffix", "Unsupported parameter: 'suffix' needs a model with fill-in-the-middle tokens.");
        FillInTheMiddle.Repository? repository = null;
        if (fields.Object("repository") is { } r)
        {
            var files = (r.Array("files") ?? []).Select((f, i) =>
            {
                var file = new RequestFields(f, $"repository.files[{i}]");
                return (file.RequiredText("path"), file.RequiredText("content"));
            }).ToList();
            repository = new FillInTheMiddle.Repository(r.RequiredText("name"), files, r.RequiredText("path"));
        }
        var prompt = fields.Find("prompt") ?? throw ApiException.Missing("prompt");
        var prefixes = prompt.ValueKind == JsonValueKind.Array ? [.. prompt.EnumerateArray()] : new List<JsonElement> { prompt };
        if (prefixes.Count == 0 || prefixes.Any(p => p.ValueKind != JsonValueKind.String)) throw ApiException.WrongType("prompt", "a string or an array of strings beside 'suffix'", RequestFields.Describe(prompt));
        RequireFewPrompts(prefixes.Count);
        return [.. prefixes.Select(p => tokenizer.Encode(FillInTheMiddle.Prompt(p.GetString()!, suffix, repository)))];
    }

    /// <exception cref="ApiException">There are more prompts than <paramref name="most"/>.</exception>
    public static void RequireFewPrompts(int count, int most = MaxPrompts)
    {
        PromptField.RequireFew("prompt", count, most);
    }

    /// <summary>An empty prompt is the start of a document.</summary>
    private static int[] Encode(string text, Tokenizer tokenizer)
    {
        int[] ids = tokenizer.Encode(text.Length > 0 ? text : "<|endoftext|>");
        return ids.Length > 0 ? ids : throw ApiException.InvalidValue("prompt", "Invalid 'prompt': it has no tokens.");
    }
}
