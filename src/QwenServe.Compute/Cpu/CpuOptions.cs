namespace QwenServe.Compute.Cpu;

public sealed record CpuOptions
{
    /// <summary>Threads that compute, the engine's own included; 0 is one a physical core that the process may use.</summary>
    public int Threads { get; init; }

    /// <summary>Devices of the process, this one included, among which the cores are divided when <see cref="Threads"/> is 0 and the KV cache's budget always.</summary>
    public int Sharers { get; init; } = 1;
}
