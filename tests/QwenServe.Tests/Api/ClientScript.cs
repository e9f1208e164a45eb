namespace QwenServe.Tests.Api;

/// <summary>
/// What the scripted model says to the client suites, by what its prompt holds: calls of two tools and then of a third with what they gave, a person as JSON,
/// words without end, or a greeting.
/// </summary>
internal static class ClientScript
{
    public const string Greeting = "Hello there, 你好 😀.";

    public static string Answer(string prompt)
    {
        if (prompt.Contains("Count for ever", StringComparison.Ordinal)) return string.Concat(Enumerable.Repeat("one two three ", 600));
        if (prompt.Contains("as JSON", StringComparison.Ordinal)) return """{"name": "Ada", "age": 36, "email": "ada@example.org", "skills": ["mathematics", "poetry"]}""";
        if (prompt.Contains("Hand over.", StringComparison.Ordinal)) return Call("transfer_to_expert", "{}");
        if (!prompt.Contains("# Tools", StringComparison.Ordinal)) return Greeting;
        return (prompt.Split("<tool_response>").Length - 1) switch
        {
            0 => Call("get_weather", """{"city": "Paris"}""") + "\n" + Call("get_weather", """{"city": "Rome"}"""),
            2 => Call("average", """{"values": [21, 25]}"""),
            _ => "The average is 23 degrees.",
        };
    }

    private static string Call(string name, string arguments) => $"<tool_call>\n{{\"name\": \"{name}\", \"arguments\": {arguments}}}\n</tool_call>";
}
