namespace QwenServe.Text.Chat.Jinja;

/// <summary>An expression of the compiled tree.</summary>
internal abstract class Expression(int line)
{
    public int Line => line;

    public abstract object? Evaluate(Rendering rendering, Scope scope);

    /// <summary>The expressions directly below.</summary>
    public virtual IEnumerable<Expression> Children => [];
}

internal sealed class Constant(object? value, int line) : Expression(line)
{
    public object? Value => value;

    public override object? Evaluate(Rendering rendering, Scope scope) => value;
}

internal sealed class NameExpression(string name, int line) : Expression(line)
{
    private readonly Undefined _undefined = new($"'{name}' is undefined");

    public string Name => name;

    public override object? Evaluate(Rendering rendering, Scope scope)
    {
        rendering.Charge();
        return scope.TryGet(name, out object? value) || Globals.TryGet(name, out value) ? value : _undefined;
    }
}

internal sealed class ListExpression(Expression[] items, int line) : Expression(line)
{
    public override IEnumerable<Expression> Children => items;

    public override object? Evaluate(Rendering rendering, Scope scope)
    {
        rendering.ChargeItems(items.Length + 1);
        var values = new List<object?>(items.Length);
        foreach (var item in items)
            values.Add(item.Evaluate(rendering, scope));
        return new PyList(values);
    }
}

internal sealed class TupleExpression(Expression[] items, int line) : Expression(line)
{
    public Expression[] Items => items;

    public override IEnumerable<Expression> Children => items;

    public override object? Evaluate(Rendering rendering, Scope scope)
    {
        rendering.ChargeItems(items.Length + 1);
        var values = new object?[items.Length];
        for (int i = 0; i < items.Length; i++)
            values[i] = items[i].Evaluate(rendering, scope);
        return new PyTuple(values);
    }
}

internal sealed class DictExpression((Expression Key, Expression Value)[] items, int line) : Expression(line)
{
    public override IEnumerable<Expression> Children => items.SelectMany(i => new[] { i.Key, i.Value });

    public override object? Evaluate(Rendering rendering, Scope scope)
    {
        rendering.ChargeItems(items.Length + 1);
        var dict = new PyDict();
        foreach (var (key, value) in items)
            dict.Set(key.Evaluate(rendering, scope), value.Evaluate(rendering, scope));
        return dict;
    }
}

internal sealed class ConditionalExpression(Expression test, Expression then, Expression? otherwise, int line) : Expression(line)
{
    private readonly Undefined _undefined = new("the inline if-expression evaluated to false and no else section was defined.");

    public override IEnumerable<Expression> Children => otherwise is null ? [test, then] : [test, then, otherwise];

    public override object? Evaluate(Rendering rendering, Scope scope) =>
        Operators.IsTrue(test.Evaluate(rendering, scope)) ? then.Evaluate(rendering, scope)
        : otherwise is null ? _undefined : otherwise.Evaluate(rendering, scope);
}

internal sealed class LogicExpression(bool and, Expression left, Expression right, int line) : Expression(line)
{
    public override IEnumerable<Expression> Children => [left, right];

    public override object? Evaluate(Rendering rendering, Scope scope)
    {
        object? value = left.Evaluate(rendering, scope);
        return Operators.IsTrue(value) == and ? right.Evaluate(rendering, scope) : value;
    }
}

internal sealed class NotExpression(Expression value, int line) : Expression(line)
{
    public override IEnumerable<Expression> Children => [value];

    public override object? Evaluate(Rendering rendering, Scope scope) => Boxes.Of(!Operators.IsTrue(value.Evaluate(rendering, scope)));
}

internal sealed class SignExpression(bool negative, Expression value, int line) : Expression(line)
{
    public override IEnumerable<Expression> Children => [value];

    public override object? Evaluate(Rendering rendering, Scope scope)
    {
        object? operand = value.Evaluate(rendering, scope);
        return negative ? Operators.Negate(operand) : Operators.Plus(operand);
    }
}

