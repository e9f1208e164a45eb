using System.Globalization;

namespace QwenServe.Text.Grammar;

/// <summary>
/// EBNF as GBNF and xgrammar write it: <c>name ::= …</c> with literals in double quotes, character classes, groups, <c>| * + ? {m,n}</c>,
/// <c>.</c> and <c>#</c> comments; <c>root</c> is the whole. A rule ends where the next one's <c>::=</c> begins. Direct left recursion is
/// turned into repetition.
/// </summary>
internal sealed class EbnfParser
{
    private const int MaxInlined = 20_000;
    private const int MaxRepeat = 5_000;

    private readonly string _text;
    private readonly Dictionary<string, Expression> _bodies = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Rule> _rules = new(StringComparer.Ordinal);
    private int _at;
    private int _depth;

    private EbnfParser(string text) => _text = text;

    /// <exception cref="GrammarException">The text is no such grammar.</exception>
    public static Rule Parse(string text)
    {
        var parser = new EbnfParser(text);
        parser.ParseRules();
        return parser.Link();
    }

    private void ParseRules()
    {
        if (!_text.Contains("::=", StringComparison.Ordinal))
        {
            throw new GrammarException(_text.Contains(':', StringComparison.Ordinal)
                ? "The grammar has no '::='. Lark grammars are not supported; write EBNF: root ::= \"a\" | \"b\"."
                : "The grammar has no rule: write EBNF: root ::= \"a\" | \"b\".");
        }
        Skip();
        while (_at < _text.Length)
        {
            var name = Name() ?? throw Error("a rule's name is missing");
            Skip();
            if (!TakeText("::=")) throw Error("'::=' is missing");
            if (_bodies.ContainsKey(name)) throw Error($"'{name}' is defined twice");
            var body = Alternatives();
            _bodies[name] = WithoutLeftRecursion(name, body);
            Skip();
        }
        if (!_bodies.ContainsKey("root")) throw new GrammarException("The grammar has no rule 'root'.");
    }

    private Expression Alternatives()
    {
        if (++_depth > 200) throw Error("too deeply nested");
        var options = new List<Expression> { Terms() };
        while (Take('|')) options.Add(Terms());
        _depth--;
        return options.Count == 1 ? options[0] : new Expression.Choice([.. options]);
    }

    private Expression.Sequence Terms()
    {
        var parts = new List<Expression>();
        while (true)
        {
            Skip();
            if (_at >= _text.Length || _text[_at] is '|' or ')' || AtRule()) return new Expression.Sequence([.. parts]);
            parts.Add(Quantified(Term()));
        }
    }

    private Expression Term()
    {
        var c = _text[_at];
        if (Take('('))
        {
            if (_at < _text.Length && _text[_at] is '=' or '!') throw Error("lookahead is not supported");
            var inner = Alternatives();
            Skip();
            return Take(')') ? inner : throw Error("a group has no end");
        }
        if (Take('"'))
        {
            var parts = new List<Expression>();
            while (!Take('"')) parts.Add(new Expression.Set([One(Character("\""))]));
            return new Expression.Sequence([.. parts]);
        }
        if (Take('[')) return new Expression.Set(Class());
        if (Take('.')) return new Expression.Set(Ranges.All);
        if (c == '\'') throw Error("literals stand in double quotes");
        if (c is '*' or '+' or '?' or '{') throw Error("nothing to repeat");
        var name = Name() ?? throw Error($"unexpected '{c}'");
        if (_at < _text.Length && _text[_at] == '(') throw Error($"'{name}(…)' is not supported");
        return new Reference(name);
    }

