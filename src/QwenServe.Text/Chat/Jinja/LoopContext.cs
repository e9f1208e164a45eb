namespace QwenServe.Text.Chat.Jinja;

/// <summary>The variable loop of a for body. It looks ahead only when asked to, as the reference implementation does.</summary>
internal sealed class LoopContext(
    Rendering rendering, IEnumerator<object?> walk, object? iterable, Func<object?, int, MarkedString>? recurse, int depth0) : Callable
{
    private IEnumerator<object?> _walk = walk;
    private long? _length;
    private bool _hasAfter;
    private bool _atEnd;
    private object? _after;
    private object? _before;
    private PyTuple? _lastChanged;

    public long Index0 { get; private set; } = -1;

    public long Index => Index0 + 1;

    public object? Current { get; private set; }

    public long Length
    {
        get
        {
            if (_length is null)
            {
                _length = iterable is null ? null : Operators.Length(iterable);
                if (_length is null)
                {
                    var rest = new List<object?>();
                    while (_walk.MoveNext())
                        rest.Add(_walk.Current);
                    _walk = rest.GetEnumerator();
                    _length = rest.Count + Index + (_hasAfter ? 1 : 0);
                }
            }

            return _length.Value;
        }
    }

    public bool MoveNext()
    {
        if (!Peek())
            return false;
        _hasAfter = false;
        Index0++;
        _before = Current;
        Current = _after;
        return true;
    }

    private bool Peek()
    {
        if (_hasAfter)
            return true;
        if (_atEnd || !_walk.MoveNext())
        {
            _atEnd = true;
            return false;
        }

        _after = _walk.Current;
        _hasAfter = true;
        return true;
    }

    /// <summary>What iterating over the variable loop itself gives: pairs of the remaining items and the loop.</summary>
    public IEnumerable<object?> Remaining()
    {
        while (MoveNext())
            yield return new PyTuple([Current, this]);
    }

    public bool TryGetAttribute(string name, out object? value)
    {
        switch (name)
        {
            case "index":
                value = Boxes.Of(Index);
                return true;
            case "index0":
                value = Boxes.Of(Index0);
                return true;
            case "revindex":
                value = Boxes.Of(Length - Index0);
                return true;
            case "revindex0":
                value = Boxes.Of(Length - Index);
                return true;
            case "first":
                value = Boxes.Of(Index0 == 0);
                return true;
            case "last":
                value = Boxes.Of(!Peek());
                return true;
            case "length":
                value = Boxes.Of(Length);
                return true;
            case "depth":
                value = Boxes.Of((long)depth0 + 1);
                return true;
            case "depth0":
                value = Boxes.Of((long)depth0);
                return true;
            case "previtem":
                value = Index0 == 0 ? new Undefined("there is no previous item") : _before;
                return true;
            case "nextitem":
                value = Peek() ? _after : new Undefined("there is no next item");
                return true;
            case "cycle":
                value = new BuiltinFunction("cycle", (_, arguments) => arguments.Positional.Length == 0
                    ? throw new JinjaException("no items for cycling given")
                    : arguments.Positional[(int)(Index0 % arguments.Positional.Length)]);
                return true;
            case "changed":
                value = new BuiltinFunction("changed", (_, arguments) =>
                {
                    var now = new PyTuple(arguments.Positional);
                    if (_lastChanged is not null && Operators.AreEqual(_lastChanged, now))
                        return Boxes.False;
                    _lastChanged = now;
                    return Boxes.True;
                });
                return true;
            default:
                value = null;
                return false;
        }
    }

    public override object? Call(Rendering _, Arguments arguments)
    {
        object? nested = arguments.Bind("loop", 1, "iterable")[0];
        rendering.Charge();
        return recurse is null
            ? throw new JinjaException("The loop must have the 'recursive' marker to be called recursively.")
            : recurse(nested, depth0 + 1);
    }
}
