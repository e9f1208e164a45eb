using QwenServe.Compute.Cuda.Interop;

namespace QwenServe.Compute.Cuda;

/// <summary>Where the inputs of the step in hand lie on the card. Fixed for a layout, so that recorded graphs stay valid.</summary>
internal readonly record struct StepAddresses(ulong TableStride, ulong Ids, ulong Positions, ulong CacheSlots, ulong TokenSequences,
    ulong QueryStarts, ulong Contexts, ulong Slots, ulong LogitTokens, ulong Tiles, ulong Tables);

/// <summary>
/// Brings step inputs to the card in one copy. There are two layouts of the same memory: one for steps of single tokens, whose arrays
/// are small, and one for the others. Pinned buffers take turns, so that the next step is written while the copy of one before is pending.
/// </summary>
internal sealed unsafe class StepStaging
{
    private const int Depth = 3, Header = 16;

    private readonly nint _stream;
    private readonly ulong _device;
    private readonly byte*[] _pinned = new byte*[Depth];
    private readonly nint[] _sent = new nint[Depth];
    private readonly int[] _order;
    private readonly int[] _lengths;
    private readonly int _tokens, _sequences, _logits, _tiles;
    private readonly Layout _decode, _general;
    private int _turn;

    private readonly record struct Layout(int Ids, int Positions, int CacheSlots, int TokenSequences, int QueryStarts, int Contexts, int Slots, int LogitTokens, int Tiles, int Tables)
    {
        public static Layout Of(int tokens, int sequences, int logits, int tiles)
        {
            int at = Header;
            return new Layout(Take(tokens), Take(tokens), Take(tokens), Take(tokens), Take(sequences + 1), Take(sequences), Take(sequences), Take(logits), Take(2 * tiles), at);

            int Take(int count)
            {
                int here = at;
                at += (count + 3) & ~3;
                return here;
            }
        }

        public StepAddresses At(ulong device)
        {
            return new StepAddresses(device, A(Ids), A(Positions), A(CacheSlots), A(TokenSequences), A(QueryStarts), A(Contexts), A(Slots), A(LogitTokens), A(Tiles), A(Tables));

            ulong A(int index) => device + 4ul * (ulong)index;
        }
    }

    public StepStaging(DeviceMemory memory, nint stream, int tokens, int sequences, int logits, int blocksPerSequence)
    {
        (_stream, _tokens, _sequences, _logits) = (stream, tokens, sequences, logits);
        _tiles = tokens / Kernels.PrefillAttention.TileRows + sequences + 1;
        _decode = Layout.Of(sequences, sequences, sequences, 0);
        _general = Layout.Of(tokens, sequences, logits, _tiles);
        long ints = _general.Tables + (long)sequences * blocksPerSequence;
        _device = memory.Allocate(4 * ints, "step inputs");
        for (int i = 0; i < Depth; i++)
        {
            _pinned[i] = memory.AllocatePinned(4 * ints);
            CudaDriver.cuEventCreate(out _sent[i], 2).Check(nameof(CudaDriver.cuEventCreate));
        }
        _order = new int[_tiles];
        _lengths = new int[_tiles];
    }

    public StepAddresses Addresses { get; private set; }

    /// <summary>Rows computed, padding included.</summary>
    public int Tokens { get; private set; }

    /// <summary>Sequences of one token at the head of the step, padding included.</summary>
    public int DecodeSequences { get; private set; }

    /// <summary>Rows of logits computed, padding included.</summary>
    public int LogitRows { get; private set; }

    /// <summary>Tiles of queries of the sequences with several tokens.</summary>
    public int Tiles { get; private set; }

    /// <summary>Whether the step has single tokens only, so that its shape is its padded size.</summary>
    public bool DecodeOnly { get; private set; }

