using QwenServe.Text.Chat;

namespace QwenServe.Tests.Chat;

public class SandboxTests
{
    private static readonly Conversation Hello = new() { Messages = [new ConversationMessage { Role = "user", Content = "hello" }] };

    [Theory]
    [InlineData("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}")]
    [InlineData("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}")]
    [InlineData("{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}")]
    [InlineData("{{ 'a' * 1000000000 }}")]
    [InlineData("{{ ('a' * 1000000) * 1000000 }}")]
    [InlineData("{{ [0] * 1000000000 }}")]
    [InlineData("{{ 9 ** 999999999 }}")]
    [InlineData("{% set ns = namespace(n=2) %}{% for i in range(100) %}{% set ns.n = ns.n * ns.n %}{% endfor %}")]
    [InlineData("{% set ns = namespace(l=[]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}")]
    [InlineData("{% set ns = namespace(l=[]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson }}")]
    [InlineData("{% set ns = namespace(l=[], m=[]) %}{% for i in range(9000) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% endfor %}{{ ns.l == ns.m }}")]
    [InlineData("{{ '%0999999999d' % 1 }}")]
    [InlineData("{{ '{:999999999}'.format(1) }}")]
    [InlineData("{{ 'x'.center(999999999) }}")]
    [InlineData("{{ ['a'] | batch(99999999, 'x') | list }}")]
    [InlineData("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}")]
    [InlineData("{{ range(99999) | map('string') | map('center', 5000) | list | length }}")]
    public void A_template_that_grows_without_end_is_stopped(string source)
    {
        var error = Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source).Render(Hello));
        Assert.Equal(1, error.Line);
        Assert.False(error.RaisedByTemplate);
    }

    [Theory]
    [InlineData("(", 5000)]
    [InlineData("[", 5000)]
    [InlineData("{1:", 5000)]
    [InlineData("-", 5000)]
    [InlineData("not ", 5000)]
    [InlineData("a[", 5000)]
    [InlineData("f(", 5000)]
    [InlineData("1 if ", 5000)]
    [InlineData("1 if 1 else ", 5000)]
    [InlineData("1 + ", 100000)]
    [InlineData("1 ** ", 100000)]
    [InlineData("a.b.c.", 100000)]
    [InlineData("a|e|", 100000)]
    public void Deep_nesting_is_a_syntax_error_and_no_stack_overflow(string piece, int count) =>
        Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse("{{ " + string.Concat(Enumerable.Repeat(piece, count)) + " }}"));

    [Fact]
    public void Deeply_nested_blocks_are_a_syntax_error() =>
        Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(
            string.Concat(Enumerable.Repeat("{% if true %}", 5000)) + string.Concat(Enumerable.Repeat("{% endif %}", 5000))));

    [Fact]
    public void What_parses_at_the_limit_of_nesting_renders_on_a_small_stack()
    {
        string source = string.Concat(Enumerable.Repeat("{% if true %}", 60)) + "{{ " + string.Concat(Enumerable.Repeat("(1 + ", 40))
            + "1" + string.Concat(Enumerable.Repeat(")", 40)) + string.Concat(Enumerable.Repeat(" + 1", 999)) + " }}" + string.Concat(Enumerable.Repeat("{% endif %}", 60));
        string? text = null;
        var thread = new Thread(() => text = ChatTemplate.Parse(source).Render(Hello).Text, 1024 * 1024);
        thread.Start();
        thread.Join();
        Assert.Equal("1040", text);
    }

    [Theory]
    [InlineData("{{ messages.__class__ }}")]
    [InlineData("{{ ''.GetType }}{{ messages.Items }}{{ messages.Count }}{{ raise_exception.Method }}{{ range.Name }}{{ ''.Text }}{{ ''.Marks }}")]
    [InlineData("{{ messages['__init__'] }}{{ messages | attr('Items') }}{{ self }}{{ environment }}{{ config }}")]
    public void Nothing_of_the_host_is_reachable(string source) => Assert.Equal("", ChatTemplate.Parse(source).Render(Hello).Text);

    [Theory]
    [InlineData("{% set messages = messages.append(1) %}")]
    [InlineData("{{ messages.clear() }}")]
    [InlineData("{{ messages[0].update({'role': 'x'}) }}")]
    [InlineData("{{ ''.__class__.__mro__ }}")]
    [InlineData("{% include '/etc/passwd' %}")]
    [InlineData("{% import 'x' as x %}")]
    [InlineData("{% from 'x' import y %}")]
    [InlineData("{% extends 'x' %}")]
    public void Changing_values_and_loading_files_are_refused(string source) =>
        Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source).Render(Hello));

    [Fact]
    public void A_long_conversation_stays_far_within_the_limits()
    {
        const string Source = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content.split('</think>')[-1].lstrip('\n') | trim + '<|im_end|>\n' }}{% endfor %}";
        string big = new('x', 1_000_000);
        var conversation = new Conversation { Messages = [.. Enumerable.Range(0, 20).Select(_ => new ConversationMessage { Role = "user", Content = big })] };
        Assert.True(ChatTemplate.Parse(Source).Render(conversation).Text.Length > 20_000_000);
        conversation = new Conversation { Messages = [.. Enumerable.Range(0, 20_000).Select(_ => new ConversationMessage { Role = "user", Content = "hi" })] };
        Assert.True(ChatTemplate.Parse(Source).Render(conversation).Text.Length > 20_000);
    }
}
