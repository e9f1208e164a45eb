namespace QwenServe.Compute.Cpu;

/// <summary>A norm's weights.</summary>
internal sealed class CpuVector(NativeBuffer values, int length) : Weights
{
    public NativeBuffer Values => values;

    public int Length => length;

    public override long Bytes => values.Bytes;

    public override void Dispose() => values.Dispose();
}

/// <summary>A linear layer, a gate and up pair, or an embedding table.</summary>
internal sealed class CpuMatrix(PackedMatrix matrix) : Weights
{
    public PackedMatrix Matrix => matrix;

    public override long Bytes => matrix.Bytes;

    public override void Dispose() => matrix.Dispose();
}

/// <summary>The parameters of the rotary embedding; angles are computed once a step, for its positions only.</summary>
internal sealed class CpuRope(float[] inverseFrequencies, float scale) : Weights
{
    public float[] InverseFrequencies => inverseFrequencies;

    public float Scale => scale;

    public override long Bytes => inverseFrequencies.Length * sizeof(float);

    public override void Dispose()
    {
    }
}

/// <summary>A sparse layer; the shared expert's gate is one more row of the router.</summary>
internal sealed class CpuMoe(
    PackedMatrix router, PackedMatrix[] gateUp, PackedMatrix[] down, PackedMatrix sharedGateUp, PackedMatrix sharedDown) : Weights
{
    public PackedMatrix Router => router;

    public PackedMatrix[] GateUp => gateUp;

    public PackedMatrix[] Down => down;

    public PackedMatrix SharedGateUp => sharedGateUp;

    public PackedMatrix SharedDown => sharedDown;

    public override long Bytes => router.Bytes + sharedGateUp.Bytes + sharedDown.Bytes + gateUp.Sum(m => m.Bytes) + down.Sum(m => m.Bytes);

    public override void Dispose()
    {
        router.Dispose();
        sharedGateUp.Dispose();
        sharedDown.Dispose();
        foreach (var matrix in gateUp) matrix.Dispose();
        foreach (var matrix in down) matrix.Dispose();
    }
}
