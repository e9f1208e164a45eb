using System.Text.Json;
using QwenServe.Engine;
using QwenServe.Generation;
using QwenServe.Text.Tokenization;

namespace QwenServe.OpenAI.Wire;

/// <summary>
/// The log-probs of a text completion: parallel arrays of tokens, their log-probs, the most probable at each place, and where each token begins in
/// the text, in characters (code points, as Python counts them).
/// </summary>
internal sealed class CompletionLogProbs
{
    private readonly List<(int Token, float? LogProb, IReadOnlyList<TokenLogProb> Top, int Offset)> _tokens = [];

    /// <summary>Where the next token begins.</summary>
    public int Offset { get; set; }

    public void Add(int token, float? logProb, IReadOnlyList<TokenLogProb> top, Tokenizer tokenizer)
    {
        _tokens.Add((token, logProb, top, Offset));
        foreach (byte b in tokenizer.TokenBytes(token))
            // Each code point has one byte that is no continuation.
            if ((b & 0xC0) != 0x80) Offset++;
    }

    public void Add(List<TokenRecord> tokens, Tokenizer tokenizer)
    {
        foreach (var token in tokens) Add(token.Token, token.LogProb, token.Top, tokenizer);
    }

    /// <summary>Forgets what has been written and keeps the offset, for the next chunk.</summary>
    public void Clear() => _tokens.Clear();

    public void Write(Utf8JsonWriter json, Tokenizer tokenizer)
    {
        json.WriteStartObject("logprobs"u8);
        json.WriteStartArray("tokens"u8);
        foreach (var token in _tokens) json.WriteStringValue(AnswerWriter.TokenText(tokenizer, token.Token));
        json.WriteEndArray();
        json.WriteStartArray("token_logprobs"u8);
        foreach (var token in _tokens)
        {
            if (token.LogProb is { } value) json.WriteNumberValue(AnswerWriter.Finite(value));
            else json.WriteNullValue();
        }
        json.WriteEndArray();
        json.WriteStartArray("top_logprobs"u8);
        foreach (var token in _tokens)
        {
            if (token.LogProb is null)
            {
                json.WriteNullValue();
                continue;
            }
            json.WriteStartObject();
            bool inTop = false;
            foreach (var top in token.Top)
            {
                json.WriteNumber(AnswerWriter.TokenText(tokenizer, top.Token), AnswerWriter.Finite(top.LogProb));
                inTop |= top.Token == token.Token;
            }
            // The drawn token is always among them.
            if (!inTop) json.WriteNumber(AnswerWriter.TokenText(tokenizer, token.Token), AnswerWriter.Finite(token.LogProb.Value));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("text_offset"u8);
        foreach (var token in _tokens) json.WriteNumberValue(token.Offset);
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
