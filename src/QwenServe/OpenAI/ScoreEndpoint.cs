using System.Text.Json;
using QwenServe.Engine.Model;
using QwenServe.Generation;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;

namespace QwenServe.OpenAI;

/// <summary><c>POST /v1/score</c>, <c>/score</c>: what a reward model thinks of conversations; the answer is vLLM's, with <c>step_scores</c> beside it.</summary>
internal static class ScoreEndpoint
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/score", (RequestDelegate)AnswerAsync);
        routes.MapPost("/score", (RequestDelegate)AnswerAsync);
    }

    private static async Task AnswerAsync(HttpContext context)
    {
        using var work = new RequestScope(context);
        using var body = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        var model = work.FindModel(body.Fields);
        if (model.Score is null) throw ConversationScores.NoReward(model);
        if (model.Purpose == ModelTask.Classify && model.Score.Outputs > 1)
            throw ApiException.InvalidValue("model", $"The model `{model.Name}` has {model.Score.Outputs} labels and no score; /pooling gives their logits.");
        var request = ScoreRequest.Read(body.Fields, model, context.RequestServices.GetRequiredService<LimitSettings>());
        var scores = await work.WaitAsync(() => ConversationScores.ComputeAsync(model, request.Prompts, request.Field, request.Options, work.Caller)).ConfigureAwait(false);
        await JsonAnswer.SendAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("id"u8, "score-" + Guid.NewGuid().ToString("N"));
            json.WriteString("object"u8, "list"u8);
            json.WriteNumber("created"u8, DateTimeOffset.UtcNow.ToUnixTimeSeconds());
            json.WriteString("model"u8, model.Name);
            json.WriteStartArray("data"u8);
            for (int i = 0; i < scores.Length; i++) Write(json, i, scores[i], model.Purpose == ModelTask.ProcessReward);
            json.WriteEndArray();
            EmbeddingsEndpoint.WriteUsage(json, request.Prompts.Sum(p => p.Length));
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }

    private static void Write(Utf8JsonWriter json, int index, float[][] rows, bool steps)
    {
        json.WriteStartObject();
        json.WriteNumber("index"u8, index);
        json.WriteString("object"u8, "score"u8);
        if (!steps) json.WriteNumber("score"u8, rows[0][0]);
        else
        {
            // An answer is as good as all its steps together (Lightman et al. 2023).
            json.WriteNumber("score"u8, (float)rows.Aggregate(1.0, (product, row) => product * row[1]));
            json.WriteStartArray("step_scores"u8);
            foreach (float[] row in rows) json.WriteNumberValue(row[1]);
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }
}
