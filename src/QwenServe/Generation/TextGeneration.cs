using System.Diagnostics;
using QwenServe.Access;
using QwenServe.Engine;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;
using QwenServe.Text.Output;
using QwenServe.Text.Tokenization;

namespace QwenServe.Generation;

/// <summary>
/// One prompt being continued: token events of the engine in, text, reasoning and tool calls out, for each of its choices. It is queued
/// when it is made, so that a refusal comes before anything has been answered; a stop string or disposal ends the engine's work.
/// One reader.
/// </summary>
internal sealed class TextGeneration : IAsyncDisposable
{
    private readonly GenerationStream _stream;
    private readonly IAsyncEnumerator<TokenEvent> _events;
    private readonly Choice[] _choices;
    private readonly List<ChoiceDelta> _deltas = [];
    private readonly List<ChoiceDelta> _spare = [];
    private readonly Caller _caller;
    private readonly long _reserved;
    private readonly Activity? _request = Spans.Current;
    private readonly ModelMetrics _metrics;
    private readonly bool _tools;
    private string? _error;
    private int _open;
    private int _disposed;

    private TextGeneration(GenerationStream stream, int promptTokens, Choice[] choices, Caller caller, long reserved, ModelMetrics metrics, bool tools)
    {
        _metrics = metrics;
        _tools = tools;
        _stream = stream;
        _caller = caller;
        _reserved = reserved;
        _events = stream.GetAsyncEnumerator(caller.Cancelled);
        PromptTokens = promptTokens;
        _choices = choices;
        _open = choices.Length;
    }

    public int PromptTokens { get; }

    /// <summary>Over all choices, stop tokens included.</summary>
    public int CompletionTokens { get; private set; }

    /// <summary>Those of <see cref="CompletionTokens"/> that are reasoning, its end included.</summary>
    public int ReasoningTokens { get; private set; }

    /// <summary>Prompt tokens found in the prefix cache.</summary>
    public int CachedTokens => _stream.CachedTokens;

    /// <summary>There after the first read, when asked for.</summary>
    public IReadOnlyList<PromptLogProb?>? PromptLogProbs { get; private set; }

    /// <summary>Queues a prompt.</summary>
    /// <param name="model">The model.</param>
    /// <param name="id">The answer's id, for traces.</param>
    /// <param name="prompt">Token ids.</param>
    /// <param name="options">How to continue.</param>
    /// <param name="output">How to read what comes; its stop strings are those of <paramref name="options"/>.</param>
    /// <param name="masks">Makes the mask of each choice, or null; the masks keep <c>min_tokens</c> themselves.</param>
    /// <param name="chat">Whether the prompt was a conversation, for the words of errors.</param>
    /// <param name="caller">Who asks; leaving ends waiting.</param>
    /// <exception cref="ApiException">The engine refuses, or the caller is at a limit.</exception>
    public static TextGeneration Start(ServedModel model, string id, int[] prompt, GenerationOptions options, OutputOptions output, Func<int, ITokenMask>? masks, bool chat, Caller caller)
        => StartAll(model, id, [prompt], options, output, masks, chat, caller)[0];

    /// <summary>As <see cref="Start"/>, for prompts that are taken or refused together.</summary>
    public static TextGeneration[] StartAll(ServedModel model, string id, IReadOnlyList<int[]> prompts, GenerationOptions options, OutputOptions output, Func<int, ITokenMask>? masks, bool chat, Caller caller)
    {
        if (!model.Engine.Generates) throw ApiException.InvalidValue("model", "This model generates no text: it answers /v1/embeddings, /v1/score and /pooling.");
        output = output with { StopStrings = options.Stop, IncludeStopString = options.IncludeStop };
        var requests = new GenerationRequest[prompts.Count];
        for (int i = 0; i < requests.Length; i++)
            requests[i] = new GenerationRequest
            {
                Id = id,
                Prompt = prompts[i],
                Sampling = masks is null ? options.Sampling : options.Sampling with { MinTokens = 0 },
                Choices = options.Choices,
                MaxTokens = options.MaxTokens ?? Default(options, model.MaxModelLen - prompts[i].Length),
                MaskFactory = masks,
                CacheSalt = options.CacheSalt,
                PromptLogProbs = options.PromptLogProbs,
                Tenant = caller.Tenant,
                Priority = options.Priority,
                ArrivalTimestamp = caller.Arrival,
                Timeout = caller.TimeoutOr(options.Timeout),
            };
        if (Spans.Current is { } span) Describe(span, model, id, options, requests[0].MaxTokens);
        long reserved = caller.Reserve(prompts.Sum(p => (long)p.Length), requests.Sum(r => (long)(r.MaxTokens ?? 0) * r.Choices));
        GenerationStream[] streams;
        try
        {
            streams = model.Engine.SubmitAll(requests);
        }
        catch (Exception e)
        {
            caller.Settle(reserved, 0, 0);
            if (Translate(e, chat) is { } error) throw error;
            throw;
        }
        bool logProbs = options.Sampling.LogProbs is not null;
        var generations = new TextGeneration[streams.Length];
        for (int g = 0; g < generations.Length; g++)
        {
            var choices = new Choice[options.Choices];
            for (int i = 0; i < choices.Length; i++) choices[i] = new Choice(model.Tokenizer.CreateDetokenizer(options.SkipSpecialTokens), new OutputPipeline(output), options.Sampling.MinTokens, logProbs, model.Tokenizer);
            // The whole reservation is the first one's: what all have used is settled against it.
            generations[g] = new TextGeneration(streams[g], prompts[g].Length, choices, caller, g == 0 ? reserved : 0, model.Metrics, output.Tools);
        }
        return generations;
    }

