using System.Text.Json;
using QwenServe.Text.Chat.Jinja;

namespace QwenServe.Text.Chat;

/// <summary>
/// A checkpoint's chat template: Jinja compiled once to a tree, rendered as transformers renders it, with the ranges of the prompt that came
/// from the conversation. Thread-safe.
/// </summary>
public sealed class ChatTemplate
{
    private readonly Statement[] _default;
    private readonly Statement[]? _withTools;
    private readonly IReadOnlyDictionary<string, string> _tokens;

    private ChatTemplate(Statement[] @default, Statement[]? withTools, IReadOnlyDictionary<string, string> tokens)
    {
        _default = @default;
        _withTools = withTools;
        _tokens = tokens;
    }

    /// <summary>The clock of strftime_now.</summary>
    internal Func<DateTime> Now { get; init; } = () => DateTime.Now;

    /// <summary>Compiles a template.</summary>
    /// <param name="source">Jinja text.</param>
    /// <param name="specialTokens">Variables such as bos_token and eos_token.</param>
    /// <exception cref="ChatTemplateException">The template is not well-formed; names the line.</exception>
    public static ChatTemplate Parse(string source, IReadOnlyDictionary<string, string>? specialTokens = null) =>
        new(Compile(source), null, specialTokens ?? new Dictionary<string, string>());

    /// <summary>
    /// Finds and compiles the template of a checkpoint: <paramref name="overridePath"/> (Jinja, or JSON with chat_template), else
    /// chat_template.jinja, else chat_template.json, else chat_template of tokenizer_config.json, which may be a list of named templates:
    /// "default", and "tool_use" for conversations with tools. The variables bos_token, eos_token, pad_token and unk_token come from
    /// tokenizer_config.json.
    /// </summary>
    /// <exception cref="ChatTemplateException">There is no template, or it is not well-formed.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static ChatTemplate Load(string modelDirectory, string? overridePath = null)
    {
        ArgumentNullException.ThrowIfNull(modelDirectory);
        using var configuration = ReadJson(Path.Combine(modelDirectory, "tokenizer_config.json"));
        var tokens = SpecialTokens(configuration?.RootElement);
        var found = FindSources(modelDirectory, overridePath, configuration?.RootElement);
        if (found is not { } sources)
            throw new ChatTemplateException(
                $"{modelDirectory} has no chat template (chat_template.jinja, chat_template.json or chat_template in tokenizer_config.json); give one with --chat-template", 0);
        return new ChatTemplate(Compile(sources.Default), sources.WithTools is null ? null : Compile(sources.WithTools), tokens);
    }

    /// <summary>Renders a conversation to the prompt.</summary>
    /// <exception cref="ChatTemplateException">The template failed, refused the conversation, or reached a limit of the sandbox.</exception>
    public PromptText Render(Conversation conversation)
    {
        ArgumentNullException.ThrowIfNull(conversation);
        if (conversation is { ContinueFinalMessage: true, AddGenerationPrompt: true })
            throw new ArgumentException("a prompt either continues the final message or adds a generation prompt", nameof(conversation));
        var scope = new Scope(null);
        foreach (var (name, value) in _tokens)
            scope.Set(string.Intern(name), new MarkedString(value));
        ConversationVariables.Define(scope, conversation);
        var rendering = new Rendering { Now = Now };
        try
        {
            Statement.Run(conversation.Tools.Count > 0 && _withTools is not null ? _withTools : _default, rendering, scope);
        }
        catch (JinjaException error)
        {
            throw error.RaisedByTemplate
                ? new ChatTemplateException(error.Message, rendering.Line, true, error)
                : new ChatTemplateException($"chat template, line {rendering.Line}: {error.Message}", rendering.Line, false, error);
        }

        var prompt = rendering.Output.ToMarkedString();
        if (conversation.ContinueFinalMessage)
            prompt = CutAfterFinalMessage(prompt, conversation);
        return new PromptText(prompt.Text, prompt.Marks);
    }

