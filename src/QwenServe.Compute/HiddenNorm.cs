using System.Numerics;

namespace QwenServe.Compute;

/// <summary>The last norm of a hidden state that leaves the device, on the host in fp32.</summary>
internal static class HiddenNorm
{
    /// <summary>y = x / sqrt(mean(x²) + epsilon) · weight, summed in one fixed order. y may be x.</summary>
    public static void Apply(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, float epsilon, Span<float> y)
    {
        int width = Vector<float>.Count, whole = x.Length - x.Length % width;
        var lanes = Vector<float>.Zero;
        for (int i = 0; i < whole; i += width)
        {
            var v = new Vector<float>(x.Slice(i, width));
            lanes += v * v;
        }
        float squares = Vector.Sum(lanes);
        for (int i = whole; i < x.Length; i++) squares += x[i] * x[i];
        float scale = 1 / MathF.Sqrt(squares / x.Length + epsilon);
        for (int i = 0; i < whole; i += width) (new Vector<float>(x.Slice(i, width)) * scale * new Vector<float>(weight.Slice(i, width))).CopyTo(y[i..]);
        for (int i = whole; i < x.Length; i++) y[i] = x[i] * scale * weight[i];
    }
}
