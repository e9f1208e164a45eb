using QwenServe.Engine;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;

namespace QwenServe.Hosting;

/// <summary>Loads the model and reports as it goes: what is done, the share of it that is done, and a detail.</summary>
internal delegate Task<ServedModel> ModelLoader(QwenServeSettings settings, Action<string, double?, string?> report, CancellationToken cancel);

/// <summary>Owns the served model: loads it behind the open port and hands it to requests once it is there.</summary>
internal sealed class ModelHost(QwenServeSettings settings, ModelLoader loader, Lifecycle lifecycle, Metrics metrics) : IAsyncDisposable
{
    private readonly TaskCompletionSource<ServedModel> _loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<string> _broken = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private Task _loading = Task.CompletedTask;
    private ServedModel? _model;

    /// <summary>Completes when the model answers; fails with a <see cref="StartupException"/> when it cannot.</summary>
    public Task<ServedModel> Loaded => _loaded.Task;

    /// <exception cref="ApiException">503: still loading, or shutting down.</exception>
    public ServedModel Model
    {
        get
        {
            lifecycle.ThrowIfNotReady();
            return _model!;
        }
    }

    /// <summary>How the engine is; null while there is none.</summary>
    public EngineHealth? Health => _model?.Engine.Health;

    /// <summary>Completes when the engine has ended while it should run, with what broke it.</summary>
    public Task<string> Broken => _broken.Task;

    /// <summary>The model by the name a client gave.</summary>
    /// <exception cref="ApiException">404, or 503 as of <see cref="Model"/>.</exception>
    public ServedModel Find(string? name)
    {
        var model = Model;
        return name is null || model.Names.Contains(name) ? model : throw ApiException.ModelNotFound(name);
    }

    public void Start(ProgressLine progress) => _loading = Task.Run(() => LoadAsync(progress));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loading.ConfigureAwait(false);
        if (_model is not null) await _model.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task LoadAsync(ProgressLine progress)
    {
        ServedModel? model = null;
        try
        {
            model = await loader(settings, (activity, share, detail) =>
            {
                lifecycle.Report(activity, share);
                progress.Report(activity, share, detail);
            }, _stop.Token).ConfigureAwait(false);
            metrics.Attach(model.Engine.Metrics.Meter, model.Name);
            lifecycle.Report("warming up", null);
            await model.WarmUpAsync(_stop.Token).ConfigureAwait(false);
            progress.Clear();
            _model = model;
            _ = model.GrammarVocabulary;
            lifecycle.BecomeReady();
            _loaded.SetResult(model);
            _ = model.Engine.Ended.ContinueWith(_ =>
            {
                lifecycle.Fail();
                _broken.TrySetResult(model.Engine.Health.Fault ?? "it has ended");
            }, TaskScheduler.Default);
        }
#pragma warning disable CA1031 // It reaches the operator as one line.
        catch (Exception e)
#pragma warning restore CA1031
        {
            progress.Clear();
            lifecycle.Fail();
            _loaded.SetException(e as StartupException ?? new StartupException(OneLine(e), e));
            if (model is not null) await model.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>What an operator can use of an exception: its message, and its type where the message alone says little.</summary>
    private static string OneLine(Exception e)
    {
        if (e is OutOfMemoryException) return "there is not enough memory; a smaller model, or a smaller --kv-cache-memory or --max-num-batched-tokens, takes less";
        string message = e.Message.ReplaceLineEndings(" ");
        return e is IOException or InvalidDataException or UnauthorizedAccessException or OperationCanceledException or InvalidOperationException
            || e.GetType().Namespace?.StartsWith("QwenServe", StringComparison.Ordinal) == true
            ? message
            : $"{e.GetType().Name}: {message}";
    }
}
