using System.Globalization;
using QwenServe.Engine;
using QwenServe.Engine.Model;
using QwenServe.Generation;
using QwenServe.Text.Chat;
using QwenServe.Text.Grammar;
using QwenServe.Text.Tokenization;

namespace QwenServe.Hosting;

/// <summary>A model that is loaded and answers.</summary>
internal sealed class ServedModel : IAsyncDisposable
{
    private readonly Lazy<Task<GrammarVocabulary>> _grammarVocabulary;

    private readonly Lazy<ReasoningMask> _reasoningMask;

    public ServedModel()
    {
        // An id without a token is never drawn, so it ends no answer.
        _grammarVocabulary = new(() => Task.Run(() => new GrammarVocabulary(Tokenizer!, Engine!.EosTokenIds.Where(id => (uint)id < (uint)Math.Min(Engine.VocabularySize, Tokenizer!.VocabularySize) && Tokenizer!.HasToken(id)))));
        _reasoningMask = new(() => new ReasoningMask(Tokenizer!));
        Grammars = new GrammarCache(64) { Made = Metrics.GrammarCompiled };
    }

    /// <summary>What clients may call it; the first is written in answers.</summary>
    public required IReadOnlyList<string> Names { get; init; }

    /// <summary>Where it came from, for people.</summary>
    public required string Root { get; init; }

    public required InferenceEngine Engine { get; init; }

    public required Tokenizer Tokenizer { get; init; }

    /// <summary>Null when the checkpoint has none; chat is then refused.</summary>
    public required ChatTemplate? Template { get; init; }

    /// <summary>Where requests that say nothing take their sampling from.</summary>
    public GenerationConfig Defaults { get; init; } = new();

    /// <summary>The tokens as grammars see them: begun at the end of loading, so that neither readiness nor a request pays for it.</summary>
    public Task<GrammarVocabulary> GrammarVocabulary => _grammarVocabulary.Value;

    /// <summary>The tokens of reasoning before an answer that a grammar holds.</summary>
    public ReasoningMask ReasoningMask => _reasoningMask.Value;

    /// <summary>The grammars used last.</summary>
    public GrammarCache Grammars { get; }

    public ModelMetrics Metrics { get; } = new();

    public bool ControlTokensInContent { get; init; }

    /// <summary>What the checkpoint was trained to answer.</summary>
    public ModelTask Purpose { get; init; }

    /// <summary>What scores conversations; null for a model that is not for that.</summary>
    public ScoreHead? Score { get; init; }

    /// <summary>The token that ends a step of an answer; only a process reward model has one.</summary>
    public int? StepToken { get; init; }

    /// <summary>How the model makes an embedding of a text.</summary>
    public EmbeddingRecipe Embedding { get; init; } = new();

    public DateTimeOffset Created { get; } = DateTimeOffset.UtcNow;

    /// <summary>What loading took.</summary>
    public TimeSpan LoadTime { get; init; }

    public string Name => Names[0];

    /// <summary>Tokens of the longest sequence, prompt and answer together.</summary>
    public int MaxModelLen => Engine.MaxModelLength;

    /// <summary>The line that ends loading: what is served, where, on which device, with how much KV cache.</summary>
    public string Describe(Uri address)
    {
        var (blocks, size) = Engine.Blocks;
        return string.Create(CultureInfo.InvariantCulture,
            $"Serving {string.Join(", ", Names)} on {address}v1 with {Engine.DeviceDescription}; context {MaxModelLen} tokens, KV cache {Engine.KvCacheBytes / (double)(1 << 20):F0} MiB = {(long)blocks * size} tokens; loaded in {LoadTime.TotalSeconds:F1} s");
    }

    /// <summary>Runs a few tokens through the whole path, so that the first client does not pay for compilation.</summary>
    public async Task WarmUpAsync(CancellationToken cancel)
    {
        int[] prompt = Tokenizer.Encode("Hello");
        if (prompt.Length == 0 || prompt.Length + 4 > MaxModelLen) return;
        await using var stream = Engine.Submit(new GenerationRequest
        {
            Id = "warm-up",
            Prompt = prompt,
            MaxTokens = 4,
            Pooling = Engine.Generates ? null : Pooling.Last,
            CacheSalt = "warm-up",
            WarmUp = true,
            Sampling = new SamplingParameters { Temperature = 0, IgnoreEos = true },
        });
        await foreach (var e in stream.WithCancellation(cancel).ConfigureAwait(false))
            if (e.Finish == FinishReason.Error) throw new StartupException("the first step failed: " + e.Error);
    }

    public async ValueTask DisposeAsync()
    {
        await Engine.DisposeAsync().ConfigureAwait(false);
        Metrics.Dispose();
    }
}
