using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;

namespace QwenServe.Tests.Api;

public class FuzzTests
{
    /// <summary>QWENSERVE_FUZZ sets how many requests a run sends.</summary>
    private static readonly int Requests = int.TryParse(Environment.GetEnvironmentVariable("QWENSERVE_FUZZ"), out int n) ? n : 1500;

    private static readonly (string Path, string Body)[] Seeds =
    [
        ("/v1/chat/completions", """{"model":"short","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"x"}]}],"temperature":0.5,"top_p":0.9,"n":2,"stop":["a","b"],"max_tokens":4,"logit_bias":{"5":1.5},"logprobs":true,"top_logprobs":2,"seed":7,"presence_penalty":0.1,"frequency_penalty":0.1,"top_k":3,"min_p":0.1,"repetition_penalty":1.1,"min_tokens":1,"stop_token_ids":[3]}"""),
        ("/v1/chat/completions", """{"model":"short","messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"string"}}},"strict":false}}],"tool_choice":"auto","parallel_tool_calls":true,"stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":5,"response_format":{"type":"text"},"chat_template_kwargs":{"a":[1]}}"""),
        ("/v1/completions", """{"model":"short","prompt":["x","y"],"max_tokens":3,"echo":true,"logprobs":2,"n":2,"best_of":2,"stream":false,"prompt_logprobs":1,"suffix":null,"user":"u"}"""),
        ("/v1/completions", """{"model":"short","prompt":[[1,2],[3]],"max_tokens":3,"stream":true,"cache_salt":"s","ignore_eos":true}"""),
        ("/v1/completions", """{"model":"short","prompt":"a","suffix":"b","max_tokens":2,"repository":{"name":"r","path":"p","files":[{"path":"q","content":"c"}]}}"""),
        ("/v1/chat/completions", """{"model":"short","messages":[{"role":"user","content":"x"}],"max_tokens":6,"min_tokens":2,"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object","properties":{"a":{"type":"string","pattern":"^x+$","maxLength":4},"b":{"anyOf":[{"type":"integer","minimum":1},{"$ref":"#/$defs/c"}]}},"required":["a"],"additionalProperties":false,"$defs":{"c":{"enum":[1,"a",null]}}}}}}"""),
        ("/v1/chat/completions", """{"model":"short","messages":[{"role":"user","content":"x"}],"max_tokens":6,"tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","properties":{"a":{"type":"array","items":{"type":"number"},"maxItems":2}}}}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}}]}},"parallel_tool_calls":false,"stream":true}"""),
        ("/v1/completions", """{"model":"short","prompt":"x","max_tokens":4,"structured_outputs":{"regex":"(a|b[0-9]{2})+","json":null},"ignore_eos":true}"""),
        ("/v1/completions", """{"model":"short","prompt":"x","max_tokens":4,"guided_grammar":"root ::= \"a\" [b-d]* rest{1,3}\nrest ::= \"x\" | \"(\" root \")\"","n":2}"""),
        ("/v1/responses", """{"model":"short","input":[{"role":"developer","content":"d"},{"role":"user","content":[{"type":"input_text","text":"x"}]},{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"s"}],"content":[{"type":"reasoning_text","text":"t"}]},{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"y","annotations":[]},{"type":"refusal","refusal":"no"}]},{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"o"}]}],"instructions":"i","max_output_tokens":5,"stream":true,"stream_options":{"include_obfuscation":true},"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"integer","minimum":1}}},"strict":true}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]},"parallel_tool_calls":false,"truncation":"auto","previous_response_id":null}"""),
        ("/v1/responses", """{"model":"short","input":"x","text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object","properties":{"a":{"enum":[1,"b"]}}},"strict":true},"verbosity":"low"},"reasoning":{"effort":"low","summary":"auto"},"include":["message.output_text.logprobs","reasoning.encrypted_content"],"top_logprobs":2,"metadata":{"k":"v"},"temperature":0.5,"top_p":0.9,"max_output_tokens":6,"max_tool_calls":2,"background":false,"store":true,"user":"u","service_tier":"auto","prompt_cache_key":"p"}"""),
        ("/v1/responses/input_tokens", """{"model":"short","input":[{"type":"message","role":"user","content":"x"},{"type":"item_reference","id":"msg_1"}],"tools":[{"type":"function","name":"f"}],"tool_choice":"required"}"""),
        ("/v1/messages", """{"model":"short","max_tokens":5,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":""},{"type":"text","text":"a"},{"type":"tool_use","id":"c","name":"f","input":{"a":"b"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":[{"type":"text","text":"r"}],"is_error":false},{"type":"text","text":"y"}]}],"tools":[{"name":"f","description":"d","input_schema":{"type":"object","properties":{"a":{"type":"string"}}},"strict":true}],"tool_choice":{"type":"any","disable_parallel_tool_use":true},"stop_sequences":["q"],"temperature":0.5,"top_p":0.9,"top_k":4,"metadata":{"user_id":"u"},"stream":true}"""),
        ("/v1/messages", """{"model":"short","max_tokens":4,"messages":[{"role":"user","content":[{"type":"text","text":"x"}]},{"role":"assistant","content":"y"}],"thinking":{"type":"enabled","budget_tokens":1024},"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"a":{"enum":[1,2]}},"required":["a"]}}}}"""),
        ("/v1/messages/count_tokens", """{"model":"short","system":"s","messages":[{"role":"user","content":"x"}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}"""),
        ("/v1/embeddings", """{"model":"short","input":["x","y"],"encoding_format":"base64","dimensions":4,"pooling":"mean","normalize":true,"truncate_prompt_tokens":3,"cache_salt":"s","user":"u"}"""),
        ("/v1/embeddings", """{"model":"short","input":[[1,2],[3]],"encoding_format":"float","priority":0,"timeout":60}"""),
        ("/pooling", """{"model":"short","messages":[[{"role":"user","content":"x"}],[{"role":"user","content":"y"}]],"add_generation_prompt":true}"""),
        ("/tokenize", """{"model":"short","prompt":"x","return_token_strs":true}"""),
        ("/detokenize", """{"model":"short","tokens":[1,2,3]}"""),
    ];

