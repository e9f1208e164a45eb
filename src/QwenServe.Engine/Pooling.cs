namespace QwenServe.Engine;

/// <summary>Which hidden states of a prompt are wanted, after the model's last norm.</summary>
public enum PoolingKind : byte
{
    /// <summary>That of the last token.</summary>
    Last,

    /// <summary>The mean over all tokens.</summary>
    Mean,

    /// <summary>Those at <see cref="Pooling.Positions"/>.</summary>
    Positions,
}

/// <summary>Asks for hidden states of the prompt instead of tokens: what embeddings and rewards are made of.</summary>
public sealed class Pooling
{
    public static Pooling Last { get; } = new(PoolingKind.Last, []);

    public static Pooling Mean { get; } = new(PoolingKind.Mean, []);

    private Pooling(PoolingKind kind, int[] positions) => (Kind, Positions) = (kind, positions);

    public PoolingKind Kind { get; }

    /// <summary>Positions in the prompt, ascending; with <see cref="PoolingKind.Positions"/> only.</summary>
    public IReadOnlyList<int> Positions { get; }

    /// <param name="positions">At least one, from 0, ascending.</param>
    public static Pooling At(params int[] positions)
    {
        for (int i = 0; i < positions.Length; i++)
            if (positions[i] < 0 || (i > 0 && positions[i] <= positions[i - 1])) throw new ArgumentException("positions must ascend from 0", nameof(positions));
        if (positions.Length == 0) throw new ArgumentException("there must be a position", nameof(positions));
        return new Pooling(PoolingKind.Positions, positions);
    }
}
