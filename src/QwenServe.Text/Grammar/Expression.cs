namespace QwenServe.Text.Grammar;

/// <summary>A regular expression over code points that may call rules: what regular expressions and EBNF are parsed to.</summary>
internal abstract record Expression
{
    public static readonly Expression Nothing = new Sequence([]);

    public static Expression Text(string text) =>
        new Sequence([.. text.EnumerateRunes().Select(r => (Expression)new Set([new(r.Value, r.Value)]))]);

    /// <summary>Adds the expression between two states: over UTF-8 bytes, or over code points.</summary>
    public abstract void AddTo(Nfa nfa, int from, int to, bool utf8);

    /// <summary>One code point of a set.</summary>
    public sealed record Set(SymbolRange[] Of) : Expression
    {
        public override void AddTo(Nfa nfa, int from, int to, bool utf8)
        {
            if (utf8) nfa.Utf8(from, Of, to);
            else foreach (var range in Of) nfa.Edge(from, range.Lo, range.Hi, to);
        }
    }

    public sealed record Sequence(Expression[] Parts) : Expression
    {
        public override void AddTo(Nfa nfa, int from, int to, bool utf8)
        {
            foreach (var part in Parts)
            {
                var next = nfa.NewState();
                part.AddTo(nfa, from, next, utf8);
                from = next;
            }
            nfa.Epsilon(from, to);
        }
    }

    public sealed record Choice(Expression[] Options) : Expression
    {
        public override void AddTo(Nfa nfa, int from, int to, bool utf8)
        {
            foreach (var option in Options) option.AddTo(nfa, from, to, utf8);
        }
    }

    public sealed record Repeat(Expression Of, int Min, int? Max) : Expression
    {
        public override void AddTo(Nfa nfa, int from, int to, bool utf8)
        {
            for (var i = 0; i < Min; i++)
            {
                var next = nfa.NewState();
                Of.AddTo(nfa, from, next, utf8);
                from = next;
            }
            if (Max is not { } max)
            {
                var loop = nfa.NewState();
                nfa.Epsilon(from, loop);
                // The way back is a state of its own: an expression may lead from its first state into itself.
                var back = nfa.NewState();
                Of.AddTo(nfa, loop, back, utf8);
                nfa.Epsilon(back, loop);
                nfa.Epsilon(loop, to);
                return;
            }
            for (var i = Min; i < max; i++)
            {
                nfa.Epsilon(from, to);
                var next = nfa.NewState();
                Of.AddTo(nfa, from, next, utf8);
                from = next;
            }
            nfa.Epsilon(from, to);
        }
    }

    public sealed record Call(Rule Rule) : Expression
    {
        public override void AddTo(Nfa nfa, int from, int to, bool utf8) => nfa.Call(from, Rule, to);
    }

    /// <summary>The anchor <c>^</c>.</summary>
    public sealed record AtStart : Expression
    {
        public override void AddTo(Nfa nfa, int from, int to, bool utf8) => nfa.AtStart(from, to);
    }

    /// <summary>The anchor <c>$</c>.</summary>
    public sealed record AtEnd : Expression
    {
        public override void AddTo(Nfa nfa, int from, int to, bool utf8) => nfa.AtEnd(from, to);
    }
}
