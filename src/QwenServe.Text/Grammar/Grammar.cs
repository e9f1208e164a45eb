using System.Text.Json;

namespace QwenServe.Text.Grammar;

/// <summary>How many tool calls an answer holds.</summary>
public enum ToolCallCount
{
    ExactlyOne,
    AtLeastOne,
}

/// <summary>A function that may be called; without parameters its arguments are <c>{}</c>.</summary>
public sealed record ToolSignature(string Name, JsonElement? Parameters);

/// <summary>
/// A language over UTF-8 bytes that generated text is held to. Rules are deterministic automata that may call rules, so JSON schemas with
/// recursion and context-free grammars are one thing here; every state that is left can reach an end. Immutable, for any number of threads;
/// what is learnt of a vocabulary is kept in the states, so a grammar that is used again should be kept (<see cref="GrammarCache"/>).
/// </summary>
public sealed class Grammar
{
    private static readonly Rule TextBeforeCall = TextStates.Until("<tool_call>");

    private Grammar(Rule root)
    {
        Start = root.Start;
        new GrammarChecker(root).Check();
    }

    /// <summary>Any JSON object.</summary>
    public static Grammar JsonObject { get; } = new(JsonRules.AnyObject);

    /// <summary>Any text.</summary>
    public static Grammar AnyText { get; } = new(AnyTextRule());

    internal State Start { get; }

    /// <summary>The JSON texts of the instances of a schema, draft 4 to 2020-12 in what they have in common.</summary>
    /// <exception cref="GrammarException">
    /// The schema is malformed, admits nothing, or has a keyword that cannot be enforced, named with its path.
    /// </exception>
    public static Grammar FromJsonSchema(JsonElement schema) => new(SchemaCompiler.Compile(schema));

    /// <summary>Texts that match a regular expression as a whole.</summary>
    /// <exception cref="GrammarException">The pattern is malformed, matches nothing, or uses what is not regular.</exception>
    public static Grammar FromRegex(string pattern)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        // Over code points first: anchors and classes are resolved there.
        return FromExpression(RegexParser.Parse(pattern));
    }

    /// <summary>The texts of <c>root</c> in EBNF as GBNF and xgrammar write it: <c>root ::= "a" [b-d]+ rest{1,3} # comment</c>.</summary>
    /// <exception cref="GrammarException">The grammar is malformed, admits nothing, or is left-recursive.</exception>
    public static Grammar FromEbnf(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new(EbnfParser.Parse(text));
    }

    /// <summary>One of some texts.</summary>
    /// <exception cref="GrammarException">There are none.</exception>
    public static Grammar FromChoice(IReadOnlyCollection<string> texts)
    {
        ArgumentNullException.ThrowIfNull(texts);
        if (texts.Count == 0) throw new GrammarException("A choice needs at least one text.");
        return FromExpression(new Expression.Choice([.. texts.Select(Expression.Text)]));
    }

    /// <summary>
    /// Calls as the Qwen2.5 templates write them: <c>&lt;tool_call&gt;</c>, an object of name and arguments, <c>&lt;/tool_call&gt;</c>; the name is
    /// one of those given and the arguments meet that tool's schema. The markers may come as tokens of their own or spelled.
    /// </summary>
    /// <param name="tools">What may be called.</param>
    /// <param name="count">How many calls an answer with calls holds.</param>
    /// <param name="answer">
    /// What may be said instead of a call; null for nothing. <see cref="AnyText"/> may also come before the first call.
    /// </param>
    /// <exception cref="GrammarException">There are no tools, or a schema cannot be enforced.</exception>
    public static Grammar ToolCalls(IReadOnlyList<ToolSignature> tools, ToolCallCount count, Grammar? answer = null)
    {
        ArgumentNullException.ThrowIfNull(tools);
        if (tools.Count == 0) throw new GrammarException("Tool calls need at least one tool.");
        var nfa = new Nfa();
        int start = nfa.NewState(), end = nfa.NewState(), call = nfa.NewState(), opened = nfa.NewState(), closed = nfa.NewState();
        nfa.Epsilon(nfa.Literal(call, "<tool_call>"), opened);
        var name = nfa.Call(nfa.Literal(nfa.Call(opened, JsonRules.Space), "{"), JsonRules.Space);
        name = nfa.Call(nfa.Literal(name, "\"name\":"), JsonRules.Space);
        var behind = nfa.NewState();
        foreach (var tool in tools)
        {
            var arguments = nfa.Call(nfa.Literal(name, SchemaShape.Quote(tool.Name) + ","), JsonRules.Space);
            arguments = nfa.Call(nfa.Literal(arguments, "\"arguments\":"), JsonRules.Space);
            if (tool.Parameters is { } schema) nfa.Call(arguments, SchemaCompiler.Compile(schema, objectOnly: true), behind);
            else nfa.Epsilon(nfa.Literal(arguments, "{}"), behind);
        }
        var close = nfa.Call(nfa.Literal(nfa.Call(behind, JsonRules.Space), "}"), JsonRules.Space);
        nfa.Epsilon(nfa.Literal(close, "</tool_call>"), closed);
        nfa.Epsilon(closed, end);
        if (count == ToolCallCount.AtLeastOne)
        {
            nfa.Epsilon(closed, call);
            nfa.Epsilon(nfa.Literal(closed, "\n"), call);
        }
        if (ReferenceEquals(answer, AnyText)) nfa.Call(start, TextBeforeCall, opened);
        else
        {
            nfa.Epsilon(start, call);
            if (answer is not null) nfa.Call(start, new Rule("answer") { Start = answer.Start }, end);
        }
        return new(Rule.Of("calls", nfa, start, end));
    }

    private static Grammar FromExpression(Expression expression)
    {
        var dfa = Dfa.Of(expression);
        var nfa = new Nfa();
        var states = dfa.States.Select(_ => nfa.NewState()).ToArray();
        int start = nfa.NewState(), end = nfa.NewState();
        for (var i = 0; i < states.Length; i++)
        {
            foreach (var target in dfa.States[i].Edges.GroupBy(e => e.To)) nfa.Utf8(states[i], target.Select(e => new SymbolRange(e.Lo, e.Hi)), states[target.Key]);
            if (dfa.States[i].Accepts) nfa.Epsilon(states[i], end);
        }
        if (states.Length > 0) nfa.Epsilon(start, states[0]);
        return new(Rule.Of("expression", nfa, start, end));
    }

    private static Rule AnyTextRule()
    {
        var nfa = new Nfa();
        int start = nfa.NewState();
        nfa.Utf8(start, Ranges.All, start);
        return Rule.Of("text", nfa, start, start);
    }
}
