using QwenServe.Text;
using QwenServe.Text.Chat;

namespace QwenServe.Tests.Chat;

public class ChatTemplateTests
{
    private const string Names = "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}";

    private static Conversation Say(params (string Role, string? Content)[] messages) =>
        new() { Messages = [.. messages.Select(m => new ConversationMessage { Role = m.Role, Content = m.Content })] };

    [JinjaFact(shared: true)]
    public void Renders_the_templates_of_the_family_as_Jinja2_does()
    {
        using var reference = JinjaReference.Start();
        var directory = Path.Combine(Repository.Shared!, "data", "chat-templates");
        var files = Directory.GetFiles(directory, "*.jinja");
        Assert.NotEmpty(files);
        foreach (string file in files)
        {
            string source = File.ReadAllText(file);
            var template = ChatTemplate.Parse(source);
            for (int seed = 0; seed < 150; seed++)
            {
                var conversation = new ConversationGenerator(seed).Next();
                var (expected, error) = reference.Render(source, ConversationGenerator.Variables(conversation));
                Assert.True(error is null, $"{Path.GetFileName(file)}, seed {seed}: {error}");
                Assert.Equal(expected, template.Render(conversation).Text);
            }
        }
    }

    [Fact]
    public void Developer_is_rendered_as_system_and_function_as_tool() =>
        Assert.Equal("system:a;tool:b;user:;", ChatTemplate.Parse(Names).Render(Say(("developer", "a"), ("function", "b"), ("user", null))).Text);

    [Theory]
    [InlineData("""{"a": 1.0, "b": "é\u00e9"}""", """{"a": 1.0, "b": "éé"}""")]
    [InlineData("""{ "z":1,"a":[1e5,12345678901234567890]}""", """{"z": 1, "a": [100000.0, 12345678901234567890]}""")]
    [InlineData("{broken", "\"{broken\"")]
    [InlineData("[1]", "\"[1]\"")]
    [InlineData("", "\"\"")]
    [InlineData("\"{}\"", "\"\\\"{}\\\"\"")]
    public void Arguments_are_an_object_for_the_template_or_else_a_string(string arguments, string expected)
    {
        var message = new ConversationMessage { Role = "assistant", ToolCalls = [new ConversationToolCall("", "f", arguments)] };
        var template = ChatTemplate.Parse("{{ messages[0].tool_calls[0].function.arguments | tojson }}");
        Assert.Equal(expected, template.Render(new Conversation { Messages = [message] }).Text);
    }

