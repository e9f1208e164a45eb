namespace QwenServe.Access;

/// <summary>
/// Notices that files have changed, by reading them every second: a Kubernetes volume swaps links above them, an editor puts another file in
/// their place, and neither is seen by a watch on the file itself. They are small.
/// </summary>
internal sealed class PolledFiles : IDisposable
{
    private readonly Lock _gate = new();
    private readonly string[] _paths;
    private readonly Action<byte[][]> _changed;
    private readonly Action<string> _complain;
    private readonly ITimer _timer;
    private byte[][] _seen;
    private string? _complaint;

    /// <param name="paths">The files.</param>
    /// <param name="seen">Their contents as they are known already.</param>
    /// <param name="changed">Takes new contents; what it throws is complained of once, until they change again.</param>
    /// <param name="complain">Takes why the files cannot be used, a line.</param>
    /// <param name="time">The clock.</param>
    public PolledFiles(IReadOnlyList<string> paths, byte[][] seen, Action<byte[][]> changed, Action<string> complain, TimeProvider time)
    {
        _paths = [.. paths];
        _seen = seen;
        _changed = changed;
        _complain = complain;
        _timer = time.CreateTimer(_ => Poll(), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
    }

    /// <summary>Looks now.</summary>
    public void Poll()
    {
        // One that takes long, on a disk that hangs, is not joined by others.
        if (!_gate.TryEnter()) return;
        try
        {
            byte[][] contents = [.. _paths.Select(File.ReadAllBytes)];
            if (contents.Zip(_seen).All(p => p.First.AsSpan().SequenceEqual(p.Second)))
            {
                // Back to what is in use after something that was not.
                if (_complaint is not null && _complaint.StartsWith("cannot", StringComparison.Ordinal)) _complaint = null;
                return;
            }
            _seen = contents;
            _changed(contents);
            _complaint = null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Complain("cannot be read: " + e.Message.ReplaceLineEndings(" "));
        }
#pragma warning disable CA1031 // Whatever is in the files, it shall not end the server.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Complain(e.Message.ReplaceLineEndings(" "));
        }
        finally
        {
            _gate.Exit();
        }
    }

    public void Dispose() => _timer.Dispose();

    private void Complain(string message)
    {
        if (_complaint == message) return;
        _complaint = message;
        _complain(message);
    }
}
