namespace QwenServe.Text.Grammar;

/// <summary>A named part of a grammar: an automaton over bytes that may call rules, itself among them.</summary>
internal sealed class Rule(string name)
{
    public string Name { get; } = name;

    public State Start { get; set; } = null!;

    public static Rule Of(string name, Nfa nfa, int start, int accept) => new(name) { Start = nfa.ToStates(start, accept) };
}
