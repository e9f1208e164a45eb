namespace QwenServe.Generation;

/// <summary>What becomes of a pooled row on its way to a client.</summary>
internal static class Embedding
{
    /// <summary>
    /// The first elements of a row, at unit length if so wanted: a shortened embedding is normalised after it is cut, as in Matryoshka
    /// representation learning (Kusupati et al. 2022) and OpenAI's <c>dimensions</c>. A row of zeros stays one.
    /// </summary>
    public static float[] Of(float[] row, int? dimensions, bool normalize)
    {
        float[] result = dimensions is { } d ? row[..d] : row;
        if (!normalize) return result;
        double squares = 0;
        foreach (float value in result) squares += (double)value * value;
        if (squares == 0) return result;
        double scale = 1 / Math.Sqrt(squares);
        return [.. result.Select(v => (float)(v * scale))];
    }
}
