using System.Diagnostics.CodeAnalysis;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>A Python dict: insertion order, keys by Python's equality (1, 1.0 and True are one key).</summary>
internal sealed class PyDict
{
    private const int LinearLimit = 8;

    private readonly List<KeyValuePair<object?, object?>> _entries = [];
    private Dictionary<Key, int>? _index;

    /// <summary>Parsed from the conversation: its printed form is marked whole.</summary>
    public bool FromConversation { get; init; }

    public int Count => _entries.Count;

    public IReadOnlyList<KeyValuePair<object?, object?>> Entries => _entries;

    public bool TryGetValue(string name, out object? value)
    {
        if (_index is null)
        {
            foreach (var entry in _entries)
                if (entry.Key is MarkedString key && key.Text == name)
                {
                    value = entry.Value;
                    return true;
                }

            value = null;
            return false;
        }

        return TryGetValue(new MarkedString(name), out value);
    }

    public bool TryGetValue(object? key, out object? value)
    {
        int at = Find(key);
        value = at >= 0 ? _entries[at].Value : null;
        return at >= 0;
    }

    public void Set(string name, object? value) => Set(new MarkedString(name), value);

    public void Set(object? key, object? value)
    {
        int at = Find(key);
        if (at >= 0)
        {
            _entries[at] = new(_entries[at].Key, value);
            return;
        }

        _entries.Add(new(key, value));
        if (_index is not null)
            _index.Add(new Key(key), _entries.Count - 1);
        else if (_entries.Count > LinearLimit)
        {
            _index = [];
            for (int i = 0; i < _entries.Count; i++)
                _index.Add(new Key(_entries[i].Key), i);
        }
    }

    private int Find(object? key)
    {
        if (!Key.IsHashable(key))
            throw new ConversionException($"unhashable type: '{PythonText.TypeName(key)}'");
        if (_index is not null)
            return _index.TryGetValue(new Key(key), out int at) ? at : -1;
        for (int i = 0; i < _entries.Count; i++)
            if (Operators.AreEqual(_entries[i].Key, key))
                return i;
        return -1;
    }

    /// <summary>A hashable value under Python's equality.</summary>
    internal readonly struct Key(object? value) : IEquatable<Key>
    {
        private readonly object? _value = value;

        public static bool IsHashable(object? value) => value switch
        {
            PyList or PyDict => false,
            PyTuple tuple => tuple.Items.All(IsHashable),
            _ => true,
        };

        public bool Equals(Key other) => Operators.AreEqual(_value, other._value);

        public override bool Equals([NotNullWhen(true)] object? obj) => obj is Key other && Equals(other);

        public override int GetHashCode() => Operators.Hash(_value);
    }
}
