using System.Text;
using System.Text.Json;
using QwenServe.Text.Chat;

namespace QwenServe.OpenAI.Wire;

/// <summary>The fields that make a conversation: messages, tools, and what the template is told beside them. Shared by chat and <c>/tokenize</c>.</summary>
internal static class ConversationFields
{
    private static readonly string[] Roles = ["developer", "system", "user", "assistant", "tool", "function"];

    /// <param name="fields">The request.</param>
    /// <param name="rejectUnknown">Whether unknown fields of messages and tools are errors.</param>
    /// <param name="demand">Which tools may be called, and what is demanded of the calls.</param>
    public static Conversation Read(RequestFields fields, bool rejectUnknown, out ToolDemand demand)
    {
        var messages = fields.Array("messages") ?? throw ApiException.Missing("messages");
        if (messages.Length == 0) throw ApiException.EmptyArray("messages");
        var conversation = Messages(messages, "messages", rejectUnknown);

        var declared = Tools(fields, rejectUnknown, out var tools);
        demand = Demand(fields, declared);
        if (fields.Find("chat_template") is not null) throw ApiException.Unsupported("chat_template", "Unsupported parameter: 'chat_template' is set by the server, not by requests.");
        bool continues = fields.Boolean("continue_final_message") ?? false;
        bool? generates = fields.Boolean("add_generation_prompt");
        if (continues && generates == true)
            throw ApiException.InvalidValue("continue_final_message", "Cannot set both 'continue_final_message' and 'add_generation_prompt' to true.");
        return new Conversation
        {
            Messages = conversation,
            Tools = demand.Callable.Count > 0 ? tools : [],
            TemplateVariables = fields.Object("chat_template_kwargs")?.Element.GetRawText(),
            AddGenerationPrompt = generates ?? !continues,
            ContinueFinalMessage = continues,
        };
    }

    /// <summary>
    /// Conversations to be read to their end and not continued: one, or a list of them. The generation prompt is left out unless the request wants it.
    /// </summary>
    public static List<Conversation> ReadWhole(RequestFields fields, bool rejectUnknown)
    {
        var messages = fields.Array("messages") ?? throw ApiException.Missing("messages");
        if (messages.Length == 0) throw ApiException.EmptyArray("messages");
        bool many = messages[0].ValueKind == JsonValueKind.Array;
        string? variables = fields.Object("chat_template_kwargs")?.Element.GetRawText();
        bool generates = fields.Boolean("add_generation_prompt") ?? false;
        if (!many) return [Whole(messages, "messages")];
        return [.. messages.Select((one, i) => one.ValueKind == JsonValueKind.Array
            ? Whole([.. one.EnumerateArray()], $"messages[{i}]")
            : throw ApiException.WrongType($"messages[{i}]", "an array of messages", RequestFields.Describe(one)))];

        Conversation Whole(JsonElement[] elements, string path) => new()
        {
            Messages = elements.Length > 0 ? Messages(elements, path, rejectUnknown) : throw ApiException.EmptyArray(path),
            TemplateVariables = variables,
            AddGenerationPrompt = generates,
        };
    }

    private static List<ConversationMessage> Messages(JsonElement[] messages, string path, bool rejectUnknown)
    {
        var conversation = new List<ConversationMessage>(messages.Length);
        for (int i = 0; i < messages.Length; i++) conversation.Add(Message(new RequestFields(messages[i], $"{path}[{i}]"), rejectUnknown));
        return conversation;
    }

    private static ConversationMessage Message(RequestFields message, bool rejectUnknown)
    {
        string role = message.RequiredText("role");
        if (!Roles.Contains(role)) throw RequestFields.UnknownChoice(message.PathOf("role"), role, Roles);
        string? content = Content(message);
        var calls = role == "assistant" ? ToolCalls(message) : [];
        if (content is null && role is not ("assistant" or "function")) throw ApiException.Missing(message.PathOf("content"));
        if (content is null && role == "assistant" && calls.Count == 0 && message.Find("refusal") is null)
            throw new ApiException(400, $"Invalid value for '{message.PathOf("content")}': expected a string, got null.", message.PathOf("content"), "invalid_type");
        if (role == "tool" && message.Find("tool_call_id") is null) throw ApiException.Missing(message.PathOf("tool_call_id"));
        var result = new ConversationMessage
        {
            // The result of a deprecated function_call, which templates know as a tool's.
            Role = role == "function" ? "tool" : role,
            Content = content ?? role switch
            {
                "assistant" when calls.Count == 0 => message.Text("refusal"),
                "function" => "",
                _ => null,
            },
            ReasoningContent = message.Text("reasoning_content") ?? message.Text("reasoning"),
            ToolCalls = calls,
            ToolCallId = message.Text("tool_call_id"),
            Name = message.Text("name"),
        };
        message.Ignore("tool_calls", "refusal", "audio", "function_call", "annotations", "id", "parsed");
        if (rejectUnknown) message.RejectUnknown();
        return result;
    }

