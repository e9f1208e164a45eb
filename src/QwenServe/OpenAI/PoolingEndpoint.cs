using QwenServe.Generation;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;

namespace QwenServe.OpenAI;

/// <summary>
/// <c>POST /pooling</c>, as vLLM spells it: what comes out of a model that is not for text, without interpretation. Rows of outputs of a reward model
/// (one, or one a step) or a classifier, the embedding of any other.
/// </summary>
internal static class PoolingEndpoint
{
    public static void Map(IEndpointRouteBuilder routes) => routes.MapPost("/pooling", (RequestDelegate)AnswerAsync);

    private static async Task AnswerAsync(HttpContext context)
    {
        using var work = new RequestScope(context);
        using var body = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        var model = work.FindModel(body.Fields);
        string field = body.Fields.Find("messages") is null ? "input" : "messages";
        var request = EmbeddingRequest.Read(body.Fields, model, context.RequestServices.GetRequiredService<LimitSettings>());
        float[][][] rows = model.Score is null
            ? [.. (await EmbeddingsEndpoint.ComputeAsync(work, model, request).ConfigureAwait(false)).Select(v => new[] { v })]
            : await work.WaitAsync(() => ConversationScores.ComputeAsync(model, request.Inputs, field, request.Options, work.Caller)).ConfigureAwait(false);
        await JsonAnswer.SendAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("id"u8, "pool-" + Guid.NewGuid().ToString("N"));
            json.WriteString("object"u8, "list"u8);
            json.WriteNumber("created"u8, DateTimeOffset.UtcNow.ToUnixTimeSeconds());
            json.WriteString("model"u8, model.Name);
            json.WriteStartArray("data"u8);
            for (int i = 0; i < rows.Length; i++)
            {
                json.WriteStartObject();
                json.WriteNumber("index"u8, i);
                json.WriteString("object"u8, "pooling"u8);
                json.WritePropertyName("data"u8);
                // Base64 has no rows: they follow one another.
                if (model.Score is null || request.Base64) EmbeddingsEndpoint.Write(json, [.. rows[i].SelectMany(row => row)], request.Base64);
                else
                {
                    json.WriteStartArray();
                    foreach (float[] row in rows[i]) EmbeddingsEndpoint.Write(json, row, base64: false);
                    json.WriteEndArray();
                }
                json.WriteEndObject();
            }
            json.WriteEndArray();
            EmbeddingsEndpoint.WriteUsage(json, request.Tokens);
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }
}
