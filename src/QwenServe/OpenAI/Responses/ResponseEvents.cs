using System.Text.Json;
using QwenServe.Generation;
using QwenServe.OpenAI.Wire;
using QwenServe.Text.Tokenization;

namespace QwenServe.OpenAI.Responses;

/// <summary>
/// The events of a response's stream. Each is named, repeats its name as <c>type</c>, and is numbered from 0; there is no <c>[DONE]</c>. For each item:
/// it is added, for a text its part is added, deltas, the text done, the part done, the item done. A stored response is replayed by the same calls.
/// </summary>
/// <param name="stream">Takes them.</param>
/// <param name="response">The response.</param>
/// <param name="after">Events up to this number have been read before and are counted, not sent.</param>
internal sealed class ResponseEvents(EventStream stream, Response response, long after = -1) : IDisposable
{
    private readonly Utf8JsonWriter _unsent = new(Stream.Null, JsonText.Writing);
    private long _number;

    public void Begin()
    {
        Whole("response.created"u8, asBegun: true);
        Whole("response.in_progress"u8, asBegun: true);
    }

    public void OpenItem(int index, ResponseItem item)
    {
        var json = Start("response.output_item.added"u8);
        json.WriteNumber("output_index"u8, index);
        json.WritePropertyName("item"u8);
        (item with { Status = "in_progress", Content = [], Text = "" }).Write(json);
        End(json);
        if (item.Kind != ResponseItemKind.FunctionCall) Part("response.content_part.added"u8, index, item, new ResponsePart(TypeOf(item), ""));
    }

    public void Delta(int index, ResponseItem item, string text, IReadOnlyList<TokenRecord> tokens, Tokenizer? tokenizer)
    {
        var json = Text(item, index, "response.output_text.delta"u8, "response.reasoning_text.delta"u8, "response.function_call_arguments.delta"u8);
        json.WriteString("delta"u8, text);
        if (item.Kind == ResponseItemKind.Message) ResponsePart.WriteLogProbs(json, tokenizer, tokens);
        End(json);
    }

    public void CloseItem(int index, ResponseItem item)
    {
        var json = Text(item, index, "response.output_text.done"u8, "response.reasoning_text.done"u8, "response.function_call_arguments.done"u8);
        if (item.Kind == ResponseItemKind.FunctionCall)
        {
            json.WriteString("arguments"u8, item.Text);
            json.WriteString("name"u8, item.Name);
            End(json);
        }
        else
        {
            var part = item.Content[0];
            json.WriteString("text"u8, part.Text);
            if (item.Kind == ResponseItemKind.Message) ResponsePart.WriteLogProbs(json, part.Tokenizer, part.Tokens);
            End(json);
            Part("response.content_part.done"u8, index, item, part);
        }
        json = Start("response.output_item.done"u8);
        json.WriteNumber("output_index"u8, index);
        json.WritePropertyName("item"u8);
        item.Write(json);
        End(json);
    }

    /// <summary>Tells what has become of the response.</summary>
    public void End()
    {
        if (response.Status == "completed") Whole("response.completed"u8);
        else if (response.Status == "incomplete") Whole("response.incomplete"u8);
        else Whole("response.failed"u8);
    }

    public void Error(ApiException error)
    {
        var json = Start("error"u8);
        json.WriteString("code"u8, error.Code ?? error.Type);
        json.WriteString("message"u8, error.Message);
        json.WriteString("param"u8, error.Param);
        End(json);
    }

    /// <summary>All events of a response that has ended, with the same numbers as when it was generated.</summary>
    public void Replay()
    {
        Begin();
        for (int i = 0; i < response.Output.Count; i++)
        {
            var item = response.Output[i];
            OpenItem(i, item);
            var part = item.Kind == ResponseItemKind.FunctionCall ? new ResponsePart("", item.Text) : item.Content[0];
            int at = 0, token = 0;
            foreach (var piece in item.Pieces)
            {
                Delta(i, item, part.Text.Substring(at, piece.Characters), [.. part.Tokens.Skip(token).Take(piece.Tokens)], part.Tokenizer);
                at += piece.Characters;
                token += piece.Tokens;
            }
            CloseItem(i, item);
        }
        End();
    }

    public void Dispose() => _unsent.Dispose();

    private static string TypeOf(ResponseItem item) => item.Kind == ResponseItemKind.Message ? "output_text" : "reasoning_text";

    private void Whole(ReadOnlySpan<byte> type, bool asBegun = false)
    {
        var json = Start(type);
        json.WritePropertyName("response"u8);
        response.Write(json, asBegun);
        End(json);
    }

    private void Part(ReadOnlySpan<byte> type, int index, ResponseItem item, ResponsePart part)
    {
        var json = Start(type);
        Place(json, index, item);
        json.WritePropertyName("part"u8);
        part.Write(json);
        End(json);
    }

    private Utf8JsonWriter Text(ResponseItem item, int index, ReadOnlySpan<byte> message, ReadOnlySpan<byte> reasoning, ReadOnlySpan<byte> call)
    {
        var json = Start(item.Kind switch { ResponseItemKind.Message => message, ResponseItemKind.Reasoning => reasoning, _ => call });
        Place(json, index, item);
        return json;
    }

    private static void Place(Utf8JsonWriter json, int index, ResponseItem item)
    {
        json.WriteString("item_id"u8, item.Id);
        json.WriteNumber("output_index"u8, index);
        if (item.Kind != ResponseItemKind.FunctionCall) json.WriteNumber("content_index"u8, 0);
    }

    private Utf8JsonWriter Start(ReadOnlySpan<byte> type)
    {
        var json = _number > after ? stream.BeginEvent(type) : _unsent;
        json.WriteStartObject();
        json.WriteString("type"u8, type);
        json.WriteNumber("sequence_number"u8, _number++);
        return json;
    }

    private void End(Utf8JsonWriter json)
    {
        json.WriteEndObject();
        if (json == _unsent) _unsent.Reset();
        else stream.EndEvent();
    }
}
