using System.Numerics;

namespace QwenServe.Text.Grammar;

/// <summary>
/// What the vocabulary looks like from one state, whatever stands below: the tokens that fit, and behind the places where the rule may end
/// the rests of tokens that would have to fit what stands below.
/// </summary>
internal sealed class StateAnalysis
{
    // Fewer tokens are set one by one, more are a mask of the whole vocabulary.
    private const int MaxListed = 1_500;

    // Rests up to so many nodes are put together into a trie of their own; more are walked where they are.
    private const int MaxMerged = 30_000;

    private readonly int[]? _listed;
    private readonly uint[]? _mask;

    /// <summary>The analysis of a state that no token can tell from its own.</summary>
    public StateAnalysis(StateAnalysis same)
        : this(same.Vocabulary, same._listed, same._mask, same.Rests, same.Ends, same.Excluded)
    {
    }

    private StateAnalysis(GrammarVocabulary vocabulary, int[]? listed, uint[]? mask, TokenTrie? rests, int[] ends, HashSet<int>? excluded) =>
        (Vocabulary, _listed, _mask, Rests, Ends, Excluded) = (vocabulary, listed, mask, rests, ends, excluded);

    public GrammarVocabulary Vocabulary { get; }

    /// <summary>The same state's analysis of another vocabulary.</summary>
    public StateAnalysis? Next { get; set; }

    /// <summary>Rests of tokens behind the rule's end, with the tokens; null when no token goes further or <see cref="Ends"/> has them.</summary>
    public TokenTrie? Rests { get; }

    /// <summary>Nodes of the vocabulary's trie behind which the rests are, where they are too many to be put together.</summary>
    public int[] Ends { get; }

    /// <summary>Tokens among the rests that do not count here.</summary>
    public HashSet<int>? Excluded { get; }

    /// <summary>Adds the tokens that fit.</summary>
    public void AddTo(Span<uint> mask, ref bool isClear)
    {
        if (_mask is not null)
        {
            if (isClear) _mask.CopyTo(mask);
            else Or(mask, _mask);
            isClear = false;
            return;
        }
        if (_listed!.Length == 0) return;
        Clear(mask, ref isClear);
        foreach (var id in _listed) mask[id >> 5] |= 1u << id;
    }

    public static void Clear(Span<uint> mask, ref bool isClear)
    {
        if (isClear) mask.Clear();
        isClear = false;
    }

    private static void Or(Span<uint> mask, ReadOnlySpan<uint> other)
    {
        var i = 0;
        for (; i <= other.Length - Vector<uint>.Count; i += Vector<uint>.Count)
        {
            var both = new Vector<uint>(mask[i..]) | new Vector<uint>(other[i..]);
            both.CopyTo(mask[i..]);
        }
        for (; i < other.Length; i++) mask[i] |= other[i];
    }

    /// <summary>Walks the trie with the automaton of the stacks that the state opens; each set of stacks is made once.</summary>
    public static StateAnalysis Compute(GrammarVocabulary vocabulary, State state)
    {
        if (state.Edges.Length == 0) return new(vocabulary, [], null, null, [], null);
        var machine = new Machine();
        var start = machine.StartAt(state);
        return state.Base is { } model ? Differing(vocabulary, machine, start, model) : Whole(vocabulary, machine, start);
    }

    private static StateAnalysis Whole(GrammarVocabulary vocabulary, Machine machine, int start)
    {
        var trie = vocabulary.Trie;
        ReadOnlySpan<byte> bytes = trie.Bytes, depths = trie.Depths;
        ReadOnlySpan<int> skips = trie.Skips, tokensAt = trie.TokensAt, tokens = trie.Tokens;
        Span<int> path = stackalloc int[trie.Height + 1];
        path[0] = start;
        var found = new List<int>();
        uint[]? mask = null;
        var ends = new List<int>();
        for (var i = 1; i < bytes.Length;)
        {
            var depth = depths[i];
            var now = machine.Next(path[depth - 1], bytes[i]);
            if (now < 0)
            {
                i = skips[i];
                continue;
            }
            path[depth] = now;
            for (var t = tokensAt[i]; t < tokensAt[i + 1]; t++)
            {
                if (mask is not null) mask[tokens[t] >> 5] |= 1u << tokens[t];
                else found.Add(tokens[t]);
            }
            if (mask is null && found.Count > MaxListed)
            {
                mask = new uint[vocabulary.Words];
                foreach (var id in found) mask[id >> 5] |= 1u << id;
            }
            if (machine.Ended(now) && skips[i] > i + 1) ends.Add(i);
            i = machine.IsDone(now) ? skips[i] : i + 1;
        }
        long below = 0;
        foreach (var end in ends) below += skips[end] - end;
        var merges = below <= MaxMerged;
        return new(vocabulary, mask is null ? [.. found] : null, mask, merges ? TokenTrie.Below(trie, ends) : null, merges ? [] : [.. ends], null);
    }

