using QwenServe.Text.Output;

namespace QwenServe.Tests.Output;

public class OutputPipelineTests
{
    private const string Call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"a\"}}\n</tool_call>";

    [Fact]
    public void Reads_reasoning_then_content_then_calls()
    {
        var (message, summary) = Run(new() { Reasoning = ReasoningMode.Assumed, Tools = true }, ["Hm <tool_call>.\n</think>\n\nI look.\n" + Call]);
        Assert.Equal("(Hm <tool_call>.)[I look.] f{\"x\": \"a\"}", ParsedOutput.Show(message));
        Assert.Equal(new OutputSummary(OutputFinish.ToolCalls, 1, true, null), summary);
    }

    [Fact]
    public void Reasoning_and_calls_are_the_same_however_the_output_is_cut()
    {
        for (var i = 0; i < 60; i++)
        {
            var random = new Random(i);
            var writer = new RandomOutput(random);
            var output = "\nFirst " + writer.Next() + "\n</thi </think" + (i % 4 == 0 ? "" : ">\n\n") + writer.Next();
            if (i % 3 == 0) output = writer.Damage(output);
            var options = new OutputOptions { Reasoning = ReasoningMode.Assumed, Tools = true, ToolNames = ParsedOutput.Tools };
            var truncated = i % 2 == 0;
            var (whole, summary) = Run(options, [output], truncated);
            for (var cut = 1; cut < output.Length; cut++)
            {
                if (char.IsLowSurrogate(output[cut])) continue;
                var (message, other) = Run(options, [output[..cut], output[cut..]], truncated);
                Assert.Equal(ParsedOutput.Show(whole), ParsedOutput.Show(message));
                Assert.Equal(summary, other);
            }
            var silent = Run(options with { IncludeReasoning = false }, ParsedOutput.RandomPieces(output, random), truncated).Message;
            Assert.Null(silent.Reasoning);
            Assert.Equal(whole.Content, silent.Content);
        }
    }

    [Fact]
    public void Without_tools_their_markup_is_text()
    {
        var (message, summary) = Run(new(), [Call]);
        Assert.Equal(Call, message.Content);
        Assert.Equal(OutputFinish.Stop, summary.Finish);
    }

    [Fact]
    public void A_cut_is_a_length_even_behind_a_whole_call()
    {
        Assert.Equal(new OutputSummary(OutputFinish.Length, 1, true, null), Run(new() { Tools = true }, [Call + "\n<tool_"], truncated: true).Summary);
        Assert.Equal(new OutputSummary(OutputFinish.Length, 2, false, null), Run(new() { Tools = true }, [Call + Call[..^18]], truncated: true).Summary);
    }

    [Fact]
    public void A_stop_string_ends_the_message_and_is_named()
    {
        var (message, summary) = Run(new() { StopStrings = ["END"], Tools = true }, ["one E", "N", "Dtwo"], truncated: true);
        Assert.Equal("one ", message.Content);
        Assert.Equal(new OutputSummary(OutputFinish.Stop, 0, true, "END"), summary);
    }

    [Fact]
    public void A_stop_string_inside_arguments_closes_them()
    {
        var (message, summary) = Run(new() { StopStrings = ["a\""], Tools = true }, [Call]);
        Assert.Equal("f{\"x\": \"\"}", ParsedOutput.Show(message));
        Assert.Equal(OutputFinish.ToolCalls, summary.Finish);
    }

    [Fact]
    public void Settled_counts_the_characters_that_are_not_held_back()
    {
        var pipeline = new OutputPipeline(new() { StopStrings = ["##"], Reasoning = ReasoningMode.Tagged, Tools = true });
        var deltas = new List<OutputDelta>();
        pipeline.Feed("<think>ab</th", deltas);
        Assert.Equal(9, pipeline.Settled);
        pipeline.Feed("ink>c<tool_", deltas);
        Assert.Equal(18, pipeline.Settled);
        pipeline.Feed("call>{\"name\": \"f\", \"arguments\": {#", deltas);
        Assert.Equal("<think>ab</think>c<tool_call>{\"name\": \"f\", \"arguments\": {".Length, pipeline.Settled);
    }

    [Fact]
    public void A_plain_piece_passes_without_a_copy()
    {
        var piece = string.Concat("some", " text");
        foreach (var options in (OutputOptions[])[new(), new() { StopStrings = ["##"], Tools = true, ToolNames = ["f"] }])
        {
            var pipeline = new OutputPipeline(options);
            var deltas = new List<OutputDelta>();
            pipeline.Feed("x", deltas);
            pipeline.Feed(piece, deltas);
            Assert.Same(piece, deltas[^1].Text);
        }
    }

    [Fact]
    public void The_pieces_do_not_matter()
    {
        for (var i = 0; i < 4_000; i++)
        {
            var random = new Random(i);
            var writer = new RandomOutput(random);
            var output = (random.Next(2) == 0 ? "<think>\nhm\n</think>\n\n" : "") + writer.Damage(writer.Next());
            var options = new OutputOptions
            {
                StopStrings = random.Next(2) == 0 ? ["w1", "\n\n", "<tool_call>\n{\"name\": \"g"] : [],
                IncludeStopString = random.Next(2) == 0,
                Reasoning = (ReasoningMode)random.Next(3),
                Tools = random.Next(4) > 0,
                ToolNames = ParsedOutput.Tools,
            };
            var truncated = random.Next(2) == 0;
            var whole = Run(options, [output], truncated);
            var pieces = Run(options, ParsedOutput.RandomPieces(output, random), truncated);
            Assert.Equal(ParsedOutput.Show(whole.Message), ParsedOutput.Show(pieces.Message));
            Assert.Equal(whole.Summary, pieces.Summary);
            Assert.All(whole.Message.ToolCalls, c => Assert.True(c.Complete ? JsonCloser.WhyNotAnObject(c.Arguments) is null : whole.Summary.Finish == OutputFinish.Length));
        }
    }

    private static (AssembledMessage Message, OutputSummary Summary) Run(OutputOptions options, IEnumerable<string> pieces, bool truncated = false)
    {
        var pipeline = new OutputPipeline(options);
        var deltas = new List<OutputDelta>();
        foreach (var piece in pieces) pipeline.Feed(piece, deltas);
        var summary = pipeline.Finish(truncated, deltas);
        var message = new AssembledMessage();
        message.Add(deltas);
        return (message, summary);
    }
}
