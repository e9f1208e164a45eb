using System.Text;
using System.Text.Json;
using QwenServe.OpenAI.Wire;
using QwenServe.Text.Chat;

namespace QwenServe.OpenAI.Responses;

/// <summary>The <c>input</c> of a request: items, and the conversation that items make.</summary>
internal static class ResponseInput
{
    private static readonly string[] Roles = ["user", "assistant", "system", "developer"];

    /// <param name="fields">The request.</param>
    /// <param name="rejectUnknown">Whether unknown fields of items are errors.</param>
    /// <param name="find">Items of the caller's stored responses, for references to them.</param>
    public static List<ResponseItem> Read(RequestFields fields, bool rejectUnknown, Func<string, ResponseItem?> find)
    {
        if (fields.Find("input") is not { } input) return [];
        if (input.ValueKind == JsonValueKind.String)
            return [new() { Kind = ResponseItemKind.Message, Id = ResponseItem.NewId(ResponseItemKind.Message), Role = "user", Content = [new("input_text", input.GetString()!)] }];
        if (input.ValueKind != JsonValueKind.Array) throw ApiException.WrongType("input", "a string or an array of items", RequestFields.Describe(input));
        var items = new List<ResponseItem>(input.GetArrayLength());
        foreach (var element in input.EnumerateArray()) items.Add(Item(new RequestFields(element, $"input[{items.Count}]"), rejectUnknown, find));
        return items;
    }

    /// <summary>Joins what the assistant did between two inputs into one message, as a chat would hold it.</summary>
    /// <exception cref="ApiException">The output of a call is there, and the call is not.</exception>
    public static List<ConversationMessage> Messages(string? instructions, IEnumerable<ResponseItem> items)
    {
        var messages = new List<ConversationMessage>();
        if (instructions is not null) messages.Add(new ConversationMessage { Role = "system", Content = instructions });
        var called = new HashSet<string>(StringComparer.Ordinal);
        var turn = new AssistantTurn();
        foreach (var item in items)
        {
            switch (item.Kind)
            {
                case ResponseItemKind.Reasoning:
                    if (turn.HasSpoken || turn.Calls.Count > 0) turn.EndInto(messages);
                    turn.Reasoning.Append(item.Joined);
                    break;
                case ResponseItemKind.Message when item.Role == "assistant":
                    // What was said after a call is of the call's turn; its output has to follow the call.
                    if (turn.HasSpoken && turn.Calls.Count == 0) turn.EndInto(messages);
                    turn.HasSpoken = true;
                    turn.Content.Append(item.Joined);
                    break;
                case ResponseItemKind.FunctionCall:
                    called.Add(item.CallId);
                    turn.Calls.Add(new ConversationToolCall(item.CallId, item.Name, item.Text.Length == 0 ? "{}" : item.Text));
                    break;
                case ResponseItemKind.FunctionCallOutput:
                    turn.EndInto(messages);
                    if (!called.Contains(item.CallId)) throw new ApiException(400, $"No tool call found for function call output with call_id {item.CallId}.", "input");
                    messages.Add(new ConversationMessage { Role = "tool", ToolCallId = item.CallId, Content = item.Content.Count > 0 ? item.Joined : item.Text });
                    break;
                default:
                    turn.EndInto(messages);
                    messages.Add(new ConversationMessage { Role = item.Role, Content = item.Joined });
                    break;
            }
        }
        turn.EndInto(messages);
        return messages;
    }

    private static ResponseItem Item(RequestFields item, bool rejectUnknown, Func<string, ResponseItem?> find)
    {
        string? id = item.Text("id");
        string? type = item.Text("type") ?? (item.Find("role") is not null ? "message" : id is not null ? "item_reference" : throw ApiException.Missing(item.PathOf("type")));
        if (type == "item_reference")
        {
            if (id is null) throw ApiException.Missing(item.PathOf("id"));
            return find(id) ?? throw new ApiException(404, $"Item with id '{id}' not found. Items are kept with the stored responses that hold them.", "input");
        }
        string status = item.Choice("status", "in_progress", "completed", "incomplete") ?? "completed";
        var read = type switch
        {
            "message" => Message(item),
            "reasoning" => Reasoning(item),
            "function_call" => new ResponseItem { Kind = ResponseItemKind.FunctionCall, Id = "", CallId = item.RequiredText("call_id"), Name = item.RequiredText("name"), Text = Arguments(item) },
            "function_call_output" => Output(item),
            _ => throw RequestFields.UnknownChoice(item.PathOf("type"), type, "message", "function_call", "function_call_output", "reasoning", "item_reference"),
        };
        item.Ignore("phase", "caller", "namespace", "async", "created_by", "encrypted_content", "parsed_arguments", "name");
        if (rejectUnknown) item.RejectUnknown();
        return read with { Id = id ?? ResponseItem.NewId(read.Kind), Status = status };
    }

