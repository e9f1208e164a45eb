using System.Text.Json;
using QwenServe.Text.Chat;

namespace QwenServe.Tests.Api;

/// <summary>Models whose template opens the reasoning, as QwQ's does: with a template like it, and with the published one where that is there.</summary>
public class ReasoningTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Tools = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\",\"parameters\":{\"type\":\"object\",\"properties\":{\"floor\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9}},\"required\":[\"floor\"],\"additionalProperties\":false}}}]";
    private const string Call = "<tool_call>\n{\"name\": \"look\", \"arguments\": {\"floor\": 2}}\n</tool_call>";

    private const string Template = """
        {%- if tools %}{{- '<|im_start|>system\n' }}{%- for tool in tools %}{{- tool | tojson }}{%- endfor %}{{- '<|im_end|>\n' }}{%- endif %}
        {%- for message in messages %}
            {%- set content = message.content %}
            {%- if message.role == 'assistant' and not loop.last %}{%- set content = content.split('</think>')[-1].lstrip('\n') %}{%- endif %}
            {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>\n' }}
        {%- endfor %}
        {%- if add_generation_prompt %}{{- '<|im_start|>assistant\n<think>\n' }}{%- endif %}
        """;

    public static TheoryData<string, string> Outputs => new()
    {
        { "Two and two.\n</think>\n\nFour.", AssembledStream.Text("Four.", "Two and two.", [], "stop") },
        { "<think>\nA < b\n\nor so</think>Four.\n", AssembledStream.Text("Four.\n", "A < b\n\nor so", [], "stop") },
        { "It never ends", AssembledStream.Text("", "It never ends", [], "stop") },
        { "</think>\n\nAt once.", AssembledStream.Text("At once.", null, [], "stop") },
        { "Look: " + Call + "\n</think>\n\nSeen. " + Call, AssembledStream.Text("Seen. ", "Look: " + Call, [("look", "{\"floor\": 2}")], "tool_calls") },
        { "Hm.\n</think>\n\n" + Call + "\n" + Call, AssembledStream.Text(null, "Hm.", [("look", "{\"floor\": 2}"), ("look", "{\"floor\": 2}")], "tool_calls") },
    };

    [Theory]
    [MemberData(nameof(Outputs))]
    public Task Thoughts_are_the_reasoning_and_what_follows_is_the_answer_at_every_length_streamed_or_not(string output, string expected) => CheckAsync(Template, output, expected);

    [SharedDataTheory]
    [MemberData(nameof(Outputs))]
    public Task The_same_holds_with_the_template_of_QwQ(string output, string expected) => CheckAsync(Published(), output, expected);

    [SharedDataFact]
    public Task QwQ_is_asked_with_the_open_tag_and_without_its_former_thoughts() => CheckHistoryAsync(Published());

    [Fact]
    public Task Former_thoughts_are_dropped_as_the_template_drops_them() => CheckHistoryAsync(Template);

    [Fact]
    public async Task Reasoning_tokens_are_counted_and_may_be_left_out_of_the_answer()
    {
        await using var server = await StartAsync(Template, "Two and two.\n</think>\n\nFour.");
        int thoughts = ScriptedModel.Tokenizer.Encode("Two and two.\n</think>\n\n").Length;
        foreach (bool include in new[] { true, false })
        {
            string more = include ? "\"include_reasoning\":true" : "\"include_reasoning\":false";
            var whole = await AnswerAsync(server, more);
            Assert.Equal(thoughts, whole.GetProperty("usage").GetProperty("completion_tokens_details").GetProperty("reasoning_tokens").GetInt32());
            var chunks = ChatTests.Parse(await server.StreamAsync(Chat, ChatTests.Body(more + ",\"stream\":true,\"stream_options\":{\"include_usage\":true}")));
            Assert.Equal(thoughts, chunks[^1].GetProperty("usage").GetProperty("completion_tokens_details").GetProperty("reasoning_tokens").GetInt32());
            string expected = AssembledStream.Text("Four.", include ? "Two and two." : null, [], "stop");
            Assert.Equal(expected, AssembledStream.OfWhole(whole.GetProperty("choices")[0]));
            Assert.Equal(expected, AssembledStream.Of(chunks));
        }
    }

    [Theory]
    [InlineData("\"tool_choice\":\"required\"")]
    [InlineData("\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"look\"}}")]
    public async Task A_demanded_call_comes_after_the_reasoning(string choice)
    {
        // In the reasoning anything goes; what comes behind it would be no call, or a call beside its schema.
        foreach (string answer in new[] { Call, "No, I will not.", "<tool_call>\n{\"name\": \"look\", \"arguments\": {\"floor\": 77}}\n</tool_call>" })
        {
            await using var server = await StartAsync(Template, "No call? " + Call + " {\"floor\": 77}\n</think>\n\n" + answer);
            for (int most = 60; most <= 200; most += 70)
            {
                string more = $"{Tools},{choice},\"max_tokens\":{most}";
                var whole = (await AnswerAsync(server, more)).GetProperty("choices")[0];
                var message = whole.GetProperty("message");
                Assert.StartsWith("No call? ", message.GetProperty("reasoning_content").GetString(), StringComparison.Ordinal);
                if (whole.GetProperty("finish_reason").GetString() == "tool_calls")
                {
                    Assert.Equal(JsonValueKind.Null, message.GetProperty("content").ValueKind);
                    foreach (var call in message.GetProperty("tool_calls").EnumerateArray())
                        Assert.Matches("""^\{"floor": ?[1-9]\}$""", call.GetProperty("function").GetProperty("arguments").GetString());
                }
                else
                {
                    Assert.Equal("length", whole.GetProperty("finish_reason").GetString());
                    Assert.True(string.IsNullOrEmpty(message.GetProperty("content").GetString()) || "<tool_call>\n{\"name\": \"".StartsWith(message.GetProperty("content").GetString()![..1], StringComparison.Ordinal));
                }
                Assert.Equal(AssembledStream.OfWhole(whole), AssembledStream.Of(ChatTests.Parse(await server.StreamAsync(Chat, ChatTests.Body(more + ",\"stream\":true")))));
                if (answer == Call && most == 200) Assert.Equal("tool_calls", whole.GetProperty("finish_reason").GetString());
            }
        }
    }

    [Fact]
    public async Task A_format_holds_for_the_answer_and_not_for_the_reasoning()
    {
        string format = StructuredOutputTests.Format("""{"type":"object","properties":{"floor":{"type":"integer","minimum":1,"maximum":9}},"required":["floor"],"additionalProperties":false}""");
        foreach (string answer in new[] { "{\"floor\": 7}", "{\"floor\": 77}", "Seven." })
        {
            await using var server = await StartAsync(Template, "Is it 77?\n</think>\n\n" + answer);
            var choice = (await AnswerAsync(server, format + ",\"max_tokens\":200")).GetProperty("choices")[0];
            Assert.Equal("Is it 77?", choice.GetProperty("message").GetProperty("reasoning_content").GetString());
            if (choice.GetProperty("finish_reason").GetString() != "stop") continue;
            using var json = JsonDocument.Parse(StructuredOutputTests.Content(choice));
            Assert.InRange(json.RootElement.GetProperty("floor").GetInt32(), 1, 9);
        }
    }

    private static async Task CheckAsync(string template, string output, string expected)
    {
        string? prompt = null;
        await using var server = await StartAsync(template, output, p => prompt = p);
        int length = ScriptedModel.Tokenizer.Encode(output).Length + 1;
        for (int most = 1; most <= length; most++)
        {
            string more = $"{Tools},\"max_tokens\":{most}";
            string whole = AssembledStream.OfWhole((await AnswerAsync(server, more)).GetProperty("choices")[0]);
            Assert.Equal(whole, AssembledStream.Of(ChatTests.Parse(await server.StreamAsync(Chat, ChatTests.Body(more + ",\"stream\":true")))));
            if (most == length) Assert.Equal(expected, whole);
            else Assert.EndsWith("\"finish\":\"length\"}", whole, StringComparison.Ordinal);
        }
        Assert.EndsWith("<|im_start|>assistant\n<think>\n", prompt, StringComparison.Ordinal);
    }

    private static async Task CheckHistoryAsync(string template)
    {
        string? prompt = null;
        await using var server = await StartAsync(template, "Hm.\n</think>\n\nYes.", p => prompt = p);
        foreach (string old in new[]
        {
            """{"role":"assistant","content":"<think>\nsecret\n</think>\n\nAn answer."}""",
            """{"role":"assistant","content":"An answer.","reasoning_content":"secret"}""",
            """{"role":"assistant","content":"An answer.","reasoning":"secret"}""",
            """{"role":"assistant","content":"An answer.","reasoning_content":null,"reasoning":null}""",
        })
        {
            using var response = await server.PostAsync(Chat, $$"""{"model":"short","messages":[{"role":"user","content":"One?"},{{old}},{"role":"user","content":"Two?"}]}""");
            Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
            Assert.Equal("<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\nAn answer.<|im_end|>\n<|im_start|>user\nTwo?<|im_end|>\n<|im_start|>assistant\n<think>\n", prompt);
        }
    }

    private static string Published() => File.ReadAllText(Path.Combine(Repository.Shared!, "data", "chat-templates", "QwQ-32B.jinja"));

    private static Task<TestServer> StartAsync(string template, string output, Action<string>? seen = null)
    {
        var model = ScriptedModel.Saying(prompt =>
        {
            seen?.Invoke(prompt);
            return output;
        });
        model.Template = ChatTemplate.Parse(template);
        model.Options = o => o with { MaxModelLength = 2048 };
        return TestServer.StartAsync(model);
    }

    private static async Task<JsonElement> AnswerAsync(TestServer server, string more)
    {
        using var response = await server.PostAsync(Chat, ChatTests.Body(more));
        var json = await TestServer.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, json.GetRawText());
        return json;
    }
}
