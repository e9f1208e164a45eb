using System.Text;
using QwenServe.Text.Tokenization;

namespace QwenServe.Tests.Tokenization;

public sealed class DetokenizerTests
{
    private static readonly SmallTokenizer Small = SmallTokenizer.Train("中文字 的文字 中文 🤗🤗 🤗👍 é à", 60).Add("<|end|>", special: true).Add("<tool>", special: false);
    private static readonly Tokenizer Tokenizer = Small.Load();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Parts_of_any_sequence_join_to_the_whole(bool skipSpecialTokens)
    {
        var random = new Random(7);
        for (var i = 0; i < 20_000; i++)
        {
            // Single bytes are as likely as whole tokens, so characters break in every way.
            var ids = Enumerable.Range(0, random.Next(1, 12)).Select(_ => random.Next(2) == 0 ? random.Next(128, 256) : random.Next(-1, Tokenizer.VocabularySize + 2)).ToArray();
            var detokenizer = Tokenizer.CreateDetokenizer(skipSpecialTokens);
            List<string> parts = [.. ids.Select(detokenizer.Push)];
            parts.Add(detokenizer.Flush());
            var bytes = ids.Where(id => !(skipSpecialTokens && Tokenizer.IsSpecial(id))).SelectMany(id => Tokenizer.TokenBytes(id).ToArray()).ToArray();
            Assert.Equal(ReplaceErrors(bytes), string.Concat(parts));
            Assert.Equal(Tokenizer.Decode(ids, skipSpecialTokens), string.Concat(parts));
            Assert.All(parts, part => Assert.Equal(part, new string(part.EnumerateRunes().SelectMany(r => r.ToString()).ToArray())));
        }
    }

    [Fact]
    public void Holds_back_half_a_character()
    {
        var ids = Encoding.UTF8.GetBytes("x🤗").Select(b => Small.Vocabulary[SmallTokenizer.Spell([b])]).ToArray();
        var detokenizer = Tokenizer.CreateDetokenizer();
        Assert.Equal(["x", "", "", "", "🤗"], ids.Select(detokenizer.Push));
        Assert.Equal("", detokenizer.Flush());
        Assert.Equal(["x", "", ""], ids[..3].Select(detokenizer.Push));
        Assert.Equal("\uFFFD", detokenizer.Flush());
        Assert.Equal("x", detokenizer.Push(ids[0]));
    }

    [Fact]
    public void Skips_control_tokens_only()
    {
        int[] ids = [.. Tokenizer.Encode("a<tool>b<|end|>")];
        Assert.Equal("a<tool>b", Tokenizer.Decode(ids, skipSpecialTokens: true));
        Assert.Equal("a<tool>b<|end|>", Tokenizer.Decode(ids, skipSpecialTokens: false));
    }

    [Fact]
    public void A_byte_order_mark_is_text()
    {
        Assert.Equal("\uFEFFa\uFEFF", Tokenizer.Decode(Tokenizer.Encode("\uFEFFa\uFEFF"), false));
    }

    /// <summary>Python's <c>bytes.decode("utf-8", errors="replace")</c>, from the table of well-formed sequences (Unicode 3-7).</summary>
    private static string ReplaceErrors(byte[] bytes)
    {
        var text = new StringBuilder();
        for (var i = 0; i < bytes.Length;)
        {
            var (length, low, high) = bytes[i] switch
            {
                < 0x80 => (1, 0, 0),
                >= 0xC2 and <= 0xDF => (2, 0x80, 0xBF),
                0xE0 => (3, 0xA0, 0xBF),
                0xED => (3, 0x80, 0x9F),
                >= 0xE1 and <= 0xEF => (3, 0x80, 0xBF),
                0xF0 => (4, 0x90, 0xBF),
                >= 0xF1 and <= 0xF3 => (4, 0x80, 0xBF),
                0xF4 => (4, 0x80, 0x8F),
                _ => (0, 0, 0),
            };
            var good = Math.Min(length, 1);
            while (good > 0 && good < length && i + good < bytes.Length && bytes[i + good] >= low && bytes[i + good] <= high)
            {
                good++;
                (low, high) = (0x80, 0xBF);
            }
            if (length == 0 || good < length)
            {
                text.Append('\uFFFD');
                i += Math.Max(good, 1);
                continue;
            }
            var codePoint = length == 1 ? bytes[i] : bytes[i] & (0x7F >> length);
            for (var k = 1; k < length; k++) codePoint = (codePoint << 6) | (bytes[i + k] & 0x3F);
            text.Append(new Rune(codePoint).ToString());
            i += length;
        }
        return text.ToString();
    }
}
