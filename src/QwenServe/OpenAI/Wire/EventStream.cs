using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Connections;
using QwenServe.Settings;

namespace QwenServe.OpenAI.Wire;

/// <summary>
/// Server-sent events: <c>data: {…}</c> and an empty line, before it <c>event: …</c> in the formats that name their events. They are gathered in
/// one buffer and sent together by <see cref="FlushAsync"/>, so that what a step of the engine made costs one write.
/// Not thread-safe.
/// </summary>
internal sealed class EventStream : IDisposable
{
    private static readonly TimeSpan Parting = TimeSpan.FromMilliseconds(100);

    private readonly HttpContext _context;
    private readonly TimeSpan _patience;
    private readonly ArrayBufferWriter<byte> _buffer = new(1024);
    private readonly Utf8JsonWriter _json;

    public EventStream(HttpContext context)
    {
        _context = context;
        _patience = context.RequestServices.GetRequiredService<ServerSettings>().ClientTimeout;
        _json = new Utf8JsonWriter(_buffer, JsonText.Writing);
    }

    /// <summary>Whether headers have gone out, so that an error can only be told inside the stream.</summary>
    public bool Started => _context.Response.HasStarted;

    /// <summary>Whether the client was cut off because it did not read.</summary>
    public bool Abandoned { get; private set; }

    /// <summary>Sets the headers; they leave with the first flush.</summary>
    public void Begin()
    {
        var response = _context.Response;
        response.StatusCode = 200;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-cache";
        // nginx gathers a response before it passes it on, unless told so here.
        response.Headers["X-Accel-Buffering"] = "no";
        response.Headers.ContentEncoding = "identity";
    }

    /// <summary>Takes the headers back, for an answer that is an error after all.</summary>
    public void Withdraw()
    {
        var headers = _context.Response.Headers;
        headers.ContentType = default;
        headers.CacheControl = default;
        headers.ContentEncoding = default;
        headers.Remove("X-Accel-Buffering");
        _buffer.ResetWrittenCount();
    }

    /// <summary>Starts an event; write one JSON value and call <see cref="EndEvent"/>.</summary>
    /// <param name="name">Its name, or empty: chat and completions send none, and clients of theirs break on one.</param>
    public Utf8JsonWriter BeginEvent(ReadOnlySpan<byte> name = default)
    {
        if (!name.IsEmpty)
        {
            _buffer.Write("event: "u8);
            _buffer.Write(name);
            _buffer.Write("\n"u8);
        }
        _buffer.Write("data: "u8);
        _json.Reset(_buffer);
        return _json;
    }

    public void EndEvent()
    {
        _json.Flush();
        _buffer.Write("\n\n"u8);
    }

    /// <summary>The last event of chat and completions.</summary>
    public void Done() => _buffer.Write("data: [DONE]\n\n"u8);

    /// <summary>
    /// Sends what has been gathered. It waits only while the system takes no more, which is when the client has left megabytes unread;
    /// Kestrel's least data rate would have it wait hours for those, so there is a limit of our own.
    /// </summary>
    /// <exception cref="ConnectionResetException">The client has read nothing to speak of for too long, and is cut off.</exception>
    public ValueTask FlushAsync(CancellationToken cancel)
    {
        if (_buffer.WrittenCount == 0) return ValueTask.CompletedTask;
        var write = _context.Response.Body.WriteAsync(_buffer.WrittenMemory, cancel);
        if (!write.IsCompletedSuccessfully) return new ValueTask(WaitAsync(write.AsTask()));
        _buffer.ResetWrittenCount();
        return ValueTask.CompletedTask;
    }

    /// <summary>
    /// Tells the error and cuts the connection. Both are needed: some SDKs read the frame, others only notice that the stream did not end
    /// as it should.
    /// </summary>
    /// <param name="write">Writes the event that tells it.</param>
    public async ValueTask FailAsync(Action<EventStream> write)
    {
        try
        {
            write(this);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5));
            await FlushAsync(patience.Token).ConfigureAwait(false);
            // A flush hands the frame to the transport; cutting the connection at once would throw it away there.
            await Task.Delay(Parting, patience.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The client is gone; there is nobody to tell.
        }
        _context.Abort();
    }

    public void Dispose() => _json.Dispose();

    private async Task WaitAsync(Task write)
    {
        try
        {
            await write.WaitAsync(_patience).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            Abandoned = true;
            _context.Abort();
            await write.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw new ConnectionResetException("The client does not read its stream.");
        }
        _buffer.ResetWrittenCount();
    }
}
