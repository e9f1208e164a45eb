using System.Globalization;
using System.Text.RegularExpressions;
using QwenServe.Text.Output;

namespace QwenServe.Tests.Output;

/// <summary>
/// What must hold for any output and any pieces. <c>QWENSERVE_TEST_CASES</c> sets the number of random outputs (default 24,000) and
/// <c>QWENSERVE_TEST_SEED</c> another seed.
/// </summary>
public partial class ToolCallPropertyTests
{
    private static readonly int Cases = FromEnvironment("QWENSERVE_TEST_CASES", 24_000);
    private static readonly int Seed = FromEnvironment("QWENSERVE_TEST_SEED", 20_25);

    [Fact]
    public void For_any_output_the_pieces_do_not_matter_arguments_are_JSON_and_nothing_is_lost()
        => Parallel.For(0, Cases, i =>
        {
            var random = new Random(Seed + i);
            var writer = new RandomOutput(random);
            var output = writer.Next();
            if (i % 8 != 0) output = writer.Damage(output);
            try
            {
                CheckOutput(output, truncated: random.Next(3) == 0, random);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"case {i}: {output}", e);
            }
        });

    [Fact]
    public void Well_formed_answers_are_read_as_they_were_meant()
    {
        for (var i = 0; i < Cases / 8; i++)
        {
            var random = new Random(Seed + i);
            var writer = new RandomOutput(random);
            var output = writer.NextTagged();
            var message = ParsedOutput.Assemble(ParsedOutput.RandomPieces(output, random));
            Assert.Equal(writer.Meant, message.ToolCalls.Select(c => (c.Name, c.Arguments)));
            Assert.Equal(writer.MeantText, message.Content ?? "");
        }
    }

    [Fact]
    public void For_any_cut_of_an_output_the_same_holds()
    {
        for (var i = 0; i < 40; i++)
        {
            var random = new Random(Seed + i);
            var output = new RandomOutput(random).Next();
            for (var end = 0; end <= output.Length; end++)
            {
                if (end < output.Length && char.IsLowSurrogate(output[end])) continue;
                CheckOutput(output[..end], truncated: true, random);
                CheckOutput(output[..end], truncated: false, random);
            }
        }
    }

    [Fact]
    public void Random_characters_of_the_grammar_break_nothing()
        => Parallel.For(0, Cases / 4, i =>
        {
            var random = new Random(Seed + i);
            var output = "<tool_call>{\"name\":\"f\",\"arguments\":{"
                + string.Concat(Enumerable.Range(0, random.Next(60)).Select(_ => "{}[]\",:'\\u0d8ntx1-.<>/ \n"[random.Next(24)]));
            try
            {
                CheckOutput(output, truncated: random.Next(2) == 0, random);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"case {i}: {output}", e);
            }
        });

    private static void CheckOutput(string output, bool truncated, Random random)
    {
        var (whole, trace) = Parse([output], truncated);
        var shown = ParsedOutput.Show(whole);
        var (single, singleTrace) = Parse(ParsedOutput.Characters(output), truncated);
        Assert.Equal(shown, ParsedOutput.Show(single));
        Assert.Equal(trace.Content, singleTrace.Content);
        var (pieces, _) = Parse(ParsedOutput.RandomPieces(output, random), truncated);
        Assert.Equal(shown, ParsedOutput.Show(pieces));

        for (var i = 0; i < whole.ToolCalls.Count; i++)
        {
            var call = whole.ToolCalls[i];
            Assert.NotEmpty(call.Name);
            if (call.Complete)
            {
                Assert.Null(JsonCloser.WhyNotAnObject(call.Arguments));
                var cut = random.Next(1, call.Arguments.Length + 1);
                if (char.IsHighSurrogate(call.Arguments[cut - 1])) cut++;
                var prefix = call.Arguments[..cut];
                Assert.Null(JsonCloser.WhyNotAnObject(WithoutHalfPairs(JsonCloser.Close(prefix))));
            }
            else
            {
                Assert.True(truncated && i == whole.ToolCalls.Count - 1, "only a cut leaves the last call open");
                Assert.Null(JsonCloser.WhyNotAnObject(WithoutHalfPairs(JsonCloser.Close(call.Arguments))));
            }
        }

        Assert.Equal(output, trace.All);
        Assert.Equal(trace.Content, whole.Content ?? "");
        // Each word of the consumed text is in a name, in arguments, or in a header key that is neither.
        var kept = Words(string.Join(' ', whole.ToolCalls.Select(c => c.Name + " " + c.Arguments)) + " " + trace.Ignored);
        foreach (var (word, count) in Words(trace.Consumed))
            Assert.True(kept.GetValueOrDefault(word) >= count, $"{word} is lost");
    }

    private static (AssembledMessage Message, OutputTrace Trace) Parse(IEnumerable<string> pieces, bool truncated)
    {
        var trace = new OutputTrace();
        var parser = new ToolCallParser(ParsedOutput.Tools, trace);
        var deltas = new List<OutputDelta>();
        foreach (var piece in pieces) parser.Feed(piece, deltas);
        var summary = parser.Finish(truncated, deltas);
        var message = new AssembledMessage();
        message.Add(deltas);
        Assert.Equal(summary.Calls, message.ToolCalls.Count);
        Assert.Equal(0, parser.HeldLength);
        return (message, trace);
    }

    /// <summary>A prefix may end between the halves of an escaped surrogate pair; JSON as such allows it, .NET's strings do not.</summary>
    private static string WithoutHalfPairs(string json)
        => HalfPair().Replace(json, m => m.Length == 12 ? m.Value : "\\ufffd");

    private static Dictionary<string, int> Words(string text)
        => Word().Matches(text).GroupBy(m => m.Value).ToDictionary(g => g.Key, g => g.Count());

    private static int FromEnvironment(string name, int otherwise)
        => int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : otherwise;

    [GeneratedRegex(@"w[0-9]{5}")]
    private static partial Regex Word();

    [GeneratedRegex(@"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}")]
    private static partial Regex HalfPair();
}
