using System.Text;

namespace QwenServe.Text.Output;

/// <summary>One tool call of an <see cref="AssembledMessage"/>.</summary>
/// <param name="Name">Name of the function.</param>
/// <param name="Arguments">JSON text of the arguments.</param>
/// <param name="Complete">False if the output was cut inside the arguments, which are then a prefix of JSON.</param>
public readonly record struct AssembledToolCall(string Name, string Arguments, bool Complete);

/// <summary>Puts the deltas of one output together into the message that an unstreamed answer carries.</summary>
public sealed class AssembledMessage
{
    private readonly StringBuilder _content = new();
    private readonly StringBuilder _reasoning = new();
    private readonly List<(string Name, StringBuilder Arguments, bool Complete)> _calls = [];

    /// <summary>The answer's text, or null if there is none.</summary>
    public string? Content => _content.Length == 0 ? null : _content.ToString();

    /// <summary>The reasoning, or null if there is none.</summary>
    public string? Reasoning => _reasoning.Length == 0 ? null : _reasoning.ToString();

    /// <summary>The calls in order.</summary>
    public IReadOnlyList<AssembledToolCall> ToolCalls
        => [.. _calls.Select(c => new AssembledToolCall(c.Name, c.Arguments.ToString(), c.Complete))];

    public void Add(OutputDelta delta)
    {
        switch (delta.Kind)
        {
            case OutputDeltaKind.Content:
                _content.Append(delta.Text);
                break;
            case OutputDeltaKind.Reasoning:
                _reasoning.Append(delta.Text);
                break;
            case OutputDeltaKind.ToolCallBegin:
                if (delta.Index != _calls.Count) throw new InvalidOperationException($"Tool call {delta.Index} begins after {_calls.Count} calls.");
                _calls.Add((delta.Text, new StringBuilder(), false));
                break;
            case OutputDeltaKind.ToolCallArguments:
                _calls[delta.Index].Arguments.Append(delta.Text);
                break;
            case OutputDeltaKind.ToolCallEnd:
                _calls[delta.Index] = _calls[delta.Index] with { Complete = true };
                break;
        }
    }

    public void Add(IEnumerable<OutputDelta> deltas)
    {
        ArgumentNullException.ThrowIfNull(deltas);
        foreach (var delta in deltas) Add(delta);
    }
}