    public void Send(StepInputs inputs, int blockSize, Func<int, int> padded)
    {
        int tokens = inputs.TokenCount, sequences = inputs.SequenceCount, logits = inputs.LogitCount;
        if (tokens > _tokens || sequences > _sequences || logits > _logits)
            throw new ArgumentException($"a step of {tokens} tokens, {sequences} sequences and {logits} rows of logits; at most {_tokens}, {_sequences} and {_logits}");
        int turn = _turn++ % Depth;
        CudaDriver.cuEventSynchronize(_sent[turn]).Check(nameof(CudaDriver.cuEventSynchronize));

        int decode = 0;
        while (decode < sequences && inputs.QueryStarts[decode + 1] - inputs.QueryStarts[decode] == 1) decode++;
        DecodeOnly = decode == sequences && logits <= sequences && sequences > 0;
        var layout = DecodeOnly ? _decode : _general;
        Tokens = DecodeOnly ? Math.Min(padded(tokens), _sequences) : tokens;
        DecodeSequences = DecodeOnly ? Tokens : decode;
        LogitRows = DecodeOnly && logits > 0 ? Tokens : logits;

        var to = (int*)_pinned[turn];
        int used = 1;
        for (int s = 0; s < sequences; s++) used = Math.Max(used, (inputs.ContextLengths[s] + blockSize - 1) / blockSize);
        used = Math.Min(used, inputs.BlockTableStride);
        to[0] = used;
        inputs.TokenIds.AsSpan(0, tokens).CopyTo(new Span<int>(to + layout.Ids, tokens));
        inputs.Positions.AsSpan(0, tokens).CopyTo(new Span<int>(to + layout.Positions, tokens));
        inputs.QueryStarts.AsSpan(0, sequences + 1).CopyTo(new Span<int>(to + layout.QueryStarts, sequences + 1));
        inputs.ContextLengths.AsSpan(0, sequences).CopyTo(new Span<int>(to + layout.Contexts, sequences));
        inputs.Slots.AsSpan(0, sequences).CopyTo(new Span<int>(to + layout.Slots, sequences));
        inputs.LogitTokens.AsSpan(0, logits).CopyTo(new Span<int>(to + layout.LogitTokens, logits));
        for (int s = 0; s < sequences; s++)
        {
            var table = inputs.BlockTables.AsSpan(s * inputs.BlockTableStride, used);
            table.CopyTo(new Span<int>(to + layout.Tables + (long)s * used, used));
            for (int t = inputs.QueryStarts[s]; t < inputs.QueryStarts[s + 1]; t++)
            {
                int position = inputs.Positions[t];
                to[layout.TokenSequences + t] = s;
                to[layout.CacheSlots + t] = table[position / blockSize] * blockSize + position % blockSize;
            }
        }
        for (int t = tokens; t < Tokens; t++)
        {
            to[layout.Ids + t] = to[layout.Positions + t] = to[layout.TokenSequences + t] = 0;
            to[layout.CacheSlots + t] = -1;
        }
        for (int s = sequences; s < DecodeSequences; s++) to[layout.Contexts + s] = to[layout.Slots + s] = 0;
        for (int l = logits; l < LogitRows; l++) to[layout.LogitTokens + l] = 0;
        FillTiles(inputs, decode, to + layout.Tiles);

        CudaDriver.cuMemcpyHtoDAsync_v2(_device, to, (nuint)(4L * (layout.Tables + (long)sequences * used)), _stream).Check(nameof(CudaDriver.cuMemcpyHtoDAsync_v2));
        CudaDriver.cuEventRecord(_sent[turn], _stream).Check(nameof(CudaDriver.cuEventRecord));
        Addresses = layout.At(_device);
    }

    /// <summary>Tiles as (sequence, first query), the ones with most keys first, so that the card's last round is short.</summary>
    private void FillTiles(StepInputs inputs, int firstSequence, int* tiles)
    {
        const int Rows = Kernels.PrefillAttention.TileRows;
        int count = 0;
        for (int s = firstSequence; s < inputs.SequenceCount; s++)
        {
            int queries = inputs.QueryStarts[s + 1] - inputs.QueryStarts[s];
            for (int row = (queries - 1) / Rows * Rows; row >= 0; row -= Rows)
            {
                tiles[2 * count] = s;
                tiles[2 * count + 1] = row;
                _lengths[count] = -(inputs.ContextLengths[s] - queries + row);
                _order[count] = count++;
            }
        }
        Tiles = count;
        if (inputs.SequenceCount - firstSequence < 2) return;
        Array.Sort(_lengths, _order, 0, count);
        // The order is a permutation of what was written; follow its cycles in place.
        for (int i = 0; i < count; i++)
        {
            if (_order[i] < 0) continue;
            int at = i, first = tiles[2 * i], second = tiles[2 * i + 1];
            while (true)
            {
                int from = _order[at];
                _order[at] = -1;
                if (from == i)
                {
                    tiles[2 * at] = first;
                    tiles[2 * at + 1] = second;
                    break;
                }
                tiles[2 * at] = tiles[2 * from];
                tiles[2 * at + 1] = tiles[2 * from + 1];
                at = from;
            }
        }
    }

    /// <summary>Destroys the events and gives the memory back; no step may be under way.</summary>
    public void Destroy(DeviceMemory memory)
    {
        foreach (nint sent in _sent) _ = CudaDriver.cuEventDestroy_v2(sent);
        foreach (byte* pinned in _pinned) memory.FreePinned(pinned);
        memory.Free(_device);
    }
}
