namespace QwenServe.Engine.Execution;

/// <summary>Reads the hidden states, after the last norm, of tokens of the step in hand.</summary>
/// <param name="tokens">By index in the step.</param>
/// <param name="destination">[tokens, HiddenSize]</param>
public delegate void HiddenReader(ReadOnlySpan<int> tokens, Span<float> destination);
