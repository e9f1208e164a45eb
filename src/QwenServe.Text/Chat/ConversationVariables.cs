using System.Collections.Frozen;
using QwenServe.Text.Chat.Jinja;

namespace QwenServe.Text.Chat;

/// <summary>
/// Gives a template the variables transformers gives it: messages, tools, documents, add_generation_prompt and the caller's own.
/// Every string of the conversation is marked, but for the roles a template knows, which it may print inside its own control text.
/// </summary>
internal static class ConversationVariables
{
    private static readonly MarkedString Function = new("function");

    private static readonly FrozenDictionary<string, MarkedString> Roles =
        new[] { "system", "user", "assistant", "tool" }.ToFrozenDictionary(r => r, r => new MarkedString(r));

    private static readonly MarkedString Role = new("role");
    private static readonly MarkedString Content = new("content");
    private static readonly MarkedString Name = new("name");
    private static readonly MarkedString Id = new("id");
    private static readonly MarkedString Type = new("type");
    private static readonly MarkedString Arguments = new("arguments");
    private static readonly MarkedString ToolCalls = new("tool_calls");
    private static readonly MarkedString ToolCallId = new("tool_call_id");
    private static readonly MarkedString ReasoningContent = new("reasoning_content");

    /// <exception cref="ChatTemplateException">A tool or the extra variables are not JSON.</exception>
    public static void Define(Scope scope, Conversation conversation)
    {
        scope.Set(string.Intern("messages"), new PyList([.. conversation.Messages.Select(Message)]));
        scope.Set(string.Intern("tools"), conversation.Tools.Count == 0 ? null : new PyList([.. conversation.Tools.Select(t => Json(t, "a tool"))]));
        scope.Set(string.Intern("documents"), null);
        scope.Set(string.Intern("add_generation_prompt"), Boxes.Of(conversation.AddGenerationPrompt));
        if (conversation.TemplateVariables is not { } json)
            return;
        if (Json(json, "chat_template_kwargs") is not PyDict variables)
            throw new ChatTemplateException("chat_template_kwargs is not a JSON object", 0, true);
        foreach (var entry in variables.Entries)
            scope.Set(string.Intern(((MarkedString)entry.Key!).Text), entry.Value);
    }

    private static object? Json(string text, string what)
    {
        try
        {
            return PythonJson.Parse(text);
        }
        catch (FormatException error)
        {
            throw new ChatTemplateException($"{what} is not JSON: {error.Message}", 0, true, error);
        }
    }

    private static PyDict Message(ConversationMessage message)
    {
        string role = message.Role switch
        {
            "developer" => "system",
            "function" => "tool",
            _ => message.Role,
        };
        var view = new PyDict();
        view.Set(Role, Roles.GetValueOrDefault(role) ?? MarkedString.FromConversation(role));
        view.Set(Content, MarkedString.FromConversation(message.Content ?? ""));
        if (message.ReasoningContent is not null)
            view.Set(ReasoningContent, MarkedString.FromConversation(message.ReasoningContent));
        if (message.ToolCalls.Count > 0)
            view.Set(ToolCalls, new PyList([.. message.ToolCalls.Select(Call)]));
        if (message.ToolCallId is not null)
            view.Set(ToolCallId, MarkedString.FromConversation(message.ToolCallId));
        if (message.Name is not null)
            view.Set(Name, MarkedString.FromConversation(message.Name));
        return view;
    }

    private static PyDict Call(ConversationToolCall call)
    {
        var function = new PyDict();
        function.Set(Name, MarkedString.FromConversation(call.Name));
        bool parsed = PythonJson.TryParse(call.Arguments, out object? arguments) && arguments is PyDict;
        function.Set(Arguments, parsed ? arguments : MarkedString.FromConversation(call.Arguments));
        var view = new PyDict();
        if (call.Id.Length > 0)
            view.Set(Id, MarkedString.FromConversation(call.Id));
        view.Set(Type, Function);
        view.Set(Function, function);
        return view;
    }
}
