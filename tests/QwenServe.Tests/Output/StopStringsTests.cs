using System.Text;
using QwenServe.Text.Output;

namespace QwenServe.Tests.Output;

public class StopStringsTests
{
    [Theory]
    [InlineData("hello STOP world", "STOP", false, "hello ", "STOP")]
    [InlineData("hello STOP world", "STOP", true, "hello STOP", "STOP")]
    [InlineData("hello ST world ST", "STOP", false, "hello ST world ST", null)]
    [InlineData("aaab", "aab", false, "a", "aab")]
    [InlineData("abcd", "abcd|bc", false, "a", "bc")]
    [InlineData("xabc", "c|abc", false, "x", "abc")]
    [InlineData("one\n\ntwo", "|\n\n", false, "one", "\n\n")]
    [InlineData("你好。再见", "。", true, "你好。", "。")]
    [InlineData("", "x", false, "", null)]
    public void Ends_the_output_at_the_first_match(string text, string stops, bool include, string expected, string? matched)
    {
        foreach (var pieces in (IEnumerable<string>[])[[text], ParsedOutput.Characters(text)])
        {
            var (output, match) = Run(pieces, stops.Split('|'), include);
            Assert.Equal(expected, output);
            Assert.Equal(matched, match);
        }
    }

    [Fact]
    public void Holds_back_only_what_may_be_the_start_of_a_stop_string()
    {
        var stops = new StopStrings(["STOP", "\n\n"]);
        Assert.Equal("so far ", stops.Feed("so far ST"));
        Assert.Equal(2, stops.HeldLength);
        Assert.Equal("STU\t", stops.Feed("U\t\n"));
        Assert.Equal("\n", stops.Flush());
        Assert.Equal(0, stops.HeldLength);
    }

    [Fact]
    public void A_match_counts_where_it_may_and_its_beginning_may_lie_before()
    {
        var stops = new StopStrings(["STOP", "TOP SECRET"]);
        Assert.Equal("a ", stops.Feed("a STOP", mayMatch: false));
        Assert.Equal("STOP b ", stops.Feed(" b ST", mayMatch: false));
        Assert.Equal(2, stops.HeldLength);
        Assert.Equal("", stops.Feed("OP c"));
        Assert.Equal("STOP", stops.Matched);

        stops = new StopStrings(["STOP", "TOP SECRET"]);
        Assert.Equal("", stops.Feed("STOP", mayMatch: false));
        Assert.Equal("S", stops.Feed(" SECRET"));
        Assert.Equal("TOP SECRET", stops.Matched);

        stops = new StopStrings(["STOP"]);
        stops.Feed("STOP", mayMatch: false);
        Assert.Equal("STOP", stops.Flush());
    }

    [Fact]
    public void Agrees_with_a_search_of_the_whole_text_for_any_pieces()
    {
        for (var i = 0; i < 20_000; i++)
        {
            var random = new Random(i);
            string Letters(int most) => string.Concat(Enumerable.Range(0, random.Next(1, most)).Select(_ => "abc"[random.Next(3)]));
            var stops = Enumerable.Range(0, random.Next(1, 5)).Select(_ => Letters(6)).ToArray();
            var text = Letters(40);
            var include = random.Next(2) == 0;

            string? matched = null;
            var expected = text;
            for (var end = 1; end <= text.Length && matched is null; end++)
            {
                matched = stops.Where(s => text[..end].EndsWith(s, StringComparison.Ordinal)).MaxBy(s => s.Length);
                if (matched is not null) expected = text[..(include ? end : end - matched.Length)];
            }

            var (output, match) = Run(ParsedOutput.RandomPieces(text, random), stops, include);
            Assert.Equal(expected, output);
            Assert.Equal(matched, match);
        }
    }

    private static (string Output, string? Matched) Run(IEnumerable<string> pieces, string[] strings, bool include)
    {
        var stops = new StopStrings(strings, include);
        var output = new StringBuilder();
        foreach (var piece in pieces) output.Append(stops.Feed(piece));
        output.Append(stops.Flush());
        Assert.Equal("", stops.Feed(stops.Matched is null ? "" : "more"));
        return (output.ToString(), stops.Matched);
    }
}
