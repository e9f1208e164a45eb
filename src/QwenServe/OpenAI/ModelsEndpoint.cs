using System.Text.Json;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;

namespace QwenServe.OpenAI;

/// <summary><c>/v1/models</c> and <c>/v1/models/{id}</c>. An id may hold slashes, encoded (as the SDKs send them) or not.</summary>
internal static class ModelsEndpoint
{
    private static readonly string[] Reading = [HttpMethods.Get, HttpMethods.Head];

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/v1/models", Reading, (RequestDelegate)List);
        routes.MapMethods("/v1/models/{*id}", Reading, (RequestDelegate)Get);
    }

    private static Task List(HttpContext context)
    {
        var models = context.RequestServices.GetRequiredService<ModelHost>().Models;
        return JsonAnswer.SendAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("object"u8, "list"u8);
            json.WriteStartArray("data"u8);
            foreach (var model in models)
                foreach (string name in model.Names) Write(json, model, name);
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    private static Task Get(HttpContext context)
    {
        // Routing leaves %2F as it came.
        string id = Uri.UnescapeDataString((string?)context.Request.RouteValues["id"] ?? "");
        var model = context.RequestServices.GetRequiredService<ModelHost>().Find(id);
        return JsonAnswer.SendAsync(context, json => Write(json, model, id));
    }

    private static void Write(Utf8JsonWriter json, ServedModel model, string name)
    {
        json.WriteStartObject();
        json.WriteString("id"u8, name);
        json.WriteString("object"u8, "model"u8);
        json.WriteNumber("created"u8, model.Created.ToUnixTimeSeconds());
        json.WriteString("owned_by"u8, "qwenserve"u8);
        json.WriteString("root"u8, model.Root);
        json.WriteNull("parent"u8);
        json.WriteNumber("max_model_len"u8, model.MaxModelLen);
        json.WriteEndObject();
    }
}
