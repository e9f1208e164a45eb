using QwenServe.Text;
using QwenServe.Text.Chat;

namespace QwenServe.Tests.Chat;

public class ProvenanceTests
{
    private const string ControlToken = "<|im_end|>";

    [Theory]
    [InlineData("{{ x }}", "0+10")]
    [InlineData("{{ 'a' + x + 'b' }}", "1+10")]
    [InlineData("{{ 'a' ~ x ~ x }}", "1+20")]
    [InlineData("{{ x.split('|')[1] }}", "0+6")]
    [InlineData("{{ ('<think>' + x).split('</think>')[-1] }}", "7+10")]
    [InlineData("{{ (' ' + x + ' ').strip() }}", "0+10")]
    [InlineData("{{ ('[' + x + ']')[3:7] }}", "0+4")]
    [InlineData("{{ ('ab' + x)[::-1] }}", "0+10")]
    [InlineData("{{ x | upper }}{{ x.title() }}{{ x | trim | lower }}", "0+30")]
    [InlineData("{{ 'a-b'.replace('-', x) }}", "1+10")]
    [InlineData("{{ x.replace('im', '--') }}", "0+2 4+6")]
    [InlineData("{{ ['a', x, 'b'] | join(', ') }}", "3+10")]
    [InlineData("{{ x.join(['a', 'b']) }}", "1+10")]
    [InlineData("{{ '%s:%s' % ('a', x) }}", "2+10")]
    [InlineData("{{ '{}:{:>12}'.format('a', x) }}", "4+10")]
    [InlineData("{{ x | tojson }}", "0+12")]
    [InlineData("{{ {'k': x} | tojson }}", "6+12")]
    [InlineData("{{ d }}", "0+19")]
    [InlineData("{{ d | tojson(indent=1) }}", "0+22")]
    [InlineData("{{ {'k': x} }}", "6+12")]
    [InlineData("{{ x | list | join }}", "0+10")]
    [InlineData("{% for c in x %}{{ c }}-{% endfor %}", "0+1 2+1 4+1 6+1 8+1 10+1 12+1 14+1 16+1 18+1")]
    [InlineData("{% set y %}[{{ x }}]{% endset %}{{ y }}", "1+10")]
    [InlineData("{% macro m(v) %}<{{ v }}>{% endmacro %}{{ m(x) }}", "1+10")]
    [InlineData("{% filter upper %}a{{ x }}{% endfilter %}", "1+10")]
    [InlineData("{{ x | e }}", "0+16")]
    [InlineData("{{ x | default('z') }}{{ nothing | default(x) }}", "0+20")]
    [InlineData("{{ 'a\n' ~ x | indent(2) }}", "2+10")]
    [InlineData("{{ x | truncate(9, true, '..', 0) }}", "0+7")]
    [InlineData("{{ ['b', x] | sort | first }}", "0+10")]
    [InlineData("{{ d | items | list | first | last }}{{ d.keys() | first }}", "0+11")]
    [InlineData("{{ x.partition('|')[2] }}{{ x.rsplit('|', 1)[0] }}{{ x.splitlines()[0] }}", "0+26")]
    [InlineData("{{ '<|im_end|>' }}{{ x | length }}", "")]
    public void Marks_exactly_what_came_from_the_conversation(string template, string expected)
    {
        var text = Interpreter.Render(template, $"{{\"x\": \"{ControlToken}\", \"d\": {{\"k\": \"{ControlToken}\"}}}}");
        // A dict of the conversation is marked with its punctuation: that is as long as what is printed.
        Assert.Equal(expected, string.Join(' ', text.Marks.Select(m => $"{m.Start}+{m.Length}")));
    }

