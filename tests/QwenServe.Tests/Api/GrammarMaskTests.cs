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
        int thought = ScriptedModel.Tokenizer.Encode("Hm")[0];
        const int reasoningEnd = 40;
        uint[] reasoning = new uint[2];
        reasoning[1] = 1u << (reasoningEnd - 32);
        var mask = new GrammarMask(Vocabulary.CreateMatcher(grammar), [End], 0, (reasoning, reasoningEnd));
        uint[] first = Fill(mask);
        Assert.Equal(reasoning, first[..2]);
        Assert.All(first[2..], word => Assert.Equal(0u, word));
        Assert.True(mask.Accept(thought));
        Assert.Equal(first, Fill(mask));
        Assert.True(mask.Accept(reasoningEnd));
        Assert.Equal(Fill(new GrammarMask(Vocabulary.CreateMatcher(grammar), [End], 0, null)), Fill(mask));
        Assert.False(mask.Accept(thought));
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

    private static uint[] Fill(GrammarMask mask)
    {
        uint[] words = [.. Enumerable.Repeat(uint.MaxValue, (ScriptedModel.Tokenizer.VocabularySize + 31) / 32)];
        mask.Fill(words);
        return words;
    }

    private static bool Admits(GrammarMask mask, int id) => (Fill(mask)[id >> 5] >> (id & 31) & 1) != 0;
}
