using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace QwenServe.Text.Tokenization;

/// <summary>
/// What a checkpoint's tokenizer files say. The large parts (vocabulary and merges, hundreds of thousands of strings) go
/// from the file's bytes straight into tables, without a string for each.
/// </summary>
internal sealed class TokenizerFiles
{
    /// <summary>Qwen2's pre-tokenizer, the one <see cref="PreTokenizer"/> implements.</summary>
    public const string Expression =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private readonly Vocabulary.Builder _vocabulary = new();
    private readonly SortedDictionary<int, AddedToken> _added = [];
    private readonly List<(int Left, int Right, int Merged)> _merges = new(1 << 18);
    private byte[] _unescaped = new byte[256];
    private byte[] _scratch = new byte[256];
    private bool _ignoreMerges;

    private TokenizerFiles(string directory)
    {
        if (!Directory.Exists(directory)) throw new DirectoryNotFoundException($"{directory}: no such directory");
        var json = Path.Combine(directory, "tokenizer.json");
        var vocab = Path.Combine(directory, "vocab.json");
        var merges = Path.Combine(directory, "merges.txt");
        var config = Path.Combine(directory, "tokenizer_config.json");
        string source;
        if (File.Exists(json))
        {
            ReadJson(json, ReadTokenizerJson);
            source = json;
        }
        else if (File.Exists(vocab))
        {
            if (!File.Exists(merges)) throw new FileNotFoundException($"{merges}: not found, and vocab.json needs it", merges);
            ReadJson(vocab, ReadVocabularyJson);
            ReadMergesText(merges);
            source = vocab;
        }
        else
        {
            throw new FileNotFoundException($"{directory}: neither tokenizer.json nor vocab.json with merges.txt", json);
        }
        if (File.Exists(config)) ReadJson(config, ReadConfigJson);

        var byteIds = new int[256];
        for (var b = 0; b < 256; b++)
        {
            byteIds[b] = _vocabulary.Find([(byte)b]);
            if (byteIds[b] < 0) throw new InvalidDataException($"{source}: not a byte-level vocabulary (no token for byte {b})");
        }
        if (_merges.Count > MergeTable.MaxMerges) throw new InvalidDataException($"{source}: {_merges.Count} merges, more than {MergeTable.MaxMerges}");
        var table = new MergeTable(CollectionsMarshal.AsSpan(_merges), byteIds);
        Encoder = new BytePairEncoder(table, byteIds, _ignoreMerges ? _vocabulary : null);
        foreach (var token in _added.Values) _vocabulary.Add(token.Id, Encoding.UTF8.GetBytes(token.Content), findable: false);
        Vocabulary = _vocabulary.Build();
        // With ignore_merges a whole piece is looked up first, so its parts must not be.
        Barriers = _ignoreMerges ? null : new MergeBarriers(Vocabulary);
    }

    private delegate void JsonBody(ref Utf8JsonReader reader, string path);

    public Vocabulary Vocabulary { get; }

    public BytePairEncoder Encoder { get; }

    /// <summary>Where pieces fall apart; null when they must stay whole.</summary>
    public MergeBarriers? Barriers { get; }

    public IReadOnlyCollection<AddedToken> AddedTokens => _added.Values;

    public bool Normalize { get; private set; } = true;

    public static TokenizerFiles Read(string directory) => new(directory);

    private static void ReadJson(string path, JsonBody body)
    {
        ReadOnlySpan<byte> bytes = File.ReadAllBytes(path);
        if (bytes.StartsWith("\uFEFF"u8)) bytes = bytes[3..];
        try
        {
            var reader = new Utf8JsonReader(bytes);
            Expect(ref reader, JsonTokenType.StartObject, path);
            body(ref reader, path);
            if (reader.Read()) throw new InvalidDataException($"{path}: text after the end");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            throw new InvalidDataException($"{path}: {e.Message}", e);
        }
    }

