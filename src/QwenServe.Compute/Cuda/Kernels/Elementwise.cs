using System.Runtime.InteropServices;

namespace QwenServe.Compute.Cuda.Kernels;

/// <summary>Launches of Elementwise.cu.</summary>
internal sealed class Elementwise(CudaModule module, nint stream)
{
    private readonly CudaKernel _embed = module.Kernel("embed"), _norm = module.Kernel("rmsNorm"), _ropeStore = module.Kernel("ropeStore"),
        _swiglu = module.Kernel("swiglu"), _ropeTable = module.Kernel("ropeTable"), _copyBlock = module.Kernel("copyBlock"), _copy = module.Kernel("copy");

    [StructLayout(LayoutKind.Sequential)]
    private struct EmbedArgs
    {
        public ulong Table, H, Ids, TokenSequences, Slots, SlotTokens;
        public int Hidden;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct NormArgs
    {
        public ulong H, Weight, X, Rows;
        public float Epsilon;
        public int Hidden;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct RopeStoreArgs
    {
        public ulong Qkv, Bias, Turns, Positions, CacheSlots, Keys, Values;
        public int Heads, KvHeads, HeadDim, BlockSize, MaxPositions;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct SwigluArgs
    {
        public ulong GateUp, M;
        public int Tokens, Size;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct RopeTableArgs
    {
        public ulong Turns, Frequencies;
        public float Scale;
        public int Half;
        public long Count;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct CopyBlockArgs
    {
        public ulong Cache;
        public long LayerStride, BlockElements;
        public int Source, Destination;
    }

    public void Embed(ulong table, ulong h, int tokens, int hidden, in StepAddresses step, ulong slotTokens)
        => _embed.Launch(stream, new EmbedArgs { Table = table, H = h, Ids = step.Ids, TokenSequences = step.TokenSequences, Slots = step.Slots, SlotTokens = slotTokens, Hidden = hidden },
            tokens, 1, 1, 256, 0, false);

    /// <summary>x = RMSNorm(h); with rows, row r of x is that of h[rows[r]].</summary>
    public void Norm(ulong h, ulong weight, ulong x, ulong rows, int count, int hidden, float epsilon)
        => _norm.Launch(stream, new NormArgs { H = h, Weight = weight, X = x, Rows = rows, Epsilon = epsilon, Hidden = hidden }, count, 1, 1, 256, 0, true);

    public void RopeStore(ulong qkv, ulong bias, ulong turns, ulong keys, ulong values, int tokens, ModelGeometry geometry, int blockSize, in StepAddresses step)
        => _ropeStore.Launch(stream, new RopeStoreArgs
        {
            Qkv = qkv,
            Bias = bias,
            Turns = turns,
            Positions = step.Positions,
            CacheSlots = step.CacheSlots,
            Keys = keys,
            Values = values,
            Heads = geometry.HeadCount,
            KvHeads = geometry.KvHeadCount,
            HeadDim = geometry.HeadDim,
            BlockSize = blockSize,
        }, (geometry.HeadCount + 2 * geometry.KvHeadCount + 7) / 8, tokens, 1, 256, 0, true);

    public void Swiglu(ulong gateUp, ulong m, int tokens, int size)
        => _swiglu.Launch(stream, new SwigluArgs { GateUp = gateUp, M = m, Tokens = tokens, Size = size },
            (int)Math.Min(((long)tokens * (size / 8) + 255) / 256, 132 * 32), 1, 1, 256, 0, true);

    public void RopeTable(ulong turns, ulong frequencies, float scale, int half, long positions)
        => _ropeTable.Launch(stream, new RopeTableArgs { Turns = turns, Frequencies = frequencies, Scale = scale, Half = half, Count = positions * half },
            (int)((positions * half + 255) / 256), 1, 1, 256, 0, false);

    public void CopyBlock(ulong cache, long layerStride, long blockElements, int layers, int source, int destination)
        => _copyBlock.Launch(stream, new CopyBlockArgs { Cache = cache, LayerStride = layerStride, BlockElements = blockElements, Source = source, Destination = destination },
            layers, 1, 1, 256, 0, false);

    [StructLayout(LayoutKind.Sequential)]
    private struct CopyArgs
    {
        public ulong From, To;
        public long Count;
    }

    public void Copy(ulong from, ulong to, long bytes) => _copy.Launch(stream, new CopyArgs { From = from, To = to, Count = bytes / 16 }, 132 * 4, 1, 1, 512, 0, false);
}
