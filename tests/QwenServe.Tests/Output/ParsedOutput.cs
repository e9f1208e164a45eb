using QwenServe.Text.Output;

namespace QwenServe.Tests.Output;

/// <summary>Runs outputs through the parsers whole and in pieces, and writes the result as one line to compare.</summary>
internal static class ParsedOutput
{
    internal static readonly string[] Tools = ["f", "g", "get_weather", "run"];

    /// <summary>The message: content in brackets, calls behind it; a call that is not complete ends in an ellipsis.</summary>
    internal static string Show(AssembledMessage message)
        => string.Concat(
            message.Reasoning is { } reasoning ? $"({reasoning})" : "",
            message.Content is { } content ? $"[{content}]" : "",
            string.Concat(message.ToolCalls.Select(c => $" {c.Name}{c.Arguments}{(c.Complete ? "" : "…")}"))).TrimStart();

    internal static string Whole(string output, bool truncated = false, string[]? tools = null) => Show(Assemble([output], truncated, tools));

    internal static AssembledMessage Assemble(IEnumerable<string> pieces, bool truncated = false, string[]? tools = null)
    {
        var parser = new ToolCallParser(tools ?? Tools);
        var deltas = new List<OutputDelta>();
        foreach (var piece in pieces) parser.Feed(piece, deltas);
        var summary = parser.Finish(truncated, deltas);
        Assert.Equal(0, parser.HeldLength);
        var message = new AssembledMessage();
        message.Add(deltas);
        Assert.Equal(summary.Calls, message.ToolCalls.Count);
        Assert.Equal(summary.LastCallComplete, message.ToolCalls.Count == 0 || message.ToolCalls[^1].Complete);
        return message;
    }

    internal static IEnumerable<string> Characters(string output)
    {
        for (var i = 0; i < output.Length; i++)
        {
            var length = char.IsHighSurrogate(output[i]) && i + 1 < output.Length && char.IsLowSurrogate(output[i + 1]) ? 2 : 1;
            yield return output.Substring(i, length);
            i += length - 1;
        }
    }

    internal static IEnumerable<string> RandomPieces(string output, Random random)
    {
        var most = random.Next(1, 40);
        for (var i = 0; i < output.Length;)
        {
            var length = Math.Min(random.Next(1, most + 1), output.Length - i);
            if (char.IsHighSurrogate(output[i + length - 1]) && i + length < output.Length) length++;
            yield return output.Substring(i, length);
            i += length;
        }
    }
}
