using System.Text.Json;
using QwenServe.Generation;
using QwenServe.OpenAI.Wire;

namespace QwenServe.OpenAI.Responses;

/// <summary>The object that the API is named after, with all fields in OpenAI's order. It changes until it has ended and never again.</summary>
internal sealed class Response(string model, ResponseParameters parameters)
{
    private readonly long _created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
    private long? _completed;
    private Usage? _usage;
    private int _reasoningTokens;
    private ApiException? _error;

    public string Id { get; } = "resp_" + Guid.NewGuid().ToString("N");

    public ResponseParameters Parameters => parameters;

    /// <summary>in_progress, completed, incomplete or failed.</summary>
    public string Status { get; private set; } = "in_progress";

    public bool HasEnded => Status != "in_progress";

    public IReadOnlyList<ResponseItem> Output { get; private set; } = [];

    /// <param name="output">What was generated, to its end.</param>
    /// <param name="generation">What it took.</param>
    public void End(ResponseOutput output, TextGeneration generation)
    {
        Status = output.IsCut ? "incomplete" : "completed";
        if (!output.IsCut) _completed = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        Output = output.Items;
        _usage = Usage.Of([generation]);
        _reasoningTokens = generation.ReasoningTokens;
    }

    /// <param name="output">What had been generated.</param>
    /// <param name="error">What went wrong.</param>
    public void Fail(ResponseOutput output, ApiException error)
    {
        output.Break();
        Status = "failed";
        Output = output.Items;
        _error = error;
    }

    /// <param name="json">Takes the object.</param>
    /// <param name="asBegun">As it was before anything was generated.</param>
    public void Write(Utf8JsonWriter json, bool asBegun = false)
    {
        json.WriteStartObject();
        json.WriteString("id"u8, Id);
        json.WriteString("object"u8, "response"u8);
        json.WriteNumber("created_at"u8, _created);
        json.WriteString("status"u8, asBegun ? "in_progress" : Status);
        json.WriteBoolean("background"u8, false);
        if (_completed is { } completed && !asBegun) json.WriteNumber("completed_at"u8, completed);
        else json.WriteNull("completed_at"u8);
        WriteEnd(json, asBegun);
        json.WriteString("instructions"u8, parameters.Instructions);
        WriteNumber(json, "max_output_tokens"u8, parameters.MaxOutputTokens);
        WriteNumber(json, "max_tool_calls"u8, parameters.MaxToolCalls);
        json.WriteString("model"u8, model);
        json.WriteStartArray("output"u8);
        if (!asBegun)
            foreach (var item in Output) item.Write(json);
        json.WriteEndArray();
        json.WriteBoolean("parallel_tool_calls"u8, parameters.ParallelToolCalls);
        json.WriteString("previous_response_id"u8, parameters.PreviousResponseId);
        json.WriteString("prompt_cache_key"u8, parameters.PromptCacheKey);
        json.WriteStartObject("reasoning"u8);
        json.WriteString("effort"u8, parameters.ReasoningEffort);
        json.WriteString("summary"u8, parameters.ReasoningSummary);
        json.WriteEndObject();
        json.WriteString("safety_identifier"u8, parameters.SafetyIdentifier);
        json.WriteString("service_tier"u8, "default"u8);
        json.WriteBoolean("store"u8, parameters.Store);
        json.WriteNumber("temperature"u8, parameters.Temperature);
        json.WriteStartObject("text"u8);
        WriteRaw(json, "format"u8, parameters.Format);
        json.WriteString("verbosity"u8, parameters.Verbosity ?? "medium");
        json.WriteEndObject();
        WriteRaw(json, "tool_choice"u8, parameters.ToolChoice);
        WriteRaw(json, "tools"u8, parameters.Tools);
        json.WriteNumber("top_logprobs"u8, parameters.TopLogProbs);
        json.WriteNumber("top_p"u8, parameters.TopP);
        json.WriteString("truncation"u8, parameters.Truncation);
        WriteUsage(json, asBegun);
        json.WriteString("user"u8, parameters.User);
        WriteRaw(json, "metadata"u8, parameters.Metadata);
        json.WriteEndObject();
    }

    private void WriteEnd(Utf8JsonWriter json, bool asBegun)
    {
        if (_error is not null && !asBegun)
        {
            json.WriteStartObject("error"u8);
            json.WriteString("code"u8, "server_error"u8);
            json.WriteString("message"u8, _error.Message);
            json.WriteEndObject();
        }
        else json.WriteNull("error"u8);
        if (Status == "incomplete" && !asBegun)
        {
            json.WriteStartObject("incomplete_details"u8);
            json.WriteString("reason"u8, "max_output_tokens"u8);
            json.WriteEndObject();
        }
        else json.WriteNull("incomplete_details"u8);
    }

    private void WriteUsage(Utf8JsonWriter json, bool asBegun)
    {
        if (_usage is not { } usage || asBegun)
        {
            json.WriteNull("usage"u8);
            return;
        }
        json.WriteStartObject("usage"u8);
        json.WriteNumber("input_tokens"u8, usage.PromptTokens);
        json.WriteStartObject("input_tokens_details"u8);
        json.WriteNumber("cached_tokens"u8, usage.CachedTokens);
        // Nothing is charged for filling the prefix cache.
        json.WriteNumber("cache_write_tokens"u8, 0);
        json.WriteEndObject();
        json.WriteNumber("output_tokens"u8, usage.CompletionTokens);
        json.WriteStartObject("output_tokens_details"u8);
        json.WriteNumber("reasoning_tokens"u8, _reasoningTokens);
        json.WriteEndObject();
        json.WriteNumber("total_tokens"u8, (long)usage.PromptTokens + usage.CompletionTokens);
        json.WriteEndObject();
    }

    private static void WriteNumber(Utf8JsonWriter json, ReadOnlySpan<byte> name, int? value)
    {
        if (value is { } number) json.WriteNumber(name, number);
        else json.WriteNull(name);
    }

    private static void WriteRaw(Utf8JsonWriter json, ReadOnlySpan<byte> name, string text)
    {
        json.WritePropertyName(name);
        json.WriteRawValue(text, skipInputValidation: true);
    }
}
