namespace QwenServe.Text.Output;

/// <summary>How one output is to be read.</summary>
public sealed record OutputOptions
{
    /// <summary>Texts that end the output, looked for in what the model writes, reasoning and calls included.</summary>
    public IReadOnlyList<string> StopStrings { get; init; } = [];

    /// <summary>Whether the stop string that matched stays in the output.</summary>
    public bool IncludeStopString { get; init; }

    /// <summary>Where the model's reasoning begins.</summary>
    public ReasoningMode Reasoning { get; init; }

    /// <summary>Whether the reasoning is given out; if not, it is read and dropped.</summary>
    public bool IncludeReasoning { get; init; } = true;

    /// <summary>Whether tool calls are looked for; if not, their markup is text.</summary>
    public bool Tools { get; init; }

    /// <summary>Names of the declared tools.</summary>
    public IReadOnlyCollection<string> ToolNames { get; init; } = [];
}

/// <summary>Why an output ended, in the terms of OpenAI's <c>finish_reason</c>.</summary>
public enum OutputFinish
{
    /// <summary>The model ended it, or a stop string.</summary>
    Stop,

    /// <summary>A limit cut it. Goes before <see cref="ToolCalls"/>: a client must not run a call that was cut.</summary>
    Length,

    /// <summary>The model ended it and called at least one tool.</summary>
    ToolCalls,
}

/// <summary>The facts about an output that has ended.</summary>
/// <param name="Finish">Why it ended.</param>
/// <param name="ToolCalls">Number of calls in it.</param>
/// <param name="LastToolCallComplete">False if the output was cut inside the last call.</param>
/// <param name="StopString">The stop string that ended it, or null.</param>
public readonly record struct OutputSummary(OutputFinish Finish, int ToolCalls, bool LastToolCallComplete, string? StopString);

/// <summary>
/// Everything between detokenized text and the deltas of a chat message: stop strings, then reasoning, then tool calls in the content.
/// One instance reads one output. Feeding it in other pieces gives other fragments and the same message; an unstreamed answer is the
/// same pipeline with its deltas put together by <see cref="AssembledMessage"/>.
/// </summary>
public sealed class OutputPipeline
{
    private readonly StopStrings? _stops;
    private readonly ReasoningParser? _reasoning;
    private readonly ToolCallParser? _tools;
    private readonly bool _includeReasoning;
    private readonly List<OutputDelta> _split = [];
    private long _received;

    public OutputPipeline(OutputOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.StopStrings.Any(s => s.Length > 0)) _stops = new StopStrings(options.StopStrings, options.IncludeStopString);
        if (options.Reasoning != ReasoningMode.Off) _reasoning = new ReasoningParser(options.Reasoning);
        _includeReasoning = options.IncludeReasoning;
        if (options.Tools) _tools = new ToolCallParser(options.ToolNames);
    }

    /// <summary>Whether a stop string was found: nothing more will come, and the generation can be ended.</summary>
    public bool Stopped => _stops?.Matched is not null;

    /// <summary>Whether the output so far ends inside the reasoning.</summary>
    public bool InReasoning => _reasoning?.InReasoning ?? false;

    /// <summary>
    /// How many of the characters fed are settled: their deltas have been given out, or they were consumed as markup. A token whose
    /// characters end here or before can be reported (log-probabilities) with the deltas returned so far.
    /// </summary>
    public long Settled => _received - (_stops?.HeldLength ?? 0) - (_reasoning?.HeldLength ?? 0) - (_tools?.HeldLength ?? 0);

    /// <summary>Takes the next piece of text and adds the deltas that are settled by it.</summary>
    /// <param name="text">The piece.</param>
    /// <param name="output">Receives the deltas.</param>
    /// <param name="mayStop">Whether a stop string that is complete in this piece ends the output; if not, it is text.</param>
    public void Feed(string text, List<OutputDelta> output, bool mayStop = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(output);
        _received += text.Length;
        Split(_stops is null ? text : _stops.Feed(text, mayStop), output);
    }

    /// <summary>The output has ended: what was held back is settled.</summary>
    /// <param name="truncated">Whether a limit cut it. A stop string that was found before overrides this.</param>
    /// <param name="output">Receives the last deltas.</param>
    public OutputSummary Finish(bool truncated, List<OutputDelta> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        if (Stopped) truncated = false;
        if (_stops is not null) Split(_stops.Flush(), output);
        if (_reasoning is not null)
        {
            _split.Clear();
            _reasoning.Finish(_split);
            Distribute(output);
        }
        var calls = _tools?.Finish(truncated, output) ?? new ToolCallSummary(0, true);
        var finish = truncated ? OutputFinish.Length : calls.Calls > 0 ? OutputFinish.ToolCalls : OutputFinish.Stop;
        return new OutputSummary(finish, calls.Calls, calls.LastCallComplete, _stops?.Matched);
    }

    private void Split(string text, List<OutputDelta> output)
    {
        if (text.Length == 0) return;
        if (_reasoning is null)
        {
            Content(text, output);
            return;
        }
        _split.Clear();
        _reasoning.Feed(text, _split);
        Distribute(output);
    }

    private void Distribute(List<OutputDelta> output)
    {
        foreach (var delta in _split)
        {
            if (delta.Kind == OutputDeltaKind.Content) Content(delta.Text, output);
            else if (_includeReasoning) output.Add(delta);
        }
    }

    private void Content(string text, List<OutputDelta> output)
    {
        if (_tools is not null) _tools.Feed(text, output);
        else output.Add(new OutputDelta(OutputDeltaKind.Content, 0, text));
    }
}
