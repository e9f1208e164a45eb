using System.Runtime.InteropServices;
using QwenServe.Compute.Cuda.Interop;
using QwenServe.Compute.Cuda.Kernels;

namespace QwenServe.Compute.Cuda;

/// <summary>
/// One NVIDIA GPU of compute capability 8.0 or newer. Weights, activations between operations and the KV cache are bf16, the residual
/// stream is fp32, all sums are fp32. Everything runs on one stream, but for the requests of draws, which travel beside it; nothing is allocated
/// after the last <see cref="AllocateKvCache"/>, and a step of single tokens is recorded once per padded size and replayed.
///
/// Linear layers go three ways by the number of rows: a matrix-vector kernel that fuses what comes after it and its share of the norms; on Hopper a
/// stream-K kernel of bulk copies and warpgroup products with the same ends; cuBLASLt with separate small kernels.
/// </summary>
public sealed unsafe partial class CudaDevice : IDevice
{
    private readonly int _ordinal;
    private readonly nint _context, _stream;
    private readonly int _major, _minor, _processors, _maxShared, _sharedPerProcessor, _driver;
    private readonly string _card;
    private readonly DeviceMemory _memory = new();
    private readonly List<CudaModule> _modules = [];
    private WeightUploader? _uploader;
    private LargeGemm? _gemm;
    private ModelGeometry? _geometry;
    private Elementwise? _elementwise;
    private Gemv? _gemv;
    private DecodeAttention? _decodeAttention;
    private PrefillAttention? _prefillAttention;
    private Kernels.Sampling? _sampling;
    private StepStaging? _staging;
    private HopperGemm? _hopper;
    private HopperPrefillAttention? _hopperAttention;
    private Moe? _moe;
    private CudaModule? _decodeModule, _prefillModule, _samplingModule, _moeModule, _hopperAttentionModule;
    private StepLimits _limits;
    private ulong _vocabularyMask, _keys, _values;
    private int _blocks, _blockSize;
    private bool _disposed;

    private CudaDevice(int ordinal)
    {
        _ordinal = ordinal;
        CudaDriver.cuDeviceGet(out int device, ordinal).Check(nameof(CudaDriver.cuDeviceGet));
        CudaDriver.cuDriverGetVersion(out _driver).Check(nameof(CudaDriver.cuDriverGetVersion));
        _major = Attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
        _minor = Attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
        _processors = Attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
        _maxShared = Attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
        _sharedPerProcessor = Attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
        byte* name = stackalloc byte[128];
        CudaDriver.cuDeviceGetName(name, 128, device).Check(nameof(CudaDriver.cuDeviceGetName));
        CudaDriver.cuDeviceTotalMem_v2(out nuint bytes, device).Check(nameof(CudaDriver.cuDeviceTotalMem_v2));
        CudaDriver.cuDevicePrimaryCtxRetain(out _context, device).Check(nameof(CudaDriver.cuDevicePrimaryCtxRetain));
        CudaDriver.cuCtxSetCurrent(_context).Check(nameof(CudaDriver.cuCtxSetCurrent));
        _current = _context;
        CudaDriver.cuStreamCreate(out _stream, 1).Check(nameof(CudaDriver.cuStreamCreate));
        string card = Marshal.PtrToStringUTF8((nint)name) ?? "";
        _card = $"{new string([.. card.Select(c => char.IsAsciiLetterOrDigit(c) ? c : '-')])}-{KernelCompiler.Architecture(_major, _minor)}";
        Description = $"cuda:{ordinal} {card}, {bytes / (double)(1L << 30):0.0} GiB, compute capability {_major}.{_minor}, driver CUDA {_driver / 1000}.{_driver % 1000 / 10}, bf16";

        int Attribute(CUdevice_attribute attribute)
        {
            CudaDriver.cuDeviceGetAttribute(out int value, attribute, device).Check(nameof(CudaDriver.cuDeviceGetAttribute));
            return value;
        }
    }

