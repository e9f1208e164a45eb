using System.Text.Json;
using QwenServe.Hosting;

namespace QwenServe.Hub;

/// <summary>Models from ModelScope, in its cache layout: plain files in <c>models/org/name</c>, dots of the name written <c>___</c>.</summary>
internal static class ModelScopeHub
{
    /// <inheritdoc cref="HuggingFaceHub.FetchAsync"/>
    public static async Task<string> FetchAsync(HubOptions options, string repository, string? revision, DownloadProgress progress, CancellationToken cancel)
    {
        revision ??= "master";
        string folder = Path.Combine(options.Cache, "models", repository.Replace(".", "___", StringComparison.Ordinal));
        if (options.Offline)
            return ModelFiles.IsComplete(folder) ? folder : throw new StartupException($"{repository}: HF_HUB_OFFLINE is set and the model is not in {folder}");

        using var http = new HubHttp(options);
        string api = $"{options.Endpoint.ToString().TrimEnd('/')}/api/v1/models/{repository}/repo";
        var listing = new Uri($"{api}/files?Revision={Uri.EscapeDataString(revision)}&Recursive=false");
        var sizes = new Dictionary<string, (long Size, string? Hash)>(StringComparer.Ordinal);
        using (var response = await http.SendAsync(HttpMethod.Get, listing, 0, followElsewhere: true, cancel).ConfigureAwait(false))
        {
            HubErrors.ThrowIfRefused(response, listing, repository);
            try
            {
                using var document = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(cancel).ConfigureAwait(false));
                foreach (var file in document.RootElement.GetProperty("Data").GetProperty("Files").EnumerateArray())
                {
                    if (file.TryGetProperty("Type", out var type) && type.GetString() == "tree") continue;
                    string? hash = file.TryGetProperty("Sha256", out var sha) ? sha.GetString()?.ToLowerInvariant() : null;
                    sizes[file.GetProperty("Path").GetString()!] = (file.GetProperty("Size").GetInt64(), hash);
                }
            }
            catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
            {
                throw new StartupException($"{listing}: the answer is not ModelScope's ({e.Message})", e);
            }
        }

        var missing = ModelFiles.Select(repository, sizes.Keys).Where(n => !IsThere(Path.Combine(folder, n), sizes[n].Size)).ToList();
        progress.Begin(repository, missing.Sum(n => sizes[n].Size));
        await Parallel.ForEachAsync(missing, new ParallelOptions { MaxDegreeOfParallelism = 4, CancellationToken = cancel }, async (name, token) =>
        {
            string path = Path.Combine(folder, name);
            Directory.CreateDirectory(folder);
            // A file of another size is another version's.
            File.Delete(path);
            var uri = new Uri($"{api}?Revision={Uri.EscapeDataString(revision)}&FilePath={Uri.EscapeDataString(name)}");
            await FileDownload.RunAsync(http, uri, path, sizes[name].Size, sizes[name].Hash, progress.Add, token).ConfigureAwait(false);
        }).ConfigureAwait(false);
        return folder;
    }

    private static bool IsThere(string path, long size) => File.Exists(path) && new FileInfo(path).Length == size;
}
