namespace QwenServe.Text.Grammar;

/// <summary>
/// Makes a grammar fit for use: takes out what can reach no end, so that every admitted token leads to one, and refuses recursion that
/// reads nothing, on which a matcher would not end.
/// </summary>
internal sealed class GrammarChecker
{
    // The place of states that belong to no grammar: they reach an end, and not at once.
    private const int Shared = -1;

    private readonly List<State> _states = [];
    private readonly List<Rule> _rules = [];
    private readonly Dictionary<State, int> _places = new(ReferenceEqualityComparer.Instance);
    private readonly List<int[]> _edges = [];
    private readonly List<(int Start, int Return)[]> _calls = [];

    public GrammarChecker(Rule root)
    {
        var seen = new HashSet<Rule>();
        AddRule(root);
        for (var i = 0; i < _states.Count; i++)
        {
            _edges.Add(Array.ConvertAll(_states[i].Edges, e => Place(e.To)));
            _calls.Add(Array.ConvertAll(_states[i].Calls, c => (AddRule(c.Rule), Place(c.Return))));
        }

        int AddRule(Rule rule)
        {
            if (seen.Add(rule)) _rules.Add(rule);
            return Place(rule.Start);
        }
    }

    /// <exception cref="GrammarException">Nothing is admitted, or a rule calls itself before it reads anything.</exception>
    public void Check()
    {
        Prune();
        RefuseLeftRecursion();
    }

    private int Place(State state)
    {
        if (state.Shared) return Shared;
        if (_places.TryGetValue(state, out var place)) return place;
        _places[state] = place = _states.Count;
        _states.Add(state);
        return place;
    }

    private void Prune()
    {
        var alive = new bool[_states.Count];
        var count = 0;
        for (var before = -1; before != count;)
        {
            before = count;
            for (var i = alive.Length - 1; i >= 0; i--)
            {
                if (alive[i]) continue;
                if (!_states[i].Accepts && !Array.Exists(_edges[i], IsAlive) && !Array.Exists(_calls[i], c => IsAlive(c.Start) && IsAlive(c.Return))) continue;
                alive[i] = true;
                count++;
            }
        }
        if (!IsAlive(Place(_rules[0].Start))) throw new GrammarException("The grammar admits nothing.");
        if (count == alive.Length) return;
        for (var i = 0; i < alive.Length; i++)
        {
            var state = _states[i];
            if (!Array.TrueForAll(_edges[i], IsAlive)) state.Edges = Array.FindAll(state.Edges, e => IsAlive(Place(e.To)));
            if (!Array.TrueForAll(_calls[i], c => IsAlive(c.Start) && IsAlive(c.Return)))
                state.Calls = Array.FindAll(state.Calls, c => IsAlive(Place(c.Rule.Start)) && IsAlive(Place(c.Return)));
        }

        bool IsAlive(int place) => place == Shared || alive[place];
    }

    private void RefuseLeftRecursion()
    {
        var nullable = new bool[_states.Count];
        for (var changed = true; changed;)
        {
            changed = false;
            for (var i = nullable.Length - 1; i >= 0; i--)
            {
                if (nullable[i] || (!_states[i].Accepts && !Array.Exists(_calls[i], c => IsNullable(c.Start) && IsNullable(c.Return)))) continue;
                nullable[i] = changed = true;
            }
        }
        var marks = new Dictionary<Rule, bool>();
        var depth = 0;
        foreach (var rule in _rules) Enter(rule);

        void Enter(Rule rule)
        {
            if (marks.TryGetValue(rule, out var done))
            {
                if (!done) throw new GrammarException($"The grammar is left-recursive: '{rule.Name}' may call itself before it reads anything.");
                return;
            }
            if (++depth > 2_000) throw new GrammarException("The grammar is too deep.");
            marks[rule] = false;
            var seen = new HashSet<State>(ReferenceEqualityComparer.Instance);
            var work = new Stack<State>([rule.Start]);
            while (work.TryPop(out var state))
            {
                if (!seen.Add(state)) continue;
                foreach (var call in state.Calls)
                {
                    Enter(call.Rule);
                    if (IsNullable(Place(call.Rule.Start))) work.Push(call.Return);
                }
            }
            marks[rule] = true;
            depth--;
        }

        bool IsNullable(int place) => place != Shared && nullable[place];
    }
}
