using System.Security.Cryptography;
using System.Text;
using QwenServe.OpenAI.Wire;
using QwenServe.Settings;

namespace QwenServe.Hosting;

/// <summary>
/// Asks for a key on everything that uses the model; probes and metrics stay open. Keys are held as SHA-256 and all are compared in
/// constant time, so that neither memory nor timing tells them.
/// </summary>
internal sealed class ApiKeys(RequestDelegate next, ServerSettings settings)
{
    private readonly byte[][] _hashes = [.. settings.ApiKeys.Select(k => SHA256.HashData(Encoding.UTF8.GetBytes(k)))];

    public Task InvokeAsync(HttpContext context)
    {
        if (_hashes.Length > 0 && IsGuarded(context.Request.Path)) Check(Authorization(context.Request.Headers));
        return next(context);
    }

    private static bool IsGuarded(PathString path)
        => path.StartsWithSegments("/v1") || path.StartsWithSegments("/tokenize") || path.StartsWithSegments("/detokenize");

    /// <summary>Anthropic's clients send the key in a header of its own.</summary>
    private static string Authorization(IHeaderDictionary headers)
        => headers.Authorization.Count == 0 && headers["x-api-key"] is [{ } key] ? "Bearer " + key : headers.Authorization.ToString();

    private void Check(string authorization)
    {
        const string scheme = "Bearer ";
        if (!authorization.StartsWith(scheme, StringComparison.OrdinalIgnoreCase) || authorization.AsSpan(scheme.Length).Trim().IsEmpty)
            throw new ApiException(401, "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).");
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(authorization[scheme.Length..].Trim()), hash);
        bool known = false;
        foreach (byte[] key in _hashes) known |= CryptographicOperations.FixedTimeEquals(key, hash);
        if (!known) throw new ApiException(401, "Incorrect API key provided.", null, "invalid_api_key");
    }
}
