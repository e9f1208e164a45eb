using System.Text;

namespace QwenServe.Text.Output;

/// <summary>Where each character of an output went: the evidence that nothing was lost.</summary>
internal sealed class OutputTrace
{
    private readonly StringBuilder _all = new();
    private readonly StringBuilder _content = new();
    private readonly StringBuilder _consumed = new();

    /// <summary>Every character in the order in which it was settled, which must be the order of the output.</summary>
    internal string All => _all.ToString();

    /// <summary>The characters given out as text.</summary>
    internal string Content => _content.ToString();

    /// <summary>The characters consumed by calls and as markup.</summary>
    internal string Consumed => _consumed.ToString();

    /// <summary>Keys and values of a call's header that are neither name nor arguments.</summary>
    internal StringBuilder Ignored { get; } = new();

    internal void Settle(bool consumed, ReadOnlySpan<char> text)
    {
        _all.Append(text);
        (consumed ? _consumed : _content).Append(text);
    }

    internal void Settle(bool consumed, StringBuilder text)
    {
        foreach (var chunk in text.GetChunks()) Settle(consumed, chunk.Span);
    }
}
