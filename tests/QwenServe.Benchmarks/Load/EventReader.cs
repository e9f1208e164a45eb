using System.Buffers;

namespace QwenServe.Benchmarks.Load;

/// <summary>The data lines of an event stream, from one rented buffer and without a string. Not thread-safe.</summary>
internal sealed class EventReader(Stream stream) : IDisposable
{
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(16384);
    private int _start;
    private int _scanned;
    private int _end;

    /// <summary>The last data line; valid until the next read.</summary>
    public ReadOnlyMemory<byte> Data { get; private set; }

    /// <returns>False at the end of the stream.</returns>
    /// <exception cref="IOException">The connection broke.</exception>
    public async ValueTask<bool> ReadAsync(CancellationToken cancel)
    {
        while (true)
        {
            int newline = _buffer.AsSpan(_scanned, _end - _scanned).IndexOf((byte)'\n');
            if (newline >= 0)
            {
                var line = _buffer.AsMemory(_start, _scanned + newline - _start);
                _start = _scanned = _scanned + newline + 1;
                if (!line.Span.StartsWith("data:"u8)) continue;
                Data = line[5..].Trim(" \r"u8);
                return true;
            }
            _scanned = _end;
            if (_end == _buffer.Length) MakeRoom();
            int read = await stream.ReadAsync(_buffer.AsMemory(_end), cancel).ConfigureAwait(false);
            if (read == 0) return false;
            _end += read;
        }
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }

    private void MakeRoom()
    {
        var target = _start > 0 ? _buffer : ArrayPool<byte>.Shared.Rent(2 * _buffer.Length);
        Buffer.BlockCopy(_buffer, _start, target, 0, _end - _start);
        if (target != _buffer) ArrayPool<byte>.Shared.Return(_buffer);
        (_buffer, _end, _scanned, _start) = (target, _end - _start, _scanned - _start, 0);
    }
}
