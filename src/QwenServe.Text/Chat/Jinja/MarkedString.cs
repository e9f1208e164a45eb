using System.Diagnostics.CodeAnalysis;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>
/// A Python string that remembers which of its characters came from the conversation. Marks are sorted, disjoint, non-adjacent ranges
/// in UTF-16 units; Python's positions are code points, so indexes are translated where a string holds surrogate pairs.
/// Equality and hashing look at the text alone.
/// </summary>
internal sealed class MarkedString : IEquatable<MarkedString>
{
    private static readonly TextRange[] NoMarks = [];

    public static readonly MarkedString Empty = new(string.Empty, NoMarks);

    private int[]? _starts;
    private sbyte _pairs = -1;

    public MarkedString(string text) : this(text, NoMarks)
    {
    }

    public MarkedString(string text, TextRange[] marks, bool safe = false)
    {
        Text = text;
        Marks = marks;
        Safe = safe;
    }

    public string Text { get; }

    public TextRange[] Marks { get; }

    /// <summary>Python's Markup: made by the filters safe and escape; adding to it escapes the other side.</summary>
    public bool Safe { get; }

    /// <summary>Text that came from the conversation, whole.</summary>
    public static MarkedString FromConversation(string text) =>
        text.Length == 0 ? Empty : new MarkedString(text, [new TextRange(0, text.Length)]);

    /// <summary>Text that is marked whole when any of what it was made from was: for operations that reorder characters.</summary>
    public static MarkedString Derived(string text, MarkedString source) =>
        source.Marks.Length == 0 ? new MarkedString(text) : FromConversation(text);

    public MarkedString AsSafe(bool safe) => safe == Safe ? this : new MarkedString(Text, Marks, safe);

    /// <summary>Number of code points (a lone surrogate counts as one, as in Python).</summary>
    public int Length => HasPairs ? Starts.Length - 1 : Text.Length;

    private bool HasPairs
    {
        get
        {
            if (_pairs < 0)
            {
                _pairs = 0;
                if (Text.AsSpan().IndexOfAnyInRange('\uD800', '\uDBFF') >= 0)
                    for (int i = 0; i + 1 < Text.Length; i++)
                        if (char.IsSurrogatePair(Text[i], Text[i + 1]))
                        {
                            _pairs = 1;
                            break;
                        }
            }

            return _pairs == 1;
        }
    }

    private int[] Starts
    {
        get
        {
            if (_starts is null)
            {
                var starts = new List<int>(Text.Length);
                for (int i = 0; i < Text.Length; i++)
                {
                    starts.Add(i);
                    if (i + 1 < Text.Length && char.IsSurrogatePair(Text[i], Text[i + 1]))
                        i++;
                }

                starts.Add(Text.Length);
                _starts = [.. starts];
            }

            return _starts;
        }
    }

    /// <summary>UTF-16 offset of code point <paramref name="index"/> (0..Length).</summary>
    public int Offset(int index) => HasPairs ? Starts[index] : index;

    /// <summary>Code point index of a UTF-16 offset.</summary>
    public int IndexOfOffset(int offset)
    {
        if (!HasPairs)
            return offset;
        int at = Array.BinarySearch(Starts, offset);
        return at >= 0 ? at : ~at - 1;
    }

    public MarkedString CodePoint(int index)
    {
        int start = Offset(index);
        return Units(start, Offset(index + 1) - start);
    }

    /// <summary>The part at a UTF-16 offset.</summary>
    public MarkedString Units(int start, int length)
    {
        if (length <= 0)
            return Safe ? new MarkedString(string.Empty, NoMarks, true) : Empty;
        if (start == 0 && length == Text.Length)
            return this;
        return new MarkedString(Text.Substring(start, length), Cut(start, length), Safe);
    }

    private TextRange[] Cut(int start, int length)
    {
        if (Marks.Length == 0)
            return NoMarks;
        int end = start + length;
        var cut = new List<TextRange>(Marks.Length);
        foreach (var mark in Marks)
        {
            int from = Math.Max(mark.Start, start);
            int to = Math.Min(mark.Start + mark.Length, end);
            if (from < to)
                cut.Add(new TextRange(from - start, to - from));
        }

        return cut.Count == 0 ? NoMarks : [.. cut];
    }

    /// <summary>The same marks on another text of the same length.</summary>
    public MarkedString WithText(string text) => text.Length == Text.Length ? new MarkedString(text, Marks, Safe) : Derived(text, this);

    public static MarkedString Concat(MarkedString left, MarkedString right)
    {
        bool safe = left.Safe || right.Safe;
        if (left.Text.Length == 0)
            return right.AsSafe(safe);
        if (right.Text.Length == 0)
            return left.AsSafe(safe);
        string text = left.Text + right.Text;
        if (left.Marks.Length == 0 && right.Marks.Length == 0)
            return new MarkedString(text, NoMarks, safe);
        var marks = new List<TextRange>(left.Marks.Length + right.Marks.Length);
        AppendMarks(marks, left, 0);
        AppendMarks(marks, right, left.Text.Length);
        return new MarkedString(text, [.. marks], safe);
    }

    /// <summary>Adds the marks of <paramref name="piece"/>, moved by <paramref name="offset"/>, joining neighbours.</summary>
    public static void AppendMarks(List<TextRange> marks, MarkedString piece, int offset)
    {
        foreach (var mark in piece.Marks)
            AppendMark(marks, mark.Start + offset, mark.Length);
    }

    public static void AppendMark(List<TextRange> marks, int start, int length)
    {
        if (length == 0)
            return;
        if (marks.Count > 0 && marks[^1].Start + marks[^1].Length == start)
            marks[^1] = new TextRange(marks[^1].Start, marks[^1].Length + length);
        else
            marks.Add(new TextRange(start, length));
    }

    /// <summary>Python's order of strings: by code point, where UTF-16 would put supplementary characters before U+E000.</summary>
    public static int Compare(string left, string right)
    {
        int length = Math.Min(left.Length, right.Length);
        for (int i = 0; i < length; i++)
        {
            char a = left[i], b = right[i];
            if (a == b)
                continue;
            bool aPart = IsPartOfPair(left, i), bPart = IsPartOfPair(right, i);
            if (aPart != bPart)
                return aPart ? 1 : -1;
            return a.CompareTo(b);
        }

        return left.Length.CompareTo(right.Length);
    }

    private static bool IsPartOfPair(string text, int at) =>
        char.IsSurrogate(text[at])
        && ((at + 1 < text.Length && char.IsSurrogatePair(text[at], text[at + 1]))
            || (at > 0 && char.IsSurrogatePair(text[at - 1], text[at])));

    public bool Equals([NotNullWhen(true)] MarkedString? other) => other is not null && Text == other.Text;

    public override bool Equals(object? obj) => Equals(obj as MarkedString);

    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => Text;
}
