using System.Runtime.InteropServices;

namespace QwenServe.Compute.Cuda.Kernels;

/// <summary>Launches of Moe.cu, with the memory between routing and sum.</summary>
internal sealed class Moe
{
    private const int TilePairs = 32;

    private readonly CudaKernel _route, _sort, _gateUp, _down, _combine;
    private readonly nint _stream;
    private readonly ModelGeometry _geometry;
    private readonly ulong _m, _y, _experts, _weights, _sorted, _tiles, _tileCount;

    public Moe(CudaModule module, nint stream, ModelGeometry geometry, DeviceMemory memory, long rows)
    {
        if (geometry.ExpertCount > 256 || geometry.ExpertsPerToken > 32 || geometry.ExpertIntermediateSize % 8 != 0)
            throw new NotSupportedException($"{geometry.ExpertCount} experts of {geometry.ExpertIntermediateSize}, {geometry.ExpertsPerToken} a token: " +
                "the CUDA device takes up to 256, 32 a token, sizes in multiples of 8; use --device cpu");
        (_stream, _geometry) = (stream, geometry);
        _route = module.Kernel("moeRoute");
        _sort = module.Kernel("moeSort");
        _gateUp = module.Kernel("moeGateUp");
        _down = module.Kernel("moeDown");
        _combine = module.Kernel("moeCombine");
        long pairs = rows * geometry.ExpertsPerToken;
        const string What = "the activations of experts";
        _m = memory.Allocate(2 * pairs * geometry.ExpertIntermediateSize, What);
        _y = memory.Allocate(2 * pairs * geometry.HiddenSize, What);
        _experts = memory.Allocate(4 * pairs, What);
        _weights = memory.Allocate(4 * pairs, What);
        _sorted = memory.Allocate(4 * pairs, What);
        _tiles = memory.Allocate(16 * (pairs / TilePairs + geometry.ExpertCount), What);
        _tileCount = memory.Allocate(4, What);
        RouterLogits = memory.Allocate(4 * rows * geometry.ExpertCount, What);
        Shared = memory.Allocate(4 * rows * geometry.HiddenSize, What);
    }

    /// <summary>[tokens, experts] fp32.</summary>
    public ulong RouterLogits { get; }

    /// <summary>[tokens, hidden] fp32: what the shared expert gives.</summary>
    public ulong Shared { get; }

    [StructLayout(LayoutKind.Sequential)]
    private struct MoeArgs
    {
        public ulong Logits, X, GateUp, Down, SharedGate, Shared, H, M, Y, Experts, Weights, Sorted, Tiles, TileCount;
        public int Tokens, ExpertCount, Used, Hidden, Size, Normalise;
    }

    /// <summary>h += experts and the gated shared expert, from router logits, x and the shared expert's output.</summary>
    public void Run(CudaMoe weights, ulong x, ulong h, int tokens)
    {
        var g = _geometry;
        var arguments = new MoeArgs
        {
            Logits = RouterLogits,
            X = x,
            GateUp = weights.GateUp.Data,
            Down = weights.Down.Data,
            SharedGate = weights.SharedGate.Data,
            Shared = Shared,
            H = h,
            M = _m,
            Y = _y,
            Experts = _experts,
            Weights = _weights,
            Sorted = _sorted,
            Tiles = _tiles,
            TileCount = _tileCount,
            Tokens = tokens,
            ExpertCount = g.ExpertCount,
            Used = g.ExpertsPerToken,
            Hidden = g.HiddenSize,
            Size = g.ExpertIntermediateSize,
            Normalise = g.NormalizeExpertWeights ? 1 : 0,
        };
        int pairs = tokens * g.ExpertsPerToken, tiles = pairs / TilePairs + Math.Min(pairs, g.ExpertCount);
        _route.Launch(_stream, arguments, (tokens + 7) / 8, 1, 1, 256, 0, false);
        _sort.Launch(_stream, arguments, 1, 1, 1, 1024, 0, false);
        _gateUp.Launch(_stream, arguments, (g.ExpertIntermediateSize / 8 + 3) / 4, tiles, 1, 128, 0, false);
        _down.Launch(_stream, arguments, ((g.HiddenSize + 15) / 16 + 3) / 4, tiles, 1, 128, 0, false);
        _combine.Launch(_stream, arguments, tokens, 1, 1, 256, 0, false);
    }
}
