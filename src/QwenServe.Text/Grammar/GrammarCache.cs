using System.Diagnostics;
using System.Text.Json;

namespace QwenServe.Text.Grammar;

/// <summary>
/// The grammars used last, by what they were made of: a schema that comes with every request is compiled once, and keeps what its states
/// have learnt of the vocabulary. For any number of threads; failures are not kept.
/// </summary>
public sealed class GrammarCache(int capacity = 128)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(string Kind, string Text), LinkedListNode<((string, string) Key, Grammar Grammar)>> _known = [];
    private readonly LinkedList<((string, string) Key, Grammar Grammar)> _byUse = [];

    /// <summary>Told how long each grammar took that was not at hand; any thread.</summary>
    public Action<TimeSpan>? Made { get; init; }

    /// <inheritdoc cref="Grammar.FromJsonSchema"/>
    public Grammar FromJsonSchema(JsonElement schema) => Get("schema", schema.GetRawText(), () => Grammar.FromJsonSchema(schema));

    /// <inheritdoc cref="Grammar.FromRegex"/>
    public Grammar FromRegex(string pattern) => Get("regex", pattern, () => Grammar.FromRegex(pattern));

    /// <inheritdoc cref="Grammar.FromEbnf"/>
    public Grammar FromEbnf(string text) => Get("ebnf", text, () => Grammar.FromEbnf(text));

    /// <summary>The grammar of a kind and text, made when it is not among those used last.</summary>
    public Grammar Get(string kind, string text, Func<Grammar> make)
    {
        ArgumentNullException.ThrowIfNull(make);
        var key = (kind, text);
        lock (_gate)
        {
            if (_known.TryGetValue(key, out var node))
            {
                _byUse.Remove(node);
                _byUse.AddFirst(node);
                return node.Value.Grammar;
            }
        }
        long begun = Stopwatch.GetTimestamp();
        var grammar = make();
        Made?.Invoke(Stopwatch.GetElapsedTime(begun));
        lock (_gate)
        {
            if (_known.ContainsKey(key)) return grammar;
            _known[key] = _byUse.AddFirst((key, grammar));
            if (_byUse.Count <= capacity) return grammar;
            _known.Remove(_byUse.Last!.Value.Key);
            _byUse.RemoveLast();
        }
        return grammar;
    }
}
