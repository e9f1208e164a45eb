using System.Globalization;

namespace QwenServe.Text.Grammar;

/// <summary>
/// Regular expressions as ECMA-262 writes them under the <c>u</c> flag (what JSON schema's <c>pattern</c> means), less what is not regular
/// or depends on its surroundings: look-around, back references and word boundaries are refused by name.
/// </summary>
internal sealed class RegexParser
{
    private const int MaxRepeat = 10_000;

    private static readonly SymbolRange[] Digits = [new('0', '9')];
    private static readonly SymbolRange[] Words = [new('0', '9'), new('A', 'Z'), new('_', '_'), new('a', 'z')];
    private static readonly SymbolRange[] Spaces =
    [
        new(9, 13), new(0x20, 0x20), new(0xA0, 0xA0), new(0x1680, 0x1680), new(0x2000, 0x200A), new(0x2028, 0x2029), new(0x202F, 0x202F),
        new(0x205F, 0x205F), new(0x3000, 0x3000), new(0xFEFF, 0xFEFF),
    ];
    private static readonly SymbolRange[] Dot = Ranges.Negate([new(10, 10), new(13, 13), new(0x2028, 0x2029)]);

    private readonly string _pattern;
    private int _at;
    private int _depth;

    private RegexParser(string pattern) => _pattern = pattern;

    /// <summary>The expression of texts that match as a whole; anchors inside keep their meaning.</summary>
    /// <exception cref="GrammarException">The pattern is malformed, or what it uses cannot be enforced.</exception>
    public static Expression Parse(string pattern)
    {
        var parser = new RegexParser(pattern);
        var result = parser.Alternatives();
        if (parser._at < pattern.Length) throw parser.Error("unmatched ')'");
        return result;
    }

    /// <summary>The expression of texts that contain a match, which is how JSON schema reads a pattern.</summary>
    public static Expression ParseSearch(string pattern)
    {
        var anything = new Expression.Repeat(new Expression.Set(Ranges.All), 0, null);
        return new Expression.Sequence([anything, Parse(pattern), anything]);
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
        while (_at < _pattern.Length && _pattern[_at] is not ('|' or ')'))
        {
            var anchored = _pattern[_at] is '^' or '$';
            var atom = Atom();
            if (Quantifier(out var min, out var max))
            {
                if (anchored) throw Error("nothing to repeat");
                atom = new Expression.Repeat(atom, min, max);
            }
            parts.Add(atom);
        }
        return new Expression.Sequence([.. parts]);
    }

    private Expression Atom()
    {
        var c = _pattern[_at];
        switch (c)
        {
            case '^':
                _at++;
                return new Expression.AtStart();
            case '$':
                _at++;
                return new Expression.AtEnd();
            case '.':
                _at++;
                return new Expression.Set(Dot);
            case '(':
                _at++;
                return Group();
            case '[':
                _at++;
                return new Expression.Set(Class());
            case '\\':
                _at++;
                return new Expression.Set(Escape(inClass: false));
            case '*' or '+' or '?':
                throw Error("nothing to repeat");
            case '{' or '}' or ']':
                // An error under ECMA-262's u flag; Python and xgrammar take it literally, and there is only one thing it can mean.
                _at++;
                return new Expression.Set([new(c, c)]);
            default:
                return new Expression.Set([One(Rune())]);
        }
    }

    private Expression Group()
    {
        if (Take('?'))
        {
            if (Take(':'))
            {
            }
            else if (At("=") || At("!")) throw Refused("lookahead");
            else if (At("<=") || At("<!")) throw Refused("lookbehind");
            else if (Take('<') || (Take('P') && Take('<')))
            {
                var end = _pattern.IndexOf('>', _at);
                if (end < 0) throw Error("a group's name has no end");
                _at = end + 1;
            }
            else throw Refused("a group of this kind");
        }
        var inner = Alternatives();
        if (!Take(')')) throw Error("a group has no end");
        return inner;
    }

    private bool Quantifier(out int min, out int? max)
    {
        (min, max) = (0, null);
        if (_at >= _pattern.Length) return false;
        switch (_pattern[_at])
        {
            case '*':
                _at++;
                break;
            case '+':
                _at++;
                min = 1;
                break;
            case '?':
                _at++;
                max = 1;
                break;
            case '{':
                var start = _at++;
                var low = Number();
                var comma = Take(',');
                var high = comma ? Number() : low;
                if ((low is null && !comma) || !Take('}'))
                {
                    _at = start;
                    return false;
                }
                min = low ?? 0;
                max = high;
                if (max < min) throw Error("a quantifier's numbers are out of order");
                if (Math.Max(min, max ?? 0) > MaxRepeat) throw Error($"more than {MaxRepeat} repetitions");
                break;
            default:
                return false;
        }
        Take('?'); // Lazy or greedy, the language is the same.
        return true;
    }

