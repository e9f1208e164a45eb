using System.Text;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>Builds a <see cref="MarkedString"/> piece by piece, within the size a rendering may reach.</summary>
internal sealed class MarkedStringBuilder(Rendering rendering)
{
    private readonly StringBuilder _text = new();
    private readonly List<TextRange> _marks = [];

    public int Length => _text.Length;

    public IReadOnlyList<TextRange> Marks => _marks;

    public void Append(MarkedString piece)
    {
        if (piece.Marks.Length > 0)
            MarkedString.AppendMarks(_marks, piece, _text.Length);
        Append(piece.Text);
    }

    public void Append(string text)
    {
        rendering.ChargeText(text.Length, _text.Length + (long)text.Length);
        _text.Append(text);
    }

    public void Append(string text, bool fromConversation)
    {
        if (fromConversation)
            MarkedString.AppendMark(_marks, _text.Length, text.Length);
        Append(text);
    }

    public void Append(char unit, bool fromConversation = false)
    {
        if (fromConversation)
            MarkedString.AppendMark(_marks, _text.Length, 1);
        rendering.ChargeText(1, _text.Length + 1L);
        _text.Append(unit);
    }

    public void Append(MarkedString source, int start, int length)
    {
        if (length <= 0)
            return;
        if (source.Marks.Length > 0)
        {
            Append(source.Units(start, length));
            return;
        }

        rendering.ChargeText(length, _text.Length + (long)length);
        _text.Append(source.Text, start, length);
    }

    public void AppendRepeated(MarkedString piece, long count)
    {
        if (piece.Text.Length == 1 && piece.Marks.Length == 0 && count > 0)
        {
            rendering.ChargeText(count, _text.Length + count);
            _text.Append(piece.Text[0], (int)count);
            return;
        }

        for (long i = 0; i < count; i++)
            Append(piece);
    }

    public MarkedString ToMarkedString() => _text.Length == 0 ? MarkedString.Empty : new MarkedString(_text.ToString(), [.. _marks]);

    public override string ToString() => _text.ToString();
}
