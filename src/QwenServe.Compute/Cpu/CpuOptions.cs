namespace QwenServe.Compute.Cpu;

public sealed record CpuOptions
{
    /// <summary>Threads that compute, the engine's own included; 0 is one a physical core that the process may use.</summary>
    public int Threads { get; init; }
}
