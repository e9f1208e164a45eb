namespace QwenServe.Text.Chat.Jinja;

/// <summary>Arguments of a call, filter or test.</summary>
internal sealed class Arguments(object?[] positional, KeyValuePair<string, object?>[] named)
{
    public static readonly Arguments None = new([], []);

    /// <summary>Stands for a parameter that was not given.</summary>
    public static readonly object Missing = new();

    public object?[] Positional => positional;

    public KeyValuePair<string, object?>[] Named => named;

    /// <summary>Binds to parameter names as Python does; a leading '/' name takes no keyword.</summary>
    public object?[] Bind(string function, int required, params ReadOnlySpan<string> parameters)
    {
        if (positional.Length > parameters.Length)
            throw new ConversionException($"{function}() takes at most {parameters.Length} arguments ({positional.Length} given)");
        var bound = new object?[parameters.Length];
        Array.Fill(bound, Missing);
        positional.CopyTo(bound, 0);
        foreach (var (name, value) in named)
        {
            int at = parameters.IndexOf(name);
            if (at < 0)
                throw new ConversionException($"{function}() got an unexpected keyword argument '{name}'");
            if (bound[at] != Missing)
                throw new ConversionException($"{function}() got multiple values for argument '{name}'");
            bound[at] = value;
        }

        for (int i = 0; i < required; i++)
            if (bound[i] == Missing)
                throw new ConversionException($"{function}() is missing the argument '{parameters[i].TrimStart('/')}'");
        return bound;
    }

    public Arguments Skip(int count) => new(positional[count..], named);
}

internal delegate object? Function(Rendering rendering, Arguments arguments);

internal delegate object? Filter(Rendering rendering, object? value, Arguments arguments);

/// <summary>Anything a template can call.</summary>
internal abstract class Callable
{
    public abstract object? Call(Rendering rendering, Arguments arguments);
}

internal sealed class BuiltinFunction(string name, Function function) : Callable
{
    public string Name => name;

    public override object? Call(Rendering rendering, Arguments arguments) => function(rendering, arguments);
}

/// <summary>A method of a value, not yet called.</summary>
internal sealed class BoundMethod(object? self, string name, Filter method) : Callable
{
    public object? Self => self;

    public string Name => name;

    public override object? Call(Rendering rendering, Arguments arguments) => method(rendering, self, arguments);
}
