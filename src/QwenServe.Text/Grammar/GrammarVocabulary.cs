using System.Text;
using System.Text.Json;
using QwenServe.Text.Tokenization;

namespace QwenServe.Text.Grammar;

/// <summary>
/// A tokenizer's tokens as the grammar engine sees them: a trie of all that spell text. Control tokens (<c>special: true</c>) are not
/// among them, added tokens that are not special are spelled like any other. One per tokenizer, for any number of threads.
/// </summary>
public sealed class GrammarVocabulary
{
    private readonly Tokenizer _tokenizer;

    /// <param name="tokenizer">The tokens.</param>
    /// <param name="endIds">The tokens that end a text, admitted exactly where a grammar can end.</param>
    public GrammarVocabulary(Tokenizer tokenizer, IEnumerable<int> endIds)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        _tokenizer = tokenizer;
        EndIds = [.. endIds.Distinct()];
        var offsets = tokenizer.VocabularyOffsets;
        var bytes = tokenizer.VocabularyBytes;
        var ids = Enumerable.Range(0, tokenizer.VocabularySize).Where(id => IsText(id)).ToArray();
        Trie = TokenTrie.Of(ids, id => bytes[offsets.Span[id]..offsets.Span[id + 1]]);
        Words = (Math.Max(tokenizer.VocabularySize, EndIds.Append(0).Max() + 1) + 31) / 32;
        WarmUp();
    }

    /// <summary>The tokens that end a text.</summary>
    public IReadOnlyList<int> EndIds { get; }

    internal TokenTrie Trie { get; }

    /// <summary>Words of a mask that can hold a bit.</summary>
    internal int Words { get; }

    internal int LongestToken => Trie.Height;

    /// <summary>A matcher at the grammar's start, for one sequence.</summary>
    public GrammarMatcher CreateMatcher(Grammar grammar)
    {
        ArgumentNullException.ThrowIfNull(grammar);
        return new(this, grammar);
    }

    internal bool IsEnd(int id) => EndIds.Contains(id);

    internal bool IsText(int id)
    {
        if (!_tokenizer.HasToken(id) || _tokenizer.IsSpecial(id)) return false;
        return _tokenizer.TokenBytes(id).Length is > 0 and <= byte.MaxValue;
    }

    internal ReadOnlySpan<byte> BytesOf(int id) => _tokenizer.TokenBytes(id);

    /// <summary>The ids of UTF-8 by itself.</summary>
    internal int[] Encode(ReadOnlySpan<byte> text) => _tokenizer.Encode(Encoding.UTF8.GetString(text));

    /// <summary>
    /// Analyses what grammars share (string bodies of any length left, numbers, free text) and runs the compiler once, so that no request
    /// pays for it.
    /// </summary>
    private void WarmUp()
    {
        foreach (var rule in (ReadOnlySpan<Rule>)[JsonRules.Space, JsonRules.Integer, JsonRules.Number, JsonRules.Boolean, JsonRules.Null]) AnalyzeAll(rule.Start);
        StringStates.Any.Analyze(this);
        for (var left = 0; left <= Math.Min(LongestToken, 64); left++) StringStates.Body(0, left).Analyze(this);
        var mask = new uint[Words];
        using var schema = JsonDocument.Parse(
            """
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}, "c": {"type": "array", "items": {"type": "integer"}},
            "d": {"enum": ["x", 1, null]}, "e": {"type": "boolean"}, "f": {"type": "string", "pattern": "^x+$"}}, "required": ["a", "b"]}
            """);
        foreach (var grammar in (ReadOnlySpan<Grammar>)[Grammar.JsonObject, Grammar.FromJsonSchema(schema.RootElement), Grammar.ToolCalls([new("f", null)], ToolCallCount.AtLeastOne, Grammar.AnyText)])
        {
            var matcher = CreateMatcher(grammar);
            matcher.Fill(mask);
            foreach (var b in """{"a": "x", "b": -1.5, "c": [1, 2], "f": "x"}"""u8)
            {
                if (!matcher.AcceptByte(b)) break;
                matcher.Fill(mask);
            }
        }
    }

    private void AnalyzeAll(State start)
    {
        var seen = new HashSet<State>(ReferenceEqualityComparer.Instance) { start };
        var work = new Stack<State>([start]);
        while (work.TryPop(out var state))
        {
            state.Analyze(this);
            foreach (var edge in state.Edges)
                if (seen.Add(edge.To)) work.Push(edge.To);
        }
    }
}