    /// <summary>Opens a GPU if there is one that can be used.</summary>
    /// <param name="ordinal">Which, from 0.</param>
    /// <param name="reason">One line on why not: the library that is missing with what to install, or what the driver said.</param>
    public static CudaDevice? TryOpen(int ordinal, out string reason)
    {
        NativeLibraries.Register();
        reason = "";
        if (!OperatingSystem.IsLinux()) return No("CUDA is supported on Linux", out reason);
        if (NativeLibraries.WhyMissing(NativeLibraries.Driver) is { } noDriver) return No(noDriver, out reason);
        try
        {
            CudaDriver.cuInit(0).Check(nameof(CudaDriver.cuInit));
            CudaDriver.cuDeviceGetCount(out int count).Check(nameof(CudaDriver.cuDeviceGetCount));
            if (ordinal >= count) return No($"GPU {ordinal} was asked for, but the driver sees {count}", out reason);
            foreach (string library in new[] { NativeLibraries.Nvrtc, NativeLibraries.CublasLt })
                if (NativeLibraries.WhyMissing(library) is { } missing) return No(missing, out reason);
            var device = new CudaDevice(ordinal);
            if (device._major >= 8) return device;
            reason = $"{device.Description}: compute capability 8.0 or newer is needed";
            device.Dispose();
            return null;
        }
        catch (CudaException problem)
        {
            return No(problem.Message, out reason);
        }

        static CudaDevice? No(string why, out string reason)
        {
            reason = why;
            return null;
        }
    }

    /// <summary>Null when a model of these sizes can be served; otherwise one line on what is in the way.</summary>
    public static string? WhyUnsupported(ModelGeometry geometry, DType? weightType)
    {
        ArgumentNullException.ThrowIfNull(geometry);
        if (weightType is not null and not DType.BF16) return $"the CUDA device computes in BF16, not in {weightType}";
        int group = geometry.HeadCount / geometry.KvHeadCount;
        if (geometry.HeadDim is not (64 or 128)) return $"the CUDA device takes heads of 64 or 128, not of {geometry.HeadDim}";
        if (group > 16) return $"the CUDA device takes up to 16 query heads a kv head, not {group}";
        if (geometry.HiddenSize % 16 != 0 || geometry.IntermediateSize % 16 != 0 || geometry.SharedExpertIntermediateSize % 16 != 0 || geometry.ExpertIntermediateSize % 16 != 0)
            return "the CUDA device takes sizes in multiples of 16";
        if (geometry.VocabularySize % 2 != 0) return $"the CUDA device takes an even vocabulary, not one of {geometry.VocabularySize}";
        return geometry.ExpertCount > 256 || geometry.ExpertsPerToken > 32 ? "the CUDA device takes up to 256 experts, 32 a token" : null;
    }

    public string Description { get; }

    public string Kind => "cuda";

    public DType DefaultKvType => DType.BF16;

    public long AvailableMemory
    {
        get
        {
            Enter();
            CudaDriver.cuMemGetInfo_v2(out nuint free, out _).Check(nameof(CudaDriver.cuMemGetInfo_v2));
            return (long)free;
        }
    }

    /// <summary>Whether steps of single tokens are recorded and replayed.</summary>
    public bool UseGraphs { get; set; } = true;

    /// <summary>Whether the algorithms that are timed go to the disk: not from checks that run many devices on a card at a time.</summary>
    internal static bool KeepsAlgorithms { get; set; } = true;

    /// <summary>What the compiler and the loader of kernels took.</summary>
    public TimeSpan KernelLoadTime { get; private set; }

    private bool IsHopper => _major == 9;

    private ModelGeometry Geometry => _geometry ?? throw new InvalidOperationException("Configure comes first");

