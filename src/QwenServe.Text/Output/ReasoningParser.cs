namespace QwenServe.Text.Output;

/// <summary>Where a model's reasoning begins.</summary>
public enum ReasoningMode
{
    /// <summary>The model does not reason: everything is content.</summary>
    Off,

    /// <summary>The model opens its reasoning itself with <c>&lt;think&gt;</c>.</summary>
    Tagged,

    /// <summary>The prompt already ends in <c>&lt;think&gt;</c> (QwQ): the output begins inside the reasoning.</summary>
    Assumed,
}

/// <summary>
/// Splits output into the reasoning between <c>&lt;think&gt;</c> and <c>&lt;/think&gt;</c> and the content after it.
/// <para>
/// The opening tag counts only as the first thing of the output (white space may stand before it); later it is text. The first closing
/// tag ends the reasoning; without one all of the output is reasoning. Newlines directly after the opening tag, before the closing tag
/// and after it are markup, as in the templates of QwQ and Qwen3, which strip them when they render history. All else is passed on
/// exactly. The parser is a machine over single characters, so the result does not depend on how the output was cut into pieces.
/// </para>
/// </summary>
public sealed class ReasoningParser
{
    private const string Open = "<think>";
    private const string Close = "</think>";

    private readonly DeltaWriter _writer = new();
    private readonly System.Text.StringBuilder _held = new();
    private State _state;
    private int _tag;   // characters of a tag at the end of _held

    public ReasoningParser(ReasoningMode mode) => _state = mode switch
    {
        ReasoningMode.Tagged => State.Start,
        ReasoningMode.Assumed => State.AssumedStart,
        _ => State.Content,
    };

    private enum State { Start, AssumedStart, ReasoningStart, Reasoning, ContentStart, Content }

    /// <summary>Characters received and not yet settled.</summary>
    public int HeldLength => _held.Length;

    /// <summary>Whether the output so far ends inside the reasoning.</summary>
    public bool InReasoning => _state is State.AssumedStart or State.ReasoningStart or State.Reasoning;

    /// <summary>Receives the raw text as it is settled; null outside tests.</summary>
    internal OutputTrace? Trace { get; init; }

    /// <summary>Takes the next piece and adds the deltas that are settled by it.</summary>
    public void Feed(string text, List<OutputDelta> output)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(output);
        _writer.Begin(output);
        for (var i = 0; i < text.Length; i++)
        {
            if (_state == State.Content)
            {
                if (i == 0) _writer.AppendWhole(OutputDeltaKind.Content, 0, text);
                else _writer.Append(OutputDeltaKind.Content, 0, text.AsSpan(i));
                Trace?.Settle(false, text.AsSpan(i));
                break;
            }
            if (_state == State.Reasoning && _held.Length == 0)
            {
                var rest = text.AsSpan(i);
                var plain = rest.IndexOfAny('\n', '<');
                if (plain < 0) plain = rest.Length;
                if (plain > 0)
                {
                    if (plain == text.Length) _writer.AppendWhole(OutputDeltaKind.Reasoning, 0, text);
                    else _writer.Append(OutputDeltaKind.Reasoning, 0, rest[..plain]);
                    Trace?.Settle(false, rest[..plain]);
                    i += plain - 1;
                    continue;
                }
            }
            Push(text[i]);
        }
        _writer.Flush();
    }

    /// <summary>The output has ended: what was held back is settled.</summary>
    public void Finish(List<OutputDelta> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        _writer.Begin(output);
        Release(InReasoning ? OutputDeltaKind.Reasoning : OutputDeltaKind.Content);
        _writer.Flush();
    }

    private void Push(char c)
    {
        switch (_state)
        {
            case State.Start:
            case State.AssumedStart:
                if (Extends(Open, c))
                {
                    if (_tag == Open.Length) Consume(State.ReasoningStart);
                }
                else if (_tag == 0 && char.IsWhiteSpace(c))
                {
                    _held.Append(c);
                }
                else if (_state == State.Start)
                {
                    Release(OutputDeltaKind.Content);
                    _state = State.Content;
                    Emit(OutputDeltaKind.Content, c);
                }
                else
                {
                    // No second opening tag: what was held belongs to the reasoning and may be the beginning of its end.
                    var held = _held.ToString();
                    _held.Clear();
                    _tag = 0;
                    _state = State.ReasoningStart;
                    foreach (var h in held) Push(h);
                    Push(c);
                }
                break;

            case State.ReasoningStart:
                if (c == '\n')
                {
                    Trace?.Settle(true, "\n");
                    break;
                }
                _state = State.Reasoning;
                goto case State.Reasoning;

            case State.Reasoning:
                if (Extends(Close, c))
                {
                    if (_tag == Close.Length) Consume(State.ContentStart);
                    break;
                }
                if (_tag > 0) Release(OutputDeltaKind.Reasoning);
                if (c == '\n') _held.Append(c);
                else if (c == '<') Extends(Close, c);
                else
                {
                    Release(OutputDeltaKind.Reasoning);
                    Emit(OutputDeltaKind.Reasoning, c);
                }
                break;

            case State.ContentStart:
                if (c == '\n')
                {
                    Trace?.Settle(true, "\n");
                    break;
                }
                _state = State.Content;
                goto case State.Content;

            case State.Content:
                Emit(OutputDeltaKind.Content, c);
                break;
        }
    }

    private bool Extends(string tag, char c)
    {
        if (tag[_tag] != c) return false;
        _held.Append(c);
        _tag++;
        return true;
    }

    private void Consume(State next)
    {
        Trace?.Settle(true, _held);
        _held.Clear();
        _tag = 0;
        _state = next;
    }

    private void Release(OutputDeltaKind kind)
    {
        Trace?.Settle(false, _held);
        _writer.Append(kind, 0, _held);
        _held.Clear();
        _tag = 0;
    }

    private void Emit(OutputDeltaKind kind, char c)
    {
        Trace?.Settle(false, [c]);
        _writer.Append(kind, 0, c);
    }
}
