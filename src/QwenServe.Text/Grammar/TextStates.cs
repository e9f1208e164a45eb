namespace QwenServe.Text.Grammar;

/// <summary>Free text before a marker: ends anywhere as a whole, or goes on behind the marker's first occurrence.</summary>
internal static class TextStates
{
    /// <summary>A rule that ends right behind the marker, and in whose every other state the whole output may end at a character's border.</summary>
    public static Rule Until(string marker)
    {
        var found = Dfa.Of(new Expression.Sequence([new Expression.Repeat(new Expression.Set(Ranges.All), 0, null), Expression.Text(marker)]));
        var states = new State[found.States.Count];
        for (var i = 0; i < states.Length; i++)
        {
            var accepts = found.States[i].Accepts;
            states[i] = new State { Accepts = accepts, EndsText = !accepts, Shared = true };
        }
        for (var i = 0; i < states.Length; i++)
        {
            if (states[i].Accepts)
            {
                states[i].Edges = [];
                continue;
            }
            var edges = new List<ByteEdge>();
            foreach (var (lo, hi, to) in found.States[i].Edges)
            {
                var sequences = new List<SymbolRange[]>();
                Ranges.Utf8(new(lo, hi), sequences);
                foreach (var bytes in sequences) edges.Add(Edge(bytes, states[to]));
            }
            edges.Sort((a, b) => a.Lo.CompareTo(b.Lo));
            states[i].Edges = [.. edges];
        }
        return new Rule("text") { Start = states[0] };
    }

    // A marker is ASCII, so only the ranges of other characters have more than one byte, and those share no lead byte.
    private static ByteEdge Edge(SymbolRange[] bytes, State to)
    {
        for (var i = bytes.Length - 1; i > 0; i--) to = new State { Edges = [new((byte)bytes[i].Lo, (byte)bytes[i].Hi, to)], Shared = true };
        return new((byte)bytes[0].Lo, (byte)bytes[0].Hi, to);
    }
}
