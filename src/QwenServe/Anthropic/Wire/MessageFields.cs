using System.Buffers;
using System.Text;
using System.Text.Json;
using QwenServe.OpenAI.Wire;
using QwenServe.Text.Chat;

namespace QwenServe.Anthropic.Wire;

/// <summary>
/// The fields that make a conversation: system, messages and tools. A message of Anthropic's is a list of blocks, so one message may become several:
/// the results of tools are messages of their own to the template, and the text beside them another.
/// </summary>
internal static class MessageFields
{
    private static readonly string[] Media = ["image", "document", "search_result", "container_upload"];

    /// <param name="fields">The request.</param>
    /// <param name="rejectUnknown">Whether unknown fields of messages, blocks and tools are errors.</param>
    /// <param name="demand">Which tools may be called, and what is demanded of the calls.</param>
    public static Conversation Read(RequestFields fields, bool rejectUnknown, out ToolDemand demand)
    {
        var messages = fields.Array("messages") ?? throw ApiException.Missing("messages");
        if (messages.Length == 0) throw ApiException.EmptyArray("messages");
        var conversation = new List<ConversationMessage>(messages.Length + 1);
        if (fields.Find("system") is { } system)
            conversation.Add(new ConversationMessage { Role = "system", Content = Text(system, "system", rejectUnknown) });
        for (int i = 0; i < messages.Length; i++) Add(conversation, new RequestFields(messages[i], $"messages[{i}]"), rejectUnknown);

        // An assistant's message at the end is the beginning of the answer.
        bool continues = conversation[^1].Role == "assistant";
        if (continues && conversation[^1].ToolCalls.Count > 0)
            throw ApiException.InvalidValue("messages", "Invalid 'messages': the last message has a tool_use block that no tool_result answers.");
        var declared = Tools(fields, rejectUnknown, out var tools);
        demand = Demand(fields, declared);
        return new Conversation
        {
            Messages = conversation,
            Tools = demand.Callable.Count > 0 ? tools : [],
            AddGenerationPrompt = !continues,
            ContinueFinalMessage = continues,
        };
    }

    /// <summary>Fields that are understood and change nothing here, and those that would change the answer and are refused.</summary>
    public static void IgnoreUnserved(RequestFields fields)
    {
        if (fields.Array("mcp_servers") is { Length: > 0 }) throw ApiException.Unsupported("mcp_servers", "Unsupported parameter: 'mcp_servers' is not served by this server.");
        if (fields.Object("thinking") is { } thinking)
        {
            // Whether a model thinks is the model's own: QwQ always does, the others never.
            if (thinking.Choice("type", "enabled", "disabled", "adaptive", "between_tools") is null) throw ApiException.Missing("thinking.type");
            thinking.Integer("budget_tokens", 1, int.MaxValue);
        }
        fields.Ignore("model", "metadata", "service_tier", "cache_control", "container", "context_management", "diagnostics", "inference_geo", "output_config", "speed",
            "user_profile_id", "workspace_id", "betas");
    }

    private static void Add(List<ConversationMessage> conversation, RequestFields message, bool rejectUnknown)
    {
        string role = message.RequiredText("role");
        var content = message.Find("content") ?? throw ApiException.Missing(message.PathOf("content"));
        string path = message.PathOf("content");
        switch (role)
        {
            case "system":
                conversation.Add(new ConversationMessage { Role = role, Content = Text(content, path, rejectUnknown) });
                break;
            case "user":
                AddUser(conversation, content, path, rejectUnknown);
                break;
            case "assistant":
                conversation.Add(Assistant(content, path, rejectUnknown));
                break;
            default:
                throw RequestFields.UnknownChoice(message.PathOf("role"), role, "user", "assistant", "system");
        }
        if (rejectUnknown) message.RejectUnknown();
    }

    private static void AddUser(List<ConversationMessage> conversation, JsonElement content, string path, bool rejectUnknown)
    {
        int before = conversation.Count;
        StringBuilder? text = null;
        if (content.ValueKind == JsonValueKind.String) Append(ref text, content.GetString()!);
        else
        {
            foreach (var (block, type) in Blocks(content, path))
            {
                switch (type)
                {
                    case "text":
                        Append(ref text, block.RequiredText("text"));
                        break;
                    case "tool_result":
                        Flush();
                        block.Ignore("is_error", "toolset_name");
                        conversation.Add(new ConversationMessage
                        {
                            Role = "tool",
                            ToolCallId = block.RequiredText("tool_use_id"),
                            Content = block.Find("content") is { } result ? Text(result, block.PathOf("content"), rejectUnknown) : "",
                        });
                        break;
                    default:
                        throw Unknown(block, type, "text", "tool_result");
                }
                End(block, rejectUnknown);
            }
        }
        if (conversation.Count == before) text ??= new StringBuilder();
        Flush();

        void Flush()
        {
            if (text is not null) conversation.Add(new ConversationMessage { Role = "user", Content = text.ToString() });
            text = null;
        }
    }

