using QwenServe.Compute;

namespace QwenServe.Engine;

/// <summary>How the tokens of a request are drawn. Names and ranges are vLLM's; <see cref="SamplingRow"/> gives the order of application.</summary>
public sealed record SamplingParameters
{
    /// <summary>0 takes the most probable token.</summary>
    public float Temperature { get; init; } = 1;

    /// <summary>(0, 1]; 1 is off.</summary>
    public float TopP { get; init; } = 1;

    /// <summary>0 and -1 are off.</summary>
    public int TopK { get; init; }

    /// <summary>[0, 1]; 0 is off.</summary>
    public float MinP { get; init; }

    /// <summary>[-2, 2]; counts output tokens.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>[-2, 2]; counts output tokens.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Above 0; 1 is off; counts prompt and output tokens.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Added to the logits of single ids; [-100, 100], or negative infinity to ban an id.</summary>
    public IReadOnlyList<TokenBias> LogitBias { get; init; } = [];

    /// <summary>With a seed, the same prompt gives the same text; without, each request draws its own.</summary>
    public long? Seed { get; init; }

    /// <summary>Tokens before which no stop id is drawn.</summary>
    public int MinTokens { get; init; }

    /// <summary>The model's own end tokens end nothing; <see cref="StopTokenIds"/> still do.</summary>
    public bool IgnoreEos { get; init; }

    /// <summary>Ids that end a choice beside the model's own.</summary>
    public IReadOnlyList<int> StopTokenIds { get; init; } = [];

    /// <summary>null: none; 0: that of the drawn token; k up to 20: also the k most probable.</summary>
    public int? LogProbs { get; init; }

    /// <summary>Checks all ranges.</summary>
    /// <exception cref="InvalidParameterException">A value is out of range; names the first such parameter as the wire spells it.</exception>
    public void Validate(int vocabularySize)
    {
        Require(Temperature is >= 0 and <= float.MaxValue, "temperature", Temperature, "a number of at least 0");
        Require(TopP is > 0 and <= 1, "top_p", TopP, "above 0 and at most 1");
        Require(TopK >= -1, "top_k", TopK, "at least 1, or 0 or -1 for off");
        Require(MinP is >= 0 and <= 1, "min_p", MinP, "from 0 to 1");
        Require(PresencePenalty is >= -2 and <= 2, "presence_penalty", PresencePenalty, "from -2 to 2");
        Require(FrequencyPenalty is >= -2 and <= 2, "frequency_penalty", FrequencyPenalty, "from -2 to 2");
        Require(RepetitionPenalty is > 0 and <= float.MaxValue, "repetition_penalty", RepetitionPenalty, "a number above 0");
        Require(MinTokens >= 0, "min_tokens", MinTokens, "at least 0");
        Require(LogProbs is null or (>= 0 and <= SamplingResults.MaxTopLogProbs), "logprobs", LogProbs ?? 0, $"from 0 to {SamplingResults.MaxTopLogProbs}");
        foreach (var (token, bias) in LogitBias)
        {
            Require((uint)token < (uint)vocabularySize, "logit_bias", token, $"an id below {vocabularySize}");
            Require(bias is (>= -100 and <= 100) or float.NegativeInfinity, "logit_bias", bias, "from -100 to 100");
        }
        foreach (int token in StopTokenIds)
            Require((uint)token < (uint)vocabularySize, "stop_token_ids", token, $"an id below {vocabularySize}");
    }

    private static void Require<T>(bool holds, string parameter, T value, string range)
    {
        if (!holds) throw new InvalidParameterException(parameter, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{parameter} must be {range}, not {value}"));
    }
}
