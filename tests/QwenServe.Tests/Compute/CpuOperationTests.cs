using QwenServe.Compute;
using QwenServe.Compute.Cpu;
using QwenServe.Compute.Reference;

namespace QwenServe.Tests.Compute;

public class CpuOperationTests
{
    public static TheoryData<string> Cases => [.. OperationCase.All.Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Every_operation_agrees_with_the_oracle(string name)
    {
        var operationCase = OperationCase.All.Single(c => c.Name == name);
        using var device = new CpuDevice(new CpuOptions { Threads = 2 });
        using var oracle = new ReferenceDevice();
        // Rounding at 16 bits of a key or value may fall to the other side of a tie; elsewhere the bound is fp32's.
        double tolerance = operationCase.Cache == DType.F32 ? 2e-5 : 2e-2;
        Assert.InRange(operationCase.Compare(device, oracle), 0, tolerance);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Results_are_the_same_bits_with_any_number_of_threads(string name)
    {
        var operationCase = OperationCase.All.Single(c => c.Name == name);
        using var one = new CpuDevice(new CpuOptions { Threads = 1 });
        using var four = new CpuDevice(new CpuOptions { Threads = 4 });
        float[][] expected = operationCase.Execute(one);
        float[][] actual = operationCase.Execute(four);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i]);
    }
}
