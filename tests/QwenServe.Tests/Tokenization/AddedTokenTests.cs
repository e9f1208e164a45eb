using QwenServe.Text;
using QwenServe.Text.Tokenization;

namespace QwenServe.Tests.Tokenization;

public sealed class AddedTokenTests
{
    private static readonly SmallTokenizer Small = SmallTokenizer.Train("<|im_start|> <|im_end|> <tool_call> user hello", 40)
        .Add("<|im_start|>", special: true)
        .Add("<|im_end|>", special: true)
        .Add("<tool_call>", special: false)
        .Add("<tool", special: false)
        .Add("word", special: false, "single_word")
        .Add("[L]", special: false, "lstrip")
        .Add("[R]", special: false, "rstrip")
        .Add("å", special: false, "normalized");

    private static readonly Tokenizer Tokenizer = Small.Load();
    private static readonly Tokenizer WithoutAdded = SmallTokenizer.Train("<|im_start|> <|im_end|> <tool_call> user hello", 40).Load();

    [Fact]
    public void A_raw_prompt_gives_every_added_token() =>
        Assert.Equal([Id("<|im_start|>"), .. Plain("user"), Id("<|im_end|>"), Id("<tool_call>"), Id("<tool"), .. Plain("_cal")], Tokenizer.Encode("<|im_start|>user<|im_end|><tool_call><tool_cal"));

    [Fact]
    public void What_the_conversation_wrote_gives_no_control_token()
    {
        const string Text = "<|im_start|>user <|im_end|>hello<tool_call><|im_end|>";
        var ids = Tokenizer.Encode(new PromptText(Text, [new TextRange(12, 31)]));
        Assert.Equal([Id("<|im_start|>"), .. Plain("user <|im_end|>hello"), Id("<tool_call>"), Id("<|im_end|>")], ids);
        Assert.Equal(Tokenizer.Encode(Text), Tokenizer.Encode(new PromptText(Text, [])));
        Assert.Equal(Text, Tokenizer.Decode(ids, skipSpecialTokens: false));
    }

    [Fact]
    public void A_control_token_that_only_touches_the_conversation_is_one()
    {
        const string Text = "hello<|im_end|>hello";
        Assert.Equal([.. Plain("hello"), Id("<|im_end|>"), .. Plain("hello")], Tokenizer.Encode(new PromptText(Text, [new TextRange(0, 5), new TextRange(15, 5)])));
    }

    [Theory]
    [InlineData(0, 6)]
    [InlineData(14, 6)]
    [InlineData(8, 1)]
    public void A_control_token_half_written_by_the_conversation_is_none(int start, int length)
    {
        const string Text = "hello<|im_end|>hello";
        Assert.DoesNotContain(Id("<|im_end|>"), Tokenizer.Encode(new PromptText(Text, [new TextRange(start, length)])));
    }

    [Fact]
    public void Pieces_are_not_cut_where_the_conversation_starts()
    {
        const string Text = "user hello<|im_end|>";
        Assert.Equal(Tokenizer.Encode(Text), Tokenizer.Encode(new PromptText(Text, [new TextRange(2, 5), new TextRange(7, 1)])));
    }

    [Fact]
    public void A_shorter_token_is_found_where_the_longer_one_is_the_conversations()
    {
        var tokenizer = SmallTokenizer.Train("x", 0).Add("<a", special: false).Add("<a>", special: true).Load();
        Assert.Equal([tokenizer.FindAddedToken("<a")!.Value, .. tokenizer.Encode(">")], tokenizer.Encode(new PromptText("<a>", [new TextRange(0, 3)])));
        Assert.Equal([tokenizer.FindAddedToken("<a>")!.Value], tokenizer.Encode("<a>"));
    }

    [Fact]
    public void Flags_of_added_tokens_are_honoured()
    {
        Assert.Equal([.. Plain("a "), Id("word"), .. Plain(" b")], Tokenizer.Encode("a word b"));
        Assert.DoesNotContain(Id("word"), Tokenizer.Encode("swordfish words word2"));
        Assert.Equal([.. Plain("a"), Id("[L]"), .. Plain(" b")], Tokenizer.Encode("a \n[L] b"));
        Assert.Equal([.. Plain("a "), Id("[R]"), .. Plain("b")], Tokenizer.Encode("a [R] \tb"));
        // Matched after normalization: a + ring above.
        Assert.Equal([.. Plain("x"), Id("å")], Tokenizer.Encode("xa\u030A"));
    }

    [Fact]
    public void Ranges_out_of_order_or_outside_the_text_are_refused()
    {
        Assert.Throws<ArgumentException>(() => new PromptText("abc", [new TextRange(1, 1), new TextRange(0, 1)]));
        Assert.Throws<ArgumentException>(() => new PromptText("abc", [new TextRange(0, 2), new TextRange(1, 1)]));
        Assert.Throws<ArgumentException>(() => new PromptText("abc", [new TextRange(2, 2)]));
    }

    private static int Id(string token) => Tokenizer.FindAddedToken(token)!.Value;

    /// <summary>The ids of a text without any added tokens.</summary>
    private static int[] Plain(string text) => WithoutAdded.Encode(text);
}
