using System.Text;

namespace QwenServe.Text.Output;

/// <summary>
/// Collects what a parser emits and joins neighbours of one kind, so that one fed piece gives few deltas.
/// A piece that passes whole keeps its own string and is not copied.
/// </summary>
internal sealed class DeltaWriter
{
    private readonly StringBuilder _text = new();
    private List<OutputDelta> _output = [];
    private string? _whole;
    private OutputDeltaKind _kind;
    private int _index;

    internal void Begin(List<OutputDelta> output) => _output = output;

    internal void Append(OutputDeltaKind kind, int index, char c)
    {
        Switch(kind, index);
        _text.Append(c);
    }

    internal void Append(OutputDeltaKind kind, int index, ReadOnlySpan<char> text)
    {
        if (text.IsEmpty) return;
        Switch(kind, index);
        _text.Append(text);
    }

    internal void Append(OutputDeltaKind kind, int index, StringBuilder text)
    {
        if (text.Length == 0) return;
        Switch(kind, index);
        _text.Append(text);
    }

    /// <summary>Appends a string that may be handed on as it is.</summary>
    internal void AppendWhole(OutputDeltaKind kind, int index, string text)
    {
        if (text.Length == 0) return;
        Switch(kind, index);
        if (_text.Length == 0) _whole = text;
        else _text.Append(text);
    }

    internal void Mark(OutputDeltaKind kind, int index, string text)
    {
        Flush();
        _output.Add(new OutputDelta(kind, index, text));
    }

    internal void Flush()
    {
        if (_whole is not null)
        {
            _output.Add(new OutputDelta(_kind, _index, _whole));
            _whole = null;
        }
        else if (_text.Length > 0)
        {
            _output.Add(new OutputDelta(_kind, _index, _text.ToString()));
            _text.Clear();
        }
    }

    private void Switch(OutputDeltaKind kind, int index)
    {
        if (kind != _kind || index != _index)
        {
            Flush();
            _kind = kind;
            _index = index;
        }
        else if (_whole is not null)
        {
            _text.Append(_whole);
            _whole = null;
        }
    }
}
