namespace QwenServe.Text.Chat.Jinja;

/// <summary>Names and values of one scope; few names, so a scan over interned references is the fastest table.</summary>
internal sealed class Scope(Scope? parent)
{
    private string[] _names = [];
    private object?[] _values = [];
    private int _count;

    /// <summary>Names are compared by reference: they must be interned.</summary>
    public void Set(string name, object? value)
    {
        for (int i = 0; i < _count; i++)
            if (ReferenceEquals(_names[i], name))
            {
                _values[i] = value;
                return;
            }

        if (_count == _names.Length)
        {
            int size = Math.Max(4, _count * 2);
            Array.Resize(ref _names, size);
            Array.Resize(ref _values, size);
        }

        _names[_count] = name;
        _values[_count++] = value;
    }

    /// <summary>Looks in this scope and those around it; the name must be interned.</summary>
    public bool TryGet(string name, out object? value)
    {
        for (var scope = this; scope is not null; scope = scope.Parent)
            for (int i = 0; i < scope._count; i++)
                if (ReferenceEquals(scope._names[i], name))
                {
                    value = scope._values[i];
                    return true;
                }

        value = null;
        return false;
    }

    private Scope? Parent => parent;
}