internal sealed class ArithmeticExpression(string symbol, Expression left, Expression right, int line) : Expression(line)
{
    public override IEnumerable<Expression> Children => [left, right];

    public override object? Evaluate(Rendering rendering, Scope scope)
    {
        rendering.Charge();
        object? a = left.Evaluate(rendering, scope);
        object? b = right.Evaluate(rendering, scope);
        return symbol switch
        {
            "+" => Operators.Add(rendering, a, b),
            "-" => Operators.Subtract(a, b),
            "*" => Operators.Multiply(rendering, a, b),
            "/" => Operators.Divide(a, b),
            "//" => Operators.FloorDivide(a, b),
            "%" => Operators.Modulo(rendering, a, b),
            _ => Operators.Power(rendering, a, b),
        };
    }
}

internal sealed class ConcatExpression(Expression[] parts, int line) : Expression(line)
{
    public override IEnumerable<Expression> Children => parts;

    public override object? Evaluate(Rendering rendering, Scope scope)
    {
        var builder = new MarkedStringBuilder(rendering);
        foreach (var part in parts)
            builder.Append(PythonText.Str(rendering, part.Evaluate(rendering, scope)));
        return builder.ToMarkedString();
    }
}

internal sealed class CompareExpression(Expression first, (string Symbol, Expression Operand)[] rest, int line) : Expression(line)
{
    public override IEnumerable<Expression> Children => rest.Select(r => r.Operand).Prepend(first);

    public override object? Evaluate(Rendering rendering, Scope scope)
    {
        object? left = first.Evaluate(rendering, scope);
        foreach (var (symbol, operand) in rest)
        {
            rendering.Charge();
            object? right = operand.Evaluate(rendering, scope);
            bool holds = symbol switch
            {
                "==" => Operators.AreEqual(left, right),
                "!=" => !Operators.AreEqual(left, right),
                "in" => Operators.Contains(rendering, right, left),
                "notin" => !Operators.Contains(rendering, right, left),
                _ => Operators.Compare(rendering, symbol, left, right),
            };
            if (!holds)
                return Boxes.False;
            left = right;
        }

        return Boxes.True;
    }
}

internal sealed class AttributeExpression(Expression value, string name, int line) : Expression(line)
{
    private readonly bool _isDictMethod = Attributes.IsDictMethod(name);

    public override IEnumerable<Expression> Children => [value];

    public override object? Evaluate(Rendering rendering, Scope scope)
    {
        rendering.Charge();
        object? target = value.Evaluate(rendering, scope);
        if (target is PyDict dict && !_isDictMethod && dict.TryGetValue(name, out object? found))
            return found;
        rendering.Line = Line;
        return Attributes.Get(target, name);
    }
}

internal sealed class ItemExpression(Expression value, Expression key, int line) : Expression(line)
{
    public override IEnumerable<Expression> Children => [value, key];

    public override object? Evaluate(Rendering rendering, Scope scope)
    {
        rendering.Charge();
        object? target = value.Evaluate(rendering, scope);
        object? index = key.Evaluate(rendering, scope);
        if (target is PyDict dict && index is MarkedString name && dict.TryGetValue(name.Text, out object? found))
            return found;
        rendering.Line = Line;
        return Operators.GetItem(rendering, target, index);
    }
}

internal sealed class SliceExpression(Expression value, Expression? start, Expression? stop, Expression? step, int line) : Expression(line)
{
    public override IEnumerable<Expression> Children => new[] { value, start, stop, step }.OfType<Expression>();

    public override object? Evaluate(Rendering rendering, Scope scope)
    {
        rendering.Charge();
        object? target = value.Evaluate(rendering, scope);
        var slice = new Slice(start?.Evaluate(rendering, scope), stop?.Evaluate(rendering, scope), step?.Evaluate(rendering, scope));
        return target switch
        {
            MarkedString or PySequence or PyRange => Slicing.Apply(rendering, target, slice),
            Undefined undefined => throw undefined.Error(),
            _ => throw new JinjaException($"'{PythonText.TypeName(target)}' object cannot be sliced"),
        };
    }
}

