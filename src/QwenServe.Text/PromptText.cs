namespace QwenServe.Text;

/// <summary>A stretch of a string, in UTF-16 code units.</summary>
public readonly record struct TextRange(int Start, int Length)
{
    /// <summary>One past the last code unit.</summary>
    public int End => Start + Length;
}

/// <summary>
/// A rendered prompt that remembers which of its parts were written by the conversation (messages, tool results, tool
/// descriptions, arguments) and which by the template. Control tokens belong to the template: text inside the ranges is
/// encoded as plain text, so that a user who types <c>&lt;|im_end|&gt;</c> ends nothing.
/// </summary>
public sealed class PromptText
{
    /// <param name="text">The whole prompt.</param>
    /// <param name="fromConversation">Sorted, non-overlapping ranges within <paramref name="text"/>.</param>
    /// <exception cref="ArgumentException">A range lies outside the text, overlaps another or is out of order.</exception>
    public PromptText(string text, IReadOnlyList<TextRange> fromConversation)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(fromConversation);
        var previousEnd = 0;
        foreach (var range in fromConversation)
        {
            if (range.Length < 0 || range.Start < previousEnd || range.Start > text.Length - range.Length)
                throw new ArgumentException($"range {range.Start}+{range.Length} is out of order or outside a text of {text.Length}", nameof(fromConversation));
            previousEnd = range.End;
        }
        Text = text;
        FromConversation = fromConversation;
    }

    public string Text { get; }

    /// <summary>The parts of <see cref="Text"/> that came from the conversation: sorted, non-overlapping.</summary>
    public IReadOnlyList<TextRange> FromConversation { get; }
}
