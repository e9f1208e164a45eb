using System.Text;
using QwenServe.Text.Tokenization;

namespace QwenServe.Tests.Tokenization;

public sealed class BytePairTests
{
    private const string Corpus =
        "the cat sat on the mat and the other cats sat there too while the hats that the cats had were on the other mats " +
        "中文的文字是中文的 文字的中文 的文字 文字文字 的的的 🤗🤗🤗 🤗🤗 🤗👍 👍👍 strawberries berries straw aaaa aaaaaaaa aaaa aaaaaaaaaaaa";

    [Fact]
    public void Merges_as_the_definition_says()
    {
        var small = SmallTokenizer.Train(Corpus, 200);
        var tokenizer = small.Load();
        var random = new Random(3);
        string[] parts = ["the", "cat", "s", "on", "mat", "中", "文", "字", "的", "🤗", "👍", "straw", "berries", "a", "aa", "q", "é", "中文"];
        for (var i = 0; i < 5_000; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(1, 40)).Select(_ => parts[random.Next(parts.Length)]));
            Assert.Equal(Reference(small, text), tokenizer.Encode(text));
        }
    }

    [Fact]
    public void Long_pieces_merge_as_short_ones_do()
    {
        var small = SmallTokenizer.Train(Corpus, 200);
        var tokenizer = small.Load();
        var random = new Random(4);
        foreach (var alphabet in new[] { "a", "aq", "thecatson", "中文字的a" })
        {
            foreach (var length in new[] { 255, 256, 257, 258, 700, 2_000 })
            {
                var text = string.Concat(Enumerable.Range(0, length).Select(_ => alphabet[random.Next(alphabet.Length)]));
                Assert.Equal(small.EncodePiece(text), tokenizer.Encode(text));
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Merges_in_any_order_of_ranks(int seed)
    {
        // A join can make a pair of lower rank than its own: that pair is next, wherever it stands.
        var random = new Random(seed);
        const string Alphabet = "abc的";
        var small = SmallTokenizer.Shuffled(random, Alphabet, 300);
        var tokenizer = small.Load();
        for (var i = 0; i < 1_000; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(1, i % 100 == 0 ? 900 : 40)).Select(_ => Alphabet[random.Next(Alphabet.Length)]));
            Assert.Equal(small.EncodePiece(text), tokenizer.Encode(text));
        }
    }

    [Fact]
    public void Many_threads_get_the_ids_one_thread_gets()
    {
        var tokenizer = SmallTokenizer.Train(Corpus, 200).Load();
        var random = new Random(5);
        var texts = Enumerable.Range(0, 2_000).Select(_ => RandomText.Next(random, 12)).ToArray();
        var alone = texts.Select(tokenizer.Encode).ToArray();
        var shared = SmallTokenizer.Train(Corpus, 200).Load();
        Parallel.For(0, 4, _ =>
        {
            for (var i = 0; i < texts.Length; i++) Assert.Equal(alone[i], shared.Encode(texts[i]));
        });
    }

    [Fact]
    public void Encoding_into_a_buffer_appends_the_same_ids()
    {
        var tokenizer = SmallTokenizer.Train(Corpus, 200).Load();
        const string Text = "the cat's 中文字 sat on 12 mats 🤗! \n";
        var output = new System.Buffers.ArrayBufferWriter<int>();
        var first = tokenizer.Encode(Text, output);
        tokenizer.Encode("straw", output);
        Assert.Equal(tokenizer.Encode(Text), output.WrittenSpan[..first].ToArray());
        Assert.Equal(tokenizer.Encode("straw"), output.WrittenSpan[first..].ToArray());
    }

    [Fact]
    public void Ten_megabytes_of_one_letter_are_one_piece()
    {
        var small = SmallTokenizer.Train(Corpus, 200);
        var longest = small.Vocabulary.Keys.Where(t => t.All(c => c == 'a')).MaxBy(t => t.Length)!;
        Assert.True(longest.Length >= 4);
        var count = 10_000_000 / longest.Length;
        var ids = small.Load().Encode(new string('a', count * longest.Length));
        Assert.Equal(count, ids.Length);
        Assert.All(ids, id => Assert.Equal(small.Vocabulary[longest], id));
    }

    [Fact]
    public void A_megabyte_of_white_space_is_one_piece_but_for_the_last_before_a_word()
    {
        var small = SmallTokenizer.Train("  ", 0);
        var tokenizer = small.Load();
        var space = small.Vocabulary[SmallTokenizer.Spell(" "u8)];
        Assert.Equal(Enumerable.Repeat(space, 1_000_000).Append('x' - '!' + small.Vocabulary["!"]), tokenizer.Encode(new string(' ', 1_000_000) + "x"));
        var mixed = string.Concat(Enumerable.Repeat(" \n", 500_000)) + "x";
        Assert.Equal(Encoding.UTF8.GetBytes(mixed).Select(b => small.Vocabulary[SmallTokenizer.Spell([b])]), tokenizer.Encode(mixed));
    }

    [Fact]
    public void Lone_surrogates_become_replacement_characters()
    {
        var tokenizer = SmallTokenizer.Train(Corpus, 50).Load();
        var random = new Random(6);
        for (var i = 0; i < 3_000; i++)
        {
            var text = RandomText.Next(random, 10, loneSurrogates: true);
            var replaced = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
            Assert.Equal(tokenizer.Encode(replaced), tokenizer.Encode(text));
        }
        Assert.Equal("a\uFFFDb\0", tokenizer.Decode(tokenizer.Encode("a\uD800b\0"), false));
    }

    private static IEnumerable<int> Reference(SmallTokenizer small, string text) =>
        System.Text.RegularExpressions.Regex.Matches(text.Replace("🤗", "\uE000", StringComparison.Ordinal).Replace("👍", "\uE001", StringComparison.Ordinal), SmallTokenizer.Expression)
            .SelectMany(m => small.EncodePiece(m.Value.Replace("\uE000", "🤗", StringComparison.Ordinal).Replace("\uE001", "👍", StringComparison.Ordinal)));
}
