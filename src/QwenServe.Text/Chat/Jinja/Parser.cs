namespace QwenServe.Text.Chat.Jinja;

/// <summary>Jinja2's grammar, with the extensions chat templates get: break, continue and generation.</summary>
internal sealed class Parser
{
    private const int MaximumDepth = 150;

    private static readonly HashSet<string> Refused = ["include", "import", "from", "extends"];

    private readonly List<Token> _tokens;
    private int _at;
    private int _depth;
    private int _loops;
    private int _branches;

    private Parser(List<Token> tokens) => _tokens = tokens;

    private Token Current => _tokens[_at];

    private Token Ahead => _tokens[Math.Min(_at + 1, _tokens.Count - 1)];

    /// <exception cref="JinjaSyntaxException">The source is not a template this interpreter runs.</exception>
    public static Statement[] Parse(string source)
    {
        var parser = new Parser(Lexer.Tokenize(source));
        return parser.Body([]);
    }

    private JinjaSyntaxException Fail(string message, int? line = null) => new(message, line ?? Current.Line);

    private Token Next()
    {
        var token = Current;
        if (_at < _tokens.Count - 1)
            _at++;
        return token;
    }

    private bool SkipOperator(string op)
    {
        if (!Current.Is(op))
            return false;
        _at++;
        return true;
    }

    private bool SkipName(string name)
    {
        if (!Current.IsName(name))
            return false;
        _at++;
        return true;
    }

    private void ExpectOperator(string op)
    {
        if (!SkipOperator(op))
            throw Fail($"expected token '{op}', got '{Current}'");
    }

    private string ExpectName()
    {
        if (Current.Kind != TokenKind.Name)
            throw Fail($"expected a name, got '{Current}'");
        return Identifier(Next());
    }

    private static string Identifier(Token token) =>
        char.IsAsciiDigit(token.Text[0]) ? throw new JinjaSyntaxException("Invalid character in identifier", token.Line) : token.Text;

    private void Expect(TokenKind kind)
    {
        if (Current.Kind != kind)
            throw Fail($"unexpected '{Current}'");
        Next();
    }

    private void Enter()
    {
        if (++_depth > MaximumDepth)
            throw Fail($"the template is nested more than {MaximumDepth} deep");
    }

    /// <summary>Statements up to a block that begins with one of <paramref name="ends"/>, whose name is then the current token.</summary>
    private Statement[] Body(string[] ends)
    {
        Enter();
        var body = new List<Statement>();
        while (true)
        {
            var token = Current;
            switch (token.Kind)
            {
                case TokenKind.Data:
                    Next();
                    body.Add(new DataStatement(token.Text, token.Line));
                    continue;
                case TokenKind.VariableBegin:
                    Next();
                    body.Add(new PrintStatement(Tuple(), token.Line));
                    Expect(TokenKind.VariableEnd);
                    continue;
                case TokenKind.BlockBegin:
                    Next();
                    if (Current.Kind == TokenKind.Name && ends.Contains(Current.Text))
                    {
                        _depth--;
                        return [.. body];
                    }

                    body.Add(Statement());
                    Expect(TokenKind.BlockEnd);
                    continue;
                default:
                    if (ends.Length > 0)
                        throw Fail($"unexpected end of template, expected '{string.Join("' or '", ends)}'");
                    _depth--;
                    return [.. body];
            }
        }
    }

    /// <summary>The body of a block: its opening tag ends here, its end tag's name is consumed.</summary>
    private Statement[] Block(params string[] ends)
    {
        SkipOperator(":");
        Expect(TokenKind.BlockEnd);
        var body = Body(ends);
        return body;
    }

    private Statement[] BlockTo(string end)
    {
        var body = Block(end);
        Next();
        return body;
    }

