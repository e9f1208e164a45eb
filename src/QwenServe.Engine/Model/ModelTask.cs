namespace QwenServe.Engine.Model;

/// <summary>What a checkpoint was trained to answer. All of them give hidden states too.</summary>
public enum ModelTask
{
    /// <summary>Text.</summary>
    Generate,

    /// <summary>Hidden states only: it has no head.</summary>
    Embed,

    /// <summary>One score for a conversation, read at its last token.</summary>
    Reward,

    /// <summary>The probability that a step of an answer is right, read at the token that ends the step.</summary>
    ProcessReward,

    /// <summary>Logits of labels, read at the last token.</summary>
    Classify,
}
