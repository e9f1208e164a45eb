using QwenServe.Generation;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;

namespace QwenServe.OpenAI;

/// <summary><c>POST /tokenize</c> (of a prompt, or of a conversation as the model would read it) and <c>/detokenize</c>, as vLLM spells them.</summary>
internal static class TokenizeEndpoint
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/tokenize", (RequestDelegate)TokenizeAsync);
        routes.MapPost("/detokenize", (RequestDelegate)DetokenizeAsync);
    }

    private static async Task TokenizeAsync(HttpContext context)
    {
        using var work = new RequestScope(context);
        using var body = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        var fields = body.Fields;
        var model = work.Host.Find(fields.Text("model"));
        bool strict = context.RequestServices.GetRequiredService<LimitSettings>().RejectUnknownFields;
        bool strings = fields.Boolean("return_token_strs") ?? false;
        fields.Ignore("add_special_tokens");
        int[] tokens;
        if (fields.Find("messages") is not null) tokens = ChatPrompt.Render(model, ConversationFields.Read(fields, strict, out _)).Tokens;
        else tokens = model.Tokenizer.Encode(fields.RequiredText("prompt"));
        if (strict) fields.RejectUnknown();
        await JsonAnswer.SendAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteNumber("count"u8, tokens.Length);
            json.WriteNumber("max_model_len"u8, model.MaxModelLen);
            json.WriteStartArray("tokens"u8);
            foreach (int token in tokens) json.WriteNumberValue(token);
            json.WriteEndArray();
            if (strings)
            {
                json.WriteStartArray("token_strs"u8);
                foreach (int token in tokens) json.WriteStringValue(model.Tokenizer.TokenText(token));
                json.WriteEndArray();
            }
            else json.WriteNull("token_strs"u8);
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }

    private static async Task DetokenizeAsync(HttpContext context)
    {
        using var work = new RequestScope(context);
        using var body = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        var model = work.Host.Find(body.Fields.Text("model"));
        int[] tokens = SamplingFields.TokenIds(body.Fields, "tokens") ?? throw ApiException.Missing("tokens");
        for (int i = 0; i < tokens.Length; i++)
            if (!model.Tokenizer.HasToken(tokens[i])) throw ApiException.InvalidValue($"tokens[{i}]", $"Invalid 'tokens[{i}]': {tokens[i]} is not in the vocabulary.");
        if (context.RequestServices.GetRequiredService<LimitSettings>().RejectUnknownFields) body.Fields.RejectUnknown();
        await JsonAnswer.SendAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("prompt"u8, model.Tokenizer.Decode(tokens, skipSpecialTokens: false));
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }
}
