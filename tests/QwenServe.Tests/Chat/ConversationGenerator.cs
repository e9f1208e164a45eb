using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using QwenServe.Text.Chat;

namespace QwenServe.Tests.Chat;

/// <summary>Random conversations whose texts hold control tokens, quotes, newlines and characters of every plane.</summary>
internal sealed class ConversationGenerator(int seed)
{
    private static readonly string[] Pieces =
    [
        "<|im_end|>", "<|im_start|>", "system\n", "</think>", "<think>", "<tool_call>", "</tool_call>", "hello", " world", "\n", "\n\n", "\"", "'",
        "\\", "{", "}", "{{ x }}", "{% if %}", "你好", "é", "😀", "\t", "<", "&", "\u2028", "0", "1e5", "", " ", "\u007f", "<|endoftext|>",
    ];

    private readonly Random _random = new(seed);

    public string Text()
    {
        var text = new StringBuilder();
        for (int i = _random.Next(6); i >= 0; i--)
            text.Append(Pieces[_random.Next(Pieces.Length)]);
        return text.ToString();
    }

    private string Number() => _random.Next(7) switch
    {
        0 => "1.0",
        1 => "1e20",
        2 => "1e-7",
        3 => "123456789012345678901234567890",
        4 => "-0.5",
        5 => _random.NextDouble().ToString("R", CultureInfo.InvariantCulture),
        _ => _random.Next(-100, 100).ToString(CultureInfo.InvariantCulture),
    };

    public string Json(int depth = 0)
    {
        int kind = _random.Next(depth > 2 ? 4 : 7);
        return kind switch
        {
            0 => Number(),
            1 => "true",
            2 => "null",
            3 => JsonValue.Create(Text()).ToJsonString(),
            4 => "[" + string.Join(",", Enumerable.Range(0, _random.Next(4)).Select(_ => Json(depth + 1))) + "]",
            _ => Object(depth),
        };
    }

    public string Object(int depth = 0)
    {
        var keys = Enumerable.Range(0, _random.Next(4)).Select(_ => JsonValue.Create(Text()).ToJsonString()).Distinct();
        return "{" + string.Join(", ", keys.Select(k => k + ": " + Json(depth + 1))) + "}";
    }

    public Conversation Next(bool thinking = false)
    {
        var messages = new List<ConversationMessage>();
        if (_random.Next(2) == 0)
            messages.Add(new ConversationMessage { Role = _random.Next(3) == 0 ? "developer" : "system", Content = Text() });
        int turns = _random.Next(1, 5);
        for (int turn = 0; turn < turns; turn++)
        {
            messages.Add(new ConversationMessage { Role = "user", Content = Text() });
            if (_random.Next(3) == 0)
            {
                int calls = _random.Next(1, 3);
                messages.Add(new ConversationMessage
                {
                    Role = "assistant",
                    Content = _random.Next(2) == 0 ? null : Text(),
                    ReasoningContent = thinking && _random.Next(2) == 0 ? Text() : null,
                    ToolCalls = [.. Enumerable.Range(0, calls).Select(i => new ConversationToolCall(
                        $"call_{i}", "get_" + i, _random.Next(6) == 0 ? Text() : Object()))],
                });
                for (int i = 0; i < calls; i++)
                    messages.Add(new ConversationMessage { Role = _random.Next(4) == 0 ? "function" : "tool", Content = Text(), ToolCallId = $"call_{i}" });
            }

            if (turn < turns - 1 || _random.Next(3) == 0)
                messages.Add(new ConversationMessage { Role = "assistant", Content = Text(), ReasoningContent = thinking && _random.Next(2) == 0 ? Text() : null });
        }

        string[] tools = _random.Next(2) == 0 ? [] : [.. Enumerable.Range(0, _random.Next(1, 3)).Select(i =>
            $"{{\"type\": \"function\", \"function\": {{\"name\": \"get_{i}\", \"description\": {JsonValue.Create(Text()).ToJsonString()}, \"parameters\": {Object()}}}}}")];
        return new Conversation { Messages = messages, Tools = tools, AddGenerationPrompt = _random.Next(4) > 0 };
    }

    /// <summary>The variables transformers would give the template, as JSON.</summary>
    public static string Variables(Conversation conversation)
    {
        var text = new StringBuilder("{\"messages\": [");
        for (int m = 0; m < conversation.Messages.Count; m++)
        {
            var message = conversation.Messages[m];
            string role = message.Role switch { "developer" => "system", "function" => "tool", var r => r };
            text.Append(m > 0 ? ", " : "").Append("{\"role\": ").Append(Quote(role)).Append(", \"content\": ").Append(Quote(message.Content ?? ""));
            if (message.ReasoningContent is not null)
                text.Append(", \"reasoning_content\": ").Append(Quote(message.ReasoningContent));
            if (message.ToolCalls.Count > 0)
                text.Append(", \"tool_calls\": [").AppendJoin(", ", message.ToolCalls.Select(c =>
                    $"{{\"id\": {Quote(c.Id)}, \"type\": \"function\", \"function\": {{\"name\": {Quote(c.Name)}, \"arguments\": {Arguments(c.Arguments)}}}}}")).Append(']');
            if (message.ToolCallId is not null)
                text.Append(", \"tool_call_id\": ").Append(Quote(message.ToolCallId));
            text.Append('}');
        }

        text.Append("], \"tools\": ").Append(conversation.Tools.Count == 0 ? "null" : "[" + string.Join(", ", conversation.Tools) + "]");
        return text.Append(", \"documents\": null, \"add_generation_prompt\": ").Append(conversation.AddGenerationPrompt ? "true" : "false").Append('}').ToString();
    }

    private static string Arguments(string arguments)
    {
        try
        {
            return JsonNode.Parse(arguments) is JsonObject ? arguments : Quote(arguments);
        }
        catch (System.Text.Json.JsonException)
        {
            return Quote(arguments);
        }
    }

    private static string Quote(string text) => JsonValue.Create(text).ToJsonString();
}
