using QwenServe.Hosting;

namespace QwenServe.Settings;

/// <summary>What is served.</summary>
public sealed record ModelSettings
{
    /// <summary>A folder, or org/name on the hub; null for the embedded model.</summary>
    public string? Name { get; init; }

    /// <summary>Names that were chosen for it; empty: the one it was asked for by.</summary>
    public IReadOnlyList<string> ServedNames { get; init; } = [];

    /// <summary>huggingface or modelscope.</summary>
    public string Hub { get; init; } = "huggingface";

    /// <summary>Null takes the hub's default branch.</summary>
    public string? Revision { get; init; }

    public string? DownloadDir { get; init; }

    /// <summary>auto, bf16, f16 or f32.</summary>
    public string Dtype { get; init; } = "auto";

    /// <summary>Null takes the model's own.</summary>
    public int? MaxModelLen { get; init; }

    /// <summary>A file; null takes the checkpoint's.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>Whether generation_config.json gives the defaults of sampling.</summary>
    public bool UseGenerationConfig { get; init; } = true;

    /// <summary>Whether control tokens inside messages act as control tokens, as they do in transformers.</summary>
    public bool ControlTokensInContent { get; init; }

    /// <summary>What clients may call it; the first is written in answers.</summary>
    public IReadOnlyList<string> Names => ServedNames.Count > 0 ? [.. ServedNames.Distinct()]
        : Name is not { } name ? [ModelLoading.EmbeddedName]
        // A folder is served under its own name, and found under the path that was given too.
        : Directory.Exists(name) ? [.. new[] { Path.GetFileName(Path.GetFullPath(name).TrimEnd('/')), name }.Distinct()] : [name];

    /// <summary>auto (what the checkpoint says, or else last), last or mean: what embeddings are made of.</summary>
    public string PoolingType { get; init; } = "auto";

    public static ModelSettings Read(SettingsReader reader) => new()
    {
        Name = reader.Text("Model:Name"),
        Hub = reader.Choice("Model:Hub", "huggingface", "huggingface", "modelscope"),
        Revision = reader.Text("Model:Revision"),
        DownloadDir = reader.Text("Model:DownloadDir"),
        Dtype = reader.Choice("Model:Dtype", "auto", "auto", "bf16", "f16", "f32", "bfloat16", "float16", "half", "float32", "float") switch
        {
            "bfloat16" => "bf16",
            "float16" or "half" => "f16",
            "float32" or "float" => "f32",
            var other => other,
        },
        MaxModelLen = reader.Tokens("Model:MaxModelLen"),
        ChatTemplate = reader.Text("Model:ChatTemplate"),
        UseGenerationConfig = reader.Choice("Model:GenerationConfig", "auto", "auto", "none", "vllm") == "auto",
        ControlTokensInContent = reader.Switch("Model:ControlTokensInContent", false),
        PoolingType = reader.Choice("Model:PoolingType", "auto", "auto", "last", "mean", "LAST", "MEAN") switch { "LAST" => "last", "MEAN" => "mean", var other => other },
    };
}
