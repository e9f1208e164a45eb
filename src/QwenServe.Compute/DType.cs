namespace QwenServe.Compute;

/// <summary>How one number of a tensor is stored.</summary>
public enum DType
{
    /// <summary>IEEE 754 binary32.</summary>
    F32,

    /// <summary>bfloat16: the upper half of a binary32.</summary>
    BF16,

    /// <summary>IEEE 754 binary16.</summary>
    F16,
}

public static class DTypes
{
    /// <summary>Bytes of one element.</summary>
    public static int Size(this DType type) => type == DType.F32 ? 4 : 2;
}
