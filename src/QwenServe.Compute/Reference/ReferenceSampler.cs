namespace QwenServe.Compute.Reference;

/// <summary>
/// Sampling by the book: sort everything; logits are edited in fp32, in which ties are ties, and probabilities are double. What it fixes for all devices: a cut by top-k or top-p keeps the lower id of
/// equals; a draw walks the kept ids in ascending order until their probability passes <see cref="Philox.Uniform"/>.
/// </summary>
public static class ReferenceSampler
{
    /// <param name="inputs">The step's rows.</param>
    /// <param name="index">The row to do.</param>
    /// <param name="raw">Its logits.</param>
    /// <param name="hasToken">By id.</param>
    /// <param name="prompt">Tokens of the prompt.</param>
    /// <param name="output">How often a token was drawn.</param>
    /// <param name="results">Receives entry <paramref name="index"/>.</param>
    public static void Sample(
        SamplingInputs inputs,
        int index,
        ReadOnlySpan<float> raw,
        ReadOnlySpan<bool> hasToken,
        IReadOnlySet<int> prompt,
        IReadOnlyDictionary<int, int> output,
        SamplingResults results)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(prompt);
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(results);
        ref readonly var row = ref inputs.Rows[index];
        double maximum = double.NegativeInfinity;
        bool broken = false;
        foreach (float x in raw)
        {
            broken |= float.IsNaN(x) || float.IsPositiveInfinity(x);
            maximum = Math.Max(maximum, x);
        }
        int token = -1;
        if (!broken && !double.IsNegativeInfinity(maximum))
            token = row.Target >= 0 ? row.Target : Draw(Process(inputs, row, raw, hasToken, prompt, output), row);
        results.Status[index] = token < 0 ? SampleStatus.NonFinite : SampleStatus.Sampled;
        results.Tokens[index] = token < 0 ? Math.Max(row.Target, 0) : token;
        if (token < 0 || row.TopLogProbs < 0) return;

        double sum = 0;
        foreach (float x in raw) sum += Math.Exp(x - maximum);
        double normaliser = maximum + Math.Log(sum);
        results.LogProbs[index] = (float)(raw[token] - normaliser);
        float[] values = raw.ToArray();
        bool[] known = hasToken.ToArray();
        int[] best = [.. Enumerable.Range(0, values.Length).Where(i => known[i] && !float.IsNegativeInfinity(values[i]))
            .OrderByDescending(i => values[i]).Take(row.TopLogProbs)];
        for (int i = 0; i < row.TopLogProbs; i++)
        {
            results.TopTokens[index * SamplingResults.MaxTopLogProbs + i] = i < best.Length ? best[i] : 0;
            results.TopLogProbs[index * SamplingResults.MaxTopLogProbs + i]
                = i < best.Length ? (float)(values[best[i]] - normaliser) : float.NegativeInfinity;
        }
    }

    private static float[] Process(
        SamplingInputs inputs,
        in SamplingRow row,
        ReadOnlySpan<float> raw,
        ReadOnlySpan<bool> hasToken,
        IReadOnlySet<int> prompt,
        IReadOnlyDictionary<int, int> output)
    {
        float[] z = new float[raw.Length];
        for (int i = 0; i < z.Length; i++)
        {
            bool admitted = hasToken[i]
                && (row.MaskRow < 0 || (inputs.Masks[row.MaskRow * inputs.MaskStride + i / 32] >> (i % 32) & 1) != 0);
            z[i] = admitted ? raw[i] : float.NegativeInfinity;
        }
        for (int i = row.BiasStart; i < row.BiasStart + row.BiasCount; i++) z[inputs.Biases[i].Token] += inputs.Biases[i].Bias;
        for (int i = 0; i < z.Length; i++)
        {
            int count = output.GetValueOrDefault(i);
            if (count > 0 || prompt.Contains(i)) z[i] = z[i] > 0 ? z[i] / row.RepetitionPenalty : z[i] * row.RepetitionPenalty;
            if (count > 0) z[i] -= row.FrequencyPenalty * count + row.PresencePenalty;
        }
        return z;
    }

    private static int Draw(float[] z, SamplingRow row)
    {
        int[] order = [.. Enumerable.Range(0, z.Length).Where(i => !float.IsNegativeInfinity(z[i])).OrderByDescending(i => z[i])];
        if (order.Length == 0) return -1;
        if (row.Temperature <= 0) return order[0];
        double maximum = z[order[0]];
        double temperature = row.Temperature;
        var weights = order.Select(i => (Id: i, Weight: Math.Exp((z[i] - maximum) / temperature))).ToList();
        weights = weights.Where(w => w.Weight >= row.MinP).ToList();
        if (row.TopK > 0) weights = weights.Take(row.TopK).ToList();
        double total = weights.Sum(w => w.Weight);
        if (row.TopP < 1)
        {
            double limit = row.TopP * total;
            total = 0;
            int kept = 0;
            while (kept < weights.Count && (kept == 0 || total < limit)) total += weights[kept++].Weight;
            weights = weights.Take(kept).ToList();
        }
        double goal = Philox.Uniform(row.Seed, row.Position) * total;
        double sum = 0;
        foreach (var (id, weight) in weights.OrderBy(w => w.Id))
        {
            sum += weight;
            if (sum > goal) return id;
        }
        return weights.Max(w => w.Id);
    }
}
