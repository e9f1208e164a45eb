namespace QwenServe.Text.Chat;

/// <summary>One call of a tool by the assistant.</summary>
/// <param name="Id">The call's id; may be empty.</param>
/// <param name="Name">The function's name.</param>
/// <param name="Arguments">JSON text of the arguments. Text that is not a JSON object (a model may have written anything) is given to the template as a string.</param>
public sealed record ConversationToolCall(string Id, string Name, string Arguments);

/// <summary>One message of a conversation.</summary>
public sealed record ConversationMessage
{
    /// <summary>system, user, assistant or tool; developer is taken for system and function for tool.</summary>
    public required string Role { get; init; }

    /// <summary>The text; null is rendered as an empty string, since templates take its parts without asking.</summary>
    public string? Content { get; init; }

    /// <summary>What the assistant thought, for templates that keep it; absent from the template's view when null.</summary>
    public string? ReasoningContent { get; init; }

    public IReadOnlyList<ConversationToolCall> ToolCalls { get; init; } = [];

    /// <summary>Of a tool message: the call it answers.</summary>
    public string? ToolCallId { get; init; }

    public string? Name { get; init; }
}

/// <summary>What a chat template renders: messages, tools and switches, in types that are no wire format's.</summary>
public sealed record Conversation
{
    public required IReadOnlyList<ConversationMessage> Messages { get; init; }

    /// <summary>Each tool as JSON text; the order of its keys is kept.</summary>
    public IReadOnlyList<string> Tools { get; init; } = [];

    /// <summary>A JSON object of further variables for the template (chat_template_kwargs), or null.</summary>
    public string? TemplateVariables { get; init; }

    /// <summary>Ends the prompt with the beginning of the assistant's turn.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary>Ends the prompt where the last message's content ends, so that the model goes on with it. Excludes <see cref="AddGenerationPrompt"/>.</summary>
    public bool ContinueFinalMessage { get; init; }
}
