using QwenServe.Compute;

namespace QwenServe.Tests.Engine;

/// <summary>
/// A device whose model is a hash. The KV entry of a token is made of the token, its place and everything that the sequence's blocks say
/// came before it; a draw is made of the entries read back through the block table, the row's parameters and the slot's counts. Whatever goes
/// wrong with blocks, shared prefixes, copies, slots or recomputation therefore changes the tokens, which <see cref="ScriptedModel"/> knows
/// without any of these. It also refuses inputs that break the contract of <see cref="StepInputs"/>.
/// </summary>
internal sealed class ScriptedDevice : IDevice
{
    private readonly Queue<SamplingResults> _sampled = new();
    private readonly Random _garbage = new(12345);
    private StepLimits _limits;
    private ulong[] _entries = [];
    private ulong[] _logits = [];
    private ulong[] _states = [];
    private (int Last, ulong Prompt, ulong Output)[] _slots = [];
    private int _blockSize;
    private StepInputs? _inputs;

    public int Copies { get; private set; }

    public int Steps { get; private set; }

    public long ComputedTokens { get; private set; }

    /// <summary>Tokens of each row of the last step.</summary>
    public List<int> LastRows { get; } = [];

    /// <summary>Makes the next step throw.</summary>
    public Exception? Fault { get; set; }

    /// <summary>Called in each forward pass.</summary>
    public Action? OnForward { get; set; }

    public bool Disposed { get; private set; }

    public string Description => "scripted";

    public string Kind => "scripted";

    public long AvailableMemory { get; init; } = 1L << 40;

    public DType DefaultKvType => DType.F32;

    public void Forward()
    {
        OnForward?.Invoke();
        if (Fault is { } fault) throw fault;
        var inputs = _inputs ?? throw new InvalidOperationException("no step was begun");
        var wanted = new Dictionary<int, int>();
        for (int i = 0; i < inputs.LogitCount; i++) wanted.Add(inputs.LogitTokens[i], i);
        for (int s = 0; s < inputs.SequenceCount; s++)
        {
            var table = inputs.BlockTables.AsSpan(s * inputs.BlockTableStride, inputs.BlockTableStride);
            int first = inputs.QueryStarts[s], end = inputs.QueryStarts[s + 1];
            ulong state = ScriptedModel.Start;
            for (int position = 0; position < inputs.Positions[first]; position++)
                state = ScriptedModel.Read(state, _entries[table[position / _blockSize] * _blockSize + position % _blockSize]);
            for (int t = first; t < end; t++)
            {
                int position = inputs.Positions[t];
                int token = inputs.TokenIds[t] == StepInputs.SampledInSlot ? _slots[inputs.Slots[s]].Last : inputs.TokenIds[t];
                ulong entry = ScriptedModel.Entry(state, token, position);
                _entries[table[position / _blockSize] * _blockSize + position % _blockSize] = entry;
                state = ScriptedModel.Read(state, entry);
                if (wanted.Remove(t, out int row)) _logits[row] = state;
                _states[t] = state;
            }
        }
        Assert.Empty(wanted);
        _inputs = null;
        Steps++;
    }

    public void AllocateStep(StepLimits limits)
    {
        _limits = limits;
        _logits = new ulong[limits.LogitRows];
        _states = new ulong[limits.Tokens];
        _slots = new (int, ulong, ulong)[limits.Sequences];
    }

    public long KvCacheBudget(double utilization) => 1 << 20;

    public void AllocateKvCache(int blocks, int blockSize, DType type)
    {
        _blockSize = blockSize;
        _entries = new ulong[blocks * blockSize];
        foreach (ref ulong entry in _entries.AsSpan()) entry = (ulong)_garbage.NextInt64();
    }

    public void CopyBlock(int source, int destination)
    {
        Assert.NotEqual(source, destination);
        Copies++;
        _entries.AsSpan(source * _blockSize, _blockSize).CopyTo(_entries.AsSpan(destination * _blockSize, _blockSize));
    }

    public void AssignSlot(int slot, ReadOnlySpan<int> prompt, ReadOnlySpan<int> output)
        => _slots[slot] = (-7, ScriptedModel.Count(prompt), ScriptedModel.Count(output));

    public void Begin(StepInputs inputs)
    {
        Assert.InRange(inputs.TokenCount, 1, _limits.Tokens);
        Assert.InRange(inputs.SequenceCount, 1, _limits.Sequences);
        Assert.InRange(inputs.LogitCount, 0, _limits.LogitRows);
        Assert.Equal(inputs.TokenCount, inputs.QueryStarts[inputs.SequenceCount]);
        var slots = new HashSet<int>();
        var users = new Dictionary<int, int>();
        bool chunks = false;
        LastRows.Clear();
        for (int s = 0; s < inputs.SequenceCount; s++)
        {
            int first = inputs.QueryStarts[s], count = inputs.QueryStarts[s + 1] - first;
            LastRows.Add(count);
            Assert.True(count >= 1);
            Assert.False(chunks && count == 1, "a sequence with one token comes after one with more");
            chunks |= count > 1;
            Assert.True(slots.Add(inputs.Slots[s]), "two sequences in one slot");
            for (int t = 0; t < count; t++) Assert.Equal(inputs.Positions[first] + t, inputs.Positions[first + t]);
            Assert.Equal(inputs.Positions[first] + count, inputs.ContextLengths[s]);
            for (int b = 0; b < (inputs.ContextLengths[s] + _blockSize - 1) / _blockSize; b++)
            {
                int block = inputs.BlockTables[s * inputs.BlockTableStride + b];
                users[block] = users.GetValueOrDefault(block) + 1;
            }
        }
        for (int s = 0; s < inputs.SequenceCount; s++)
            for (int b = inputs.Positions[inputs.QueryStarts[s]] / _blockSize; b < (inputs.ContextLengths[s] + _blockSize - 1) / _blockSize; b++)
                Assert.True(users[inputs.BlockTables[s * inputs.BlockTableStride + b]] == 1, "a block is written that another sequence of the step reads");
        ComputedTokens += inputs.TokenCount;
        _inputs = inputs;
    }