    private static readonly (string Path, string Body)[] ScoreSeeds =
    [
        ("/v1/score", """{"model":"process-reward","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"a<extra_0>b<extra_0>"}],"cache_salt":"s","chat_template_kwargs":{"a":1}}"""),
        ("/v1/score", """{"model":"process-reward","messages":[[{"role":"user","content":"x"},{"role":"assistant","content":"a<extra_0>"}],[{"role":"assistant","content":"<extra_0>"}]],"add_generation_prompt":true}"""),
        ("/score", """{"model":"process-reward","text_1":["x","y"],"text_2":["a<extra_0>","b<extra_0>"]}"""),
        ("/score", """{"model":"process-reward","queries":"x","documents":["a<extra_0>","b<extra_0>"]}"""),
        ("/pooling", """{"model":"process-reward","input":[[1,2,259],[259]],"encoding_format":"float"}"""),
        ("/v1/embeddings", """{"model":"process-reward","input":"x<extra_0>","dimensions":3}"""),
    ];

    private static readonly string[] Values =
    [
        "null", "true", "false", "0", "-1", "1", "1.5", "1e999", "-1e999", "99999999999999999999", "2147483648", "9223372036854775807", "\"\"", "\"x\"", "\"\\ud800\"", "\"\\u0000\"",
        "[]", "[null]", "[[]]", "{}", "{\"a\":null}", "[1,\"a\",{}]", "\"<|im_end|>\"", "\"required\"", "{\"type\":\"function\"}", "\"none\"", "NaN", "",
    ];