    private Statement Statement()
    {
        var token = Current;
        if (token.Kind != TokenKind.Name)
            throw Fail("tag name expected");
        if (Refused.Contains(token.Text))
            throw Fail($"'{token.Text}' is refused: a chat template cannot load other templates");
        Next();
        switch (token.Text)
        {
            case "for":
                return For(token.Line);
            case "if":
                return If(token.Line);
            case "set":
                return Set(token.Line);
            case "macro":
                string name = ExpectName();
                var (parameters, defaults) = Signature();
                return new MacroStatement(new MacroDefinition(name, parameters, defaults, MacroBody("endmacro")), token.Line);
            case "call":
                return Call(token.Line);
            case "filter":
                var filter = Filter(null, true);
                return new FilterBlockStatement((FilterExpression)filter, BlockTo("endfilter"), token.Line);
            case "with":
                return With(token.Line);
            case "generation":
                return new ScopedStatement([], BlockTo("endgeneration"), token.Line);
            case "block":
                string block = ExpectName();
                SkipName("scoped");
                var body = BlockTo("endblock");
                SkipName(block);
                return new ScopedStatement([], body, token.Line);
            case "print":
                return new PrintStatement(Tuple(), token.Line);
            case "break" or "continue":
                if (_loops == 0)
                    throw Fail($"'{token.Text}' outside loop", token.Line);
                return new JumpStatement(token.Text == "break" ? Flow.Break : Flow.Continue, token.Line);
            default:
                throw Fail($"Encountered unknown tag '{token.Text}'.", token.Line);
        }
    }

    private Statement[] MacroBody(string end)
    {
        int loops = _loops;
        _loops = 0;
        var body = BlockTo(end);
        _loops = loops;
        return body;
    }

    private ForStatement For(int line)
    {
        var target = AssignTarget(true, false, "in");
        if (!SkipName("in"))
            throw Fail($"expected token 'in', got '{Current}'");
        var items = Tuple(false, "recursive");
        var test = SkipName("if") ? Expression() : null;
        bool recursive = SkipName("recursive");
        _loops++;
        var body = Block("endfor", "else");
        _loops--;
        Statement[] otherwise = [];
        if (Next().Text == "else")
            otherwise = BlockTo("endfor");
        return new ForStatement(target, items, test, recursive, body, otherwise, line);
    }

    private IfStatement If(int line)
    {
        var branches = new List<(Expression, Statement[])>();
        Statement[] otherwise = [];
        while (true)
        {
            var test = Tuple(false);
            _branches++;
            branches.Add((test, Block("elif", "else", "endif")));
            string end = Next().Text;
            if (end == "else")
                otherwise = BlockTo("endif");
            _branches--;
            if (end == "elif")
                continue;
            return new IfStatement([.. branches], otherwise, line);
        }
    }

    private Statement Set(int line)
    {
        var target = AssignTarget(true, true);
        if (SkipOperator("="))
            return new SetStatement(target, Tuple(), line);
        var filter = Current.Is("|") ? (FilterExpression)Filter(null, false) : null;
        return new SetBlockStatement(target, filter, BlockTo("endset"), line);
    }

    private ScopedStatement With(int line)
    {
        var values = new List<(Target, Expression)>();
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (values.Count > 0)
                ExpectOperator(",");
            var target = AssignTarget(true, false);
            ExpectOperator("=");
            values.Add((target, Expression()));
        }