    [Fact]
    public void Lone_surrogates_and_deep_arguments_are_rendered()
    {
        Assert.Equal("user:a\ud800b;", ChatTemplate.Parse(Names).Render(Say(("user", "a\ud800b"))).Text);
        string deep = new string('[', 5000) + new string(']', 5000);
        var message = new ConversationMessage { Role = "assistant", ToolCalls = [new ConversationToolCall("", "f", $"{{\"a\": {deep}}}")] };
        Assert.Contains("[[[", ChatTemplate.Parse("{{ messages[0].tool_calls[0].function.arguments }}").Render(new Conversation { Messages = [message] }).Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Callers_variables_reach_the_template_and_are_marked()
    {
        var template = ChatTemplate.Parse("{% if enable_thinking is false %}no{% endif %}{{ note }}{{ tools is none }}{{ add_generation_prompt }}");
        var prompt = template.Render(Say(("user", "x")) with { TemplateVariables = """{"enable_thinking": false, "note": "<|im_end|>"}""", AddGenerationPrompt = false });
        Assert.Equal("no<|im_end|>TrueFalse", prompt.Text);
        Assert.Equal(new TextRange(2, 10), Assert.Single(prompt.FromConversation));
        Assert.True(Assert.Throws<ChatTemplateException>(() => template.Render(Say() with { TemplateVariables = "[1]" })).RaisedByTemplate);
        Assert.True(Assert.Throws<ChatTemplateException>(() => template.Render(Say() with { Tools = ["{"] })).RaisedByTemplate);
    }

    [Fact]
    public void What_the_template_refuses_is_told_in_its_own_words()
    {
        var template = ChatTemplate.Parse("a\n{% if messages[0].role != 'user' %}\n{{ raise_exception('The first message must be of the user') }}\n{% endif %}");
        var error = Assert.Throws<ChatTemplateException>(() => template.Render(Say(("assistant", "x"))));
        Assert.Equal("The first message must be of the user", error.Message);
        Assert.Equal(3, error.Line);
        Assert.True(error.RaisedByTemplate);
    }

    [Theory]
    [InlineData("a\n\n{{ x.y }}", 3, "undefined")]
    [InlineData("{# a\nb #}\n{% if true %}\n  {{ 1 + 'a' }}{% endif %}", 4, "unsupported operand")]
    [InlineData("{%- set x = 1 -%}\n\n\n{{ none.a.b }}", 4, "None")]
    [InlineData("{{ 'a\nb' }}\n{{ [1]\n | first\n | length }}", 5, "no len()")]
    [InlineData("{% macro m() %}\n{{ missing() }}\n{% endmacro %}\n\n{{ m() }}", 2, "undefined")]
    [InlineData("a\n{% if x %}\n{% endfor %}", 3, "endfor")]
    [InlineData("a\nb {{ 1 | nosuchfilter }}", 2, "nosuchfilter")]
    [InlineData("a\n\n{% include 'x' %}", 3, "refused")]
    [InlineData("{{ 'a' }}\n{{ \"abc }}", 2, "not closed")]
    [InlineData("\n{% raw %}\n", 2, "raw")]
    public void An_error_names_its_line(string source, int line, string words)
    {
        var error = Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source).Render(Say(("user", "x"))));
        Assert.Equal(line, error.Line);
        Assert.Contains($"line {line}", error.Message, StringComparison.Ordinal);
        Assert.Contains(words, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Continues_the_final_message_where_its_content_ends()
    {
        var template = ChatTemplate.Parse("{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}<end>{% endfor %}");
        var conversation = Say(("user", "Once"), ("assistant", "Once upon a ")) with { AddGenerationPrompt = false, ContinueFinalMessage = true };
        var prompt = template.Render(conversation);
        Assert.Equal("<user>Once<end><assistant>Once upon a", prompt.Text);
        Assert.Equal([new TextRange(6, 4), new TextRange(26, 11)], prompt.FromConversation);
        Assert.Throws<ArgumentException>(() => template.Render(conversation with { AddGenerationPrompt = true }));
    }

    [Theory]
    [InlineData("chat_template.jinja", "J:{{ eos_token }}{{ bos_token is defined }}{{ pad_token }}", "J:<e>False<p>")]
    [InlineData("chat_template.json", """{"chat_template": "K:{{ eos_token }}"}""", "K:<e>")]
    [InlineData("none", "", "C:<e>")]
    public void Finds_the_template_where_checkpoints_keep_it(string name, string text, string expected)
    {
        using var directory = new Folder();
        directory.Write("tokenizer_config.json", """{"chat_template": "C:{{ eos_token }}", "bos_token": null, "eos_token": "<e>", "pad_token": {"content": "<p>", "special": true}}""");
        if (text.Length > 0)
            directory.Write(name, text);
        Assert.Equal(expected, ChatTemplate.Load(directory.Path, null).Render(Say(("user", "x"))).Text);
    }

    [Fact]
    public void Takes_the_template_for_tools_when_there_are_tools()
    {
        using var directory = new Folder();
        directory.Write("tokenizer_config.json", """{"chat_template": [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "with {{ tools|length }}"}]}""");
        var template = ChatTemplate.Load(directory.Path);
        Assert.Equal("plain", template.Render(Say(("user", "x"))).Text);
        Assert.Equal("with 1", template.Render(Say(("user", "x")) with { Tools = ["{}"] }).Text);
    }

    [Fact]
    public void A_given_path_comes_before_the_checkpoint_and_a_missing_template_is_a_clear_error()
    {
        using var directory = new Folder();
        directory.Write("mine.jinja", "mine\n");
        Assert.Equal("mine", ChatTemplate.Load(directory.Path, Path.Combine(directory.Path, "mine.jinja")).Render(Say()).Text);
        Assert.Contains("--chat-template", Assert.Throws<ChatTemplateException>(() => ChatTemplate.Load(directory.Path)).Message, StringComparison.Ordinal);
        directory.Write("tokenizer_config.json", "{");
        Assert.Contains("not JSON", Assert.Throws<ChatTemplateException>(() => ChatTemplate.Load(directory.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void One_template_renders_on_many_threads_at_once()
    {
        var template = ChatTemplate.Parse("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}");
        Parallel.For(0, 200, i => Assert.Equal(
            (i % 7).ToString(System.Globalization.CultureInfo.InvariantCulture),
            template.Render(Say([.. Enumerable.Repeat(("user", (string?)"x"), i % 7)])).Text));
    }

    private sealed class Folder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("qwenserve-").FullName;

        public void Write(string name, string text) => File.WriteAllText(System.IO.Path.Combine(Path, name), text);

        public void Dispose() => Directory.Delete(Path, true);
    }
}
