using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace QwenServe.Benchmarks.Endurance;

/// <summary>
/// Clients of all kinds against one server for as long as wanted: whole and streamed answers that are checked, streams that are left,
/// slow readers, connections that stop half way, bodies that are no requests. What must never happen is a 5xx, an answer that is
/// not what was asked for, or something left behind in the engine.
/// </summary>
internal sealed class Soak : IDisposable
{
    private static readonly string[] Words = ["apple", "river", "seven", "quickly", "under", "blue", "Lisbon", "weather", "table", "music", "forty", "paper"];

    /// <summary>More than 2,048 tokens of the embedded vocabulary, the largest step of the CPU.</summary>
    private const int LongWords = 1200;

    private readonly Uri _address;
    private readonly string _model;
    private readonly HttpClient _http;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, long> _counts = [];
    private readonly List<string> _violations = [];

    /// <param name="address">The server.</param>
    /// <param name="model">A name it serves.</param>
    public Soak(Uri address, string model)
    {
        _address = address;
        _model = model;
        _http = new HttpClient(new SocketsHttpHandler { UseProxy = false, MaxConnectionsPerServer = int.MaxValue, PooledConnectionLifetime = TimeSpan.FromSeconds(20) }) { BaseAddress = address, Timeout = TimeSpan.FromMinutes(5) };
    }

    /// <summary>How often each kind of client has come and gone.</summary>
    public IReadOnlyDictionary<string, long> Counts
    {
        get { lock (_gate) return new Dictionary<string, long>(_counts); }
    }

    /// <summary>What should not have happened.</summary>
    public IReadOnlyList<string> Violations
    {
        get { lock (_gate) return [.. _violations]; }
    }

    /// <summary>Runs the clients until cancelled, each with the pause after what it did, and waits for the last of them.</summary>
    public Task RunAsync(int clients, int seed, CancellationToken stop, TimeSpan pause = default)
        => Task.WhenAll(Enumerable.Range(0, clients).Select(i => Task.Run(async () =>
        {
            var random = new Random(seed + i);
            while (!stop.IsCancellationRequested)
            {
                await OneAsync(random).ConfigureAwait(false);
                if (pause > TimeSpan.Zero) await Task.Delay(pause, CancellationToken.None).ConfigureAwait(false);
            }
        }, CancellationToken.None)));

    /// <summary>Waits until the engine says that it has nothing, and tells what it still has if it does not within the time.</summary>
    public async Task<string?> RemainsAsync(TimeSpan patience)
    {
        string[] gauges = ["vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"];
        for (long end = Environment.TickCount64 + (long)patience.TotalMilliseconds; ;)
        {
            string text = await _http.GetStringAsync(new Uri("/metrics", UriKind.Relative)).ConfigureAwait(false);
            string[] left = [.. gauges.Where(g => Metric(text, g) != 0).Select(g => string.Create(CultureInfo.InvariantCulture, $"{g} = {Metric(text, g)}"))];
            if (left.Length == 0) return null;
            if (Environment.TickCount64 > end) return string.Join(", ", left);
            await Task.Delay(100).ConfigureAwait(false);
        }
    }

    public void Dispose() => _http.Dispose();