        return new ScopedStatement([.. values], BlockTo("endwith"), line);
    }

    private CallBlockStatement Call(int line)
    {
        (string[] Parameters, Expression[] Defaults) signature = Current.Is("(") ? Signature() : ([], []);
        if (Expression() is not CallExpression call)
            throw Fail("expected call", line);
        var body = MacroBody("endcall");
        return new CallBlockStatement(call, new MacroDefinition("caller", signature.Parameters, signature.Defaults, body), line);
    }

    private (string[] Parameters, Expression[] Defaults) Signature()
    {
        var parameters = new List<string>();
        var defaults = new List<Expression>();
        ExpectOperator("(");
        while (!Current.Is(")"))
        {
            if (parameters.Count > 0)
                ExpectOperator(",");
            parameters.Add(ExpectName());
            if (SkipOperator("="))
                defaults.Add(Expression());
            else if (defaults.Count > 0)
                throw Fail("non-default argument follows default argument");
        }

        ExpectOperator(")");
        return ([.. parameters], [.. defaults]);
    }

    private Target AssignTarget(bool withTuple, bool withNamespace, string? end = null)
    {
        var targets = new List<Target>();
        bool tuple = false;
        while (true)
        {
            if (targets.Count > 0)
            {
                if (!withTuple || !SkipOperator(","))
                    break;
                tuple = true;
                if (IsTupleEnd(end) || Current.Is("="))
                    break;
            }

            targets.Add(OneTarget(withNamespace));
        }

        return tuple ? new TupleTarget([.. targets]) : targets[0];
    }

    private Target OneTarget(bool withNamespace)
    {
        if (SkipOperator("("))
        {
            var inner = AssignTarget(true, false);
            ExpectOperator(")");
            return inner;
        }

        int line = Current.Line;
        string name = ExpectName();
        if (name is "true" or "false" or "none" or "True" or "False" or "None")
            throw Fail("can't assign to 'const'", line);
        if (withNamespace && SkipOperator("."))
            return new NamespaceTarget(name, ExpectName());
        return new NameTarget(name);
    }

    private bool IsTupleEnd(string? end) =>
        Current.Kind is TokenKind.VariableEnd or TokenKind.BlockEnd || Current.Is(")") || (end is not null && Current.IsName(end));

    /// <summary>An expression, or a tuple where commas follow it.</summary>
    private Expression Tuple(bool conditional = true, string? end = null, bool parenthesised = false)
    {
        int line = Current.Line;
        var items = new List<Expression>();
        bool tuple = false;
        while (true)
        {
            if (items.Count > 0)
                ExpectOperator(",");
            if (IsTupleEnd(end))
                break;
            items.Add(conditional ? Expression() : Or());
            if (!Current.Is(","))
                break;
            tuple = true;
        }

        if (tuple)
            return new TupleExpression([.. items], line);
        if (items.Count > 0)
            return items[0];
        return parenthesised ? new TupleExpression([], line) : throw Fail($"Expected an expression, got '{Current}'");
    }

    private Expression Expression()
    {
        Enter();
        int line = Current.Line;
        var value = Or();
        while (SkipName("if"))
        {
            var test = Or();
            var otherwise = SkipName("else") ? Expression() : null;
            value = new ConditionalExpression(test, value, otherwise, line);
            Enter();
            _depth--;
        }

        _depth--;
        return value;
    }

    // A chain of operators is a tree as deep as the chain is long, and evaluating it takes as much stack.
    private Expression Chain(Func<Expression> operand, Func<string?> next, Func<string, Expression, Expression, Expression> make)
    {
        var left = operand();
        int links = 0;
        while (next() is { } symbol)
        {
            if (++links > 1000)
                throw Fail("an expression has more than 1000 operators in a row");
            left = make(symbol, left, operand());
        }

        return left;
    }

    private Expression Or() => Chain(And, () => SkipName("or") ? "or" : null, (_, l, r) => new LogicExpression(false, l, r, l.Line));

    private Expression And() => Chain(Not, () => SkipName("and") ? "and" : null, (_, l, r) => new LogicExpression(true, l, r, l.Line));

    private Expression Not()
    {
        int line = Current.Line;
        if (!SkipName("not"))
            return Comparison();
        Enter();
        var value = new NotExpression(Not(), line);
        _depth--;
        return value;
    }

    private Expression Comparison()
    {
        int line = Current.Line;
        var first = Sum();
        List<(string, Expression)>? rest = null;
        while (true)
        {
            string symbol;
            if (Current.Kind == TokenKind.Operator && Current.Text is "==" or "!=" or "<" or "<=" or ">" or ">=")
                symbol = Next().Text;
            else if (SkipName("in"))
                symbol = "in";
            else if (Current.IsName("not") && Ahead.IsName("in"))
            {
                _at += 2;
                symbol = "notin";
            }
            else
                break;
            (rest ??= []).Add((symbol, Sum()));
        }

        return rest is null ? first : new CompareExpression(first, [.. rest], line);
    }

    private string? OperatorIn(params ReadOnlySpan<string> symbols)
    {
        if (Current.Kind != TokenKind.Operator || !symbols.Contains(Current.Text))
            return null;
        return Next().Text;
    }

    private Expression Sum() => Chain(Concat, () => OperatorIn("+", "-"), (s, l, r) => new ArithmeticExpression(s, l, r, l.Line));

    private Expression Concat()
    {
        var first = Product();
        if (!Current.Is("~"))
            return first;
        var parts = new List<Expression> { first };
        while (SkipOperator("~"))
            parts.Add(Product());
        return new ConcatExpression([.. parts], first.Line);
    }

    private Expression Product() => Chain(Power, () => OperatorIn("*", "/", "//", "%"), (s, l, r) => new ArithmeticExpression(s, l, r, l.Line));

    private Expression Power() =>
        Chain(() => Unary(true), () => OperatorIn("**"), (s, l, r) => new ArithmeticExpression(s, l, r, l.Line));

    private Expression Unary(bool withFilter)
    {
        Enter();
        int line = Current.Line;
        Expression value;
        if (SkipOperator("-"))
            value = new SignExpression(true, Unary(false), line);
        else if (SkipOperator("+"))
            value = new SignExpression(false, Unary(false), line);
        else
            value = Primary();
        value = Postfix(value);
        if (withFilter)
            value = FilterChain(value);
        _depth--;
        return value;
    }

    private Expression Primary()
    {
        var token = Current;
        switch (token.Kind)
        {
            case TokenKind.Name:
                Next();
                return Identifier(token) switch
                {
                    "true" or "True" => new Constant(Boxes.True, token.Line),
                    "false" or "False" => new Constant(Boxes.False, token.Line),
                    "none" or "None" => new Constant(null, token.Line),
                    _ => new NameExpression(token.Text, token.Line),
                };
            case TokenKind.String:
                string text = Next().Text;
                while (Current.Kind == TokenKind.String)
                    text += Next().Text;
                return new Constant(new MarkedString(text), token.Line);
            case TokenKind.Integer or TokenKind.Number:
                Next();
                return new Constant(token.Value, token.Line);
            case TokenKind.Operator when token.Text == "(":
                Next();
                var value = Tuple(parenthesised: true);
                ExpectOperator(")");
                return value;
            case TokenKind.Operator when token.Text == "[":
                Next();
                var items = new List<Expression>();
                while (!Current.Is("]"))
                {
                    if (items.Count > 0)
                        ExpectOperator(",");
                    if (Current.Is("]"))
                        break;
                    items.Add(Expression());
                }

                ExpectOperator("]");
                return new ListExpression([.. items], token.Line);
            case TokenKind.Operator when token.Text == "{":
                Next();
                var pairs = new List<(Expression, Expression)>();
                while (!Current.Is("}"))
                {
                    if (pairs.Count > 0)
                        ExpectOperator(",");
                    if (Current.Is("}"))
                        break;
                    var key = Expression();
                    ExpectOperator(":");
                    pairs.Add((key, Expression()));
                }

                ExpectOperator("}");
                return new DictExpression([.. pairs], token.Line);
            default:
                throw Fail($"unexpected '{token}'");
        }
    }

    private Expression Postfix(Expression value)
    {
        for (int links = 0; ; links++)
        {
            if (links > 500)
                throw Fail("an expression has more than 500 subscripts in a row");
            if (Current.Is("."))
                value = Dot(value);
            else if (Current.Is("["))
                value = Subscript(value);
            else if (Current.Is("("))
                value = new CallExpression(value, CallArguments(), value.Line);
            else
                return value;
        }
    }

    private Expression FilterChain(Expression value)
    {
        for (int links = 0; ; links++)
        {
            if (links > 500)
                throw Fail("an expression has more than 500 filters in a row");
            if (Current.Is("|"))
                value = Filter(value, false);
            else if (Current.IsName("is"))
                value = Test(value);
            else if (Current.Is("("))
                value = new CallExpression(value, CallArguments(), value.Line);
            else
                return value;
        }
    }

    private Expression Dot(Expression value)
    {
        int line = Next().Line;
        var token = Next();
        return token.Kind switch
        {
            TokenKind.Name => new AttributeExpression(value, Identifier(token), line),
            TokenKind.Integer => new ItemExpression(value, new Constant(token.Value, token.Line), line),
            _ => throw Fail("expected name or number", token.Line),
        };
    }

    private Expression Subscript(Expression value)
    {
        int line = Next().Line;
        var keys = new List<Expression>();
        SliceExpression? slice = null;
        while (!Current.Is("]"))
        {
            if (keys.Count > 0)
                ExpectOperator(",");
            var start = Current.Is(":") ? null : Expression();
            if (!SkipOperator(":"))
            {
                keys.Add(start!);
                continue;
            }

            var stop = Current.Is(":") || Current.Is("]") ? null : Expression();
            var step = SkipOperator(":") && !Current.Is("]") ? Expression() : null;
            slice = new SliceExpression(value, start, stop, step, line);
            if (keys.Count > 0 || !Current.Is("]"))
                throw Fail("a slice must stand alone between brackets");
        }

        ExpectOperator("]");
        if (slice is not null)
            return slice;
        return keys.Count switch
        {
            1 => new ItemExpression(value, keys[0], line),
            _ => new ItemExpression(value, new TupleExpression([.. keys], line), line),
        };
    }

    private ArgumentList CallArguments()
    {
        int line = Current.Line;
        ExpectOperator("(");
        var positional = new List<Expression>();
        var named = new List<(string, Expression)>();
        Expression? rest = null, keywords = null;
        bool comma = false;
        while (!Current.Is(")"))
        {
            if (comma)
            {
                ExpectOperator(",");
                if (Current.Is(")"))
                    break;
            }

            comma = true;
            if (SkipOperator("*"))
            {
                Ensure(rest is null && keywords is null);
                rest = Expression();
            }
            else if (SkipOperator("**"))
            {
                Ensure(keywords is null);
                keywords = Expression();
            }
            else if (Current.Kind == TokenKind.Name && Ahead.Is("="))
            {
                Ensure(keywords is null);
                string name = ExpectName();
                Next();
                named.Add((name, Expression()));
            }
            else
            {
                Ensure(rest is null && keywords is null && named.Count == 0);
                positional.Add(Expression());
            }
        }

        ExpectOperator(")");
        return positional.Count == 0 && named.Count == 0 && rest is null && keywords is null
            ? ArgumentList.None
            : new ArgumentList([.. positional], [.. named], rest, keywords);

        void Ensure(bool valid)
        {
            if (!valid)
                throw Fail("invalid syntax for function call expression", line);
        }
    }

    /// <summary>An unknown filter or test fails at once, or inside a branch only when it is reached.</summary>
    private Filter Unknown(string kind, string name, int line) =>
        _branches > 0 ? (_, _, _) => throw new JinjaException($"No {kind} named '{name}'.") : throw Fail($"No {kind} named '{name}'.", line);

    private string DottedName()
    {
        string name = ExpectName();
        while (SkipOperator("."))
            name += "." + ExpectName();
        return name;
    }

    private Expression Filter(Expression? value, bool inline)
    {
        while (inline || Current.Is("|"))
        {
            if (!inline)
                Next();
            inline = false;
            int line = Current.Line;
            string name = DottedName();
            var arguments = Current.Is("(") ? CallArguments() : ArgumentList.None;
            value = new FilterExpression(value, name, Filters.Find(name) ?? Unknown("filter", name, line), arguments, line);
        }

        return value!;
    }

    private Expression Test(Expression value)
    {
        int line = Next().Line;
        bool negated = SkipName("not");
        string name = DottedName();
        var arguments = ArgumentList.None;
        if (Current.Is("("))
            arguments = CallArguments();
        else if ((Current.Kind is TokenKind.Name or TokenKind.String or TokenKind.Integer or TokenKind.Number || Current.Is("[") || Current.Is("{"))
            && !Current.IsName("else") && !Current.IsName("or") && !Current.IsName("and"))
        {
            if (Current.IsName("is"))
                throw Fail("You cannot chain multiple tests with is");
            arguments = new ArgumentList([Postfix(Primary())], [], null, null);
        }

        Expression test = new TestExpression(value, Tests.Find(name) ?? Unknown("test", name, line), arguments, line);
        return negated ? new NotExpression(test, line) : test;
    }
}
