namespace QwenServe.Text.Grammar;

/// <summary>
/// One sequence's place in a grammar. Not thread-safe; <see cref="Fill"/> and <see cref="Accept"/> may come from different threads, one at a
/// time. In the steady state neither allocates.
/// </summary>
public sealed class GrammarMatcher
{
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

    internal bool AcceptByte(byte value)
    {
        _next.Advance(_now, value);
        if (_next.IsEmpty) return false;
        (_now, _next) = (_next, _now);
        return true;
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
