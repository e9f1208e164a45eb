using System.Text.Json;
using QwenServe.Generation;
using QwenServe.OpenAI.Wire;
using QwenServe.Text.Output;

namespace QwenServe.Anthropic.Wire;

/// <summary>
/// Writes an answer in Anthropic's blocks, whole or as events. A stream is <c>message_start</c>; for each block a start, its deltas and a stop, one
/// block at a time; <c>message_delta</c> with the reason and the usage; <c>message_stop</c>.
/// </summary>
internal sealed class MessageWriter(string id, string model, int maxTokens)
{
    private bool _begun;
    private int _blocks;
    private BlockKind? _open;

    /// <summary>Writes the events of what one read brought.</summary>
    /// <param name="events">Takes them.</param>
    /// <param name="delta">What came.</param>
    /// <param name="usage">So far.</param>
    public void WriteEvents(EventStream events, ChoiceDelta delta, Usage usage)
    {
        if (!_begun) WriteStart(events, usage);
        var output = delta.Output;
        for (int i = 0; i < output.Count;)
        {
            var next = output[i];
            if (AssembledContent.KindOf(next) is not { } kind)
            {
                Close(events);
                i++;
                continue;
            }
            bool begins = next.Kind == OutputDeltaKind.ToolCallBegin;
            if (begins || _open != kind) Open(events, kind, begins ? next.Text : "");
            i = begins ? i + 1 : WriteDelta(events, kind, output, i);
        }
        if (delta.Finish is not { } finish) return;
        Close(events);
        WriteEnd(events, finish, delta.StopString, usage);
    }

    /// <summary>The whole answer.</summary>
    public void WriteMessage(Utf8JsonWriter json, AssembledContent answer, Usage usage)
    {
        WriteHead(json);
        foreach (var block in answer.Blocks)
        {
            string text = block.Text.ToString();
            WriteBlock(json, block.Kind, block.Name, block.Kind == BlockKind.ToolUse ? JsonPrefix.Close(text) : text);
        }
        json.WriteEndArray();
        WriteStopReason(json, answer.Finish, answer.StopString, usage);
        WriteUsage(json, usage, usage.CompletionTokens);
        json.WriteEndObject();
    }

    private void WriteStart(EventStream events, Usage usage)
    {
        _begun = true;
        var json = events.BeginEvent("message_start"u8);
        WriteType(json, "message_start"u8);
        json.WritePropertyName("message"u8);
        WriteHead(json);
        json.WriteEndArray();
        json.WriteNull("stop_reason"u8);
        json.WriteNull("stop_sequence"u8);
        WriteUsage(json, usage, outputTokens: 0);
        json.WriteEndObject();
        End(events, json);
    }

    private void Open(EventStream events, BlockKind kind, string name)
    {
        Close(events);
        _open = kind;
        var json = events.BeginEvent("content_block_start"u8);
        WriteType(json, "content_block_start"u8);
        json.WriteNumber("index"u8, _blocks);
        json.WritePropertyName("content_block"u8);
        WriteBlock(json, kind, name, kind == BlockKind.ToolUse ? "{}" : "");
        End(events, json);
    }

    private int WriteDelta(EventStream events, BlockKind kind, List<OutputDelta> output, int at)
    {
        var json = events.BeginEvent("content_block_delta"u8);
        WriteType(json, "content_block_delta"u8);
        json.WriteNumber("index"u8, _blocks);
        json.WriteStartObject("delta"u8);
        json.WriteString("type"u8, kind switch
        {
            BlockKind.Text => "text_delta"u8,
            BlockKind.Thinking => "thinking_delta"u8,
            _ => "input_json_delta"u8,
        });
        json.WritePropertyName(kind switch
        {
            BlockKind.Text => "text"u8,
            BlockKind.Thinking => "thinking"u8,
            _ => "partial_json"u8,
        });
        at = AnswerWriter.WriteText(json, output, at);
        json.WriteEndObject();
        End(events, json);
        return at;
    }

    private void Close(EventStream events)
    {
        if (_open is null) return;
        _open = null;
        var json = events.BeginEvent("content_block_stop"u8);
        WriteType(json, "content_block_stop"u8);
        json.WriteNumber("index"u8, _blocks++);
        End(events, json);
    }

    private void WriteEnd(EventStream events, OutputFinish finish, string? stopString, Usage usage)
    {
        var json = events.BeginEvent("message_delta"u8);
        WriteType(json, "message_delta"u8);
        json.WriteStartObject("delta"u8);
        WriteStopReason(json, finish, stopString, usage);
        json.WriteEndObject();
        WriteUsage(json, usage, usage.CompletionTokens);
        End(events, json);
        json = events.BeginEvent("message_stop"u8);
        WriteType(json, "message_stop"u8);
        End(events, json);
    }

    /// <summary>Up to and into the array of blocks.</summary>
    private void WriteHead(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("id"u8, id);
        json.WriteString("type"u8, "message"u8);
        json.WriteString("role"u8, "assistant"u8);
        json.WriteString("model"u8, model);
        json.WriteStartArray("content"u8);
    }

    private static void WriteBlock(Utf8JsonWriter json, BlockKind kind, string name, string text)
    {
        json.WriteStartObject();
        switch (kind)
        {
            case BlockKind.Text:
                json.WriteString("type"u8, "text"u8);
                json.WriteString("text"u8, text);
                break;
            case BlockKind.Thinking:
                json.WriteString("type"u8, "thinking"u8);
                json.WriteString("thinking"u8, text);
                // Clients read the key; there is nothing to sign, since thinking that comes back is taken as it is.
                json.WriteString("signature"u8, ""u8);
                break;
            default:
                json.WriteString("type"u8, "tool_use"u8);
                json.WriteString("id"u8, string.Concat("toolu_", Guid.NewGuid().ToString("N").AsSpan(0, 24)));
                json.WriteString("name"u8, name);
                json.WritePropertyName("input"u8);
                json.WriteRawValue(text, skipInputValidation: true);
                break;
        }
        json.WriteEndObject();
    }

    private void WriteStopReason(Utf8JsonWriter json, OutputFinish finish, string? stopString, Usage usage)
    {
        bool stopped = finish == OutputFinish.Stop && stopString is not null;
        json.WriteString("stop_reason"u8, finish switch
        {
            OutputFinish.ToolCalls => "tool_use"u8,
            OutputFinish.Length when usage.CompletionTokens < maxTokens => "model_context_window_exceeded"u8,
            OutputFinish.Length => "max_tokens"u8,
            _ => stopped ? "stop_sequence"u8 : "end_turn"u8,
        });
        json.WriteString("stop_sequence"u8, stopped ? stopString : null);
    }

    /// <summary>Anthropic counts the tokens read from the cache apart from <c>input_tokens</c>.</summary>
    private static void WriteUsage(Utf8JsonWriter json, Usage usage, int outputTokens)
    {
        json.WriteStartObject("usage"u8);
        json.WriteNumber("input_tokens"u8, usage.PromptTokens - usage.CachedTokens);
        json.WriteNumber("cache_creation_input_tokens"u8, 0);
        json.WriteNumber("cache_read_input_tokens"u8, usage.CachedTokens);
        json.WriteNumber("output_tokens"u8, outputTokens);
        json.WriteEndObject();
    }

    private static void WriteType(Utf8JsonWriter json, ReadOnlySpan<byte> type)
    {
        json.WriteStartObject();
        json.WriteString("type"u8, type);
    }

    private static void End(EventStream events, Utf8JsonWriter json)
    {
        json.WriteEndObject();
        events.EndEvent();
    }
}
