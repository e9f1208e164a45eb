using QwenServe.Compute;
using QwenServe.Engine.Scheduling;

namespace QwenServe.Engine.Execution;

/// <summary>
/// Turns a <see cref="ScheduledBatch"/> into what a device reads and drives the device through the step. Owns the device, and knows the
/// model only as the operations its forward pass issues. Created and used on the engine thread.
/// </summary>
public sealed class ModelRunner : IDisposable
{
    private const int MaxKvTokens = 1 << 30;
    private const int HiddenRowsAtOnce = 128;

    private readonly IDevice _device;
    private readonly Action _forward;
    private readonly HiddenReader? _readHidden;
    private readonly List<int> _wanted = [];
    private readonly int[] _hiddenTokens = new int[HiddenRowsAtOnce];
    private float[] _hidden = [];
    private readonly StepInputs _inputs;
    private readonly SamplingInputs _sampling;
    private readonly SamplingResults _results;
    private readonly (BlockTableOwner Owner, int Count)[] _tableRows;

    private readonly record struct BlockTableOwner(Cache.BlockTable? Table, int Version);

    private ModelRunner(IDevice device, ModelGeometry geometry, Action forward, HiddenReader? readHidden, StepLimits limits, EngineOptions options, int blocks, int maxModelLength)
    {
        _device = device;
        _forward = forward;
        _readHidden = readHidden;
        HiddenSize = geometry.HiddenSize;
        Limits = limits;
        BlockCount = blocks;
        BlockSize = options.BlockSize;
        MaxModelLength = maxModelLength;
        VocabularySize = geometry.VocabularySize;
        _inputs = new StepInputs(limits, (maxModelLength + options.BlockSize - 1) / options.BlockSize);
        _sampling = new SamplingInputs(limits.LogitRows, geometry.VocabularySize);
        _results = new SamplingResults(limits.LogitRows);
        _tableRows = new (BlockTableOwner, int)[limits.Sequences];
    }

    /// <summary>The largest step.</summary>
    public StepLimits Limits { get; }

    public int BlockCount { get; }

    public int BlockSize { get; }

    /// <summary>The options' value, or less if the KV cache holds less.</summary>
    public int MaxModelLength { get; }

    public int VocabularySize { get; }

    public int HiddenSize { get; }

    /// <summary>Whether the forward pass ends in logits.</summary>
    public bool Generates { get; private init; }

    /// <summary>Whether hidden states can be read.</summary>
    public bool Pools => _readHidden is not null;

    /// <summary>Bytes of the KV cache.</summary>
    public long KvCacheBytes { get; private init; }

    /// <summary>Type of the KV cache.</summary>
    public DType KvCacheType { get; private init; }

    private IDisposable? Model { get; init; }

    public string DeviceDescription => _device.Description;

    /// <summary>Bytes that the device could still give; engine thread.</summary>
    internal long AvailableMemory => _device.AvailableMemory;

    /// <summary>Words of a grammar mask.</summary>
    internal int MaskStride => _sampling.MaskStride;

    /// <summary>
    /// Makes the device ready for steps: activations for the largest one, then the KV cache in what memory is left. The weights must be loaded.
    /// </summary>
    /// <param name="device">Taken over: disposed with the runner.</param>
    /// <param name="geometry">The sizes the device was configured with.</param>
    /// <param name="forward">Issues the operations of one forward pass, from Embed to NormLogits.</param>
    /// <param name="options">The engine's options.</param>
    /// <param name="model">What holds weights on the device; disposed before it.</param>
    /// <param name="readHidden">Reads hidden states of the step in hand; without it no request may ask for any.</param>
    /// <param name="generates">False when <paramref name="forward"/> ends without logits.</param>
    /// <exception cref="InvalidOperationException">The memory holds not even one block, or less than the options ask for.</exception>
    public static ModelRunner Create(IDevice device, ModelGeometry geometry, Action forward, EngineOptions options, IDisposable? model = null, HiddenReader? readHidden = null, bool generates = true)
    {
        options.Validate();
        int sequences = options.MaxNumSeqs;
        var limits = new StepLimits(Math.Max(options.MaxNumBatchedTokens, sequences), sequences, Math.Max(sequences, 32), options.MaxModelLength);
        device.AllocateStep(limits);

        var type = options.KvCacheType ?? device.DefaultKvType;
        long blockBytes = geometry.KvElementsPerToken * options.BlockSize * type.Size();
        long budget = options.KvCacheBytes ?? device.KvCacheBudget(options.GpuMemoryUtilization);
        int blocks = BlocksIn(budget);
        bool probes = device.Kind == "cuda";
        if (probes && options.KvCacheBytes is null && blocks > 0)
        {
            // What libraries load and allocate for a step is known only once the largest has run.
            var largest = LargestStep.Of(limits, options.BlockSize, blocks);
            device.AllocateKvCache(largest.Sequences * largest.BlocksEach, options.BlockSize, type);
            largest.Run(device, forward, generates, limits, geometry.VocabularySize);
            budget = device.KvCacheBudget(options.GpuMemoryUtilization);
            blocks = BlocksIn(budget);
        }
        if (blocks < 1)
            throw new InvalidOperationException($"{Mebibytes(budget)} of KV cache hold not one block of {options.BlockSize} tokens ({Mebibytes(blockBytes)}); give more with --kv-cache-memory or take a smaller --block-size");
        // The device's own budget fits by construction; what an operator asks for may not.
        if (options.KvCacheBytes is not null && device.AvailableMemory is var available && blocks * blockBytes > available)
            throw new InvalidOperationException($"{Mebibytes(blocks * blockBytes)} of KV cache do not fit the {Mebibytes(available)} that the device ({device.Kind}) has free; give less with --kv-cache-memory");
        int maxModelLength = (int)Math.Min(options.MaxModelLength, (long)blocks * options.BlockSize);
        if (maxModelLength < options.MaxModelLength)
            options.Log?.Invoke($"max-model-len lowered from {options.MaxModelLength} to {maxModelLength}: {Mebibytes(budget)} of KV cache hold no more");
        device.AllocateKvCache(blocks, options.BlockSize, type);
        if (probes && options.KvCacheBytes is not null) LargestStep.Of(limits, options.BlockSize, blocks).Run(device, forward, generates, limits, geometry.VocabularySize);
        return new ModelRunner(device, geometry, forward, readHidden, limits, options, blocks, maxModelLength) { KvCacheBytes = blocks * blockBytes, KvCacheType = type, Model = model, Generates = generates };

        int BlocksIn(long bytes) => (int)Math.Min(bytes / blockBytes, MaxKvTokens / options.BlockSize);
    }