    /// <summary>Makes the context current on the calling thread; calls may come from any one thread at a time.</summary>
    private void Enter()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_current == _context) return;
        CudaDriver.cuCtxSetCurrent(_context).Check(nameof(CudaDriver.cuCtxSetCurrent));
        _current = _context;
    }

    [ThreadStatic] private static nint _current;

    public void Configure(ModelGeometry geometry, DType? weightType)
    {
        Enter();
        if (WhyUnsupported(geometry, weightType) is { } reason) throw new NotSupportedException($"{reason}; use --device cpu");
        int group = geometry.HeadCount / geometry.KvHeadCount;
        _geometry = geometry;
        long start = Environment.TickCount64;
        string architecture = KernelCompiler.Architecture(_major, _minor);
        string[] definitions = [$"HEAD_DIM={geometry.HeadDim}", $"GROUP={group}"];
        var wanted = new List<(string Key, string File, string[] Definitions)>
        {
            ("DecodeAttention", "DecodeAttention", definitions), ("PrefillAttention", "PrefillAttention", definitions),
            ("Gemv", "Gemv", []), ("Sampling", "Sampling", []), ("Elementwise", "Elementwise", []),
        };
        if (geometry.ExpertCount > 0) wanted.Add(("Moe", "Moe", []));
        if (IsHopper)
        {
            wanted.Add(("HopperPrefillAttention", "HopperPrefillAttention", definitions));
            foreach (int tile in HopperGemm.Tiles) wanted.Add(($"HopperGemm{tile}", "HopperGemm", [$"TILE={tile}"]));
        }
        var cubins = new Dictionary<string, byte[]>();
        Parallel.ForEach(wanted, one =>
        {
            byte[] cubin = KernelCompiler.Get(one.File, architecture, _driver, one.Definitions);
            lock (cubins) cubins[one.Key] = cubin;
        });
        _elementwise = new Elementwise(Module("Elementwise"), _stream);
        _gemv = new Gemv(Module("Gemv"), _stream, _processors, _maxShared, _sharedPerProcessor);
        _decodeModule = Module("DecodeAttention");
        _prefillModule = Module("PrefillAttention");
        _samplingModule = Module("Sampling");
        if (geometry.ExpertCount > 0) _moeModule = Module("Moe");
        if (IsHopper)
        {
            _hopperAttentionModule = Module("HopperPrefillAttention");
            _hopper = new HopperGemm([.. HopperGemm.Tiles.Select(t => Module($"HopperGemm{t}"))], _stream, _processors, _memory,
                Math.Max(Math.Max(geometry.VocabularySize, geometry.QkvSize), Math.Max(2 * geometry.IntermediateSize, 2 * geometry.SharedExpertIntermediateSize)));
        }
        _gemm = new LargeGemm(_memory, _stream, KeepsAlgorithms ? _card : null);
        _uploader = new WeightUploader(_context);
        KernelLoadTime = TimeSpan.FromMilliseconds(Environment.TickCount64 - start);

        CudaModule Module(string file)
        {
            var module = new CudaModule(cubins[file]);
            _modules.Add(module);
            return module;
        }
    }

    public Weights LoadVector(HostTensor source)
    {
        Enter();
        return UploadVector(source);
    }

    public Weights LoadLinear(ReadOnlySpan<HostTensor> parts, ReadOnlySpan<HostTensor> biases)
    {
        Enter();
        return UploadMatrix(parts, biases);
    }

    public Weights LoadGateUp(HostTensor gate, HostTensor up)
    {
        Enter();
        return UploadMatrix([gate, up], []);
    }

    public Weights LoadEmbedding(HostTensor table, bool tied)
    {
        Enter();
        return UploadMatrix([table], []);
    }

    public Weights LoadMoe(MoeSource source)
    {
        Enter();
        var gateUps = new List<HostTensor>();
        var downs = new List<HostTensor>();
        foreach (var (gate, up, down) in source.Experts)
        {
            gateUps.Add(gate);
            gateUps.Add(up);
            downs.Add(down);
        }
        var shared = source.SharedExpert;
        return new CudaMoe(UploadMatrix([source.Router], []), UploadMatrix([.. gateUps], []), UploadMatrix([.. downs], []),
            UploadMatrix([shared.Gate, shared.Up], []), UploadMatrix([shared.Down], []), UploadVector(source.SharedExpertGate));
    }

    public Weights LoadRope(ReadOnlySpan<float> inverseFrequencies, float scale, int maxPositions)
    {
        Enter();
        int half = inverseFrequencies.Length;
        ulong turns = _memory.Allocate(8L * half * maxPositions, "rotary tables");
        ulong frequencies = _memory.Allocate(4L * half, "rotary tables");
        fixed (float* source = inverseFrequencies)
        {
            CudaDriver.cuMemcpyHtoDAsync_v2(frequencies, source, (nuint)(4 * half), _stream).Check(nameof(CudaDriver.cuMemcpyHtoDAsync_v2));
            _elementwise!.RopeTable(turns, frequencies, scale, half, maxPositions);
            Synchronize();
        }
        _memory.Free(frequencies);
        return new CudaVector(_memory, turns, 2L * half * maxPositions);
    }

    public void SetVocabulary(ReadOnlySpan<uint> tokenIds)
    {
        Enter();
        int words = (Geometry.VocabularySize + 31) / 32;
        if (_vocabularyMask == 0) _vocabularyMask = _memory.Allocate(4L * words, "the vocabulary's mask");
        CudaDriver.cuMemsetD8Async(_vocabularyMask, 0, (nuint)(4 * words), _stream).Check(nameof(CudaDriver.cuMemsetD8Async));
        fixed (uint* source = tokenIds)
            CudaDriver.cuMemcpyHtoDAsync_v2(_vocabularyMask, source, (nuint)(4 * Math.Min(words, tokenIds.Length)), _stream).Check(nameof(CudaDriver.cuMemcpyHtoDAsync_v2));
        Synchronize();
    }

    public long KvCacheBudget(double utilization)
    {
        Enter();
        Synchronize();
        CudaDriver.cuMemGetInfo_v2(out nuint free, out nuint total).Check(nameof(CudaDriver.cuMemGetInfo_v2));
        // Graphs and the driver's own needs come on top of what is allocated by now.
        const long Reserve = 256L << 20;
        // A cache that is there already gives way to the next.
        long held = _keys == 0 ? 0 : 4 * Geometry.LayerCount * LayerStride;
        return Math.Max(0, (long)free + held - (long)((1 - utilization) * total) - Reserve);
    }

    public void AllocateKvCache(int blocks, int blockSize, DType type)
    {
        Enter();
        if (type != DType.BF16) throw new NotSupportedException($"a KV cache of {type}: the CUDA device keeps BF16");
        if (blockSize % 16 != 0) throw new NotSupportedException($"KV blocks of {blockSize}: the CUDA device wants multiples of 16");
        if (blocks * (long)blockSize > int.MaxValue) throw new ArgumentException($"{blocks} blocks of {blockSize} positions are more than an index can name");
        DropGraphs();
        _memory.Free(_keys);
        _memory.Free(_values);
        (_blocks, _blockSize) = (blocks, blockSize);
        long bytes = Geometry.LayerCount * LayerStride * 2;
        _keys = _memory.Allocate(bytes, $"half of a KV cache of {(long)blocks * blockSize} tokens");
        _values = _memory.Allocate(bytes, $"half of a KV cache of {(long)blocks * blockSize} tokens");
        // Whatever memory held before must not look like a NaN to rows that are masked.
        CudaDriver.cuMemsetD8Async(_keys, 0, (nuint)bytes, _stream).Check(nameof(CudaDriver.cuMemsetD8Async));
        CudaDriver.cuMemsetD8Async(_values, 0, (nuint)bytes, _stream).Check(nameof(CudaDriver.cuMemsetD8Async));
        _hopperAttention = IsHopper && HopperPrefillAttention.Takes(blockSize)
            ? new HopperPrefillAttention(_hopperAttentionModule!, _stream, Geometry, _keys, _values, blocks, blockSize) : null;
        _staging?.Destroy(_memory);
        int longest = (_limits.ContextLength + blockSize - 1) / blockSize;
        _staging = new StepStaging(_memory, _stream, _limits.Tokens, _limits.Sequences, _limits.LogitRows, longest + 1);
        Synchronize();
    }

    /// <summary>Elements of keys, and as many of values, of a layer.</summary>
    private long LayerStride => (long)_blocks * BlockElements;

    private long BlockElements => (long)_blockSize * Geometry.KvHeadCount * Geometry.HeadDim;

    public void CopyBlock(int source, int destination)
    {
        Enter();
        _elementwise!.CopyBlock(_keys, LayerStride, BlockElements, Geometry.LayerCount, source, destination);
        _elementwise.CopyBlock(_values, LayerStride, BlockElements, Geometry.LayerCount, source, destination);
    }

    /// <summary>Makes a block's values of every layer NaN, for tests of how far that spreads.</summary>
    internal void PoisonCache(int block)
    {
        Enter();
        for (int layer = 0; layer < Geometry.LayerCount; layer++)
            CudaDriver.cuMemsetD8Async(_values + (ulong)(2 * (layer * LayerStride + block * BlockElements)), 0xff, (nuint)(2 * BlockElements), _stream).Check(nameof(CudaDriver.cuMemsetD8Async));
    }

    public void AssignSlot(int slot, ReadOnlySpan<int> prompt, ReadOnlySpan<int> output)
    {
        Enter();
        _sampling!.AssignSlot(slot, prompt, output);
    }

    private CudaVector UploadVector(HostTensor source)
    {
        long count = source.Rows * source.Columns;
        ulong data = _memory.Allocate(4 * count, source.Name);
        _uploader!.Upload([(source, data)], DType.F32);
        return new CudaVector(_memory, data, count);
    }

    private CudaMatrix UploadMatrix(ReadOnlySpan<HostTensor> parts, ReadOnlySpan<HostTensor> biases)
    {
        long rows = 0, columns = parts[0].Columns;
        foreach (var part in parts) rows += part.Rows;
        if (columns % 16 != 0) throw new NotSupportedException($"{parts[0].Name}: {columns} columns; the CUDA device wants a multiple of 16");
        ulong data = _memory.Allocate(2 * rows * columns, parts[0].Name), bias = 0;
        var uploads = new (HostTensor, ulong)[parts.Length];
        ulong at = data;
        for (int i = 0; i < parts.Length; i++)
        {
            uploads[i] = (parts[i], at);
            at += (ulong)(2 * parts[i].Rows * columns);
        }
        _uploader!.Upload(uploads, DType.BF16);
        if (biases.Length > 0)
        {
            at = bias = _memory.Allocate(4 * rows, biases[0].Name);
            var vectors = new (HostTensor, ulong)[biases.Length];
            for (int i = 0; i < biases.Length; i++)
            {
                vectors[i] = (biases[i], at);
                at += (ulong)(4 * biases[i].Rows * biases[i].Columns);
            }
            _uploader.Upload(vectors, DType.F32);
        }
        return new CudaMatrix(_memory, data, bias, checked((int)rows), (int)columns);
    }

    private void Synchronize() => CudaDriver.cuStreamSynchronize(_stream).Check(nameof(CudaDriver.cuStreamSynchronize));

    public void Dispose()
    {
        if (_disposed) return;
        _ = CudaDriver.cuCtxSetCurrent(_context);
        _ = CudaDriver.cuStreamSynchronize(_stream);
        _disposed = true;
        _uploader?.Dispose();
        DropGraphs();
        _staging?.Destroy(_memory);
        _sampling?.Destroy();
        _gemm?.Dispose();
        foreach (var module in _modules) module.Dispose();
        _memory.Dispose();
        _ = CudaDriver.cuStreamDestroy_v2(_stream);
        _ = CudaDriver.cuCtxSetCurrent(0);
        _current = 0;
        _ = CudaDriver.cuDevicePrimaryCtxRelease_v2(_ordinal);
    }
}
