using QwenServe.Compute;
using QwenServe.Engine;
using QwenServe.Engine.Execution;
using QwenServe.Hosting;
using QwenServe.Text.Chat;
using QwenServe.Text.Tokenization;

namespace QwenServe.Tests.Api;

/// <summary>A served model that says what it is told: the embedded model's tokenizer and template, the real engine, a <see cref="ScriptedDevice"/>.</summary>
internal sealed class ScriptedModel
{
    public const int MaxModelLen = 512;

    private static readonly Lazy<Tokenizer> SharedTokenizer = new(() => Tokenizer.Load(ModelLoading.EmbeddedDirectory));

    private readonly Func<string, string> _script;

    private ScriptedModel(Func<string, string> script)
    {
        _script = script;
        Device = new ScriptedDevice(prompt => Ids(_script(Tokenizer.Decode(prompt, skipSpecialTokens: false))));
    }

    public static Tokenizer Tokenizer => SharedTokenizer.Value;

    public ScriptedDevice Device { get; }

    public Func<EngineOptions, EngineOptions> Options { get; set; } = o => o;

    public IReadOnlyList<string> Names { get; set; } = ["org/name", "short"];

    public ChatTemplate Template { get; set; } = ChatTemplate.Load(ModelLoading.EmbeddedDirectory);

    public InferenceEngine? Engine { get; private set; }

    /// <summary>Answers each prompt with the same text.</summary>
    public static ScriptedModel Saying(string text) => new(_ => text);

    /// <summary>Answers by the text of the prompt.</summary>
    public static ScriptedModel Saying(Func<string, string> script) => new(script);

    /// <summary>An endless row of words.</summary>
    public static ScriptedModel Endless() => new(_ => string.Concat(Enumerable.Repeat("one two three ", 400)));

    public async Task<ServedModel> LoadAsync(Settings.QwenServeSettings settings, Action<string, double?, string?> report, CancellationToken cancel)
    {
        var options = Options(new EngineOptions { MaxModelLength = MaxModelLen, MaxNumSeqs = 8, MaxNumBatchedTokens = 256, EosTokenIds = [End] });
        var geometry = new ModelGeometry
        {
            HiddenSize = 8,
            LayerCount = 1,
            HeadCount = 1,
            KvHeadCount = 1,
            HeadDim = 8,
            IntermediateSize = 8,
            VocabularySize = Tokenizer.VocabularySize,
            RmsNormEpsilon = 1e-6f,
        };
        Engine = await InferenceEngine.StartAsync(options, () => ModelRunner.Create(Device, geometry, () => { }, options, readHidden: (tokens, rows) => rows[..(tokens.Length * geometry.HiddenSize)].Fill(0.5f)));
        return new ServedModel
        {
            Names = Names,
            Root = "script",
            Engine = Engine,
            Tokenizer = Tokenizer,
            Template = Template,
        };
    }

    private static int End => Tokenizer.FindAddedToken("<|im_end|>")!.Value;

    private static int[] Ids(string text) => [.. Tokenizer.Encode(text), End];
}
