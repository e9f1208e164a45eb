using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using QwenServe.Hosting;

namespace QwenServe.Hub;

/// <summary>
/// Brings one file onto the disk: resumed where an earlier try, or an earlier process, left off; checked against the hub's hash; put in
/// place by a rename, so that a file with the final name is always whole.
/// </summary>
internal static class FileDownload
{
    private const int BufferSize = 1 << 17;

    /// <param name="http">The hub.</param>
    /// <param name="uri">Where the content is asked for.</param>
    /// <param name="destination">Final path.</param>
    /// <param name="size">Bytes.</param>
    /// <param name="hash">SHA-256 of the content, or SHA-1 of its git blob, in hexadecimal; null checks the size alone.</param>
    /// <param name="received">Told the bytes as they come; negative when they have to come again.</param>
    /// <param name="cancel">Ends it; what has come stays for the next time.</param>
    public static async Task RunAsync(HubHttp http, Uri uri, string destination, long size, string? hash, Action<long> received, CancellationToken cancel)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(destination)!);
        string partial = destination + ".incomplete";
        bool startedAnew = false;
        while (true)
        {
            var file = await OpenAloneAsync(partial, destination, cancel).ConfigureAwait(false);
            if (file is null)
            {
                received(size);
                return;
            }
            bool whole;
            await using (file)
            {
                if (file.Length > size) file.SetLength(0);
                received(file.Length);
                RequireSpace(destination, size - file.Length);
                await FillAsync(http, uri, file, size, received, cancel).ConfigureAwait(false);
                whole = await IsIntactAsync(file, size, hash, cancel).ConfigureAwait(false);
                if (whole) File.Move(partial, destination, overwrite: true);
                else
                {
                    received(-file.Length);
                    file.SetLength(0);
                }
            }
            if (whole) return;
            // What a broken earlier run left may be at fault, so one fresh start is fair.
            if (startedAnew) throw new StartupException($"{uri.GetLeftPart(UriPartial.Path)}: the content does not have the checksum that the hub gives ({hash})");
            startedAnew = true;
        }
    }

    /// <summary>The partial file, held against other processes; null when another one has finished it meanwhile.</summary>
    private static async Task<FileStream?> OpenAloneAsync(string partial, string destination, CancellationToken cancel)
    {
        while (true)
        {
            if (File.Exists(destination)) return null;
            try
            {
                // Unbuffered: closing would try again to write what a full disk has refused, and its exception would hide the one that says so.
                return new FileStream(partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0, useAsync: true);
            }
            catch (IOException e) when (e is not (DirectoryNotFoundException or PathTooLongException) && File.Exists(partial))
            {
                await Task.Delay(200, cancel).ConfigureAwait(false);
            }
        }
    }

    private static async Task FillAsync(HubHttp http, Uri uri, FileStream file, long size, Action<long> received, CancellationToken cancel)
    {
        byte[] buffer = new byte[BufferSize];
        int failures = 0;
        while (file.Length < size)
        {
            long before = file.Length;
            string problem = "the connection ended early";
            try
            {
                using var response = await http.SendAsync(HttpMethod.Get, uri, before, followElsewhere: true, cancel).ConfigureAwait(false);
                if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
                {
                    received(-before);
                    file.SetLength(0);
                    continue;
                }
                HubErrors.ThrowIfRefused(response, uri);
                if (response.StatusCode != HttpStatusCode.PartialContent && before > 0)
                {
                    // The server sends the whole in spite of the range.
                    received(-before);
                    file.SetLength(0);
                }
                file.Position = file.Length;
                await using var content = await response.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false);
                while (file.Length < size)
                {
                    using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
                    patience.CancelAfter(http.Options.StallTimeout);
                    int read = await content.ReadAsync(buffer, patience.Token).ConfigureAwait(false);
                    if (read == 0) break;
                    read = (int)Math.Min(read, size - file.Position);
                    Write(file, buffer.AsSpan(0, read));
                    received(read);
                }
            }
            catch (Exception e) when (e is HttpRequestException or HttpIOException or IOException and not DiskException)
            {
                problem = e.Message;
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                problem = string.Create(CultureInfo.InvariantCulture, $"nothing came for {http.Options.StallTimeout.TotalSeconds:F0} s");
            }
            if (file.Length >= size) break;
            failures = file.Length > before ? 1 : failures + 1;
            if (failures >= http.Options.MaxAttempts) throw new StartupException($"{uri.GetLeftPart(UriPartial.Path)}: {problem} ({failures} tries)");
            await http.PauseAsync(failures, null, cancel).ConfigureAwait(false);
        }
    }

    /// <summary>What has been counted is in the file, so that a later run can go on from its length.</summary>
    private static void Write(FileStream file, ReadOnlySpan<byte> bytes)
    {
        try
        {
            file.Write(bytes);
        }
        // A file system that cannot hold a file of this size is reported as an argument out of range.
        catch (Exception e) when (e is IOException or ArgumentOutOfRangeException)
        {
            throw new DiskException($"{file.Name}: {e.Message}; free some space or set HF_HOME to another disk", e);
        }
    }

    private static void RequireSpace(string path, long bytes)
    {
        long free;
        try
        {
            free = new DriveInfo(Path.GetFullPath(path)).AvailableFreeSpace;
        }
        catch (Exception e) when (e is ArgumentException or IOException or UnauthorizedAccessException)
        {
            return;
        }
        if (free < bytes)
            throw new StartupException(string.Create(CultureInfo.InvariantCulture, $"{Path.GetDirectoryName(path)}: {bytes / 1e9:F1} GB are to be downloaded and {free / 1e9:F1} GB are free; free some space or set HF_HOME to another disk"));
    }

    private static async Task<bool> IsIntactAsync(FileStream file, long size, string? hash, CancellationToken cancel)
    {
        if (file.Length != size) return false;
        file.Position = 0;
        switch (hash?.Length)
        {
            case 64:
                return Convert.ToHexStringLower(await SHA256.HashDataAsync(new BufferedStream(file, BufferSize), cancel).ConfigureAwait(false)) == hash;
            case 40:
#pragma warning disable CA5350 // git names its blobs by SHA-1; it guards against damage here, not against an attacker
                using (var sha1 = IncrementalHash.CreateHash(HashAlgorithmName.SHA1))
#pragma warning restore CA5350
                {
                    sha1.AppendData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {size}\0")));
                    byte[] buffer = new byte[BufferSize];
                    for (int read; (read = await file.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0;) sha1.AppendData(buffer, 0, read);
                    return Convert.ToHexStringLower(sha1.GetHashAndReset()) == hash;
                }
            default:
                return true;
        }
    }

    /// <summary>The disk and not the network is at fault, so trying again does not help.</summary>
    private sealed class DiskException(string message, Exception inner) : IOException(message, inner);
}
