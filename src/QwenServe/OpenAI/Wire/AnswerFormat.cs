using System.Text.Json;
using QwenServe.Text.Grammar;

namespace QwenServe.OpenAI.Wire;

/// <summary>
/// What an answer is held to: <c>response_format</c>, vLLM's <c>structured_outputs</c>, or the <c>guided_*</c> fields that came before it.
/// One of them, since two could contradict each other.
/// </summary>
/// <param name="Param">The field, for errors.</param>
/// <param name="Kind">With <paramref name="Text"/>, what the grammar is kept under.</param>
/// <param name="Text">The schema, pattern or grammar.</param>
/// <param name="Make">Compiles it.</param>
internal sealed record AnswerFormat(string Param, string Kind, string Text, Func<Grammar> Make)
{
    /// <summary>Null: any text.</summary>
    public static AnswerFormat? Read(RequestFields fields)
    {
        AnswerFormat? format = null;
        Add(ResponseFormat(fields));
        if (fields.Object("structured_outputs") is { } structured)
        {
            RefuseUnserved(structured, "structural_tag", "whitespace_pattern", "disable_any_whitespace", "disable_additional_properties");
            bool any = false;
            foreach (var one in Of(structured, "json", "regex", "choice", "grammar", "json_object"))
            {
                any = true;
                Add(one);
            }
            if (!any) throw ApiException.InvalidValue("structured_outputs", "Invalid 'structured_outputs': expected one of 'json', 'regex', 'choice', 'grammar' and 'json_object'.");
        }
        RefuseUnserved(fields, "guided_whitespace_pattern", "structural_tag");
        foreach (var one in Of(fields, "guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_json_object")) Add(one);
        fields.Ignore("guided_decoding_backend");
        return format;

        void Add(AnswerFormat? one)
        {
            if (one is null) return;
            if (format is not null) throw ApiException.InvalidValue(one.Param, $"Invalid '{one.Param}': '{format.Param}' already says what the answer has to be; only one of them may be given.");
            format = one;
        }
    }

    /// <exception cref="ApiException">It cannot be enforced; the field and the place in it are named.</exception>
    public Grammar Compile(GrammarCache cache)
    {
        try
        {
            return cache.Get(Kind, Text, Make);
        }
        catch (GrammarException e)
        {
            throw Refusal(Param, e);
        }
    }

    /// <summary>A schema's fault names the place as the request spells it: <c>response_format.json_schema.schema.properties.name</c>.</summary>
    public static ApiException Refusal(string param, GrammarException e)
    {
        if (e.Path is not { } pointer || !pointer.StartsWith('#')) return ApiException.InvalidValue(param, $"Invalid '{param}': {e.Message}");
        string place = param + string.Concat(pointer[1..].Split('/', StringSplitOptions.RemoveEmptyEntries)
            .Select(p => "." + p.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal)));
        return ApiException.InvalidValue(place, $"Invalid schema for '{param}': {e.Message}.");
    }

    private static AnswerFormat? ResponseFormat(RequestFields fields)
    {
        if (fields.Object("response_format") is not { } format) return null;
        string type = format.RequiredText("type");
        switch (type)
        {
            case "text":
                return null;
            case "json_object":
                return AnyObject("response_format");
            case "json_schema":
                var named = format.Object("json_schema") ?? throw ApiException.Missing("response_format.json_schema");
                named.RequiredText("name");
                named.Text("description");
                // A schema is enforced whether it is called strict or not.
                named.Boolean("strict");
                return named.Object("schema") is { } schema ? Schema(named.PathOf("schema"), schema.Element) : AnyObject("response_format");
            default:
                throw RequestFields.UnknownChoice("response_format.type", type, "text", "json_object", "json_schema");
        }
    }

    private static IEnumerable<AnswerFormat> Of(RequestFields fields, string json, string regex, string choice, string grammar, string anyObject)
    {
        if (fields.Find(json) is { } schema) yield return Schema(fields.PathOf(json), schema);
        if (fields.Text(regex) is { } pattern) yield return new AnswerFormat(fields.PathOf(regex), "regex", pattern, () => Grammar.FromRegex(pattern));
        if (fields.Array(choice) is { } elements)
        {
            string path = fields.PathOf(choice);
            string[] texts = [.. elements.Select((e, i) => e.ValueKind == JsonValueKind.String ? e.GetString()! : throw ApiException.WrongType($"{path}[{i}]", "a string", RequestFields.Describe(e)))];
            yield return new AnswerFormat(path, "choice", fields.Find(choice)!.Value.GetRawText(), () => Grammar.FromChoice(texts));
        }
        if (fields.Text(grammar) is { } rules) yield return new AnswerFormat(fields.PathOf(grammar), "ebnf", rules, () => Grammar.FromEbnf(rules));
        if (fields.Boolean(anyObject) == true) yield return AnyObject(fields.PathOf(anyObject));
    }

    public static AnswerFormat AnyObject(string param) => new(param, "object", "", () => Grammar.JsonObject);

    /// <summary>A schema, which vLLM's fields also take as its JSON text.</summary>
    public static AnswerFormat Schema(string param, JsonElement schema)
    {
        if (schema.ValueKind == JsonValueKind.String)
        {
            try
            {
                schema = JsonElement.Parse(schema.GetString()!, JsonText.Reading);
            }
            catch (JsonException)
            {
                throw ApiException.InvalidValue(param, $"Invalid '{param}': the string is not a JSON schema.");
            }
        }
        if (schema.ValueKind is not (JsonValueKind.Object or JsonValueKind.True or JsonValueKind.False))
            throw ApiException.WrongType(param, "a JSON schema", RequestFields.Describe(schema));
        return new AnswerFormat(param, "schema", schema.GetRawText(), () => Grammar.FromJsonSchema(schema));
    }

    private static void RefuseUnserved(RequestFields fields, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
            if (fields.Find(name) is { ValueKind: not JsonValueKind.False })
                throw ApiException.Unsupported(fields.PathOf(name), $"Unsupported parameter: '{fields.PathOf(name)}' is not served by this server.");
    }
}
