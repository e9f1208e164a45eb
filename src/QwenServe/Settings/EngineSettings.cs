using System.Globalization;

namespace QwenServe.Settings;

/// <summary>What the engine computes on and how much it takes at once.</summary>
public sealed record EngineSettings
{
    /// <summary>auto, cpu or cuda.</summary>
    public string Device { get; init; } = "auto";

    /// <summary>Which GPU, from 0.</summary>
    public int GpuOrdinal { get; init; }

    /// <summary>Models that share the CPU and its memory equally, this one included.</summary>
    public int CpuSharers { get; init; } = 1;

    /// <summary>Null takes the physical cores.</summary>
    public int? Threads { get; init; }

    /// <summary>Bytes; null takes what the device offers.</summary>
    public long? KvCacheMemory { get; init; }

    /// <summary>auto, fp32, bf16 or fp16.</summary>
    public string KvCacheDtype { get; init; } = "auto";

    /// <summary>Share of a GPU's memory that may be in use when this model has been loaded.</summary>
    public double GpuMemoryUtilization { get; init; } = 0.9;

    /// <summary>Null takes the device's own default.</summary>
    public int? MaxNumSeqs { get; init; }

    /// <summary>Null takes the device's own default.</summary>
    public int? MaxNumBatchedTokens { get; init; }

    /// <summary>Requests that may wait before more are refused.</summary>
    public int MaxNumWaiting { get; init; } = 1024;

    /// <summary>Prompt tokens that may wait before more are refused.</summary>
    public long MaxWaitingTokens { get; init; } = 4L << 20;

    /// <summary>fcfs or priority.</summary>
    public string SchedulingPolicy { get; init; } = "fcfs";

    /// <summary>A step that takes longer is taken for hung; the longest honest ones are prefills of large models on a CPU.</summary>
    public TimeSpan StepTimeout { get; init; } = TimeSpan.FromMinutes(10);

    public int BlockSize { get; init; } = 16;

    public bool PrefixCaching { get; init; } = true;

    public static EngineSettings Read(SettingsReader reader)
    {
        int blockSize = reader.Integer("Engine:BlockSize", 16, 1, 4096);
        if (!int.IsPow2(blockSize)) throw reader.Wrong("Engine:BlockSize", reader.Text("Engine:BlockSize")!, "must be a power of two");
        int? gpu = reader.Text("Engine:Device") is { } device && device.StartsWith("cuda:", StringComparison.OrdinalIgnoreCase)
            && int.TryParse(device.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out int ordinal) && ordinal < 1024 ? ordinal : null;
        return new EngineSettings
        {
            Device = gpu is null ? reader.Choice("Engine:Device", "auto", "auto", "cpu", "cuda", "cuda:N") : "cuda",
            GpuOrdinal = gpu ?? 0,
            Threads = reader.Text("Engine:Threads") is null or "auto" ? null : reader.Integer("Engine:Threads", 0, 1, 1024),
            KvCacheMemory = reader.Bytes("Engine:KvCacheMemory"),
            KvCacheDtype = reader.Choice("Engine:KvCacheDtype", "auto", "auto", "fp32", "bf16", "fp16", "float32", "bfloat16", "float16") switch
            {
                "float32" => "fp32",
                "bfloat16" => "bf16",
                "float16" => "fp16",
                var other => other,
            },
            GpuMemoryUtilization = reader.Number("Engine:GpuMemoryUtilization", 0.9, 0.01, 1),
            MaxNumSeqs = Optional(reader, "Engine:MaxNumSeqs", 65_536),
            MaxNumBatchedTokens = Optional(reader, "Engine:MaxNumBatchedTokens", 1 << 20),
            MaxNumWaiting = reader.Integer("Engine:MaxNumWaiting", 1024, 1, 1 << 20),
            MaxWaitingTokens = reader.Tokens("Engine:MaxWaitingTokens", 4 << 20),
            SchedulingPolicy = reader.Choice("Engine:SchedulingPolicy", "fcfs", "fcfs", "priority"),
            StepTimeout = TimeSpan.FromSeconds(reader.Number("Engine:StepTimeout", 600, 0.1, 86_400)),
            BlockSize = blockSize,
            PrefixCaching = reader.Switch("Engine:PrefixCaching", true),
        };
    }

    private static int? Optional(SettingsReader reader, string key, int maximum)
        => reader.Text(key) is null or "auto" ? null : reader.Integer(key, 0, 1, maximum);
}
