namespace QwenServe.Engine;

/// <summary>Prompt and completion together do not fit the context.</summary>
public sealed class PromptTooLongException(int promptTokens, int? maxTokens, int maxModelLength) : Exception(
    maxTokens is { } wanted
        ? $"This model's maximum context length is {maxModelLength} tokens. However, you requested {(long)promptTokens + wanted} tokens ({promptTokens} in the prompt, {wanted} in the completion)."
        : $"This model's maximum context length is {maxModelLength} tokens. However, the prompt has {promptTokens} tokens, which leaves no room for a completion.")
{
    public int PromptTokens { get; } = promptTokens;

    /// <summary>Tokens of completion that were asked for, or null when the request left it open.</summary>
    public int? MaxTokens { get; } = maxTokens;

    public int MaxModelLength { get; } = maxModelLength;
}