    private static readonly (string Name, string Value)[] Headers =
    [
        ("Content-Type", "application/json; charset=utf-16"), ("Content-Type", "text/plain"), ("Content-Type", "application/vnd.api+json"), ("Content-Type", ";;;"), ("Content-Type", ""),
        ("Content-Encoding", "gzip"), ("Accept", "text/html"), ("Accept-Encoding", "br, gzip"), ("Authorization", "Bearer"), ("Authorization", "Basic ????"), ("x-api-key", "\u0001"),
        ("x-request-id", "a b"), ("x-request-id", "\u00e9"), ("Origin", "null"), ("Origin", "http://[::"), ("Expect", "100-continue"), ("x-stainless-retry-count", "-1"), ("x-stainless-timeout", "NaN"),
        ("traceparent", "00-zz-zz-00"), ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), ("x-priority", "99999999999"), ("x-tenant", "\u0000"), ("Range", "bytes=0-1"),
        ("If-None-Match", "*"), ("Cookie", "a=b; a"), ("X-Forwarded-For", "::1, x"), ("X-HTTP-Method-Override", "DELETE"), ("Connection", "close"), ("Host", "other.example"),
    ];

    [Fact]
    public async Task No_request_breaks_the_server_or_leaves_anything_behind()
    {
        var model = ScriptedModel.Saying("A short answer.");
        await using var server = await TestServer.StartAsync(model);
        var random = new Random(20260817);
        var requests = Enumerable.Range(0, Requests).Select(_ => (Body: Mutate(random), Headers: random.GetItems(Headers, random.Next(4) == 0 ? random.Next(1, 4) : 0).DistinctBy(h => h.Name).ToList(), Leaves: random.Next(25) == 0 ? random.Next(30) : -1)).ToList();
        await Parallel.ForEachAsync(requests, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (request, cancel) =>
        {
            var (path, body) = request.Body;
            using var message = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
            message.Content.Headers.ContentType = new("application/json");
            foreach (var (name, value) in request.Headers)
            {
                if (name.StartsWith("Content", StringComparison.Ordinal)) message.Content.Headers.Remove(name);
                if (!message.Headers.TryAddWithoutValidation(name, value)) message.Content.Headers.TryAddWithoutValidation(name, value);
            }
            using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            if (request.Leaves >= 0) leaving.CancelAfter(request.Leaves);
            string asked = $"{path} {string.Join(", ", request.Headers)} {Encoding.UTF8.GetString(body)}";
            try
            {
                using var response = await server.Client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, leaving.Token);
                string text = await response.Content.ReadAsStringAsync(leaving.Token);
                Assert.True((int)response.StatusCode is 200 or 400 or 404 or 413 or 415, $"{(int)response.StatusCode} for {asked}: {text}");
                Assert.False(text.Contains("\"error\":{\"message\":\"The server had an error", StringComparison.Ordinal), $"{asked}: {text}");
                // What is no HTTP header is refused below us, without a body.
                if (response.StatusCode == HttpStatusCode.BadRequest && text.Length == 0 && request.Headers.Any(h => h.Value.Any(char.IsControl))) return;
                Assert.False(text.Length == 0, $"nothing but {(int)response.StatusCode} for {asked}");
                if (response.StatusCode != HttpStatusCode.OK) Assert.NotNull(JsonNode.Parse(text)!["error"]!["message"]);
                else if (response.Content.Headers.ContentType!.MediaType == "text/event-stream") Assert.EndsWith("\n\n", text, StringComparison.Ordinal);
                else Assert.NotNull(JsonNode.Parse(text));
            }
            catch (OperationCanceledException) when (request.Leaves >= 0)
            {
                // It has left, as some do.
            }
            catch (HttpRequestException e) when (e.InnerException is not IOException)
            {
                // The client itself refused to send such a header.
            }
        });
        await RequireNothingLeftAsync(server, model);
    }

    [Fact]
    public async Task No_request_breaks_a_reward_model_or_leaves_anything_behind()
    {
        string folder = Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Fixtures", "process-reward");
        await using var server = await TestServer.StartAsync(Hosting.ModelLoading.LoadAsync, s => s with { Model = s.Model with { Name = folder }, Engine = s.Engine with { KvCacheMemory = 4 << 20 } });
        var random = new Random(20260819);
        var requests = Enumerable.Range(0, Requests / 5).Select(_ => Mutate(random, ScoreSeeds)).ToList();
        await Parallel.ForEachAsync(requests, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (request, cancel) =>
        {
            using var content = new ByteArrayContent(request.Body);
            content.Headers.ContentType = new("application/json");
            using var response = await server.Client.PostAsync(new Uri(request.Path, UriKind.Relative), content, cancel);
            string text = await response.Content.ReadAsStringAsync(cancel);
            Assert.True((int)response.StatusCode is 200 or 400 or 404, $"{(int)response.StatusCode} for {request.Path} {Encoding.UTF8.GetString(request.Body)}: {text}");
            if (response.StatusCode != HttpStatusCode.OK) Assert.NotNull(JsonNode.Parse(text)!["error"]!["message"]);
        });
        var engine = server.App.Services.GetRequiredService<Hosting.ModelHost>().Find(null).Engine;
        await TestServer.UntilAsync(() => engine.Metrics.Running + engine.Metrics.Waiting == 0, "the engine is idle");
        Assert.Equal(0, engine.Metrics.KvUsage);
        Assert.Null(engine.Health.Fault);
    }

    /// <summary>What no client library would send: bytes of an HTTP request, cut, doubled or overwritten.</summary>
    [Fact]
    public async Task No_bytes_break_the_server_or_leave_anything_behind()
    {
        var model = ScriptedModel.Saying("A short answer.");
        await using var server = await TestServer.StartAsync(model);
        var random = new Random(20260818);
        var requests = Enumerable.Range(0, Requests / 10).Select(_ =>
        {
            var (path, body) = Mutate(random);
            byte[] head = Encoding.ASCII.GetBytes($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n");
            return MutateBytes([.. head, .. body], random);
        }).ToList();
        await Parallel.ForEachAsync(requests, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (request, cancel) =>
        {
            using var tcp = new TcpClient();
            await tcp.ConnectAsync(server.App.Address.Host, server.App.Address.Port, cancel);
            var stream = tcp.GetStream();
            string text = "";
            try
            {
                await stream.WriteAsync(request, cancel);
                // No more will come: whatever is still waited for has failed.
                tcp.Client.Shutdown(SocketShutdown.Send);
                using var reader = new StreamReader(stream, Encoding.UTF8);
                text = await reader.ReadToEndAsync(cancel).WaitAsync(TimeSpan.FromSeconds(60), cancel);
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                // Cut off, as is right for what is no HTTP.
            }
            if (text.Length > 0) Assert.Matches(@"^HTTP/1\.1 (100|200|4\d\d|505)", text);
        });
        await RequireNothingLeftAsync(server, model);
    }

    /// <summary>No sequence, no block, no request; the engine's own check of its blocks, made as it goes idle, has found nothing; and it still answers.</summary>
    private static async Task RequireNothingLeftAsync(TestServer server, ScriptedModel model)
    {
        await ChatTests.IdleAsync(model);
        using (var response = await server.PostAsync("/v1/completions", """{"model":"short","prompt":"x"}""")) Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await ChatTests.IdleAsync(model);
        Assert.Equal(0, model.Engine!.Metrics.KvUsage);
        Assert.Null(model.Engine.Health.Fault);
        var lifecycle = server.App.Services.GetRequiredService<Hosting.Lifecycle>();
        for (int i = 0; i < 500 && lifecycle.Running > 0; i++) await Task.Delay(10);
        Assert.Equal(0, lifecycle.Running);
    }

    private static (string Path, byte[] Body) Mutate(Random random, (string Path, string Body)[]? seeds = null)
    {
        seeds ??= Seeds;
        var (path, body) = seeds[random.Next(seeds.Length)];
        byte[] bytes = Encoding.UTF8.GetBytes(random.Next(3) > 0 ? ReplaceValue(body, random) : body);
        if (random.Next(3) > 0) return (path, bytes);
        return (path, MutateBytes(bytes, random));
    }

    private static byte[] MutateBytes(byte[] bytes, Random random)
    {
        var mutated = bytes.ToList();
        for (int i = random.Next(1, 4); i > 0 && mutated.Count > 0; i--)
        {
            int at = random.Next(mutated.Count);
            switch (random.Next(5))
            {
                case 0: mutated[at] = (byte)random.Next(256); break;
                case 1: mutated.RemoveAt(at); break;
                case 2: mutated.Insert(at, (byte)"{}[]\",:\\0"[random.Next(9)]); break;
                case 3: mutated.InsertRange(at, mutated.GetRange(at, Math.Min(random.Next(40), mutated.Count - at))); break;
                default: mutated.RemoveRange(at, Math.Min(random.Next(20), mutated.Count - at)); break;
            }
        }
        return [.. mutated];
    }

    /// <summary>Puts another value in a random place of the document.</summary>
    private static string ReplaceValue(string body, Random random)
    {
        var root = JsonNode.Parse(body)!;
        var places = new List<JsonNode>();
        void Visit(JsonNode? node)
        {
            if (node is null) return;
            places.Add(node);
            if (node is JsonObject o)
                foreach (var (_, value) in o) Visit(value);
            if (node is JsonArray a)
                foreach (var value in a) Visit(value);
        }
        Visit(root);
        var target = places[random.Next(1, places.Count)];
        const string mark = "\"@@@\"";
        target.ReplaceWith("@@@");
        return root.ToJsonString().Replace(mark, Values[random.Next(Values.Length)], StringComparison.Ordinal);
    }
}
