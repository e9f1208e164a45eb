using System.Buffers;

namespace QwenServe.Text.Tokenization;

/// <summary>A growing run of UTF-16 over pooled memory.</summary>
internal sealed class CharBuffer(int capacity) : IDisposable
{
    private char[] _chars = ArrayPool<char>.Shared.Rent(capacity);
    private int _count;

    public ReadOnlySpan<char> Written => _chars.AsSpan(0, _count);

    public void Append(ReadOnlySpan<char> chars)
    {
        Reserve(chars.Length);
        chars.CopyTo(_chars.AsSpan(_count));
        _count += chars.Length;
    }

    public void AppendCodePoint(int codePoint)
    {
        Reserve(2);
        if (codePoint < 0x10000)
        {
            _chars[_count++] = (char)codePoint;
            return;
        }
        _chars[_count++] = (char)(0xD7C0 + (codePoint >> 10));
        _chars[_count++] = (char)(0xDC00 + (codePoint & 0x3FF));
    }

    public void Dispose()
    {
        ArrayPool<char>.Shared.Return(_chars);
        _chars = [];
        _count = 0;
    }

    private void Reserve(int more)
    {
        if (_chars.Length - _count >= more) return;
        var larger = ArrayPool<char>.Shared.Rent(Math.Max(_chars.Length * 2, _count + more));
        Written.CopyTo(larger);
        ArrayPool<char>.Shared.Return(_chars);
        _chars = larger;
    }
}
