namespace QwenServe.Text.Chat.Jinja;

/// <summary>How a statement ended.</summary>
internal enum Flow
{
    Next,
    Break,
    Continue,
}

internal abstract class Statement(int line)
{
    public int Line => line;

    public abstract Flow Execute(Rendering rendering, Scope scope);

    public virtual IEnumerable<Expression> Expressions => [];

    public virtual IEnumerable<Statement[]> Bodies => [];

    public static Flow Run(Statement[] body, Rendering rendering, Scope scope)
    {
        foreach (var statement in body)
        {
            rendering.Line = statement.Line;
            rendering.Charge();
            var flow = statement.Execute(rendering, scope);
            if (flow != Flow.Next)
                return flow;
        }

        return Flow.Next;
    }

    /// <summary>Runs a body and returns what it printed.</summary>
    public static MarkedString Capture(Statement[] body, Rendering rendering, Scope scope)
    {
        var outer = rendering.Output;
        rendering.Output = new MarkedStringBuilder(rendering);
        Run(body, rendering, scope);
        var text = rendering.Output.ToMarkedString();
        rendering.Output = outer;
        return text;
    }
}

internal sealed class DataStatement(string text, int line) : Statement(line)
{
    public override Flow Execute(Rendering rendering, Scope scope)
    {
        rendering.Output.Append(text);
        return Flow.Next;
    }
}

internal sealed class PrintStatement(Expression value, int line) : Statement(line)
{
    public override IEnumerable<Expression> Expressions => [value];

    public override Flow Execute(Rendering rendering, Scope scope)
    {
        rendering.Output.Append(PythonText.Str(rendering, value.Evaluate(rendering, scope)));
        return Flow.Next;
    }
}

internal sealed class IfStatement((Expression Test, Statement[] Body)[] branches, Statement[] otherwise, int line) : Statement(line)
{
    public override IEnumerable<Expression> Expressions => branches.Select(b => b.Test);

    public override IEnumerable<Statement[]> Bodies => branches.Select(b => b.Body).Append(otherwise);

    public override Flow Execute(Rendering rendering, Scope scope)
    {
        foreach (var (test, body) in branches)
        {
            rendering.Line = test.Line;
            if (Operators.IsTrue(test.Evaluate(rendering, scope)))
                return Run(body, rendering, scope);
        }

        return Run(otherwise, rendering, scope);
    }
}

/// <summary>Where an assignment goes: a name, an attribute of a namespace, or a tuple of targets.</summary>
internal abstract class Target
{
    public abstract void Assign(Rendering rendering, Scope scope, object? value);
}

internal sealed class NameTarget(string name) : Target
{
    public override void Assign(Rendering rendering, Scope scope, object? value) => scope.Set(name, value);
}

internal sealed class NamespaceTarget(string name, string attribute) : Target
{
    public override void Assign(Rendering rendering, Scope scope, object? value)
    {
        if (!scope.TryGet(name, out object? target) || target is not NamespaceObject space)
            throw new JinjaException("cannot assign attribute on non-namespace object");
        space.Attributes.Set(attribute, value);
    }
}

internal sealed class TupleTarget(Target[] targets) : Target
{
    public override void Assign(Rendering rendering, Scope scope, object? value)
    {
        var items = value is PySequence sequence ? sequence.Items : Operators.ToList(rendering, value);
        if (items.Count != targets.Length)
            throw new JinjaException(items.Count > targets.Length
                ? $"too many values to unpack (expected {targets.Length})"
                : $"not enough values to unpack (expected {targets.Length}, got {items.Count})");
        for (int i = 0; i < targets.Length; i++)
            targets[i].Assign(rendering, scope, items[i]);
    }
}

internal sealed class SetStatement(Target target, Expression value, int line) : Statement(line)
{
    public override IEnumerable<Expression> Expressions => [value];

    public override Flow Execute(Rendering rendering, Scope scope)
    {
        target.Assign(rendering, scope, value.Evaluate(rendering, scope));
        return Flow.Next;
    }
}

internal sealed class SetBlockStatement(Target target, FilterExpression? filter, Statement[] body, int line) : Statement(line)
{
    public override IEnumerable<Expression> Expressions => filter is null ? [] : [filter];

    public override IEnumerable<Statement[]> Bodies => [body];

    public override Flow Execute(Rendering rendering, Scope scope)
    {
        var text = Capture(body, rendering, new Scope(scope));
        target.Assign(rendering, scope, filter is null ? text : filter.Apply(rendering, scope, text));
        return Flow.Next;
    }
}

internal sealed class FilterBlockStatement(FilterExpression filter, Statement[] body, int line) : Statement(line)
{
    public override IEnumerable<Expression> Expressions => [filter];

    public override IEnumerable<Statement[]> Bodies => [body];