    public void Run(Action forward) => forward();

    public void Sample(SamplingInputs inputs)
    {
        Assert.InRange(inputs.Count, 0, _limits.LogitRows);
        var results = new SamplingResults(Math.Max(inputs.Count, 1)) { Count = inputs.Count };
        for (int i = 0; i < inputs.Count; i++)
        {
            ref var row = ref inputs.Rows[i];
            ulong logits = _logits[row.LogitRow];
            results.Status[i] = logits == ScriptedModel.Poisoned ? SampleStatus.NonFinite : SampleStatus.Sampled;
            if (logits == ScriptedModel.Poisoned) continue;
            ref var slot = ref _slots[row.Slot];
            int token = row.Target;
            if (token < 0)
            {
                var mask = row.MaskRow < 0 ? default : inputs.Masks.AsSpan(row.MaskRow * inputs.MaskStride, inputs.MaskStride);
                var banned = new HashSet<int>();
                for (int b = row.BiasStart; b < row.BiasStart + row.BiasCount; b++)
                    if (float.IsNegativeInfinity(inputs.Biases[b].Bias)) banned.Add(inputs.Biases[b].Token);
                token = ScriptedModel.Draw(logits, row.Seed, row.Position, slot.Prompt, slot.Output, banned, mask);
                slot.Last = token;
                slot.Output += ScriptedModel.Count([token]);
            }
            results.Tokens[i] = token;
            if (row.TopLogProbs < 0) continue;
            results.LogProbs[i] = ScriptedModel.LogProb(logits, token);
            for (int k = 0; k < row.TopLogProbs; k++)
            {
                int top = ScriptedModel.Top(logits, k);
                results.TopTokens[i * SamplingResults.MaxTopLogProbs + k] = top;
                results.TopLogProbs[i * SamplingResults.MaxTopLogProbs + k] = ScriptedModel.LogProb(logits, top);
            }
        }
        _sampled.Enqueue(results);
    }

    public void Complete(SamplingResults results)
    {
        var oldest = _sampled.Dequeue();
        results.Count = oldest.Count;
        oldest.Tokens.AsSpan(0, oldest.Count).CopyTo(results.Tokens);
        oldest.Status.AsSpan(0, oldest.Count).CopyTo(results.Status);
        oldest.LogProbs.AsSpan(0, oldest.Count).CopyTo(results.LogProbs);
        oldest.TopTokens.AsSpan(0, oldest.Count * SamplingResults.MaxTopLogProbs).CopyTo(results.TopTokens);
        oldest.TopLogProbs.AsSpan(0, oldest.Count * SamplingResults.MaxTopLogProbs).CopyTo(results.TopLogProbs);
    }

    public void Dispose() => Disposed = true;

    public void Configure(ModelGeometry geometry, DType? weightType) => throw new NotSupportedException();

    public Weights LoadVector(HostTensor source) => throw new NotSupportedException();

    public Weights LoadLinear(ReadOnlySpan<HostTensor> parts, ReadOnlySpan<HostTensor> biases) => throw new NotSupportedException();

    public Weights LoadGateUp(HostTensor gate, HostTensor up) => throw new NotSupportedException();

    public Weights LoadEmbedding(HostTensor table, bool tied) => throw new NotSupportedException();

    public Weights LoadMoe(MoeSource source) => throw new NotSupportedException();

    public Weights LoadRope(ReadOnlySpan<float> inverseFrequencies, float scale, int maxPositions) => throw new NotSupportedException();

    public void SetVocabulary(ReadOnlySpan<uint> tokenIds) => throw new NotSupportedException();

    public void Embed(Weights embedding) => throw new NotSupportedException();

    public void NormQkvRopeStore(int layer, Weights norm, Weights qkv, Weights rope) => throw new NotSupportedException();

    public void Attend(int layer, int window) => throw new NotSupportedException();

    public void OutputAdd(Weights output, Weights next) => throw new NotSupportedException();

    public void NormGateUpSwiglu(Weights norm, Weights gateUp) => throw new NotSupportedException();

    public void DownAdd(Weights down, Weights next) => throw new NotSupportedException();

    public void NormRouteExperts(Weights norm, Weights moe) => throw new NotSupportedException();

    public void NormLogits(Weights norm, Weights head) => throw new NotSupportedException();

    public void ReadLogits(int row, Span<float> destination) => throw new NotSupportedException();

    public void ReadHidden(ReadOnlySpan<int> tokens, Span<float> destination)
    {
        for (int i = 0; i < tokens.Length; i++) destination[i] = ScriptedModel.Hidden(_states[tokens[i]]);
    }

    public void ReadHidden(Weights norm, ReadOnlySpan<int> tokens, Span<float> destination) => throw new NotSupportedException();
}
