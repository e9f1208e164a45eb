using System.Text.Json;
using QwenServe.OpenAI.Wire;

namespace QwenServe.Anthropic.Wire;

/// <summary>
/// Errors as Anthropic's clients read them: <c>{"type":"error","error":{"type","message"},"request_id"}</c>, on the paths of that API alone. A full
/// queue is 529 there, the status by which its SDKs know an overloaded server; 429 is a limit of the caller's own.
/// </summary>
internal static class MessagesError
{
    /// <summary>The header by which Anthropic's SDKs know a request.</summary>
    public const string RequestIdHeader = "request-id";

    public static bool Speaks(PathString path) => path.StartsWithSegments("/v1/messages");

    public static int Status(ApiException error) => error.Overload ? 529 : error.Status;

    public static void Write(Utf8JsonWriter json, ApiException error, string requestId)
    {
        json.WriteStartObject();
        json.WriteString("type"u8, "error"u8);
        json.WriteStartObject("error"u8);
        json.WriteString("type"u8, Type(Status(error)));
        json.WriteString("message"u8, error.Message);
        json.WriteEndObject();
        json.WriteString("request_id"u8, requestId);
        json.WriteEndObject();
    }

    /// <summary>Tells an error inside a stream.</summary>
    public static void WriteEvent(EventStream events, ApiException error, string requestId)
    {
        Write(events.BeginEvent("error"u8), error, requestId);
        events.EndEvent();
    }

    private static ReadOnlySpan<byte> Type(int status) => status switch
    {
        401 => "authentication_error"u8,
        403 => "permission_error"u8,
        404 => "not_found_error"u8,
        408 or 504 => "timeout_error"u8,
        413 => "request_too_large"u8,
        429 => "rate_limit_error"u8,
        529 => "overloaded_error"u8,
        >= 500 => "api_error"u8,
        _ => "invalid_request_error"u8,
    };
}