    /// <summary>The engine's refusals as the client is told them; null for what is none.</summary>
    internal static ApiException? Translate(Exception refusal, bool chat) => refusal switch
    {
        InvalidParameterException e => ApiException.InvalidValue(e.Parameter, $"Invalid '{e.Parameter}': {e.Message}."),
        PromptTooLongException e => ApiException.ContextLength(e.MaxModelLength, e.PromptTokens, e.MaxTokens ?? 0, chat),
        EngineOverloadedException e => ApiException.Overloaded(e.RetryAfter),
        EngineUnavailableException e => ApiException.NotReady(e.Faulted ? "The engine has failed." : "The server is shutting down.", TimeSpan.FromSeconds(5)),
        _ => null,
    };

    private static void Describe(Activity span, ServedModel model, string id, GenerationOptions options, int? maxTokens)
    {
        var sampling = options.Sampling;
        span.SetTag("gen_ai.request.model", model.Name).SetTag("gen_ai.response.model", model.Name).SetTag("gen_ai.response.id", id)
            .SetTag("gen_ai.request.n", options.Choices).SetTag("gen_ai.request.choice.count", options.Choices)
            .SetTag("gen_ai.request.temperature", sampling.Temperature).SetTag("gen_ai.request.top_p", sampling.TopP).SetTag("gen_ai.request.max_tokens", maxTokens);
        if (sampling.Seed is { } seed) span.SetTag("gen_ai.request.seed", seed);
    }

    /// <summary>A default never makes a prompt too long.</summary>
    private static int? Default(GenerationOptions options, int room)
        => options.DefaultMaxTokens is { } wanted && room > 0 ? Math.Min(wanted, room) : null;