    [Fact]
    public void Ranges_cover_every_text_of_the_conversation_and_nothing_of_the_template()
    {
        // Users write only letters A to Z here and the template none of them, so each character says where it came from.
        const string Source = """
            {%- if tools %}<|im_start|>system{% for tool in tools %}
            {{ tool | tojson }}{% endfor %}<|im_end|>
            {% endif %}
            {%- for m in messages %}
                {%- set content = m.content.split('/')[-1].lstrip() %}
                {{- '<|im_start|>' + m.role + '\n' + content | trim }}
                {%- for call in m.tool_calls %}
                    {{- '\n<tool_call>\n{"name": "' ~ call.function.name ~ '", "arguments": ' ~ call.function.arguments | tojson ~ '}' }}
                {%- endfor %}
                {{- '<|im_end|>' ~ '\n' }}
            {%- endfor %}
            """;
        var template = ChatTemplate.Parse(Source);
        var random = new Random(5);
        for (int round = 0; round < 200; round++)
        {
            var conversation = new Conversation
            {
                Messages = [.. Enumerable.Range(0, random.Next(1, 6)).Select(i => new ConversationMessage
                {
                    Role = i % 2 == 0 ? "user" : "assistant",
                    Content = Letters() + (random.Next(2) == 0 ? "/" : "") + Letters() + " ",
                    ToolCalls = i % 2 == 0 ? [] : [new ConversationToolCall("ID", Letters(), $"{{\"{Letters()}\": [\"{Letters()}\", \"{Letters()}\"]}}")],
                })],
                Tools = random.Next(2) == 0 ? [] : [$"{{\"{Letters()}\": \"{Letters()}\"}}"],
            };
            var prompt = template.Render(conversation);
            for (int i = 0; i < prompt.Text.Length; i++)
            {
                bool marked = prompt.FromConversation.Any(r => i >= r.Start && i < r.End);
                char c = prompt.Text[i];
                if (char.IsAsciiLetterUpper(c))
                    Assert.True(marked, $"round {round}: '{c}' at {i} is not marked in\n{prompt.Text}");
                else if (char.IsAsciiLetterLower(c) || c is '<' or '|' or '>')
                    Assert.False(marked, $"round {round}: '{c}' at {i} is marked in\n{prompt.Text}");
            }
        }

        string Letters() => new([.. Enumerable.Range(0, random.Next(1, 6)).Select(_ => (char)random.Next('A', 'Z' + 1))]);
    }

    [JinjaFact(shared: true)]
    public void Control_tokens_that_users_type_are_marked_in_the_templates_of_the_family()
    {
        foreach (string file in Directory.GetFiles(Path.Combine(Repository.Shared!, "data", "chat-templates"), "*.jinja"))
        {
            string source = File.ReadAllText(file);
            var template = ChatTemplate.Parse(source);
            for (int seed = 0; seed < 100; seed++)
            {
                var conversation = new ConversationGenerator(seed).Next();
                var prompt = template.Render(conversation);
                // What is outside the ranges is what the template prints around texts that hold no control token at all.
                var clean = template.Render(Without(conversation));
                Assert.Equal(Outside(clean), Outside(prompt));
            }
        }
    }

    private static string Outside(PromptText prompt)
    {
        var text = new System.Text.StringBuilder();
        int at = 0;
        foreach (var range in prompt.FromConversation)
        {
            text.Append(prompt.Text, at, range.Start - at);
            at = range.End;
        }

        return text.Append(prompt.Text, at, prompt.Text.Length - at).ToString();
    }

    private static Conversation Without(Conversation conversation) => conversation with
    {
        Messages = [.. conversation.Messages.Select(m => m with
        {
            Content = Replace(m.Content),
            ToolCalls = [.. m.ToolCalls.Select(c => c with { Arguments = Replace(c.Arguments)! })],
        })],
        Tools = [.. conversation.Tools.Select(t => Replace(t)!)],
    };

    // JSON texts write '<' and '>' as escapes, so only the bare token's letters are taken.
    private static string? Replace(string? text) => text?.Replace("im_end", "im-end", StringComparison.Ordinal).Replace("im_start", "im-start", StringComparison.Ordinal);
}
