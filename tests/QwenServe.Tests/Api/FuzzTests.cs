using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace QwenServe.Tests.Api;

public class FuzzTests
{
    /// <summary>QWENSERVE_FUZZ sets how many requests a run sends.</summary>
    private static readonly int Requests = int.TryParse(Environment.GetEnvironmentVariable("QWENSERVE_FUZZ"), out int n) ? n : 2000;

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
        ("/tokenize", """{"model":"short","prompt":"x","return_token_strs":true}"""),
        ("/detokenize", """{"model":"short","tokens":[1,2,3]}"""),
    ];

    private static readonly string[] Values =
    [
        "null", "true", "false", "0", "-1", "1", "1.5", "1e999", "-1e999", "99999999999999999999", "2147483648", "9223372036854775807", "\"\"", "\"x\"", "\"\\ud800\"", "\"\\u0000\"",
        "[]", "[null]", "[[]]", "{}", "{\"a\":null}", "[1,\"a\",{}]", "\"<|im_end|>\"", "\"required\"", "{\"type\":\"function\"}", "\"none\"", "NaN", "",
    ];

    [Fact]
    public async Task No_request_breaks_the_server_or_leaves_anything_behind()
    {
        var model = ScriptedModel.Saying("A short answer.");
        await using var server = await TestServer.StartAsync(model);
        var random = new Random(20260817);
        var bodies = Enumerable.Range(0, Requests).Select(_ => Mutate(random)).ToList();
        await Parallel.ForEachAsync(bodies, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (request, cancel) =>
        {
            using var content = new ByteArrayContent(request.Body);
            content.Headers.ContentType = new("application/json");
            using var response = await server.Client.PostAsync(new Uri(request.Path, UriKind.Relative), content, cancel);
            string text = await response.Content.ReadAsStringAsync(cancel);
            bool expected = response.StatusCode is HttpStatusCode.OK or HttpStatusCode.BadRequest or HttpStatusCode.NotFound or HttpStatusCode.RequestEntityTooLarge;
            Assert.True(expected, $"{(int)response.StatusCode} for {request.Path} {Encoding.UTF8.GetString(request.Body)}: {text}");
            Assert.DoesNotContain("\"error\":{\"message\":\"The server had an error", text, StringComparison.Ordinal);
            if (response.StatusCode != HttpStatusCode.OK) Assert.NotNull(JsonNode.Parse(text)!["error"]!["message"]);
        });
        await ChatTests.IdleAsync(model);
        Assert.Equal(0, model.Engine!.Metrics.KvUsage);
    }

    private static (string Path, byte[] Body) Mutate(Random random)
    {
        var (path, body) = Seeds[random.Next(Seeds.Length)];
        byte[] bytes = Encoding.UTF8.GetBytes(random.Next(3) > 0 ? ReplaceValue(body, random) : body);
        if (random.Next(3) > 0) return (path, bytes);
        var mutated = bytes.ToList();
        for (int i = random.Next(1, 4); i > 0; i--)
        {
            int at = random.Next(mutated.Count);
            switch (random.Next(4))
            {
                case 0: mutated[at] = (byte)random.Next(256); break;
                case 1: mutated.RemoveAt(at); break;
                case 2: mutated.Insert(at, (byte)"{}[]\",:\\0"[random.Next(9)]); break;
                default: mutated.RemoveRange(at, Math.Min(random.Next(20), mutated.Count - at)); break;
            }
            if (mutated.Count == 0) break;
        }
        return (path, [.. mutated]);
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
