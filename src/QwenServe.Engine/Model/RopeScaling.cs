namespace QwenServe.Engine.Model;

/// <summary>
/// YaRN (Peng et al. 2023), as transformers computes it since an explicit factor wins over the ratio of lengths: low frequencies are
/// divided by the factor, high ones kept, those between blended, and cosine and sine are scaled by the attention factor, at every length.
/// </summary>
/// <param name="Factor">How much longer than the original the context may be.</param>
/// <param name="OriginalLength">Positions the model was trained on.</param>
/// <param name="BetaFast">Rotations over the original length above which a frequency is kept.</param>
/// <param name="BetaSlow">Rotations below which a frequency is divided by the factor.</param>
/// <param name="AttentionFactor">The scale of cosine and sine.</param>
/// <param name="Truncate">Whether the borders of the blend are rounded outwards to whole pairs.</param>
public sealed record RopeScaling(double Factor, int OriginalLength, double BetaFast, double BetaSlow, double AttentionFactor, bool Truncate)
{
    internal static RopeScaling Yarn(JsonFields fields, int maxPositions)
    {
        double factor = fields.Number("factor") ?? throw new CheckpointException($"{fields.File}: yarn needs 'factor'");
        if (factor < 1) throw new CheckpointException($"{fields.File}: yarn's 'factor' is {factor}, which must be at least 1");
        double attention = fields.Number("attention_factor")
            ?? (fields.Number("mscale") is > 0 and { } m && fields.Number("mscale_all_dim") is > 0 and { } all
                ? Mscale(factor, m) / Mscale(factor, all)
                : Mscale(factor, 1));
        return new RopeScaling(factor, fields.Integer("original_max_position_embeddings") ?? maxPositions,
            fields.Number("beta_fast") ?? 32, fields.Number("beta_slow") ?? 1, attention, fields.Bool("truncate") ?? true);
    }

    private static double Mscale(double factor, double mscale) => factor <= 1 ? 1 : 0.1 * mscale * Math.Log(factor) + 1;

    /// <summary>Radians a position for each of the headDim / 2 pairs.</summary>
    public static float[] InverseFrequencies(int headDim, double theta, RopeScaling? scaling)
    {
        var frequencies = new float[headDim / 2];
        for (int i = 0; i < frequencies.Length; i++) frequencies[i] = (float)(1 / Math.Pow(theta, 2.0 * i / headDim));
        if (scaling is null) return frequencies;

        double low = scaling.Pair(scaling.BetaFast, headDim, theta), high = scaling.Pair(scaling.BetaSlow, headDim, theta);
        if (scaling.Truncate) (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, headDim - 1));
        if (low == high) high += 0.001;
        for (int i = 0; i < frequencies.Length; i++)
        {
            double divided = Math.Clamp((i - low) / (high - low), 0, 1);
            frequencies[i] = (float)(frequencies[i] * (1 - divided) + frequencies[i] / scaling.Factor * divided);
        }
        return frequencies;
    }

    /// <summary>The pair, as a fraction, that makes the given number of rotations over the original length.</summary>
    private double Pair(double rotations, int headDim, double theta)
        => headDim * Math.Log(OriginalLength / (rotations * 2 * Math.PI)) / (2 * Math.Log(theta));
}
