using QwenServe.Compute.Cuda.Interop;
using QwenServe.Compute.Cuda.Kernels;

namespace QwenServe.Compute.Cuda;

/// <summary>A step: its inputs, its operations and its record.</summary>
public sealed unsafe partial class CudaDevice
{
    private readonly Dictionary<int, Recording> _recordings = [];
    private ulong _h, _x, _qkv, _a, _gateUp, _m, _logits, _squares;
    private ulong _preparedFor;
    private int _squareCount;
    private bool _capturing;
    private float[]? _hostNorm;
    private ulong _hostNormOf;
    private Func<int, int> _padded = PaddedSize;

    private sealed class Recording
    {
        public nint Executable;
        public bool Seen;
    }

    /// <summary>Sizes to which a step of single tokens is padded, so that few graphs serve all.</summary>
    private static int PaddedSize(int n) => n <= 2 ? n : n <= 4 ? 4 : n <= 8 ? 8 : n <= 32 ? (n + 7) & ~7 : n <= 64 ? (n + 15) & ~15 : (n + 31) & ~31;

    /// <summary>Ways to compute a linear layer.</summary>
    internal enum Way
    {
        Gemv,
        StreamK,
        CublasLt,
    }

    /// <summary>The linear layers of a step.</summary>
    internal enum Linear
    {
        Qkv,
        Output,
        GateUp,
        Down,
        Logits,
        Other,
    }

    /// <summary>Overrides the choice of a way, for measurements.</summary>
    internal Func<Linear, int, Way>? Ways { get; set; }

    /// <summary>The fastest way by measurement, as far as the card and the sizes allow it.</summary>
    private Way WayFor(Linear linear, int m, CudaMatrix w)
    {
        var way = Wanted(linear, m);
        if (way == Way.StreamK && (_hopper is null || !HopperGemm.Takes(m, w) || (m <= Gemv.MaxRows && 2L * w.Rows * w.Columns < SmallBytes))) way = Way.Gemv;
        bool kept = linear is Linear.Qkv or Linear.GateUp;
        if (way == Way.Gemv && (m > Gemv.MaxRows || (kept && Gemv.SharedFor(m, w.Columns) > _gemv!.SharedLimit))) way = Way.CublasLt;
        return way;
    }

    // Below this a tile of the stream-K kernel is shared by so many blocks that adding up their parts costs more than it saves.
    private const long SmallBytes = 16 << 20;

    private Way Wanted(Linear linear, int m) => Ways is { } chosen ? chosen(linear, m) : Preferred(linear, m);

    // Whole steps of the 7B geometry on an H200, all ways tried for each layer (qwenserve-bench cuda-sweep).
    private Way Preferred(Linear linear, int m) => (m, linear) switch
    {
        ( <= 8, Linear.Qkv) => Way.StreamK,
        ( <= 8, Linear.Logits) when _hopper is not null => Way.CublasLt,
        ( <= 8, _) => Way.Gemv,
        ( <= 16, Linear.Output or Linear.GateUp or Linear.Down or Linear.Logits) => Way.StreamK,
        ( <= 32, Linear.GateUp or Linear.Down or Linear.Logits) => Way.StreamK,
        _ => Way.CublasLt,
    };

