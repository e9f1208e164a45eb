using System.Net;
using System.Text;
using System.Text.Json;
using QwenServe.OpenAI.Wire;

namespace QwenServe.Tests.Api;

public class EnvelopeTests
{
    [Theory]
    [InlineData("GET", "/nowhere", 404, "unknown_url")]
    [InlineData("DELETE", "/v1/models", 405, null)]
    [InlineData("GET", "/v1/models/other", 404, "model_not_found")]
    public async Task Every_refusal_has_the_four_keys_of_the_envelope(string method, string path, int status, string? code)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        var response = await server.Client.SendAsync(request);
        Assert.Equal(status, (int)response.StatusCode);
        var error = (await TestServer.JsonAsync(response)).GetProperty("error");
        Assert.Equal(["code", "message", "param", "type"], error.EnumerateObject().Select(p => p.Name).Order(StringComparer.Ordinal));
        Assert.Equal(code, error.GetProperty("code").GetString());
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        if (status == 405) Assert.Contains("GET", response.Content.Headers.Allow);
    }

    [Theory]
    [InlineData("/v1/models/org/name")]
    [InlineData("/v1/models/org%2Fname")]
    [InlineData("/v1/models/short")]
    public async Task A_model_is_found_with_its_slash_encoded_or_not(string path)
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        var model = await TestServer.JsonAsync(await server.GetAsync(path));
        Assert.Contains(model.GetProperty("id").GetString(), new[] { "org/name", "short" });
        Assert.Equal(ScriptedModel.MaxModelLen, model.GetProperty("max_model_len").GetInt32());
        Assert.Equal(JsonValueKind.Number, model.GetProperty("created").ValueKind);
        Assert.DoesNotContain('.', model.GetProperty("created").GetRawText());
    }

    [Fact]
    public async Task Head_is_answered_without_a_body()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        using var request = new HttpRequestMessage(HttpMethod.Head, "/v1/models");
        var response = await server.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Empty(await response.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task Each_answer_has_a_request_id_and_echoes_the_clients()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        Assert.StartsWith("req_", (await server.GetAsync("/nowhere")).Headers.GetValues("x-request-id").Single(), StringComparison.Ordinal);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.Add("x-request-id", "mine-7");
        Assert.Equal("mine-7", (await server.Client.SendAsync(request)).Headers.GetValues("x-request-id").Single());
    }

    [Fact]
    public async Task A_key_is_asked_for_on_the_api_and_not_on_probes()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."), s => s with { Server = s.Server with { ApiKeys = ["good", "better"] } });
        var missing = await server.GetAsync("/v1/models");
        Assert.Equal(HttpStatusCode.Unauthorized, missing.StatusCode);
        Assert.Single(missing.Headers.WwwAuthenticate);
        Assert.Equal(JsonValueKind.Null, (await TestServer.JsonAsync(missing)).GetProperty("error").GetProperty("code").ValueKind);
        Assert.Equal(HttpStatusCode.OK, (await server.GetAsync("/livez")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await server.GetAsync("/metrics")).StatusCode);

        server.Client.DefaultRequestHeaders.Authorization = new("Bearer", "bad");
        var wrong = await server.GetAsync("/v1/models");
        Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
        Assert.Equal("invalid_api_key", (await TestServer.JsonAsync(wrong)).GetProperty("error").GetProperty("code").GetString());
        server.Client.DefaultRequestHeaders.Authorization = new("Bearer", "better");
        Assert.Equal(HttpStatusCode.OK, (await server.GetAsync("/v1/models")).StatusCode);
    }

    [Fact]
    public async Task A_browser_may_send_the_headers_of_the_SDKs_from_any_origin()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."), s => s with { Server = s.Server with { ApiKeys = ["key"] } });
        using var preflight = new HttpRequestMessage(HttpMethod.Options, "/v1/chat/completions");
        preflight.Headers.Add("Origin", "http://example.org");
        preflight.Headers.Add("Access-Control-Request-Method", "POST");
        preflight.Headers.Add("Access-Control-Request-Headers", "authorization,content-type,x-stainless-os");
        var response = await server.Client.SendAsync(preflight);
        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.Equal("*", response.Headers.GetValues("Access-Control-Allow-Origin").Single());
        string allowed = response.Headers.GetValues("Access-Control-Allow-Headers").Single();
        Assert.Contains("authorization", allowed, StringComparison.Ordinal);
        Assert.Contains("x-stainless-os", allowed, StringComparison.Ordinal);
        using var actual = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        actual.Headers.Add("Origin", "http://example.org");
        // A page must be able to read why it was refused.
        Assert.Equal("*", (await server.Client.SendAsync(actual)).Headers.GetValues("Access-Control-Allow-Origin").Single());
    }

    [Fact]
    public async Task Metrics_count_requests_under_the_names_dashboards_know()
    {
        await using var server = await TestServer.StartAsync(ScriptedModel.Saying("Hi."));
        for (int i = 0; i < 3; i++) await server.GetAsync("/v1/models");
        await server.GetAsync("/nowhere");
        var response = await server.GetAsync("/metrics");
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        string text = await response.Content.ReadAsStringAsync();
        Assert.Contains("""http_requests_total{handler="/v1/models",method="GET",status="2xx"} 3""", text, StringComparison.Ordinal);
        Assert.Contains("""http_requests_total{handler="none",method="GET",status="4xx"} 1""", text, StringComparison.Ordinal);
        Assert.Contains("""http_request_duration_highr_seconds_bucket{le="+Inf"} 4""", text, StringComparison.Ordinal);
        Assert.Contains("""http_request_duration_highr_seconds_bucket{le="0.01"}""", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"a":"x"}""", """{"a":"x"}""")]
    [InlineData("""{"a":"\ud83d\ude00"}""", """{"a":"\ud83d\ude00"}""")]
    [InlineData("""{"a":"\ud83d"}""", """{"a":"\uFFFD"}""")]
    [InlineData("""{"a":"\ude00\ud83d"}""", """{"a":"\uFFFD\uFFFD"}""")]
    [InlineData("""{"a":"\ud83d\ud83d\ude00"}""", """{"a":"\uFFFD\ud83d\ude00"}""")]
    [InlineData("""{"a":"\\ud83d\u00e9"}""", """{"a":"\\ud83d\u00e9"}""")]
    [InlineData("""{"a":"\uDBFFx\u""", """{"a":"\uFFFDx\u""")]
    public void Half_a_surrogate_pair_becomes_the_replacement_character(string json, string expected)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(json);
        RequestBody.ReplaceLoneSurrogates(bytes);
        Assert.Equal(expected, Encoding.UTF8.GetString(bytes));
    }
}
