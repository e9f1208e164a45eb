namespace QwenServe.Compute;

/// <summary>The sizes of a Qwen2 model that a device needs before it loads weights.</summary>
public sealed record ModelGeometry
{
    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    public required int LayerCount { get; init; }

    /// <summary>Query heads.</summary>
    public required int HeadCount { get; init; }

    /// <summary>Key and value heads; query head i reads head i / (HeadCount / KvHeadCount).</summary>
    public required int KvHeadCount { get; init; }

    /// <summary>Width of a head; even.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Width of the dense MLP; 0 when every layer is sparse.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Rows of the embedding and of the head, rows without a token included.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Epsilon of every RMSNorm.</summary>
    public required float RmsNormEpsilon { get; init; }

    /// <summary>Routed experts a sparse layer; 0 for a dense model.</summary>
    public int ExpertCount { get; init; }

    /// <summary>Routed experts a token.</summary>
    public int ExpertsPerToken { get; init; }

    /// <summary>Width of a routed expert.</summary>
    public int ExpertIntermediateSize { get; init; }

    /// <summary>Width of the shared expert.</summary>
    public int SharedExpertIntermediateSize { get; init; }

    /// <summary>Whether the chosen experts' weights are scaled to sum to one.</summary>
    public bool NormalizeExpertWeights { get; init; }

    /// <summary>Rows of the fused query, key and value projection.</summary>
    public int QkvSize => (HeadCount + 2 * KvHeadCount) * HeadDim;

    /// <summary>Elements of keys and values a token takes in all layers.</summary>
    public long KvElementsPerToken => 2L * LayerCount * KvHeadCount * HeadDim;
}

/// <summary>The largest step a device has to be ready for.</summary>
/// <param name="Tokens">Tokens a step, over all sequences.</param>
/// <param name="Sequences">Sequences a step; also the number of slots.</param>
/// <param name="LogitRows">Positions a step whose logits are wanted.</param>
/// <param name="ContextLength">Tokens of the longest sequence.</param>
public readonly record struct StepLimits(int Tokens, int Sequences, int LogitRows, int ContextLength);