    public void AllocateStep(StepLimits limits)
    {
        Enter();
        _limits = limits;
        var g = Geometry;
        // Tiles of the stream-K kernel read up to their own height, whatever the step has.
        long rows = Math.Max(HopperGemm.MaxRows, LargeGemm.RowsFor(Math.Max(limits.Tokens, PaddedSize(limits.Sequences))));
        long logitRows = LargeGemm.RowsFor(Math.Max(limits.LogitRows, PaddedSize(limits.Sequences)));
        string what = $"the activations of a step of {limits.Tokens} tokens";
        _h = _memory.Allocate(4 * rows * g.HiddenSize, what);
        _x = _memory.Allocate(2 * Math.Max(rows, logitRows) * g.HiddenSize, what);
        _squares = _memory.Allocate(4L * HopperGemm.MaxRows * (g.HiddenSize / 4 + 1), what);
        _qkv = _memory.Allocate(2 * rows * g.QkvSize, what);
        _a = _memory.Allocate(2 * rows * g.HeadCount * g.HeadDim, what);
        int inner = Math.Max(g.IntermediateSize, g.SharedExpertIntermediateSize);
        _gateUp = _memory.Allocate(Math.Max(2 * rows * 2 * inner, 4 * rows * g.HiddenSize), what);
        _m = _memory.Allocate(2 * rows * inner, what);
        _logits = _memory.Allocate(4 * logitRows * g.VocabularySize, $"logits of {limits.LogitRows} rows");
        _gemm!.UseScratch(_gateUp, Math.Max(2 * rows * 2 * inner, 4 * rows * g.HiddenSize));
        if (g.ExpertCount > 0) _moe = new Moe(_moeModule!, _stream, g, _memory, rows);
        // Padding rows are computed too; what they start from must be finite.
        foreach (var (buffer, bytes) in new[] { (_h, 4 * rows * g.HiddenSize), (_x, 2 * Math.Max(rows, logitRows) * g.HiddenSize), (_a, 2 * rows * g.HeadCount * g.HeadDim), (_m, 2 * rows * inner) })
            CudaDriver.cuMemsetD8Async(buffer, 0, (nuint)bytes, _stream).Check(nameof(CudaDriver.cuMemsetD8Async));
        _decodeAttention = new DecodeAttention(_decodeModule!, _stream, _processors, g, Math.Max(limits.Sequences, PaddedSize(limits.Sequences)), _memory);
        _prefillAttention = new PrefillAttention(_prefillModule!, _stream, g);
        if (_vocabularyMask == 0)
        {
            uint[] all = new uint[(g.VocabularySize + 31) / 32];
            Array.Fill(all, uint.MaxValue);
            SetVocabulary(all);
        }
        _sampling?.Destroy();
        _sampling = null;
        _sampling = new Kernels.Sampling(_samplingModule!, _stream, _memory, g.VocabularySize, limits, _vocabularyMask);
        _padded = n => Math.Min(PaddedSize(n), Math.Max(limits.Sequences, n));
        Synchronize();
    }

    public void Begin(StepInputs inputs)
    {
        Enter();
        _staging!.Send(inputs, _blockSize, _padded);
    }

    public void Run(Action forward)
    {
        Enter();
        if (!UseGraphs || !_staging!.DecodeOnly)
        {
            forward();
            return;
        }
        int key = _staging.Tokens * 2 + (_staging.LogitRows > 0 ? 1 : 0);
        if (!_recordings.TryGetValue(key, out var recording)) _recordings[key] = recording = new Recording();
        if (recording.Executable != 0)
        {
            CudaDriver.cuGraphLaunch(recording.Executable, _stream).Check(nameof(CudaDriver.cuGraphLaunch));
            return;
        }
        if (!recording.Seen)
        {
            // The first time through chooses algorithms, which cannot be done while recording.
            recording.Seen = true;
            forward();
            return;
        }
        CudaDriver.cuStreamBeginCapture_v2(_stream, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).Check(nameof(CudaDriver.cuStreamBeginCapture_v2));
        nint graph = 0;
        _capturing = true;
        try
        {
            forward();
        }
        finally
        {
            _capturing = false;
            CudaDriver.cuStreamEndCapture(_stream, out graph).Check(nameof(CudaDriver.cuStreamEndCapture));
        }
        CudaDriver.cuGraphInstantiateWithFlags(out recording.Executable, graph, 0).Check(nameof(CudaDriver.cuGraphInstantiateWithFlags));
        _ = CudaDriver.cuGraphDestroy(graph);
        CudaDriver.cuGraphLaunch(recording.Executable, _stream).Check(nameof(CudaDriver.cuGraphLaunch));
    }

