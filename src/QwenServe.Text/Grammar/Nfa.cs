using System.Text;

namespace QwenServe.Text.Grammar;

/// <summary>
/// A nondeterministic automaton under construction, over bytes or over code points, with calls of rules and the two anchors of regular
/// expressions. Made deterministic by the subset construction; a call is one symbol there.
/// </summary>
internal sealed class Nfa
{
    /// <summary>States of one deterministic automaton; more is a grammar whose determinisation explodes.</summary>
    public const int MaxStates = 40_000;

    private readonly List<Node> _nodes = [];

    public int NewState()
    {
        if (_nodes.Count >= 400_000) throw new GrammarException("The grammar is too large.");
        _nodes.Add(new Node());
        return _nodes.Count - 1;
    }

    public void Epsilon(int from, int to) => (_nodes[from].Epsilons ??= []).Add(to);

    /// <summary>Passed only before the first symbol.</summary>
    public void AtStart(int from, int to) => (_nodes[from].AtStart ??= []).Add(to);

    /// <summary>Passed only behind the last symbol.</summary>
    public void AtEnd(int from, int to) => (_nodes[from].AtEnd ??= []).Add(to);

    public void Edge(int from, int lo, int hi, int to) => _nodes[from].Edges.Add(new(lo, hi, to));

    public void Call(int from, Rule rule, int to) => (_nodes[from].Calls ??= []).Add((rule, to));

    public int Call(int from, Rule rule)
    {
        var to = NewState();
        Call(from, rule, to);
        return to;
    }

    /// <summary>The bytes of a text; returns the state behind it.</summary>
    public int Literal(int from, ReadOnlySpan<byte> text)
    {
        foreach (var b in text)
        {
            var to = NewState();
            Edge(from, b, b, to);
            from = to;
        }
        return from;
    }

    public int Literal(int from, string text) => Literal(from, Encoding.UTF8.GetBytes(text));

    /// <summary>One code point of a set, as UTF-8.</summary>
    public void Utf8(int from, IEnumerable<SymbolRange> set, int to)
    {
        var sequences = new List<SymbolRange[]>();
        foreach (var range in set) Ranges.Utf8(range, sequences);
        foreach (var sequence in sequences)
        {
            var at = from;
            for (var i = 0; i < sequence.Length; i++)
            {
                var next = i == sequence.Length - 1 ? to : NewState();
                Edge(at, sequence[i].Lo, sequence[i].Hi, next);
                at = next;
            }
        }
    }

    /// <summary>The deterministic automaton; states from which no end can be reached are gone.</summary>
    /// <exception cref="GrammarException">More than <see cref="MaxStates"/> states.</exception>
    public Dfa ToDfa(int start, int accept)
    {
        var dfa = new Dfa();
        var known = new Dictionary<string, int>(StringComparer.Ordinal);
        var sets = new List<int[]>();
        var mark = new int[_nodes.Count];
        var round = 0;
        Intern([start], atStart: true);
        var events = new List<(int At, bool Open, int To)>();
        for (var i = 0; i < sets.Count; i++)
        {
            events.Clear();
            Dictionary<Rule, List<int>>? calls = null;
            foreach (var n in sets[i])
            {
                foreach (var (lo, hi, to) in _nodes[n].Edges)
                {
                    events.Add((lo, true, to));
                    events.Add((hi + 1, false, to));
                }
                if (_nodes[n].Calls is not { } made) continue;
                foreach (var (rule, to) in made)
                {
                    calls ??= [];
                    if (!calls.TryGetValue(rule, out var targets)) calls[rule] = targets = [];
                    targets.Add(to);
                }
            }
            events.Sort((a, b) => a.At.CompareTo(b.At));
            var active = new List<int>();
            var state = dfa.States[i];
            for (var e = 0; e < events.Count;)
            {
                var at = events[e].At;
                for (; e < events.Count && events[e].At == at; e++)
                {
                    if (events[e].Open) active.Add(events[e].To);
                    else active.Remove(events[e].To);
                }
                if (active.Count == 0) continue;
                var target = Intern(active, atStart: false);
                var hi = events[e].At - 1;
                if (state.Edges.Count > 0 && state.Edges[^1].To == target && state.Edges[^1].Hi == at - 1)
                    state.Edges[^1] = state.Edges[^1] with { Hi = hi };
                else state.Edges.Add(new(at, hi, target));
            }
            if (calls is null) continue;
            foreach (var (rule, targets) in calls) state.Calls.Add((rule, Intern(targets, atStart: false)));
        }
        dfa.Trim();
        return dfa;

        int Intern(List<int> roots, bool atStart)
        {
            var set = Close(roots, atStart, atEnd: false);
            set.RemoveAll(n => n != accept && _nodes[n].IsTransit);
            set.Sort();
            var key = string.Create(set.Count * 2, set, static (span, s) =>
            {
                for (var k = 0; k < s.Count; k++) (span[2 * k], span[(2 * k) + 1]) = ((char)(s[k] & 0xFFFF), (char)(s[k] >> 16));
            });
            if (known.TryGetValue(key, out var index)) return index;
            index = sets.Count;
            if (index >= MaxStates) throw new GrammarException("The grammar is too large: its automaton has too many states.");
            known[key] = index;
            sets.Add([.. set]);
            dfa.States.Add(new Dfa.DfaState { Accepts = Close(set, atStart, atEnd: true).Contains(accept) });
            return index;
        }

        List<int> Close(List<int> roots, bool atStart, bool atEnd)
        {
            round++;
            var set = new List<int>(roots.Count);
            foreach (var r in roots) Visit(r);
            for (var k = 0; k < set.Count; k++)
            {
                var node = _nodes[set[k]];
                if (node.Epsilons is { } e) foreach (var to in e) Visit(to);
                if (atStart && node.AtStart is { } s) foreach (var to in s) Visit(to);
                if (atEnd && node.AtEnd is { } a) foreach (var to in a) Visit(to);
            }
            return set;

            void Visit(int n)
            {
                if (mark[n] == round) return;
                mark[n] = round;
                set.Add(n);
            }
        }
    }

    /// <summary>The states of a rule; this automaton is over bytes.</summary>
    public State ToStates(int start, int accept)
    {
        var dfa = ToDfa(start, accept);
        if (dfa.IsEmpty) return new State();
        var states = new State[dfa.States.Count];
        for (var i = 0; i < states.Length; i++) states[i] = new State { Accepts = dfa.States[i].Accepts };
        for (var i = 0; i < states.Length; i++)
        {
            states[i].Edges = [.. dfa.States[i].Edges.Select(e => new ByteEdge((byte)e.Lo, (byte)e.Hi, states[e.To]))];
            states[i].Calls = [.. dfa.States[i].Calls.Select(c => new RuleCall(c.Rule, states[c.To]))];
        }
        return states[0];
    }

    private sealed class Node
    {
        public List<Dfa.DfaEdge> Edges { get; } = [];
        public List<int>? Epsilons { get; set; }
        public List<int>? AtStart { get; set; }
        public List<int>? AtEnd { get; set; }
        public List<(Rule Rule, int To)>? Calls { get; set; }
        public bool IsTransit => Edges.Count == 0 && Calls is null && AtEnd is null;
    }
}
