using System.Buffers;
using System.Runtime.InteropServices;

namespace QwenServe.Text.Output;

/// <summary>
/// Finds the first of any number of stop strings in text that arrives in pieces (Aho and Corasick 1975).
/// <para>
/// The match that is complete first wins, wherever the pieces were cut; of several complete at one character the longest.
/// Text that may be the beginning of a stop string is held back: exactly the longest suffix that is a prefix of one.
/// Time is linear in the text, whatever the number of stop strings. After a match everything is dropped.
/// </para>
/// </summary>
public sealed class StopStrings
{
    private readonly List<Node> _nodes = [new()];
    private readonly Dictionary<(int Node, char Next), int> _children = [];
    private readonly SearchValues<char> _first;
    private readonly bool _includeStop;
    private int _node;

    /// <param name="stops">The stop strings; empty ones are ignored.</param>
    /// <param name="includeStopInOutput">Whether the stop string that matched ends the output instead of being cut from it.</param>
    public StopStrings(IEnumerable<string> stops, bool includeStopInOutput = false)
    {
        ArgumentNullException.ThrowIfNull(stops);
        _includeStop = includeStopInOutput;
        foreach (var stop in stops)
            if (stop.Length > 0)
                Add(stop);
        Link();
        _first = SearchValues.Create([.. _children.Keys.Where(k => k.Node == 0).Select(k => k.Next)]);
    }

    /// <summary>The stop string that was found, or null.</summary>
    public string? Matched { get; private set; }

    /// <summary>Characters received and not yet returned.</summary>
    public int HeldLength => Matched is null ? _nodes[_node].Depth : 0;

    /// <summary>Takes the next piece and returns the text that is settled by it, which may be empty.</summary>
    /// <param name="text">The piece.</param>
    /// <param name="mayMatch">Whether a stop string that is complete in this piece counts; if not, it is text, and one that begins in it may still count.</param>
    public string Feed(string text, bool mayMatch = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (Matched is not null) return "";
        var heldBefore = _nodes[_node];
        for (var i = 0; i < text.Length; i++)
        {
            if (_node == 0)
            {
                var skip = text.AsSpan(i).IndexOfAny(_first);
                if (skip < 0) break;
                i += skip;
            }
            _node = Step(_node, text[i]);
            if (!mayMatch || _nodes[_node].Match is not { } match) continue;
            Matched = match;
            var end = heldBefore.Depth + i + 1;
            return Join(heldBefore, text, _includeStop ? end : end - match.Length);
        }
        return Join(heldBefore, text, heldBefore.Depth + text.Length - _nodes[_node].Depth);
    }

    /// <summary>The output has ended: returns what was held back.</summary>
    public string Flush()
    {
        if (Matched is not null) return "";
        var held = _nodes[_node].Prefix.ToString();
        _node = 0;
        return held;
    }

    /// <summary>The first <paramref name="length"/> characters of the held text followed by the piece.</summary>
    private static string Join(Node held, string text, int length)
    {
        if (held.Depth == 0) return length == text.Length ? text : text[..length];
        return length <= held.Depth
            ? held.Prefix[..length].ToString()
            : string.Concat(held.Prefix, text.AsSpan(0, length - held.Depth));
    }

    private int Step(int node, char c)
    {
        while (true)
        {
            if (_children.TryGetValue((node, c), out var next)) return next;
            if (node == 0) return 0;
            node = _nodes[node].Fail;
        }
    }

    private void Add(string stop)
    {
        var node = 0;
        for (var i = 0; i < stop.Length; i++)
        {
            ref var child = ref CollectionsMarshal.GetValueRefOrAddDefault(_children, (node, stop[i]), out var known);
            if (!known)
            {
                child = _nodes.Count;
                _nodes.Add(new Node { Stop = stop, Depth = i + 1 });
            }
            node = child;
        }
        _nodes[node].Match = stop;
    }

    private void Link()
    {
        // Failure links lead to shorter prefixes, so nodes are linked by depth.
        foreach (var ((parent, c), child) in _children.OrderBy(e => _nodes[e.Value].Depth))
        {
            var node = _nodes[child];
            node.Fail = parent == 0 ? 0 : Step(_nodes[parent].Fail, c);
            node.Match ??= _nodes[node.Fail].Match;
        }
    }

    private sealed class Node
    {
        internal string Stop { get; init; } = "";
        internal int Depth { get; init; }
        internal int Fail { get; set; }
        internal string? Match { get; set; }
        internal ReadOnlySpan<char> Prefix => Stop.AsSpan(0, Depth);
    }
}
