using QwenServe.Compute;
using QwenServe.Engine.Model;

namespace QwenServe.Tests.Engine.Model;

/// <summary>A checkpoint on a device without an engine: sequences by hand, each in blocks of its own, in shuffled order.</summary>
internal sealed class BareModel : IDisposable
{
    private readonly IDevice _device;
    private readonly QwenModel _model;
    private readonly StepInputs _inputs;
    private readonly int _blockSize, _blocksPerSequence;
    private readonly int[] _blocks;

    public BareModel(string directory, IDevice device, DType? kvType = null, int blockSize = 16, int maxSequences = 4, int maxTokens = 256, int maxLength = 256)
    {
        _device = device;
        _blockSize = blockSize;
        _blocksPerSequence = (maxLength + blockSize - 1) / blockSize;
        using var checkpoint = Checkpoint.Open(directory);
        _model = QwenModel.Load(checkpoint, device, null, maxLength);
        VocabularySize = _model.Config.Geometry.VocabularySize;
        var limits = new StepLimits(maxTokens, maxSequences, maxTokens, maxLength);
        var everyId = new uint[(VocabularySize + 31) / 32];
        for (int id = 0; id < VocabularySize; id++) everyId[id / 32] |= 1u << (id % 32);
        device.SetVocabulary(everyId);
        device.AllocateStep(limits);
        device.AllocateKvCache(maxSequences * _blocksPerSequence, blockSize, kvType ?? device.DefaultKvType);
        _inputs = new StepInputs(limits, _blocksPerSequence);
        _blocks = [.. Enumerable.Range(0, maxSequences * _blocksPerSequence)];
        new Random(3).Shuffle(_blocks);
    }

    public int VocabularySize { get; }

    /// <summary>Computes tokens from <c>start</c> on for each sequence, and returns the logits at each of them, in order.</summary>
    public float[][] Step(params (int Sequence, int Start, int[] Tokens)[] rows)
    {
        // One-token rows come first, as the contract wants.
        var order = Enumerable.Range(0, rows.Length).OrderBy(i => rows[i].Tokens.Length == 1 ? 0 : 1).ToArray();
        int token = 0;
        for (int s = 0; s < order.Length; s++)
        {
            var (sequence, start, tokens) = rows[order[s]];
            _inputs.QueryStarts[s] = token;
            _inputs.ContextLengths[s] = start + tokens.Length;
            _inputs.Slots[s] = sequence;
            for (int b = 0; b < _blocksPerSequence; b++) _inputs.BlockTables[s * _inputs.BlockTableStride + b] = _blocks[sequence * _blocksPerSequence + b];
            for (int i = 0; i < tokens.Length; i++, token++)
            {
                _inputs.TokenIds[token] = tokens[i];
                _inputs.Positions[token] = start + i;
                _inputs.LogitTokens[token] = token;
            }
        }
        _inputs.QueryStarts[order.Length] = token;
        (_inputs.SequenceCount, _inputs.TokenCount, _inputs.LogitCount) = (order.Length, token, token);
        _device.Begin(_inputs);
        _device.Run(_model.Forward);

        var logits = new float[rows.Length][][];
        int row = 0;
        foreach (int i in order) logits[i] = [.. rows[i].Tokens.Select(_ => Read(row++))];
        return [.. logits.SelectMany(l => l)];
    }

    /// <summary>Log-probabilities [tokens, vocabulary] of one sequence computed in the chunks given (the last takes the rest).</summary>
    public float[][] LogProbs(int[] tokens, int sequence = 0, params int[] chunks)
    {
        var rows = new List<float[]>();
        foreach (int chunk in chunks.Append(int.MaxValue))
        {
            int start = rows.Count, length = Math.Min(chunk, tokens.Length - start);
            if (length > 0) rows.AddRange(Step((sequence, start, tokens[start..(start + length)])));
        }
        return [.. rows.Select(LogSoftmax)];
    }

    /// <summary>The most probable continuation, one token a step.</summary>
    public int[] Greedy(int[] prompt, int count)
    {
        var tokens = prompt.ToList();
        float[] last = Step((0, 0, prompt))[^1];
        while (true)
        {
            tokens.Add(Array.IndexOf(last, last.Max()));
            if (tokens.Count == prompt.Length + count) return [.. tokens.Skip(prompt.Length)];
            last = Step((0, tokens.Count - 1, [tokens[^1]]))[0];
        }
    }

    public static float[] LogSoftmax(float[] logits)
    {
        double max = logits.Max(), sum = logits.Sum(l => Math.Exp(l - max));
        return [.. logits.Select(l => (float)(l - max - Math.Log(sum)))];
    }

    public void Dispose() => _model.Dispose();

    private float[] Read(int row)
    {
        var logits = new float[VocabularySize];
        _device.ReadLogits(row, logits);
        return logits;
    }
}

/// <summary>What transformers computed for a fixture; written by Fixtures/make_fixtures.py.</summary>
internal sealed record Fixture(string Directory, int[] Prompt, int[] Greedy, double[] GreedyGaps, double Bf16Mean, double Bf16Max, double Bf16Top1, float[][] LogProbs)
{
    public static Fixture Load(string directory)
    {
        using var document = System.Text.Json.JsonDocument.Parse(File.ReadAllBytes(Path.Combine(directory, "tokens.json")));
        var root = document.RootElement;
        int[] prompt = [.. root.GetProperty("prompt").EnumerateArray().Select(e => e.GetInt32())];
        var values = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(Path.Combine(directory, "logprobs.f32"))).ToArray();
        return new Fixture(directory, prompt, [.. root.GetProperty("greedy").EnumerateArray().Select(e => e.GetInt32())],
            [.. root.GetProperty("greedy_gaps").EnumerateArray().Select(e => e.GetDouble())],
            root.GetProperty("bf16_mean").GetDouble(), root.GetProperty("bf16_max").GetDouble(), root.GetProperty("bf16_top1").GetDouble(),
            [.. values.Chunk(values.Length / prompt.Length)]);
    }
}
