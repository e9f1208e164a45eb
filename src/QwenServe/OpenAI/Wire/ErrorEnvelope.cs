using System.Buffers;
using System.Globalization;
using System.Text.Json;
using QwenServe.Anthropic.Wire;

namespace QwenServe.OpenAI.Wire;

/// <summary>Writes <c>{"error":{"message","type","param","code"}}</c>.</summary>
internal static class ErrorEnvelope
{
    public static void Write(Utf8JsonWriter json, ApiException error)
    {
        json.WriteStartObject();
        json.WriteStartObject("error"u8);
        json.WriteString("message"u8, error.Message);
        json.WriteString("type"u8, error.Type);
        json.WriteString("param"u8, error.Param);
        json.WriteString("code"u8, error.Code);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>Answers with the error, in Anthropic's envelope where the path is one of its; the response must not have started.</summary>
    public static async Task SendAsync(HttpContext context, ApiException error)
    {
        var response = context.Response;
        bool anthropic = MessagesError.Speaks(context.Request.Path);
        response.StatusCode = anthropic ? MessagesError.Status(error) : error.Status;
        response.ContentType = "application/json";
        if (error.RetryAfter is { } wait)
            response.Headers.RetryAfter = Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        if (error.ShouldRetry is { } again) response.Headers["x-should-retry"] = again ? "true" : "false";
        if (error.Status == StatusCodes.Status401Unauthorized) response.Headers.WWWAuthenticate = "Bearer realm=\"qwenserve\"";
        // What is left of the body is not read: the connection ends rather than take it all in.
        if (error.Status == StatusCodes.Status413PayloadTooLarge) response.Headers.Connection = "close";
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, JsonText.Writing))
        {
            if (anthropic) MessagesError.Write(json, error, context.TraceIdentifier);
            else Write(json, error);
        }
        response.ContentLength = buffer.WrittenCount;
        if (!HttpMethods.IsHead(context.Request.Method))
            await response.Body.WriteAsync(buffer.WrittenMemory, context.RequestAborted).ConfigureAwait(false);
    }
}
