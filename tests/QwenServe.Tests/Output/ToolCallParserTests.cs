using QwenServe.Text.Output;

namespace QwenServe.Tests.Output;

public class ToolCallParserTests
{
    /// <summary>Checks an expectation unstreamed and streamed character by character. ⏎ stands for a newline, → for a tab.</summary>
    private static void Check(string output, string expected, bool truncated = false)
    {
        output = output.Replace('⏎', '\n').Replace('→', '\t');
        expected = expected.Replace('⏎', '\n').Replace('→', '\t');
        Assert.Equal(expected, ParsedOutput.Whole(output, truncated));
        Assert.Equal(expected, ParsedOutput.Show(ParsedOutput.Assemble(ParsedOutput.Characters(output), truncated)));
    }

    [Theory]
    [InlineData("""<tool_call>⏎{"name": "f", "arguments": {"x": 1}}⏎</tool_call>""", """f{"x": 1}""")]
    [InlineData("""<tool_call>⏎{"name": "f", "arguments": {"x": 1}}⏎</tool_call>⏎<tool_call>⏎{"name": "g", "arguments": {"y": "a"}}⏎</tool_call>""", """f{"x": 1} g{"y": "a"}""")]
    [InlineData("""<tool_call>{"name":"f","arguments":{"x":1}}</tool_call>""", """f{"x":1}""")]
    [InlineData("""<tool_call>⏎{⏎  "name": "f",⏎  "arguments": {⏎    "x": [1, 2],⏎    "y": {}⏎  }⏎}⏎</tool_call>""", """f{⏎    "x": [1, 2],⏎    "y": {}⏎  }""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"x": 1e05, "y": 0.10, "z": "\u00e9\/é 🙂"}}</tool_call>""", """f{"x": 1e05, "y": 0.10, "z": "\u00e9\/é 🙂"}""")]
    [InlineData("""<tool_call>[{"name":"f","arguments":{}},{"name":"g","arguments":{"a":[[]]}}]</tool_call>""", """f{} g{"a":[[]]}""")]
    [InlineData("""<tool_call>{"name":"f","arguments":{}}⏎{"name":"g","arguments":{}}</tool_call>""", """f{} g{}""")]
    [InlineData("""<tool_call>{"id": "c1", "type": "function", "name": "f", "extra": [1, {"a": "}"}], "arguments": {"x": 1}, "more": "z"}</tool_call>""", """f{"x": 1}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"items": [{"a": 1}]}}</tool_call>""", """f{"items": [{"a": 1}]}""")]
    [InlineData("""<tool_call>{"name": "not_declared", "arguments": {"x": 1}}</tool_call>""", """not_declared{"x": 1}""")]
    public void Reads_calls(string output, string expected) => Check(output, expected);

