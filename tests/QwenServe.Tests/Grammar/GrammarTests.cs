using System.Text;
using System.Text.Json;
using QwenServe.Text.Grammar;

namespace QwenServe.Tests.Grammars;

public class GrammarTests
{
    private static readonly GrammarTokens Tokens = GrammarTokens.Small;

    [Theory]
    [InlineData("""{"type":"object","properties":{"name":{"type":"string"},"näme":{"type":"integer"}},"required":["näme"]}""", """{"name": "a\"é😀", "näme": -12, "namf": [1e5]}""")]
    [InlineData("""{"type":"array","items":{"enum":["a","ab","abc",1,12]},"maxItems":4}""", """["ab", 12,"a"]""")]
    [InlineData("""{"type":"string","pattern":"^[^a]{2,4}b","maxLength":9}""", "\"éé字b😀\"")]
    [InlineData("""{"type":"string","minLength":2,"maxLength":5}""", "\"\\u00e9\\ud83d\\ude00x\"")]
    [InlineData("""{}""", """{"a": {"b": [null, true]}, "c": ""}""")]
    [InlineData("""{"type":"number","minimum":-3.5,"exclusiveMaximum":120}""", "-3.4999")]
    public void Masks_admit_exactly_the_tokens_that_are_accepted(string schema, string text)
    {
        var grammar = Schema(schema);
        Assert.True(Tokens.Accepts(grammar, text));
        Tokens.MaskIsExact(grammar, Tokens.Tokenizations(text, new Random(3)).Last());
    }

    [Theory]
    [InlineData("""{"type":"integer","minimum":-17,"exclusiveMaximum":123}""", "-17 -9 0 7 99 122", "-18 123 -0 1.0 012 1000")]
    [InlineData("""{"type":"integer","exclusiveMinimum":0.5,"maximum":9223372036854775807}""", "1 9223372036854775000", "0 9223372036854776001")]
    [InlineData("""{"type":"number","minimum":-1.25,"maximum":10.5}""", "-1.25 -0.3 0 10.5 10.50 9.999", "-1.251 -1.3 10.51 11 1e1")]
    [InlineData("""{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":0.001}""", "0.0001 0.000999", "0 0.0 0.001 0.0010 1")]
    [InlineData("""{"type":"number","minimum":0}""", "0 1e9 2.5E-7 1e307", "-1 1e308 00")]
    [InlineData("""{"type":"integer","multipleOf":7,"minimum":-20}""", "-14 0 7 700 999999999999994", "-21 1 15")]
    [InlineData("""{"type":"integer","multipleOf":6,"allOf":[{"multipleOf":4}]}""", "0 12 -24", "6 4 18")]
    public void Numbers_keep_their_bounds(string schema, string valid, string invalid) => Check(Schema(schema), valid.Split(' '), invalid.Split(' '));

    [Fact]
    public void Object_properties_come_in_declared_order_with_optional_ones_left_out() => Check(
        Schema("""{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}},"required":["b"],"additionalProperties":false}"""),
        ["""{"a":null,"b":null,"c":null}""", """{"b":null}""", "{\n  \"b\": null,\n  \"c\": null\n}"],
        ["{}", """{"a":null}""", """{"c":null,"b":null}""", """{"b":null,"d":null}""", """{"b":null,}""", """{"b":null""", """{"b" :null}"""]);

    [Fact]
    public void Undeclared_names_do_not_spell_declared_ones() => Check(
        Schema("""{"type":"object","properties":{"ab":{"type":"integer"}},"additionalProperties":{"type":"string"}}"""),
        ["""{"ab":1,"abc":"x"}""", """{"a":"x"}""", """{"":"x"}"""],
        ["""{"ab":"x"}""", "{\"\\u0061b\":\"x\"}", """{"x":"y","ab":1}"""]);

    [Fact]
    public void Recursion_goes_to_any_depth() => Check(
        Schema("""{"$ref":"#/$defs/n","$defs":{"n":{"type":"array","items":{"$ref":"#/$defs/n"}}}}"""),
        ["[]", new string('[', 300) + new string(']', 300)], ["[1]", "[[]"]);

    [Fact]
    public void White_space_cannot_run_away()
    {
        var grammar = Schema("""{"type":"array","items":{"type":"boolean"},"maxItems":1}""");
        Check(grammar, ["[ true ]", "[\n    true\n]"], ["[  true]", " []", "[] ", "[\n\ntrue]", "[\n" + new string(' ', 60) + "true]"]);
    }

    [Fact]
    public void Nothing_but_the_end_is_admitted_where_the_text_must_end()
    {
        var matcher = Tokens.Vocabulary.CreateMatcher(Schema("""{"const":"x"}"""));
        var mask = new uint[(Tokens.Tokenizer.VocabularySize + 31) / 32];
        foreach (var id in Tokens.Tokenizer.Encode("\"x\"")) Assert.True(matcher.Accept(id));
        matcher.Fill(mask);
        Assert.Equal(1, mask.Sum(System.Numerics.BitOperations.PopCount));
        Assert.True(matcher.MustEnd && matcher.CanEnd && matcher.Accept(Tokens.End));
    }

