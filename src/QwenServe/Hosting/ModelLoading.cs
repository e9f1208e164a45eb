using System.Diagnostics;
using System.Globalization;
using QwenServe.Compute;
using QwenServe.Engine;
using QwenServe.Engine.Execution;
using QwenServe.Engine.Model;
using QwenServe.Generation;
using QwenServe.Hub;
using QwenServe.Settings;
using QwenServe.Text.Chat;
using QwenServe.Text.Tokenization;

namespace QwenServe.Hosting;

/// <summary>
/// From settings to a model that answers: find or download the checkpoint, then load the weights on the engine's thread while tokenizer and
/// template are read beside it.
/// </summary>
internal static class ModelLoading
{
    /// <summary>The name under which the embedded model is served.</summary>
    public const string EmbeddedName = "qwenserve-demo";

    /// <summary>Where the build puts the embedded model.</summary>
    public static string EmbeddedDirectory => Path.Combine(AppContext.BaseDirectory, "EmbeddedModel");

    /// <exception cref="StartupException">The model cannot be served; one line says why.</exception>
    public static async Task<ServedModel> LoadAsync(QwenServeSettings settings, Action<string, double?, string?> report, CancellationToken cancel)
    {
        string directory = await LocateAsync(settings.Model, report, cancel).ConfigureAwait(false);
        var names = settings.Model.Names;
        report("loading " + names[0], null, null);

        var config = QwenConfig.Load(directory);
        int length = settings.Model.MaxModelLen ?? config.MaxContextLength;
        if (length > config.MaxContextLength)
            throw new StartupException($"--max-model-len {length} is more than the {config.MaxContextLength} tokens of {names[0]}"
                + (config.ContextLimit is { } limit ? $" ({limit})" : ""), exitCode: 2);
        var text = Task.Run(() => (Tokenizer.Load(directory), LoadTemplate(directory, settings.Model.ChatTemplate)), cancel);

        var watch = Stopwatch.StartNew();
        ScoreHead? score = null;
        var engine = await InferenceEngine.StartAsync(() =>
        {
            var device = Devices.Open(settings.Engine, config.Geometry, WeightType(settings.Model.Dtype), line => report(line, null, null));
            try
            {
                var options = Options(settings, device.Kind, length, directory, config, line => report(line, null, null));
                using var checkpoint = Checkpoint.Open(directory);
                var progress = new WeightProgress(report, names[0]);
                var model = QwenModel.Load(checkpoint, device, WeightType(settings.Model.Dtype), length, progress);
                device.SetVocabulary(VocabularyBits(text.GetAwaiter().GetResult().Item1, config.Geometry.VocabularySize, directory));
                report("allocating the KV cache", null, null);
                score = model.Score;
                return (options, ModelRunner.Create(device, config.Geometry, model.Forward, options, model, model.ReadHidden, model.Generates));
            }
            catch
            {
                device.Dispose();
                throw;
            }
        }).WaitAsync(cancel).ConfigureAwait(false);
        var (tokenizer, template) = await text.ConfigureAwait(false);
        return new ServedModel
        {
            Names = names,
            Root = settings.Model.Name ?? "embedded",
            Engine = engine,
            Tokenizer = tokenizer,
            Template = template,
            Defaults = settings.Model.UseGenerationConfig ? GenerationConfig.Load(directory) : new GenerationConfig(),
            ControlTokensInContent = settings.Model.ControlTokensInContent,
            Purpose = config.Task,
            Score = score,
            StepToken = config.Task != ModelTask.ProcessReward ? null
                : tokenizer.FindAddedToken(StepScores.Token) ?? throw new StartupException($"{directory}: the tokenizer has no {StepScores.Token}, which ends a step for a process reward model"),
            Embedding = EmbeddingRecipe.Load(directory, tokenizer, settings.Model.PoolingType),
            LoadTime = watch.Elapsed,
        };
    }

