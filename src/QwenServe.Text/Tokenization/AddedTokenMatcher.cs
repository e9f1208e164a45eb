using System.Buffers;
using System.Globalization;
using System.Text;

namespace QwenServe.Text.Tokenization;

/// <summary>Finds added tokens in text: leftmost first, the longest of those that start at one place.</summary>
internal sealed class AddedTokenMatcher
{
    private readonly SearchValues<char> _firstCharacters;
    private readonly Dictionary<char, AddedToken[]> _byFirstCharacter;

    public AddedTokenMatcher(IEnumerable<AddedToken> tokens)
    {
        _byFirstCharacter = tokens.GroupBy(t => t.Content[0]).ToDictionary(g => g.Key, g => g.OrderByDescending(t => t.Content.Length).ToArray());
        _firstCharacters = SearchValues.Create([.. _byFirstCharacter.Keys]);
    }

    public bool IsEmpty => _byFirstCharacter.Count == 0;

    /// <param name="text">The text searched.</param>
    /// <param name="from">Where the previous match ended.</param>
    /// <param name="conversation">Sorted ranges in which special tokens are plain text.</param>
    /// <param name="nextRange">The first of those ranges not yet passed; 0 at first, moved along by each call.</param>
    /// <param name="match">The next match, white space that its token strips included.</param>
    /// <param name="token">The token matched.</param>
    public bool TryFind(ReadOnlySpan<char> text, int from, IReadOnlyList<TextRange> conversation, ref int nextRange, out TextRange match, out AddedToken token)
    {
        for (var at = from; at < text.Length; at++)
        {
            var skip = text[at..].IndexOfAny(_firstCharacters);
            if (skip < 0) break;
            at += skip;
            foreach (var candidate in _byFirstCharacter[text[at]])
            {
                if (!text[at..].StartsWith(candidate.Content, StringComparison.Ordinal)) continue;
                var end = at + candidate.Content.Length;
                if (candidate.Special && Overlaps(conversation, ref nextRange, at, end)) continue;
                if (candidate.SingleWord && (EndsWithWord(text[..at]) || StartsWithWord(text[end..])))
                {
                    // As in the reference, a refused match still hides what lies inside it.
                    at = end - 1;
                    break;
                }
                var start = at;
                if (candidate.LeftStrip)
                    while (start > from && char.IsWhiteSpace(text[start - 1])) start--;
                if (candidate.RightStrip)
                    while (end < text.Length && char.IsWhiteSpace(text[end])) end++;
                match = new TextRange(start, end - start);
                token = candidate;
                return true;
            }
        }
        match = default;
        token = null!;
        return false;
    }

    private static bool Overlaps(IReadOnlyList<TextRange> ranges, ref int next, int start, int end)
    {
        while (next < ranges.Count && (ranges[next].End <= start || ranges[next].Length == 0)) next++;
        return next < ranges.Count && ranges[next].Start < end;
    }

    private static bool EndsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeLastFromUtf16(text, out var rune, out _) == OperationStatus.Done && IsWord(rune);

    private static bool StartsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeFromUtf16(text, out var rune, out _) == OperationStatus.Done && IsWord(rune);

    private static bool IsWord(Rune rune) => Rune.GetUnicodeCategory(rune) is
        <= UnicodeCategory.OtherLetter or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark
        or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation;
}
