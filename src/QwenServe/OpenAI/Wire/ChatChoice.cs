using QwenServe.Generation;
using QwenServe.Text.Output;

namespace QwenServe.OpenAI.Wire;

/// <summary>One choice of an answer that is sent whole.</summary>
internal sealed class ChatChoice(string? prefix)
{
    public string? Prefix { get; } = prefix;

    public AssembledMessage Message { get; } = new();

    public List<TokenRecord> Tokens { get; } = [];

    public OutputFinish Finish { get; private set; }

    public void Add(ChoiceDelta delta)
    {
        Message.Add(delta.Output);
        Tokens.AddRange(delta.Tokens);
        if (delta.Finish is { } finish) Finish = finish;
    }
}
