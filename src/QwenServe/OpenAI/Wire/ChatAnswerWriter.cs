using System.Text.Json;
using QwenServe.Generation;
using QwenServe.Text.Output;
using QwenServe.Text.Tokenization;

namespace QwenServe.OpenAI.Wire;

/// <summary>
/// Writes the answer to a chat, whole or in chunks. The order of a stream, which SDKs depend on: for each choice a chunk with the role
/// alone (its content is null where a call comes first), then content, reasoning and calls as they come, then one chunk with an empty delta and the finish reason; after all choices the usage,
/// if it was asked for. The identity of a call (id, type, name) is sent once and then left out.
/// </summary>
internal sealed class ChatAnswerWriter(string id, long created, string model, Tokenizer tokenizer, StreamOptions options, int choices, bool logProbs)
{
    private readonly bool[] _begun = new bool[choices];

    /// <summary>Writes what one read brought for a choice.</summary>
    /// <param name="events">Takes the chunks.</param>
    /// <param name="delta">What came.</param>
    /// <param name="prefix">Text that the answer begins with, or null.</param>
    /// <param name="usage">So far; written if it was asked for in each chunk.</param>
    public void WriteChunks(EventStream events, ChoiceDelta delta, string? prefix, Usage usage)
    {
        if (!_begun[delta.Choice])
        {
            // Whether the content is null is known with the first piece.
            if (delta.Output.Count == 0 && delta.Tokens.Count == 0 && delta.Finish is null) return;
            _begun[delta.Choice] = true;
            var json = BeginChunk(events, delta.Choice);
            json.WriteString("role"u8, "assistant"u8);
            if (prefix is null && delta.Output is [{ Kind: OutputDeltaKind.ToolCallBegin }, ..]) json.WriteNull("content"u8);
            else json.WriteString("content"u8, prefix ?? "");
            EndChunk(events, json, [], null, usage);
        }
        var output = delta.Output;
        bool tokensWritten = false;
        for (int i = 0; i < output.Count;)
        {
            var json = BeginChunk(events, delta.Choice);
            i = WriteDelta(json, output, i);
            EndChunk(events, json, tokensWritten ? [] : delta.Tokens, null, usage);
            tokensWritten = true;
        }
        if (!tokensWritten && delta.Tokens.Count > 0)
        {
            // Tokens without text of their own, such as one that a stop string has swallowed.
            var json = BeginChunk(events, delta.Choice);
            EndChunk(events, json, delta.Tokens, null, usage);
        }
        if (delta.Finish is { } finish)
        {
            var json = BeginChunk(events, delta.Choice);
            EndChunk(events, json, [], finish, usage);
        }
    }

    /// <summary>The chunk without choices that carries the usage.</summary>
    public void WriteUsageChunk(EventStream events, Usage usage)
    {
        var json = events.BeginEvent();
        AnswerWriter.Head(json, id, "chat.completion.chunk"u8, created, model);
        json.WriteStartArray("choices"u8);
        json.WriteEndArray();
        AnswerWriter.WriteUsage(json, usage);
        json.WriteEndObject();
        events.EndEvent();
    }

