using System.Globalization;
using System.Numerics;
using System.Text;

namespace QwenServe.Text.Chat.Jinja;

internal enum TokenKind
{
    Data,
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name,
    String,
    Number,
    Integer,
    Operator,
    End,
}

internal readonly record struct Token(TokenKind Kind, string Text, object? Value, int Line)
{
    public bool Is(string op) => Kind == TokenKind.Operator && Text == op;

    public bool IsName(string name) => Kind == TokenKind.Name && Text == name;

    public override string ToString() => Kind switch
    {
        TokenKind.End => "end of template",
        TokenKind.BlockEnd => "end of statement block",
        TokenKind.VariableEnd => "end of print statement",
        TokenKind.Data => "template data",
        _ => Text,
    };
}

/// <summary>
/// Jinja2's lexer with trim_blocks and lstrip_blocks on: the newline after a block or comment goes, and white space between the start of a
/// line and a block or comment goes; '-' strips all white space on its side and '+' leaves it. One newline at the end of the source goes.
/// </summary>
internal sealed class Lexer
{
    private static readonly string[] Operators =
        ["//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"];

    private readonly string _source;
    private readonly List<Token> _tokens = [];
    private int _at;
    private int _line = 1;
    private bool _lineStarting = true;

    private Lexer(string source)
    {
        source = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        _source = source.EndsWith('\n') ? source[..^1] : source;
    }

    /// <exception cref="JinjaSyntaxException">The source is not well-formed.</exception>
    public static List<Token> Tokenize(string source)
    {
        var lexer = new Lexer(source);
        lexer.Run();
        return lexer._tokens;
    }

    private void Run()
    {
        while (_at < _source.Length)
        {
            int tag = FindTag(_at);
            if (tag < 0)
            {
                Data(_source[_at..]);
                break;
            }

            int body = tag + 2;
            char kind = _source[tag + 1];
            bool raw = false;
            int rawBody = 0;
            if (kind == '%')
                raw = TryRawBegin(body, out rawBody);
            char sign = body < _source.Length && _source[body] is '-' or '+' ? _source[body] : '\0';
            string text = _source[_at..tag];
            Data(Strip(text, sign, kind == '{' && !raw), text);
            if (raw)
            {
                Advance(tag, rawBody);
                RawBody();
                continue;
            }

            if (sign != '\0')
                body++;
            _at = body;
            switch (kind)
            {
                case '#':
                    Comment(tag);
                    break;
                case '%':
                    _tokens.Add(new Token(TokenKind.BlockBegin, "{%", null, _line));
                    Expression(true);
                    break;
                default:
                    _tokens.Add(new Token(TokenKind.VariableBegin, "{{", null, _line));
                    Expression(false);
                    break;
            }
        }

        _tokens.Add(new Token(TokenKind.End, "", null, _line));
    }

    private int FindTag(int from)
    {
        while (true)
        {
            int at = _source.IndexOf('{', from);
            if (at < 0 || at + 1 >= _source.Length)
                return -1;
            if (_source[at + 1] is '{' or '%' or '#')
                return at;
            from = at + 1;
        }
    }

    private string Strip(string text, char sign, bool variable)
    {
        if (sign == '-')
            return TrimEnd(text);
        if (sign == '+' || variable)
            return text;
        int line = text.LastIndexOf('\n') + 1;
        if ((line > 0 || _lineStarting) && line < text.Length && text.AsSpan(line).IndexOfAnyExcept(Spaces) < 0)
            return text[..line];
        return text;
    }

    private static readonly System.Buffers.SearchValues<char> Spaces = System.Buffers.SearchValues.Create(
        [.. Enumerable.Range(0, 0x3001).Select(c => (char)c).Where(PythonText.IsSpace)]);

    private static string TrimEnd(string text)
    {
        int end = text.AsSpan().LastIndexOfAnyExcept(Spaces) + 1;
        return text[..end];
    }

    private void Data(string text, string? original = null)
    {
        if (text.Length > 0)
            _tokens.Add(new Token(TokenKind.Data, text, null, _line));
        _line += (original ?? text).AsSpan().Count('\n');
    }

    private void Advance(int from, int to)
    {
        _line += _source.AsSpan(from, to - from).Count('\n');
        _at = to;
        _lineStarting = to > 0 && _source[to - 1] == '\n';
    }

    private int SkipSpace(int at)
    {
        while (at < _source.Length && PythonText.IsSpace(_source[at]))
            at++;
        return at;
    }

    private bool TryRawBegin(int at, out int body)
    {
        body = 0;
        if (at < _source.Length && _source[at] is '-' or '+')
            at++;
        at = SkipSpace(at);
        if (!_source.AsSpan(at).StartsWith("raw", StringComparison.Ordinal))
            return false;
        at = SkipSpace(at + 3);
        if (_source.AsSpan(at).StartsWith("-%}", StringComparison.Ordinal))
        {
            body = SkipSpace(at + 3);
            return true;
        }

        body = at + 2;
        return _source.AsSpan(at).StartsWith("%}", StringComparison.Ordinal);
    }

