namespace QwenServe.Compute.Cpu.Kernels;

/// <summary>
/// Which tokens go to which expert with which weight: softmax over all experts, then the k most probable (the lower index first of equals), optionally
/// scaled to sum to one, as in transformers' Qwen2-MoE.
/// </summary>
internal sealed unsafe class Routing : IDisposable
{
    private readonly int _experts;
    private readonly int _perToken;
    private readonly bool _normalize;
    private readonly NativeBuffer _rows;
    private readonly NativeBuffer _scales;
    private readonly int[] _starts;
    private readonly int[] _filled;
    private readonly int[] _chosen;
    private readonly float[] _weights;
    private readonly float[] _probabilities;

    public Routing(ModelGeometry geometry, int maxTokens)
    {
        _experts = geometry.ExpertCount;
        _perToken = geometry.ExpertsPerToken;
        _normalize = geometry.NormalizeExpertWeights;
        _rows = new NativeBuffer((long)maxTokens * _perToken * sizeof(int));
        _scales = NativeBuffer.OfFloats((long)maxTokens * _perToken);
        SharedScales = NativeBuffer.OfFloats(maxTokens);
        _starts = new int[_experts + 1];
        _filled = new int[_experts];
        _chosen = new int[maxTokens * _perToken];
        _weights = new float[maxTokens * _perToken];
        _probabilities = new float[_experts];
    }

    /// <summary>[tokens]: sigmoid of the shared expert's gate.</summary>
    public NativeBuffer SharedScales { get; }

    public int Count(int expert) => _starts[expert + 1] - _starts[expert];

    /// <summary>The expert's tokens in ascending order.</summary>
    public int* Rows(int expert) => (int*)_rows.Pointer + _starts[expert];

    public float* Scales(int expert) => _scales.Floats + _starts[expert];

    /// <param name="logits">[tokens, stride]: the experts' logits, then the shared expert's gate.</param>
    /// <param name="stride">Floats a row.</param>
    /// <param name="tokens">Rows.</param>
    public void Route(float* logits, long stride, int tokens)
    {
        Array.Clear(_starts);
        for (int t = 0; t < tokens; t++, logits += stride)
        {
            Choose(logits, _chosen.AsSpan(t * _perToken, _perToken), _weights.AsSpan(t * _perToken, _perToken));
            for (int i = 0; i < _perToken; i++) _starts[_chosen[t * _perToken + i] + 1]++;
            SharedScales.Floats[t] = 1f / (1f + MathF.Exp(-logits[_experts]));
        }
        for (int e = 0; e < _experts; e++)
        {
            _starts[e + 1] += _starts[e];
            _filled[e] = _starts[e];
        }
        for (int t = 0; t < tokens; t++)
        {
            for (int i = 0; i < _perToken; i++)
            {
                int at = _filled[_chosen[t * _perToken + i]]++;
                ((int*)_rows.Pointer)[at] = t;
                _scales.Floats[at] = _weights[t * _perToken + i];
            }
        }
    }

    public void Dispose()
    {
        _rows.Dispose();
        _scales.Dispose();
        SharedScales.Dispose();
    }

    private void Choose(float* logits, Span<int> chosen, Span<float> weights)
    {
        float maximum = float.NegativeInfinity;
        for (int e = 0; e < _experts; e++) maximum = MathF.Max(maximum, logits[e]);
        float total = 0;
        for (int e = 0; e < _experts; e++) total += _probabilities[e] = MathF.Exp(logits[e] - maximum);
        float kept = 0;
        for (int i = 0; i < chosen.Length; i++)
        {
            int best = -1;
            for (int e = 0; e < _experts; e++)
                if (!chosen[..i].Contains(e) && (best < 0 || _probabilities[e] > _probabilities[best])) best = e;
            chosen[i] = best;
            weights[i] = _probabilities[best] / total;
            kept += weights[i];
        }
        if (!_normalize) return;
        for (int i = 0; i < weights.Length; i++) weights[i] /= kept;
    }
}