    /// <summary>Milliseconds that recorded operations take on the device, for benchmarks: the median of several replays.</summary>
    internal double Measure(Action operations, int replays)
    {
        Enter();
        operations();
        Synchronize();
        CudaDriver.cuStreamBeginCapture_v2(_stream, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).Check(nameof(CudaDriver.cuStreamBeginCapture_v2));
        _capturing = true;
        operations();
        _capturing = false;
        CudaDriver.cuStreamEndCapture(_stream, out nint graph).Check(nameof(CudaDriver.cuStreamEndCapture));
        CudaDriver.cuGraphInstantiateWithFlags(out nint executable, graph, 0).Check(nameof(CudaDriver.cuGraphInstantiateWithFlags));
        CudaDriver.cuEventCreate(out nint start, 0).Check(nameof(CudaDriver.cuEventCreate));
        CudaDriver.cuEventCreate(out nint end, 0).Check(nameof(CudaDriver.cuEventCreate));
        double[] times = new double[replays];
        for (int i = -2; i < replays; i++)
        {
            CudaDriver.cuEventRecord(start, _stream).Check(nameof(CudaDriver.cuEventRecord));
            CudaDriver.cuGraphLaunch(executable, _stream).Check(nameof(CudaDriver.cuGraphLaunch));
            CudaDriver.cuEventRecord(end, _stream).Check(nameof(CudaDriver.cuEventRecord));
            CudaDriver.cuEventSynchronize(end).Check(nameof(CudaDriver.cuEventSynchronize));
            CudaDriver.cuEventElapsedTime(out float elapsed, start, end).Check(nameof(CudaDriver.cuEventElapsedTime));
            if (i >= 0) times[i] = elapsed;
        }
        _ = CudaDriver.cuEventDestroy_v2(start);
        _ = CudaDriver.cuEventDestroy_v2(end);
        _ = CudaDriver.cuGraphExecDestroy(executable);
        _ = CudaDriver.cuGraphDestroy(graph);
        Array.Sort(times);
        return times[replays / 2];
    }

    /// <summary>Bytes a second, read and written, of a large copy on the device.</summary>
    internal double MeasureCopy()
    {
        Enter();
        const long Bytes = 2L << 30;
        ulong from = _memory.Allocate(Bytes, "a copy"), to = _memory.Allocate(Bytes, "a copy");
        double milliseconds = Measure(() => _elementwise!.Copy(from, to, Bytes), 9);
        _memory.Free(from);
        _memory.Free(to);
        return 2 * Bytes / (milliseconds / 1000);
    }

    public void Embed(Weights embedding)
    {
        _elementwise!.Embed(Matrix(embedding).Data, _h, _staging!.Tokens, Geometry.HiddenSize, _staging.Addresses, _sampling!.SlotTokens);
        _preparedFor = 0;
    }

    public void NormQkvRopeStore(int layer, Weights norm, Weights qkv, Weights rope)
    {
        var g = Geometry;
        var w = Matrix(qkv);
        int m = _staging!.Tokens;
        ulong offset = (ulong)(2 * layer * LayerStride), turns = Vector(rope).Data, weight = Vector(norm).Data;
        var way = WayFor(Linear.Qkv, m, w);
        var scale = Normed(weight, m, way);
        if (way == Way.Gemv)
        {
            _gemv!.RopeStore(w, _x, scale, _qkv, m, turns, _keys + offset, _values + offset, g, _blockSize, _staging.Addresses);
            return;
        }
        if (way == Way.StreamK)
        {
            _hopper!.RopeStore(w, _x, scale, _qkv, m, turns, _keys + offset, _values + offset, g, _blockSize, _staging.Addresses);
            return;
        }
        _gemm!.Multiply(w.Data, _x, _qkv, m, w.Rows, w.Columns, false, false, _capturing);
        _elementwise!.RopeStore(_qkv, w.Bias, turns, _keys + offset, _values + offset, m, g, _blockSize, _staging.Addresses);
    }