    private Expression Quantified(Expression of)
    {
        while (_at < _text.Length)
        {
            if (Take('*')) of = new Expression.Repeat(of, 0, null);
            else if (Take('+')) of = new Expression.Repeat(of, 1, null);
            else if (Take('?')) of = new Expression.Repeat(of, 0, 1);
            else if (Take('{'))
            {
                Skip();
                var low = Number();
                Skip();
                var comma = Take(',');
                Skip();
                var high = comma ? Number() : low;
                Skip();
                if (!Take('}') || (low is null && high is null)) throw Error("a damaged {m,n}");
                if (high < low) throw Error("the numbers of {m,n} are out of order");
                if (Math.Max(low ?? 0, high ?? 0) > MaxRepeat) throw Error($"more than {MaxRepeat} repetitions");
                of = new Expression.Repeat(of, low ?? 0, high);
            }
            else break;
        }
        return of;
    }

    private SymbolRange[] Class()
    {
        var negated = Take('^');
        var set = new List<SymbolRange>();
        while (!Take(']'))
        {
            if (_at + 1 < _text.Length && _text[_at] == '\\' && _text[_at + 1] is 'd' or 'D' or 'w' or 'W' or 's' or 'S')
            {
                var kind = RegexParser.Parse(_text.Substring(_at, 2));
                set.AddRange(((Expression.Set)((Expression.Sequence)kind).Parts[0]).Of);
                _at += 2;
                continue;
            }
            var low = Character("]");
            var high = low;
            if (_at + 1 < _text.Length && _text[_at] == '-' && _text[_at + 1] != ']')
            {
                _at++;
                high = Character("]");
            }
            if (high < low) throw Error("a range is out of order");
            set.AddRange(Ranges.Subtract([new(low, high)], [new(0xD800, 0xDFFF)]));
        }
        return negated ? Ranges.Negate(set) : Ranges.Normalize(set);
    }

    private int Character(string within)
    {
        if (_at >= _text.Length) throw Error($"'{within}' is missing");
        if (!System.Text.Rune.TryGetRuneAt(_text, _at, out var rune)) throw Error("a lone surrogate");
        _at += rune.Utf16SequenceLength;
        if (rune.Value == '\n' && within == "\"") throw Error("a literal has no end");
        if (rune.Value != '\\') return rune.Value;
        if (_at >= _text.Length) throw Error("a backslash at the end");
        var c = _text[_at++];
        switch (c)
        {
            case 'n': return '\n';
            case 't': return '\t';
            case 'r': return '\r';
            case 'f': return '\f';
            case 'b': return '\b';
            case 'v': return '\v';
            case '0': return 0;
            case 'x': return Hex(2);
            case 'u' when Take('{'):
                var end = _text.IndexOf('}', _at);
                if (end < 0 || end - _at > 6) throw Error("a damaged escape");
                var value = Hex(end - _at);
                _at++;
                return value;
            case 'u': return Hex(4);
            case 'U': return Hex(8);
            default:
                if (char.IsAsciiLetterOrDigit(c)) throw Error($"unknown escape \\{c}");
                return c;
        }
    }

    private int Hex(int digits)
    {
        if (_at + digits > _text.Length
            || !int.TryParse(_text.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)) throw Error("a damaged escape");
        _at += digits;
        return value;
    }

    private SymbolRange One(int value) =>
        value is >= 0xD800 and <= 0xDFFF or < 0 or > Ranges.MaxCodePoint ? throw Error("not a character") : new SymbolRange(value, value);

