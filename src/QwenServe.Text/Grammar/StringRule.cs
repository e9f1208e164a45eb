namespace QwenServe.Text.Grammar;

/// <summary>
/// JSON strings whose decoded text an automaton over code points accepts. Characters are written as they are where JSON allows it, else by
/// their shortest escape: one spelling a text, but for the case of hexadecimal digits.
/// </summary>
internal static class StringRule
{
    private static readonly (int Symbol, char Escape)[] ShortEscapes =
        [('"', '"'), ('\\', '\\'), (8, 'b'), (9, 't'), (10, 'n'), (12, 'f'), (13, 'r')];

    // Seven short ones, 27 control characters, 11 of which end in a letter of either case.
    private const int AllEscapes = 7 + 27 + 11;

    private static readonly SymbolRange[] Escaped = [new(0, 0x1F), new('"', '"'), new('\\', '\\')];

    public static Rule Of(string name, Dfa text)
    {
        var start = new State();
        var rule = new Rule(name) { Start = start };
        if (text.IsEmpty) return rule;
        var states = new State[text.States.Count];
        for (var i = 0; i < states.Length; i++) states[i] = text.IsUniversal(i) ? StringStates.Any : new State();
        var encoded = new List<SymbolRange[]>();
        var allEscapes = new Dictionary<State, State>(ReferenceEqualityComparer.Instance);
        var suffixes = new Dictionary<(State, int, int, int), State>();
        for (var i = 0; i < states.Length; i++)
        {
            if (states[i].Shared) continue;
            var sequences = new List<(SymbolRange[] Bytes, State To)>();
            var escapes = new List<(SymbolRange[] Bytes, State To)>();
            foreach (var (lo, hi, target) in text.States[i].Edges)
            {
                if (states[target].Shared) states[i].Base = states[target];
                foreach (var raw in Ranges.Subtract([new(lo, hi)], Escaped))
                {
                    encoded.Clear();
                    Ranges.Utf8(raw, encoded);
                    foreach (var bytes in encoded) sequences.Add((bytes, states[target]));
                }
                AddEscapes(lo, hi, states[target], escapes);
            }
            if (text.States[i].Accepts) sequences.Add(([new('"', '"')], StringStates.Closed));
            var edges = Join(sequences, 0, suffixes);
            states[i].Edges = escapes.Count == 0 ? edges : [.. edges.Append(new((byte)'\\', (byte)'\\', Escape(escapes))).OrderBy(e => e.Lo)];
        }
        start.Edges = [new((byte)'"', (byte)'"', states[0])];
        return rule;

        // Nearly always all escapes lead to one place.
        State Escape(List<(SymbolRange[] Bytes, State To)> escapes)
        {
            var target = escapes[0].To;
            if (escapes.Count != AllEscapes || escapes.Exists(e => e.To != target)) return new State { Edges = Join(escapes, 0, suffixes) };
            if (!allEscapes.TryGetValue(target, out var state)) allEscapes[target] = state = new State { Edges = Join(escapes, 0, suffixes) };
            return state;
        }
    }

    /// <summary>The escapes of a range of symbols, without the backslash.</summary>
    private static void AddEscapes(int lo, int hi, State to, List<(SymbolRange[] Bytes, State To)> escapes)
    {
        foreach (var (symbol, escape) in ShortEscapes)
            if (symbol >= lo && symbol <= hi) escapes.Add(([new(escape, escape)], to));
        for (var c = lo; c <= Math.Min(hi, 0x1F); c++)
        {
            if (c is 8 or 9 or 10 or 12 or 13) continue;
            int high = '0' + (c >> 4), low = c & 15;
            foreach (var digit in low < 10 ? [(char)('0' + low)] : (ReadOnlySpan<char>)[(char)('A' + low - 10), (char)('a' + low - 10)])
                escapes.Add(([new('u', 'u'), new('0', '0'), new('0', '0'), new(high, high), new(digit, digit)], to));
        }
    }

    /// <summary>
    /// Deterministic edges for sequences that decode to different symbols: those with a first byte in common share a state behind it.
    /// </summary>
    private static ByteEdge[] Join(List<(SymbolRange[] Bytes, State To)> sequences, int depth, Dictionary<(State, int, int, int), State> suffixes)
    {
        var cuts = new SortedSet<int>();
        foreach (var (bytes, _) in sequences)
        {
            cuts.Add(bytes[depth].Lo);
            cuts.Add(bytes[depth].Hi + 1);
        }
        var edges = new List<ByteEdge>();
        var lo = -1;
        foreach (var cut in cuts)
        {
            if (lo >= 0)
            {
                var here = sequences.FindAll(s => s.Bytes[depth].Lo <= lo && s.Bytes[depth].Hi >= cut - 1);
                if (here.Count > 0)
                {
                    var to = After(here, depth, suffixes);
                    if (edges.Count > 0 && edges[^1].To == to && edges[^1].Hi == lo - 1) edges[^1] = edges[^1] with { Hi = (byte)(cut - 1) };
                    else edges.Add(new((byte)lo, (byte)(cut - 1), to));
                }
            }
            lo = cut;
        }
        return [.. edges];
    }

    private static State After(List<(SymbolRange[] Bytes, State To)> here, int depth, Dictionary<(State, int, int, int), State> suffixes)
    {
        var (bytes, target) = here[0];
        if (bytes.Length == depth + 1) return target;
        if (here.Count > 1) return new State { Edges = Join(here, depth + 1, suffixes) };
        // Full products only: the rest of one sequence is told by its length and its first range, the ranges behind that being whole.
        var key = (target, bytes.Length - depth, bytes[depth + 1].Lo, bytes[depth + 1].Hi);
        if (bytes[0].Lo < 0x80 || bytes.Skip(depth + 2).Any(r => r != new SymbolRange(0x80, 0xBF))) return new State { Edges = Join(here, depth + 1, suffixes) };
        if (!suffixes.TryGetValue(key, out var state)) suffixes[key] = state = new State { Edges = Join(here, depth + 1, suffixes) };
        return state;
    }
}
