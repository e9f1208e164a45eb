using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace QwenServe.Hosting;

/// <summary>What a model's answers turned out to be, and what reading them took, as far as the engine does not see it.</summary>
internal sealed class ModelMetrics : IDisposable
{
    private static readonly double[] CompileBuckets = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

    private readonly Meter _meter = new("QwenServe.Model");
    private readonly Counter<long> _parserInvocations;
    private readonly Counter<long> _toolCalls;
    private readonly Histogram<double> _grammarCompile;

    public ModelMetrics()
    {
        _parserInvocations = _meter.CreateCounter<long>("vllm.tool_call_parser_invocations", description: "Answers in which tool calls were looked for, by outcome.");
        _toolCalls = _meter.CreateCounter<long>("qwenserve.tool_calls", description: "Tool calls in answers: complete, or cut by a limit.");
        _grammarCompile = _meter.CreateHistogram("qwenserve.grammar_compile_seconds", description: "Compiling a schema, a pattern or a grammar that was not kept.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = CompileBuckets });
    }

    public Meter Meter => _meter;

    /// <summary>Counts an answer that might have held tool calls.</summary>
    /// <param name="path">The request's.</param>
    /// <param name="streamed">Whether the answer is a stream.</param>
    /// <param name="calls">Calls in it.</param>
    /// <param name="complete">Whether the last one was written to its end.</param>
    public void ToolsRead(string path, bool streamed, int calls, bool complete)
    {
        string type = path switch
        {
            "/v1/chat/completions" => "chat_completions",
            "/v1/responses" => "responses",
            _ => "other",
        };
        _parserInvocations.Add(1, new TagList { { "mode", streamed ? "streaming" : "non_streaming" }, { "outcome", calls > 0 ? "tool_call" : "no_tool_call" }, { "request_type", type } });
        if (calls == 0) return;
        int whole = complete ? calls : calls - 1;
        if (whole > 0) _toolCalls.Add(whole, new KeyValuePair<string, object?>("outcome", "complete"));
        if (!complete) _toolCalls.Add(1, new KeyValuePair<string, object?>("outcome", "truncated"));
    }

    public void GrammarCompiled(TimeSpan time) => _grammarCompile.Record(time.TotalSeconds);

    public void Dispose() => _meter.Dispose();
}
