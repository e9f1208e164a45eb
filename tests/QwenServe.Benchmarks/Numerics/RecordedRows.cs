using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace QwenServe.Benchmarks.Numerics;

/// <summary>
/// Log-probs of a fixed sample of the vocabulary at the positions of some sequences: log-softmax of raw logits over the whole vocabulary, in
/// double, kept in fp32. Position p is the distribution of token p given those before it.
/// </summary>
/// <param name="sample">The ids that are kept of each row, beside the sequence's own token.</param>
internal sealed class RecordedRows(int[] sample)
{
    private readonly List<Sequence> _sequences = [];

    /// <summary>A sequence: its prompt as the engine got it, and all of its ids as far as they are known.</summary>
    public sealed class Sequence(int[] prompt, int[] ids)
    {
        public int[] Prompt { get; } = prompt;

        public int[] Ids { get; set; } = ids;

        /// <summary>Prompt tokens that came from the prefix cache.</summary>
        public int CachedTokens { get; set; }

        /// <summary>The engine's own log-probs of the tokens, by position.</summary>
        public Dictionary<int, float> Reported { get; } = [];

        internal SortedDictionary<int, (int Top, float[] LogProbs)> Rows { get; } = [];
    }

    /// <summary>Adds a sequence; prompts must differ, since rows are told apart by them.</summary>
    public Sequence Add(int[] prompt, int[] ids)
    {
        if (_sequences.Any(s => s.Prompt.AsSpan().SequenceEqual(prompt))) throw new ArgumentException("two prompts are equal");
        var sequence = new Sequence(prompt, ids);
        _sequences.Add(sequence);
        return sequence;
    }

    /// <summary>Takes a row; any thread.</summary>
    public void Take(int[] prompt, int position, float[] logits)
    {
        var sequence = _sequences.First(s => s.Prompt.AsSpan().SequenceEqual(prompt));
        int top = 0;
        for (int v = 1; v < logits.Length; v++)
            if (logits[v] > logits[top]) top = v;
        double sum = 0;
        foreach (float logit in logits) sum += Math.Exp((double)logit - logits[top]);
        double normaliser = logits[top] + Math.Log(sum);
        float[] logProbs = new float[sample.Length + 1];
        for (int i = 0; i < sample.Length; i++) logProbs[i] = (float)(logits[sample[i]] - normaliser);
        // Greedy text is not known beforehand: there the token is the most probable one.
        logProbs[^1] = (float)(logits[position < sequence.Ids.Length ? sequence.Ids[position] : top] - normaliser);
        lock (sequence.Rows)
        {
            if (!sequence.Rows.TryAdd(position, (top, logProbs))) throw new InvalidOperationException($"position {position} was computed twice");
        }
    }

    /// <summary>Writes <c>NAME.f32</c>, little-endian [rows, sample + 1] (the last column is the sequence's own token), and returns what describes it.</summary>
    public JsonObject Write(string directory, string name)
    {
        var sequences = new JsonArray();
        var tops = new JsonArray();
        double reported = 0;
        using var file = File.Create(Path.Combine(directory, name + ".f32"));
        foreach (var sequence in _sequences)
        {
            int first = sequence.Rows.Keys.FirstOrDefault(1), next = first;
            foreach (var (position, (top, logProbs)) in sequence.Rows)
            {
                if (position != next++) throw new InvalidOperationException($"{name}: position {next - 1} is missing");
                if (sequence.Reported.TryGetValue(position, out float own)) reported = Math.Max(reported, Math.Abs(own - logProbs[^1]));
                else throw new InvalidOperationException($"{name}: the engine gave no log-prob at position {position}");
                file.Write(MemoryMarshal.AsBytes(logProbs.AsSpan()));
                tops.Add(top);
            }
            if (sequence.Rows.Count != sequence.Reported.Count) throw new InvalidOperationException($"{name}: {sequence.Rows.Count} rows for {sequence.Reported.Count} log-probs");
            sequences.Add(new JsonObject
            {
                ["ids"] = new JsonArray([.. sequence.Ids.Select(id => (JsonNode)id)]),
                ["first"] = first,
                ["rows"] = sequence.Rows.Count,
                ["cached"] = sequence.CachedTokens,
            });
        }
        return new JsonObject { ["name"] = name, ["sequences"] = sequences, ["top1"] = tops, ["reported_difference"] = reported };
    }
}
