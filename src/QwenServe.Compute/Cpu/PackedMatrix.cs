using System.Runtime.CompilerServices;

namespace QwenServe.Compute.Cpu;

/// <summary>
/// A weight matrix in the order in which the kernels read it: panels of 32 output rows, each one sequential stream over k in which
/// a pair of k steps of all 32 rows lies together (<see cref="IWeightFormat"/>). Rows are padded to full panels and k to full
/// pairs with zeros, which add nothing.
/// </summary>
internal sealed unsafe class PackedMatrix : IDisposable
{
    public const int PanelRows = 32;

    private readonly WeightArena.Piece _data;
    private readonly NativeBuffer? _bias;

    private PackedMatrix(WeightArena arena, DType type, int rows, int columns, bool bias)
    {
        Type = type;
        Rows = rows;
        Columns = columns;
        Pairs = (columns + 1) / 2;
        PairBytes = PanelRows * 2 * type.Size();
        Panels = (rows + PanelRows - 1) / PanelRows;
        _data = arena.Allocate(Panels * PanelBytes);
        if (bias) _bias = NativeBuffer.OfFloats(Panels * PanelRows);
    }

    public DType Type { get; }

    /// <summary>Output features.</summary>
    public int Rows { get; }

    /// <summary>Input features.</summary>
    public int Columns { get; }

    public int Panels { get; }

    /// <summary>Pairs of k steps, the last one half empty when the columns are odd.</summary>
    public int Pairs { get; }

    public int PairBytes { get; }

    public long PanelBytes => (long)Pairs * PairBytes;

    /// <summary>[Panels · 32], or null.</summary>
    public float* Bias => _bias is null ? null : _bias.Floats;

    public long Bytes => _data.Bytes + (_bias?.Bytes ?? 0);

    public byte* Panel(int index) => _data.Pointer + index * PanelBytes;

    /// <summary>The parts stacked along their rows.</summary>
    public static PackedMatrix Stack(WorkerPool pool, WeightArena arena, ReadOnlySpan<HostTensor> parts, ReadOnlySpan<HostTensor> biases, DType? type)
    {
        if (parts.IsEmpty) throw new ArgumentException("no tensors to stack", nameof(parts));
        long rows = 0;
        foreach (var part in parts)
        {
            CheckBounds(part);
            if (part.Columns != parts[0].Columns)
                throw new ArgumentException($"{part.Name} has {part.Columns} columns where {parts[0].Name} has {parts[0].Columns}");
            rows += part.Rows;
        }
        var source = new RowSource[rows];
        int row = 0;
        foreach (var part in parts)
            for (long r = 0; r < part.Rows; r++) source[row++] = new RowSource(part, r);
        var packed = Pack(pool, arena, source, checked((int)rows), checked((int)parts[0].Columns), type ?? CommonType(parts), !biases.IsEmpty);
        Discard(parts);
        if (biases.IsEmpty) return packed;
        int n = 0;
        foreach (var bias in biases)
        {
            CheckBounds(bias);
            if (n + bias.Columns * bias.Rows > rows)
                throw new ArgumentException($"{bias.Name}: the biases are longer than the {rows} rows they belong to");
            for (long i = 0; i < bias.Columns * bias.Rows; i++) packed.Bias[n++] = ReadElement(bias.Pointer, bias.Type, i);
        }
        if (n != rows) throw new ArgumentException($"{biases[0].Name}: {n} biases for {rows} rows");
        return packed;
    }

    /// <summary>16 rows of gate and the same 16 of up in each panel, so that SwiGLU finds both halves of an output in one place.</summary>
    public static PackedMatrix Interleave(WorkerPool pool, WeightArena arena, HostTensor gate, HostTensor up, DType? type)
    {
        CheckBounds(gate);
        CheckBounds(up);
        if (gate.Rows != up.Rows || gate.Columns != up.Columns)
            throw new ArgumentException($"{gate.Name} is [{gate.Rows}, {gate.Columns}] but {up.Name} [{up.Rows}, {up.Columns}]");
        int groups = checked((int)((gate.Rows + 15) / 16));
        var source = new RowSource[groups * PanelRows];
        for (long r = 0; r < gate.Rows; r++)
        {
            source[r / 16 * 32 + r % 16] = new RowSource(gate, r);
            source[r / 16 * 32 + 16 + r % 16] = new RowSource(up, r);
        }
        ReadOnlySpan<HostTensor> parts = [gate, up];
        var packed = Pack(pool, arena, source, source.Length, checked((int)gate.Columns), type ?? CommonType(parts), bias: false);
        Discard(parts);
        return packed;
    }

