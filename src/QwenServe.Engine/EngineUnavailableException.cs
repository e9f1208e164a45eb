namespace QwenServe.Engine;

/// <summary>The engine takes no requests: it is stopping, has stopped, or its device has failed.</summary>
public sealed class EngineUnavailableException(string message, bool faulted) : Exception(message)
{
    /// <summary>True after a fault, which only a restart mends; false while stopping.</summary>
    public bool Faulted { get; } = faulted;
}
