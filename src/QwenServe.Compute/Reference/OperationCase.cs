namespace QwenServe.Compute.Reference;

/// <summary>
/// One row of the table on which devices are compared with the oracle: a geometry, types, and the operations between the embedding and
/// the logits. Four sequences take three steps: whole prompts, then decoding beside the rest of a long prompt, then decoding.
/// </summary>
public sealed record OperationCase
{
    public required string Name { get; init; }

    public required ModelGeometry Geometry { get; init; }

    /// <summary>What runs between Embed and NormLogits.</summary>
    public required Action<LoadedModel, OperationCase> Operations { get; init; }

    public DType Weights { get; init; } = DType.F32;

    /// <summary>Convert weights to this type while loading.</summary>
    public DType? Convert { get; init; }

    public DType Cache { get; init; } = DType.F32;

    public int BlockSize { get; init; } = 16;

    public int Window { get; init; }

    public bool Tied { get; init; }

    /// <summary>The table.</summary>
    public static IReadOnlyList<OperationCase> All { get; } = [.. Table()];

    /// <summary>
    /// The largest difference between the devices' logits, relative to the deviation of a row of the oracle's. NaN when a logit is not a
    /// number.
    /// </summary>
    public double Compare(IDevice device, IDevice oracle)
    {
        float[][] actual = Execute(device);
        float[][] expected = Execute(oracle);
        double worst = 0;
        for (int r = 0; r < expected.Length; r++)
        {
            double deviation = Math.Sqrt(expected[r].Average(x => (double)x * x));
            for (int i = 0; i < expected[r].Length; i++)
            {
                double difference = Math.Abs(actual[r][i] - expected[r][i]) / deviation;
                if (double.IsNaN(difference)) return double.NaN;
                worst = Math.Max(worst, difference);
            }
        }
        return worst;
    }

    /// <summary>The logits of every token of every step.</summary>
    public float[][] Execute(IDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        using var loaded = new RandomModel(Geometry, Weights, Tied, seed: 7).Load(device, Convert);
        int blocksPerSequence = (160 + BlockSize - 1) / BlockSize;
        var driver = new StepDriver(
            device,
            Geometry,
            new StepLimits(192, 4, 192, 160),
            4 * blocksPerSequence,
            BlockSize,
            Cache,
            () =>
            {
                device.Embed(loaded.Embedding);
                Operations(loaded, this);
                device.NormLogits(loaded.FinalNorm, loaded.Head);
            });
        var random = new Random(3);
        // Neighbouring positions lie in blocks far apart.
        int[] blocks = [.. Enumerable.Range(0, 4 * blocksPerSequence)];
        random.Shuffle(blocks);
        int[] lengths = [3, 19, 71, 150];
        var sequences = lengths
            .Select((n, s) => new DrivenSequence(
                [.. Enumerable.Range(0, n).Select(_ => random.Next(Geometry.VocabularySize))],
                s,
                blocks[(s * blocksPerSequence)..((s + 1) * blocksPerSequence)]))
            .ToArray();
        var logits = new List<float[]>();
        logits.AddRange(driver.Step((sequences[0], 1), (sequences[1], 17), (sequences[2], 69), (sequences[3], 96)));
        logits.AddRange(driver.Step((sequences[0], 1), (sequences[1], 1), (sequences[2], 1), (sequences[3], 53)));
        logits.AddRange(driver.Step((sequences[0], 1), (sequences[1], 1), (sequences[2], 1), (sequences[3], 1)));
        return [.. logits];
    }

    public override string ToString() => Name;

    private static IEnumerable<OperationCase> Table()
    {
        var small = new ModelGeometry
        {
            HiddenSize = 96,
            LayerCount = 2,
            HeadCount = 4,
            KvHeadCount = 2,
            HeadDim = 32,
            IntermediateSize = 176,
            VocabularySize = 300,
            RmsNormEpsilon = 1e-6f,
        };
        var odd = small with { HiddenSize = 90, HeadCount = 6, KvHeadCount = 2, HeadDim = 18, IntermediateSize = 121, VocabularySize = 257 };
        var sparse = small with { ExpertCount = 6, ExpertsPerToken = 2, ExpertIntermediateSize = 40, SharedExpertIntermediateSize = 56 };

        foreach (DType type in Enum.GetValues<DType>())
        {
            yield return new OperationCase { Name = $"Embed NormLogits {type}", Geometry = small, Weights = type, Operations = (_, _) => { } };
            yield return new OperationCase
            {
                Name = $"Embed NormLogits tied {type}",
                Geometry = odd,
                Weights = type,
                Tied = true,
                Operations = (_, _) => { },
            };
            yield return new OperationCase { Name = $"NormGateUpSwiglu DownAdd {type}", Geometry = small, Weights = type, Operations = Mlp };
            yield return new OperationCase { Name = $"NormGateUpSwiglu DownAdd odd {type}", Geometry = odd, Weights = type, Operations = Mlp };
            yield return new OperationCase { Name = $"NormRouteExperts {type}", Geometry = sparse, Weights = type, Operations = Mlp };
            yield return new OperationCase { Name = $"converted to {type}", Geometry = odd, Weights = DType.F32, Convert = type, Operations = Whole };
            yield return new OperationCase { Name = $"NormQkvRopeStore Attend OutputAdd cache {type}", Geometry = small, Cache = type, Operations = Attention };
        }
        yield return new OperationCase
        {
            Name = "NormRouteExperts normalised",
            Geometry = sparse with { NormalizeExpertWeights = true, ExpertsPerToken = 3 },
            Operations = Mlp,
        };
        foreach (var (heads, kvHeads, dim) in new[] { (1, 1, 64), (2, 1, 128), (3, 1, 80), (4, 4, 16), (5, 1, 24), (6, 2, 48), (7, 1, 64), (8, 1, 30) })
        {
            yield return new OperationCase
            {
                Name = $"Attend {heads}/{kvHeads} heads of {dim}",
                Geometry = small with { HeadCount = heads, KvHeadCount = kvHeads, HeadDim = dim },
                Operations = Attention,
            };
        }
        foreach (int blockSize in new[] { 1, 5, 8, 32, 64, 256 })
            yield return new OperationCase { Name = $"Attend blocks of {blockSize}", Geometry = small, BlockSize = blockSize, Operations = Attention };
        foreach (int window in new[] { 1, 7, 64, 100 })
            yield return new OperationCase { Name = $"Attend window {window}", Geometry = small, Window = window, Operations = Attention };
        yield return new OperationCase { Name = "whole model", Geometry = small, Operations = Whole };
        yield return new OperationCase { Name = "whole model odd", Geometry = odd, Weights = DType.BF16, Cache = DType.BF16, Operations = Whole };
        yield return new OperationCase { Name = "whole sparse model", Geometry = sparse, Weights = DType.BF16, Tied = true, Operations = Whole };
    }

    private static void Mlp(LoadedModel model, OperationCase c) => model.Mlp(0);

    private static void Attention(LoadedModel model, OperationCase c) => model.Attention(0, c.Window);

    private static void Whole(LoadedModel model, OperationCase c)
    {
        for (int i = 0; i < model.Layers.Length; i++)
        {
            model.Attention(i, c.Window);
            model.Mlp(i);
        }
    }
}
