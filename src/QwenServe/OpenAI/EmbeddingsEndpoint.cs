using System.Runtime.InteropServices;
using System.Text.Json;
using QwenServe.Generation;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;

namespace QwenServe.OpenAI;

/// <summary><c>POST /v1/embeddings</c>: vectors of texts, from any model.</summary>
internal static class EmbeddingsEndpoint
{
    public static void Map(IEndpointRouteBuilder routes) => routes.MapPost("/v1/embeddings", (RequestDelegate)AnswerAsync);

    private static async Task AnswerAsync(HttpContext context)
    {
        using var work = new RequestScope(context);
        using var body = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        var model = work.FindModel(body.Fields);
        var request = EmbeddingRequest.Read(body.Fields, model, context.RequestServices.GetRequiredService<LimitSettings>());
        var vectors = await ComputeAsync(work, model, request).ConfigureAwait(false);
        await JsonAnswer.SendAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("object"u8, "list"u8);
            json.WriteStartArray("data"u8);
            for (int i = 0; i < vectors.Length; i++)
            {
                json.WriteStartObject();
                json.WriteString("object"u8, "embedding"u8);
                json.WriteNumber("index"u8, i);
                json.WritePropertyName("embedding"u8);
                Write(json, vectors[i], request.Base64);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteString("model"u8, model.Name);
            WriteUsage(json, request.Tokens);
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }

    /// <summary>The embedding of each input.</summary>
    internal static async Task<float[][]> ComputeAsync(RequestScope work, ServedModel model, EmbeddingRequest request)
    {
        if (model.Embedding.Unserved is { } reason) throw ApiException.InvalidValue("model", $"The model `{model.Name}` makes no embeddings here: {reason}.");
        var prompts = request.Inputs.Select(tokens => new PooledPrompt(tokens, request.Pooling)).ToList();
        var rows = await work.WaitAsync(() => PooledPrompts.RunAsync(model, "embd-" + Guid.NewGuid().ToString("N"), prompts, request.Options, work.Caller)).ConfigureAwait(false);
        return [.. rows.Select(r => Embedding.Of(r[0], request.Dimensions, request.Normalize))];
    }

    internal static void Write(Utf8JsonWriter json, float[] vector, bool base64)
    {
        if (base64)
        {
            byte[] bytes = MemoryMarshal.AsBytes(vector.AsSpan()).ToArray();
            if (!BitConverter.IsLittleEndian)
                for (int i = 0; i < bytes.Length; i += sizeof(float)) Array.Reverse(bytes, i, sizeof(float));
            json.WriteBase64StringValue(bytes);
            return;
        }
        json.WriteStartArray();
        foreach (float value in vector) json.WriteNumberValue(value);
        json.WriteEndArray();
    }

    internal static void WriteUsage(Utf8JsonWriter json, int tokens)
    {
        json.WriteStartObject("usage"u8);
        json.WriteNumber("prompt_tokens"u8, tokens);
        json.WriteNumber("total_tokens"u8, tokens);
        json.WriteEndObject();
    }
}
