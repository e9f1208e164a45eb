using System.Diagnostics;
using QwenServe.Text.Output;

namespace QwenServe.Benchmarks;

/// <summary>
/// Output pipeline: throughput and allocation on prose and on tool calls, fed in pieces as long as a token (4 characters) or at once,
/// and on texts made to be slow. Megabytes are of UTF-16 characters counted as one byte each.
/// </summary>
internal static class OutputBenchmark
{
    private const int Characters = 2_000_000;

    internal static int Run(string[] args)
    {
        const string prose = "The quick brown fox jumps over the lazy dog; a < b, `code`, and so on.\nA second line follows the first one.\n\n";
        const string call = "<tool_call>\n{\"name\": \"write_file\", \"arguments\": {\"path\": \"src/a.c\", \"lines\": [1, 2, 3], "
            + "\"text\": \"int main(void) {\\n    printf(\\\"hello\\\\n\\\");\\n    return 0;\\n}\\n\"}}\n</tool_call>\n";
        var plain = new OutputOptions();
        var stops = plain with { StopStrings = ["\n\nHuman:", "<|end|>", "The end."] };
        var tools = plain with { Tools = true, ToolNames = ["write_file", "search"] };
        var all = tools with { StopStrings = stops.StopStrings, Reasoning = ReasoningMode.Tagged };

        Console.WriteLine($"{"case",-36} {"pieces",8} {"MB/s",8} {"bytes/piece",12}");
        Measure("prose, nothing looked for", plain, prose, 4);
        Measure("prose, 3 stop strings", stops, prose, 4);
        Measure("prose, tools", tools, prose, 4);
        Measure("prose, stops + reasoning + tools", all, prose, 4);
        Measure("tool calls, tools", tools, call, 4);
        Measure("tool calls, stops + reasoning + tools", all, call, 4);
        Measure("prose, tools", tools, prose, int.MaxValue);
        Measure("tool calls, tools", tools, call, int.MaxValue);
        Measure("hostile: <tool_<tool_<tool_", tools, "<tool_", 4);
        Measure("hostile: white space", tools, "\n", 4);
        Measure("hostile: one open string of }<", tools, "}<", 4, "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": \"");
        Measure("hostile: a string of </tool_call>", tools, "</tool_call>", 4, "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": \"");
        Measure("hostile: deep nesting", tools, "[", 4, "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": ");
        return 0;
    }

    private static void Measure(string name, OutputOptions options, string unit, int piece, string start = "")
    {
        var text = start + string.Concat(Enumerable.Repeat(unit, Characters / unit.Length));
        var pieces = new List<string>();
        for (var i = 0; i < text.Length; i += Math.Min(piece, text.Length - i)) pieces.Add(text.Substring(i, Math.Min(piece, text.Length - i)));
        var best = TimeSpan.MaxValue;
        var allocated = long.MaxValue;
        for (var n = 0; n < 7; n++)
        {
            var pipeline = new OutputPipeline(options);
            var deltas = new List<OutputDelta>(16);
            var before = GC.GetAllocatedBytesForCurrentThread();
            var clock = Stopwatch.StartNew();
            foreach (var p in pieces)
            {
                deltas.Clear();
                pipeline.Feed(p, deltas);
            }
            pipeline.Finish(false, deltas);
            var elapsed = clock.Elapsed;
            if (elapsed < best) best = elapsed;
            allocated = Math.Min(allocated, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        Console.WriteLine($"{name,-36} {(piece == int.MaxValue ? "whole" : $"{piece} chars"),8} {text.Length / best.TotalSeconds / 1e6,8:f1} {(double)allocated / pieces.Count,12:f1}");
    }
}
