using System.Globalization;
using System.Text.Json;
using QwenServe.Hosting;

namespace QwenServe.Hub;

/// <summary>
/// Models from a hub that speaks Hugging Face's URLs, in the cache layout of huggingface_hub, so that both share their downloads:
/// <c>models--org--name/blobs/ETAG</c> holds content, <c>snapshots/COMMIT/file</c> links to it, <c>refs/REVISION</c> names the commit.
/// </summary>
internal static class HuggingFaceHub
{
    /// <summary>The folder of a model's files, downloaded as far as they are not there.</summary>
    /// <exception cref="StartupException">It is not to be had; says why.</exception>
    public static async Task<string> FetchAsync(HubOptions options, string repository, string? revision, DownloadProgress progress, CancellationToken cancel)
    {
        revision ??= "main";
        string root = Path.Combine(options.Cache, "models--" + repository.Replace("/", "--", StringComparison.Ordinal));
        string reference = Path.Combine(root, "refs", revision);
        string? cached = FindSnapshot(root, reference, revision);
        // A commit never changes, so a whole snapshot of one needs no question.
        if (cached is not null && (options.Offline || IsCommit(revision)) && ModelFiles.IsComplete(cached)) return cached;
        if (options.Offline)
            throw new StartupException($"{repository}: HF_HUB_OFFLINE is set and the model is not {(cached is null ? "" : "complete ")}in {options.Cache}");

        using var http = new HubHttp(options);
        string commit;
        IReadOnlyList<string> names;
        try
        {
            (commit, names) = await DescribeAsync(http, repository, revision, cancel).ConfigureAwait(false);
        }
        catch (StartupException) when (cached is not null && ModelFiles.IsComplete(cached))
        {
            progress.Say($"{options.Endpoint.Host} cannot be asked; serving {repository} from the cache");
            return cached;
        }

        string snapshot = Path.Combine(root, "snapshots", commit);
        var files = new List<HubFile>();
        foreach (string name in ModelFiles.Select(repository, names))
            if (!File.Exists(Path.Combine(snapshot, name))) files.Add(await LookUpAsync(http, repository, commit, name, cancel).ConfigureAwait(false));
        progress.Begin(repository, files.Sum(f => f.Size));
        await Parallel.ForEachAsync(files, new ParallelOptions { MaxDegreeOfParallelism = 4, CancellationToken = cancel }, async (file, token) =>
        {
            string blob = Path.Combine(root, "blobs", file.ETag);
            await FileDownload.RunAsync(http, file.Uri, blob, file.Size, file.ETag, progress.Add, token).ConfigureAwait(false);
            Link(Path.Combine(snapshot, file.Name), blob);
        }).ConfigureAwait(false);
        if (!IsCommit(revision))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(reference)!);
            await File.WriteAllTextAsync(reference, commit, cancel).ConfigureAwait(false);
        }
        return snapshot;
    }

    private static async Task<(string Commit, IReadOnlyList<string> Names)> DescribeAsync(HubHttp http, string repository, string revision, CancellationToken cancel)
    {
        var uri = new Uri($"{Base(http)}/api/models/{repository}/revision/{Uri.EscapeDataString(revision)}");
        using var response = await http.SendAsync(HttpMethod.Get, uri, 0, followElsewhere: true, cancel).ConfigureAwait(false);
        HubErrors.ThrowIfRefused(response, uri, repository);
        try
        {
            using var description = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(cancel).ConfigureAwait(false));
            string commit = description.RootElement.GetProperty("sha").GetString()!;
            if (!IsCommit(commit)) throw new JsonException("no commit");
            return (commit, [.. description.RootElement.GetProperty("siblings").EnumerateArray().Select(s => s.GetProperty("rfilename").GetString()!)]);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new StartupException($"{uri}: the answer is not a hub's ({e.Message})", e);
        }
    }

    private static async Task<HubFile> LookUpAsync(HubHttp http, string repository, string commit, string name, CancellationToken cancel)
    {
        var uri = new Uri($"{Base(http)}/{repository}/resolve/{commit}/{name}");
        using var response = await http.SendAsync(HttpMethod.Head, uri, 0, followElsewhere: false, cancel).ConfigureAwait(false);
        HubErrors.ThrowIfRefused(response, uri);
        // The X-Linked headers describe the content where the answer itself only redirects to it.
        string? etag = (Header(response, "X-Linked-ETag") ?? Header(response, "ETag"))?.Replace("W/", "", StringComparison.Ordinal).Trim('"');
        string? size = Header(response, "X-Linked-Size") ?? response.Content.Headers.ContentLength?.ToString(CultureInfo.InvariantCulture);
        if (etag is null || !etag.All(char.IsAsciiLetterOrDigit) || !long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out long bytes))
            throw new StartupException($"{uri}: the hub gives no etag and size of the file");
        return new HubFile(name, uri, etag.ToLowerInvariant(), bytes);

        static string? Header(HttpResponseMessage response, string name)
            => response.Headers.TryGetValues(name, out var values) ? values.First() : response.Content.Headers.TryGetValues(name, out values) ? values.First() : null;
    }

    private static string Base(HubHttp http) => http.Options.Endpoint.ToString().TrimEnd('/');

    private static string? FindSnapshot(string root, string reference, string revision)
    {
        string? commit = IsCommit(revision) ? revision : File.Exists(reference) ? File.ReadAllText(reference).Trim() : null;
        if (commit is null || !IsCommit(commit)) return null;
        string snapshot = Path.Combine(root, "snapshots", commit);
        return Directory.Exists(snapshot) ? snapshot : null;
    }

    private static void Link(string path, string blob)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        if (File.Exists(path)) return;
        try
        {
            File.CreateSymbolicLink(path, Path.GetRelativePath(Path.GetDirectoryName(path)!, blob));
        }
        catch (IOException) when (File.Exists(path))
        {
            // Another process was first.
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            // Some file systems have no links; huggingface_hub then keeps the file itself in the snapshot.
            File.Move(blob, path);
        }
    }

    private static bool IsCommit(string revision) => revision.Length == 40 && revision.All(char.IsAsciiHexDigitLower);

    private sealed record HubFile(string Name, Uri Uri, string ETag, long Size);
}
