namespace QwenServe.Text.Grammar;

/// <summary>A step over one byte in <c>Lo..Hi</c>.</summary>
internal readonly record struct ByteEdge(byte Lo, byte Hi, State To);

/// <summary>A whole text of <c>Rule</c>, after which its caller goes on at <c>Return</c>.</summary>
internal readonly record struct RuleCall(Rule Rule, State Return);

/// <summary>
/// A state of a rule's automaton over bytes: at most one edge a byte, any number of calls. States are the unit of caching: what the
/// vocabulary looks like from here does not depend on the stack below, so two grammars that hold the same state object share it.
/// </summary>
internal class State
{
    private ByteEdge[]? _edges;
    private StateAnalysis? _analyses;

    /// <summary>Edges by ascending bytes.</summary>
    public ByteEdge[] Edges
    {
        get => _edges ??= Expand();
        set => _edges = value;
    }

    public RuleCall[] Calls { get; set; } = [];

    /// <summary>Whether the rule may end here.</summary>
    public bool Accepts { get; set; }

    /// <summary>Whether the whole text may end here although the rule goes on: the state of a text that needs no end of its own.</summary>
    public bool EndsText { get; set; }

    /// <summary>Belongs to no single grammar: known to lead to an end and never pruned.</summary>
    public bool Shared { get; init; }

    /// <summary>A shared state with nearly the same continuations, from which the analysis of this one starts.</summary>
    public virtual State? Base { get; set; }

    /// <summary>Nothing can follow within the rule, so a call that returns here needs no place on the stack.</summary>
    public bool OnlyEnds => Accepts && Calls.Length == 0 && Edges.Length == 0;

    /// <summary>Where a byte leads, or null.</summary>
    public State? Next(byte value)
    {
        foreach (ref readonly var edge in Edges.AsSpan())
        {
            if (value < edge.Lo) return null;
            if (value <= edge.Hi) return edge.To;
        }
        return null;
    }

    /// <summary>A state that no token of at most <paramref name="longest"/> bytes can tell from this one.</summary>
    public virtual State Representative(int longest) => this;

    /// <summary>What the vocabulary looks like from here; computed once.</summary>
    public StateAnalysis Analyze(GrammarVocabulary vocabulary)
    {
        for (var known = Volatile.Read(ref _analyses); known is not null; known = known.Next)
            if (ReferenceEquals(known.Vocabulary, vocabulary)) return known;
        var representative = Representative(vocabulary.LongestToken);
        var analysis = ReferenceEquals(representative, this)
            ? StateAnalysis.Compute(vocabulary, this)
            : new StateAnalysis(representative.Analyze(vocabulary));
        // Two threads may both get here; one analysis too many is found by nobody and collected.
        analysis.Next = Volatile.Read(ref _analyses);
        Volatile.Write(ref _analyses, analysis);
        return analysis;
    }

    protected virtual ByteEdge[] Expand() => [];
}