    private void RawBody()
    {
        for (int tag = _source.IndexOf("{%", _at, StringComparison.Ordinal); tag >= 0; tag = _source.IndexOf("{%", tag + 1, StringComparison.Ordinal))
        {
            int at = tag + 2;
            char sign = at < _source.Length && _source[at] is '-' or '+' ? _source[at++] : '\0';
            at = SkipSpace(at);
            if (!_source.AsSpan(at).StartsWith("endraw", StringComparison.Ordinal))
                continue;
            at = SkipSpace(at + 6);
            int end = BlockEnd(at);
            if (end < 0)
                continue;
            string text = _source[_at..tag];
            Data(Strip(text, sign, false), text);
            Advance(tag, end);
            return;
        }

        throw new JinjaSyntaxException("Missing end of raw directive", _line);
    }

    /// <summary>The end of a block's closing delimiter at <paramref name="at"/>, or -1.</summary>
    private int BlockEnd(int at)
    {
        var rest = _source.AsSpan(at);
        if (rest.StartsWith("+%}", StringComparison.Ordinal))
            return at + 3;
        if (rest.StartsWith("-%}", StringComparison.Ordinal))
            return SkipSpace(at + 3);
        if (!rest.StartsWith("%}", StringComparison.Ordinal))
            return -1;
        return at + 2 < _source.Length && _source[at + 2] == '\n' ? at + 3 : at + 2;
    }

    private void Comment(int tag)
    {
        int close = _source.IndexOf("#}", _at, StringComparison.Ordinal);
        if (close < 0)
            throw new JinjaSyntaxException("Missing end of comment tag", _line);
        int end = close + 2;
        char before = close > _at ? _source[close - 1] : '\0';
        if (before == '-')
            end = SkipSpace(end);
        else if (before != '+' && end < _source.Length && _source[end] == '\n')
            end++;
        Advance(tag, end);
    }

    private void Expression(bool block)
    {
        var open = new Stack<char>();
        while (true)
        {
            if (_at >= _source.Length)
                throw new JinjaSyntaxException("unexpected end of template, the tag is not closed", _line);
            if (open.Count == 0 && TryClose(block))
                return;
            char c = _source[_at];
            if (PythonText.IsSpace(c))
            {
                if (c == '\n')
                    _line++;
                _at++;
            }
            else if (char.IsAsciiDigit(c))
                Number();
            else if (c is '"' or '\'')
                StringLiteral(c);
            else if (IsWord(c))
                Name();
            else
                Operator(open);
        }
    }

    private bool TryClose(bool block)
    {
        int end;
        if (block)
        {
            end = BlockEnd(_at);
            if (end < 0)
                return false;
            _tokens.Add(new Token(TokenKind.BlockEnd, "%}", null, _line));
        }
        else
        {
            var rest = _source.AsSpan(_at);
            if (rest.StartsWith("-}}", StringComparison.Ordinal))
                end = SkipSpace(_at + 3);
            else if (rest.StartsWith("}}", StringComparison.Ordinal))
                end = _at + 2;
            else
                return false;
            _tokens.Add(new Token(TokenKind.VariableEnd, "}}", null, _line));
        }

        Advance(_at, end);
        return true;
    }

    private static bool IsWord(char c) => c == '_' || char.IsLetterOrDigit(c) || char.IsSurrogate(c)
        || char.GetUnicodeCategory(c) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.LetterNumber;

    private void Name()
    {
        int start = _at;
        while (_at < _source.Length && IsWord(_source[_at]))
            _at++;
        _tokens.Add(new Token(TokenKind.Name, string.Intern(_source[start.._at]), null, _line));
    }

    private void Operator(Stack<char> open)
    {
        foreach (string op in Operators)
        {
            if (!_source.AsSpan(_at).StartsWith(op, StringComparison.Ordinal))
                continue;
            switch (op[0])
            {
                case '{':
                    open.Push('}');
                    break;
                case '(':
                    open.Push(')');
                    break;
                case '[':
                    open.Push(']');
                    break;
                case '}' or ')' or ']':
                    if (open.Count == 0)
                        throw new JinjaSyntaxException($"unexpected '{op}'", _line);
                    char expected = open.Pop();
                    if (expected != op[0])
                        throw new JinjaSyntaxException($"unexpected '{op}', expected '{expected}'", _line);
                    break;
            }

            _tokens.Add(new Token(TokenKind.Operator, op, null, _line));
            _at += op.Length;
            return;
        }

        throw new JinjaSyntaxException($"unexpected char '{_source[_at]}'", _line);
    }

    private int Digits(int at, Func<char, bool> isDigit)
    {
        while (at < _source.Length && (isDigit(_source[at]) || (_source[at] == '_' && at + 1 < _source.Length && isDigit(_source[at + 1]))))
            at++;
        return at;
    }

