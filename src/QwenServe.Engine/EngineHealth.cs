namespace QwenServe.Engine;

/// <summary>How the engine is.</summary>
/// <param name="Fault">What broke it, or null. A broken engine has failed all its requests and refuses new ones.</param>
/// <param name="Busy">Whether there is work in hand. Busy without progress for long means that the device hangs.</param>
/// <param name="SinceProgress">Time since the engine thread last finished a step or was seen idle.</param>
public readonly record struct EngineHealth(string? Fault, bool Busy, TimeSpan SinceProgress);