    public override Flow Execute(Rendering rendering, Scope scope)
    {
        var text = Capture(body, rendering, new Scope(scope));
        rendering.Output.Append(PythonText.Str(rendering, filter.Apply(rendering, scope, text)));
        return Flow.Next;
    }
}

/// <summary>with, block and generation: a body in a scope of its own.</summary>
internal sealed class ScopedStatement((Target Target, Expression Value)[] values, Statement[] body, int line) : Statement(line)
{
    public override IEnumerable<Expression> Expressions => values.Select(v => v.Value);

    public override IEnumerable<Statement[]> Bodies => [body];

    public override Flow Execute(Rendering rendering, Scope scope)
    {
        var inner = new Scope(scope);
        foreach (var (target, value) in values)
            target.Assign(rendering, inner, value.Evaluate(rendering, scope));
        return Run(body, rendering, inner);
    }
}

internal sealed class JumpStatement(Flow flow, int line) : Statement(line)
{
    public override Flow Execute(Rendering rendering, Scope scope) => flow;
}

internal sealed class ForStatement(
    Target target, Expression items, Expression? filter, bool recursive, Statement[] body, Statement[] otherwise, int line) : Statement(line)
{
    private static readonly string LoopName = string.Intern("loop");
    private readonly bool _usesLoop = recursive || TreeSearch.Reads(body, LoopName);

    public override IEnumerable<Expression> Expressions => filter is null ? [items] : [items, filter];

    public override IEnumerable<Statement[]> Bodies => [body, otherwise];

    public override Flow Execute(Rendering rendering, Scope scope)
    {
        Run(rendering, scope, items.Evaluate(rendering, scope), 0);
        return Flow.Next;
    }

    private void Run(Rendering rendering, Scope scope, object? iterable, int depth)
    {
        var walk = Operators.Iterate(rendering, iterable);
        if (filter is not null)
        {
            walk = Filtered(rendering, scope, walk).GetEnumerator();
            iterable = null;
        }

        bool any = false;
        if (_usesLoop)
        {
            var loop = new LoopContext(rendering, walk, iterable, recursive ? Recurse : null, depth);
            while (loop.MoveNext())
            {
                any = true;
                var inner = new Scope(scope);
                inner.Set(LoopName, loop);
                target.Assign(rendering, inner, loop.Current);
                if (Run(body, rendering, inner) == Flow.Break)
                    break;
            }
        }
        else
            while (walk.MoveNext())
            {
                any = true;
                var inner = new Scope(scope);
                target.Assign(rendering, inner, walk.Current);
                if (Run(body, rendering, inner) == Flow.Break)
                    break;
            }

        if (!any)
            Run(otherwise, rendering, new Scope(scope));

        MarkedString Recurse(object? nested, int level)
        {
            rendering.Enter();
            var outer = rendering.Output;
            rendering.Output = new MarkedStringBuilder(rendering);
            Run(rendering, scope, nested, level);
            var text = rendering.Output.ToMarkedString();
            rendering.Output = outer;
            rendering.Leave();
            return text;
        }
    }

    private IEnumerable<object?> Filtered(Rendering rendering, Scope scope, IEnumerator<object?> walk)
    {
        while (walk.MoveNext())
        {
            var inner = new Scope(scope);
            object? item = walk.Current;
            target.Assign(rendering, inner, item);
            if (Operators.IsTrue(filter!.Evaluate(rendering, inner)))
                yield return item;
        }
    }
}

internal sealed class MacroStatement(MacroDefinition definition, int line) : Statement(line)
{
    public override IEnumerable<Expression> Expressions => definition.Defaults;

    public override IEnumerable<Statement[]> Bodies => [definition.Body];

    public override Flow Execute(Rendering rendering, Scope scope)
    {
        scope.Set(definition.Name, new Macro(definition, scope));
        return Flow.Next;
    }
}

internal sealed class CallBlockStatement(CallExpression call, MacroDefinition definition, int line) : Statement(line)
{
    public override IEnumerable<Expression> Expressions => definition.Defaults.Prepend(call);

    public override IEnumerable<Statement[]> Bodies => [definition.Body];

    public override Flow Execute(Rendering rendering, Scope scope)
    {
        object? result = call.Evaluate(rendering, scope, new Macro(definition, scope));
        rendering.Output.Append(PythonText.Str(rendering, result));
        return Flow.Next;
    }
}

/// <summary>Questions about a tree that the compiler answers once.</summary>
internal static class TreeSearch
{
    /// <summary>Whether a body reads the name anywhere.</summary>
    public static bool Reads(Statement[] body, string name) =>
        body.Any(s => s.Expressions.Any(e => Reads(e, name)) || s.Bodies.Any(b => Reads(b, name)));

    private static bool Reads(Expression expression, string name) =>
        (expression is NameExpression n && n.Name == name) || expression.Children.Any(c => Reads(c, name));
}