    private void Number()
    {
        int start = _at;
        bool afterDot = start > 0 && _source[start - 1] == '.';
        if (_source[start] == '0' && start + 1 < _source.Length)
        {
            int radix = char.ToLowerInvariant(_source[start + 1]) switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 0 };
            if (radix != 0)
            {
                int end = Digits(start + 2, c => char.IsAsciiHexDigit(c) && Convert.ToInt32(c.ToString(), 16) < radix);
                if (end > start + 2)
                {
                    var value = BigInteger.Zero;
                    foreach (char c in _source.AsSpan(start + 2, end - start - 2))
                        if (c != '_')
                            value = (value * radix) + Convert.ToInt32(c.ToString(), 16);
                    Add(TokenKind.Integer, end, Boxes.Of(value));
                    return;
                }
            }
        }

        int digits = Digits(start, char.IsAsciiDigit);
        int floatEnd = digits;
        if (!afterDot)
        {
            if (floatEnd + 1 < _source.Length && _source[floatEnd] == '.' && char.IsAsciiDigit(_source[floatEnd + 1]))
                floatEnd = Digits(floatEnd + 1, char.IsAsciiDigit);
            if (floatEnd < _source.Length && _source[floatEnd] is 'e' or 'E')
            {
                int exponent = floatEnd + 1;
                if (exponent < _source.Length && _source[exponent] is '+' or '-')
                    exponent++;
                if (exponent < _source.Length && char.IsAsciiDigit(_source[exponent]))
                    floatEnd = Digits(exponent, char.IsAsciiDigit);
            }
        }

        if (floatEnd > digits)
        {
            string text = _source[start..floatEnd].Replace("_", "", StringComparison.Ordinal);
            Add(TokenKind.Number, floatEnd, double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture));
            return;
        }

        // A leading zero is a number of its own: 0(_?0)*.
        if (_source[start] == '0')
            digits = Digits(start, c => c == '0');
        if (digits - start > 4300)
            throw new JinjaSyntaxException("an integer has more than 4300 digits", _line);
        string number = _source[start..digits].Replace("_", "", StringComparison.Ordinal);
        Add(TokenKind.Integer, digits, Boxes.Of(BigInteger.Parse(number, NumberStyles.None, CultureInfo.InvariantCulture)));
    }

    private void Add(TokenKind kind, int end, object value)
    {
        _tokens.Add(new Token(kind, _source[_at..end], value, _line));
        _at = end;
    }

    private void StringLiteral(char quote)
    {
        int line = _line;
        int end = _at + 1;
        while (end < _source.Length && _source[end] != quote)
            end += _source[end] == '\\' ? 2 : 1;
        if (end >= _source.Length)
            throw new JinjaSyntaxException("unexpected char " + quote + ", the string is not closed", line);
        string body = _source[(_at + 1)..end];
        _tokens.Add(new Token(TokenKind.String, Unescape(body, line), null, line));
        _line += body.AsSpan().Count('\n');
        _at = end + 1;
    }

    /// <summary>Python's unicode-escape: an unknown escape stays as it is.</summary>
    private static string Unescape(string body, int line)
    {
        if (!body.Contains('\\', StringComparison.Ordinal))
            return body;
        var text = new StringBuilder(body.Length);
        for (int i = 0; i < body.Length; i++)
        {
            char c = body[i];
            if (c != '\\')
            {
                text.Append(c);
                continue;
            }

            c = body[++i];
            switch (c)
            {
                case '\n':
                    break;
                case '\\' or '\'' or '"':
                    text.Append(c);
                    break;
                case 'a':
                    text.Append('\a');
                    break;
                case 'b':
                    text.Append('\b');
                    break;
                case 'f':
                    text.Append('\f');
                    break;
                case 'n':
                    text.Append('\n');
                    break;
                case 'r':
                    text.Append('\r');
                    break;
                case 't':
                    text.Append('\t');
                    break;
                case 'v':
                    text.Append('\v');
                    break;
                case >= '0' and <= '7':
                    int octal = 0;
                    int stop = Math.Min(body.Length, i + 3);
                    while (i < stop && body[i] is >= '0' and <= '7')
                        octal = (octal * 8) + body[i++] - '0';
                    i--;
                    text.Append((char)octal);
                    break;
                case 'x' or 'u' or 'U':
                    int digits = c switch { 'x' => 2, 'u' => 4, _ => 8 };
                    if (i + digits >= body.Length + 0 && i + digits > body.Length - 1
                        || !uint.TryParse(body.AsSpan(i + 1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint code)
                        || code > 0x10FFFF)
                        throw new JinjaSyntaxException($"truncated \\{c} escape in a string", line);
                    if (code > 0xFFFF)
                        text.Append(char.ConvertFromUtf32((int)code));
                    else
                        text.Append((char)code);
                    i += digits;
                    break;
                case 'N':
                    throw new JinjaSyntaxException("\\N{...} escapes are not supported", line);
                default:
                    // The source's characters beyond ASCII were escaped before decoding, so a backslash stays before them too.
                    text.Append('\\').Append(c);
                    break;
            }
        }

        return text.ToString();
    }
}
