namespace QwenServe.Benchmarks.Load;

/// <summary>What became of one request. Times are seconds, those of the clock since the run began.</summary>
internal sealed class LoadResult
{
    /// <summary>When it was due: in the open loop before it was sent, should this client be late.</summary>
    public required double Due { get; init; }

    public double FirstToken { get; set; } = double.NaN;

    public double End { get; set; }

    public int PromptTokens { get; set; }

    /// <summary>As the server counted; as many as there were pieces where it did not.</summary>
    public int OutputTokens { get; set; }

    /// <summary>When each piece of text came.</summary>
    public List<double> Pieces { get; } = [];

    /// <summary>Null when it was answered to the end; otherwise the class of the error, such as <c>429</c> or <c>broken stream</c>.</summary>
    public string? Error { get; set; }

    public double TimeToFirstToken => FirstToken - Due;

    public double EndToEnd => End - Due;

    /// <summary>Mean time between tokens; a piece may hold several, so the server's count divides.</summary>
    public double TimePerOutputToken => OutputTokens > 1 ? (Pieces[^1] - FirstToken) / (OutputTokens - 1) : double.NaN;
}
