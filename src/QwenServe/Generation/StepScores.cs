using QwenServe.Text;

namespace QwenServe.Generation;

/// <summary>What is particular to process reward models: the token that ends a step, and what the two classes read there mean.</summary>
internal static class StepScores
{
    /// <summary>Written after each step of an answer by whoever asks for scores (model card of Qwen2.5-Math-PRM-7B).</summary>
    public const string Token = "<extra_0>";

    /// <summary>
    /// The same prompt with the step token left to the tokenizer: it is a control token that, unlike all others, comes from the
    /// conversation.
    /// </summary>
    public static PromptText Admit(PromptText prompt)
    {
        var ranges = new List<TextRange>();
        foreach (var range in prompt.FromConversation)
        {
            int start = range.Start;
            while (prompt.Text.IndexOf(Token, start, range.End - start, StringComparison.Ordinal) is >= 0 and var at)
            {
                if (at > start) ranges.Add(new TextRange(start, at - start));
                start = at + Token.Length;
            }
            if (range.End > start || range.Length == 0) ranges.Add(new TextRange(start, range.End - start));
        }
        return new PromptText(prompt.Text, ranges);
    }

    /// <summary>Softmax over the two classes: that the step is wrong, that it is right.</summary>
    public static float[] Probabilities(float[] logits)
    {
        double largest = logits.Max(), sum = logits.Sum(l => Math.Exp(l - largest));
        return [.. logits.Select(l => (float)(Math.Exp(l - largest) / sum))];
    }
}
