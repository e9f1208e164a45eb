namespace QwenServe.Text.Tokenization;

/// <summary>A token matched in the text before anything else happens to it, with the flags of <c>tokenizers</c>' AddedToken.</summary>
/// <param name="Id">The token.</param>
/// <param name="Content">What is matched.</param>
/// <param name="Special">A control token: left out of decoded text, never matched in what a conversation wrote.</param>
/// <param name="SingleWord">Matched only where no word character touches it.</param>
/// <param name="LeftStrip">Takes the white space before it along.</param>
/// <param name="RightStrip">Takes the white space after it along.</param>
/// <param name="Normalized">Matched after normalization rather than before.</param>
internal sealed record AddedToken(int Id, string Content, bool Special, bool SingleWord, bool LeftStrip, bool RightStrip, bool Normalized);
