using System.Text.Json;
using QwenServe.Generation;
using QwenServe.OpenAI.Wire;
using QwenServe.Text.Tokenization;

namespace QwenServe.OpenAI.Responses;

internal enum ResponseItemKind
{
    Message,
    Reasoning,
    FunctionCall,
    FunctionCallOutput,
}

/// <summary>A text in an item.</summary>
/// <param name="Type">input_text, output_text, refusal or reasoning_text.</param>
/// <param name="Text">The text.</param>
internal sealed record ResponsePart(string Type, string Text)
{
    /// <summary>Of an output_text whose log-probs were asked for.</summary>
    public IReadOnlyList<TokenRecord> Tokens { get; init; } = [];

    /// <summary>Spells <see cref="Tokens"/>.</summary>
    public Tokenizer? Tokenizer { get; init; }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("type"u8, Type);
        if (Type == "output_text")
        {
            json.WriteStartArray("annotations"u8);
            json.WriteEndArray();
            WriteLogProbs(json, Tokenizer, Tokens);
        }
        json.WriteString(Type == "refusal" ? "refusal"u8 : "text"u8, Text);
        json.WriteEndObject();
    }

    public static void WriteLogProbs(Utf8JsonWriter json, Tokenizer? tokenizer, IReadOnlyList<TokenRecord> tokens)
    {
        json.WritePropertyName("logprobs"u8);
        AnswerWriter.WriteLogProbs(json, tokenizer!, tokens);
    }
}

/// <summary>One piece in which an item's text was streamed.</summary>
/// <param name="Characters">Of the text.</param>
/// <param name="Tokens">Of its log-probs.</param>
internal readonly record struct ResponsePiece(int Characters, int Tokens);

/// <summary>An item of a conversation as the Responses API has it, given or generated. Immutable: stored responses share them.</summary>
internal sealed record ResponseItem
{
    public required ResponseItemKind Kind { get; init; }

    public required string Id { get; init; }

    /// <summary>in_progress, completed or incomplete.</summary>
    public string Status { get; init; } = "completed";

    /// <summary>Of a message.</summary>
    public string Role { get; init; } = "assistant";

    /// <summary>Of a message, of reasoning, and of a call's output that was given in parts.</summary>
    public IReadOnlyList<ResponsePart> Content { get; init; } = [];

    /// <summary>Of reasoning that came from elsewhere.</summary>
    public IReadOnlyList<string> Summary { get; init; } = [];

    public string CallId { get; init; } = "";

    /// <summary>Of the called function.</summary>
    public string Name { get; init; } = "";

    /// <summary>The arguments of a call, or its output.</summary>
    public string Text { get; init; } = "";

    /// <summary>How a generated item was streamed; empty when it came whole.</summary>
    public IReadOnlyList<ResponsePiece> Pieces { get; init; } = [];

    /// <summary>The texts of its content, one a line.</summary>
    public string Joined => Content.Count == 1 ? Content[0].Text : string.Join('\n', Content.Select(p => p.Text));

    public static string NewId(ResponseItemKind kind) => Prefix(kind) + Guid.NewGuid().ToString("N");

    public static string NewCallId() => string.Concat("call_", Guid.NewGuid().ToString("N").AsSpan(0, 24));

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("id"u8, Id);
        switch (Kind)
        {
            case ResponseItemKind.Message:
                json.WriteString("type"u8, "message"u8);
                json.WriteString("status"u8, Status);
                WriteContent(json, "content"u8);
                json.WriteString("role"u8, Role);
                break;
            case ResponseItemKind.Reasoning:
                json.WriteString("type"u8, "reasoning"u8);
                json.WriteStartArray("summary"u8);
                foreach (string text in Summary)
                {
                    json.WriteStartObject();
                    json.WriteString("type"u8, "summary_text"u8);
                    json.WriteString("text"u8, text);
                    json.WriteEndObject();
                }
                json.WriteEndArray();
                WriteContent(json, "content"u8);
                json.WriteString("status"u8, Status);
                break;
            case ResponseItemKind.FunctionCall:
                json.WriteString("type"u8, "function_call"u8);
                json.WriteString("status"u8, Status);
                json.WriteString("arguments"u8, Text);
                json.WriteString("call_id"u8, CallId);
                json.WriteString("name"u8, Name);
                break;
            default:
                json.WriteString("type"u8, "function_call_output"u8);
                json.WriteString("status"u8, Status);
                json.WriteString("call_id"u8, CallId);
                if (Content.Count > 0) WriteContent(json, "output"u8);
                else json.WriteString("output"u8, Text);
                break;
        }
        json.WriteEndObject();
    }

    private void WriteContent(Utf8JsonWriter json, ReadOnlySpan<byte> name)
    {
        json.WriteStartArray(name);
        foreach (var part in Content) part.Write(json);
        json.WriteEndArray();
    }

    private static string Prefix(ResponseItemKind kind) => kind switch
    {
        ResponseItemKind.Message => "msg_",
        ResponseItemKind.Reasoning => "rs_",
        ResponseItemKind.FunctionCall => "fc_",
        _ => "fco_",
    };
}
