namespace QwenServe.Text.Grammar;

/// <summary>
/// Makes a grammar fit for use: takes out what can reach no end, so that every admitted token leads to one, and refuses recursion that
/// reads nothing, on which a matcher would not end.
/// </summary>
internal sealed class GrammarChecker
{
    private readonly List<State> _states = [];
    private readonly List<Rule> _rules = [];

    public GrammarChecker(Rule root)
    {
        var seenRules = new HashSet<Rule>();
        var seenStates = new HashSet<State>(ReferenceEqualityComparer.Instance);
        AddRule(root);
        for (var i = 0; i < _states.Count; i++)
        {
            foreach (var edge in _states[i].Edges) AddState(edge.To);
            foreach (var call in _states[i].Calls)
            {
                AddState(call.Return);
                AddRule(call.Rule);
            }
        }

        void AddRule(Rule rule)
        {
            if (!seenRules.Add(rule)) return;
            _rules.Add(rule);
            AddState(rule.Start);
        }

        void AddState(State state)
        {
            // Shared states reach an end and call nothing.
            if (!state.Shared && seenStates.Add(state)) _states.Add(state);
        }
    }

    /// <exception cref="GrammarException">Nothing is admitted, or a rule calls itself before it reads anything.</exception>
    public void Check()
    {
        Prune();
        RefuseLeftRecursion();
    }

    private void Prune()
    {
        var alive = new HashSet<State>(ReferenceEqualityComparer.Instance);
        for (var changed = true; changed;)
        {
            changed = false;
            for (var i = _states.Count - 1; i >= 0; i--)
            {
                var state = _states[i];
                if (alive.Contains(state)) continue;
                if (!state.Accepts && !Array.Exists(state.Edges, e => IsAlive(e.To)) && !Array.Exists(state.Calls, IsCallAlive)) continue;
                alive.Add(state);
                changed = true;
            }
        }
        if (!IsAlive(_rules[0].Start)) throw new GrammarException("The grammar admits nothing.");
        if (alive.Count == _states.Count) return;
        foreach (var state in _states)
        {
            if (!Array.TrueForAll(state.Edges, e => IsAlive(e.To))) state.Edges = Array.FindAll(state.Edges, e => IsAlive(e.To));
            if (!Array.TrueForAll(state.Calls, IsCallAlive)) state.Calls = Array.FindAll(state.Calls, IsCallAlive);
        }

        bool IsAlive(State state) => state.Shared || alive.Contains(state);

        bool IsCallAlive(RuleCall call) => IsAlive(call.Rule.Start) && IsAlive(call.Return);
    }

    private void RefuseLeftRecursion()
    {
        var nullable = new HashSet<State>(ReferenceEqualityComparer.Instance);
        for (var changed = true; changed;)
        {
            changed = false;
            for (var i = _states.Count - 1; i >= 0; i--)
            {
                var state = _states[i];
                if (nullable.Contains(state)) continue;
                if (!state.Accepts && !Array.Exists(state.Calls, c => nullable.Contains(c.Rule.Start) && nullable.Contains(c.Return))) continue;
                nullable.Add(state);
                changed = true;
            }
        }
        var marks = new Dictionary<Rule, bool>();
        foreach (var rule in _rules) Enter(rule);

        void Enter(Rule rule)
        {
            if (marks.TryGetValue(rule, out var done))
            {
                if (!done) throw new GrammarException($"The grammar is left-recursive: '{rule.Name}' may call itself before it reads anything.");
                return;
            }
            if (marks.Count(m => !m.Value) > 2_000) throw new GrammarException("The grammar is too deep.");
            marks[rule] = false;
            var seen = new HashSet<State>(ReferenceEqualityComparer.Instance);
            var work = new Stack<State>([rule.Start]);
            while (work.TryPop(out var state))
            {
                if (!seen.Add(state)) continue;
                foreach (var call in state.Calls)
                {
                    Enter(call.Rule);
                    if (nullable.Contains(call.Rule.Start)) work.Push(call.Return);
                }
            }
            marks[rule] = true;
        }
    }
}
