using System.Numerics;

namespace QwenServe.Text.Chat.Jinja;

// Values of the language: null (None), bool, long and BigInteger (int), double (float), MarkedString (str), PyDict and the types below.
// A long is always used where it fits, so a BigInteger never equals a long.

/// <summary>A name or attribute that does not exist: prints as nothing, is false and empty, and fails at anything else.</summary>
internal sealed class Undefined(string message)
{
    public string Message { get; } = message;

    public JinjaException Error() => new(Message);
}

/// <summary>Base of list and tuple.</summary>
internal abstract class PySequence
{
    public abstract IReadOnlyList<object?> Items { get; }

    /// <summary>Parsed from the conversation: its printed form is marked whole.</summary>
    public bool FromConversation { get; init; }
}

internal sealed class PyList(List<object?> items) : PySequence
{
    public override IReadOnlyList<object?> Items => items;
}

internal sealed class PyTuple(IReadOnlyList<object?> items) : PySequence
{
    public override IReadOnlyList<object?> Items => items;

    /// <summary>True for the pairs of groupby, whose parts also have the names grouper and list.</summary>
    public bool IsGroup { get; init; }
}

internal sealed class PyRange(long start, long stop, long step)
{
    public long Start => start;

    public long Stop => stop;

    public long Step => step;

    public long Count => step > 0
        ? (start < stop ? (stop - start - 1) / step + 1 : 0)
        : (start > stop ? (start - stop - 1) / -step + 1 : 0);
}

/// <summary>A Python iterator or generator: walked once, has no length.</summary>
internal sealed class PyIterator(IEnumerable<object?> items)
{
    public IEnumerator<object?> Enumerator { get; } = items.GetEnumerator();
}

/// <summary>dict.keys(), dict.values() or dict.items().</summary>
internal sealed class DictView(PyDict dict, string kind)
{
    public PyDict Dict => dict;

    public string Kind => kind;

    public IEnumerable<object?> Items()
    {
        foreach (var entry in dict.Entries)
            yield return kind switch
            {
                "keys" => entry.Key,
                "values" => entry.Value,
                _ => new PyTuple([entry.Key, entry.Value]),
            };
    }
}

/// <summary>namespace(): the one object whose attributes a template may assign.</summary>
internal sealed class NamespaceObject
{
    public PyDict Attributes { get; } = new();
}

/// <summary>A slice between brackets; a missing bound is null.</summary>
internal sealed record Slice(object? Start, object? Stop, object? Step);

internal static class Boxes
{
    public static readonly object True = true;
    public static readonly object False = false;
    private static readonly object[] Small = [.. Enumerable.Range(-16, 1040).Select(i => (object)(long)i)];

    public static object Of(bool value) => value ? True : False;

    public static object Of(long value) => value is >= -16 and < 1024 ? Small[value + 16] : value;

    public static object Of(BigInteger value) =>
        value >= long.MinValue && value <= long.MaxValue ? Of((long)value) : value;
}