    /// <summary>A string, or the texts of its parts, one a line as vLLM joins them.</summary>
    private static string? Content(RequestFields message)
    {
        if (message.Find("content") is not { } content) return null;
        string path = message.PathOf("content");
        if (content.ValueKind == JsonValueKind.String) return content.GetString();
        if (content.ValueKind != JsonValueKind.Array) throw ApiException.WrongType(path, "a string or an array of content parts", RequestFields.Describe(content));
        var text = new StringBuilder();
        int index = 0;
        foreach (var element in content.EnumerateArray())
        {
            var part = new RequestFields(element, $"{path}[{index}]");
            string type = part.RequiredText("type");
            string? piece = type switch
            {
                "text" or "input_text" or "output_text" => part.RequiredText("text"),
                "refusal" => part.RequiredText("refusal"),
                "image_url" or "input_image" or "input_audio" or "file" or "video_url" or "audio_url"
                    => throw ApiException.InvalidValue(part.PathOf("type"), $"Invalid content type. '{type}' is not supported by this model: it reads text only."),
                _ => throw RequestFields.UnknownChoice(part.PathOf("type"), type, "text", "refusal"),
            };
            if (index++ > 0) text.Append('\n');
            text.Append(piece);
        }
        return text.ToString();
    }

    private static List<ConversationToolCall> ToolCalls(RequestFields message)
    {
        if (message.Array("tool_calls") is { Length: > 0 } elements)
        {
            return [.. elements.Select((e, i) =>
            {
                var call = new RequestFields(e, $"{message.PathOf("tool_calls")}[{i}]");
                return Call(call.Object("function") ?? throw ApiException.Missing(call.PathOf("function")), call.Text("id") ?? "");
            })];
        }
        return message.Object("function_call") is { } deprecated ? [Call(deprecated, "")] : [];
    }

    /// <summary>Some clients put the arguments back as an object; what a model once wrote may be anything.</summary>
    private static ConversationToolCall Call(RequestFields function, string id)
    {
        string arguments = function.Find("arguments") is { } value
            ? value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText()
            : "{}";
        return new ConversationToolCall(id, function.RequiredText("name"), arguments.Length == 0 ? "{}" : arguments);
    }

    /// <param name="fields">The request.</param>
    /// <param name="rejectUnknown">Whether unknown fields are errors.</param>
    /// <param name="texts">Each as it was sent, for the template.</param>
    private static List<DeclaredTool> Tools(RequestFields fields, bool rejectUnknown, out List<string> texts)
    {
        texts = [];
        var tools = new List<DeclaredTool>();
        if (fields.Array("tools") is not { } elements) return tools;
        if (elements.Length == 0) throw ApiException.EmptyArray("tools");
        for (int i = 0; i < elements.Length; i++)
        {
            string path = $"tools[{i}]";
            var tool = new RequestFields(elements[i], path);
            string type = tool.RequiredText("type");
            if (type != "function") throw RequestFields.UnknownChoice(tool.PathOf("type"), type, "function");
            var function = tool.Object("function") ?? throw ApiException.Missing(tool.PathOf("function"));
            string name = ToolDemand.ReadName(function);
            function.Text("description");
            tools.Add(new DeclaredTool(name, function.Object("parameters")?.Element, function.Boolean("strict") ?? false, function.PathOf("parameters")));
            if (rejectUnknown)
            {
                tool.RejectUnknown();
                function.RejectUnknown();
            }
            texts.Add(elements[i].GetRawText());
        }
        return tools;
    }

    /// <summary>The model is shown all tools whatever it may call, unless it may call none: the prompt, and what is cached of it, stays the same.</summary>
    private static ToolDemand Demand(RequestFields fields, List<DeclaredTool> tools)
        => ToolDemand.Read(fields, new ToolDemand { Callable = tools }, tools, choice => Named(choice, tools));

    private static ToolDemand Named(RequestFields choice, List<DeclaredTool> tools)
    {
        string type = choice.RequiredText("type");
        if (type == "function")
        {
            ToolDemand.RequireTools(tools);
            var function = choice.Object("function") ?? throw ApiException.Missing("tool_choice.function");
            return new ToolDemand { Callable = [ToolDemand.Find(function.RequiredText("name"), tools)], Required = true, Single = true };
        }
        if (type != "allowed_tools") throw RequestFields.UnknownChoice("tool_choice.type", type, "function", "allowed_tools");
        var allowed = choice.Object("allowed_tools") ?? throw ApiException.Missing("tool_choice.allowed_tools");
        ToolDemand.RequireTools(tools);
        var elements = allowed.Array("tools") ?? throw ApiException.Missing("tool_choice.allowed_tools.tools");
        if (elements.Length == 0) throw ApiException.EmptyArray("tool_choice.allowed_tools.tools");
        return new ToolDemand
        {
            Callable = [.. elements.Select((e, i) =>
            {
                var tool = new RequestFields(e, $"tool_choice.allowed_tools.tools[{i}]");
                return ToolDemand.Find((tool.Object("function") ?? tool).RequiredText("name"), tools);
            })],
            Required = allowed.Choice("mode", "auto", "required") == "required",
            Restricted = true,
        };
    }
}
