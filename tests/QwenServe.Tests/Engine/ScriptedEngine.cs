using QwenServe.Compute;
using QwenServe.Engine;
using QwenServe.Engine.Execution;

namespace QwenServe.Tests.Engine;

/// <summary>An engine on a <see cref="ScriptedDevice"/>, stepped by the test's own thread.</summary>
internal sealed class ScriptedEngine : IDisposable
{
    /// <summary>One float of keys and one of values a token: 8 bytes.</summary>
    public static readonly ModelGeometry Geometry = new()
    {
        HiddenSize = 1,
        LayerCount = 1,
        HeadCount = 1,
        KvHeadCount = 1,
        HeadDim = 1,
        IntermediateSize = 1,
        VocabularySize = ScriptedModel.Vocabulary,
        RmsNormEpsilon = 1e-6f,
    };

    private long _ids;

    public ScriptedEngine(EngineOptions options, int blocks = 1000)
    {
        Options = options = With(options, blocks);
        Engine = new InferenceEngine(options, ModelRunner.Create(Device, Geometry, Device.Forward, options, readHidden: Device.ReadHidden));
    }

    public EngineOptions Options { get; }

    public ScriptedDevice Device { get; } = new();

    public InferenceEngine Engine { get; }

    public static EngineOptions With(EngineOptions options, int blocks)
        => options with { KvCacheBytes = 8L * options.BlockSize * blocks, EosTokenIds = [ScriptedModel.Eos] };

    /// <summary>Tokens of a prompt that no other seed shares.</summary>
    public static int[] Prompt(int length, int seed = 1)
    {
        var random = new Random(seed);
        var prompt = new int[length];
        foreach (ref int token in prompt.AsSpan()) token = random.Next(4, ScriptedModel.Poison);
        return prompt;
    }

    public GenerationStream Submit(int[] prompt, int? maxTokens = 8, SamplingParameters? sampling = null, int choices = 1, string? salt = null, int? promptLogProbs = null, Func<int, ITokenMask>? mask = null, TimeSpan? timeout = null, string tenant = "", int priority = 0)
        => Engine.Submit(new GenerationRequest
        {
            Id = $"r{_ids++}",
            Prompt = prompt,
            MaxTokens = maxTokens,
            Sampling = sampling ?? new() { Seed = 7, IgnoreEos = true },
            Choices = choices,
            CacheSalt = salt,
            PromptLogProbs = promptLogProbs,
            MaskFactory = mask,
            Timeout = timeout,
            Tenant = tenant,
            Priority = priority,
        });

    /// <summary>One step, with integrity checked after it.</summary>
    public void Step()
    {
        Engine.Loop.Receive(wait: false);
        Engine.Loop.Step();
        Engine.Scheduler.CheckIntegrity();
    }

    public void Drain()
    {
        for (int steps = 0; ; steps++)
        {
            Step();
            if (!Engine.Loop.HasWork) return;
            Assert.True(steps < 100_000, "the engine does not come to an end");
        }
    }

    public static List<TokenEvent> Read(GenerationStream stream)
    {
        var events = new List<TokenEvent>();
        while (stream.TryRead(out var next)) events.Add(next);
        return events;
    }

    public static int[] Tokens(IEnumerable<TokenEvent> events, int choice = 0)
        => [.. events.Where(e => e.Choice == choice && e.Token >= 0).Select(e => e.Token)];

    /// <summary>Drains and gives the tokens of choice 0.</summary>
    public int[] Finish(GenerationStream stream)
    {
        Drain();
        return Tokens(Read(stream));
    }

    public void Dispose()
    {
        Engine.StopAsync(TimeSpan.Zero);
        Engine.Run();
    }
}
