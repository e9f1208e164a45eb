using System.Buffers;
using System.Text;
using System.Text.Json;
using QwenServe.OpenAI.Wire;

namespace QwenServe.OpenAI.Responses;

/// <summary>JSON of a request that outlives it: on one line, since it comes back inside an event.</summary>
internal static class JsonCopy
{
    public static string Of(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, JsonText.Writing)) write(json);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>Bytes of what is written.</summary>
    public static int Measure(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, JsonText.Writing)) write(json);
        return buffer.WrittenCount;
    }
}
