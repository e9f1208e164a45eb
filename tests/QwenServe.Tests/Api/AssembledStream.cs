using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenServe.Tests.Api;

/// <summary>A chat answer put together from its chunks, as clients do, in the form of an unstreamed choice; the ids of calls left out of both.</summary>
internal static class AssembledStream
{
    public static string Of(IEnumerable<JsonElement> chunks)
    {
        StringBuilder? content = null, reasoning = null;
        var calls = new List<(string Name, StringBuilder Arguments)>();
        string? finish = null;
        foreach (var choice in chunks.SelectMany(c => c.GetProperty("choices").EnumerateArray()))
        {
            Assert.Null(finish);
            var delta = choice.GetProperty("delta");
            if (delta.TryGetProperty("content", out var text) && text.GetString() is { } piece) (content ??= new()).Append(piece);
            if (delta.TryGetProperty("reasoning_content", out var thought)) (reasoning ??= new()).Append(thought.GetString());
            if (delta.TryGetProperty("tool_calls", out var parts))
            {
                foreach (var part in parts.EnumerateArray())
                {
                    var function = part.GetProperty("function");
                    if (function.TryGetProperty("name", out var name))
                    {
                        Assert.Equal(calls.Count, part.GetProperty("index").GetInt32());
                        calls.Add((name.GetString()!, new StringBuilder()));
                    }
                    calls[part.GetProperty("index").GetInt32()].Arguments.Append(function.GetProperty("arguments").GetString());
                }
            }
            finish = choice.GetProperty("finish_reason").GetString();
        }
        return Text(calls.Count > 0 && content is { Length: 0 } ? null : content?.ToString(), reasoning?.ToString(), calls.Select(c => (c.Name, c.Arguments.ToString())), finish!);
    }

    public static string OfWhole(JsonElement choice)
    {
        var message = choice.GetProperty("message");
        var calls = message.TryGetProperty("tool_calls", out var elements) ? elements.EnumerateArray().Select(c => c.GetProperty("function")) : [];
        return Text(message.GetProperty("content").GetString(), message.TryGetProperty("reasoning_content", out var reasoning) ? reasoning.GetString() : null,
            calls.Select(f => (f.GetProperty("name").GetString()!, f.GetProperty("arguments").GetString()!)), choice.GetProperty("finish_reason").GetString()!);
    }

    public static string Text(string? content, string? reasoning, IEnumerable<(string Name, string Arguments)> calls, string finish) => new JsonObject
    {
        ["content"] = content,
        ["reasoning"] = reasoning,
        ["calls"] = new JsonArray([.. calls.Select(c => JsonValue.Create(c.Name + c.Arguments))]),
        ["finish"] = finish,
    }.ToJsonString();
}
