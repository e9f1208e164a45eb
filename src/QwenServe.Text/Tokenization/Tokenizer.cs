using System.Buffers;
using System.Text;

namespace QwenServe.Text.Tokenization;

/// <summary>
/// Qwen's byte-level BPE: added tokens are split off the raw text first, the rest is normalized to NFC, cut by
/// <see cref="PreTokenizer"/> and merged piece by piece. Gives the ids of Hugging Face <c>tokenizers</c>. Immutable but for a
/// cache of pieces; any number of threads may use one.
/// </summary>
/// <remarks>
/// Letters, numbers and white space are those of the runtime's Unicode data and normalization that of
/// <see cref="NfcTables.UnicodeVersion"/>; characters assigned later than the reference's own tables may be cut differently there.
/// A lone surrogate is encoded as U+FFFD.
/// </remarks>
public sealed class Tokenizer
{
    private readonly Vocabulary _vocabulary;
    private readonly BytePairEncoder _encoder;
    private readonly MergeBarriers? _barriers;
    private readonly PieceCache _cache = new();
    private readonly bool _normalize;
    private readonly AddedTokenMatcher _beforeNormalization;
    private readonly AddedTokenMatcher _afterNormalization;
    private readonly Dictionary<string, int> _addedIds;
    private readonly bool[] _special;

    internal Tokenizer(TokenizerFiles files)
    {
        _vocabulary = files.Vocabulary;
        _encoder = files.Encoder;
        _barriers = files.Barriers;
        _normalize = files.Normalize;
        var added = files.AddedTokens;
        // A control token is always looked for in the raw text: its place decides whether the conversation wrote it.
        _beforeNormalization = new AddedTokenMatcher(added.Where(t => !t.Normalized || t.Special));
        _afterNormalization = new AddedTokenMatcher(added.Where(t => t.Normalized && !t.Special)
            .Select(t => _normalize ? t with { Content = Nfc.Normalize(t.Content) } : t));
        _addedIds = added.ToDictionary(t => t.Content, t => t.Id, StringComparer.Ordinal);
        _special = new bool[_vocabulary.Count];
        foreach (var token in added) _special[token.Id] = token.Special;
    }

    /// <summary>One more than the highest id that has a token. A model's embedding may be larger.</summary>
    public int VocabularySize => _vocabulary.Count;

    /// <summary>All tokens' bytes one after another, by id; see <see cref="VocabularyOffsets"/>.</summary>
    public ReadOnlyMemory<byte> VocabularyBytes => _vocabulary.Bytes;

    /// <summary><see cref="VocabularySize"/> + 1 offsets: token <c>i</c> is <c>VocabularyBytes[o[i]..o[i + 1]]</c>.</summary>
    public ReadOnlyMemory<int> VocabularyOffsets => _vocabulary.Offsets;

    /// <summary>Reads <c>tokenizer.json</c>, or else <c>vocab.json</c> and <c>merges.txt</c>, with the added tokens of <c>tokenizer_config.json</c>.</summary>
    /// <exception cref="IOException">The directory or a file is missing (<see cref="DirectoryNotFoundException"/>, <see cref="FileNotFoundException"/>).</exception>
    /// <exception cref="InvalidDataException">A file is damaged or describes another kind of tokenizer; the message names it.</exception>
    public static Tokenizer Load(string directory)
    {
        CharacterTable.Prepare();
        return new Tokenizer(TokenizerFiles.Read(directory));
    }

    /// <summary>The ids of a raw prompt; every added token in it is taken as such.</summary>
    public int[] Encode(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Encode(text, []);
    }

