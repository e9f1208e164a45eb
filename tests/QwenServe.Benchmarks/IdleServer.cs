using QwenServe.Compute;
using QwenServe.Engine;
using QwenServe.Engine.Execution;
using QwenServe.Hosting;
using QwenServe.Settings;
using QwenServe.Text.Chat;
using QwenServe.Text.Tokenization;

namespace QwenServe.Benchmarks;

/// <summary>The whole server around an <see cref="IdleDevice"/>, with the embedded model's tokenizer and template.</summary>
internal static class IdleServer
{
    /// <param name="name">What the model is called.</param>
    /// <param name="options">Of the engine.</param>
    /// <param name="step">Pretended time of a step.</param>
    public static ServerApp Build(string name, EngineOptions options, TimeSpan step)
    {
        var tokenizer = Tokenizer.Load(ModelLoading.EmbeddedDirectory);
        var geometry = new ModelGeometry
        {
            HiddenSize = 8,
            LayerCount = 1,
            HeadCount = 1,
            KvHeadCount = 1,
            HeadDim = 8,
            IntermediateSize = 8,
            VocabularySize = tokenizer.VocabularySize,
            RmsNormEpsilon = 1e-6f,
        };
        var settings = new QwenServeSettings { Server = new ServerSettings { Port = 0 }, Log = new LogSettings { Level = "error" } };
        return ServerApp.Build(settings, async (_, _, _) => new ServedModel
        {
            Names = [name],
            Root = name,
            Engine = await InferenceEngine.StartAsync(options, () => ModelRunner.Create(new IdleDevice { StepTime = step }, geometry, () => { }, options)).ConfigureAwait(false),
            Tokenizer = tokenizer,
            Template = ChatTemplate.Load(ModelLoading.EmbeddedDirectory),
        });
    }
}
