using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;

namespace QwenServe.Benchmarks.Load;

/// <summary>Sends a request to any OpenAI-compatible server and notes when each piece of the answer comes.</summary>
internal sealed class LoadClient : IDisposable
{
    private readonly HttpClient _http;
    private readonly Uri _path;
    private readonly LoadOptions _options;
    private readonly long _began = Stopwatch.GetTimestamp();

    public LoadClient(LoadOptions options)
    {
        _options = options;
        _path = new Uri(options.Url, options.Chat ? "chat/completions" : "completions");
        _http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AutomaticDecompression = DecompressionMethods.None, MaxConnectionsPerServer = int.MaxValue }) { Timeout = Timeout.InfiniteTimeSpan };
        if (options.ApiKey is { } key) _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    /// <summary>Seconds since this client was made.</summary>
    public double Now => Stopwatch.GetElapsedTime(_began).TotalSeconds;

    /// <summary>Never throws for what the server or the network does; that is the result's error.</summary>
    /// <param name="request">What to send.</param>
    /// <param name="due">When it was due, on this client's clock.</param>
    /// <param name="onPiece">Called at each piece of text.</param>
    public async Task<LoadResult> SendAsync(LoadRequest request, double due, Action? onPiece = null)
    {
        var result = new LoadResult { Due = due };
        using var timeout = new CancellationTokenSource(_options.Timeout);
        try
        {
            using var message = new HttpRequestMessage(HttpMethod.Post, _path) { Content = new ByteArrayContent(request.Body) };
            message.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            if (request.Session is { } session) message.Headers.Add("x-session-id", session);
            using var response = await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, timeout.Token).ConfigureAwait(false);
            if (response.StatusCode != HttpStatusCode.OK)
            {
                await response.Content.ReadAsByteArrayAsync(timeout.Token).ConfigureAwait(false);
                result.Error = ((int)response.StatusCode).ToString(System.Globalization.CultureInfo.InvariantCulture);
            }
            else result.Error = await ReadAsync(response, result, onPiece, timeout.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            result.Error = "timeout";
        }
        catch (HttpRequestException e)
        {
            result.Error = e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionRefused } ? "connection refused" : "no answer";
        }
        catch (IOException)
        {
            result.Error = "broken stream";
        }
        result.End = Now;
        return result;
    }

    public void Dispose() => _http.Dispose();

    private async Task<string?> ReadAsync(HttpResponseMessage response, LoadResult result, Action? onPiece, CancellationToken cancel)
    {
        using var stream = await response.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false);
        using var events = new EventReader(stream);
        bool done = false;
        int counted = 0;
        while (await events.ReadAsync(cancel).ConfigureAwait(false))
        {
            double now = Now;
            if (events.Data.Span.SequenceEqual("[DONE]"u8))
            {
                // Read on to the end, so that the connection can be used again.
                done = true;
                continue;
            }
            var (text, prompt, output, failed) = Chunk.Read(events.Data.Span);
            if (failed) return "error in stream";
            if (prompt > 0) result.PromptTokens = prompt;
            if (output > 0) counted = output;
            if (!text) continue;
            if (result.Pieces.Count == 0) result.FirstToken = now;
            result.Pieces.Add(now);
            onPiece?.Invoke();
        }
        result.OutputTokens = counted > 0 ? counted : result.Pieces.Count;
        return done ? result.Pieces.Count > 0 ? null : "no text" : "broken stream";
    }

    /// <summary>The little of a chunk that matters here, read in one pass.</summary>
    internal static class Chunk
    {
        /// <returns>Whether there is text of any kind in it, the usage where it has one, and whether it is an error.</returns>
        public static (bool Text, int PromptTokens, int OutputTokens, bool Failed) Read(ReadOnlySpan<byte> json)
        {
            bool text = false, failed = false;
            int prompt = 0, output = 0;
            var reader = new Utf8JsonReader(json);
            try
            {
                while (reader.Read())
                {
                    if (reader.TokenType != JsonTokenType.PropertyName) continue;
                    if (reader.ValueTextEquals("content"u8) || reader.ValueTextEquals("text"u8) || reader.ValueTextEquals("reasoning_content"u8)
                        || reader.ValueTextEquals("arguments"u8) || reader.ValueTextEquals("reasoning"u8))
                        text |= reader.Read() && reader.TokenType == JsonTokenType.String && reader.ValueSpan.Length > 0;
                    else if (reader.ValueTextEquals("prompt_tokens"u8)) prompt = reader.Read() && reader.TokenType == JsonTokenType.Number ? reader.GetInt32() : 0;
                    else if (reader.ValueTextEquals("completion_tokens"u8)) output = reader.Read() && reader.TokenType == JsonTokenType.Number ? reader.GetInt32() : 0;
                    else if (reader.CurrentDepth == 1 && reader.ValueTextEquals("error"u8)) failed |= reader.Read() && reader.TokenType != JsonTokenType.Null;
                }
            }
            catch (JsonException)
            {
                failed = true;
            }
            return (text, prompt, output, failed);
        }
    }
}
