using System.Runtime.InteropServices;
using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Compute.Cuda.Kernels;

/// <summary>
/// Draws on the device (Sampling.cu). Owns per slot the last drawn token and the counts that penalties use, and the memory
/// through which requests go in and ids come out, several steps deep. Requests travel on a stream of their own while the forward pass runs, and the
/// last kernel writes the ids straight to the host's memory, so that no copy stands between two steps.
/// </summary>
internal sealed unsafe class Sampling
{
    private const int Depth = 4, MaxTop = SamplingResults.MaxTopLogProbs, MaxK = 64, ResultInts = 3 + 2 * MaxTop, BiasesARow = 1024;

    private readonly CudaKernel _chunks, _wide, _merge, _count;
    private readonly nint _stream, _copies;
    private readonly int _vocabulary, _maxRows, _slots, _maskStride;
    private readonly ulong _chunkResults, _candidates, _tops, _scratch, _wideIds, _tokens;
    private readonly ulong[] _rows = new ulong[Depth], _biases = new ulong[Depth], _masks = new ulong[Depth];
    private readonly byte*[] _staging = new byte*[Depth], _read = new byte*[Depth], _tokenStaging = new byte*[Depth];
    private readonly nint[] _sent = new nint[Depth], _used = new nint[Depth], _ready = new nint[Depth], _tokensStaged = new nint[Depth];
    private readonly int[] _counts = new int[Depth];
    private readonly bool[] _withLogProbs = new bool[Depth];
    private readonly int _maxBiases, _maxTokens;
    private int _stagingTurn, _writeTurn, _readTurn, _tokenTurn;

    public Sampling(CudaModule module, nint stream, DeviceMemory memory, int vocabulary, StepLimits limits, ulong vocabularyMask)
    {
        if (vocabulary % 2 != 0) throw new NotSupportedException($"a vocabulary of {vocabulary} rows: the CUDA device wants an even number; use --device cpu");
        (_stream, _vocabulary, _maxRows, _slots) = (stream, vocabulary, Math.Max(limits.LogitRows, limits.Sequences), limits.Sequences);
        _maskStride = (vocabulary + 31) / 32;
        _maxBiases = BiasesARow * limits.Sequences;
        _maxTokens = 2 * limits.ContextLength + 16;
        VocabularyMask = vocabularyMask;
        _chunks = module.Kernel("sampleChunks", ChunkSize(8) * 4);
        _wide = module.Kernel("sampleWide");
        _merge = module.Kernel("sampleMerge");
        _count = module.Kernel("countTokens");
        const string What = "sampling";
        CudaDriver.cuStreamCreate(out _copies, 1).Check(nameof(CudaDriver.cuStreamCreate));
        long shares = 0;
        for (int n = 1; n <= _maxRows; n++) shares = Math.Max(shares, (long)n * ChunksFor(n));
        _chunkResults = memory.Allocate(shares * 32, What);
        _candidates = memory.Allocate(shares * MaxK * 8, What);
        _tops = memory.Allocate(shares * MaxTop * 8, What);
        _scratch = memory.Allocate(4L * vocabulary * _slots, What);
        _wideIds = memory.Allocate(4L * _maxRows, What);
        _tokens = memory.Allocate(4L * _maxTokens, What);
        Counts = memory.Allocate(2L * vocabulary * _slots, What);
        SlotTokens = memory.Allocate(4L * _slots, What);
        CudaDriver.cuMemsetD8Async(Counts, 0, (nuint)(2L * vocabulary * _slots), stream).Check(nameof(CudaDriver.cuMemsetD8Async));
        CudaDriver.cuMemsetD8Async(SlotTokens, 0, (nuint)(4L * _slots), stream).Check(nameof(CudaDriver.cuMemsetD8Async));
        long stagingBytes = (long)_maxRows * sizeof(SamplingRow) + 8L * _maxBiases + 4L * _maskStride * _slots;
        for (int i = 0; i < Depth; i++)
        {
            _rows[i] = memory.Allocate((long)_maxRows * sizeof(SamplingRow), What);
            _biases[i] = memory.Allocate(8L * _maxBiases, What);
            _masks[i] = memory.Allocate(4L * _maskStride * _slots, What);
            _staging[i] = memory.AllocatePinned(stagingBytes);
            _read[i] = memory.AllocatePinned(4L * ResultInts * _maxRows);
            _tokenStaging[i] = memory.AllocatePinned(4L * _maxTokens);
            CudaDriver.cuEventCreate(out _sent[i], 2).Check(nameof(CudaDriver.cuEventCreate));
            CudaDriver.cuEventCreate(out _used[i], 2).Check(nameof(CudaDriver.cuEventCreate));
            CudaDriver.cuEventCreate(out _ready[i], 2).Check(nameof(CudaDriver.cuEventCreate));
            CudaDriver.cuEventCreate(out _tokensStaged[i], 2).Check(nameof(CudaDriver.cuEventCreate));
        }
    }