    /// <summary>Reads a row back.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void CopyRow(int row, float* destination)
    {
        byte* panel = Panel(row / PanelRows);
        int lane = row % PanelRows;
        if (Type == DType.F32)
        {
            for (int k = 0; k < Columns; k++) destination[k] = ((float*)panel)[(long)k * PanelRows + lane];
            return;
        }
        uint* words = (uint*)panel + lane;
        for (int k = 0; k < Columns; k += 2, words += PanelRows)
        {
            destination[k] = Widen((ushort)*words, Type);
            if (k + 1 < Columns) destination[k + 1] = Widen((ushort)(*words >> 16), Type);
        }
    }

    public void Dispose()
    {
        _data.Dispose();
        _bias?.Dispose();
    }

    /// <summary>One element of a tensor, which may be unaligned, as fp32.</summary>
    public static float ReadElement(byte* data, DType type, long index) => type == DType.F32
        ? Unsafe.ReadUnaligned<float>(data + index * 4)
        : Widen(Unsafe.ReadUnaligned<ushort>(data + index * 2), type);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Widen(ushort bits, DType type)
        => type == DType.BF16 ? BitConverter.UInt32BitsToSingle((uint)bits << 16) : (float)BitConverter.UInt16BitsToHalf(bits);

    /// <summary>Rounds to nearest, ties to even.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort Narrow(float value, DType type)
    {
        if (type == DType.F16) return BitConverter.HalfToUInt16Bits((Half)value);
        uint bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value)) return (ushort)((bits >> 16) | 0x40);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static DType CommonType(ReadOnlySpan<HostTensor> parts)
    {
        foreach (var part in parts)
            if (part.Type != parts[0].Type) return DType.F32;
        return parts[0].Type;
    }

    private static void CheckBounds(HostTensor tensor)
    {
        if (tensor.Offset < 0 || tensor.Rows < 0 || tensor.Columns < 1 || tensor.Offset + tensor.Bytes > tensor.Memory.Length)
            throw new ArgumentException($"{tensor.Name} reaches beyond the memory it lies in");
    }

    private static void Discard(ReadOnlySpan<HostTensor> parts)
    {
        foreach (var part in parts) part.Memory.Discard(part.Offset, part.Bytes);
    }

    private static PackedMatrix Pack(WorkerPool pool, WeightArena arena, RowSource[] source, int rows, int columns, DType type, bool bias)
    {
        var packed = new PackedMatrix(arena, type, rows, columns, bias);
        pool.Run(new PackJob(packed, source), packed.Panels);
        return packed;
    }

    private readonly struct RowSource(HostTensor tensor, long row)
    {
        public readonly byte* Data = tensor.Pointer + row * tensor.Columns * tensor.Type.Size();
        public readonly DType Type = tensor.Type;
        public readonly HostMemory Memory = tensor.Memory;
        public readonly long Offset = tensor.Offset + row * tensor.Columns * tensor.Type.Size();
    }

    private sealed class PackJob(PackedMatrix packed, RowSource[] source) : IPoolJob
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Execute(int item, int worker)
        {
            byte* panel = packed.Panel(item);
            int columns = packed.Columns;
            int first = item * PanelRows;
            int last = Math.Min(first + PanelRows, source.Length);
            for (int row = first; row < last; row++)
            {
                byte* data = source[row].Data;
                if (data == null) continue;
                int lane = row - first;
                var from = source[row].Type;
                if (packed.Type == DType.F32)
                {
                    float* to = (float*)panel + lane;
                    for (int k = 0; k < columns; k++) to[(long)k * PanelRows] = ReadElement(data, from, k);
                }
                else if (packed.Type == from)
                {
                    uint* to = (uint*)panel + lane;
                    for (int k = 0; k + 1 < columns; k += 2, to += PanelRows) *to = Unsafe.ReadUnaligned<uint>(data + k * 2L);
                    if ((columns & 1) != 0) *to = Unsafe.ReadUnaligned<ushort>(data + (columns - 1) * 2L);
                }
                else
                {
                    ushort* to = (ushort*)panel + 2 * lane;
                    for (int k = 0; k < columns; k++) to[k / 2 * 64L + (k & 1)] = Narrow(ReadElement(data, from, k), packed.Type);
                }
            }
            GiveBack(first, last);
        }

        /// <summary>Rows that lie one after the other in a file are not needed again.</summary>
        private void GiveBack(int first, int last)
        {
            long rowBytes = packed.Columns * source[first].Type.Size();
            for (int row = first; row < last;)
            {
                int end = row + 1;
                while (end < last && source[end].Data == source[end - 1].Data + rowBytes) end++;
                if (source[row].Data != null) source[row].Memory.Discard(source[row].Offset, (end - row) * rowBytes);
                row = end;
            }
        }
    }
}