    /// <summary>Leaves in x RMSNorm(h), or, where the last addition prepared it, h * weight with the scale still to apply.</summary>
    private Scale Normed(ulong weight, int m, Way way)
    {
        if (_preparedFor == weight && way != Way.CublasLt) return new Scale(_squares, _squareCount, Geometry.RmsNormEpsilon);
        _elementwise!.Norm(_h, weight, _x, 0, m, Geometry.HiddenSize, Geometry.RmsNormEpsilon);
        _preparedFor = 0;
        return default;
    }

    public void Attend(int layer, int window)
    {
        ulong offset = (ulong)(2 * layer * LayerStride);
        if (_staging!.DecodeSequences > 0)
            _decodeAttention!.Launch(_qkv, _keys + offset, _values + offset, _a, _staging.DecodeSequences, _blockSize, window, _staging.Addresses);
        if (_staging.Tiles == 0) return;
        if (_hopperAttention is not null) _hopperAttention.Launch(_qkv, layer, _a, _staging.Tiles, window, _staging.Addresses);
        else
            _prefillAttention!.Launch(_qkv, _keys + offset, _values + offset, _a, _staging.Tiles, _blockSize, window, _staging.Addresses);
    }

    public void OutputAdd(Weights output, Weights next) => AddLinear(Linear.Output, Matrix(output), _a, Vector(next), Linear.GateUp);

    public void DownAdd(Weights down, Weights next) => AddLinear(Linear.Down, Matrix(down), _m, Vector(next), Linear.Qkv);

    private void AddLinear(Linear linear, CudaMatrix w, ulong x, CudaVector norm, Linear following)
    {
        int m = _staging!.Tokens;
        var way = WayFor(linear, m, w);
        // cuBLASLt wants x finished.
        var next = Wanted(following, m) != Way.CublasLt ? new NextNorm(norm.Data, _x, _squares) : default;
        if (way == Way.Gemv) _squareCount = _gemv!.Add(w, x, _h, m, next);
        else if (way == Way.StreamK) _squareCount = _hopper!.Add(w, x, _h, m, next);
        else
        {
            _gemm!.Multiply(w.Data, x, _h, m, w.Rows, w.Columns, true, true, _capturing);
            next = default;
        }
        _preparedFor = next.Weight;
    }

    private void StoreLinear(Linear linear, CudaMatrix w, ulong x, ulong destination, int m)
    {
        var way = WayFor(linear, m, w);
        if (way == Way.Gemv) _gemv!.Store(w, x, destination, m);
        else if (way == Way.StreamK) _hopper!.Store(w, x, destination, m);
        else _gemm!.Multiply(w.Data, x, destination, m, w.Rows, w.Columns, true, false, _capturing);
    }

    public void NormGateUpSwiglu(Weights norm, Weights gateUp)
    {
        var w = Matrix(gateUp);
        int m = _staging!.Tokens;
        GateUpSwiglu(w, m, Normed(Vector(norm).Data, m, WayFor(Linear.GateUp, m, w)));
    }

    private void GateUpSwiglu(CudaMatrix w, int m, Scale scale)
    {
        var way = WayFor(Linear.GateUp, m, w);
        if (way == Way.Gemv)
        {
            _gemv!.Swiglu(w, _x, scale, _m, m);
            return;
        }
        if (way == Way.StreamK)
        {
            _hopper!.Swiglu(w, _x, scale, _m, m);
            return;
        }
        _gemm!.Multiply(w.Data, _x, _gateUp, m, w.Rows, w.Columns, false, false, _capturing);
        _elementwise!.Swiglu(_gateUp, _m, m, w.Rows / 2);
    }

    public void NormRouteExperts(Weights norm, Weights moe)
    {
        var g = Geometry;
        var w = moe as CudaMoe ?? throw new ArgumentException("these weights belong to another device");
        int m = _staging!.Tokens;
        _elementwise!.Norm(_h, Vector(norm).Data, _x, 0, m, g.HiddenSize, g.RmsNormEpsilon);
        StoreLinear(Linear.Other, w.Router, _x, _moe!.RouterLogits, m);
        GateUpSwiglu(w.SharedGateUp, m, default);
        StoreLinear(Linear.Other, w.SharedDown, _m, _moe.Shared, m);
        _moe.Run(w, _x, _h, m);
        _preparedFor = 0;
    }

