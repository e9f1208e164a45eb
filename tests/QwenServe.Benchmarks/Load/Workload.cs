using System.Buffers;
using System.Text;
using System.Text.Json;

namespace QwenServe.Benchmarks.Load;

/// <summary>One request, ready to be sent.</summary>
internal sealed record LoadRequest(byte[] Body, string? Session, int WantedOutput);

/// <summary>
/// Draws requests. Prompts are common English words, about one token each in any vocabulary; what a prompt really counted is in the usage of
/// its answer. Not thread-safe: requests are drawn before they are due, by one thread.
/// </summary>
internal sealed class Workload
{
    private static readonly string[] Words =
        ("time year people way day man thing woman life child world school state family student group country problem hand part place case week company system "
        + "program question work government number night point home water room mother area money story fact month lot right study book eye job word business issue "
        + "side kind head house service friend father power hour game line end member law car city community name president team minute idea body information back "
        + "parent face others level office door health person art war history party result change morning reason research girl guy moment air teacher force education").Split(' ');

    private readonly LoadOptions _options;
    private readonly Random _random;
    private readonly string[] _prefixes;

    public Workload(LoadOptions options)
    {
        _options = options;
        _random = new Random(options.Seed);
        _prefixes = [.. Enumerable.Range(0, options.PrefixGroups).Select(_ => Text(options.SharedPrefix))];
    }

    public LoadRequest Next()
    {
        var (input, output) = _options.Lengths.Draw(_random);
        int group = _random.Next(_prefixes.Length);
        string prompt = Text(input);
        var buffer = new ArrayBufferWriter<byte>(1024 + 8 * input);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("model"u8, _options.Model);
            if (_options.Chat)
            {
                json.WriteStartArray("messages"u8);
                if (_options.SharedPrefix > 0) WriteMessage(json, "system", _prefixes[group]);
                WriteMessage(json, "user", prompt);
                json.WriteEndArray();
            }
            else json.WriteString("prompt"u8, _options.SharedPrefix > 0 ? _prefixes[group] + " " + prompt : prompt);
            json.WriteNumber("max_tokens"u8, output);
            json.WriteBoolean("stream"u8, true);
            json.WriteStartObject("stream_options"u8);
            json.WriteBoolean("include_usage"u8, true);
            json.WriteEndObject();
            if (_options.Temperature is { } temperature) json.WriteNumber("temperature"u8, temperature);
            if (_options.IgnoreEos) json.WriteBoolean("ignore_eos"u8, true);
            json.WriteEndObject();
        }
        return new LoadRequest(buffer.WrittenSpan.ToArray(), _options.SessionHeader ? $"group-{group}" : null, output);
    }

    /// <summary>Time to the next arrival of a Poisson process, in seconds.</summary>
    public double Gap() => -Math.Log(1 - _random.NextDouble()) / _options.Rate!.Value;

    private static void WriteMessage(Utf8JsonWriter json, string role, string content)
    {
        json.WriteStartObject();
        json.WriteString("role"u8, role);
        json.WriteString("content"u8, content);
        json.WriteEndObject();
    }

    private string Text(int words)
    {
        var text = new StringBuilder(7 * words);
        for (int i = 0; i < words; i++) text.Append(i == 0 ? "" : " ").Append(Words[_random.Next(Words.Length)]);
        return text.ToString();
    }
}
