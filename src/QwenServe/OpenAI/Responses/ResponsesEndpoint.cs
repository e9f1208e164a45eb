using System.Globalization;
using QwenServe.Access;
using QwenServe.Generation;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;

namespace QwenServe.OpenAI.Responses;

/// <summary>
/// OpenAI's Responses API: <c>POST /v1/responses</c> generates, the others speak of what <see cref="ResponseStore"/> has kept. A response is generated
/// while its request lasts, so there is never one to be cancelled.
/// </summary>
internal static class ResponsesEndpoint
{
    private static readonly string[] Reading = [HttpMethods.Get, HttpMethods.Head];

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/responses", (RequestDelegate)CreateAsync);
        routes.MapPost("/v1/responses/input_tokens", (RequestDelegate)CountAsync);
        routes.MapMethods("/v1/responses/{id}", Reading, (RequestDelegate)GetAsync);
        routes.MapDelete("/v1/responses/{id}", (RequestDelegate)DeleteAsync);
        routes.MapMethods("/v1/responses/{id}/input_items", Reading, (RequestDelegate)ListInputAsync);
        routes.MapPost("/v1/responses/{id}/cancel", (RequestDelegate)CancelAsync);
    }

    private static async Task CreateAsync(HttpContext context)
    {
        using var work = new RequestScope(context);
        using var body = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        var (model, request) = Read(context, work, body);
        var store = context.RequestServices.GetRequiredService<ResponseStore>();
        var response = new Response(model.Name, request.Parameters);
        // Queued here, so that a refusal is a status and not a broken stream.
        await using var generation = await NamedAsync(() => request.Render(model).ContinueAsync(model, response.Id, request.Options, request.Output, work.Caller)).ConfigureAwait(false);
        if (request.Stream) await StreamAsync(context, work, generation, model, request, response, store).ConfigureAwait(false);
        else await AnswerWholeAsync(context, work, generation, model, request, response, store).ConfigureAwait(false);
    }

    private static async Task CountAsync(HttpContext context)
    {
        using var work = new RequestScope(context);
        using var body = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        var (model, request) = Read(context, work, body);
        var prompt = await NamedAsync(() => ValueTask.FromResult(request.Render(model))).ConfigureAwait(false);
        await JsonAnswer.SendAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("object"u8, "response.input_tokens"u8);
            json.WriteNumber("input_tokens"u8, prompt.Tokens.Length);
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }

    private static (ServedModel Model, ResponseRequest Request) Read(HttpContext context, RequestScope work, RequestBody body)
    {
        var services = context.RequestServices;
        var model = work.FindModel(body.Fields);
        return (model, ResponseRequest.Read(body.Fields, model, services.GetRequiredService<LimitSettings>(), services.GetRequiredService<ResponseStore>(), ApiTenant.Of(context)));
    }

    /// <summary>Calls the conversation what it is called here.</summary>
    private static async Task<T> NamedAsync<T>(Func<ValueTask<T>> work)
    {
        try
        {
            return await work().ConfigureAwait(false);
        }
        catch (ApiException e) when (e.Param == "messages")
        {
            throw new ApiException(e.Status, e.Message, "input", e.Code, e.Type) { RetryAfter = e.RetryAfter };
        }
    }

    private static async Task AnswerWholeAsync(HttpContext context, RequestScope work, TextGeneration generation, ServedModel model, ResponseRequest request, Response response, ResponseStore store)
    {
        var output = new ResponseOutput(model.Tokenizer, null);
        await work.WaitAsync(async () =>
        {
            while (await generation.ReadAsync().ConfigureAwait(false) is { } deltas)
                foreach (var delta in deltas) output.Add(delta);
        }).ConfigureAwait(false);
        response.End(output, generation);
        Keep(store, request, response);
        await JsonAnswer.SendAsync(context, json => response.Write(json)).ConfigureAwait(false);
    }

    private static async Task StreamAsync(HttpContext context, RequestScope work, TextGeneration generation, ServedModel model, ResponseRequest request, Response response, ResponseStore store)
    {
        ResponseEvents? events = null;
        ResponseOutput? output = null;
        try
        {
            await work.StreamAsync(context, async stream =>
            {
                events = new ResponseEvents(stream, response);
                output = new ResponseOutput(model.Tokenizer, events);
                events.Begin();
                await stream.FlushAsync(work.Cancelled).ConfigureAwait(false);
                while (await generation.ReadAsync().ConfigureAwait(false) is { } deltas)
                {
                    foreach (var delta in deltas) output.Add(delta);
                    await stream.FlushAsync(work.Cancelled).ConfigureAwait(false);
                }
                response.End(output, generation);
                // Kept before it is told: the client may come back with its id at once.
                Keep(store, request, response);
                events.End();
            }, (_, error) =>
            {
                // It is kept as it ended; only the telling was cut short.
                if (response.HasEnded) return;
                response.Fail(output!, error);
                Keep(store, request, response);
                events!.Error(error);
                events.End();
            }).ConfigureAwait(false);
        }
        finally
        {
            events?.Dispose();
        }
    }

    private static void Keep(ResponseStore store, ResponseRequest request, Response response)
    {
        if (!request.Parameters.Store) return;
        store.Add(new StoredResponse(request.Owner, response, [.. request.Context, new ResponseTurn(request.Input, response.Output)]));
    }

    private static async Task GetAsync(HttpContext context)
    {
        var stored = Find(context);
        if (!Boolean(context, "stream"))
        {
            await JsonAnswer.SendAsync(context, json => stored.Response.Write(json)).ConfigureAwait(false);
            return;
        }
        long after = Integer(context, "starting_after", -1, 0, long.MaxValue);
        using var stream = new EventStream(context);
        stream.Begin();
        if (HttpMethods.IsHead(context.Request.Method)) return;
        using var events = new ResponseEvents(stream, stored.Response, after);
        events.Replay();
        await stream.FlushAsync(context.RequestAborted).ConfigureAwait(false);
    }

    private static Task DeleteAsync(HttpContext context)
    {
        string id = Id(context);
        if (!context.RequestServices.GetRequiredService<ResponseStore>().Remove(ApiTenant.Of(context), id)) throw NotFound(id);
        return JsonAnswer.SendAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("id"u8, id);
            json.WriteString("object"u8, "response"u8);
            json.WriteBoolean("deleted"u8, true);
            json.WriteEndObject();
        });
    }

    /// <summary>Pages through what the model was given, the newest first unless asked otherwise.</summary>
    private static Task ListInputAsync(HttpContext context)
    {
        var items = Find(context).Input.ToList();
        int limit = (int)Integer(context, "limit", 20, 1, 100);
        switch (Query(context, "order") ?? "desc")
        {
            case "asc":
                break;
            case "desc":
                items.Reverse();
                break;
            case var other:
                throw RequestFields.UnknownChoice("order", other, "asc", "desc");
        }
        if (Query(context, "after") is { } after) items.RemoveRange(0, Place(items, after, "after") + 1);
        if (Query(context, "before") is { } before)
        {
            int end = Place(items, before, "before");
            items.RemoveRange(end, items.Count - end);
        }
        var page = items.Take(limit).ToList();
        return JsonAnswer.SendAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("object"u8, "list"u8);
            json.WriteStartArray("data"u8);
            foreach (var item in page) item.Write(json);
            json.WriteEndArray();
            json.WriteString("first_id"u8, page.FirstOrDefault()?.Id);
            json.WriteString("last_id"u8, page.LastOrDefault()?.Id);
            json.WriteBoolean("has_more"u8, items.Count > page.Count);
            json.WriteEndObject();
        });
    }

    private static Task CancelAsync(HttpContext context)
    {
        Find(context);
        throw new ApiException(400, "Cannot cancel a synchronous response.");
    }

    private static StoredResponse Find(HttpContext context)
        => context.RequestServices.GetRequiredService<ResponseStore>().Find(ApiTenant.Of(context), Id(context)) ?? throw NotFound(Id(context));

    private static string Id(HttpContext context) => Uri.UnescapeDataString((string?)context.Request.RouteValues["id"] ?? "");

    private static ApiException NotFound(string id) => new(404, $"Response with id '{id}' not found.");

    private static string? Query(HttpContext context, string name)
        => context.Request.Query.TryGetValue(name, out var values) && values.ToString() is { Length: > 0 } value ? value : null;

    private static bool Boolean(HttpContext context, string name) => Query(context, name) switch
    {
        null or "false" => false,
        "true" => true,
        _ => throw ApiException.WrongType(name, "a boolean", "a string"),
    };

    private static long Integer(HttpContext context, string name, long fallback, long minimum, long maximum)
    {
        if (Query(context, name) is not { } text) return fallback;
        if (!long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value)) throw ApiException.WrongType(name, "an integer", "a string");
        return value >= minimum && value <= maximum ? value
            : throw ApiException.InvalidValue(name, $"Invalid '{name}': expected a value from {minimum} to {maximum}, but got {value} instead.");
    }

    private static int Place(List<ResponseItem> items, string id, string param)
    {
        int at = items.FindIndex(i => i.Id == id);
        return at >= 0 ? at : throw ApiException.InvalidValue(param, $"Invalid '{param}': there is no item with id '{id}'.");
    }
}