    public void NormLogits(Weights norm, Weights head)
    {
        var g = Geometry;
        var w = Matrix(head);
        int m = _staging!.LogitRows;
        if (m == 0) return;
        ulong rows = _staging.Addresses.LogitTokens;
        _elementwise!.Norm(_h, Vector(norm).Data, _x, rows, m, g.HiddenSize, g.RmsNormEpsilon);
        _preparedFor = 0;
        StoreLinear(Linear.Logits, w, _x, _logits, m);
    }

    public void Sample(SamplingInputs inputs)
    {
        Enter();
        _sampling!.Sample(inputs, _logits);
    }

    public void Complete(SamplingResults results)
    {
        Enter();
        _sampling!.Complete(results);
    }

    public void ReadLogits(int row, Span<float> destination)
    {
        Enter();
        int n = Math.Min(destination.Length, Geometry.VocabularySize);
        Read(_logits + (ulong)(4L * row * Geometry.VocabularySize), System.Runtime.InteropServices.MemoryMarshal.AsBytes(destination[..n]));
    }

    /// <summary>The rows of h come back in fp32 and the host norms them: a handful of rows a request is not worth a kernel that rounds to bf16.</summary>
    public void ReadHidden(Weights norm, ReadOnlySpan<int> tokens, Span<float> destination)
    {
        Enter();
        if (tokens.IsEmpty) return;
        int hidden = Geometry.HiddenSize;
        var weight = Vector(norm);
        if (_hostNorm is null || _hostNormOf != weight.Data)
        {
            _hostNorm = new float[hidden];
            Read(weight.Data, System.Runtime.InteropServices.MemoryMarshal.AsBytes(_hostNorm.AsSpan()));
            _hostNormOf = weight.Data;
        }
        fixed (float* to = destination[..(tokens.Length * hidden)])
        {
            for (int first = 0, next; first < tokens.Length; first = next)
            {
                if ((uint)tokens[first] >= (uint)_staging!.Tokens) throw new ArgumentOutOfRangeException(nameof(tokens), $"token {tokens[first]} of {_staging.Tokens}");
                next = first + 1;
                while (next < tokens.Length && tokens[next] == tokens[next - 1] + 1 && tokens[next] < _staging.Tokens) next++;
                CudaDriver.cuMemcpyDtoHAsync_v2(to + (long)first * hidden, _h + (ulong)(4L * tokens[first] * hidden), (nuint)(4L * (next - first) * hidden), _stream)
                    .Check(nameof(CudaDriver.cuMemcpyDtoHAsync_v2));
            }
            Synchronize();
        }
        for (int i = 0; i < tokens.Length; i++)
        {
            var row = destination.Slice(i * hidden, hidden);
            HiddenNorm.Apply(row, _hostNorm, Geometry.RmsNormEpsilon, row);
        }
    }

    private void Read(ulong source, Span<byte> destination)
    {
        fixed (byte* to = destination)
        {
            CudaDriver.cuMemcpyDtoHAsync_v2(to, source, (nuint)destination.Length, _stream).Check(nameof(CudaDriver.cuMemcpyDtoHAsync_v2));
            Synchronize();
        }
    }

    private static CudaMatrix Matrix(Weights weights) => weights as CudaMatrix ?? throw new ArgumentException("these weights belong to another device");

    private static CudaVector Vector(Weights weights) => weights as CudaVector ?? throw new ArgumentException("these weights belong to another device");

    internal void DropGraphs()
    {
        foreach (var recording in _recordings.Values)
            if (recording.Executable != 0) _ = CudaDriver.cuGraphExecDestroy(recording.Executable);
        _recordings.Clear();
    }
}
