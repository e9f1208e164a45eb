namespace QwenServe.Compute;

/// <summary>Parameters as a device holds them, in the order its kernels want. Belongs to the device that made it.</summary>
public abstract class Weights : IDisposable
{
    /// <summary>Memory taken on the device.</summary>
    public abstract long Bytes { get; }

    public abstract void Dispose();
}

/// <summary>A sparse layer's tensors: router [E, H], experts, shared expert and its gate [1, H].</summary>
public sealed record MoeSource
{
    public required HostTensor Router { get; init; }

    /// <summary>[E] gate and up projections, [I, H] each.</summary>
    public required IReadOnlyList<(HostTensor Gate, HostTensor Up, HostTensor Down)> Experts { get; init; }

    /// <summary>The shared expert's gate and up [S, H] and down [H, S].</summary>
    public required (HostTensor Gate, HostTensor Up, HostTensor Down) SharedExpert { get; init; }

    /// <summary>[1, H]: the sigmoid gate on the shared expert.</summary>
    public required HostTensor SharedExpertGate { get; init; }
}