    private static MarkedString CutAfterFinalMessage(MarkedString prompt, Conversation conversation)
    {
        var content = new MarkedString(conversation.Messages.Count > 0 ? conversation.Messages[^1].Content ?? "" : "");
        string stripped = StringMethods.Strip(content, null, true, true).Text;
        int at = prompt.Text.LastIndexOf(stripped, StringComparison.Ordinal);
        if (at < 0)
            throw new ChatTemplateException("the final message cannot be continued: the chat template does not print its content as it is", 0, true);
        string open = StringMethods.Strip(content, null, true, false).Text;
        bool whole = string.CompareOrdinal(prompt.Text, at, open, 0, open.Length) == 0;
        return prompt.Units(0, at + (whole ? open.Length : stripped.Length));
    }

    private static Statement[] Compile(string source)
    {
        try
        {
            return Parser.Parse(source);
        }
        catch (JinjaSyntaxException error)
        {
            throw new ChatTemplateException($"chat template, line {error.Line}: {error.Message}", error.Line, false, error);
        }
    }

    private readonly record struct Sources(string Default, string? WithTools);

    private static Sources? FindSources(string modelDirectory, string? overridePath, JsonElement? configuration)
    {
        if (overridePath is not null)
            return overridePath.EndsWith(".json", StringComparison.OrdinalIgnoreCase)
                ? FromJsonFile(overridePath) ?? throw new ChatTemplateException($"{overridePath} has no chat_template", 0)
                : new Sources(File.ReadAllText(overridePath), null);
        string jinja = Path.Combine(modelDirectory, "chat_template.jinja");
        if (File.Exists(jinja))
            return new Sources(File.ReadAllText(jinja), null);
        return FromJsonFile(Path.Combine(modelDirectory, "chat_template.json")) ?? FromJson(configuration);
    }

    private static Sources? FromJsonFile(string path)
    {
        using var json = ReadJson(path);
        return FromJson(json?.RootElement);
    }

    private static Sources? FromJson(JsonElement? json)
    {
        if (json is not { ValueKind: JsonValueKind.Object } root || !root.TryGetProperty("chat_template", out var template))
            return null;
        if (template.ValueKind == JsonValueKind.String)
            return new Sources(template.GetString()!, null);
        if (template.ValueKind != JsonValueKind.Array)
            return null;
        var named = new Dictionary<string, string>();
        foreach (var entry in template.EnumerateArray())
            if (entry.ValueKind == JsonValueKind.Object
                && entry.TryGetProperty("name", out var name) && name.ValueKind == JsonValueKind.String
                && entry.TryGetProperty("template", out var source) && source.ValueKind == JsonValueKind.String)
                named[name.GetString()!] = source.GetString()!;
        string? tools = named.GetValueOrDefault("tool_use");
        if (named.GetValueOrDefault("default") is { } @default)
            return new Sources(@default, tools);
        return named.Count > 0
            ? throw new ChatTemplateException($"the checkpoint has several chat templates ({string.Join(", ", named.Keys)}) and none is named default", 0)
            : null;
    }

    private static Dictionary<string, string> SpecialTokens(JsonElement? configuration)
    {
        var tokens = new Dictionary<string, string>();
        if (configuration is not { ValueKind: JsonValueKind.Object } root)
            return tokens;
        foreach (string name in new[] { "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token" })
        {
            if (!root.TryGetProperty(name, out var token))
                continue;
            if (token.ValueKind == JsonValueKind.Object && token.TryGetProperty("content", out var content))
                token = content;
            if (token.ValueKind == JsonValueKind.String)
                tokens[name] = token.GetString()!;
        }

        return tokens;
    }

    private static JsonDocument? ReadJson(string path)
    {
        if (!File.Exists(path))
            return null;
        try
        {
            return JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        }
        catch (JsonException error)
        {
            throw new ChatTemplateException($"{path} is not JSON: {error.Message}", 0, false, error);
        }
    }
}
