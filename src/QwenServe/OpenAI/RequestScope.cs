using QwenServe.Access;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;

namespace QwenServe.OpenAI;

/// <summary>
/// A request's time in the server: admitted when made, ended by whichever comes first of the answer's end, the client's leaving, and
/// the end of draining.
/// </summary>
internal sealed class RequestScope : IDisposable
{
    private readonly HttpContext _context;
    private readonly Lifecycle _lifecycle;
    private readonly Lifecycle.Admission _admission;
    private readonly CancellationTokenSource _cancel;

    /// <exception cref="ApiException">503: not ready, or no longer. 429: the caller is at a limit.</exception>
    public RequestScope(HttpContext context)
    {
        _context = context;
        Host = context.RequestServices.GetRequiredService<ModelHost>();
        _lifecycle = context.RequestServices.GetRequiredService<Lifecycle>();
        _admission = _lifecycle.Enter();
        _cancel = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _lifecycle.Expired);
        try
        {
            Caller = new Caller(context, context.RequestServices.GetRequiredService<LimitSettings>().RequestTimeout, _cancel.Token);
        }
        catch
        {
            _cancel.Dispose();
            _admission.Dispose();
            throw;
        }
    }

    /// <summary>Who asks.</summary>
    public Caller Caller { get; }

    public ModelHost Host { get; }

    /// <summary>The client has left, or the server has no more time.</summary>
    public CancellationToken Cancelled => _cancel.Token;

    /// <summary>The model that a request names.</summary>
    /// <exception cref="ApiException">400: it names none. 404: it is not served.</exception>
    public ServedModel FindModel(RequestFields fields) => Host.Find(fields.Text("model") ?? throw ApiException.Missing("model"));

    /// <summary>As <see cref="WaitAsync(Func{Task})"/>, for an answer that is one value.</summary>
    public async Task<T> WaitAsync<T>(Func<Task<T>> produce)
    {
        T? answer = default;
        await WaitAsync(async () => { answer = await produce().ConfigureAwait(false); }).ConfigureAwait(false);
        return answer!;
    }

    /// <summary>Runs what produces an answer; turns the end of the server's time into an error that says so.</summary>
    public async Task WaitAsync(Func<Task> produce)
    {
        try
        {
            await produce().ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_lifecycle.Expired.IsCancellationRequested && !_context.RequestAborted.IsCancellationRequested)
        {
            throw ApiException.NotReady("The server was shut down before the answer was complete.", TimeSpan.FromSeconds(5));
        }
    }

    /// <summary>Runs what produces events. An error before the first byte is a status; after it, a frame and the connection's end.</summary>
    /// <param name="context">The request.</param>
    /// <param name="produce">Writes all events, the last included.</param>
    /// <param name="fail">Writes the event that tells an error; null: OpenAI's envelope without a name.</param>
    public async Task StreamAsync(HttpContext context, Func<EventStream, Task> produce, Action<EventStream, ApiException>? fail = null)
    {
        fail ??= WriteError;
        using var events = new EventStream(context);
        try
        {
            events.Begin();
            await WaitAsync(() => produce(events)).ConfigureAwait(false);
            await events.FlushAsync(Cancelled).ConfigureAwait(false);
        }
        catch (ApiException e) when (events.Started)
        {
            RequestFigures.Of(context).Fail(e);
            await events.FailAsync(it => fail(it, e)).ConfigureAwait(false);
        }
        catch (Exception e) when (events.Started && !events.Abandoned && !context.RequestAborted.IsCancellationRequested)
        {
            context.RequestServices.GetRequiredService<ILogger<RequestScope>>().LogError(e, "The stream failed");
            RequestFigures.Of(context).Fail(ApiException.Internal());
            await events.FailAsync(it => fail(it, ApiException.Internal())).ConfigureAwait(false);
        }
        catch (Exception) when (!events.Started)
        {
            events.Withdraw();
            throw;
        }
    }

    private static void WriteError(EventStream events, ApiException error)
    {
        ErrorEnvelope.Write(events.BeginEvent(), error);
        events.EndEvent();
    }

    public void Dispose()
    {
        Caller.Dispose();
        _cancel.Dispose();
        _admission.Dispose();
    }
}
