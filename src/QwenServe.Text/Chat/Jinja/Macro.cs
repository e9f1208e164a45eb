namespace QwenServe.Text.Chat.Jinja;

/// <summary>What the compiler knows of a macro or of the body of a call block.</summary>
internal sealed class MacroDefinition
{
    private static readonly string CallerName = string.Intern("caller");
    private static readonly string KwargsName = string.Intern("kwargs");
    private static readonly string VarargsName = string.Intern("varargs");

    private readonly bool _wantsCaller;
    private readonly bool _wantsKwargs;
    private readonly bool _wantsVarargs;

    /// <param name="name">The macro's name.</param>
    /// <param name="parameters">Interned names.</param>
    /// <param name="defaults">Defaults of the last parameters.</param>
    /// <param name="body">What the macro prints.</param>
    public MacroDefinition(string name, string[] parameters, Expression[] defaults, Statement[] body)
    {
        Name = name;
        Parameters = parameters;
        Defaults = defaults;
        Body = body;
        _wantsCaller = !parameters.Contains(CallerName) && TreeSearch.Reads(body, CallerName);
        _wantsKwargs = !parameters.Contains(KwargsName) && TreeSearch.Reads(body, KwargsName);
        _wantsVarargs = !parameters.Contains(VarargsName) && TreeSearch.Reads(body, VarargsName);
    }

    public string Name { get; }

    public string[] Parameters { get; }

    public Expression[] Defaults { get; }

    public Statement[] Body { get; }

    public MarkedString Invoke(Rendering rendering, Scope closure, Arguments arguments)
    {
        var scope = new Scope(closure);
        var named = arguments.Named.ToList();
        int given = Math.Min(arguments.Positional.Length, Parameters.Length);
        var values = new object?[Parameters.Length];
        for (int i = 0; i < values.Length; i++)
        {
            if (i < given)
            {
                values[i] = arguments.Positional[i];
                continue;
            }

            int at = named.FindIndex(n => n.Key == Parameters[i]);
            values[i] = at < 0 ? Arguments.Missing : named[at].Value;
            if (at >= 0)
                named.RemoveAt(at);
        }

        if (_wantsCaller)
        {
            int at = named.FindIndex(n => n.Key == CallerName);
            scope.Set(CallerName, at < 0 ? new Undefined("No caller defined") : named[at].Value);
            if (at >= 0)
                named.RemoveAt(at);
        }

        if (_wantsKwargs)
        {
            var kwargs = new PyDict();
            foreach (var (name, value) in named)
                kwargs.Set(name, value);
            scope.Set(KwargsName, kwargs);
        }
        else if (named.Count > 0)
            throw new JinjaException($"macro '{Name}' takes no keyword argument '{named[0].Key}'");
        if (_wantsVarargs)
            scope.Set(VarargsName, new PyTuple(arguments.Positional[given..]));
        else if (arguments.Positional.Length > Parameters.Length)
            throw new JinjaException($"macro '{Name}' takes not more than {Parameters.Length} argument(s)");
        for (int i = 0; i < values.Length; i++)
        {
            int fallback = i - (Parameters.Length - Defaults.Length);
            scope.Set(Parameters[i], values[i] != Arguments.Missing ? values[i]
                : fallback >= 0 ? Defaults[fallback].Evaluate(rendering, scope)
                : new Undefined($"parameter '{Parameters[i]}' was not provided"));
        }

        rendering.Enter();
        var text = Statement.Capture(Body, rendering, scope);
        rendering.Leave();
        return text;
    }

    public object? Describe(string attribute) => attribute switch
    {
        "name" => new MarkedString(Name),
        "arguments" => new PyTuple([.. Parameters.Select(p => (object?)new MarkedString(p))]),
        "catch_kwargs" => Boxes.Of(_wantsKwargs),
        "catch_varargs" => Boxes.Of(_wantsVarargs),
        "caller" => Boxes.Of(_wantsCaller),
        _ => null,
    };
}

/// <summary>A macro bound to the scope it was defined in.</summary>
internal sealed class Macro(MacroDefinition definition, Scope closure) : Callable
{
    public string Name => definition.Name;

    public object? Attribute(string name) => definition.Describe(name);

    public override object? Call(Rendering rendering, Arguments arguments) => definition.Invoke(rendering, closure, arguments);
}
