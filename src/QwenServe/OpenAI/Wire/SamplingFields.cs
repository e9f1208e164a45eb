using System.Globalization;
using System.Text.Json;
using QwenServe.Compute;
using QwenServe.Engine;
using QwenServe.Engine.Model;
using QwenServe.Generation;
using QwenServe.Settings;

namespace QwenServe.OpenAI.Wire;

/// <summary>The fields that say how to generate, alike for chat and for completions: OpenAI's, and vLLM's beside them.</summary>
internal static class SamplingFields
{
    /// <param name="fields">The request.</param>
    /// <param name="maxTokens">Already read, since its name and default differ by endpoint.</param>
    /// <param name="defaultMaxTokens">The endpoint's own default, or null.</param>
    /// <param name="logProbs">Null for none, else how many of the most probable.</param>
    /// <param name="defaults">The checkpoint's own, for what the request leaves open.</param>
    /// <param name="limits">What a request may ask for.</param>
    public static GenerationOptions Read(RequestFields fields, int? maxTokens, int? defaultMaxTokens, int? logProbs, GenerationConfig defaults, LimitSettings limits)
    {
        RefuseUnserved(fields);
        int? promptLogProbs = (int?)fields.Integer("prompt_logprobs", 0, limits.MaxLogProbs);
        return new GenerationOptions
        {
            Choices = (int?)fields.Integer("n", 1, 128) ?? 1,
            MaxTokens = maxTokens,
            DefaultMaxTokens = defaultMaxTokens ?? defaults.MaxNewTokens,
            Stop = StopStrings(fields, "stop"),
            IncludeStop = fields.Boolean("include_stop_str_in_output") ?? false,
            SkipSpecialTokens = fields.Boolean("skip_special_tokens") ?? true,
            CacheSalt = fields.Text("cache_salt"),
            Priority = (int?)fields.Integer("priority", int.MinValue, int.MaxValue) ?? 0,
            Timeout = fields.Number("timeout", 1e-3, 1e9) is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
            PromptLogProbs = promptLogProbs,
            Sampling = Sampling(fields, logProbs, defaults, maxTemperature: 2),
        };
    }

    /// <summary>How each token is drawn.</summary>
    /// <param name="fields">The request.</param>
    /// <param name="logProbs">Null for none, else how many of the most probable.</param>
    /// <param name="defaults">The checkpoint's own, for what the request leaves open.</param>
    /// <param name="maxTemperature">What the endpoint's contract allows.</param>
    public static SamplingParameters Sampling(RequestFields fields, int? logProbs, GenerationConfig defaults, double maxTemperature) => new()
    {
        Temperature = (float?)fields.Number("temperature", 0, maxTemperature) ?? defaults.Temperature ?? 1,
        TopP = (float?)fields.Number("top_p", 0, 1) is { } topP ? Math.Max(topP, 1e-6f) : defaults.TopP ?? 1,
        TopK = (int)(fields.Integer("top_k", -1, int.MaxValue) ?? defaults.TopK ?? 0),
        MinP = (float?)fields.Number("min_p", 0, 1) ?? defaults.MinP ?? 0,
        PresencePenalty = (float?)fields.Number("presence_penalty", -2, 2) ?? 0,
        FrequencyPenalty = (float?)fields.Number("frequency_penalty", -2, 2) ?? 0,
        RepetitionPenalty = (float?)fields.Number("repetition_penalty", 1e-3, 1e3) ?? defaults.RepetitionPenalty ?? 1,
        LogitBias = LogitBias(fields),
        Seed = fields.Integer("seed"),
        MinTokens = (int?)fields.Integer("min_tokens", 0, int.MaxValue) ?? 0,
        IgnoreEos = fields.Boolean("ignore_eos") ?? false,
        StopTokenIds = TokenIds(fields, "stop_token_ids") ?? [],
        LogProbs = logProbs,
    };

    /// <summary>An array of token ids; null when absent.</summary>
    public static int[]? TokenIds(RequestFields fields, string name)
    {
        if (fields.Array(name) is not { } values) return null;
        int[] ids = new int[values.Length];
        for (int i = 0; i < ids.Length; i++) ids[i] = (int)RequestFields.Integer(values[i], $"{fields.PathOf(name)}[{i}]", 0, int.MaxValue);
        return ids;
    }

    /// <summary>One string or several.</summary>
    public static IReadOnlyList<string> StopStrings(RequestFields fields, string name)
    {
        if (fields.Find(name) is not { } stop) return [];
        if (stop.ValueKind == JsonValueKind.String) return [stop.GetString()!];
        if (stop.ValueKind != JsonValueKind.Array) throw ApiException.WrongType(name, "a string or an array of strings", RequestFields.Describe(stop));
        var strings = new List<string>();
        foreach (var element in stop.EnumerateArray())
        {
            if (element.ValueKind != JsonValueKind.String) throw ApiException.WrongType($"{name}[{strings.Count}]", "a string", RequestFields.Describe(element));
            strings.Add(element.GetString()!);
        }
        return strings;
    }

    private static List<TokenBias> LogitBias(RequestFields fields)
    {
        var biases = new List<TokenBias>();
        if (fields.Object("logit_bias") is not { } map) return biases;
        foreach (var property in map.Element.EnumerateObject())
        {
            if (!int.TryParse(property.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int token))
                throw ApiException.InvalidValue("logit_bias", $"Invalid key in 'logit_bias': '{property.Name}'. Keys are token ids.");
            biases.Add(new TokenBias(token, (float)RequestFields.Number(property.Value, $"logit_bias.{property.Name}", -100, 100)));
        }
        return biases;
    }

    /// <summary>What would change the answer and is not served is refused rather than ignored.</summary>
    private static void RefuseUnserved(RequestFields fields)
    {
        foreach (string name in (ReadOnlySpan<string>)["bad_words", "allowed_token_ids", "logits_processors"])
            if (fields.Find(name) is { } value && !(value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0))
                throw ApiException.Unsupported(name, $"Unsupported parameter: '{name}' is not served by this server.");
        if (fields.Boolean("use_beam_search") == true) throw ApiException.Unsupported("use_beam_search", "Unsupported parameter: 'use_beam_search' is not served by this server.");
        fields.Ignore("user", "safety_identifier", "metadata", "store", "service_tier", "request_id", "length_penalty", "spaces_between_special_tokens",
            "add_special_tokens", "detokenize", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options");
    }
}
