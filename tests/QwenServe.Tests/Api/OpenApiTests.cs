using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.OpenApi;

namespace QwenServe.Tests.Api;

public class OpenApiTests
{
    [Fact]
    public async Task The_document_is_valid()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        var result = OpenApiDocument.Parse(await (await server.GetAsync("/openapi/v1.json")).Content.ReadAsStringAsync(), "json");
        Assert.Empty(result.Diagnostic!.Errors);
        Assert.Empty(result.Diagnostic.Warnings);
        Assert.Empty(result.Document!.Validate(ValidationRuleSet.GetDefaultRuleSet()));
    }

    [Fact]
    public async Task It_names_every_endpoint_and_no_other()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        var routes = ((Microsoft.AspNetCore.Routing.EndpointDataSource)server.App.Services.GetService(typeof(Microsoft.AspNetCore.Routing.EndpointDataSource))!).Endpoints
            .OfType<Microsoft.AspNetCore.Routing.RouteEndpoint>().Where(e => e.Metadata.GetMetadata<Microsoft.AspNetCore.Routing.IExcludeFromDescriptionMetadata>() is null)
            .Select(e => e.RoutePattern.RawText!.Replace("{*id}", "{id}", StringComparison.Ordinal));
        var document = await DocumentAsync(server);
        Assert.Equal(routes.Distinct().Order(StringComparer.Ordinal), document.GetProperty("paths").EnumerateObject().Select(p => p.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Each_mapped_operation_is_described_and_each_described_one_is_mapped()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        var served = await DocumentAsync(server);
        using var resource = typeof(ServerApp).Assembly.GetManifestResourceStream("openapi.json")!;
        using var written = await JsonDocument.ParseAsync(resource);
        Assert.Equal(Operations(written.RootElement), Operations(served));
        // What the framework finds by itself has no summary.
        Assert.All(served.GetProperty("paths").EnumerateObject().SelectMany(p => p.Value.EnumerateObject()), o => Assert.True(o.Value.TryGetProperty("summary", out _), o.Name));

        static List<string> Operations(JsonElement document) =>
            [.. document.GetProperty("paths").EnumerateObject().SelectMany(p => p.Value.EnumerateObject().Select(o => $"{o.Name} {p.Name}")).Order(StringComparer.Ordinal)];
    }

    [Fact]
    public async Task What_is_served_is_what_was_written()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var resource = typeof(ServerApp).Assembly.GetManifestResourceStream("openapi.json")!;
        var written = Sorted(await JsonNode.ParseAsync(resource))!;
        using var response = await server.GetAsync("/openapi/v1.json");
        Assert.Equal(written.ToJsonString(), Sorted(JsonNode.Parse(await response.Content.ReadAsStringAsync()))!.ToJsonString());

        // Neither the order of keys means anything nor that of types.
        static JsonNode? Sorted(JsonNode? node) => node switch
        {
            JsonObject map => new JsonObject(map.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => KeyValuePair.Create(p.Key,
                p is { Key: "type", Value: JsonArray types } ? new JsonArray([.. types.OrderBy(t => t!.ToString(), StringComparer.Ordinal).Select(t => t!.DeepClone())]) : Sorted(p.Value)))),
            JsonArray list => new JsonArray([.. list.Select(Sorted)]),
            _ => node?.DeepClone(),
        };
    }

    [Fact]
    public async Task Head_has_the_length_and_no_body()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var request = new HttpRequestMessage(HttpMethod.Head, "/openapi/v1.json");
        using var head = await server.Client.SendAsync(request);
        using var get = await server.GetAsync("/openapi/v1.json");
        Assert.Equal((await get.Content.ReadAsByteArrayAsync()).Length, head.Content.Headers.ContentLength);
        Assert.Empty(await head.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [InlineData("/v1/chat/completions", "ChatCompletionRequest", """{"model":"short","messages":[{"role":"user","content":"x"}]""")]
    [InlineData("/v1/completions", "CompletionRequest", """{"model":"short","prompt":"x" """)]
    [InlineData("/v1/responses", "ResponseRequest", """{"model":"short","input":"x" """)]
    [InlineData("/v1/messages", "MessagesRequest", """{"model":"short","messages":[{"role":"user","content":"x"}],"max_tokens":4""")]
    [InlineData("/v1/messages/count_tokens", "CountTokensRequest", """{"model":"short","messages":[{"role":"user","content":"x"}]""")]
    [InlineData("/v1/embeddings", "EmbeddingRequest", """{"model":"short","input":"x" """)]
    [InlineData("/pooling", "PoolingRequest", """{"model":"short","input":"x" """)]
    [InlineData("/tokenize", "TokenizeRequest", """{"model":"short","prompt":"x" """)]
    [InlineData("/detokenize", "DetokenizeRequest", """{"model":"short","tokens":[1]""")]
    public async Task Each_field_it_names_is_read_by_the_server(string path, string schema, string body)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."), s => s with { Limits = s.Limits with { RejectUnknownFields = true } });
        var properties = (await DocumentAsync(server)).GetProperty("components").GetProperty("schemas").GetProperty(schema).GetProperty("properties");
        foreach (var property in properties.EnumerateObject())
        {
            if (body.Contains($"\"{property.Name}\":", StringComparison.Ordinal) || path == "/tokenize" && property.Name is not ("return_token_strs" or "add_special_tokens")) continue;
            // Null is legal for each, so a refusal can only mean that the name is not known.
            using var response = await server.PostAsync(path, $$"""{{body}},"{{property.Name}}":null}""");
            Assert.True(response.IsSuccessStatusCode, $"{property.Name}: {await response.Content.ReadAsStringAsync()}");
        }
    }

    [Fact]
    public async Task Scores_are_read_and_written_as_it_says()
    {
        string folder = Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Fixtures", "process-reward");
        await using var server = await TestServer.StartAsync(Hosting.ModelLoading.LoadAsync,
            s => s with { Model = s.Model with { Name = folder }, Engine = s.Engine with { KvCacheMemory = 4 << 20 }, Limits = s.Limits with { RejectUnknownFields = true } });
        var schemas = (await DocumentAsync(server)).GetProperty("components").GetProperty("schemas");
        string nulls = string.Concat(schemas.GetProperty("ScoreRequest").GetProperty("properties").EnumerateObject().Select(p => p.Name)
            .Where(n => n is not ("model" or "text_1" or "text_2")).Select(n => $",\"{n}\":null"));
        using var response = await server.PostAsync("/v1/score", $$"""{"model":"process-reward","text_1":"x","text_2":"y<extra_0>"{{nulls}}}""");
        var answer = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, answer.GetRawText());
        Check(answer, schemas.GetProperty("ScoreList"), schemas, "$");
    }

    [Fact]
    public async Task Answers_and_chunks_have_no_key_that_it_does_not_name()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying(NodeTests.Calls));
        var schemas = (await DocumentAsync(server)).GetProperty("components").GetProperty("schemas");
        string body = ChatTests.Body("\"logprobs\":true,\"top_logprobs\":1,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\"}}]");
        using var whole = await server.PostAsync("/v1/chat/completions", body);
        Check(await TestServer.JsonAsync(whole), schemas.GetProperty("ChatCompletion"), schemas, "$");
        foreach (var chunk in ChatTests.Parse(await server.StreamAsync("/v1/chat/completions", body[..^1] + ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}")))
            Check(chunk, schemas.GetProperty("ChatCompletionChunk"), schemas, "$");
        using var completion = await server.PostAsync("/v1/completions", """{"model":"short","prompt":"x","logprobs":1,"echo":true}""");
        Check(await TestServer.JsonAsync(completion), schemas.GetProperty("Completion"), schemas, "$");
        const string message = """{"model":"short","messages":[{"role":"user","content":"x"}],"tools":[{"name":"get_weather","input_schema":{"type":"object"}}],"max_tokens":100""";
        using var blocks = await server.PostAsync("/v1/messages", message + "}");
        Check(await TestServer.JsonAsync(blocks), schemas.GetProperty("AnthropicMessage"), schemas, "$");
        using var stream = await server.PostAsync("/v1/messages", message + ",\"stream\":true}");
        foreach (string line in (await stream.Content.ReadAsStringAsync()).Split('\n').Where(l => l.StartsWith("data: ", StringComparison.Ordinal)))
            Check(JsonSerializer.Deserialize<JsonElement>(line["data: ".Length..]), schemas.GetProperty("AnthropicEvent"), schemas, "$");
        using var refused = await server.PostAsync("/v1/messages", "{}");
        Check(await TestServer.JsonAsync(refused), schemas.GetProperty("AnthropicError"), schemas, "$");
        foreach (var (path, schema) in new[] { ("/v1/embeddings", "EmbeddingList"), ("/pooling", "PoolingList") })
        {
            using var vectors = await server.PostAsync(path, """{"model":"short","input":["x","y"]}""");
            Check(await TestServer.JsonAsync(vectors), schemas.GetProperty(schema), schemas, "$");
        }
        Check(await TestServer.JsonAsync(await server.GetAsync("/v1/models")), schemas.GetProperty("ModelList"), schemas, "$");
        const string ask = """{"model":"short","input":"x","include":["message.output_text.logprobs"],"top_logprobs":1,"tools":[{"type":"function","name":"get_weather"}],"stream":STREAM}""";
        using var response = await server.PostAsync("/v1/responses", ask.Replace("STREAM", "false", StringComparison.Ordinal));
        Check(await TestServer.JsonAsync(response), schemas.GetProperty("Response"), schemas, "$");
        using var events = await server.PostAsync("/v1/responses", ask.Replace("STREAM", "true", StringComparison.Ordinal));
        foreach (var one in ResponsesTests.Parse(await events.Content.ReadAsStringAsync())) Check(one, schemas.GetProperty("ResponseStreamEvent"), schemas, "$");
    }

    private static async Task<JsonElement> DocumentAsync(TestServer server) => await TestServer.JsonAsync(await server.GetAsync("/openapi/v1.json"));

    /// <summary>Keys and required keys, as deep as the schema says; of alternatives, one has to fit.</summary>
    private static void Check(JsonElement value, JsonElement schema, JsonElement schemas, string path)
    {
        if (schema.TryGetProperty("$ref", out var reference)) schema = schemas.GetProperty(reference.GetString()!.Split('/')[^1]);
        if (schema.TryGetProperty("oneOf", out var alternatives))
        {
            if (value.ValueKind == JsonValueKind.Null) return;
            Check(value, alternatives.EnumerateArray().First(a => Fits(value, a, schemas)), schemas, path);
            return;
        }
        if (value.ValueKind == JsonValueKind.Array && schema.TryGetProperty("items", out var items))
            foreach (var element in value.EnumerateArray()) Check(element, items, schemas, path + "[]");
        if (value.ValueKind != JsonValueKind.Object || !schema.TryGetProperty("properties", out var properties)) return;
        foreach (var property in value.EnumerateObject())
        {
            Assert.True(properties.TryGetProperty(property.Name, out var own), $"{path}.{property.Name} is not documented");
            Check(property.Value, own, schemas, $"{path}.{property.Name}");
        }
        if (schema.TryGetProperty("required", out var required))
            Assert.All(required.EnumerateArray(), r => Assert.True(value.TryGetProperty(r.GetString()!, out _), $"{path}.{r} is missing"));
    }

    /// <summary>Alternatives that have a type each are told apart by it.</summary>
    private static bool Fits(JsonElement value, JsonElement schema, JsonElement schemas)
    {
        if (schema.TryGetProperty("$ref", out var reference)) schema = schemas.GetProperty(reference.GetString()!.Split('/')[^1]);
        return value.ValueKind != JsonValueKind.Object || !value.TryGetProperty("type", out var type) || !schema.TryGetProperty("properties", out var properties)
            || !properties.TryGetProperty("type", out var own) || !own.TryGetProperty("const", out var name) || name.GetString() == type.GetString();
    }
}
