using QwenServe.Text.Tokenization;

namespace QwenServe.Generation;

/// <summary>
/// The tokens that a model may write while it reasons before an answer that a grammar holds: all text and no end of the answer. The reasoning ends with
/// <c>&lt;/think&gt;</c>, whether that is one token or spelled in several; a token that would end it and begin the answer at once is not admitted, so
/// that the grammar sees the whole answer. Newlines behind the end are markup (<see cref="Text.Output.ReasoningParser"/>). One instance a tokenizer.
/// </summary>
internal sealed class ReasoningMask
{
    /// <summary>The place behind the reasoning.</summary>
    public const int Ended = -1;

    private readonly Tokenizer _tokenizer;
    private readonly uint[] _text;
    private readonly int[][] _overrun = new int[Close.Length][];

    public ReasoningMask(Tokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        _text = new uint[(tokenizer.VocabularySize + 31) / 32];
        var breaks = new List<int>();
        var overrun = _overrun.Select(_ => new List<int>()).ToArray();
        for (int id = 0; id < tokenizer.VocabularySize; id++)
        {
            if (!tokenizer.HasToken(id) || tokenizer.IsSpecial(id)) continue;
            _text[id >> 5] |= 1u << id;
            var bytes = tokenizer.TokenBytes(id);
            if (!bytes.IsEmpty && !bytes.ContainsAnyExcept((byte)'\n')) breaks.Add(id);
            if (!bytes.Contains(Close[^1])) continue;
            for (int place = 0; place < Close.Length; place++)
                if (Advance(bytes, place, out var rest) == Ended && rest.ContainsAnyExcept((byte)'\n')) overrun[place].Add(id);
        }
        Breaks = [.. breaks];
        for (int place = 0; place < overrun.Length; place++) _overrun[place] = [.. overrun[place]];
    }

    /// <summary>The tokens of newlines alone.</summary>
    public IReadOnlyList<int> Breaks { get; }

    private static ReadOnlySpan<byte> Close => "</think>"u8;

    /// <summary>Writes the admitted tokens, all words.</summary>
    /// <param name="mask">Bit id % 32 of word id / 32.</param>
    /// <param name="place">How much of the end is there, in bytes.</param>
    public void Fill(Span<uint> mask, int place)
    {
        _text.CopyTo(mask);
        mask[_text.Length..].Clear();
        foreach (int id in _overrun[place]) mask[id >> 5] &= ~(1u << id);
    }

    /// <summary>The place behind a token; <see cref="Ended"/> behind the reasoning.</summary>
    public int Accept(int token, int place) => Advance(_tokenizer.TokenBytes(token), place, out _);

    private static int Advance(ReadOnlySpan<byte> bytes, int place, out ReadOnlySpan<byte> rest)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            place = bytes[i] == Close[place] ? place + 1 : bytes[i] == Close[0] ? 1 : 0;
            if (place < Close.Length) continue;
            rest = bytes[(i + 1)..];
            return Ended;
        }
        rest = default;
        return place;
    }
}
