namespace QwenServe.OpenAI.Wire;

/// <summary>
/// An answer in OpenAI's error envelope. The SDKs choose their exception class by <see cref="Status"/> alone and copy the rest, so
/// all four of message, type, param and code are always written, and code is a string or null.
/// </summary>
public sealed class ApiException : Exception
{
    public ApiException(int status, string message, string? param = null, string? code = null, string type = InvalidRequest) : base(message)
    {
        Status = status;
        Param = param;
        Code = code;
        Type = type;
    }

    public const string InvalidRequest = "invalid_request_error";

    public const string ServerError = "server_error";

    public const string RateLimit = "rate_limit_error";

    public int Status { get; }

    public string Type { get; }

    /// <summary>Path of the field at fault, such as <c>messages[0].role</c>.</summary>
    public string? Param { get; }

    public string? Code { get; }

    /// <summary>False writes <c>x-should-retry: false</c>, which OpenAI's SDKs heed; null leaves it to the status.</summary>
    public bool? ShouldRetry { get; init; }

    /// <summary>Whether it is the server that is full, as against a limit of the caller's own.</summary>
    public bool Overload { get; private init; }

    /// <summary>A word for the metrics when the request was turned away, whatever was in it; null for the request's own faults.</summary>
    public string? Reason { get; init; }

    /// <summary>When to come back; null writes no <c>retry-after</c>.</summary>
    public TimeSpan? RetryAfter { get; init; }

    public static ApiException NotJson()
        => new(400, "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The API expects a JSON payload in UTF-8, but what was sent was not valid JSON.)");

    public static ApiException Missing(string param)
        => new(400, $"Missing required parameter: '{param}'.", param, "missing_required_parameter");

    public static ApiException WrongType(string param, string expected, string got)
        => new(400, $"Invalid type for '{param}': expected {expected}, but got {got} instead.", param, "invalid_type");

    public static ApiException InvalidValue(string param, string message)
        => new(400, message, param, "invalid_value");

    public static ApiException EmptyArray(string param)
        => new(400, $"Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead.", param, "empty_array");

    /// <summary>For what the API has and this server has not.</summary>
    public static ApiException Unsupported(string param, string message)
        => new(400, message, param, "unsupported_parameter");

    public static ApiException ModelNotFound(string model)
        => new(404, $"The model `{model}` does not exist or you do not have access to it.", "model", "model_not_found");

    /// <summary>Clients look for the words of this message, so they are OpenAI's.</summary>
    public static ApiException ContextLength(int context, int prompt, int completion, bool chat)
        => new(400, completion > 0
            ? $"This model's maximum context length is {context} tokens. However, you requested {(long)prompt + completion} tokens ({prompt} in the {(chat ? "messages" : "prompt")}, {completion} in the completion). Please reduce the length of the {(chat ? "messages" : "prompt")} or completion."
            : $"This model's maximum context length is {context} tokens. However, your {(chat ? "messages" : "prompt")} resulted in {prompt} tokens. Please reduce the length of the {(chat ? "messages" : "prompt")}.",
            chat ? "messages" : "prompt", "context_length_exceeded");

    public static ApiException Overloaded(TimeSpan retryAfter)
        => new(429, "The server has as many requests as it can hold. Please try again later.", null, "rate_limit_exceeded", RateLimit) { RetryAfter = retryAfter, Overload = true, Reason = "queue_full" };

    /// <summary>The request's own deadline. SDKs repeat what is 5xx unless told not to, and this would take as long again.</summary>
    public static ApiException Timeout(string message)
        => new(504, $"The request timed out: {message}.", null, "request_timeout", ServerError) { ShouldRetry = false };

    public static ApiException NotReady(string message, TimeSpan retryAfter)
        => new(503, message, null, "not_ready", ServerError) { RetryAfter = retryAfter, Reason = "not_ready" };

    public static ApiException Internal(string message = "The server had an error while processing your request.")
        => new(500, message, null, null, ServerError);
}