    [Theory]
    [InlineData("""<tool_call>{"arguments": {"x": 1}, "name": "f"}</tool_call>""", """f{"x": 1}""")]
    [InlineData("""<tool_call>{"name": "f"}</tool_call>""", "f{}")]
    [InlineData("""<tool_call>{"name": "f", "parameters": {"x": 1}}</tool_call>""", """f{"x": 1}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"code": "a⏎→b"}}</tool_call>""", """f{"code": "a\n\tb"}""")]
    [InlineData("""<tool_call>{{"name": "f", "arguments": {{"x": 1}}}}</tool_call>""", """f{"x": 1}""")]
    [InlineData("""<tool_call>{{"name": "f", "arguments": {{"x": {{"y": 2}}, "z": 3}}, "id": 1}}</tool_call>""", """f{"x": {"y": 2}, "z": 3}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"x": 1}}}</tool_call>""", """f{"x": 1}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"x": 1}}""", """f{"x": 1}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"x": 1}⏎</tool_call>⏎<tool_call>{"name": "g", "arguments": {"y": 2}}</tool_call>""", """f{"x": 1} g{"y": 2}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"x": 1⏎</tool_call>⏎<tool_call>{"name": "g", "arguments": {"y": 2}}</tool_call>""", """f{"x": 1} g{"y": 2}""")]
    [InlineData("""Text.⏎<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>⏎and⏎<tool_call>{"name": "g", "arguments": {}}</tool_call> after""", """[Text.⏎and after] f{"x": 1} g{}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": null}</tool_call>""", "f{}")]
    [InlineData("""<tool_call>{"name": "f", "arguments": "{\"x\": \"a\\nb\"}"}</tool_call>""", """f{"x": "a\nb"}""")]
    [InlineData("""<tool_call>{"arguments": "{\"x\": 1}", "name": "f"}</tool_call>""", """f{"x": 1}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": ""}</tool_call>""", "f{}")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"cmd": "mkdir -p test/{a,b}"}}</tool_call>""", """f{"cmd": "mkdir -p test/{a,b}"}""")]
    [InlineData("""<tool_call>{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}</tool_call>""", """f{"x": 1}""")]
    [InlineData("""<tool_call>{"function": {"arguments": {"x": {}}, "name": "f"}, "id": "a", "type": "function"}⏎</tool_call> a""", """[ a] f{"x": {}}""")]
    [InlineData("""<tool_call>{"type": "function", "function": {"name": "f"}}</tool_call>""", "f{}")]
    [InlineData("""<tool_call>{"type": "function", "function": {"name": "f"}, "arguments": {"x": 1}}</tool_call>""", """f{"x": 1}""")]
    [InlineData("""<tool_call>{{"type": "function", "function": {{"name": "f", "arguments": {{"x": 1}}}}}}</tool_call>""", """f{"x": 1}""")]
    [InlineData("""<tool_call>{"type": "function", "function": {"name": "f", "arguments": {"x": "Paris}}}</tool_call>""", """f{"x": "Paris"}""")]
    [InlineData("""<tool_call>{"type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}""", """f{"x": 1}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {}, "function": {"name": "g"}}</tool_call>""", "f{}")]
    public void Reads_what_peers_get_wrong(string output, string expected) => Check(output, expected);

    [Theory]
    [InlineData("a <")]
    [InlineData("a <tool_")]
    [InlineData("<tool_call")]
    [InlineData("a⏎")]
    [InlineData("⏎⏎")]
    [InlineData("a⏎⏎</tool_call> <tool_call>")]
    [InlineData("<tool_call></tool_call>")]
    [InlineData("<tool_call>⏎not JSON⏎</tool_call>")]
    [InlineData("""<tool_call>{"name": "f", "arguments": [1]}</tool_call>""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": "Paris"}</tool_call>""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": 5}</tool_call>""")]
    [InlineData("""<tool_call>{"arguments": {"x": 1}}</tool_call>""")]
    [InlineData("""<tool_call>{"name": "", "arguments": {"x": 1}}</tool_call>""")]
    [InlineData("""<tool_call>{"type": "function", "function": {"description": "a"}}</tool_call>""")]
    [InlineData("""<tool_call>{"function": "f"}</tool_call>""")]
    [InlineData("""<tool_call>{"name": 5, "arguments": {"x": 1}}</tool_call>""")]
    [InlineData("""<tool_call>{"name": "f", "argu""")]
    [InlineData("""<tool_call>{"name": "f""")]
    [InlineData("a < b <tool <<tool_<tools")]
    [InlineData("```json⏎{\"x\": 1}⏎```⏎more")]
    [InlineData("``` ```` `a` ```python⏎f()⏎```")]
    public void Leaves_text_as_it_is(string output) => Check(output, $"[{output}]");

    [Fact]
    public void Keeps_the_neighbours_of_a_block_that_cannot_be_read()
        => Check(
            """<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>⏎<tool_call>⏎{"name: oops}⏎</tool_call>⏎<tool_call>{"name": "g", "arguments": {}}</tool_call>""",
            """[⏎<tool_call>⏎{"name: oops}⏎</tool_call>] f{"x": 1} g{}""");

    [Fact]
    public void Keeps_the_opening_of_a_block_that_another_one_interrupts()
        => Check("""<tool_call>⏎[<tool_call>{"name": "f"}</tool_call>""", "[<tool_call>⏎[] f{}");

    [Theory]
    [InlineData("```json⏎{\"name\": \"f\", \"arguments\": {\"x\": 1}}⏎```", """f{"x": 1}""")]
    [InlineData("Sure:⏎```json⏎{\"name\": \"f\", \"arguments\": {\"x\": 1}}⏎```⏎Done.", """[Sure:⏎Done.] f{"x": 1}""")]
    [InlineData("```⏎[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {}}]⏎```", "f{} g{}")]
    [InlineData("""{"name": "f", "arguments": {"x": 1}}""", """f{"x": 1}""")]
    [InlineData("""⏎{"arguments": {"x": 1}, "name": "f"}⏎""", """f{"x": 1}""")]
    [InlineData("""{"name": "f", "arguments": {"x": 1}}⏎{"name": "g", "arguments": {}}""", """f{"x": 1} g{}""")]
    [InlineData("""<tools>⏎{"name": "f", "arguments": {"x": 1}}⏎</tools>""", """f{"x": 1}""")]
    [InlineData("```json⏎{\"name\": \"other\", \"arguments\": {\"x\": 1}}⏎```", "[```json⏎{\"name\": \"other\", \"arguments\": {\"x\": 1}}⏎```]")]
    [InlineData("""{"name": "Alice", "age": 3}""", """[{"name": "Alice", "age": 3}]""")]
    [InlineData("""{"city": "Paris"}""", """[{"city": "Paris"}]""")]
    [InlineData("""[1, 2]""", """[[1, 2]]""")]
    [InlineData("""<tools>⏎{"name": "other", "arguments": {}}⏎</tools>""", """[<tools>⏎{"name": "other", "arguments": {}}⏎</tools>]""")]
    [InlineData("""{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}""", """f{"x": 1}""")]
    [InlineData("```json⏎{\"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": {}}}⏎```", "f{}")]
    [InlineData("""<tools>{"type": "function", "function": {"name": "f", "parameters": {"x": 1}}}</tools>""", """f{"x": 1}""")]
    [InlineData("""{"type": "function", "function": {"name": "other", "arguments": {}}}""", """[{"type": "function", "function": {"name": "other", "arguments": {}}}]""")]
    [InlineData("""{"function": "f", "arguments": {}}""", """[{"function": "f", "arguments": {}}]""")]
    [InlineData("""See {"name": "f", "arguments": {}}""", """[See {"name": "f", "arguments": {}}]""")]
    public void Understands_the_habits_of_Coder_where_they_name_a_declared_tool(string output, string expected) => Check(output, expected);

    [Fact]
    public void Without_declared_tools_only_the_tag_makes_a_call()
    {
        Assert.Equal("""[{"name": "f", "arguments": {}}]""", ParsedOutput.Whole("""{"name": "f", "arguments": {}}""", tools: []));
        Assert.Equal("f{}", ParsedOutput.Whole("""<tool_call>{"name": "f", "arguments": {}}</tool_call>""", tools: []));
    }

    [Theory]
    [InlineData("""{'x': 'it\'s "so"', 'y': True, 'z': None, 'n': -.5}""", """{"x": "it's \"so\"", "y": true, "z": null, "n": -0.5}""")]
    [InlineData("""{"x": [1, 2,], "y": 3,}""", """{"x": [1, 2], "y": 3}""")]
    [InlineData("""{x: 1, "y": Paris, "d": 2024-01-15, "zip": 02139}""", """{"x": 1, "y": "Paris", "d": "2024-01-15", "zip": "02139"}""")]
    [InlineData("""{"x": 1 "y": 2}""", """{"x": 1, "y": 2}""")]
    [InlineData("""{"x": "say "hi" there"}""", """{"x": "say \"hi\" there"}""")]
    [InlineData("""{"x": "\d+\.\w", "u": "\u12g", "s": "\ud83d\ude42 \ud83d \ude42"}""", """{"x": "\\d+\\.\\w", "u": "\\u12g", "s": "\ud83d\ude42 \ufffd \ufffd"}""")]
    [InlineData("""{"x": , "y": }""", """{"x": null, "y": null}""")]
    [InlineData("""{"x": [1, [2, {"y": 3}}""", """{"x": [1, [2, {"y": 3}]]}""")]
    [InlineData("""{"x": 1, "x": 2}""", """{"x": 1, "x": 2}""")]
    [InlineData("""{"t": "a <b> </tool_call> c <tool_call> d"}""", """{"t": "a <b> </tool_call> c <tool_call> d"}""")]
    public void Repairs_arguments(string arguments, string expected)
        => Check($$"""<tool_call>{"name": "f", "arguments": {{arguments}}}</tool_call>⏎<tool_call>{"name": "g"}</tool_call>""", $"f{expected} g{{}}");

    [Theory]
    [InlineData("""{"x": "Paris}}⏎</tool_call>""", """{"x": "Paris"}""")]
    [InlineData("""{"x": "Paris⏎  }⏎}⏎</tool_call>""", """{"x": "Paris"}""")]
    [InlineData("""{"x": "if (a) { b }⏎</tool_call>""", """{"x": "if (a) { b }"}""")]
    [InlineData("""{"x": "Paris}}</tool_call>""", """{"x": "Paris"}""")]
    [InlineData("""{"x": "Paris</tool_call>""", """{"x": "Paris"}""")]
    [InlineData("""{"x": "Paris⏎""", """{"x": "Paris"}""")]
    public void Ends_a_string_that_lacks_its_quote_before_the_markup(string arguments, string expected)
        => Check($$"""<tool_call>{"name": "f", "arguments": {{arguments}}<tool_call>{"name": "g"}</tool_call>""", $"f{expected} g{{}}");

    [Fact]
    public void Closes_the_arguments_where_they_cannot_be_read_and_gives_the_rest_as_text()
        => Check(
            """<tool_call>{"name": "f", "arguments": {"x": 1, "y": (2)}}⏎</tool_call>⏎<tool_call>{"name": "g"}</tool_call>""",
            """[(2)}}] f{"x": 1, "y": null} g{}""");

    [Theory]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"x": "ab""", """f{"x": "ab…""", """f{"x": "ab"}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"x": "ab\""", """f{"x": "ab\…""", """f{"x": "ab\\"}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"x": 12""", """f{"x": 12…""", """f{"x": 12}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"x": [1, {""", """f{"x": [1, {…""", """f{"x": [1, {}]}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"x": 1, "y""", """f{"x": 1, "y…""", """[, "y] f{"x": 1}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"x":""", """f{"x":…""", """f{"x":null}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"x": 1}""", """f{"x": 1}""", """f{"x": 1}""")]
    [InlineData("""<tool_call>{"name": "f", """, """[<tool_call>{"name": "f", ]""", """f{}""")]
    public void A_cut_leaves_a_prefix_and_an_end_closes_it(string output, string cut, string ended)
    {
        Check(output, cut, truncated: true);
        Check(output, ended);
    }

    [Fact]
    public void Deep_nesting_is_closed_at_the_bound()
    {
        var deep = new string('[', 100_000);
        var message = ParsedOutput.Assemble([$$"""<tool_call>{"name": "f", "arguments": {"x": {{deep}}"""]);
        using var json = System.Text.Json.JsonDocument.Parse(message.ToolCalls[0].Arguments);
        Assert.Equal(100_000 - 63, message.Content!.Length);

        message = ParsedOutput.Assemble([$$"""<tool_call>{"name": "f", "arguments": {"x": {{deep[..63]}}1, {{deep}}"""]);
        Assert.Equal("1" + new string(']', 63) + "}", message.ToolCalls[0].Arguments[(6 + 63)..]);
    }

    [Fact]
    public void The_name_comes_before_the_arguments_end_and_arguments_come_as_they_are_written()
    {
        var parser = new ToolCallParser();
        var deltas = new List<OutputDelta>();
        parser.Feed("""<tool_call>{"name": "f", """, deltas);
        Assert.Empty(deltas);
        parser.Feed("\"arguments\": {\"text\": \"Once upon", deltas);
        Assert.Equal([new(OutputDeltaKind.ToolCallBegin, 0, "f"), new(OutputDeltaKind.ToolCallArguments, 0, "{\"text\": \"Once upon")], deltas);
        deltas.Clear();
        parser.Feed(" a time\"}", deltas);
        Assert.Equal([new(OutputDeltaKind.ToolCallArguments, 0, " a time\"}"), new(OutputDeltaKind.ToolCallEnd, 0, "")], deltas);
    }
}
