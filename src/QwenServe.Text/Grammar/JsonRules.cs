namespace QwenServe.Text.Grammar;

/// <summary>The rules that every JSON grammar shares.</summary>
/// <remarks>
/// White space stands behind <c>{ [ , :</c> and before <c>} ]</c>: none, one space, or one line break with an indent, so that output
/// can neither run away nor lack the layouts that models write.
/// </remarks>
internal static class JsonRules
{
    private static readonly Rule AnyObjectRule = new("object");
    private static readonly Rule AnyArrayRule = new("array");

    public static Rule Space { get; } = OfRegex("space", "( |\r?\n( {0,32}|\t{0,12}))?");

    public static Rule Null { get; } = OfRegex("null", "null");

    public static Rule Boolean { get; } = OfRegex("boolean", "true|false");

    public static Rule Integer { get; } = NumberRule.Of(true, double.NegativeInfinity, double.PositiveInfinity)!;

    public static Rule Number { get; } = NumberRule.Of(false, double.NegativeInfinity, double.PositiveInfinity)!;

    public static Rule AnyString { get; } = String(0, StringStates.Unbounded);

    /// <summary>Any JSON value.</summary>
    public static Rule Any { get; } = MakeAny();

    public static Rule AnyObject => AnyObjectRule;

    public static Rule AnyArray => AnyArrayRule;

    /// <summary>Any string of so many code points.</summary>
    public static Rule String(int min, int max) =>
        new("string") { Start = new State { Edges = [new((byte)'"', (byte)'"', StringStates.Body(min, max))], Shared = true } };

    public static Rule OfRegex(string name, string pattern)
    {
        var nfa = new Nfa();
        int start = nfa.NewState(), end = nfa.NewState();
        RegexParser.Parse(pattern).AddTo(nfa, start, end, utf8: true);
        return Rule.Of(name, nfa, start, end);
    }

    private static Rule MakeAny()
    {
        var any = new Rule("value");
        var nfa = new Nfa();
        int start = nfa.NewState(), end = nfa.NewState();
        foreach (var option in (ReadOnlySpan<Rule>)[AnyObjectRule, AnyArrayRule, AnyString, Number, Boolean, Null]) nfa.Call(start, option, end);
        any.Start = nfa.ToStates(start, end);
        AnyArrayRule.Start = Container('[', ']', (n, at) => n.Call(at, any));
        AnyObjectRule.Start = Container('{', '}', (n, at) => n.Call(n.Call(n.Literal(n.Call(at, AnyString), ":"), Space), any));
        return any;
    }

    private static State Container(char open, char close, Func<Nfa, int, int> member)
    {
        var nfa = new Nfa();
        int start = nfa.NewState(), end = nfa.NewState(), item = nfa.NewState();
        var opened = nfa.Call(nfa.Literal(start, open.ToString()), Space);
        nfa.Epsilon(nfa.Literal(opened, close.ToString()), end);
        nfa.Epsilon(opened, item);
        var behind = member(nfa, item);
        nfa.Epsilon(nfa.Call(nfa.Literal(behind, ","), Space), item);
        nfa.Epsilon(nfa.Literal(nfa.Call(behind, Space), close.ToString()), end);
        return nfa.ToStates(start, end);
    }
}
