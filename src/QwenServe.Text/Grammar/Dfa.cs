namespace QwenServe.Text.Grammar;

/// <summary>A deterministic automaton over symbols (code points, or bytes), with calls of rules; state 0 is its start.</summary>
internal sealed class Dfa
{
    public List<DfaState> States { get; } = [];

    /// <summary>No text at all is accepted.</summary>
    public bool IsEmpty => States.Count == 0 || !(States[0].Accepts || States[0].Edges.Count > 0 || States[0].Calls.Count > 0);

    /// <summary>The automaton of a regular expression over code points.</summary>
    public static Dfa Of(Expression expression)
    {
        var nfa = new Nfa();
        var start = nfa.NewState();
        var end = nfa.NewState();
        expression.AddTo(nfa, start, end, utf8: false);
        return nfa.ToDfa(start, end);
    }

    /// <summary>All strings of <paramref name="min"/> to <paramref name="max"/> code points.</summary>
    public static Dfa OfLength(int min, int? max) => Of(new Expression.Repeat(new Expression.Set(Ranges.All), min, max));

    /// <summary>All strings but those given.</summary>
    public static Dfa AllBut(IReadOnlyCollection<string> texts) =>
        Of(new Expression.Choice([.. texts.Select(Expression.Text)])).Complement();

    public bool Matches(string text)
    {
        if (States.Count == 0) return false;
        var at = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            at = Next(at, rune.Value);
            if (at < 0) return false;
        }
        return States[at].Accepts;
    }

    public int Next(int state, int symbol)
    {
        foreach (var edge in States[state].Edges)
            if (symbol >= edge.Lo && symbol <= edge.Hi) return edge.To;
        return -1;
    }

    public Dfa Intersect(Dfa other)
    {
        var result = new Dfa();
        if (IsEmpty || other.IsEmpty) return result;
        var known = new Dictionary<(int, int), int>();
        var pairs = new List<(int, int)>();
        Intern(0, 0);
        for (var i = 0; i < pairs.Count; i++)
        {
            var (a, b) = pairs[i];
            int x = 0, y = 0;
            var left = States[a].Edges;
            var right = other.States[b].Edges;
            while (x < left.Count && y < right.Count)
            {
                var lo = Math.Max(left[x].Lo, right[y].Lo);
                var hi = Math.Min(left[x].Hi, right[y].Hi);
                if (lo <= hi) result.States[i].Edges.Add(new(lo, hi, Intern(left[x].To, right[y].To)));
                if (left[x].Hi < right[y].Hi) x++;
                else y++;
            }
        }
        result.Trim();
        return result;

        int Intern(int a, int b)
        {
            if (known.TryGetValue((a, b), out var index)) return index;
            index = pairs.Count;
            if (index >= Nfa.MaxStates) throw new GrammarException("The grammar is too large: its automaton has too many states.");
            known[(a, b)] = index;
            pairs.Add((a, b));
            result.States.Add(new DfaState { Accepts = States[a].Accepts && other.States[b].Accepts });
            return index;
        }
    }

    /// <summary>All other strings of code points.</summary>
    public Dfa Complement()
    {
        var result = new Dfa();
        var sink = States.Count;
        for (var i = 0; i <= sink; i++)
        {
            var edges = i < sink ? States[i].Edges : [];
            var state = new DfaState { Accepts = i == sink || !States[i].Accepts };
            state.Edges.AddRange(edges);
            state.Edges.AddRange(Ranges.Negate(edges.Select(e => new SymbolRange(e.Lo, e.Hi))).Select(r => new DfaEdge(r.Lo, r.Hi, sink)));
            state.Edges.Sort((a, b) => a.Lo.CompareTo(b.Lo));
            result.States.Add(state);
        }
        result.Trim();
        return result;
    }

    /// <summary>Whether every string of code points is accepted from a state, by the state itself.</summary>
    public bool IsUniversal(int state)
    {
        if (!States[state].Accepts) return false;
        var edges = States[state].Edges;
        return edges.All(e => e.To == state) && Ranges.Negate(edges.Select(e => new SymbolRange(e.Lo, e.Hi))).Length == 0;
    }

    /// <summary>Drops the states from which no end can be reached.</summary>
    public void Trim()
    {
        if (States.Count == 0) return;
        var callers = new List<int>[States.Count];
        for (var i = 0; i < callers.Length; i++) callers[i] = [];
        for (var i = 0; i < callers.Length; i++)
        {
            foreach (var edge in States[i].Edges) callers[edge.To].Add(i);
            foreach (var (_, to) in States[i].Calls) callers[to].Add(i);
        }
        var alive = new bool[States.Count];
        var work = new Stack<int>();
        for (var i = 0; i < alive.Length; i++)
        {
            if (!States[i].Accepts) continue;
            alive[i] = true;
            work.Push(i);
        }
        while (work.TryPop(out var i))
        {
            foreach (var from in callers[i])
            {
                if (alive[from]) continue;
                alive[from] = true;
                work.Push(from);
            }
        }
        if (!alive[0])
        {
            States.Clear();
            return;
        }
        var names = new int[States.Count];
        var kept = new List<DfaState>();
        for (var i = 0; i < names.Length; i++)
        {
            names[i] = kept.Count;
            if (alive[i]) kept.Add(States[i]);
        }
        foreach (var state in kept)
        {
            state.Edges.RemoveAll(e => !alive[e.To]);
            state.Calls.RemoveAll(c => !alive[c.To]);
            for (var k = 0; k < state.Edges.Count; k++) state.Edges[k] = state.Edges[k] with { To = names[state.Edges[k].To] };
            for (var k = 0; k < state.Calls.Count; k++) state.Calls[k] = (state.Calls[k].Rule, names[state.Calls[k].To]);
        }
        States.Clear();
        States.AddRange(kept);
    }

    internal readonly record struct DfaEdge(int Lo, int Hi, int To);

    internal sealed class DfaState
    {
        public bool Accepts { get; init; }
        public List<DfaEdge> Edges { get; } = [];
        public List<(Rule Rule, int To)> Calls { get; } = [];
    }
}