    private static ConversationMessage Assistant(JsonElement content, string path, bool rejectUnknown)
    {
        if (content.ValueKind == JsonValueKind.String) return new ConversationMessage { Role = "assistant", Content = content.GetString() };
        StringBuilder? text = null, thinking = null;
        var calls = new List<ConversationToolCall>();
        foreach (var (block, type) in Blocks(content, path))
        {
            switch (type)
            {
                case "text":
                    Append(ref text, block.RequiredText("text"));
                    break;
                case "thinking":
                    Append(ref thinking, block.RequiredText("thinking"));
                    block.Ignore("signature");
                    break;
                case "redacted_thinking":
                    block.Ignore("data");
                    break;
                case "tool_use":
                    block.Ignore("caller", "toolset_name");
                    // What a model once wrote may be anything.
                    string input = block.Find("input") is { } value ? value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText() : "";
                    calls.Add(new ConversationToolCall(block.Text("id") ?? "", block.RequiredText("name"), input.Length == 0 ? "{}" : input));
                    break;
                default:
                    throw Unknown(block, type, "text", "thinking", "redacted_thinking", "tool_use");
            }
            End(block, rejectUnknown);
        }
        return new ConversationMessage { Role = "assistant", Content = text?.ToString(), ReasoningContent = thinking?.ToString(), ToolCalls = calls };
    }

    /// <summary>A string, or the texts of its blocks, one a line.</summary>
    private static string Text(JsonElement content, string path, bool rejectUnknown)
    {
        if (content.ValueKind == JsonValueKind.String) return content.GetString()!;
        StringBuilder? text = null;
        foreach (var (block, type) in Blocks(content, path))
        {
            if (type != "text") throw Unknown(block, type, "text");
            Append(ref text, block.RequiredText("text"));
            End(block, rejectUnknown);
        }
        return text?.ToString() ?? "";
    }

    private static IEnumerable<(RequestFields Block, string Type)> Blocks(JsonElement content, string path)
    {
        if (content.ValueKind != JsonValueKind.Array) throw ApiException.WrongType(path, "a string or an array of content blocks", RequestFields.Describe(content));
        int index = 0;
        foreach (var element in content.EnumerateArray())
        {
            var block = new RequestFields(element, $"{path}[{index++}]");
            yield return (block, block.RequiredText("type"));
        }
    }

    private static void Append(ref StringBuilder? text, string piece)
    {
        if (text is null) text = new StringBuilder();
        else text.Append('\n');
        text.Append(piece);
    }

    private static void End(RequestFields block, bool rejectUnknown)
    {
        block.Ignore("cache_control", "citations");
        if (rejectUnknown) block.RejectUnknown();
    }

    private static ApiException Unknown(RequestFields block, string type, params ReadOnlySpan<string> known)
        => Media.Contains(type)
            ? ApiException.InvalidValue(block.PathOf("type"), $"Invalid content block. '{type}' is not supported by this model: it reads text only.")
            : RequestFields.UnknownChoice(block.PathOf("type"), type, known);

    /// <param name="fields">The request.</param>
    /// <param name="rejectUnknown">Whether unknown fields are errors.</param>
    /// <param name="texts">Each as the template wants it: a function of OpenAI's.</param>
    private static List<DeclaredTool> Tools(RequestFields fields, bool rejectUnknown, out List<string> texts)
    {
        texts = [];
        var tools = new List<DeclaredTool>();
        if (fields.Array("tools") is not { } elements) return tools;
        for (int i = 0; i < elements.Length; i++)
        {
            var tool = new RequestFields(elements[i], $"tools[{i}]");
            if (tool.Text("type") is { } type && type != "custom")
                throw ApiException.Unsupported(tool.PathOf("type"), $"Unsupported tool: '{type}' is run by Anthropic's own servers or models; this server takes tools with an 'input_schema'.");
            string name = ToolDemand.ReadName(tool);
            string? description = tool.Text("description");
            var schema = (tool.Object("input_schema") ?? throw ApiException.Missing(tool.PathOf("input_schema"))).Element;
            tools.Add(new DeclaredTool(name, schema, tool.Boolean("strict") ?? false, tool.PathOf("input_schema")));
            tool.Ignore("cache_control", "defer_loading", "eager_input_streaming", "input_examples", "allowed_callers");
            if (rejectUnknown) tool.RejectUnknown();
            texts.Add(Function(name, description, schema));
        }
        return tools;
    }

    private static string Function(string name, string? description, JsonElement schema)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer, JsonText.Writing))
        {
            json.WriteStartObject();
            json.WriteString("type"u8, "function"u8);
            json.WriteStartObject("function"u8);
            json.WriteString("name"u8, name);
            if (description is not null) json.WriteString("description"u8, description);
            json.WritePropertyName("parameters"u8);
            schema.WriteTo(json);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static ToolDemand Demand(RequestFields fields, List<DeclaredTool> tools)
    {
        var all = new ToolDemand { Callable = tools };
        if (fields.Object("tool_choice") is not { } choice) return all;
        string type = choice.RequiredText("type");
        bool single = choice.Boolean("disable_parallel_tool_use") ?? false;
        switch (type)
        {
            case "none":
                return ToolDemand.None;
            case "auto":
                return all with { Single = single };
            case "any":
                ToolDemand.RequireTools(tools);
                return all with { Required = true, Single = single };
            case "tool":
                ToolDemand.RequireTools(tools);
                return new ToolDemand { Callable = [ToolDemand.Find(choice.RequiredText("name"), tools)], Required = true, Single = true };
            default:
                throw RequestFields.UnknownChoice("tool_choice.type", type, "auto", "any", "tool", "none");
        }
    }
}
