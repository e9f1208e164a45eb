using QwenServe.Generation;
using QwenServe.Text.Grammar;

namespace QwenServe.Tests.Api;

public class GrammarMaskTests
{
    private static readonly int End = ScriptedModel.Tokenizer.FindAddedToken("<|im_end|>")!.Value;
    private static readonly GrammarVocabulary Vocabulary = new(ScriptedModel.Tokenizer, [End]);

    [Fact]
    public void A_grammar_holds_from_the_end_of_the_reasoning_on()
    {
        var grammar = Grammar.FromChoice(["yes", "no"]);
        // This vocabulary has no token of its own for the end, so it is spelled.
        int[] thought = ScriptedModel.Tokenizer.Encode("Hm < a </thin </ "), end = ScriptedModel.Tokenizer.Encode("</think>"), breaks = ScriptedModel.Tokenizer.Encode("\n\n");
        Assert.True(end.Length > 1);
        var mask = new GrammarMask(Vocabulary.CreateMatcher(grammar), [End], 0, new ReasoningMask(ScriptedModel.Tokenizer));
        foreach (int token in thought.Concat(end))
        {
            Assert.True(Admits(mask, token));
            Assert.False(Admits(mask, End));
            Assert.True(mask.Accept(token));
        }
        // Newlines are the template's, once, and nothing of the grammar's.
        uint[] free = Fill(new GrammarMask(Vocabulary.CreateMatcher(grammar), [End], 0, null));
        uint[] behind = Fill(mask);
        Assert.NotEqual(free, behind);
        foreach (int id in new ReasoningMask(ScriptedModel.Tokenizer).Breaks) behind[id >> 5] &= ~(1u << id);
        Assert.Equal(free, behind);
        Assert.True(mask.Accept(Assert.Single(breaks)));
        Assert.Equal(free, Fill(mask));
        Assert.False(mask.Accept(thought[0]));
    }

    [Fact]
    public void A_token_does_not_end_the_reasoning_and_begin_the_answer()
    {
        var tokenizer = ScriptedModel.Tokenizer;
        var mask = new GrammarMask(Vocabulary.CreateMatcher(Grammar.FromChoice(["yes"])), [End], 0, new ReasoningMask(tokenizer));
        foreach (int token in tokenizer.Encode("</think")) mask.Accept(token);
        int[] ends = [.. Enumerable.Range(0, tokenizer.VocabularySize).Where(id => tokenizer.TokenText(id).StartsWith('>'))];
        Assert.Contains(ends, id => tokenizer.TokenText(id).TrimEnd('\n').Length > 1);
        Assert.All(ends, id => Assert.Equal(tokenizer.TokenText(id).TrimEnd('\n').Length == 1, Admits(mask, id)));
    }

    [Fact]
    public void The_end_is_admitted_after_the_least_tokens_and_before_where_nothing_else_is()
    {
        int a = ScriptedModel.Tokenizer.Encode("a").Single();
        var mask = new GrammarMask(Vocabulary.CreateMatcher(Grammar.FromRegex("a{0,3}")), [End], 2, null);
        Assert.False(Admits(mask, End));
        mask.Accept(a);
        Assert.False(Admits(mask, End));
        mask.Accept(a);
        Assert.True(Admits(mask, End));
        var shorter = new GrammarMask(Vocabulary.CreateMatcher(Grammar.FromRegex("a")), [End], 2, null);
        Assert.True(shorter.Accept(a));
        Assert.True(Admits(shorter, End));
    }

    [Fact]
    public void Nothing_is_forced_before_the_reasoning_has_ended_and_the_answer_begun()
    {
        var tokenizer = ScriptedModel.Tokenizer;
        const string text = "A long answer that is the only one there is.";
        int[] all = tokenizer.Encode(text);
        var mask = new GrammarMask(Vocabulary.CreateMatcher(Grammar.FromChoice([text])), [End], 0, new ReasoningMask(tokenizer), jumps: true);
        Assert.Empty(mask.Jump(100));
        foreach (int token in tokenizer.Encode("Hm.</think>")) mask.Accept(token);
        Assert.Empty(mask.Jump(100));
        Assert.True(mask.Accept(all[0]));
        Assert.Equal(all[1..], mask.Jump(100));
        Assert.True(Admits(mask, End));
    }

    private static uint[] Fill(GrammarMask mask)
    {
        uint[] words = [.. Enumerable.Repeat(uint.MaxValue, (ScriptedModel.Tokenizer.VocabularySize + 31) / 32)];
        mask.Fill(words);
        return words;
    }

    private static bool Admits(GrammarMask mask, int id) => (Fill(mask)[id >> 5] >> (id & 31) & 1) != 0;
}
