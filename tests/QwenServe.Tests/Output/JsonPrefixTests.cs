using System.Text.Json;
using QwenServe.Text.Output;

namespace QwenServe.Tests.Output;

public class JsonPrefixTests
{
    [Theory]
    [InlineData("", "{}")]
    [InlineData("{", "{}")]
    [InlineData("{\"a", "{}")]
    [InlineData("{\"a\":", "{}")]
    [InlineData("{\"a\": \"half", "{}")]
    [InlineData("{\"a\": \"x\\\"", "{}")]
    [InlineData("{\"a\": \"x\", \"b\": tru", "{\"a\": \"x\"}")]
    [InlineData("{\"a\": [1, 2", "{\"a\": [1, 2]}")]
    [InlineData("{\"a\": [1, -", "{\"a\": [1]}")]
    [InlineData("{\"a\": [1, {\"b\": null, ", "{\"a\": [1, {\"b\": null}]}")]
    [InlineData("{\"a\": {\"]}\": \"[{\"", "{\"a\": {\"]}\": \"[{\"}}")]
    [InlineData("{\"a\": 1}", "{\"a\": 1}")]
    public void Keeps_what_is_complete_and_closes_what_is_open(string prefix, string closed) => Assert.Equal(closed, JsonPrefix.Close(prefix));

    [Fact]
    public void Every_prefix_of_an_object_becomes_an_object_of_its_own_beginning()
    {
        const string text = """{ "name" : "a \"b\" \\", "list": [1.5e3, [], {}, [ {"x": null} ], true], "empty": {}, "né": "\u00e9😀", "n": -0.25 }""";
        for (int length = 0; length <= text.Length; length++)
        {
            string closed = JsonPrefix.Close(text[..length]);
            using var document = JsonDocument.Parse(closed);
            Assert.Equal(JsonValueKind.Object, document.RootElement.ValueKind);
            Assert.StartsWith(closed.TrimEnd('}', ']'), text, StringComparison.Ordinal);
        }
        Assert.Equal(text.TrimEnd(), JsonPrefix.Close(text));
    }
}
