using System.Diagnostics;
using System.Globalization;
using QwenServe.Compute;
using QwenServe.Engine.Cache;
using QwenServe.Engine.Diagnostics;
using QwenServe.Engine.Execution;
using QwenServe.Engine.Scheduling;

namespace QwenServe.Engine;

/// <summary>
/// The door of the engine: token ids go in, a stream of events comes out. Any thread may call. Behind it one thread loads the model, runs
/// the <see cref="EngineLoop"/> and gives the device back at the end, since a device belongs to one thread.
/// </summary>
public sealed class InferenceEngine : IAsyncDisposable
{
    private readonly EngineOptions _options;
    private readonly ModelRunner _runner;
    private readonly Mailbox _mailbox;
    private readonly MaskFiller _masks;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>For the engine thread, and for tests that drive <see cref="Loop"/> themselves.</summary>
    internal InferenceEngine(EngineOptions options, ModelRunner runner)
    {
        options.Validate();
        _options = options;
        _runner = runner;
        _mailbox = new Mailbox(options.MaxQueuedRequests, options.MaxQueuedTokens);
        Metrics = new EngineMetrics(runner.MaxModelLength);
        _masks = new MaskFiller(Math.Clamp(Environment.ProcessorCount / 4, 1, 4), Metrics.MaskFilled);
        Cache = new KvCache(runner.BlockCount, runner.BlockSize, options.EnablePrefixCaching);
        var outbox = new Outbox();
        Scheduler = new Scheduler(runner.Limits, Cache, outbox, Metrics);
        Metrics.Observe(() => (Scheduler.RunningCount, Scheduler.WaitingCount, Scheduler.UnforkedCount, Cache.Usage, Cache.Evictions));
        Metrics.DescribeMemory(() => (runner.KvCacheBytes, Loop!.AvailableMemory));
        Metrics.DescribeCache(
            new("block_size", Text(runner.BlockSize)),
            new("num_gpu_blocks", Text(runner.BlockCount)),
            new("kv_cache_size_tokens", Text((long)runner.BlockCount * runner.BlockSize)),
            new("cache_dtype", runner.KvCacheType switch { DType.F32 => "fp32", DType.BF16 => "bf16", _ => "fp16" }),
            new("enable_prefix_caching", options.EnablePrefixCaching ? "True" : "False"));
        Loop = new EngineLoop(runner, Scheduler, _mailbox, outbox, _masks, Metrics, options.OverlapSteps);
    }

    /// <summary>Tokens of the longest sequence, after what the KV cache allows.</summary>
    public int MaxModelLength => _runner.MaxModelLength;

    public int VocabularySize => _runner.VocabularySize;

    /// <summary>Elements of a pooled row.</summary>
    public int HiddenSize => _runner.HiddenSize;

    /// <summary>Whether the model has a head to draw tokens with; one without answers requests for pooled rows only.</summary>
    public bool Generates => _runner.Generates;

    /// <summary>Ids that end a choice, whatever the request.</summary>
    public IReadOnlyList<int> EosTokenIds => _options.EosTokenIds;

    /// <summary>KV blocks, and positions a block.</summary>
    public (int Count, int Size) Blocks => (_runner.BlockCount, _runner.BlockSize);

    public long KvCacheBytes => _runner.KvCacheBytes;

    public DType KvCacheType => _runner.KvCacheType;

    public string DeviceDescription => _runner.DeviceDescription;

    public EngineMetrics Metrics { get; }

    /// <summary>Requests that may wait; one more is refused.</summary>
    public int MaxQueuedRequests => _options.MaxQueuedRequests;

    /// <summary>Requests that wait for their first step, and their prompt tokens.</summary>
    public (int Requests, long Tokens) Queued => _mailbox.Queued;

    public EngineHealth Health => new(Loop.Fault, Loop.HasWork, Stopwatch.GetElapsedTime(Loop.ProgressTimestamp));

    /// <summary>Completes when the engine has ended, by <see cref="StopAsync"/> or by a fault; never fails.</summary>
    public Task Ended => _ended.Task;

    internal EngineLoop Loop { get; }

    internal Scheduler Scheduler { get; }

    internal KvCache Cache { get; }

    /// <summary>Loads a model on a thread that then becomes the engine's.</summary>
    /// <param name="options">The engine's options.</param>
    /// <param name="load">Makes the device, loads the weights and ends with <see cref="ModelRunner.Create"/>. Its exceptions come out of the task.</param>
    public static Task<InferenceEngine> StartAsync(EngineOptions options, Func<ModelRunner> load) => StartAsync(() => (options, load()));