    [Fact]
    public void A_refused_token_changes_nothing()
    {
        var matcher = Tokens.Vocabulary.CreateMatcher(Grammar.FromChoice(["yes"]));
        Assert.False(matcher.Accept(Tokens.Tokenizer.Encode("no")[0]));
        Assert.False(matcher.Accept(Tokens.End));
        foreach (var id in Tokens.Tokenizer.Encode("yes")) Assert.True(matcher.Accept(id));
    }

    [Fact]
    public void Forced_text_is_known_ahead()
    {
        var matcher = Tokens.Vocabulary.CreateMatcher(Grammar.FromRegex("(abc|abd)e"));
        Span<byte> forced = stackalloc byte[8];
        Assert.Equal("ab", Encoding.UTF8.GetString(forced[..matcher.ForcedBytes(forced)]));
        Assert.Equal("ab", Encoding.UTF8.GetString(forced[..matcher.ForcedBytes(forced)]));
    }

    [Theory]
    [InlineData("The quick brown fox jumps over the lazy dog, and then some.")]
    [InlineData("{\"property_name\":\"x\"}", "{\"property_name\":12}", "{\"property_name\": true}")]
    [InlineData("<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {", "<tool_call>\n{\"name\": \"get_weatherman\", \"arguments\": {")]
    [InlineData("héllo wörld 你好世界", "héllo wörld 你好世人", "héllo wörld 你好")]
    [InlineData("    return value + 1;\n", "    return values[0];\n", "    return valuation;\n")]
    public void What_is_forced_is_spelled_as_the_tokenizer_spells_each_text_that_begins_so(params string[] texts)
    {
        var grammar = Grammar.FromChoice(texts);
        var matcher = Tokens.Vocabulary.CreateMatcher(grammar);
        var ids = matcher.Jump(int.MaxValue);
        Assert.True(ids.Length >= 2);
        foreach (var text in texts) Assert.Equal(ids, Tokens.Tokenizer.Encode(text).Take(ids.Length));
        if (texts.Length == 1) Assert.True(matcher.MustEnd);
        Assert.Empty(matcher.Jump(int.MaxValue));

        var drawn = Tokens.Vocabulary.CreateMatcher(grammar);
        foreach (var id in ids) Assert.True(drawn.Accept(id));
        Assert.Equal(Mask(drawn), Mask(matcher));

        var shorter = Tokens.Vocabulary.CreateMatcher(grammar);
        Assert.Empty(shorter.Jump(1));
        Assert.Equal(ids.Take(2), shorter.Jump(2));
    }

    [Fact]
    public void Nothing_is_forced_where_the_text_may_end_or_go_on_in_two_ways()
    {
        Assert.Empty(Tokens.Vocabulary.CreateMatcher(Grammar.FromRegex("(some long text)?")).Jump(100));
        Assert.Empty(Tokens.Vocabulary.CreateMatcher(Grammar.FromChoice(["some long text", "more long text"])).Jump(100));
        Assert.Empty(Tokens.Vocabulary.CreateMatcher(Grammar.AnyText).Jump(100));
    }

