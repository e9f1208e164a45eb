using QwenServe.Text.Output;

namespace QwenServe.Tests.Output;

public class ReasoningParserTests
{
    [Theory]
    [InlineData(ReasoningMode.Off, "<think>a</think>b", "[<think>a</think>b]")]
    [InlineData(ReasoningMode.Tagged, "<think>\na\n</think>\n\nb\n", "(a)[b\n]")]
    [InlineData(ReasoningMode.Tagged, "\n<think>a\n\nb</think>c", "(a\n\nb)[c]")]
    [InlineData(ReasoningMode.Tagged, "a<think>b</think>", "[a<think>b</think>]")]
    [InlineData(ReasoningMode.Tagged, " <thin", "[ <thin]")]
    [InlineData(ReasoningMode.Tagged, "<think>\n\n</think>\n\nb", "[b]")]
    [InlineData(ReasoningMode.Tagged, "<think>a <b> </thin> </think></think>b", "(a <b> </thin> )[</think>b]")]
    [InlineData(ReasoningMode.Tagged, "<think>a\n</thi", "(a\n</thi)")]
    [InlineData(ReasoningMode.Assumed, "Okay, <x>\n</think>\n\n4", "(Okay, <x>)[4]")]
    [InlineData(ReasoningMode.Assumed, "<think>\nOkay\n</think>\n\n4", "(Okay)[4]")]
    [InlineData(ReasoningMode.Assumed, "\n</think>4", "[4]")]
    [InlineData(ReasoningMode.Assumed, "Okay", "(Okay)")]
    [InlineData(ReasoningMode.Assumed, "a\n\n\n<b", "(a\n\n\n<b)")]
    public void Splits_reasoning_from_content(ReasoningMode mode, string output, string expected)
    {
        Assert.Equal(expected, Run(mode, [output], output));
        Assert.Equal(expected, Run(mode, ParsedOutput.Characters(output), output));
    }

    [Fact]
    public void The_pieces_do_not_matter()
    {
        string[] parts = ["<think>", "</think>", "<think", "</", "\n", "\n\n", " ", "a", "好", "<"];
        for (var i = 0; i < 20_000; i++)
        {
            var random = new Random(i);
            var output = string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => parts[random.Next(parts.Length)]));
            var mode = (ReasoningMode)random.Next(3);
            Assert.Equal(Run(mode, [output], output), Run(mode, ParsedOutput.RandomPieces(output, random), output));
        }
    }

    [Fact]
    public void Reasoning_streams_as_it_is_written()
    {
        var parser = new ReasoningParser(ReasoningMode.Assumed);
        var deltas = new List<OutputDelta>();
        parser.Feed("Let me think", deltas);
        Assert.Equal([new(OutputDeltaKind.Reasoning, 0, "Let me think")], deltas);
        Assert.True(parser.InReasoning);
    }

    private static string Run(ReasoningMode mode, IEnumerable<string> pieces, string output)
    {
        var trace = new OutputTrace();
        var parser = new ReasoningParser(mode) { Trace = trace };
        var deltas = new List<OutputDelta>();
        foreach (var piece in pieces) parser.Feed(piece, deltas);
        parser.Finish(deltas);
        var message = new AssembledMessage();
        message.Add(deltas);
        Assert.Equal(0, parser.HeldLength);
        Assert.Equal(output, trace.All);
        Assert.Equal(trace.Content, message.Reasoning + message.Content);
        return ParsedOutput.Show(message);
    }
}
