using System.Buffers;
using System.Text.Json;

namespace QwenServe.OpenAI.Wire;

/// <summary>
/// Server-sent events as OpenAI writes them: <c>data: {…}</c> and an empty line, nothing else; <c>[DONE]</c> last. Events are gathered in
/// one buffer and sent together by <see cref="FlushAsync"/>, so that what a step of the engine made costs one write.
/// Not thread-safe.
/// </summary>
internal sealed class EventStream : IDisposable
{
    private static readonly TimeSpan Parting = TimeSpan.FromMilliseconds(100);

    private readonly HttpContext _context;
    private readonly ArrayBufferWriter<byte> _buffer = new(1024);
    private readonly Utf8JsonWriter _json;

    public EventStream(HttpContext context)
    {
        _context = context;
        _json = new Utf8JsonWriter(_buffer, JsonText.Writing);
    }

    /// <summary>Whether headers have gone out, so that an error can only be told inside the stream.</summary>
    public bool Started => _context.Response.HasStarted;

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
    public Utf8JsonWriter BeginEvent()
    {
        _buffer.Write("data: "u8);
        _json.Reset(_buffer);
        return _json;
    }

    public void EndEvent()
    {
        _json.Flush();
        _buffer.Write("\n\n"u8);
    }

    public void Done() => _buffer.Write("data: [DONE]\n\n"u8);

    public async ValueTask FlushAsync(CancellationToken cancel)
    {
        if (_buffer.WrittenCount == 0) return;
        await _context.Response.Body.WriteAsync(_buffer.WrittenMemory, cancel).ConfigureAwait(false);
        await _context.Response.Body.FlushAsync(cancel).ConfigureAwait(false);
        _buffer.ResetWrittenCount();
    }

    /// <summary>
    /// Tells the error and cuts the connection. Both are needed: some SDKs read the frame, others only notice that the stream did not end
    /// as it should.
    /// </summary>
    public async ValueTask FailAsync(ApiException error)
    {
        try
        {
            _buffer.Write("data: "u8);
            ErrorEnvelope.Write(_buffer, error);
            _buffer.Write("\n\n"u8);
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
}
