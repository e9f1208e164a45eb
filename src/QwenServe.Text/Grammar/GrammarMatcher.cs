using System.Text.Unicode;

namespace QwenServe.Text.Grammar;

/// <summary>
/// One sequence's place in a grammar. Not thread-safe; <see cref="Fill"/> and <see cref="Accept"/> may come from different threads, one at a
/// time. In the steady state neither allocates.
/// </summary>
public sealed class GrammarMatcher
{
    // Longer runs come in several.
    private const int MostForced = 256;

    private readonly GrammarVocabulary _vocabulary;
    private readonly StackSet[] _levels;
    private readonly List<int> _leaving = [];
    private StackSet _now = new();
    private StackSet _next = new();
    private StackSet _back = new();

    internal GrammarMatcher(GrammarVocabulary vocabulary, Grammar grammar)
    {
        _vocabulary = vocabulary;
        _levels = new StackSet[vocabulary.LongestToken + 1];
        _now.Add(grammar.Start, new StackNode(null, null));
    }

    /// <summary>Whether the text may end here.</summary>
    public bool CanEnd => _now.Ended || _now.EndsText;

    /// <summary>Whether the text must end here.</summary>
    public bool MustEnd
    {
        get
        {
            foreach (ref readonly var item in _now.Items)
                if (item.State.Edges.Length > 0) return false;
            return true;
        }
    }

    /// <summary>
    /// Writes the admitted tokens: bit id % 32 of word id / 32, all words. The end tokens are admitted exactly where the text can end; other
    /// control tokens never.
    /// </summary>
    /// <exception cref="ArgumentException">The mask is shorter than the vocabulary.</exception>
    public void Fill(Span<uint> mask)
    {
        if (mask.Length < _vocabulary.Words) throw new ArgumentException("The mask is shorter than the vocabulary.", nameof(mask));
        mask[_vocabulary.Words..].Clear();
        mask = mask[.._vocabulary.Words];
        var isClear = true;
        var items = _now.Items;
        foreach (ref readonly var item in items)
            if (item.State.Edges.Length > 0) item.State.Analyze(_vocabulary).AddTo(mask, ref isClear);
        StateAnalysis.Clear(mask, ref isClear);
        foreach (ref readonly var item in items)
        {
            if (item.State.Edges.Length == 0 || item.Stack.Return is null) continue;
            foreach (var id in Leaving(item)) mask[id >> 5] |= 1u << id;
        }
        if (!CanEnd) return;
        foreach (var id in _vocabulary.EndIds) mask[id >> 5] |= 1u << id;
    }

    /// <summary>Moves on by a token; an end token moves nothing.</summary>
    /// <returns>False when the token is not admitted; the place is then unchanged.</returns>
    public bool Accept(int token)
    {
        if (_vocabulary.IsEnd(token)) return CanEnd;
        if (!_vocabulary.IsText(token)) return false;
        _back.CopyFrom(_now);
        foreach (var b in _vocabulary.BytesOf(token))
        {
            if (AcceptByte(b)) continue;
            (_now, _back) = (_back, _now);
            return false;
        }
        return true;
    }

    /// <summary>Bytes that must come next because the grammar admits no other and cannot end; writes as many as there is room for.</summary>
    /// <returns>Bytes written.</returns>
    public int ForcedBytes(Span<byte> bytes)
    {
        _back.CopyFrom(_now);
        var count = 0;
        while (count < bytes.Length && !CanEnd && Forced() is { } forced && AcceptByte(forced)) bytes[count++] = forced;
        (_now, _back) = (_back, _now);
        return count;
    }