/// <summary>The arguments written in a call, filter or test.</summary>
internal sealed class ArgumentList(Expression[] positional, (string Name, Expression Value)[] named, Expression? rest, Expression? keywords)
{
    public static readonly ArgumentList None = new([], [], null, null);

    public IEnumerable<Expression> Expressions =>
        positional.Concat(named.Select(n => n.Value)).Concat(new[] { rest, keywords }.OfType<Expression>());

    public Arguments Evaluate(Rendering rendering, Scope scope)
    {
        if (positional.Length == 0 && named.Length == 0 && rest is null && keywords is null)
            return Arguments.None;
        var values = new object?[positional.Length];
        for (int i = 0; i < values.Length; i++)
            values[i] = positional[i].Evaluate(rendering, scope);
        var names = new KeyValuePair<string, object?>[named.Length];
        for (int i = 0; i < names.Length; i++)
            names[i] = new(named[i].Name, named[i].Value.Evaluate(rendering, scope));
        if (rest is not null)
            values = [.. values, .. Operators.ToList(rendering, rest.Evaluate(rendering, scope))];
        if (keywords is not null)
        {
            if (keywords.Evaluate(rendering, scope) is not PyDict dict)
                throw new JinjaException("argument after ** must be a mapping");
            names = [.. names, .. dict.Entries.Select(e => new KeyValuePair<string, object?>(
                e.Key is MarkedString key ? string.Intern(key.Text) : throw new JinjaException("keywords must be strings"), e.Value))];
        }

        return new Arguments(values, names);
    }
}

internal sealed class CallExpression(Expression function, ArgumentList arguments, int line) : Expression(line)
{
    public override IEnumerable<Expression> Children => arguments.Expressions.Prepend(function);

    public override object? Evaluate(Rendering rendering, Scope scope) => Evaluate(rendering, scope, null);

    /// <summary>Calls with the macro of a call block as the argument caller.</summary>
    public object? Evaluate(Rendering rendering, Scope scope, Macro? caller)
    {
        rendering.Charge();
        object? target = function.Evaluate(rendering, scope);
        var values = arguments.Evaluate(rendering, scope);
        if (caller is not null)
            values = new Arguments(values.Positional, [.. values.Named, new("caller", caller)]);
        rendering.Line = Line;
        object? result = target switch
        {
            Callable callable => callable.Call(rendering, values),
            Undefined undefined => throw undefined.Error(),
            _ => throw new JinjaException($"'{PythonText.TypeName(target)}' object is not callable"),
        };
        rendering.Line = Line;
        return result;
    }
}

internal sealed class FilterExpression(Expression? value, string name, Filter filter, ArgumentList arguments, int line) : Expression(line)
{
    public override IEnumerable<Expression> Children => value is null ? arguments.Expressions : arguments.Expressions.Prepend(value);

    public string Name => name;

    public override object? Evaluate(Rendering rendering, Scope scope) => Apply(rendering, scope, null);

    /// <summary>Applies the filter chain to the text of a filter or set block.</summary>
    public object? Apply(Rendering rendering, Scope scope, MarkedString? block)
    {
        rendering.Charge();
        object? input = value switch
        {
            null => block,
            FilterExpression inner => inner.Apply(rendering, scope, block),
            _ => value.Evaluate(rendering, scope),
        };
        var values = arguments.Evaluate(rendering, scope);
        rendering.Line = Line;
        return filter(rendering, input, values);
    }
}

internal sealed class TestExpression(Expression value, Filter test, ArgumentList arguments, int line) : Expression(line)
{
    public override IEnumerable<Expression> Children => arguments.Expressions.Prepend(value);

    public override object? Evaluate(Rendering rendering, Scope scope)
    {
        rendering.Charge();
        object? input = value.Evaluate(rendering, scope);
        var values = arguments.Evaluate(rendering, scope);
        rendering.Line = Line;
        return test(rendering, input, values);
    }
}
