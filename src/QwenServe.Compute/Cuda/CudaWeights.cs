namespace QwenServe.Compute.Cuda;

/// <summary>A matrix [rows, columns] in bf16, row-major as in the checkpoint, with an optional fp32 bias.</summary>
internal sealed class CudaMatrix(DeviceMemory memory, ulong data, ulong bias, int rows, int columns) : Weights
{
    public ulong Data { get; private set; } = data;
    public ulong Bias { get; private set; } = bias;
    public int Rows { get; } = rows;
    public int Columns { get; } = columns;
    public override long Bytes => 2L * Rows * Columns + (Bias != 0 ? 4L * Rows : 0);

    public override void Dispose()
    {
        memory.Free(Data);
        memory.Free(Bias);
        Data = Bias = 0;
    }
}

/// <summary>fp32 numbers: a norm's weights, or rotary turns.</summary>
internal sealed class CudaVector(DeviceMemory memory, ulong data, long count) : Weights
{
    public ulong Data { get; private set; } = data;
    public override long Bytes => 4 * count;

    public override void Dispose()
    {
        memory.Free(Data);
        Data = 0;
    }
}

/// <summary>A sparse layer: router [E, H], experts' gate over up [E, 2I, H] and down [E, H, I], shared expert likewise, its gate [H] in fp32.</summary>
internal sealed class CudaMoe(CudaMatrix router, CudaMatrix gateUp, CudaMatrix down, CudaMatrix sharedGateUp, CudaMatrix sharedDown, CudaVector sharedGate) : Weights
{
    public CudaMatrix Router { get; } = router;
    public CudaMatrix GateUp { get; } = gateUp;
    public CudaMatrix Down { get; } = down;
    public CudaMatrix SharedGateUp { get; } = sharedGateUp;
    public CudaMatrix SharedDown { get; } = sharedDown;
    public CudaVector SharedGate { get; } = sharedGate;
    public override long Bytes => Router.Bytes + GateUp.Bytes + Down.Bytes + SharedGateUp.Bytes + SharedDown.Bytes + SharedGate.Bytes;

    public override void Dispose()
    {
        Router.Dispose();
        GateUp.Dispose();
        Down.Dispose();
        SharedGateUp.Dispose();
        SharedDown.Dispose();
        SharedGate.Dispose();
    }
}
