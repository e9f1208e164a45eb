using System.Numerics;
using System.Text;
using QwenServe.Text.Grammar;
using QwenServe.Text.Tokenization;

namespace QwenServe.Tests.Grammars;

/// <summary>A vocabulary for grammar tests: texts as tokens in several ways, and answers drawn at random under the masks.</summary>
internal sealed class GrammarTokens
{
    private readonly Dictionary<byte, int> _byteTokens = [];
    private readonly Dictionary<string, int> _tokens = new(StringComparer.Ordinal);
    private readonly uint[] _mask;

    private GrammarTokens(Tokenizer tokenizer)
    {
        Tokenizer = tokenizer;
        End = tokenizer.FindAddedToken("<|im_end|>")!.Value;
        Vocabulary = new GrammarVocabulary(tokenizer, [End]);
        for (var id = 0; id < tokenizer.VocabularySize; id++)
        {
            if (!tokenizer.HasToken(id) || tokenizer.IsSpecial(id)) continue;
            var bytes = tokenizer.TokenBytes(id);
            if (bytes.Length == 1) _byteTokens[bytes[0]] = id;
            _tokens.TryAdd(Encoding.Latin1.GetString(bytes), id);
        }
        _mask = new uint[(tokenizer.VocabularySize + 31) / 32 + 3];
    }

    /// <summary>The embedded model's vocabulary.</summary>
    public static GrammarTokens Small { get; } = new(Tokenizer.Load(Path.Combine(Repository.Root, "src", "EmbeddedModel")));

    /// <summary>Qwen2.5's vocabulary.</summary>
    public static GrammarTokens Qwen => Lazily.Value;

    private static readonly Lazy<GrammarTokens> Lazily = new(() => new(Tokenizer.Load(Path.Combine(Repository.Shared!, "data", "qwen2.5-tokenizer"))));

    public Tokenizer Tokenizer { get; }

    public GrammarVocabulary Vocabulary { get; }

    public int End { get; }

    /// <summary>A text as its bytes, as the tokenizer cuts it, and cut at random.</summary>
    public IEnumerable<int[]> Tokenizations(string text, Random random)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        yield return Array.ConvertAll(bytes, b => _byteTokens[b]);
        yield return Tokenizer.Encode(text);
        var ids = new List<int>();
        for (var at = 0; at < bytes.Length;)
        {
            var length = Math.Min(bytes.Length - at, random.Next(1, 9));
            int id;
            while (!_tokens.TryGetValue(Encoding.Latin1.GetString(bytes, at, length), out id)) length--;
            ids.Add(id);
            at += length;
        }
        yield return [.. ids];
    }

    /// <summary>Whether tokens are accepted one by one, each under a mask that has it, and the text may end behind them.</summary>
    public bool Accepts(Grammar grammar, int[] ids)
    {
        var matcher = Vocabulary.CreateMatcher(grammar);
        foreach (var id in ids)
        {
            matcher.Fill(_mask);
            var admitted = IsAdmitted(id);
            Assert.Equal(admitted, matcher.Accept(id));
            if (!admitted) return false;
        }
        matcher.Fill(_mask);
        Assert.Equal(matcher.CanEnd, IsAdmitted(End));
        return matcher.CanEnd;
    }

    public bool Accepts(Grammar grammar, string text) => Accepts(grammar, Tokenizer.Encode(text));

    /// <summary>An answer of random tokens, or null when it has not ended after so many; from the 200th on it hurries to an end.</summary>
    public string? Answer(Grammar grammar, Random random, int limit)
    {
        var matcher = Vocabulary.CreateMatcher(grammar);
        var bytes = new List<byte>();
        var admitted = new List<int>();
        for (var step = 0; step < limit; step++)
        {
            matcher.Fill(_mask);
            admitted.Clear();
            for (var w = 0; w < _mask.Length; w++)
                for (var bits = _mask[w]; bits != 0; bits &= bits - 1) admitted.Add((w * 32) + BitOperations.TrailingZeroCount(bits));
            Assert.NotEmpty(admitted);
            if (matcher.MustEnd) Assert.Equal([End], admitted);
            var id = admitted[random.Next(admitted.Count)];
            if (random.Next(3) == 0)
            {
                // A model closes its strings now and then; a uniform draw from a large vocabulary hardly does.
                foreach (var close in "\"}]"u8)
                    if (IsAdmitted(_byteTokens[close])) id = _byteTokens[close];
            }
            if (step > 200 && IsAdmitted(End)) id = End;
            if (id == End) return Encoding.UTF8.GetString([.. bytes]);
            Assert.False(Tokenizer.IsSpecial(id), $"control token {id} is admitted");
            Assert.True(matcher.Accept(id), $"token {id} is in the mask and not accepted");
            bytes.AddRange(Tokenizer.TokenBytes(id));
        }
        return null;
    }

    /// <summary>Whether the mask says of every token what accepting it says.</summary>
    public void MaskIsExact(Grammar grammar, int[] prefix)
    {
        for (var length = 0; length <= prefix.Length; length++)
        {
            var matcher = Vocabulary.CreateMatcher(grammar);
            foreach (var id in prefix.AsSpan(0, length)) Assert.True(matcher.Accept(id));
            matcher.Fill(_mask);
            for (var id = 0; id < Tokenizer.VocabularySize; id++)
            {
                var probe = Vocabulary.CreateMatcher(grammar);
                foreach (var before in prefix.AsSpan(0, length)) probe.Accept(before);
                Assert.True(IsAdmitted(id) == probe.Accept(id), $"token {id} ('{Tokenizer.TokenText(id)}') behind '{Tokenizer.Decode(prefix.AsSpan(0, length), false)}'");
            }
        }
    }

    private bool IsAdmitted(int id) => (_mask[id >> 5] >> id & 1) != 0;
}