    /// <summary>
    /// The same as the analysis of a shared state wherever the two automata come together; walks only where they differ. For states inside
    /// of a long choice of texts all of which lead to one body, as the names of undeclared properties do.
    /// </summary>
    private static StateAnalysis Differing(GrammarVocabulary vocabulary, Machine machine, int start, State model)
    {
        var same = model.Analyze(vocabulary);
        if (same._mask is null) return Whole(vocabulary, machine, start);
        var trie = vocabulary.Trie;
        ReadOnlySpan<byte> bytes = trie.Bytes, depths = trie.Depths;
        ReadOnlySpan<int> skips = trie.Skips;
        var mask = same._mask.AsSpan().ToArray();
        var excluded = new HashSet<int>();
        var paths = new (int Own, int Model)[trie.Height + 1];
        paths[0] = (start, machine.StartAt(model));
        for (var i = 1; i < bytes.Length;)
        {
            var depth = depths[i];
            var (own, other) = paths[depth - 1];
            own = own < 0 ? -1 : machine.Next(own, bytes[i]);
            other = other < 0 ? -1 : machine.Next(other, bytes[i]);
            if (own == other)
            {
                i = skips[i];
                continue;
            }
            paths[depth] = (own, other);
            foreach (var id in trie.TokensOf(i))
            {
                if (own >= 0) mask[id >> 5] |= 1u << id;
                else mask[id >> 5] &= ~(1u << id);
            }
            var ownEnds = own >= 0 && machine.Ended(own);
            var otherEnds = other >= 0 && machine.Ended(other);
            // An end that only this state has would need rests of its own: the names and bodies this is for have none.
            if (ownEnds && !otherEnds) return Whole(vocabulary, machine, start);
            if (otherEnds && !ownEnds)
                foreach (var id in trie.Tokens[trie.TokensAt[i]..trie.TokensAt[skips[i]]]) excluded.Add(id);
            i++;
        }
        return new(vocabulary, null, mask, same.Rests, same.Ends, excluded.Count == 0 ? null : excluded);
    }

    /// <summary>The deterministic automaton of the stacks above a bottom, made as it is walked.</summary>
    private sealed class Machine
    {
        private const int Unknown = -2;

        private readonly StackNode _bottom = new(null, null);
        private readonly List<StackSet> _sets = [];
        private readonly List<int[]> _next = [];
        private readonly Dictionary<int, List<int>> _known = [];
        private StackSet _work = new();

        public int StartAt(State state)
        {
            // Not closed: what the state calls or returns to has analyses of its own.
            var edges = new State { Edges = state.Edges };
            _work.Clear();
            _work.Add(edges, _bottom);
            return Intern();
        }

        public bool Ended(int set) => _sets[set].Ended;

        /// <summary>Nothing goes on above the bottom.</summary>
        public bool IsDone(int set) => _sets[set].Items.Length == 0;

        public int Next(int set, byte value)
        {
            var known = _next[set][value];
            return known != Unknown ? known : Make(set, value);
        }

        private int Make(int set, byte value)
        {
            _work.Advance(_sets[set], value);
            return _next[set][value] = _work.IsEmpty ? -1 : Intern();
        }

        private int Intern()
        {
            var hash = new HashCode();
            foreach (var item in _work.Items)
            {
                hash.Add(item.State);
                hash.Add(item.Stack);
            }
            var code = hash.ToHashCode();
            if (!_known.TryGetValue(code, out var same)) _known[code] = same = [];
            foreach (var index in same)
                if (_sets[index].Items.SequenceEqual(_work.Items)) return index;
            var next = new int[256];
            next.AsSpan().Fill(Unknown);
            same.Add(_sets.Count);
            _sets.Add(_work);
            _next.Add(next);
            _work = new StackSet();
            return _sets.Count - 1;
        }
    }
}
