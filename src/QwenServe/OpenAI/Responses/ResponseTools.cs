using System.Text.Json;
using QwenServe.OpenAI.Wire;
using QwenServe.Text.Grammar;

namespace QwenServe.OpenAI.Responses;

/// <summary>The tools of a request, which this API writes flat, and its <c>tool_choice</c>.</summary>
internal sealed class ResponseTools
{
    private readonly List<DeclaredTool> _declared = [];

    /// <summary>Each as chat completions spell it, for the template.</summary>
    public List<string> Texts { get; } = [];

    /// <summary>All of them as the answer repeats them.</summary>
    public string Echo { get; private set; } = "[]";

    /// <summary>As the answer repeats it.</summary>
    public string ChoiceEcho { get; private set; } = "\"auto\"";

    public ToolDemand Demand { get; private set; } = ToolDemand.None;

    /// <param name="fields">The request.</param>
    /// <param name="rejectUnknown">Whether unknown fields of tools are errors.</param>
    /// <param name="grammars">Where schemas are compiled.</param>
    public static ResponseTools Read(RequestFields fields, bool rejectUnknown, GrammarCache grammars)
    {
        var tools = new ResponseTools();
        var elements = fields.Array("tools") ?? [];
        tools.Echo = JsonCopy.Of(json =>
        {
            json.WriteStartArray();
            for (int i = 0; i < elements.Length; i++) tools.Add(new RequestFields(elements[i], $"tools[{i}]"), rejectUnknown, grammars, json);
            json.WriteEndArray();
        });
        tools.Demand = tools.Choose(fields);
        if (fields.Find("tool_choice") is { } choice) tools.ChoiceEcho = JsonCopy.Of(choice.WriteTo);
        return tools;
    }

    private void Add(RequestFields tool, bool rejectUnknown, GrammarCache grammars, Utf8JsonWriter echo)
    {
        string type = tool.RequiredText("type");
        if (type != "function")
            throw ApiException.Unsupported(tool.PathOf("type"), $"Unsupported tool: '{type}' is not served by this server. Supported values are: 'function'.");
        string name = ToolDemand.ReadName(tool);
        string? description = tool.Text("description");
        var parameters = tool.Object("parameters")?.Element;
        // Left open, calls are held to the schema where it can be; demanded, a schema that cannot be enforced is an error.
        bool strict = tool.Boolean("strict") ?? IsEnforceable(parameters, grammars);
        tool.Ignore("allowed_callers", "async", "defer_loading", "output_schema");
        if (rejectUnknown) tool.RejectUnknown();
        _declared.Add(new DeclaredTool(name, parameters, strict, tool.PathOf("parameters")));
        Texts.Add(JsonCopy.Of(json =>
        {
            json.WriteStartObject();
            json.WriteString("type"u8, "function"u8);
            json.WriteStartObject("function"u8);
            json.WriteString("name"u8, name);
            if (description is not null) json.WriteString("description"u8, description);
            if (parameters is { } schema)
            {
                json.WritePropertyName("parameters"u8);
                schema.WriteTo(json);
            }
            json.WriteEndObject();
            json.WriteEndObject();
        }));
        echo.WriteStartObject();
        echo.WriteString("type"u8, "function"u8);
        echo.WriteString("description"u8, description);
        echo.WriteString("name"u8, name);
        echo.WritePropertyName("parameters"u8);
        if (parameters is { } own) own.WriteTo(echo);
        else echo.WriteNullValue();
        echo.WriteBoolean("strict"u8, strict);
        echo.WriteEndObject();
    }

    private static bool IsEnforceable(JsonElement? schema, GrammarCache grammars)
    {
        if (schema is null) return true;
        try
        {
            grammars.FromJsonSchema(schema.Value);
            return true;
        }
        catch (GrammarException)
        {
            return false;
        }
    }

    private ToolDemand Choose(RequestFields fields)
    {
        var all = new ToolDemand { Callable = _declared, Single = fields.Boolean("parallel_tool_calls") == false };
        return ToolDemand.Read(fields, all, _declared, choice => Named(choice, all));
    }

    private ToolDemand Named(RequestFields choice, ToolDemand all)
    {
        string type = choice.RequiredText("type");
        switch (type)
        {
            case "function":
                ToolDemand.RequireTools(_declared);
                return all with { Callable = [ToolDemand.Find(choice.RequiredText("name"), _declared)], Required = true, Single = true };
            case "allowed_tools":
                ToolDemand.RequireTools(_declared);
                var elements = choice.Array("tools") ?? throw ApiException.Missing("tool_choice.tools");
                if (elements.Length == 0) throw ApiException.EmptyArray("tool_choice.tools");
                return all with
                {
                    Callable = [.. elements.Select((e, i) => Allowed(new RequestFields(e, $"tool_choice.tools[{i}]")))],
                    Required = choice.Choice("mode", "auto", "required") == "required",
                    Restricted = true,
                };
            default:
                throw ApiException.Unsupported("tool_choice.type", $"Unsupported tool: '{type}' is not served by this server. Supported values are: 'function', 'allowed_tools'.");
        }
    }

    private DeclaredTool Allowed(RequestFields tool)
    {
        string type = tool.RequiredText("type");
        return type == "function"
            ? ToolDemand.Find(tool.RequiredText("name"), _declared)
            : throw ApiException.Unsupported(tool.PathOf("type"), $"Unsupported tool: '{type}' is not served by this server. Supported values are: 'function'.");
    }
}
