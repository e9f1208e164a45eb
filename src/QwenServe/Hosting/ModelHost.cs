using QwenServe.Engine;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;

namespace QwenServe.Hosting;

/// <summary>Loads a model and reports as it goes: what is done, the share of it that is done, and a detail.</summary>
internal delegate Task<ServedModel> ModelLoader(QwenServeSettings settings, Action<string, double?, string?> report, CancellationToken cancel);

/// <summary>
/// Owns the served models: loads them behind the open port, one after the other, since each takes its part of the memory that is free, and hands them to
/// requests once all are there. One engine a model; the server is as well as the worst of them.
/// </summary>
internal sealed class ModelHost(QwenServeSettings settings, ModelLoader loader, Lifecycle lifecycle, Metrics metrics) : IAsyncDisposable
{
    private readonly TaskCompletionSource _loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<string> _broken = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, ServedModel> _byName = new(StringComparer.Ordinal);
    private Task _loading = Task.CompletedTask;
    private volatile ServedModel[] _models = [];

    /// <summary>Completes when all models answer; fails with a <see cref="StartupException"/> when one cannot.</summary>
    public Task Loaded => _loaded.Task;

    /// <summary>In the order of the settings.</summary>
    /// <exception cref="ApiException">503: still loading, or shutting down.</exception>
    public IReadOnlyList<ServedModel> Models
    {
        get
        {
            lifecycle.ThrowIfNotReady();
            return _models;
        }
    }

    /// <summary>How the engines are; empty until all are there.</summary>
    public IEnumerable<EngineHealth> Health => _models.Select(m => m.Engine.Health);

    /// <summary>Completes when an engine has ended while it should run, with what broke it.</summary>
    public Task<string> Broken => _broken.Task;

    /// <summary>The model by the name a client gave; the only one when it gave none.</summary>
    /// <exception cref="ApiException">404, 400 where several are served and none is named, or 503 as of <see cref="Models"/>.</exception>
    public ServedModel Find(string? name)
    {
        // Whoever was admitted before the draining began is served.
        var models = lifecycle.Phase == LifecyclePhase.Draining ? _models : Models;
        if (name is null) return models.Count == 1 ? models[0] : throw ApiException.Missing("model");
        return _byName.GetValueOrDefault(name) ?? throw ApiException.ModelNotFound(name);
    }

    public void Start(ProgressLine progress) => _loading = Task.Run(() => LoadAsync(progress));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loading.ConfigureAwait(false);
        await Task.WhenAll(_models.Select(m => m.DisposeAsync().AsTask())).ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task LoadAsync(ProgressLine progress)
    {
        var models = new List<ServedModel>();
        var each = settings.EachModel;
        try
        {
            foreach (var own in each)
            {
                string name = own.Model.Names[0];
                int place = models.Count;
                void Report(string activity, double? share, string? detail)
                {
                    if (each.Count > 1) activity = $"model {place + 1} of {each.Count}, {(activity.Contains(name, StringComparison.Ordinal) ? activity : $"{name}: {activity}")}";
                    lifecycle.Report(activity, each.Count == 1 ? share : (place + (share ?? 0)) / each.Count);
                    progress.Report(activity, share, detail);
                }
                try
                {
                    var model = await loader(own, Report, _stop.Token).ConfigureAwait(false);
                    models.Add(model);
                    metrics.Attach(model);
                    Report("warming up", null, null);
                    await model.WarmUpAsync(_stop.Token).ConfigureAwait(false);
                }
                catch (Exception e) when (each.Count > 1)
                {
                    throw new StartupException($"{name}: {OneLine(e)}", e, (e as StartupException)?.ExitCode ?? 1);
                }
            }
            progress.Clear();
            foreach (var model in models)
            {
                foreach (string name in model.Names)
                    if (!_byName.TryAdd(name, model)) throw new StartupException($"two models are called {name}");
                _ = model.GrammarVocabulary;
            }
            _models = [.. models];
            lifecycle.BecomeReady();
            _loaded.SetResult();
            foreach (var model in models)
            {
                _ = model.Engine.Ended.ContinueWith(_ =>
                {
                    lifecycle.Fail();
                    string fault = model.Engine.Health.Fault ?? "it has ended";
                    _broken.TrySetResult(each.Count > 1 ? $"{model.Name}: {fault}" : fault);
                }, TaskScheduler.Default);
            }
        }
#pragma warning disable CA1031 // It reaches the operator as one line.
        catch (Exception e)
#pragma warning restore CA1031
        {
            progress.Clear();
            lifecycle.Fail();
            _loaded.SetException(e as StartupException ?? new StartupException(OneLine(e), e));
            foreach (var model in models) await model.DisposeAsync().ConfigureAwait(false);
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