    /// <summary>Waits for what comes next and takes all that is there.</summary>
    /// <returns>What each choice gained; the same list each time. Null after the end of all choices.</returns>
    /// <exception cref="ApiException">The engine failed.</exception>
    /// <exception cref="OperationCanceledException">Waiting was ended.</exception>
    public async ValueTask<IReadOnlyList<ChoiceDelta>?> ReadAsync()
    {
        Recycle();
        if (_open == 0 || !await _events.MoveNextAsync().ConfigureAwait(false)) return null;
        Take(_events.Current);
        while (_open > 0 && _stream.TryRead(out var next)) Take(next);
        if (_open == 0) await _stream.DisposeAsync().ConfigureAwait(false);
        return _deltas;
    }

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _caller.Settle(_reserved, PromptTokens, CompletionTokens);
            Report();
        }
        return _stream.DisposeAsync();
    }

    private void Report()
    {
        var times = _stream.Times;
        _caller.Figures.Add(times, PromptTokens, CachedTokens, CompletionTokens, _choices.Select(c => c.Finish switch
        {
            OutputFinish.Stop => "stop",
            OutputFinish.Length => "length",
            OutputFinish.ToolCalls => "tool_calls",
            null => _error is null ? "abort" : "error",
            var other => throw new InvalidOperationException($"{other}"),
        }));
        if (_tools)
            foreach (var choice in _choices)
                if (choice.Ended) _metrics.ToolsRead(_caller.Path, _caller.Streams, choice.ToolCalls, choice.ToolCallsComplete);
        if (_request is null) return;
        long end = _open == 0 && times.LastToken != 0 ? times.LastToken : Stopwatch.GetTimestamp();
        Spans.WriteGeneration(_request, times, end, PromptTokens, CachedTokens, CompletionTokens, _error);
    }

    private void Take(in TokenEvent e)
    {
        if (e.PromptLogProbs is not null) PromptLogProbs = e.PromptLogProbs;
        var choice = _choices[e.Choice];
        // A choice that a stop string has ended may still get what was drawn before the engine heard of it.
        if (choice.Ended) return;
        if (e.Finish is FinishReason.Error or FinishReason.Timeout or FinishReason.Abort) _error = e.Finish.ToString().ToLowerInvariant();
        if (e.Finish is FinishReason.Error) throw ApiException.Internal(e.Error ?? "The generation failed.");
        if (e.Finish is FinishReason.Timeout) throw ApiException.Timeout(e.Error ?? "the request's time is over");
        if (e.Finish is FinishReason.Abort) throw ApiException.NotReady(e.Error ?? "The request was ended by the server.", TimeSpan.FromSeconds(1));
        if (e.Token >= 0) CompletionTokens++;
        if (e.Token >= 0 && choice.Reasons) ReasoningTokens++;
        var delta = DeltaOf(e.Choice);
        if (!choice.Take(in e, delta)) return;
        _open--;
        if (e.Finish == FinishReason.None) _stream.StopChoice(e.Choice);
    }

    private ChoiceDelta DeltaOf(int choice)
    {
        foreach (var known in _deltas)
            if (known.Choice == choice) return known;
        ChoiceDelta delta;
        if (_spare.Count > 0)
        {
            delta = _spare[^1];
            _spare.RemoveAt(_spare.Count - 1);
        }
        else delta = new ChoiceDelta();
        delta.Clear(choice);
        _deltas.Add(delta);
        return delta;
    }

    private void Recycle()
    {
        _spare.AddRange(_deltas);
        _deltas.Clear();
    }

    /// <summary>The text side of one choice.</summary>
    private sealed class Choice(Detokenizer detokenizer, OutputPipeline pipeline, int minTokens, bool logProbs, Tokenizer tokenizer)
    {
        private readonly Queue<(TokenRecord Record, long Start, long End)> _unsettled = new();
        private long _fed;
        private int _tokens;

        public bool Ended { get; private set; }

        /// <summary>Null until it has ended.</summary>
        public OutputFinish? Finish { get; private set; }

        public int ToolCalls { get; private set; }

        /// <summary>Whether the last of them was written to its end.</summary>
        public bool ToolCallsComplete { get; private set; }

        /// <summary>Whether what comes next is reasoning.</summary>
        public bool Reasons => pipeline.InReasoning;

        /// <returns>Whether the choice has ended.</returns>
        public bool Take(in TokenEvent e, ChoiceDelta delta)
        {
            // A stop id is counted but is no text.
            if (e.Token >= 0 && e.Finish != FinishReason.Stop) Push(in e, delta.Output);
            if (pipeline.Stopped) End(truncated: false, delta);
            else if (e.Finish != FinishReason.None)
            {
                Feed(detokenizer.Flush(), delta.Output);
                End(e.Finish == FinishReason.Length, delta);
            }
            else Settle(pipeline.Settled, delta);
            return Ended;
        }

        private void Push(in TokenEvent e, List<OutputDelta> output)
        {
            long start = _fed;
            _tokens++;
            string text = detokenizer.Push(e.Token);
            Feed(text, output);
            if (!logProbs) return;
            // A token that left half a character behind is settled with the character's first unit.
            bool waits = text.Length == 0 && !tokenizer.IsSpecial(e.Token) && !tokenizer.TokenBytes(e.Token).IsEmpty;
            _unsettled.Enqueue((new TokenRecord(e.Token, e.LogProb, e.TopLogProbs), start, waits ? _fed + 1 : _fed));
        }

        private void Feed(string text, List<OutputDelta> output)
        {
            if (text.Length == 0) return;
            _fed += text.Length;
            // As vLLM: a stop string counts when it is complete behind the first min_tokens tokens.
            pipeline.Feed(text, output, _tokens > minTokens);
        }

        private void End(bool truncated, ChoiceDelta delta)
        {
            var summary = pipeline.Finish(truncated, delta.Output);
            Finish = delta.Finish = summary.Finish;
            (ToolCalls, ToolCallsComplete) = (summary.ToolCalls, summary.LastToolCallComplete);
            delta.StopString = summary.StopString;
            Ended = true;
            Settle(long.MaxValue, delta);
        }

        private void Settle(long settled, ChoiceDelta delta)
        {
            while (_unsettled.TryPeek(out var next) && next.End <= settled)
            {
                delta.Tokens.Add(next.Record with { Output = delta.Output.Count - 1 });
                _unsettled.Dequeue();
            }
        }
    }
}