    /// <summary>
    /// Moves on by the tokens that spell the bytes that must come next, cut as the tokenizer cuts them. Those at the end that could be part of a
    /// longer token with what may follow are left, so that nothing is spelled in a way the model would not.
    /// </summary>
    /// <param name="most">Tokens at most.</param>
    /// <returns>None, or two and more.</returns>
    public int[] Jump(int most)
    {
        Span<byte> bytes = stackalloc byte[MostForced];
        if (most < 2 || Forced() is null) return [];
        var count = ForcedBytes(bytes);
        var whole = count;
        // A run may end in a part of a character, and a token too many bytes back may have ended in one.
        while (whole > 0 && !Utf8.IsValid(bytes[..whole])) whole = count - whole < 3 ? whole - 1 : 0;
        if (whole < 2) return [];
        var settled = Settled(bytes[..whole], knowsNext: whole == count);
        var ids = _vocabulary.Encode(bytes[..whole]);
        int at = 0, taken = 0;
        foreach (var id in ids)
        {
            if (taken == most || !_vocabulary.IsText(id)) break;
            var text = _vocabulary.BytesOf(id);
            if (at + text.Length > settled || !bytes[at..whole].StartsWith(text)) break;
            at += text.Length;
            taken++;
        }
        if (taken < 2) return [];
        foreach (var b in bytes[..at]) AcceptByte(b);
        return ids[..taken];
    }

    internal bool AcceptByte(byte value)
    {
        _next.Advance(_now, value);
        if (_next.IsEmpty) return false;
        (_now, _next) = (_next, _now);
        return true;
    }

    /// <summary>
    /// How many of the bytes that <see cref="ForcedBytes"/> has just written no token goes beyond that begins among them and whose next byte the
    /// grammar admits.
    /// </summary>
    private int Settled(ReadOnlySpan<byte> bytes, bool knowsNext)
    {
        var trie = _vocabulary.Trie;
        for (var start = Math.Max(0, bytes.Length - trie.Height + 1); start < bytes.Length; start++)
        {
            var node = trie.Find(bytes[start..]);
            if (node < 0) continue;
            for (var child = node + 1; child < trie.Skips[node]; child = trie.Skips[child])
                if (!knowsNext || Follows(trie.Bytes[child])) return start;
        }
        return bytes.Length;

        bool Follows(byte value)
        {
            // What stood here before the bytes and what stands behind them have changed places.
            foreach (ref readonly var item in _back.Items)
                if (item.State.Next(value) is not null) return true;
            return false;
        }
    }

    private byte? Forced()
    {
        byte? forced = null;
        foreach (ref readonly var item in _now.Items)
        {
            foreach (ref readonly var edge in item.State.Edges.AsSpan())
            {
                if (edge.Lo != edge.Hi || (forced is { } other && other != edge.Lo)) return null;
                forced = edge.Lo;
            }
        }
        return forced;
    }

    /// <summary>The tokens that begin in a state and end behind its rule: rests of tokens walked with what stands below.</summary>
    private int[] Leaving(in StackItem item)
    {
        if (item.Stack.Leaving(item.State) is { } known) return known;
        var analysis = item.State.Analyze(_vocabulary);
        int[] found = [];
        if (analysis.Rests is not null || analysis.Ends.Length > 0)
        {
            _leaving.Clear();
            Level(0).Clear();
            Level(0).Add(item.Stack.Return!, item.Stack.Parent!);
            if (analysis.Rests is { } rests) Walk(rests, 0, analysis.Excluded);
            foreach (var end in analysis.Ends) Walk(_vocabulary.Trie, end, analysis.Excluded);
            found = [.. _leaving];
        }
        item.Stack.SetLeaving(item.State, found);
        return found;
    }

    private void Walk(TokenTrie rests, int below, HashSet<int>? excluded)
    {
        ReadOnlySpan<byte> bytes = rests.Bytes, depths = rests.Depths;
        var ground = depths[below];
        var end = rests.Skips[below];
        for (var i = below + 1; i < end;)
        {
            var depth = depths[i] - ground;
            var level = Level(depth);
            level.Advance(_levels[depth - 1], bytes[i]);
            if (level.IsEmpty)
            {
                i = rests.Skips[i];
                continue;
            }
            foreach (var id in rests.TokensOf(i))
                if (excluded?.Contains(id) != true) _leaving.Add(id);
            i++;
        }
    }

    private StackSet Level(int depth) => _levels[depth] ??= new StackSet();
}
