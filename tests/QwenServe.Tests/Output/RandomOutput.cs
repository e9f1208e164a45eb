using System.Text;

namespace QwenServe.Tests.Output;

/// <summary>Writes answers as Qwen models write them, and damages them.</summary>
internal sealed class RandomOutput(Random random)
{
    private static readonly string[] Names = [.. ParsedOutput.Tools, "undeclared"];

    private static readonly string[] Texts =
    [
        "Let me look.", " and then ", "\n", "\n\n", " ", "好的，我来查一下。", "🙂🙃", "a < b", "<", "`x`", "```python\nprint(1)\n```", "{}", "[1]", "</tool_call>",
    ];

    private static readonly string[] Insertions =
    [
        "\"", "'", "\\", "\\u", "\\ud83d", "{", "}", "[", "]", ",", ":", "\n", " ", "\t", "\0", "<", "`", "<tool_call>", "</tool_call>", "\n</tool_call>", "<tools>",
        "</tools>", "```json\n", "\n```", "null", "None", "0", "-", "+1", ".", "1e", "true", "x", "é", "🙂", "\"name\": \"f\"", "\"arguments\": {", "\"function\": {", "}}", "{{", "\\\"", "\"\"", "\u3000",
    ];

    /// <summary>One well-formed answer: text and calls in their several forms.</summary>
    internal string Next()
    {
        var output = new StringBuilder();
        var parts = random.Next(1, 5);
        for (var i = 0; i < parts; i++)
        {
            if (random.Next(3) == 0) output.Append(Texts[random.Next(Texts.Length)]);
            output.Append(Block());
            if (random.Next(2) == 0) output.Append('\n');
        }
        if (random.Next(4) == 0) output.Append(Texts[random.Next(Texts.Length)]);
        return output.ToString();
    }

    /// <summary>The calls of the answers written so far.</summary>
    internal List<(string Name, string Arguments)> Meant { get; } = [];

    /// <summary>The text of the last tagged answer.</summary>
    internal string MeantText { get; private set; } = "";

    /// <summary>One well-formed answer whose calls are all tagged, with text before, between and behind them.</summary>
    internal string NextTagged()
    {
        var output = new StringBuilder();
        Meant.Clear();
        MeantText = "";
        for (var i = random.Next(1, 5); i > 0; i--)
        {
            if (random.Next(2) == 0)
            {
                var text = Word() + " a < b, 好的 <tool> `x` " + Word();
                MeantText += text;
                output.Append(text);
            }
            if (output.Length > 0) output.Append('\n');
            var array = random.Next(4) == 0 ? "[" + Call() + ", " + Call() + "]" : Call();
            output.Append("<tool_call>\n").Append(array).Append("\n</tool_call>");
        }
        return output.ToString();
    }

    /// <summary>The answer with some characters deleted, inserted, doubled, exchanged, or its end cut.</summary>
    internal string Damage(string output)
    {
        for (var n = random.Next(5); n > 0 && output.Length > 2; n--)
        {
            var at = random.Next(output.Length);
            var length = Math.Min(random.Next(3) == 0 ? random.Next(1, 20) : 1, output.Length - at);
            output = random.Next(6) switch
            {
                0 => output.Remove(at, length),
                1 or 2 => output.Insert(at, Insertions[random.Next(Insertions.Length)]),
                3 => output.Insert(at, output.Substring(at, length)),
                4 when at + 1 < output.Length => output[..at] + output[at + 1] + output[at] + output[(at + 2)..],
                4 => output,
                _ => random.Next(3) == 0 ? output[..at] : output[..at] + (char)random.Next(1, 128) + output[(at + 1)..],
            };
        }
        return WithoutHalfCharacters(output);
    }

    private static string WithoutHalfCharacters(string text)
        => string.Concat(text.EnumerateRunes().Select(r => r.Value == 0xFFFD ? "?" : r.ToString()));

    private string Block()
    {
        switch (random.Next(10))
        {
            case 0: return "```json\n" + Call() + "\n```";
            case 1: return "<tools>\n" + Call() + "\n</tools>";
            case 2: return Call();
            case 3: return "<tool_call>\n[" + Call() + ", " + Call() + "]\n</tool_call>";
            case 4: return "<tool_call>" + Call() + "</tool_call>";
            default: return "<tool_call>\n" + Call() + "\n</tool_call>";
        }
    }

    private string Call()
    {
        var name = Names[random.Next(Names.Length)];
        var arguments = Object(3);
        var form = random.Next(14);
        var written = form switch
        {
            1 => "{}",
            5 => arguments.Replace(", ", ",\n    ", StringComparison.Ordinal),
            _ => arguments,
        };
        Meant.Add((name, written));
        switch (form)
        {
            case 0: return $$"""{"arguments": {{arguments}}, "name": "{{name}}"}""";
            case 1: return $$"""{"name": "{{name}}"}""";
            case 2: return $$"""{"name": "{{name}}", "parameters": {{arguments}}}""";
            case 3: return $$"""{"name": "{{name}}", "arguments": {{System.Text.Json.JsonSerializer.Serialize(arguments)}}}""";
            case 4: return $$"""{"id": "{{Word()}}", "name": "{{name}}", "arguments": {{arguments}}, "more": [{{Word()}}]}""";
            case 5: return "{\n  \"name\": \"" + name + "\",\n  \"arguments\": " + written + "\n}";
            case 6: return "{{\"name\": \"" + name + "\", \"arguments\": {" + arguments + "}}}";
            case 7: return $$"""{"type": "function", "function": {"name": "{{name}}", "arguments": {{arguments}} } }""";
            case 8: return "{{\"function\": {{\"arguments\": {" + arguments + "}, \"name\": \"" + name + "\"}}, \"id\": 3}}";
            default: return $$"""{"name": "{{name}}", "arguments": {{arguments}}}""";
        }
    }

    private string Object(int depth)
        => "{" + string.Join(", ", Enumerable.Range(0, random.Next(4)).Select(_ => $"\"{Word()}\": {Value(depth)}")) + "}";

    private string Value(int depth) => random.Next(depth > 0 ? 10 : 7) switch
    {
        0 => random.Next(-1000, 1000).ToString(System.Globalization.CultureInfo.InvariantCulture),
        1 => "1.50e-3",
        2 => random.Next(2) == 0 ? "true" : "null",
        3 => "\"\"",
        4 => "\"" + Word() + Escapes[random.Next(Escapes.Length)] + Word() + "\"",
        5 or 6 => "\"" + Word() + "\"",
        7 => "[" + string.Join(", ", Enumerable.Range(0, random.Next(4)).Select(_ => Value(depth - 1))) + "]",
        _ => Object(depth - 1),
    };

    private static readonly string[] Escapes =
    [
        "\\n", "\\\"", "\\\\", "\\u00e9", "\\ud83d\\ude42", "{a,b}", "}}", "]", " <tool_call> ", "</tool_call>", "</tools>", "```", "'", " : ", "日本", "🙂", "\\/", "<b>",
    ];

    /// <summary>A word of its own, to be found again.</summary>
    private string Word() => $"w{random.Next(100_000):d5}";
}
