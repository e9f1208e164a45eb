using System.Runtime.InteropServices;
using QwenServe.Compute.Cuda;
using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Tests.Compute.Cuda;

public class AlgorithmCacheTests
{
    private static readonly ProductShape First = new(256, 4608, 3584, false, false), Second = new(8192, 3584, 18944, true, true);

    [Fact]
    public void What_was_chosen_is_there_at_the_next_start()
    {
        using var folder = new TemporaryDirectory();
        string path = Path.Combine(folder.Path, "card.algorithms");
        new AlgorithmCache(path).Put(First, Algorithm(7));

        var next = new AlgorithmCache(path);

        Assert.True(next.TryGet(First, out var kept));
        Assert.Equal(7ul, Word(kept));
        Assert.False(next.TryGet(Second, out _));
    }

    [Fact]
    public void Two_writers_keep_what_the_other_has_written()
    {
        using var folder = new TemporaryDirectory();
        string path = Path.Combine(folder.Path, "card.algorithms");
        var one = new AlgorithmCache(path);
        var other = new AlgorithmCache(path);
        one.Put(First, Algorithm(1));
        other.Put(Second, Algorithm(2));

        var next = new AlgorithmCache(path);

        Assert.True(next.TryGet(First, out var first));
        Assert.True(next.TryGet(Second, out var second));
        Assert.Equal((1ul, 2ul), (Word(first), Word(second)));
    }

    [Fact]
    public void A_damaged_file_counts_for_nothing_and_is_written_anew()
    {
        using var folder = new TemporaryDirectory();
        string path = Path.Combine(folder.Path, "card.algorithms");
        new AlgorithmCache(path).Put(First, Algorithm(7));
        byte[] bytes = File.ReadAllBytes(path);
        bytes[20] ^= 1;
        File.WriteAllBytes(path, bytes);

        var cache = new AlgorithmCache(path);
        Assert.False(cache.TryGet(First, out _));
        cache.Put(First, Algorithm(8));

        Assert.True(new AlgorithmCache(path).TryGet(First, out var kept));
        Assert.Equal(8ul, Word(kept));
    }

    [Fact]
    public void A_folder_that_cannot_be_written_costs_nothing_but_time()
    {
        using var folder = new TemporaryDirectory();
        string file = Path.Combine(folder.Path, "file");
        File.WriteAllText(file, "");
        var cache = new AlgorithmCache(Path.Combine(file, "below", "card.algorithms"));

        cache.Put(First, Algorithm(7));

        Assert.True(cache.TryGet(First, out _));
    }

    private static cublasLtMatmulAlgo_t Algorithm(ulong word)
    {
        var algorithm = default(cublasLtMatmulAlgo_t);
        MemoryMarshal.Write(MemoryMarshal.AsBytes(MemoryMarshal.CreateSpan(ref algorithm, 1)), in word);
        return algorithm;
    }

    private static ulong Word(cublasLtMatmulAlgo_t algorithm) => MemoryMarshal.Read<ulong>(MemoryMarshal.AsBytes(MemoryMarshal.CreateSpan(ref algorithm, 1)));
}
