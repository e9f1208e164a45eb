using QwenServe.OpenAI.Wire;
using QwenServe.Settings;

namespace QwenServe.Hosting;

/// <summary>Loads the model; runs on a thread of its own and reports as it goes.</summary>
internal delegate ServedModel ModelLoader(QwenServeSettings settings, Action<string, double?, string?> report, CancellationToken cancel);

/// <summary>Owns the served model: loads it behind the open port and hands it to requests once it is there.</summary>
internal sealed class ModelHost(QwenServeSettings settings, ModelLoader loader, Lifecycle lifecycle, Metrics metrics) : IDisposable
{
    private readonly TaskCompletionSource<ServedModel> _loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();

    /// <summary>Completes when the model answers; fails with a <see cref="StartupException"/> when it cannot.</summary>
    public Task<ServedModel> Loaded => _loaded.Task;

    /// <exception cref="ApiException">503: still loading, or shutting down.</exception>
    public ServedModel Model
    {
        get
        {
            lifecycle.ThrowIfNotReady();
            return _loaded.Task.Result;
        }
    }

    /// <summary>The model by the name a client gave.</summary>
    /// <exception cref="ApiException">404, or 503 as of <see cref="Model"/>.</exception>
    public ServedModel Find(string? name)
    {
        var model = Model;
        return name is null || model.Names.Contains(name) ? model : throw ApiException.ModelNotFound(name);
    }

    public void Start(ProgressLine progress)
        => new Thread(() => Load(progress)) { IsBackground = true, Name = "model loader" }.Start();

    public void Dispose()
    {
        _stop.Cancel();
        if (_loaded.Task.IsCompletedSuccessfully) _loaded.Task.Result.Dispose();
        _stop.Dispose();
    }

    private void Load(ProgressLine progress)
    {
        try
        {
            var model = loader(settings, (activity, share, detail) =>
            {
                lifecycle.Report(activity, share);
                progress.Report(activity, share, detail);
            }, _stop.Token);
            metrics.SetModel(model.Name);
            progress.Clear();
            _loaded.SetResult(model);
            lifecycle.BecomeReady();
        }
        catch (Exception e)
        {
            progress.Clear();
            lifecycle.Fail();
            _loaded.SetException(e as StartupException ?? new StartupException(OneLine(e), e));
        }
    }

    /// <summary>What an operator can use of an exception: its message, and its type where the message alone says little.</summary>
    private static string OneLine(Exception e)
    {
        string message = e.Message.ReplaceLineEndings(" ");
        return e is IOException or UnauthorizedAccessException or OperationCanceledException || e.GetType().Namespace?.StartsWith("QwenServe", StringComparison.Ordinal) == true
            ? message
            : $"{e.GetType().Name}: {message}";
    }
}
