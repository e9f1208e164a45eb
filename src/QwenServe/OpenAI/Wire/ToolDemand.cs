using System.Text.Json;
using QwenServe.Text.Grammar;
using QwenServe.Text.Output;

namespace QwenServe.OpenAI.Wire;

/// <summary>A function of a request.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Parameters">The schema of its arguments; null: it takes none.</param>
/// <param name="Strict">Whether its calls have to meet the schema even when they are the model's own idea.</param>
/// <param name="SchemaPath">Where the schema is in the request.</param>
internal sealed record DeclaredTool(string Name, JsonElement? Parameters, bool Strict, string SchemaPath);

/// <summary>Which functions may be called, and what is demanded of the calls: <c>tool_choice</c>, <c>parallel_tool_calls</c> and <c>strict</c>.</summary>
internal sealed record ToolDemand
{
    private static readonly JsonElement AnyObject = JsonElement.Parse("""{"type":"object"}""");

    public static ToolDemand None { get; } = new() { Callable = [] };

    /// <summary>What may be called; empty when calls are not looked for.</summary>
    public required IReadOnlyList<DeclaredTool> Callable { get; init; }

    /// <summary>Whether the answer has to be a call.</summary>
    public bool Required { get; init; }

    /// <summary>Whether there may be no more than one call.</summary>
    public bool Single { get; init; }

    /// <summary>Whether the model is shown tools that it may not call.</summary>
    public bool Restricted { get; init; }

    /// <summary>
    /// The grammar of answer and calls together; null when the model is free. A call that is demanded, or of a strict tool, meets the tool's schema; the
    /// arguments of others are any object.
    /// </summary>
    /// <exception cref="ApiException">A schema cannot be enforced.</exception>
    public Grammar? Compile(AnswerFormat? format, GrammarCache cache)
    {
        var answer = format?.Compile(cache);
        if (Callable.Count == 0 || !(Required || Single || Restricted || answer is not null || Callable.Any(t => t.Strict))) return answer;
        ToolSignature[] signatures = [.. Callable.Select(t => new ToolSignature(t.Name, Required || t.Strict ? t.Parameters : AnyObject))];
        var count = Single ? ToolCallCount.ExactlyOne : ToolCallCount.AtLeastOne;
        var otherwise = Required ? null : answer ?? Grammar.AnyText;
        string text = string.Join('\0', [Required ? "" : format?.Kind ?? "text", Required ? "" : format?.Text ?? "", .. signatures.SelectMany(s => new[] { s.Name, s.Parameters?.GetRawText() ?? "" })]);
        try
        {
            return cache.Get($"tools {count} {Required}", text, () => Grammar.ToolCalls(signatures, count, otherwise));
        }
        catch (GrammarException e)
        {
            throw Refusal(signatures, e);
        }
    }

    /// <summary>The name of a function, checked.</summary>
    public static string ReadName(RequestFields function)
    {
        string name = function.RequiredText("name");
        if (name.Length is 0 or > 64 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-'))
            throw ApiException.InvalidValue(function.PathOf("name"), $"Invalid '{function.PathOf("name")}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]{{1,64}}$'.");
        return name;
    }

    /// <summary>Reads <c>tool_choice</c> where it is a word, as every endpoint of OpenAI spells those.</summary>
    /// <param name="fields">The request.</param>
    /// <param name="all">What absence and <c>auto</c> mean.</param>
    /// <param name="tools">The tools of the request.</param>
    /// <param name="named">Reads it where it is an object.</param>
    public static ToolDemand Read(RequestFields fields, ToolDemand all, List<DeclaredTool> tools, Func<RequestFields, ToolDemand> named)
    {
        if (fields.Find("tool_choice") is not { } choice) return all;
        if (choice.ValueKind != JsonValueKind.String) return named(new RequestFields(choice, "tool_choice"));
        switch (choice.GetString())
        {
            case "none":
                return None;
            case "auto":
                return all;
            case "required":
                RequireTools(tools);
                return all with { Required = true };
            case var other:
                throw RequestFields.UnknownChoice("tool_choice", other!, "none", "auto", "required");
        }
    }

    /// <exception cref="ApiException">There are none, and <c>tool_choice</c> needs one.</exception>
    public static void RequireTools(List<DeclaredTool> tools)
    {
        if (tools.Count == 0) throw ApiException.InvalidValue("tool_choice", "'tool_choice' is only allowed when 'tools' are specified.");
    }

    /// <exception cref="ApiException">There is no such tool for <c>tool_choice</c> to name.</exception>
    public static DeclaredTool Find(string name, List<DeclaredTool> tools)
        => tools.Find(t => t.Name == name) ?? throw ApiException.InvalidValue("tool_choice", $"Invalid 'tool_choice': '{name}' is not in 'tools'.");

    /// <summary>
    /// How calls are looked for in the output. In forms other than the template's they are known by a tool's name, unless the form is enforced: then
    /// only calls in it are held to their schema.
    /// </summary>
    /// <param name="grammar">What <see cref="Compile"/> gave.</param>
    public OutputOptions Reading(Grammar? grammar) => new()
    {
        Tools = Callable.Count > 0,
        ToolNames = grammar is null ? [.. Callable.Select(t => t.Name)] : [],
    };

    /// <summary>Names the tool at fault.</summary>
    private ApiException Refusal(ToolSignature[] signatures, GrammarException e)
    {
        for (int i = 0; i < signatures.Length; i++)
        {
            if (signatures[i].Parameters is not { } schema) continue;
            try
            {
                Grammar.FromJsonSchema(schema);
            }
            catch (GrammarException own)
            {
                return AnswerFormat.Refusal(Callable[i].SchemaPath, own);
            }
        }
        return ApiException.InvalidValue("tools", $"Invalid 'tools': {e.Message}");
    }
}
