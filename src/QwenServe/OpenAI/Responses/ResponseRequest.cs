using System.Text.Json;
using QwenServe.Access;
using QwenServe.Generation;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;
using QwenServe.Text.Chat;
using QwenServe.Text.Output;

namespace QwenServe.OpenAI.Responses;

/// <summary>A request to <c>POST /v1/responses</c>, read and checked; nothing after it sees JSON.</summary>
internal sealed record ResponseRequest
{
    private const string LogProbs = "message.output_text.logprobs";

    private static readonly string[] Includable =
    [
        LogProbs, "reasoning.encrypted_content", "file_search_call.results", "web_search_call.results", "web_search_call.action.sources", "message.input_image.image_url",
        "computer_call_output.output.image_url", "code_interpreter_call.outputs",
    ];

    /// <summary>Fields of chat completions and what they are called here: who sends them would wonder why they have no effect.</summary>
    private static readonly (string Old, string New)[] Moved =
    [
        ("messages", "input"), ("response_format", "text.format"), ("max_tokens", "max_output_tokens"), ("max_completion_tokens", "max_output_tokens"),
        ("reasoning_effort", "reasoning.effort"), ("verbosity", "text.verbosity"),
    ];

    /// <summary>Who asks.</summary>
    public required ApiTenant Owner { get; init; }

    public required Conversation Conversation { get; init; }

    /// <summary>What this request adds to the conversation.</summary>
    public required IReadOnlyList<ResponseItem> Input { get; init; }

    /// <summary>What came before, for a request that continues a response.</summary>
    public required IReadOnlyList<ResponseTurn> Context { get; init; }

    public required GenerationOptions Options { get; init; }

    /// <summary>How calls are looked for in the answer.</summary>
    public required OutputOptions Output { get; init; }

    public required bool Stream { get; init; }

    /// <summary>What the answer repeats.</summary>
    public required ResponseParameters Parameters { get; init; }

    public static ResponseRequest Read(RequestFields fields, ServedModel model, LimitSettings limits, ResponseStore store, ApiTenant owner)
    {
        Refuse(fields);
        string? previousId = fields.Text("previous_response_id");
        var previous = previousId is null ? null : store.Find(owner, previousId)
            ?? throw new ApiException(400, $"Previous response with id '{previousId}' not found.", "previous_response_id", "previous_response_not_found");
        if (fields.Find("input") is null && previous is null) throw ApiException.Missing("input");
        var input = ResponseInput.Read(fields, limits.RejectUnknownFields, id => store.FindItem(owner, id));
        var context = previous?.Context ?? [];
        string? instructions = fields.Text("instructions");
        var messages = ResponseInput.Messages(instructions, context.SelectMany(t => t.Items).Concat(input));
        if (messages.Count == 0) throw ApiException.EmptyArray("input");
        // Rendered before the queue can say no, however little of it came with this request.
        if (previous is not null && messages.Count > limits.MaxMessages)
            throw new ApiException(400, $"The conversation that 'previous_response_id' continues is too long: at most {limits.MaxMessages} messages, and this would be {messages.Count}.", "previous_response_id", "array_above_max_length");

        var tools = ResponseTools.Read(fields, limits.RejectUnknownFields, model.Grammars);
        var format = Format(fields, out string formatEcho, out string? verbosity);
        bool logProbs = Include(fields);
        int top = (int?)fields.Integer("top_logprobs", 0, limits.MaxLogProbs) ?? 0;
        int? maxOutputTokens = (int?)fields.Integer("max_output_tokens", 1, int.MaxValue);
        var options = SamplingFields.Read(fields, maxOutputTokens, null, logProbs ? top : null, model.Defaults, limits);
        var grammar = tools.Demand.Compile(format, model.Grammars);
        var reasoning = fields.Object("reasoning");
        string? effort = reasoning?.Text("effort");
        string? summary = reasoning?.Choice("summary", "auto", "concise", "detailed") ?? reasoning?.Choice("generate_summary", "auto", "concise", "detailed");
        bool stored = fields.Boolean("store") ?? true;
        var request = new ResponseRequest
        {
            Owner = owner,
            Conversation = new Conversation { Messages = messages, Tools = tools.Demand.Callable.Count > 0 ? tools.Texts : [] },
            Input = input,
            Context = context,
            Options = options with { Grammar = grammar, Choices = 1, PromptLogProbs = null },
            Output = tools.Demand.Reading(grammar),
            Stream = StreamOptions.Read(fields).Stream,
            Parameters = new ResponseParameters
            {
                Instructions = instructions,
                MaxOutputTokens = maxOutputTokens,
                MaxToolCalls = (int?)fields.Integer("max_tool_calls", 1, int.MaxValue),
                ParallelToolCalls = fields.Boolean("parallel_tool_calls") ?? true,
                PreviousResponseId = previousId,
                PromptCacheKey = fields.Text("prompt_cache_key"),
                ReasoningEffort = effort,
                ReasoningSummary = summary,
                SafetyIdentifier = fields.Text("safety_identifier"),
                Store = stored && store.IsOpen,
                Temperature = options.Sampling.Temperature,
                TopP = options.Sampling.TopP,
                TopLogProbs = top,
                Truncation = fields.Choice("truncation", "auto", "disabled") ?? "disabled",
                User = fields.Text("user"),
                Verbosity = verbosity,
                Format = formatEcho,
                Tools = tools.Echo,
                ToolChoice = tools.ChoiceEcho,
                Metadata = Metadata(fields),
            },
        };
        fields.Ignore("model", "moderation", "access_programs", "image");
        if (limits.RejectUnknownFields) fields.RejectUnknown();
        return request;
    }