    private int? Number()
    {
        var start = _at;
        while (_at < _pattern.Length && char.IsAsciiDigit(_pattern[_at])) _at++;
        if (start == _at) return null;
        return int.TryParse(_pattern.AsSpan(start, _at - start), NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : int.MaxValue;
    }

    private SymbolRange[] Class()
    {
        var negated = Take('^');
        var set = new List<SymbolRange>();
        while (!Take(']'))
        {
            var low = ClassAtom();
            if (!At("-") || At("-]") || _at + 1 >= _pattern.Length)
            {
                set.AddRange(low);
                continue;
            }
            _at++;
            var high = ClassAtom();
            if (low is not [{ } a] || high is not [{ } b] || a.Lo != a.Hi || b.Lo != b.Hi) throw Error("a class is no end of a range");
            if (b.Lo < a.Lo) throw Error("a range is out of order");
            set.AddRange(Ranges.Subtract([new(a.Lo, b.Lo)], [new(0xD800, 0xDFFF)]));
        }
        return negated ? Ranges.Negate(set) : Ranges.Normalize(set);
    }

    private SymbolRange[] ClassAtom()
    {
        if (Take('\\')) return Escape(inClass: true);
        return _at < _pattern.Length ? [One(Rune())] : throw Error("a class has no end");
    }

    private SymbolRange[] Escape(bool inClass)
    {
        if (_at >= _pattern.Length) throw Error("a backslash at the end");
        var c = _pattern[_at];
        if (c is >= '1' and <= '9' || c == 'k') throw Refused("a back reference");
        if (c is 'b' or 'B' && !inClass) throw Refused("a word boundary");
        if (char.IsSurrogate(c)) return [One(Rune())];
        _at++;
        switch (c)
        {
            case 'd': return Digits;
            case 'D': return Ranges.Negate(Digits);
            case 'w': return Words;
            case 'W': return Ranges.Negate(Words);
            case 's': return Spaces;
            case 'S': return Ranges.Negate(Spaces);
            case 't': return [One(9)];
            case 'n': return [One(10)];
            case 'v': return [One(11)];
            case 'f': return [One(12)];
            case 'r': return [One(13)];
            case 'b': return [One(8)];
            case '0': return [One(0)];
            case 'c' when _at < _pattern.Length && char.IsAsciiLetter(_pattern[_at]): return [One(_pattern[_at++] % 32)];
            case 'x': return [One(Hex(2))];
            case 'u': return [One(UnicodeEscape())];
            case 'p' or 'P':
                if (!Take('{')) throw Error("\\p without a property");
                var end = _pattern.IndexOf('}', _at);
                if (end < 0) throw Error("\\p without an end");
                var name = _pattern[_at..end];
                _at = end + 1;
                var set = UnicodeProperties.Find(name) ?? throw Refused($"the property \\p{{{name}}}");
                return c == 'P' ? Ranges.Negate(set) : set;
            default:
                if (char.IsAsciiLetterOrDigit(c)) throw Error($"unknown escape \\{c}");
                return [One(c)];
        }
    }

    private int UnicodeEscape()
    {
        if (Take('{'))
        {
            var end = _pattern.IndexOf('}', _at);
            if (end < 0 || !int.TryParse(_pattern.AsSpan(_at, end - _at), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
                || value is < 0 or > Ranges.MaxCodePoint) throw Error("a damaged \\u escape");
            _at = end + 1;
            return value;
        }
        var high = Hex(4);
        if (!char.IsHighSurrogate((char)high) || !At("\\u")) return high;
        var back = _at;
        _at += 2;
        var low = Hex(4);
        if (char.IsLowSurrogate((char)low)) return char.ConvertToUtf32((char)high, (char)low);
        _at = back;
        return high;
    }

    private int Hex(int digits)
    {
        if (_at + digits > _pattern.Length
            || !int.TryParse(_pattern.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
            throw Error("a damaged escape");
        _at += digits;
        return value;
    }

    private int Rune()
    {
        if (!System.Text.Rune.TryGetRuneAt(_pattern, _at, out var rune)) throw Error("a lone surrogate");
        _at += rune.Utf16SequenceLength;
        return rune.Value;
    }

    private SymbolRange One(int value) =>
        value is >= 0xD800 and <= 0xDFFF ? throw Error("a lone surrogate") : new SymbolRange(value, value);

    private bool At(string text) => string.CompareOrdinal(_pattern, _at, text, 0, text.Length) == 0;

    private bool Take(char c)
    {
        if (_at >= _pattern.Length || _pattern[_at] != c) return false;
        _at++;
        return true;
    }

    private GrammarException Error(string what) => new($"The pattern {Quote()} is malformed at {_at}: {what}.");

    private GrammarException Refused(string what) => new($"The pattern {Quote()} uses {what} at {_at}, which cannot be enforced.");

    private string Quote() => _pattern.Length <= 100 ? $"/{_pattern}/" : $"/{_pattern.AsSpan(0, 100)}…/";
}
