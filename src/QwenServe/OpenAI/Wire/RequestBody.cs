using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;
using QwenServe.Settings;

namespace QwenServe.OpenAI.Wire;

/// <summary>
/// The JSON object of a request. It is parsed once into a document and read field by field (<see cref="RequestFields"/>), because that is
/// what lets an error name the field, what was expected and what came, as OpenAI's do. Owns pooled memory; lives as long as its request.
/// </summary>
internal sealed class RequestBody : IDisposable
{
    private readonly JsonDocument _document;
    private readonly byte[] _buffer;

    private RequestBody(JsonDocument document, byte[] buffer)
    {
        _document = document;
        _buffer = buffer;
        Fields = new RequestFields(document.RootElement, "");
    }

    public RequestFields Fields { get; }

    /// <exception cref="ApiException">The body is too large, not JSON, or not an object.</exception>
    public static async ValueTask<RequestBody> ReadAsync(HttpContext context)
    {
        var request = context.Request;
        if (request.ContentType is { Length: > 0 } type && !IsJson(type))
            throw new ApiException(415, $"Unsupported Media Type: expected 'application/json', but got '{type}'.");

        byte[] buffer = ArrayPool<byte>.Shared.Rent((int)Math.Clamp(request.ContentLength ?? 4096, 1024, 1 << 20));
        int length = 0;
        try
        {
            while (true)
            {
                if (length == buffer.Length)
                {
                    byte[] larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
                    buffer.AsSpan(0, length).CopyTo(larger);
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = larger;
                }
                int read = await request.Body.ReadAsync(buffer.AsMemory(length), context.RequestAborted).ConfigureAwait(false);
                if (read == 0) break;
                length += read;
            }
            var document = Parse(buffer, length);
            if (context.RequestServices.GetRequiredService<LogSettings>().Requests)
                context.RequestServices.GetRequiredService<ILogger<RequestBody>>().LogInformation("The request's body: {Body}", System.Text.Encoding.UTF8.GetString(buffer.AsSpan(0, length)));
            RequestLimits.Check(document.RootElement, context.RequestServices.GetRequiredService<LimitSettings>());
            return new RequestBody(document, buffer);
        }
        catch
        {
            ArrayPool<byte>.Shared.Return(buffer);
            throw;
        }
    }

    public void Dispose()
    {
        _document.Dispose();
        ArrayPool<byte>.Shared.Return(_buffer);
    }

    private static JsonDocument Parse(byte[] buffer, int length)
    {
        int start = buffer.AsSpan(0, length).StartsWith("\uFEFF"u8) ? 3 : 0;
        var json = buffer.AsMemory(start, length - start);
        if (!Utf8.IsValid(json.Span)) throw ApiException.NotJson();
        ReplaceLoneSurrogates(json.Span);
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(json, JsonText.Reading);
        }
        catch (JsonException)
        {
            throw ApiException.NotJson();
        }
        if (document.RootElement.ValueKind == JsonValueKind.Object) return document;
        string got = RequestFields.Describe(document.RootElement);
        document.Dispose();
        throw new ApiException(400, $"Invalid type for the request body: expected an object, but got {got} instead.", null, "invalid_type");
    }

    private static bool IsJson(string contentType)
    {
        var media = contentType.AsSpan();
        int end = media.IndexOf(';');
        if (end >= 0) media = media[..end];
        media = media.Trim();
        return media.Equals("application/json", StringComparison.OrdinalIgnoreCase) || media.EndsWith("+json", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>
    /// Turns each <c>\uD800</c>-<c>\uDFFF</c> without its other half into <c>\uFFFD</c>. JSON admits them, a string of the conversation
    /// cannot hold them in UTF-8, and the parser would only object when the string is read.
    /// </summary>
    internal static void ReplaceLoneSurrogates(Span<byte> json)
    {
        for (int i = 0; (i = Next(json, i)) >= 0;)
        {
            if (!Escape(json, i, out int unit))
            {
                i += 2;
                continue;
            }
            bool pair = char.IsHighSurrogate((char)unit) && Escape(json, i + 6, out int low) && char.IsLowSurrogate((char)low);
            if (!pair && char.IsSurrogate((char)unit)) "FFFD"u8.CopyTo(json[(i + 2)..]);
            i += pair ? 12 : 6;
        }

        static int Next(ReadOnlySpan<byte> json, int from)
        {
            if (from >= json.Length) return -1;
            int at = json[from..].IndexOf((byte)'\\');
            return at < 0 ? -1 : from + at;
        }

        static bool Escape(ReadOnlySpan<byte> json, int at, out int unit)
        {
            unit = 0;
            if (at + 6 > json.Length || json[at] != '\\' || json[at + 1] != 'u') return false;
            for (int i = at + 2; i < at + 6; i++)
            {
                if (!char.IsAsciiHexDigit((char)json[i])) return false;
                unit = unit * 16 + Convert.ToInt32(((char)json[i]).ToString(), 16);
            }
            return true;
        }
    }
}
