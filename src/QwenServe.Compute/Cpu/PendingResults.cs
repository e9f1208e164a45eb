namespace QwenServe.Compute.Cpu;

/// <summary>Results of samplings that nobody has asked for yet, oldest first.</summary>
internal sealed class PendingResults
{
    private readonly SamplingResults?[] _ring = new SamplingResults?[4];
    private int _oldest;
    private int _count;

    /// <summary>Room for one more sampling of so many rows.</summary>
    /// <exception cref="InvalidOperationException">Too many are waiting for Complete.</exception>
    public SamplingResults Add(int rows)
    {
        if (_count == _ring.Length) throw new InvalidOperationException($"{_count} samplings wait for Complete");
        ref var entry = ref _ring[(_oldest + _count) % _ring.Length];
        _count++;
        if (entry is null || entry.Tokens.Length < rows) entry = new SamplingResults(Math.Max(rows, 2 * (entry?.Tokens.Length ?? 0)));
        entry.Count = rows;
        return entry;
    }

    /// <exception cref="InvalidOperationException">There is none.</exception>
    public void Take(SamplingResults destination)
    {
        if (_count == 0) throw new InvalidOperationException("Complete without Sample");
        var source = _ring[_oldest]!;
        _oldest = (_oldest + 1) % _ring.Length;
        _count--;
        int n = source.Count;
        destination.Count = n;
        source.Tokens.AsSpan(0, n).CopyTo(destination.Tokens);
        source.Status.AsSpan(0, n).CopyTo(destination.Status);
        source.LogProbs.AsSpan(0, n).CopyTo(destination.LogProbs);
        source.TopTokens.AsSpan(0, n * SamplingResults.MaxTopLogProbs).CopyTo(destination.TopTokens);
        source.TopLogProbs.AsSpan(0, n * SamplingResults.MaxTopLogProbs).CopyTo(destination.TopLogProbs);
    }
}
