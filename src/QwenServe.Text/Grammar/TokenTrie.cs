namespace QwenServe.Text.Grammar;

/// <summary>
/// Byte strings of tokens as a trie in depth-first order: a walk is one pass over arrays, and a byte that does not fit skips all below it.
/// Node 0 is the root.
/// </summary>
internal sealed class TokenTrie
{
    private readonly byte[] _bytes;
    private readonly byte[] _depths;
    private readonly int[] _skips;
    private readonly int[] _tokensAt;
    private readonly int[] _tokens;

    private TokenTrie(byte[] bytes, byte[] depths, int[] skips, int[] tokensAt, int[] tokens)
    {
        (_bytes, _depths, _skips, _tokensAt, _tokens) = (bytes, depths, skips, tokensAt, tokens);
        foreach (var d in depths) Height = Math.Max(Height, d);
    }

    public int Count => _bytes.Length;

    /// <summary>The most bytes of a token.</summary>
    public int Height { get; }

    /// <summary>The last byte of each node.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>The number of bytes of each node.</summary>
    public ReadOnlySpan<byte> Depths => _depths;

    /// <summary>The node behind all those below a node.</summary>
    public ReadOnlySpan<int> Skips => _skips;

    /// <summary>All tokens, by their nodes.</summary>
    public ReadOnlySpan<int> Tokens => _tokens;

    /// <summary>Where the tokens of node i begin; those of node i + 1 follow.</summary>
    public ReadOnlySpan<int> TokensAt => _tokensAt;

    public ReadOnlySpan<int> TokensOf(int node) => _tokens.AsSpan(_tokensAt[node].._tokensAt[node + 1]);

    /// <summary>The node of some bytes, or -1.</summary>
    public int Find(ReadOnlySpan<byte> bytes)
    {
        var node = 0;
        foreach (var b in bytes)
        {
            var child = node + 1;
            while (child < _skips[node] && _bytes[child] != b) child = _skips[child];
            if (child >= _skips[node]) return -1;
            node = child;
        }
        return node;
    }

    /// <param name="ids">Tokens, none empty or longer than 255 bytes.</param>
    /// <param name="bytesOf">The bytes of a token.</param>
    public static TokenTrie Of(int[] ids, Func<int, ReadOnlyMemory<byte>> bytesOf)
    {
        var texts = Array.ConvertAll(ids, id => bytesOf(id));
        Array.Sort(texts, ids, Comparer<ReadOnlyMemory<byte>>.Create((a, b) => a.Span.SequenceCompareTo(b.Span)));
        var builder = new Builder();
        builder.Open(0);
        ReadOnlySpan<byte> last = default;
        for (var i = 0; i < ids.Length; i++)
        {
            var text = texts[i].Span;
            var shared = text.CommonPrefixLength(last);
            builder.CloseTo(shared + 1);
            foreach (var b in text[shared..]) builder.Open(b);
            builder.Tokens.Add(ids[i]);
            last = text;
        }
        return builder.Build();
    }

    /// <summary>What is below some nodes, put together as if they were one; null when nothing is.</summary>
    public static TokenTrie? Below(TokenTrie trie, List<int> nodes)
    {
        var builder = new Builder();
        builder.Open(0);
        Merge(nodes);
        return builder.Count == 1 ? null : builder.Build();

        void Merge(List<int> parents)
        {
            var children = new SortedDictionary<byte, List<int>>();
            foreach (var parent in parents)
            {
                for (var child = parent + 1; child < trie._skips[parent]; child = trie._skips[child])
                {
                    if (!children.TryGetValue(trie._bytes[child], out var same)) children[trie._bytes[child]] = same = [];
                    same.Add(child);
                }
            }
            var depth = builder.Depth;
            foreach (var (value, same) in children)
            {
                builder.Open(value);
                foreach (var child in same) builder.Tokens.AddRange(trie.TokensOf(child));
                Merge(same);
                builder.CloseTo(depth);
            }
        }
    }

    private sealed class Builder
    {
        private readonly List<byte> _bytes = [];
        private readonly List<byte> _depths = [];
        private readonly List<int> _skips = [];
        private readonly List<int> _tokensAt = [];
        private readonly List<int> _open = [];

        public List<int> Tokens { get; } = [];

        public int Count => _bytes.Count;

        /// <summary>Open nodes, the root among them.</summary>
        public int Depth => _open.Count;

        public void Open(byte value)
        {
            _depths.Add((byte)_open.Count);
            _open.Add(_bytes.Count);
            _bytes.Add(value);
            _skips.Add(0);
            _tokensAt.Add(Tokens.Count);
        }

        public void CloseTo(int depth)
        {
            while (_open.Count > depth)
            {
                _skips[_open[^1]] = _bytes.Count;
                _open.RemoveAt(_open.Count - 1);
            }
        }

        public TokenTrie Build()
        {
            CloseTo(0);
            return new([.. _bytes], [.. _depths], [.. _skips], [.. _tokensAt, Tokens.Count], [.. Tokens]);
        }
    }
}