    /// <summary>[slots]: the last token drawn.</summary>
    public ulong SlotTokens { get; }

    /// <summary>[slots, vocabulary] 16 bits: the upper bit for the prompt's ids, below it how often the id was drawn.</summary>
    public ulong Counts { get; }

    /// <summary>Bits of the ids that have a token.</summary>
    public ulong VocabularyMask { get; }

    [StructLayout(LayoutKind.Sequential)]
    private struct SampleArgs
    {
        public ulong Logits, Rows, Biases, Masks, Vocabulary, Counts, SlotTokens, Chunks, Candidates, Tops, Scratch, Wide, Results;
        public int VocabularySize, ChunkCount, ChunkSize, MaskStride, MaxRows;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct CountArgs
    {
        public ulong Counts, Tokens, SlotToken;
        public int Prompt, Output;
    }

    private static int ChunksFor(int rows) => rows > 32 ? 8 : 16;

    private int ChunkSize(int chunks) => ((_vocabulary + chunks - 1) / chunks + 31) & ~31;

    public void AssignSlot(int slot, ReadOnlySpan<int> prompt, ReadOnlySpan<int> output)
    {
        ulong counts = Counts + (ulong)(2L * slot * _vocabulary);
        CudaDriver.cuMemsetD8Async(counts, 0, (nuint)(2L * _vocabulary), _stream).Check(nameof(CudaDriver.cuMemsetD8Async));
        int total = prompt.Length + output.Length;
        if (total > _maxTokens) throw new ArgumentException($"{total} tokens in a slot of {_maxTokens}");
        int turn = _tokenTurn++ % Depth;
        CudaDriver.cuEventSynchronize(_tokensStaged[turn]).Check(nameof(CudaDriver.cuEventSynchronize));
        prompt.CopyTo(new Span<int>(_tokenStaging[turn], prompt.Length));
        output.CopyTo(new Span<int>(_tokenStaging[turn] + 4L * prompt.Length, output.Length));
        if (total > 0) Send(_tokens, _tokenStaging[turn], 4L * total, _stream);
        CudaDriver.cuEventRecord(_tokensStaged[turn], _stream).Check(nameof(CudaDriver.cuEventRecord));
        _count.Launch(_stream, new CountArgs { Counts = counts, Tokens = _tokens, SlotToken = SlotTokens + (ulong)(4 * slot), Prompt = prompt.Length, Output = output.Length }, 1, 1, 1, 1024, 0, false);
    }

