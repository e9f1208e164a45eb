namespace QwenServe.Engine;

/// <summary>When things happened to a request, in <see cref="System.Diagnostics.Stopwatch"/> ticks; 0 for what has not.</summary>
/// <param name="Arrival">It came.</param>
/// <param name="Scheduled">Its first step was laid out.</param>
/// <param name="FirstToken">The first token of any choice was drawn.</param>
/// <param name="LastToken">The last one so far; when tokens are not what is wanted, the hidden states were there.</param>
public readonly record struct RequestTimes(long Arrival, long Scheduled, long FirstToken, long LastToken);
