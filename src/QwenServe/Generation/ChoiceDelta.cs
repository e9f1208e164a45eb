using QwenServe.Engine;
using QwenServe.Text.Output;

namespace QwenServe.Generation;

/// <summary>What one read of a generation brought for one choice. Reused: valid until the next read.</summary>
internal sealed class ChoiceDelta
{
    /// <summary>0 .. n-1.</summary>
    public int Choice { get; set; }

    /// <summary>What the message gained.</summary>
    public List<OutputDelta> Output { get; } = [];

    /// <summary>The tokens whose text is in what has been given out so far, when log-probs were asked for.</summary>
    public List<TokenRecord> Tokens { get; } = [];

    /// <summary>Set with the last delta of a choice.</summary>
    public OutputFinish? Finish { get; set; }

    /// <summary>The stop string that ended the choice, or null.</summary>
    public string? StopString { get; set; }

    public void Clear(int choice)
    {
        Choice = choice;
        Output.Clear();
        Tokens.Clear();
        Finish = null;
        StopString = null;
    }
}

/// <summary>A generated token with its log-probs.</summary>
internal readonly record struct TokenRecord(int Token, float LogProb, IReadOnlyList<TokenLogProb> Top)
{
    /// <summary>Where in <see cref="ChoiceDelta.Output"/> the token's text ends; -1 when it has none there.</summary>
    public int Output { get; init; } = -1;
}