    private int? Number()
    {
        var start = _at;
        while (_at < _text.Length && char.IsAsciiDigit(_text[_at])) _at++;
        if (start == _at) return null;
        return int.TryParse(_text.AsSpan(start, _at - start), NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : int.MaxValue;
    }

    private string? Name()
    {
        var start = _at;
        while (_at < _text.Length && (char.IsAsciiLetterOrDigit(_text[_at]) || _text[_at] is '_' or '-' or '.')) _at++;
        return start == _at ? null : _text[start.._at];
    }

    /// <summary>Whether a rule's definition begins here.</summary>
    private bool AtRule()
    {
        var back = _at;
        var found = false;
        if (Name() is not null)
        {
            Skip();
            found = string.CompareOrdinal(_text, _at, "::=", 0, 3) == 0;
        }
        _at = back;
        return found;
    }

    private void Skip()
    {
        while (_at < _text.Length)
        {
            if (_text[_at] == '#') while (_at < _text.Length && _text[_at] != '\n') _at++;
            else if (char.IsWhiteSpace(_text[_at])) _at++;
            else break;
        }
    }

    private bool Take(char c)
    {
        if (_at >= _text.Length || _text[_at] != c) return false;
        _at++;
        return true;
    }

    private bool TakeText(string text)
    {
        if (string.CompareOrdinal(_text, _at, text, 0, text.Length) != 0) return false;
        _at += text.Length;
        return true;
    }

    private GrammarException Error(string what)
    {
        var line = _text.AsSpan(0, Math.Min(_at, _text.Length)).Count('\n') + 1;
        return new GrammarException($"The grammar is malformed in line {line}: {what}.");
    }

    /// <summary><c>a ::= a x | y</c> is <c>a ::= y x*</c>.</summary>
    private static Expression WithoutLeftRecursion(string name, Expression body)
    {
        Expression[] options = body is Expression.Choice choice ? choice.Options : [body];
        var tails = new List<Expression>();
        var heads = new List<Expression>();
        foreach (var option in options)
        {
            if (option is Expression.Sequence { Parts: [Reference first, .. var rest] } && first.Name == name) tails.Add(new Expression.Sequence(rest));
            else heads.Add(option);
        }
        return tails.Count == 0 ? body
            : new Expression.Sequence([new Expression.Choice([.. heads]), new Expression.Repeat(new Expression.Choice([.. tails]), 0, null)]);
    }

    /// <summary>
    /// Rules that do not recur become part of their callers, so that what is regular is one automaton; those that do are called.
    /// </summary>
    private Rule Link()
    {
        var recursive = _bodies.Keys.Where(name => Reaches(name, name)).ToHashSet(StringComparer.Ordinal);
        foreach (var name in recursive) _rules[name] = new Rule(name);
        var budget = MaxInlined;
        foreach (var name in recursive) _rules[name].Start = Build(name);
        return recursive.Contains("root") ? _rules["root"] : new Rule("root") { Start = Build("root") };

        State Build(string name)
        {
            var nfa = new Nfa();
            int start = nfa.NewState(), end = nfa.NewState();
            Resolve(_bodies[name]).AddTo(nfa, start, end, utf8: true);
            return nfa.ToStates(start, end);
        }

        Expression Resolve(Expression expression)
        {
            if (--budget < 0) throw new GrammarException("The grammar is too large.");
            return expression switch
            {
                Reference r when recursive.Contains(r.Name) => new Expression.Call(_rules[r.Name]),
                Reference r => Resolve(Body(r.Name)),
                Expression.Sequence s => new Expression.Sequence([.. s.Parts.Select(Resolve)]),
                Expression.Choice c => new Expression.Choice([.. c.Options.Select(Resolve)]),
                Expression.Repeat p => new Expression.Repeat(Resolve(p.Of), p.Min, p.Max),
                _ => expression,
            };
        }
    }

    private Expression Body(string name) => _bodies.TryGetValue(name, out var body) ? body : throw new GrammarException($"The grammar has no rule '{name}'.");

    private bool Reaches(string from, string to)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var work = new Stack<Expression>([Body(from)]);
        while (work.TryPop(out var expression))
        {
            switch (expression)
            {
                case Reference r:
                    if (r.Name == to) return true;
                    if (seen.Add(r.Name)) work.Push(Body(r.Name));
                    break;
                case Expression.Sequence s:
                    foreach (var part in s.Parts) work.Push(part);
                    break;
                case Expression.Choice c:
                    foreach (var option in c.Options) work.Push(option);
                    break;
                case Expression.Repeat p:
                    work.Push(p.Of);
                    break;
            }
        }
        return false;
    }

    private sealed record Reference(string Name) : Expression
    {
        public override void AddTo(Nfa nfa, int from, int to, bool utf8) => throw new InvalidOperationException("An unresolved reference.");
    }
}