    [Theory]
    [InlineData("""{"properties":{"a":{"not":{}}}}""", "not", "#/properties/a")]
    [InlineData("""{"type":"array","items":{"type":"array","uniqueItems":true}}""", "uniqueItems", "#/items")]
    [InlineData("""{"oneOf":[{"type":"integer"},{"type":"number"}]}""", "oneOf", "#")]
    [InlineData("""{"$defs":{"x":{"type":"string","pattern":"a(?=b)"}},"$ref":"#/$defs/x"}""", "pattern", "#/$defs/x")]
    [InlineData("""{"type":"string","format":"regex"}""", "format", "#")]
    [InlineData("""{"type":"number","multipleOf":0.1}""", "multipleOf", "#")]
    [InlineData("""{"anyOf":[{"$ref":"#"},{"type":"null"}]}""", "$ref", "#")]
    [InlineData("""{"$ref":"https://example.com/x"}""", "$ref", "#")]
    [InlineData("""{"type":"object","minProperties":3}""", "minProperties", "#")]
    public void What_cannot_be_enforced_is_refused_by_keyword_and_path(string schema, string keyword, string path)
    {
        var refusal = Assert.Throws<GrammarException>(() => Schema(schema));
        Assert.Equal((keyword, path), (refusal.Keyword, refusal.Path));
        Assert.Contains($"'{keyword}' at {path}", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"type":"string","minLength":3,"maxLength":2}""")]
    [InlineData("""{"$defs":{"n":{"type":"object","properties":{"n":{"$ref":"#/$defs/n"}},"required":["n"]}},"$ref":"#/$defs/n"}""")]
    [InlineData("""{"allOf":[{"type":"string"},{"type":"integer"}]}""")]
    [InlineData("false")]
    public void A_schema_without_instances_is_refused(string schema) =>
        Assert.Contains("admits nothing", Assert.Throws<GrammarException>(() => Schema(schema)).Message, StringComparison.Ordinal);

    [Fact]
    public void Regular_expressions_match_as_a_whole()
    {
        Check(Grammar.FromRegex(@"(foo|bär){1,2}\s?\d$"), ["foo1", "foobär 7"], ["foo", "xfoo1", "foo12"]);
        Check(Grammar.FromRegex(@"\p{Lu}[^\p{L}\d]?\u{1F600}"), ["É😀", "A-😀"], ["é😀", "A1😀"]);
        foreach (var pattern in (string[])[@"(a)\1", "a(?=b)", "(?<!a)b", @"\bx", "[z-a]", "(a", "a**", "x{3,1}"])
            Assert.Throws<GrammarException>(() => Grammar.FromRegex(pattern));
    }

    [Fact]
    public void Ebnf_recurs_and_repeats()
    {
        Check(Grammar.FromEbnf("""
            # sums
            root ::= expr
            expr ::= expr "+" term
                   | term
            term ::= [0-9]{1,3} | "(" expr ")" | "\u00e9" [^a-z\]]?
            """), ["1+2", "(1+22)+3", "é+éZ"], ["1+", "1234", "(1", "éa"]);
        Check(Grammar.FromEbnf("root ::= \"SELECT \" col (\", \" col)* | .\ncol ::= [a-z_]+"), ["SELECT a, b_c", "漢"], ["SELECT ", "SELECT a,b"]);
        foreach (var text in (string[])["start: \"a\"", "root ::= a", "root ::= b\nb ::= c\nc ::= b \"x\" | \"y\"", "root ::= \"a", "x ::= \"a\"", "root ::= (\"a\""])
            Assert.Throws<GrammarException>(() => Grammar.FromEbnf(text));
    }

    [Fact]
    public void Choices_may_be_prefixes_of_one_another() => Check(Grammar.FromChoice(["yes", "yes!", "né"]), ["yes", "yes!", "né"], ["ye", "n", "yes!!"]);

    [Fact]
    public void Tool_calls_name_a_declared_tool_and_meet_its_schema()
    {
        ToolSignature[] tools =
        [
            new("add", JsonElement.Parse("""{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"],"additionalProperties":false}""")),
            new("now", null),
        ];
        const string add = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"x\": 1}}\n</tool_call>";
        const string now = "<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>";
        string[] wrong = ["<tool_call>\n{\"name\": \"sub\", \"arguments\": {}}\n</tool_call>", add.Replace("1", "true", StringComparison.Ordinal), add[..^1]];
        Check(Grammar.ToolCalls(tools, ToolCallCount.ExactlyOne), [add, now], [.. wrong, "", "text", add + "\n" + now]);
        Check(Grammar.ToolCalls(tools, ToolCallCount.AtLeastOne), [add, add + "\n" + now, now + now], [.. wrong, "text"]);
        Check(Grammar.ToolCalls(tools, ToolCallCount.AtLeastOne, Grammar.AnyText), [add, "text", "", "a <b> <tool_c", "né " + add + "\n" + now], [.. wrong, add + "text"]);
        Check(Grammar.ToolCalls(tools, ToolCallCount.ExactlyOne, Schema("""{"type":"array"}""")), [add, "[1]"], [.. wrong, "1"]);
    }

    [Fact]
    public void The_tool_call_marker_may_be_one_token_or_spelled()
    {
        var grammar = Grammar.ToolCalls([new("now", null)], ToolCallCount.ExactlyOne);
        const string text = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
        var forms = Tokens.Tokenizations(text, new Random(1)).ToList();
        Assert.Contains(Tokens.Tokenizer.FindAddedToken("<tool_call>")!.Value, forms[1]);
        Assert.All(forms, ids => Assert.True(Tokens.Accepts(grammar, ids)));
    }

    [Fact]
    public void A_cache_keeps_the_grammars_used_last()
    {
        var cache = new GrammarCache(2);
        var first = cache.FromRegex("a");
        cache.FromRegex("b");
        Assert.Same(first, cache.FromRegex("a"));
        cache.FromRegex("c");
        Assert.Same(first, cache.FromRegex("a"));
        var again = cache.FromRegex("b");
        Assert.Same(again, cache.FromRegex("b"));
    }

    private static Grammar Schema(string text) => Grammar.FromJsonSchema(JsonElement.Parse(text));

    private static void Check(Grammar grammar, string[] valid, string[] invalid)
    {
        var random = new Random(5);
        foreach (var text in valid)
            foreach (var ids in Tokens.Tokenizations(text, random)) Assert.True(Tokens.Accepts(grammar, ids), $"not accepted: {text}");
        foreach (var text in invalid)
            foreach (var ids in Tokens.Tokenizations(text, random)) Assert.False(Tokens.Accepts(grammar, ids), $"not refused: {text}");
    }

    private static uint[] Mask(GrammarMatcher matcher)
    {
        var mask = new uint[(Tokens.Tokenizer.VocabularySize + 31) / 32];
        matcher.Fill(mask);
        return mask;
    }
}