    private void ReadTokenizerJson(ref Utf8JsonReader reader, string path)
    {
        var model = false;
        var preTokenizer = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("model"))
            {
                Expect(ref reader, JsonTokenType.StartObject, path);
                ReadModel(ref reader, path);
                model = true;
            }
            else if (reader.ValueTextEquals("added_tokens"))
            {
                using var document = Value(ref reader);
                foreach (var token in document.RootElement.EnumerateArray()) Add(token.GetProperty("id").GetInt32(), token, path);
            }
            else if (reader.ValueTextEquals("normalizer"))
            {
                using var document = Value(ref reader);
                ReadNormalizer(document.RootElement, path);
            }
            else if (reader.ValueTextEquals("pre_tokenizer"))
            {
                using var document = Value(ref reader);
                if (!IsQwenPreTokenizer(document.RootElement)) throw new InvalidDataException($"{path}: its pre_tokenizer is not Qwen2's");
                preTokenizer = true;
            }
            else if (reader.ValueTextEquals("post_processor"))
            {
                using var document = Value(ref reader);
                var type = TypeOf(document.RootElement);
                if (type is not (null or "ByteLevel")) throw new InvalidDataException($"{path}: a post_processor of type {type} is not supported");
            }
            else
            {
                reader.Skip();
            }
        }
        if (!model) throw new InvalidDataException($"{path}: no model");
        if (!preTokenizer) throw new InvalidDataException($"{path}: its pre_tokenizer is not Qwen2's");
    }

    private void ReadModel(ref Utf8JsonReader reader, string path)
    {
        var vocabulary = false;
        var mergesWaiting = false;
        Utf8JsonReader mergesReader = default;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("type"))
            {
                reader.Read();
                if (reader.GetString() is var type && type != "BPE") throw new InvalidDataException($"{path}: not a byte-level BPE (model.type is {type})");
            }
            else if (reader.ValueTextEquals("vocab"))
            {
                if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) throw new InvalidDataException($"{path}: not a byte-level BPE (model.vocab is not an object)");
                ReadVocabularyJson(ref reader, path);
                vocabulary = true;
            }
            else if (reader.ValueTextEquals("merges"))
            {
                Expect(ref reader, JsonTokenType.StartArray, path);
                if (vocabulary)
                {
                    ReadMergesJson(ref reader, path);
                }
                else
                {
                    mergesReader = reader;
                    mergesWaiting = true;
                    reader.Skip();
                }
            }
            else if (reader.ValueTextEquals("ignore_merges"))
            {
                reader.Read();
                _ignoreMerges = reader.TokenType == JsonTokenType.True;
            }
            else if (reader.ValueTextEquals("byte_fallback"))
            {
                reader.Read();
                if (reader.TokenType == JsonTokenType.True) throw new InvalidDataException($"{path}: not a byte-level BPE (model.byte_fallback is set)");
            }
            else if (reader.ValueTextEquals("continuing_subword_prefix") || reader.ValueTextEquals("end_of_word_suffix"))
            {
                reader.Read();
                if (reader.TokenType != JsonTokenType.Null && reader.GetString() != "") throw new InvalidDataException($"{path}: not a byte-level BPE (subword prefixes or suffixes)");
            }
            else
            {
                reader.Skip();
            }
        }
        if (!vocabulary) throw new InvalidDataException($"{path}: no model.vocab");
        if (mergesWaiting) ReadMergesJson(ref mergesReader, path);
    }

    /// <summary>The rest of an object of token to id.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ReadVocabularyJson(ref Utf8JsonReader reader, string path)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var spelled = Text(ref reader);
            var room = Scratch(spelled.Length);
            var length = ByteLevel.Decode(spelled, room, out var inAlphabet);
            if (!reader.Read() || reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out var id) || id < 0 || id >= MergeTable.MaxId)
                throw new InvalidDataException($"{path}: the id of \"{Encoding.UTF8.GetString(spelled)}\" is not a number from 0 to {MergeTable.MaxId - 1}");
            _vocabulary.Add(id, room[..length], inAlphabet);
        }
    }

    /// <summary>The rest of an array of merges, each <c>"a b"</c> or <c>["a", "b"]</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ReadMergesJson(ref Utf8JsonReader reader, string path)
    {
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType == JsonTokenType.String)
            {
                AddMerge(Text(ref reader), path);
                continue;
            }
            if (reader.TokenType != JsonTokenType.StartArray) throw new InvalidDataException($"{path}: merge {_merges.Count} is neither a string nor a pair");
            Expect(ref reader, JsonTokenType.String, path);
            var first = Text(ref reader);
            var room = Scratch(first.Length + 64);
            var left = ByteLevel.Decode(first, room, out _);
            Expect(ref reader, JsonTokenType.String, path);
            var second = Text(ref reader);
            room = Scratch(left + second.Length, keep: left);
            var right = ByteLevel.Decode(second, room[left..], out _);
            AddMerge(room[..(left + right)], left, path);
            Expect(ref reader, JsonTokenType.EndArray, path);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ReadMergesText(string path)
    {
        ReadOnlySpan<byte> text = File.ReadAllBytes(path);
        while (!text.IsEmpty)
        {
            var end = text.IndexOf((byte)'\n');
            var line = end < 0 ? text : text[..end];
            text = end < 0 ? [] : text[(end + 1)..];
            if (line.EndsWith("\r"u8)) line = line[..^1];
            if (!line.IsEmpty && !line.StartsWith("#version"u8)) AddMerge(line, path);
        }
    }

    /// <summary>A merge as <c>a b</c>: neither side can hold a space, which the byte alphabet spells otherwise.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AddMerge(ReadOnlySpan<byte> line, string path)
    {
        var space = line.IndexOf((byte)' ');
        if (space <= 0 || space == line.Length - 1 || line[(space + 1)..].Contains((byte)' '))
            throw new InvalidDataException($"{path}: merge {_merges.Count} is not two tokens: \"{Encoding.UTF8.GetString(line)}\"");
        var room = Scratch(line.Length);
        var left = ByteLevel.Decode(line[..space], room, out _);
        var right = ByteLevel.Decode(line[(space + 1)..], room[left..], out _);
        AddMerge(room[..(left + right)], left, path);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AddMerge(ReadOnlySpan<byte> bytes, int leftLength, string path)
    {
        var left = _vocabulary.Find(bytes[..leftLength]);
        var right = _vocabulary.Find(bytes[leftLength..]);
        var merged = _vocabulary.Find(bytes);
        if (left < 0 || right < 0 || merged < 0)
            throw new InvalidDataException($"{path}: merge {_merges.Count} names a token that the vocabulary lacks");
        _merges.Add((left, right, merged));
    }

    private void ReadConfigJson(ref Utf8JsonReader reader, string path)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (!reader.ValueTextEquals("added_tokens_decoder"))
            {
                reader.Skip();
                continue;
            }
            using var document = Value(ref reader);
            foreach (var token in document.RootElement.EnumerateObject())
            {
                if (!int.TryParse(token.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var id))
                    throw new InvalidDataException($"{path}: added_tokens_decoder has \"{token.Name}\" for an id");
                Add(id, token.Value, path);
            }
        }
    }

    private void Add(int id, JsonElement token, string path)
    {
        var content = token.GetProperty("content").GetString();
        if (string.IsNullOrEmpty(content) || id < 0 || id >= MergeTable.MaxId) throw new InvalidDataException($"{path}: added token {id} has no content or no valid id");
        foreach (var (otherId, other) in _added)
        {
            if (other.Content != content || otherId == id) continue;
            throw new InvalidDataException($"{path}: \"{content}\" is added as both {otherId} and {id}");
        }
        _added[id] = new AddedToken(id, content, Flag("special"), Flag("single_word"), Flag("lstrip"), Flag("rstrip"), Flag("normalized"));

        bool Flag(string name) => token.TryGetProperty(name, out var value) && value.GetBoolean();
    }

    private void ReadNormalizer(JsonElement normalizer, string path)
    {
        switch (TypeOf(normalizer))
        {
            case null:
                Normalize = false;
                break;
            case "NFC":
                break;
            case "Sequence" when normalizer.GetProperty("normalizers") is { } parts && parts.GetArrayLength() == 1:
                ReadNormalizer(parts[0], path);
                break;
            case var type:
                throw new InvalidDataException($"{path}: a normalizer of type {type} is not supported");
        }
    }

    private static bool IsQwenPreTokenizer(JsonElement preTokenizer)
    {
        if (TypeOf(preTokenizer) != "Sequence") return false;
        var parts = preTokenizer.GetProperty("pretokenizers");
        if (parts.GetArrayLength() != 2) return false;
        var (split, bytes) = (parts[0], parts[1]);
        return TypeOf(split) == "Split" && split.GetProperty("pattern").TryGetProperty("Regex", out var expression) && expression.GetString() == Expression
            && split.GetProperty("behavior").GetString() == "Isolated" && !split.GetProperty("invert").GetBoolean()
            && TypeOf(bytes) == "ByteLevel" && !bytes.GetProperty("add_prefix_space").GetBoolean()
            && bytes.TryGetProperty("use_regex", out var useRegex) && !useRegex.GetBoolean();
    }

    private static string? TypeOf(JsonElement element) => element.ValueKind == JsonValueKind.Object ? element.GetProperty("type").GetString() : null;

    private static JsonDocument Value(ref Utf8JsonReader reader)
    {
        reader.Read();
        return JsonDocument.ParseValue(ref reader);
    }

    private static void Expect(ref Utf8JsonReader reader, JsonTokenType type, string path)
    {
        if (!reader.Read() || reader.TokenType != type) throw new InvalidDataException($"{path}: {type} expected at byte {reader.BytesConsumed}, found {reader.TokenType}");
    }

    /// <summary>The current name or string without escapes; valid until the next call.</summary>
    private ReadOnlySpan<byte> Text(ref Utf8JsonReader reader)
    {
        var raw = reader.ValueSpan;
        if (!reader.ValueIsEscaped) return raw;
        if (_unescaped.Length < raw.Length) _unescaped = new byte[raw.Length * 2];
        return _unescaped.AsSpan(0, reader.CopyString(_unescaped));
    }

    private Span<byte> Scratch(int length, int keep = 0)
    {
        if (_scratch.Length >= length) return _scratch;
        var larger = new byte[length * 2];
        _scratch.AsSpan(0, keep).CopyTo(larger);
        _scratch = larger;
        return _scratch;
    }
}