    /// <summary>The ids of a rendered prompt; what the conversation wrote gives no control token (<c>special: true</c>).</summary>
    public int[] Encode(PromptText prompt)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        return Encode(prompt.Text, prompt.FromConversation);
    }

    /// <summary>As <see cref="Encode(string)"/>, into the caller's buffer; memory on the way comes from shared pools.</summary>
    /// <returns>Ids appended.</returns>
    public int Encode(ReadOnlySpan<char> text, IBufferWriter<int> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        using var ids = new IdBuffer(text.Length / 3);
        Encode(text, [], ids);
        output.Write(ids.Written);
        return ids.Written.Length;
    }

    /// <summary>The bytes a token stands for (an added token's text as UTF-8); empty when the id has none.</summary>
    public ReadOnlySpan<byte> TokenBytes(int id) => _vocabulary.Token(id);

    /// <summary>Whether the id is a control token (<c>special: true</c>).</summary>
    public bool IsSpecial(int id) => (uint)id < (uint)_special.Length && _special[id];

    /// <summary>Whether the id has a token at all.</summary>
    public bool HasToken(int id) => _vocabulary.Has(id);

    /// <summary>The id of an added token, special or not, by its exact text.</summary>
    public int? FindAddedToken(string text) => _addedIds.TryGetValue(text, out var id) ? id : null;

    /// <summary>A token's bytes as text by itself: what is not valid UTF-8 alone becomes U+FFFD.</summary>
    public string TokenText(int id) => Encoding.UTF8.GetString(TokenBytes(id));

    /// <summary>The text of a whole sequence; bytes that are not UTF-8 become U+FFFD, ids without a token become nothing.</summary>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens)
    {
        var length = 0;
        foreach (var id in ids) length += TokenBytes(id).Length;
        var bytes = ArrayPool<byte>.Shared.Rent(length);
        var count = 0;
        foreach (var id in ids)
        {
            if (skipSpecialTokens && IsSpecial(id)) continue;
            var token = TokenBytes(id);
            token.CopyTo(bytes.AsSpan(count));
            count += token.Length;
        }
        var text = Encoding.UTF8.GetString(bytes, 0, count);
        ArrayPool<byte>.Shared.Return(bytes);
        return text;
    }

    /// <summary>A decoder for ids that come one by one.</summary>
    public Detokenizer CreateDetokenizer(bool skipSpecialTokens = true) => new(this, skipSpecialTokens);

    private int[] Encode(ReadOnlySpan<char> text, IReadOnlyList<TextRange> conversation)
    {
        using var ids = new IdBuffer(text.Length / 3);
        Encode(text, conversation, ids);
        return ids.Written.ToArray();
    }

    private void Encode(ReadOnlySpan<char> text, IReadOnlyList<TextRange> conversation, IdBuffer ids)
    {
        var at = 0;
        var nextRange = 0;
        while (_beforeNormalization.TryFind(text, at, conversation, ref nextRange, out var match, out var token))
        {
            EncodePlain(text[at..match.Start], ids);
            ids.Add(token.Id);
            at = match.End;
        }
        EncodePlain(text[at..], ids);
    }

    private void EncodePlain(ReadOnlySpan<char> text, IdBuffer ids)
    {
        if (text.IsEmpty) return;
        using var normalized = _normalize ? Nfc.NormalizeIfNeeded(text) : null;
        if (normalized is not null) text = normalized.Written;
        var at = 0;
        var nextRange = 0;
        while (!_afterNormalization.IsEmpty && _afterNormalization.TryFind(text, at, [], ref nextRange, out var match, out var token))
        {
            EncodeNormalized(text[at..match.Start], ids);
            ids.Add(token.Id);
            at = match.End;
        }
        EncodeNormalized(text[at..], ids);
    }

    private void EncodeNormalized(ReadOnlySpan<char> text, IdBuffer ids)
    {
        if (text.IsEmpty) return;
        const int Padding = PieceCache.MaxBytes + PreTokenizer.Padding;
        var length = Encoding.UTF8.GetByteCount(text);
        var utf8 = ArrayPool<byte>.Shared.Rent(length + Padding);
        Encoding.UTF8.GetBytes(text, utf8);
        utf8.AsSpan(length, Padding).Clear();
        EncodeUtf8(utf8, length, ids);
        ArrayPool<byte>.Shared.Return(utf8);
    }

    private void EncodeUtf8(ReadOnlySpan<byte> text, int length, IdBuffer ids)
    {
        for (int start = 0, end; start < length; start = end)
        {
            end = PreTokenizer.NextPiece(text, length, start);
            if (!TryRemembered(text, start, end, ids)) EncodePiece(text, start, end, ids);
        }
    }

    private void EncodePiece(ReadOnlySpan<byte> text, int start, int end, IdBuffer ids)
    {
        var at = start;
        while (at < end)
        {
            var cut = _barriers?.Next(text, at, end) ?? end;
            var whole = at == start && cut == end;
            if (whole || !TryRemembered(text, at, cut, ids)) EncodePart(text, at, cut, ids);
            at = cut;
        }
    }

    private void EncodePart(ReadOnlySpan<byte> text, int start, int end, IdBuffer ids)
    {
        var before = ids.Written.Length;
        _encoder.Encode(text[start..end], ids);
        var made = ids.Written[before..];
        if (end - start <= PieceCache.MaxBytes && made.Length <= PieceCache.MaxIds) _cache.Store(new PieceCache.Key(text, start, end - start), made);
    }

    private bool TryRemembered(ReadOnlySpan<byte> text, int start, int end, IdBuffer ids)
    {
        if (end - start > PieceCache.MaxBytes) return false;
        var found = _cache.Find(new PieceCache.Key(text, start, end - start), ids.Room(PieceCache.MaxIds));
        ids.Advance(found);
        return found > 0;
    }
}