    private static double Metric(string text, string name) => text.Split('\n').Where(l => l.StartsWith(name + "{", StringComparison.Ordinal) || l.StartsWith(name + " ", StringComparison.Ordinal))
        .Select(l => double.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture)).DefaultIfEmpty(double.NaN).Sum();

    private async Task OneAsync(Random random)
    {
        string kind = random.Next(100) switch
        {
            < 30 => "stream",
            < 50 => "whole",
            < 64 => "left",
            < 70 => "slow",
            < 80 => "half-open",
            < 92 => "malformed",
            _ => "other",
        };
        try
        {
            await (kind switch
            {
                "stream" => StreamAsync(random, leave: false, slow: false),
                "whole" => WholeAsync(random),
                "left" => StreamAsync(random, leave: true, slow: false),
                "slow" => StreamAsync(random, leave: random.Next(2) == 0, slow: true),
                "half-open" => HalfOpenAsync(random),
                "malformed" => MalformedAsync(random),
                _ => OtherAsync(random),
            }).ConfigureAwait(false);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException or OperationCanceledException or JsonException)
        {
            Violate($"{kind}: {e.GetType().Name}: {e.Message}");
        }
        lock (_gate) _counts[kind] = _counts.GetValueOrDefault(kind) + 1;
    }

    private async Task StreamAsync(Random random, bool leave, bool slow)
    {
        int tokens = random.Next(4, 80);
        var (path, body) = Request(random, tokens, stream: true, choices: 1);
        using var message = new HttpRequestMessage(HttpMethod.Post, path) { Content = Json(body) };
        using var response = await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead).ConfigureAwait(false);
        if (!Expect(response, 200, body)) return;
        using var events = new Load.EventReader(await response.Content.ReadAsStreamAsync().ConfigureAwait(false));
        int leaveAfter = leave ? random.Next(1, tokens) : int.MaxValue;
        string last = "";
        int completed = -1;
        for (int read = 0; await events.ReadAsync(CancellationToken.None).ConfigureAwait(false); read++)
        {
            if (read == leaveAfter) return;
            if (slow && read < 20) await Task.Delay(random.Next(5, 60)).ConfigureAwait(false);
            last = Encoding.UTF8.GetString(events.Data.Span);
            if (last.Contains("\"usage\":{", StringComparison.Ordinal)) completed = JsonDocument.Parse(last).RootElement.GetProperty("usage").GetProperty("completion_tokens").GetInt32();
            if (last.StartsWith("{\"error\"", StringComparison.Ordinal)) Violate($"stream: {last} for {body}");
        }
        if (last != "[DONE]") Violate($"a stream ended with '{last}' for {body}");
        else if (completed != tokens) Violate($"{completed} tokens for {body}");
    }

    private async Task WholeAsync(Random random)
    {
        int tokens = random.Next(1, 60), choices = random.Next(4) == 0 ? 2 : 1;
        var (path, body) = Request(random, tokens, stream: false, choices);
        using var response = await _http.PostAsync(path, Json(body)).ConfigureAwait(false);
        string text = await response.Content.ReadAsStringAsync().ConfigureAwait(false);
        if (!Expect(response, 200, body)) return;
        using var answer = JsonDocument.Parse(text);
        int completed = answer.RootElement.GetProperty("usage").GetProperty("completion_tokens").GetInt32();
        if (completed != tokens * choices) Violate($"{completed} tokens for {body}");
    }

    /// <summary>A connection that stops in the middle of a request, in silence or with the server's patience at its end.</summary>
    private async Task HalfOpenAsync(Random random)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(_address.Host, _address.Port).ConfigureAwait(false);
        var stream = socket.GetStream();
        string body = Request(random, 8, stream: true, choices: 1).Body;
        byte[] request = Encoding.UTF8.GetBytes($"POST /v1/chat/completions HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");
        await stream.WriteAsync(request.AsMemory(0, random.Next(0, request.Length))).ConfigureAwait(false);
        if (random.Next(12) > 0)
        {
            await Task.Delay(random.Next(0, 300)).ConfigureAwait(false);
            if (random.Next(2) == 0) socket.LingerState = new LingerOption(true, 0); // A reset in place of a farewell.
            return;
        }
        // Until the server hangs up.
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        byte[] buffer = new byte[1024];
        var told = new StringBuilder();
        try
        {
            for (int read; (read = await stream.ReadAsync(buffer, patience.Token).ConfigureAwait(false)) > 0;) told.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }
        catch (IOException)
        {
            // Cut off.
        }
        if (told.ToString().StartsWith("HTTP/1.1 5", StringComparison.Ordinal)) Violate($"half-open: {told}");
    }

    private async Task MalformedAsync(Random random)
    {
        var (path, body) = Request(random, 8, stream: random.Next(2) == 0, choices: 1);
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        int status = 400;
        switch (random.Next(7))
        {
            case 0: bytes = bytes[..random.Next(1, bytes.Length - 1)]; break;
            case 1: bytes[random.Next(1, bytes.Length - 1)] = 0xFF; break;
            case 2: bytes = Encoding.UTF8.GetBytes(body.Replace("\"max_tokens\":", "\"max_tokens\":-", StringComparison.Ordinal)); break;
            case 3:
                bytes = Encoding.UTF8.GetBytes(body.Replace($"\"{_model}\"", "\"no-such-model\"", StringComparison.Ordinal));
                status = 404;
                break;
            case 4: bytes = "[1,2,3]"u8.ToArray(); break;
            case 5: bytes = Encoding.UTF8.GetBytes(body.Replace("\"temperature\":0", "\"temperature\":\"hot\"", StringComparison.Ordinal)); break;
            default: bytes = Encoding.UTF8.GetBytes(new string('[', 5000)); break;
        }
        using var content = new ByteArrayContent(bytes);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var response = await _http.PostAsync(path, content).ConfigureAwait(false);
        string text = await response.Content.ReadAsStringAsync().ConfigureAwait(false);
        if (Expect(response, status, Encoding.UTF8.GetString(bytes)) && !text.StartsWith("{\"error\":{\"message\":", StringComparison.Ordinal)) Violate($"malformed: {text}");
    }

    private async Task OtherAsync(Random random)
    {
        var (method, path, body) = random.Next(5) switch
        {
            0 => (HttpMethod.Get, "/metrics", null),
            1 => (HttpMethod.Get, "/v1/models", null),
            2 => (HttpMethod.Get, "/livez", null),
            3 => (HttpMethod.Get, "/readyz", null),
            _ => (HttpMethod.Post, "/tokenize", $$"""{"model":"{{_model}}","prompt":"{{Prose(random, 200)}}"}"""),
        };
        using var message = new HttpRequestMessage(method, path) { Content = body is null ? null : Json(body) };
        using var response = await _http.SendAsync(message).ConfigureAwait(false);
        Expect(response, 200, path);
        await response.Content.ReadAsByteArrayAsync().ConfigureAwait(false);
    }

    /// <summary>A request for a known number of tokens, with one feature or another on the way.</summary>
    private (string Path, string Body) Request(Random random, int tokens, bool stream, int choices)
    {
        string more = $"\"model\":\"{_model}\",\"max_tokens\":{tokens},\"ignore_eos\":true,\"temperature\":0" + (choices > 1 ? $",\"n\":{choices}" : "")
            + (stream ? ",\"stream\":true,\"stream_options\":{\"include_usage\":true}" : "");
        // Now and then a prompt that fills the largest step: the device's memory for a step is taken as far as the largest one so far.
        string prose = Prose(random, random.Next(40) == 0 ? LongWords : random.Next(1, 120));
        if (random.Next(3) == 0) return ("/v1/completions", $$"""{{{more}},"prompt":"{{prose}}"{{(random.Next(3) == 0 ? ",\"logprobs\":3" : "")}}}""");
        more += random.Next(5) switch
        {
            0 => ",\"logprobs\":true,\"top_logprobs\":4",
            1 => ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}}}]",
            2 => ",\"stop\":[\"\\u0001never\"],\"presence_penalty\":0.5",
            _ => "",
        };
        return ("/v1/chat/completions", $$"""{{{more}},"messages":[{"role":"system","content":"You are one of {{random.Next(4)}} helpers."},{"role":"user","content":"{{prose}}"}]}""");
    }

    private static string Prose(Random random, int words) => string.Join(' ', Enumerable.Range(0, words).Select(_ => Words[random.Next(Words.Length)]));

    private static StringContent Json(string body) => new(body, Encoding.UTF8, "application/json");

    private bool Expect(HttpResponseMessage response, int status, string what)
    {
        if ((int)response.StatusCode == status) return true;
        Violate($"{(int)response.StatusCode} in place of {status} for {what}");
        return false;
    }

    private void Violate(string what)
    {
        lock (_gate)
        {
            if (_violations.Count < 1000) _violations.Add(what.Length > 600 ? what[..600] : what);
        }
    }
}
