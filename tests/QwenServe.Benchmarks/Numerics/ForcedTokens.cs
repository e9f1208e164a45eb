using QwenServe.Engine;

namespace QwenServe.Benchmarks.Numerics;

/// <summary>A grammar of one sentence: what is drawn are these ids, one a step, so that decoding computes the log-probs of a known text.</summary>
internal sealed class ForcedTokens(int[] ids) : ITokenMask
{
    private int _next;

    public void Fill(Span<uint> mask)
    {
        mask.Clear();
        mask[ids[_next] / 32] = 1u << (ids[_next] % 32);
    }

    public bool Accept(int token) => token == ids[_next++];
}
