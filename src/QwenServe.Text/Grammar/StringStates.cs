using System.Collections.Concurrent;

namespace QwenServe.Text.Grammar;

/// <summary>
/// The inside of a JSON string of so many code points more: one family of states for all grammars, made as they are reached. Far from its
/// end a long string looks to every token like a longer one, which is what <see cref="Representative"/> says.
/// </summary>
/// <remarks>
/// One code point is a character's UTF-8, an escape of RFC 8259, or a pair of <c>\u</c> escapes that spell one; an escape of half a pair is
/// not admitted.
/// </remarks>
internal sealed class StringStates : State
{
    public const int Unbounded = int.MaxValue;

    // Longer ones live and die with the grammar that counts so far.
    private const int Interned = 256;

    private static readonly ConcurrentDictionary<(int Min, int Max), StringStates> Known = new();
    private static readonly State End = new() { Accepts = true, Shared = true };

    private readonly int _min;
    private readonly int _max;

    private StringStates(int min, int max)
    {
        (_min, _max) = (min, max);
        Shared = true;
    }

    /// <summary>Any string body.</summary>
    public static StringStates Any { get; } = Body(0, Unbounded);

    /// <summary>The state behind the closing quote.</summary>
    public static State Closed => End;

    /// <summary>At least <paramref name="min"/> and at most <paramref name="max"/> code points, then the closing quote.</summary>
    public static StringStates Body(int min, int max) => min <= Interned && (max <= Interned || max == Unbounded)
        ? Known.GetOrAdd((min, max), static key => new StringStates(key.Min, key.Max))
        : new StringStates(min, max);

    public override State? Base => _min == 0 && _max == Unbounded ? null : Any;

    public override State Representative(int longest) => Body(Math.Min(_min, longest + 1), _max > longest ? Unbounded : _max);

    protected override ByteEdge[] Expand()
    {
        var edges = new List<ByteEdge>();
        if (_max == 0)
        {
            edges.Add(new((byte)'"', (byte)'"', End));
            return [.. edges];
        }
        State next = Body(Math.Max(0, _min - 1), _max == Unbounded ? Unbounded : _max - 1);
        State tail = On(next, 0x80, 0xBF), tail2 = On(tail, 0x80, 0xBF);
        edges.Add(new(0x20, 0x21, next));
        if (_min == 0) edges.Add(new((byte)'"', (byte)'"', End));
        edges.Add(new(0x23, 0x5B, next));
        edges.Add(new((byte)'\\', (byte)'\\', new EscapeState(next)));
        edges.Add(new(0x5D, 0x7F, next));
        edges.Add(new(0xC2, 0xDF, tail));
        edges.Add(new(0xE0, 0xE0, On(tail, 0xA0, 0xBF)));
        edges.Add(new(0xE1, 0xEC, tail2));
        edges.Add(new(0xED, 0xED, On(tail, 0x80, 0x9F)));
        edges.Add(new(0xEE, 0xEF, tail2));
        edges.Add(new(0xF0, 0xF0, On(tail2, 0x90, 0xBF)));
        edges.Add(new(0xF1, 0xF3, On(tail2, 0x80, 0xBF)));
        edges.Add(new(0xF4, 0xF4, On(tail2, 0x80, 0x8F)));
        return [.. edges];
    }

    private static ByteEdge[] Escape(State next)
    {
        var lows = Hex(next, 2);                                                // \uDC00 … \uDFFF: behind its "DC" … "DF"
        var low = OnAny([(0x43, 0x46), (0x63, 0x66)], lows);                    // "C".."F"
        var pair = On(On(OnAny([('D', 'D'), ('d', 'd')], low), 'u', 'u'), '\\', '\\');
        var highs = Hex(pair, 2);                                               // \uD800 … \uDBFF
        var three = Hex(next, 3);
        var afterD = Of([('0', '7', Hex(next, 2)), ('8', '9', highs), ('A', 'B', highs), ('a', 'b', highs)]);
        var unicode = Of([('0', '9', three), ('A', 'C', three), ('D', 'D', afterD), ('E', 'F', three), ('a', 'c', three), ('d', 'd', afterD), ('e', 'f', three)]);
        return Of([('"', '"', next), ('/', '/', next), ('\\', '\\', next), ('b', 'b', next), ('f', 'f', next), ('n', 'n', next), ('r', 'r', next), ('t', 't', next), ('u', 'u', unicode)]).Edges;
    }

    private static State Hex(State next, int digits)
    {
        for (; digits > 0; digits--) next = OnAny([('0', '9'), ('A', 'F'), ('a', 'f')], next);
        return next;
    }

    private static State On(State next, int lo, int hi) => Of([(lo, hi, next)]);

    private static State OnAny(ReadOnlySpan<(int Lo, int Hi)> ranges, State next)
    {
        var edges = new (int, int, State)[ranges.Length];
        for (var i = 0; i < edges.Length; i++) edges[i] = (ranges[i].Lo, ranges[i].Hi, next);
        return Of(edges);
    }

    private static State Of(ReadOnlySpan<(int Lo, int Hi, State To)> edges)
    {
        var made = new ByteEdge[edges.Length];
        for (var i = 0; i < made.Length; i++) made[i] = new((byte)edges[i].Lo, (byte)edges[i].Hi, edges[i].To);
        return new State { Edges = made, Shared = true };
    }

    /// <summary>Behind a backslash; most strings never get there.</summary>
    private sealed class EscapeState : State
    {
        private readonly State _next;

        public EscapeState(State next)
        {
            _next = next;
            Shared = true;
        }

        protected override ByteEdge[] Expand() => Escape(_next);
    }
}