    private static ResponseItem Message(RequestFields item)
    {
        string role = item.RequiredText("role");
        if (!Roles.Contains(role)) throw RequestFields.UnknownChoice(item.PathOf("role"), role, Roles);
        var content = item.Find("content") ?? throw ApiException.Missing(item.PathOf("content"));
        return new ResponseItem
        {
            Kind = ResponseItemKind.Message,
            Id = "",
            Role = role,
            Content = content.ValueKind == JsonValueKind.String
                ? [new(role == "assistant" ? "output_text" : "input_text", content.GetString()!)]
                : Parts(content, item.PathOf("content"), "input_text", "output_text", "refusal"),
        };
    }

    private static ResponseItem Reasoning(RequestFields item) => new()
    {
        Kind = ResponseItemKind.Reasoning,
        Id = "",
        Summary = item.Find("summary") is { } summary ? [.. Parts(summary, item.PathOf("summary"), "summary_text").Select(p => p.Text)] : [],
        Content = item.Find("content") is { } content ? Parts(content, item.PathOf("content"), "reasoning_text") : [],
    };

    private static ResponseItem Output(RequestFields item)
    {
        var output = item.Find("output") ?? throw ApiException.Missing(item.PathOf("output"));
        var read = new ResponseItem { Kind = ResponseItemKind.FunctionCallOutput, Id = "", CallId = item.RequiredText("call_id") };
        return output.ValueKind == JsonValueKind.String
            ? read with { Text = output.GetString()! }
            : read with { Content = Parts(output, item.PathOf("output"), "input_text") };
    }

    /// <summary>What a model once wrote may be anything, and some clients put it back as an object.</summary>
    private static string Arguments(RequestFields item)
        => item.Find("arguments") is not { } value ? throw ApiException.Missing(item.PathOf("arguments"))
            : value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();

    private static List<ResponsePart> Parts(JsonElement content, string path, params ReadOnlySpan<string> types)
    {
        if (content.ValueKind != JsonValueKind.Array) throw ApiException.WrongType(path, "a string or an array of content parts", RequestFields.Describe(content));
        var parts = new List<ResponsePart>(content.GetArrayLength());
        foreach (var element in content.EnumerateArray())
        {
            var part = new RequestFields(element, $"{path}[{parts.Count}]");
            string type = part.RequiredText("type");
            if (type is "input_image" or "input_file" or "input_audio")
                throw ApiException.InvalidValue(part.PathOf("type"), $"Invalid content type. '{type}' is not supported by this model: it reads text only.");
            if (!types.Contains(type)) throw RequestFields.UnknownChoice(part.PathOf("type"), type, types);
            parts.Add(new ResponsePart(type, part.RequiredText(type == "refusal" ? "refusal" : "text")));
        }
        return parts;
    }

    /// <summary>What the assistant did since the last input.</summary>
    private sealed class AssistantTurn
    {
        public StringBuilder Reasoning { get; } = new();

        public StringBuilder Content { get; } = new();

        public List<ConversationToolCall> Calls { get; } = [];

        public bool HasSpoken { get; set; }

        public void EndInto(List<ConversationMessage> messages)
        {
            if (!HasSpoken && Calls.Count == 0 && Reasoning.Length == 0) return;
            messages.Add(new ConversationMessage
            {
                Role = "assistant",
                Content = HasSpoken ? Content.ToString() : null,
                ReasoningContent = Reasoning.Length > 0 ? Reasoning.ToString() : null,
                ToolCalls = [.. Calls],
            });
            Reasoning.Clear();
            Content.Clear();
            Calls.Clear();
            HasSpoken = false;
        }
    }
}