    /// <summary>As <see cref="StartAsync(EngineOptions, Func{ModelRunner})"/>, for options that depend on the device that is found.</summary>
    public static Task<InferenceEngine> StartAsync(Func<(EngineOptions Options, ModelRunner Runner)> load)
    {
        var started = new TaskCompletionSource<InferenceEngine>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            InferenceEngine engine;
            try
            {
                var (options, runner) = load();
                try
                {
                    engine = new InferenceEngine(options, runner);
                }
                catch
                {
                    runner.Dispose();
                    throw;
                }
            }
#pragma warning disable CA1031 // It reaches whoever awaits the start.
            catch (Exception e)
#pragma warning restore CA1031
            {
                started.SetException(e);
                return;
            }
            started.SetResult(engine);
            engine.Run();
        })
        { IsBackground = true, Name = "qwenserve-engine" };
        thread.Start();
        return started.Task;
    }

    /// <summary>Queues a request at once; its events are read from the stream.</summary>
    /// <exception cref="InvalidParameterException">A parameter is out of range.</exception>
    /// <exception cref="PromptTooLongException">Prompt and max_tokens do not fit the context.</exception>
    /// <exception cref="EngineOverloadedException">The queue is full.</exception>
    /// <exception cref="EngineUnavailableException">The engine is stopping, has stopped or is broken.</exception>
    public GenerationStream Submit(GenerationRequest request) => SubmitAll([request])[0];

    /// <summary>As <see cref="Submit(GenerationRequest)"/>, for requests of one tenant that are taken or refused together.</summary>
    public GenerationStream[] SubmitAll(ReadOnlySpan<GenerationRequest> requests)
    {
        if (requests.IsEmpty) return [];
        int[] maxOutputs = new int[requests.Length];
        long tokens = 0;
        for (int i = 0; i < requests.Length; i++)
        {
            maxOutputs[i] = Validate(requests[i]);
            if (requests[i].Tenant != requests[0].Tenant) throw new ArgumentException("requests submitted together belong to one tenant", nameof(requests));
            tokens += requests[i].Weight;
        }
        // A refusal costs nothing that grows with the prompt.
        if (!_mailbox.HasRoom(requests[0].Tenant, requests.Length, tokens)) throw Refuse(requests.Length, tokens);
        var groups = new SequenceGroup[requests.Length];
        for (int i = 0; i < groups.Length; i++)
        {
            groups[i] = new SequenceGroup(requests[i], maxOutputs[i], VocabularySize, HiddenSize, _options);
            groups[i].Stream.OnAbort(_mailbox.Abort);
        }
        if (!_mailbox.TryPost(groups)) throw Refuse(requests.Length, tokens);
        return [.. groups.Select(g => g.Stream)];
    }

    /// <summary>
    /// Takes no more requests, lets those accepted end for up to the timeout, ends the rest with an error and gives the device back.
    /// A negative timeout waits for all.
    /// </summary>
    public Task StopAsync(TimeSpan timeout)
    {
        _mailbox.Close("the server is shutting down", faulted: false);
        Loop.Stop(timeout);
        return Ended;
    }

    public async ValueTask DisposeAsync() => await StopAsync(TimeSpan.Zero).ConfigureAwait(false);

    /// <summary>The engine thread's work after loading.</summary>
    internal void Run()
    {
        Loop.Run();
        try
        {
            _masks.Dispose();
            Metrics.Dispose();
            _runner.Dispose();
        }
#pragma warning disable CA1031 // A device that has failed may fail to let go; the requests have ended, and so does the thread.
        catch (Exception e)
#pragma warning restore CA1031
        {
            _options.Log?.Invoke($"the device failed while being given back: {e.Message}");
        }
        _ended.SetResult();
    }

    private int Validate(GenerationRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.Priority != 0 && _options.SchedulingPolicy != SchedulingPolicy.Priority)
            throw new InvalidParameterException("priority", "priority is not in use: the server does not run with --scheduling-policy priority");
        request.Sampling.Validate(VocabularySize);
        if (request.Prompt.Length == 0) throw new InvalidParameterException("prompt", "the prompt must have at least one token");
        foreach (int token in request.Prompt)
            if ((uint)token >= (uint)VocabularySize) throw new InvalidParameterException("prompt", $"token id {token} is not in the vocabulary of {VocabularySize}");
        if (request.Choices < 1 || request.Choices > Math.Min(_options.MaxChoices, 65536)) throw new InvalidParameterException("n", $"n must be from 1 to {_options.MaxChoices}, not {request.Choices}");
        if (request.MaxTokens < 0) throw new InvalidParameterException("max_tokens", $"max_tokens must be at least 0, not {request.MaxTokens}");
        if (request.PromptLogProbs is < 0 or > SamplingResults.MaxTopLogProbs) throw new InvalidParameterException("prompt_logprobs", $"prompt_logprobs must be from 0 to {SamplingResults.MaxTopLogProbs}, not {request.PromptLogProbs}");
        int room = MaxModelLength - request.Prompt.Length;
        if (request.Pooling is { } pooling)
        {
            if (!_runner.Pools) throw new InvalidParameterException("pooling", "this model gives no hidden states");
            if (request.Choices != 1) throw new InvalidParameterException("n", "a request for hidden states has one choice");
            if (request.PromptLogProbs is not null) throw new InvalidParameterException("prompt_logprobs", "a request for hidden states has no log-probs");
            if (pooling.Kind == PoolingKind.Positions && pooling.Positions[^1] >= request.Prompt.Length)
                throw new InvalidParameterException("pooling", $"position {pooling.Positions[^1]} is not in a prompt of {request.Prompt.Length} tokens");
            return room >= 0 ? 0 : throw new PromptTooLongException(request.Prompt.Length, 0, MaxModelLength);
        }
        if (!Generates) throw new InvalidParameterException("model", "this model has no head to generate text with");
        if (room < (request.MaxTokens ?? 1)) throw new PromptTooLongException(request.Prompt.Length, request.MaxTokens, MaxModelLength);
        int maxOutput = request.MaxTokens ?? room;
        if (request.Sampling.MinTokens > maxOutput) throw new InvalidParameterException("min_tokens", $"min_tokens must be at most max_tokens ({maxOutput}), not {request.Sampling.MinTokens}");
        return maxOutput;
    }

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);

    private EngineOverloadedException Refuse(int requests, long tokens)
    {
        Metrics.RequestRefused();
        var (queuedRequests, queuedTokens) = _mailbox.Queued;
        return new EngineOverloadedException(queuedRequests, queuedTokens, _mailbox.RetryAfter(requests, tokens));
    }
}