    public void Sample(SamplingInputs inputs, ulong logits)
    {
        int count = inputs.Count;
        if (count > _maxRows || inputs.Biases.Count > _maxBiases || inputs.MaskCount > _slots)
            throw new ArgumentException($"{count} rows, {inputs.Biases.Count} biases, {inputs.MaskCount} masks; at most {_maxRows}, {_maxBiases}, {_slots}");
        int slot = _writeTurn % Depth;
        if (_writeTurn - _readTurn >= Depth) throw new InvalidOperationException("too many steps are waiting for Complete");
        bool wide = false, logProbs = false;
        if (count > 0)
        {
            int turn = _stagingTurn++ % Depth;
            CudaDriver.cuEventSynchronize(_used[turn]).Check(nameof(CudaDriver.cuEventSynchronize));
            var rows = new Span<SamplingRow>(_staging[turn], count);
            inputs.Rows.AsSpan(0, count).CopyTo(rows);
            foreach (ref readonly var row in rows)
            {
                wide |= row.Target < 0 && IsWide(row);
                logProbs |= row.TopLogProbs >= 0;
            }
            Send(_rows[turn], _staging[turn], (long)count * sizeof(SamplingRow), _copies);
            byte* next = _staging[turn] + (long)_maxRows * sizeof(SamplingRow);
            if (inputs.Biases.Count > 0)
            {
                CollectionsMarshal.AsSpan(inputs.Biases).CopyTo(new Span<TokenBias>(next, inputs.Biases.Count));
                Send(_biases[turn], next, 8L * inputs.Biases.Count, _copies);
            }
            next += 8L * _maxBiases;
            if (inputs.MaskCount > 0)
            {
                inputs.Masks.AsSpan(0, inputs.MaskCount * _maskStride).CopyTo(new Span<uint>(next, inputs.MaskCount * _maskStride));
                Send(_masks[turn], next, 4L * inputs.MaskCount * _maskStride, _copies);
            }
            CudaDriver.cuEventRecord(_sent[turn], _copies).Check(nameof(CudaDriver.cuEventRecord));
            CudaDriver.cuStreamWaitEvent(_stream, _sent[turn], 0).Check(nameof(CudaDriver.cuStreamWaitEvent));

            int chunks = ChunksFor(count);
            var arguments = new SampleArgs
            {
                Logits = logits,
                Rows = _rows[turn],
                Biases = _biases[turn],
                Masks = _masks[turn],
                Vocabulary = VocabularyMask,
                Counts = Counts,
                SlotTokens = SlotTokens,
                Chunks = _chunkResults,
                Candidates = _candidates,
                Tops = _tops,
                Scratch = _scratch,
                Wide = _wideIds,
                // Page-locked memory has one address for host and card.
                Results = (ulong)_read[slot],
                VocabularySize = _vocabulary,
                ChunkCount = chunks,
                ChunkSize = ChunkSize(chunks),
                MaskStride = _maskStride,
                MaxRows = _maxRows,
            };
            _chunks.Launch(_stream, arguments, chunks, count, 1, 512, ChunkSize(chunks) * 4, false);
            if (wide) _wide.Launch(_stream, arguments, count, 1, 1, 1024, 0, true);
            _merge.Launch(_stream, arguments, count, 1, 1, 256, 1024 * 8, true);
            CudaDriver.cuEventRecord(_used[turn], _stream).Check(nameof(CudaDriver.cuEventRecord));
        }
        CudaDriver.cuEventRecord(_ready[slot], _stream).Check(nameof(CudaDriver.cuEventRecord));
        _counts[slot] = count;
        _withLogProbs[slot] = logProbs;
        _writeTurn++;
    }

    public void Complete(SamplingResults results)
    {
        if (_readTurn == _writeTurn) throw new InvalidOperationException("no step is waiting for Complete");
        int slot = _readTurn++ % Depth, count = _counts[slot];
        CudaDriver.cuEventSynchronize(_ready[slot]).Check($"{nameof(CudaDriver.cuEventSynchronize)} at the end of a step");
        results.Count = count;
        var read = (int*)_read[slot];
        new Span<int>(read, count).CopyTo(results.Tokens);
        for (int i = 0; i < count; i++) results.Status[i] = read[_maxRows + i] == 0 ? SampleStatus.Sampled : SampleStatus.NonFinite;
        if (!_withLogProbs[slot]) return;
        new Span<float>(read + 2 * _maxRows, count).CopyTo(results.LogProbs);
        new Span<int>(read + 3 * _maxRows, count * MaxTop).CopyTo(results.TopTokens);
        new Span<float>(read + (3 + MaxTop) * _maxRows, count * MaxTop).CopyTo(results.TopLogProbs);
    }

    private bool IsWide(in SamplingRow row)
    {
        if (row.Temperature <= 0) return false;
        bool limited = row.TopK > 0 && row.TopK < _vocabulary;
        return !limited || row.TopK > MaxK;
    }

    private static void Send(ulong destination, byte* source, long bytes, nint stream)
        => CudaDriver.cuMemcpyHtoDAsync_v2(destination, source, (nuint)bytes, stream).Check(nameof(CudaDriver.cuMemcpyHtoDAsync_v2));

    /// <summary>Destroys events and stream; memory belongs to the device.</summary>
    public void Destroy()
    {
        for (int i = 0; i < Depth; i++)
        {
            _ = CudaDriver.cuEventDestroy_v2(_sent[i]);
            _ = CudaDriver.cuEventDestroy_v2(_used[i]);
            _ = CudaDriver.cuEventDestroy_v2(_ready[i]);
            _ = CudaDriver.cuEventDestroy_v2(_tokensStaged[i]);
        }
        _ = CudaDriver.cuStreamDestroy_v2(_copies);
    }
}
