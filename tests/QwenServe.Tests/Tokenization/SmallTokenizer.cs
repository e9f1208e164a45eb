using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenServe.Tests.Tokenization;

/// <summary>
/// A byte-level BPE of a few hundred tokens, made in the test, that can write itself in every format checkpoints come in and
/// encode a piece the plain way: tokens as strings, all neighbours looked at before each join.
/// </summary>
internal sealed class SmallTokenizer
{
    public const string Expression =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly JsonSerializerOptions Unescaped = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Dictionary<(string, string), int> _ranks = [];

    private SmallTokenizer(List<(string Left, string Right)> merges)
    {
        Merges = merges;
        for (var b = 0; b < 256; b++) Vocabulary.Add(Spell([(byte)b]), b);
        foreach (var (left, right) in merges) Vocabulary.TryAdd(left + right, Vocabulary.Count);
        for (var rank = 0; rank < merges.Count; rank++) _ranks[merges[rank]] = rank;
    }

    public Dictionary<string, int> Vocabulary { get; } = new(StringComparer.Ordinal);

    public List<(string Left, string Right)> Merges { get; }

    /// <summary>Content, special, other flags that are set.</summary>
    public List<(int Id, string Content, bool Special, string[] Flags)> Added { get; } = [];

    /// <summary>Merges learned from a text in the usual way: the commonest pair of neighbours first.</summary>
    public static SmallTokenizer Train(string corpus, int merges)
    {
        var words = corpus.Split(' ').Select(w => Encoding.UTF8.GetBytes(" " + w).Select(b => Spell([b])).ToList()).ToList();
        var learned = new List<(string, string)>();
        for (var i = 0; i < merges; i++)
        {
            var best = words.SelectMany(w => w.Zip(w.Skip(1))).GroupBy(p => p).Where(g => g.Count() > 1)
                .OrderByDescending(g => g.Count()).ThenBy(g => g.Key.First + " " + g.Key.Second, StringComparer.Ordinal).FirstOrDefault();
            if (best is null) break;
            learned.Add(best.Key);
            foreach (var word in words) Join(word, best.Key);
        }
        return new SmallTokenizer(learned);
    }

    /// <summary>Merges in an order no training would give: a join may make a pair that should have been joined before it.</summary>
    public static SmallTokenizer Shuffled(Random random, string alphabet, int merges)
    {
        var tokens = Encoding.UTF8.GetBytes(alphabet).Distinct().Select(b => Spell([b])).ToList();
        var made = new HashSet<(string, string)>();
        while (made.Count < merges)
        {
            var pair = (tokens[random.Next(tokens.Count)], tokens[random.Next(tokens.Count)]);
            if (pair.Item1.Length + pair.Item2.Length > 12 || !made.Add(pair)) continue;
            if (!tokens.Contains(pair.Item1 + pair.Item2)) tokens.Add(pair.Item1 + pair.Item2);
        }
        return new SmallTokenizer([.. made.OrderBy(_ => random.Next())]);
    }

    /// <summary>GPT-2's spelling of bytes: printable ones as themselves, the others from U+0100 on.</summary>
    public static string Spell(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        foreach (var b in bytes)
        {
            if (IsItself(b)) text.Append((char)b);
            else text.Append((char)(0x100 + Enumerable.Range(0, b).Count(other => !IsItself(other))));
        }
        return text.ToString();

        static bool IsItself(int b) => b is >= '!' and <= '~' or >= '¡' and <= '¬' or >= '®' and <= 'ÿ';
    }

    public SmallTokenizer Add(string content, bool special, params string[] flags)
    {
        Added.Add((Vocabulary.Count + Added.Count, content, special, flags));
        return this;
    }

    /// <summary>The ids of one piece by the definition of BPE.</summary>
    public IEnumerable<int> EncodePiece(string piece)
    {
        var word = Encoding.UTF8.GetBytes(piece).Select(b => Spell([b])).ToList();
        while (true)
        {
            var (rank, at) = (int.MaxValue, -1);
            for (var i = 0; i + 1 < word.Count; i++)
                if (_ranks.TryGetValue((word[i], word[i + 1]), out var r) && r < rank) (rank, at) = (r, i);
            if (at < 0) return word.Select(token => Vocabulary[token]);
            word[at] += word[at + 1];
            word.RemoveAt(at + 1);
        }
    }

    public void WriteVocabularyAndMerges(string directory, bool versionLine)
    {
        File.WriteAllText(Path.Combine(directory, "vocab.json"), JsonSerializer.Serialize(Vocabulary, Unescaped));
        var lines = Merges.Select(m => m.Left + " " + m.Right);
        File.WriteAllLines(Path.Combine(directory, "merges.txt"), versionLine ? lines.Prepend("#version: 0.2") : lines);
        var added = new JsonObject();
        foreach (var (id, content, special, flags) in Added) added[$"{id}"] = Describe(content, special, flags);
        File.WriteAllText(Path.Combine(directory, "tokenizer_config.json"),
            new JsonObject { ["tokenizer_class"] = "Qwen2Tokenizer", ["added_tokens_decoder"] = added }.ToJsonString());
    }

    public JsonObject Json(bool pairs)
    {
        var vocabulary = new JsonObject();
        foreach (var (token, id) in Vocabulary) vocabulary[token] = id;
        return new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray([.. Added.Select(JsonNode (t) =>
            {
                var token = Describe(t.Content, t.Special, t.Flags);
                token["id"] = t.Id;
                return token;
            })]),
            ["normalizer"] = new JsonObject { ["type"] = "NFC" },
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = Expression }, ["behavior"] = "Isolated", ["invert"] = false },
                    new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = false, ["use_regex"] = false }),
            },
            ["post_processor"] = new JsonObject { ["type"] = "ByteLevel", ["trim_offsets"] = false },
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["byte_fallback"] = false,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. Merges.Select(JsonNode (m) => pairs ? new JsonArray(m.Left, m.Right) : JsonValue.Create(m.Left + " " + m.Right))]),
            },
        };
    }

    public void WriteJson(string directory, bool pairs, bool escaped = false) =>
        File.WriteAllText(Path.Combine(directory, "tokenizer.json"), Json(pairs).ToJsonString(escaped ? null : Unescaped));

    public QwenServe.Text.Tokenization.Tokenizer Load()
    {
        using var directory = new TemporaryDirectory();
        WriteJson(directory.Path, pairs: false);
        return QwenServe.Text.Tokenization.Tokenizer.Load(directory.Path);
    }

    private static JsonObject Describe(string content, bool special, string[] flags) => new()
    {
        ["content"] = content,
        ["special"] = special,
        ["single_word"] = flags.Contains("single_word"),
        ["lstrip"] = flags.Contains("lstrip"),
        ["rstrip"] = flags.Contains("rstrip"),
        ["normalized"] = flags.Contains("normalized"),
    };

    private static void Join(List<string> word, (string Left, string Right) pair)
    {
        for (var i = 0; i + 1 < word.Count; i++)
        {
            if (word[i] != pair.Left || word[i + 1] != pair.Right) continue;
            word[i] += word[i + 1];
            word.RemoveAt(i + 1);
        }
    }
}
