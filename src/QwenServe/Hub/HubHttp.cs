using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using QwenServe.Hosting;

namespace QwenServe.Hub;

/// <summary>
/// Requests to a hub: the token goes to the hub alone and not to where it redirects; what may pass (no connection, 408, 429, 5xx) is tried
/// again with growing waits, or after what <c>retry-after</c> says.
/// </summary>
internal sealed class HubHttp : IDisposable
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(30);

    private readonly HubOptions _options;
    private readonly HttpClient _http;

    public HubHttp(HubOptions options)
    {
        _options = options;
        _http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            ConnectTimeout = TimeSpan.FromSeconds(15),
            AutomaticDecompression = DecompressionMethods.None,
        })
        { Timeout = Timeout.InfiniteTimeSpan };
    }

    public HubOptions Options => _options;

    /// <summary>A request that got an answer other than "come again".</summary>
    /// <param name="method">GET or HEAD.</param>
    /// <param name="uri">Address.</param>
    /// <param name="from">First byte wanted; 0 for the whole.</param>
    /// <param name="followElsewhere">Whether to follow redirects to other hosts (the content), or to stop there (the description).</param>
    /// <param name="cancel">Ends it.</param>
    /// <exception cref="StartupException">No answer after all tries.</exception>
    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, Uri uri, long from, bool followElsewhere, CancellationToken cancel)
    {
        for (int attempt = 1; ; attempt++)
        {
            string problem;
            TimeSpan? wait = null;
            try
            {
                using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
                patience.CancelAfter(_options.StallTimeout);
                var response = await FollowAsync(method, uri, from, followElsewhere, patience.Token).ConfigureAwait(false);
                if (response.StatusCode is not (HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests) && (int)response.StatusCode < 500) return response;
                problem = $"the hub answered {(int)response.StatusCode}";
                wait = response.Headers.RetryAfter?.Delta;
                response.Dispose();
            }
            catch (HttpRequestException e)
            {
                problem = (e.InnerException ?? e).Message;
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                problem = string.Create(CultureInfo.InvariantCulture, $"no answer within {_options.StallTimeout.TotalSeconds:F0} s");
            }
            if (attempt >= _options.MaxAttempts) throw new StartupException($"{uri.GetLeftPart(UriPartial.Path)}: {problem} ({attempt} tries); set HF_HUB_OFFLINE=1 to use what is in the cache");
            await PauseAsync(attempt, wait, cancel).ConfigureAwait(false);
        }
    }

    /// <summary>Waits before try number <paramref name="attempt"/> + 1.</summary>
    public Task PauseAsync(int attempt, TimeSpan? asked, CancellationToken cancel)
    {
        var wait = asked ?? _options.Backoff * Math.Pow(2, attempt - 1);
        return Task.Delay(wait < LongestWait ? wait : LongestWait, cancel);
    }

    public void Dispose() => _http.Dispose();

    private async Task<HttpResponseMessage> FollowAsync(HttpMethod method, Uri uri, long from, bool followElsewhere, CancellationToken cancel)
    {
        for (int hop = 0; hop < 10; hop++)
        {
            using var request = new HttpRequestMessage(method, uri);
            request.Headers.UserAgent.Add(new ProductInfoHeaderValue("qwenserve", Probes.Version));
            request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
            if (from > 0) request.Headers.Range = new RangeHeaderValue(from, null);
            bool home = uri.Host == _options.Endpoint.Host && uri.Port == _options.Endpoint.Port;
            if (home && _options.Token is { } token) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel).ConfigureAwait(false);
            if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308) || response.Headers.Location is not { } location) return response;
            var target = location.IsAbsoluteUri ? location : new Uri(uri, location);
            bool elsewhere = target.Host != uri.Host || target.Port != uri.Port;
            if (elsewhere && !followElsewhere) return response;
            response.Dispose();
            uri = target;
        }
        throw new HttpRequestException("too many redirects");
    }
}
