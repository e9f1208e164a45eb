using System.Net;
using QwenServe.Hosting;

namespace QwenServe.Hub;

/// <summary>A hub's refusals in words that say what to do.</summary>
internal static class HubErrors
{
    public static void ThrowIfRefused(HttpResponseMessage response, Uri uri, string? repository = null)
    {
        if (response.IsSuccessStatusCode || (int)response.StatusCode is >= 300 and < 400) return;
        string what = repository ?? uri.GetLeftPart(UriPartial.Path);
        string? code = response.Headers.TryGetValues("X-Error-Code", out var codes) ? codes.FirstOrDefault() : null;
        throw new StartupException((response.StatusCode, code) switch
        {
            (_, "GatedRepo") or (HttpStatusCode.Forbidden, _) => $"{what}: access is restricted; ask for it on {uri.Host} and set HF_TOKEN",
            (_, "RevisionNotFound") => $"{what}: there is no such revision on {uri.Host}",
            (HttpStatusCode.Unauthorized, _) => $"{what}: not found on {uri.Host}, or it is private and HF_TOKEN is missing or wrong",
            (HttpStatusCode.NotFound, _) => $"{what}: not found on {uri.Host}; if you meant a folder, there is none of that name here",
            _ => $"{what}: {uri.Host} answered {(int)response.StatusCode}",
        });
    }
}
