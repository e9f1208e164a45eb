using QwenServe.Engine;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;
using QwenServe.Text.Grammar;
using QwenServe.Text.Output;
using QwenServe.Text.Tokenization;

namespace QwenServe.Generation;

/// <summary>
/// A grammar as the engine sees it. It also keeps <c>min_tokens</c>, which has to give way where the grammar ends sooner, and lets the model
/// think first: a grammar holds from the end of the reasoning on.
/// </summary>
internal sealed class GrammarMask : ITokenMask
{
    private const string ReasoningEnd = "</think>";

    private readonly GrammarMatcher _matcher;
    private readonly int[] _stops;
    private readonly int _minTokens;
    private readonly int _reasoningEnd;
    private readonly uint[]? _reasoning;
    private int _tokens;
    private bool _reasons;

    /// <param name="matcher">At the grammar's start.</param>
    /// <param name="stops">The ids that are not drawn before <paramref name="minTokens"/>, unless the grammar admits nothing else.</param>
    /// <param name="minTokens">Tokens before a choice may end.</param>
    /// <param name="reasoning">The ids admitted in the reasoning and the id that ends it; null when the output does not begin in one.</param>
    public GrammarMask(GrammarMatcher matcher, int[] stops, int minTokens, (uint[] Mask, int End)? reasoning)
    {
        _matcher = matcher;
        _stops = stops;
        _minTokens = minTokens;
        _reasons = reasoning is not null;
        _reasoning = reasoning?.Mask;
        _reasoningEnd = reasoning?.End ?? -1;
    }

    /// <summary>How the masks of a request's choices are made; null without a grammar.</summary>
    /// <param name="model">Its vocabulary is waited for if it has just been loaded.</param>
    /// <param name="options">The grammar and the sampling.</param>
    /// <param name="reasoning">Whether the prompt ends inside the model's reasoning.</param>
    /// <param name="cancel">Ends waiting.</param>
    /// <exception cref="ApiException">The model cannot end an answer.</exception>
    public static async ValueTask<Func<int, ITokenMask>?> FactoryAsync(ServedModel model, GenerationOptions options, ReasoningMode reasoning, CancellationToken cancel)
    {
        if (options.Grammar is not { } grammar) return null;
        var vocabulary = await model.GrammarVocabulary.WaitAsync(cancel).ConfigureAwait(false);
        if (vocabulary.EndIds.Count == 0) throw new ApiException(400, $"The model `{model.Name}` has no end token, so its answers cannot be held to a format.", null, "unsupported_parameter");
        int[] stops = [.. vocabulary.EndIds.Union(options.Sampling.StopTokenIds)];
        var thinking = reasoning == ReasoningMode.Off ? null : Reasoning(model.Tokenizer);
        return _ => new GrammarMask(vocabulary.CreateMatcher(grammar), stops, options.Sampling.MinTokens, thinking);
    }

    public void Fill(Span<uint> mask)
    {
        if (_reasons)
        {
            _reasoning.CopyTo(mask);
            mask[_reasoning!.Length..].Clear();
            return;
        }
        _matcher.Fill(mask);
        if (_tokens >= _minTokens) return;
        foreach (int id in _stops) mask[id >> 5] &= ~(1u << id);
        if (!mask.ContainsAnyExcept(0u)) _matcher.Fill(mask);
    }

    public bool Accept(int token)
    {
        _tokens++;
        if (!_reasons) return _matcher.Accept(token);
        _reasons = token != _reasoningEnd;
        return true;
    }

    /// <summary>All text and the end of the reasoning, but no end of the answer. A tokenizer that spells the end in several tokens has no such mask.</summary>
    private static (uint[] Mask, int End)? Reasoning(Tokenizer tokenizer)
    {
        if (tokenizer.FindAddedToken(ReasoningEnd) is not { } end) return null;
        var mask = new uint[(tokenizer.VocabularySize + 31) / 32];
        for (int id = 0; id < tokenizer.VocabularySize; id++)
            if (id == end || (tokenizer.HasToken(id) && !tokenizer.IsSpecial(id))) mask[id >> 5] |= 1u << id;
        return (mask, end);
    }
}