    private static async Task<string> LocateAsync(ModelSettings settings, Action<string, double?, string?> report, CancellationToken cancel)
    {
        if (settings.Name is not { } name)
            return Directory.Exists(EmbeddedDirectory) ? EmbeddedDirectory : throw new StartupException($"{EmbeddedDirectory}: the embedded model is missing; give a model with --model");
        if (Directory.Exists(name)) return name;
        if (File.Exists(name)) throw new StartupException($"{name}: is a file; --model takes the directory of a checkpoint (config.json, tokenizer.json, *.safetensors)");
        if (!IsRepository(name))
        {
            string hint = name.Contains('/', StringComparison.Ordinal) ? "" : $"; on the hub a model is ORG/NAME, such as Qwen/{(name.StartsWith("Qw", StringComparison.Ordinal) ? name : "Qwen2.5-0.5B-Instruct")}";
            throw new StartupException($"{name}: no such directory{hint}");
        }
        var progress = new DownloadProgress(report);
        return settings.Hub == "modelscope"
            ? await ModelScopeHub.FetchAsync(HubOptions.ModelScope(Environment.GetEnvironmentVariable, settings.DownloadDir), name, settings.Revision, progress, cancel).ConfigureAwait(false)
            : await HuggingFaceHub.FetchAsync(HubOptions.HuggingFace(Environment.GetEnvironmentVariable, settings.DownloadDir), name, settings.Revision, progress, cancel).ConfigureAwait(false);
    }

    /// <summary>org/name, and neither a path nor the name of a file.</summary>
    private static bool IsRepository(string name)
    {
        string[] parts = name.Split('/');
        return parts.Length == 2 && parts.All(p => p.Length > 0 && p is not ("." or ".." or "~") && p.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'));
    }

    private static EngineOptions Options(QwenServeSettings settings, string kind, int length, string directory, QwenConfig config, Action<string> log)
    {
        var defaults = EngineOptions.For(kind, length);
        var engine = settings.Engine;
        return defaults with
        {
            EosTokenIds = [.. GenerationConfig.Load(directory).EosTokenIds.Union(config.EosTokenIds)],
            BlockSize = engine.BlockSize,
            MaxNumSeqs = engine.MaxNumSeqs ?? defaults.MaxNumSeqs,
            MaxNumBatchedTokens = engine.MaxNumBatchedTokens ?? defaults.MaxNumBatchedTokens,
            KvCacheBytes = engine.KvCacheMemory,
            GpuMemoryUtilization = engine.GpuMemoryUtilization,
            KvCacheType = engine.KvCacheDtype switch { "fp32" => DType.F32, "bf16" => DType.BF16, "fp16" => DType.F16, _ => null },
            EnablePrefixCaching = engine.PrefixCaching,
            MaxQueuedRequests = engine.MaxNumWaiting,
            MaxQueuedTokens = engine.MaxWaitingTokens,
            SchedulingPolicy = engine.SchedulingPolicy == "priority" ? SchedulingPolicy.Priority : SchedulingPolicy.Fcfs,
            Log = log,
        };
    }

    private static DType? WeightType(string dtype) => dtype switch { "bf16" => DType.BF16, "f16" => DType.F16, "f32" => DType.F32, _ => null };

    /// <summary>A base model may have no template, and serves completions without one; a template asked for has to be there.</summary>
    private static ChatTemplate? LoadTemplate(string directory, string? file)
    {
        if (file is not null && !File.Exists(file)) throw new StartupException($"--chat-template {file}: no such file");
        try
        {
            return ChatTemplate.Load(directory, file);
        }
        catch (ChatTemplateException e) when (e.Line == 0 && file is null && e.Message.Contains("has no chat template", StringComparison.Ordinal))
        {
            return null;
        }
        catch (ChatTemplateException e)
        {
            throw new StartupException($"{file ?? directory}: {e.Message}", e);
        }
    }

    private static uint[] VocabularyBits(Tokenizer tokenizer, int vocabularySize, string directory)
    {
        if (tokenizer.VocabularySize > vocabularySize)
            throw new StartupException($"{directory}: the tokenizer has {tokenizer.VocabularySize} ids and the model {vocabularySize}; they do not belong together");
        uint[] bits = new uint[(vocabularySize + 31) / 32];
        for (int id = 0; id < tokenizer.VocabularySize; id++)
            if (tokenizer.HasToken(id)) bits[id / 32] |= 1u << (id % 32);
        return bits;
    }

    /// <summary>Reports as it is told, on the loading thread; Progress&lt;T&gt; would post to the pool and arrive late.</summary>
    private sealed class WeightProgress(Action<string, double?, string?> report, string name) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => report("loading " + name, value.Total == 0 ? null : (double)value.Loaded / value.Total,
            string.Create(CultureInfo.InvariantCulture, $"{value.Loaded / 1e6:F0} of {value.Total / 1e6:F0} MB"));
    }
}