    /// <summary>The whole answer.</summary>
    public void WriteAnswer(Utf8JsonWriter json, IReadOnlyList<ChatChoice> answers, Usage usage, Action<Utf8JsonWriter>? more)
    {
        AnswerWriter.Head(json, id, "chat.completion"u8, created, model);
        json.WriteStartArray("choices"u8);
        for (int i = 0; i < answers.Count; i++)
        {
            var answer = answers[i];
            json.WriteStartObject();
            json.WriteNumber("index"u8, i);
            json.WriteStartObject("message"u8);
            json.WriteString("role"u8, "assistant"u8);
            var calls = answer.Message.ToolCalls;
            string? content = answer.Prefix + answer.Message.Content;
            if (content.Length == 0 && calls.Count > 0) json.WriteNull("content"u8);
            else json.WriteString("content"u8, content);
            json.WriteNull("refusal"u8);
            if (answer.Message.Reasoning is { } reasoning) json.WriteString("reasoning_content"u8, reasoning);
            if (calls.Count > 0)
            {
                json.WriteStartArray("tool_calls"u8);
                foreach (var call in calls)
                {
                    json.WriteStartObject();
                    WriteIdentity(json, call.Name, call.Arguments);
                    json.WriteEndObject();
                }
                json.WriteEndArray();
            }
            json.WriteEndObject();
            if (logProbs) WriteLogProbs(json, answer.Tokens);
            else json.WriteNull("logprobs"u8);
            json.WriteString("finish_reason"u8, AnswerWriter.Finish(answer.Finish));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        AnswerWriter.WriteUsage(json, usage);
        more?.Invoke(json);
        json.WriteEndObject();
    }

    private Utf8JsonWriter BeginChunk(EventStream events, int choice)
    {
        var json = events.BeginEvent();
        AnswerWriter.Head(json, id, "chat.completion.chunk"u8, created, model);
        json.WriteStartArray("choices"u8);
        json.WriteStartObject();
        json.WriteNumber("index"u8, choice);
        json.WriteStartObject("delta"u8);
        return json;
    }

    private void EndChunk(EventStream events, Utf8JsonWriter json, List<TokenRecord> tokens, OutputFinish? finish, Usage usage)
    {
        json.WriteEndObject();
        if (tokens.Count > 0) WriteLogProbs(json, tokens);
        else json.WriteNull("logprobs"u8);
        AnswerWriter.WriteFinish(json, finish);
        json.WriteEndObject();
        json.WriteEndArray();
        if (options.ContinuousUsage) AnswerWriter.WriteUsage(json, usage);
        else if (options.IncludeUsage) json.WriteNull("usage"u8);
        json.WriteEndObject();
        events.EndEvent();
    }

    /// <summary>Writes one delta, neighbours of its kind joined to it.</summary>
    /// <returns>Index of the next one.</returns>
    private static int WriteDelta(Utf8JsonWriter json, List<OutputDelta> output, int at)
    {
        var first = output[at];
        switch (first.Kind)
        {
            case OutputDeltaKind.Content:
                json.WritePropertyName("content"u8);
                return SkipEnds(output, AnswerWriter.WriteText(json, output, at));
            case OutputDeltaKind.Reasoning:
                json.WritePropertyName("reasoning_content"u8);
                return SkipEnds(output, AnswerWriter.WriteText(json, output, at));
            case OutputDeltaKind.ToolCallBegin:
                json.WriteStartArray("tool_calls"u8);
                json.WriteStartObject();
                json.WriteNumber("index"u8, first.Index);
                WriteIdentity(json, first.Text, "");
                json.WriteEndObject();
                json.WriteEndArray();
                return SkipEnds(output, at + 1);
            case OutputDeltaKind.ToolCallArguments:
                json.WriteStartArray("tool_calls"u8);
                json.WriteStartObject();
                json.WriteNumber("index"u8, first.Index);
                json.WriteStartObject("function"u8);
                json.WritePropertyName("arguments"u8);
                at = SkipEnds(output, AnswerWriter.WriteText(json, output, at));
                json.WriteEndObject();
                json.WriteEndObject();
                json.WriteEndArray();
                return at;
            default:
                return SkipEnds(output, at + 1);
        }
    }

    /// <summary>The end of a call has no chunk of its own.</summary>
    private static int SkipEnds(List<OutputDelta> output, int at)
    {
        while (at < output.Count && output[at].Kind == OutputDeltaKind.ToolCallEnd) at++;
        return at;
    }

    private static void WriteIdentity(Utf8JsonWriter json, string name, string arguments)
    {
        json.WriteString("id"u8, string.Concat("call_", Guid.NewGuid().ToString("N").AsSpan(0, 24)));
        json.WriteString("type"u8, "function"u8);
        json.WriteStartObject("function"u8);
        json.WriteString("name"u8, name);
        json.WriteString("arguments"u8, arguments);
        json.WriteEndObject();
    }

    private void WriteLogProbs(Utf8JsonWriter json, IReadOnlyList<TokenRecord> tokens)
    {
        json.WriteStartObject("logprobs"u8);
        json.WritePropertyName("content"u8);
        AnswerWriter.WriteLogProbs(json, tokenizer, tokens);
        json.WriteNull("refusal"u8);
        json.WriteEndObject();
    }
}
