using System.Globalization;
using System.Text;
using System.Text.Json;
using QwenServe.Engine;
using QwenServe.Generation;
using QwenServe.Text.Output;
using QwenServe.Text.Tokenization;

namespace QwenServe.OpenAI.Wire;

/// <summary>What chat and text completions write alike: their head, usage, finish reasons, tokens.</summary>
internal static class AnswerWriter
{
    /// <summary>Stands for the log of zero, which JSON cannot write.</summary>
    public const float LeastLogProb = -9999;

    public static void Head(Utf8JsonWriter json, string id, ReadOnlySpan<byte> type, long created, string model)
    {
        json.WriteStartObject();
        json.WriteString("id"u8, id);
        json.WriteString("object"u8, type);
        json.WriteNumber("created"u8, created);
        json.WriteString("model"u8, model);
    }

    public static void WriteUsage(Utf8JsonWriter json, Usage usage)
    {
        json.WriteStartObject("usage"u8);
        json.WriteNumber("prompt_tokens"u8, usage.PromptTokens);
        json.WriteNumber("completion_tokens"u8, usage.CompletionTokens);
        json.WriteNumber("total_tokens"u8, (long)usage.PromptTokens + usage.CompletionTokens);
        json.WriteStartObject("prompt_tokens_details"u8);
        json.WriteNumber("cached_tokens"u8, usage.CachedTokens);
        json.WriteEndObject();
        if (usage.ReasoningTokens > 0)
        {
            json.WriteStartObject("completion_tokens_details"u8);
            json.WriteNumber("reasoning_tokens"u8, usage.ReasoningTokens);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    /// <summary>Only values of OpenAI's list: its SDK for .NET throws on any other.</summary>
    public static ReadOnlySpan<byte> Finish(OutputFinish finish) => finish switch
    {
        OutputFinish.Length => "length"u8,
        OutputFinish.ToolCalls => "tool_calls"u8,
        _ => "stop"u8,
    };

    public static void WriteFinish(Utf8JsonWriter json, OutputFinish? finish)
    {
        if (finish is { } reason) json.WriteString("finish_reason"u8, Finish(reason));
        else json.WriteNull("finish_reason"u8);
    }

    /// <summary>Writes the text of one delta as a string, its neighbours of the same kind joined to it.</summary>
    /// <returns>Index of the next one.</returns>
    public static int WriteText(Utf8JsonWriter json, List<OutputDelta> output, int at)
    {
        var first = output[at];
        int end = at + 1;
        while (end < output.Count && output[end].Kind == first.Kind && output[end].Index == first.Index) end++;
        if (end == at + 1) json.WriteStringValue(first.Text);
        else
        {
            for (int i = at; i < end; i++) json.WriteStringValueSegment(output[i].Text.AsSpan(), isFinalSegment: i == end - 1);
        }
        return end;
    }

    public static float Finite(float logProb) => float.IsFinite(logProb) ? logProb : LeastLogProb;

    /// <summary>The log-probs of a message's tokens: an array of <c>{token, logprob, bytes, top_logprobs}</c>.</summary>
    public static void WriteLogProbs(Utf8JsonWriter json, Tokenizer tokenizer, IReadOnlyList<TokenRecord> tokens)
    {
        json.WriteStartArray();
        foreach (var token in tokens)
        {
            json.WriteStartObject();
            Write(token.Token, token.LogProb);
            json.WriteStartArray("top_logprobs"u8);
            foreach (var top in token.Top)
            {
                json.WriteStartObject();
                Write(top.Token, top.LogProb);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();

        void Write(int token, float logProb)
        {
            json.WriteString("token"u8, tokenizer.TokenText(token));
            json.WriteNumber("logprob"u8, Finite(logProb));
            json.WriteStartArray("bytes"u8);
            foreach (byte b in tokenizer.TokenBytes(token)) json.WriteNumberValue(b);
            json.WriteEndArray();
        }
    }

    /// <summary>A token's text as completions' log-probs spell it: <c>bytes:\xe2\x80</c> when it is no text by itself.</summary>
    public static string TokenText(Tokenizer tokenizer, int token)
    {
        var bytes = tokenizer.TokenBytes(token);
        if (System.Text.Unicode.Utf8.IsValid(bytes)) return Encoding.UTF8.GetString(bytes);
        var text = new StringBuilder("bytes:");
        foreach (byte b in bytes) text.Append(CultureInfo.InvariantCulture, $"\\x{b:x2}");
        return text.ToString();
    }

    /// <summary>vLLM's extension: for each place of the prompt null, or an object of token ids.</summary>
    public static void WritePromptLogProbs(Utf8JsonWriter json, Tokenizer tokenizer, IReadOnlyList<PromptLogProb?>? places)
    {
        if (places is null) return;
        json.WriteStartArray("prompt_logprobs"u8);
        foreach (var place in places)
        {
            if (place is null)
            {
                json.WriteNullValue();
                continue;
            }
            json.WriteStartObject();
            bool inTop = false;
            for (int i = 0; i < place.Top.Count; i++)
            {
                inTop |= place.Top[i].Token == place.Token;
                Entry(place.Top[i].Token, place.Top[i].LogProb, i + 1);
            }
            if (!inTop) Entry(place.Token, place.LogProb, null);
            json.WriteEndObject();
        }
        json.WriteEndArray();

        void Entry(int token, float logProb, int? rank)
        {
            json.WriteStartObject(token.ToString(CultureInfo.InvariantCulture));
            json.WriteNumber("logprob"u8, Finite(logProb));
            if (rank is { } r) json.WriteNumber("rank"u8, r);
            else json.WriteNull("rank"u8);
            json.WriteString("decoded_token"u8, tokenizer.TokenText(token));
            json.WriteEndObject();
        }
    }
}