    /// <summary>The prompt; with <c>truncation: auto</c> without the oldest messages, if it would not fit otherwise.</summary>
    /// <exception cref="ApiException">The template refuses the conversation, or the model has none.</exception>
    public ChatPrompt Render(ServedModel model)
    {
        var whole = ChatPrompt.Render(model, Conversation);
        int room = model.MaxModelLen - (Parameters.MaxOutputTokens ?? 1);
        if (Parameters.Truncation != "auto" || whole.Tokens.Length <= room) return whole;
        var messages = Conversation.Messages;
        int head = messages.TakeWhile(m => m.Role is "system" or "developer").Count();
        // The fewest messages left out with which the rest fits; the last one always stays.
        int fewest = 1, most = messages.Count - head - 1;
        var shortest = whole;
        while (fewest <= most)
        {
            int left = (fewest + most) / 2;
            // The output of a call goes with its call.
            var rest = messages.Skip(head + left).SkipWhile((m, i) => m.Role == "tool" && head + left + i < messages.Count - 1);
            var prompt = ChatPrompt.Render(model, Conversation with { Messages = [.. messages.Take(head), .. rest] });
            if (prompt.Tokens.Length <= room)
            {
                shortest = prompt;
                most = left - 1;
            }
            else fewest = left + 1;
        }
        return shortest;
    }

    /// <summary>What would change the answer and is not served is refused rather than ignored.</summary>
    private static void Refuse(RequestFields fields)
    {
        foreach (var (old, now) in Moved)
            if (fields.Find(old) is not null)
                throw ApiException.Unsupported(old, $"Unsupported parameter: '{old}'. In the Responses API, this parameter has moved to '{now}'.");
        if (fields.Boolean("background") == true)
            throw ApiException.Unsupported("background", "Unsupported parameter: 'background' is not served by this server: a response is generated while its request lasts. Use 'stream' for long answers.");
        foreach (string name in (ReadOnlySpan<string>)["conversation", "prompt", "context_management"])
            if (fields.Find(name) is { } value && !(value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0))
                throw ApiException.Unsupported(name, $"Unsupported parameter: '{name}' is not served by this server.");
    }

    private static bool Include(RequestFields fields)
    {
        var include = fields.Array("include") ?? [];
        bool logProbs = false;
        for (int i = 0; i < include.Length; i++)
        {
            if (include[i].ValueKind != JsonValueKind.String) throw ApiException.WrongType($"include[{i}]", "a string", RequestFields.Describe(include[i]));
            string value = include[i].GetString()!;
            if (!Includable.Contains(value)) throw RequestFields.UnknownChoice($"include[{i}]", value, Includable);
            logProbs |= value == LogProbs;
        }
        return logProbs;
    }

    private static AnswerFormat? Format(RequestFields fields, out string echo, out string? verbosity)
    {
        echo = "{\"type\":\"text\"}";
        var text = fields.Object("text");
        verbosity = text?.Choice("verbosity", "low", "medium", "high");
        if (text?.Object("format") is not { } format) return null;
        string type = format.RequiredText("type");
        switch (type)
        {
            case "text":
                return null;
            case "json_object":
                echo = "{\"type\":\"json_object\"}";
                return AnswerFormat.AnyObject("text.format");
            case "json_schema":
                string name = format.RequiredText("name");
                string? description = format.Text("description");
                bool strict = format.Boolean("strict") ?? false;
                var schema = (format.Object("schema") ?? throw ApiException.Missing("text.format.schema")).Element;
                echo = JsonCopy.Of(json =>
                {
                    json.WriteStartObject();
                    json.WriteString("type"u8, "json_schema"u8);
                    json.WriteString("description"u8, description);
                    json.WriteString("name"u8, name);
                    json.WritePropertyName("schema"u8);
                    schema.WriteTo(json);
                    json.WriteBoolean("strict"u8, strict);
                    json.WriteEndObject();
                });
                // A schema is enforced whether it is called strict or not.
                return AnswerFormat.Schema("text.format.schema", schema);
            default:
                throw RequestFields.UnknownChoice("text.format.type", type, "text", "json_object", "json_schema");
        }
    }

    private static string Metadata(RequestFields fields)
    {
        if (fields.Object("metadata") is not { } metadata) return "{}";
        int count = 0;
        foreach (var property in metadata.Element.EnumerateObject())
        {
            string path = metadata.PathOf(property.Name);
            if (property.Value.ValueKind != JsonValueKind.String) throw ApiException.WrongType(path, "a string", RequestFields.Describe(property.Value));
            if (++count > 16) throw ApiException.InvalidValue("metadata", "Invalid 'metadata': too many properties. Expected an object with at most 16 properties.");
            if (property.Name.Length > 64) throw ApiException.InvalidValue("metadata", "Invalid 'metadata': property name too long. Expected names of at most 64 characters.");
            if (property.Value.GetString()!.Length > 512) throw ApiException.InvalidValue(path, $"Invalid '{path}': string too long. Expected a string with maximum length 512.");
        }
        return JsonCopy.Of(metadata.Element.WriteTo);
    }
}