    public void Dispose()
    {
        Model?.Dispose();
        _device.Dispose();
    }

    /// <summary>Queues the batch's forward pass. Ids the host does not know yet are read on the device.</summary>
    internal void Forward(ScheduledBatch batch)
    {
        foreach (var (source, destination) in batch.Copies) _device.CopyBlock(source, destination);
        foreach (var sequence in batch.Assigned) _device.AssignSlot(sequence.Slot, sequence.Prompt, sequence.Output);

        _inputs.TokenCount = batch.TokenCount;
        _inputs.SequenceCount = batch.RowCount;
        _inputs.LogitCount = batch.LogitCount;
        batch.LogitTokens.CopyTo(_inputs.LogitTokens);
        int token = 0;
        var rows = batch.Rows;
        for (int i = 0; i < rows.Length; i++)
        {
            ref var row = ref rows[i];
            var sequence = row.Sequence;
            _inputs.QueryStarts[i] = token;
            _inputs.Slots[i] = sequence.Slot;
            _inputs.ContextLengths[i] = row.Start + row.Count;
            var known = sequence.Tokens;
            for (int position = row.Start; position < row.Start + row.Count; position++, token++)
            {
                _inputs.TokenIds[token] = position < known.Length ? known[position] : StepInputs.SampledInSlot;
                _inputs.Positions[token] = position;
            }
            CopyTable(i, sequence.Blocks);
        }
        _inputs.QueryStarts[rows.Length] = token;
        _device.Begin(_inputs);
        _device.Run(_forward);
        ReadHidden(rows);
    }

    /// <summary>Hands requests for hidden states those of the step in hand. Waits for the device, in steps that have such requests only.</summary>
    private void ReadHidden(ReadOnlySpan<ScheduledRow> rows)
    {
        for (int i = 0; i < rows.Length; i++)
        {
            var row = rows[i];
            if (row.Sequence.Group.Pooled is not { } pooled) continue;
            _wanted.Clear();
            pooled.Want(row.Start, row.Count, _wanted);
            int offset = _inputs.QueryStarts[i] - row.Start;
            for (int first = 0; first < _wanted.Count; first += HiddenRowsAtOnce)
            {
                int count = Math.Min(HiddenRowsAtOnce, _wanted.Count - first);
                if (_hidden.Length < count * HiddenSize) _hidden = new float[count * HiddenSize];
                for (int k = 0; k < count; k++) _hiddenTokens[k] = offset + _wanted[first + k];
                _readHidden!(_hiddenTokens.AsSpan(0, count), _hidden);
                for (int k = 0; k < count; k++) pooled.Take(_hidden.AsSpan(k * HiddenSize, HiddenSize));
            }
        }
    }

    /// <summary>Queues the batch's draws.</summary>
    internal void Sample(ScheduledBatch batch)
    {
        _sampling.Count = batch.SampleCount;
        _sampling.Biases.Clear();
        _sampling.Masks = batch.Masks;
        _sampling.MaskCount = batch.MaskCount;
        var samples = batch.Samples;
        for (int i = 0; i < samples.Length; i++)
        {
            ref var sample = ref samples[i];
            var sequence = sample.Sequence;
            ref var row = ref _sampling.Rows[i];
            row = sequence.Draw;
            row.LogitRow = sample.LogitRow;
            row.Slot = sequence.Slot;
            row.Position = sample.Position;
            row.Target = sample.Target;
            row.MaskRow = sample.MaskRow;
            if (sample.Target >= 0)
            {
                row.TopLogProbs = sequence.Group.Request.PromptLogProbs!.Value;
                continue;
            }
            var group = sequence.Group;
            var biases = sample.Position - sequence.PromptLength < group.Request.Sampling.MinTokens ? group.EarlyBiases : group.Biases;
            row.BiasStart = _sampling.Biases.Count;
            row.BiasCount = biases.Length;
            if (biases.Length > 0) _sampling.Biases.AddRange(biases.AsSpan());
        }
        _device.Sample(_sampling);
    }

    /// <summary>Waits for the oldest draws not yet handed out. The result is overwritten by the next call.</summary>
    internal SamplingResults Complete()
    {
        _device.Complete(_results);
        return _results;
    }

    /// <summary>Brings row i of the block tables up to date; a row that stands for the same sequence as before gets its new tail only.</summary>
    private void CopyTable(int row, Cache.BlockTable table)
    {
        ref var held = ref _tableRows[row];
        var owner = new BlockTableOwner(table, table.Version);
        int from = held.Owner == owner ? held.Count : 0;
        table.Blocks[from..].CopyTo(_inputs.BlockTables.AsSpan(row * _inputs.BlockTableStride + from));
        held = (owner, table.Count);
    }

    private static string Mebibytes(long bytes) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{bytes / 1048576.0:0.##} MiB");
}
