using QwenServe.Engine;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;
using QwenServe.Text.Grammar;
using QwenServe.Text.Output;

namespace QwenServe.Generation;

/// <summary>
/// A grammar as the engine sees it. It also keeps <c>min_tokens</c>, which has to give way where the grammar ends sooner, and lets the model
/// think first: a grammar holds from the end of the reasoning on.
/// </summary>
internal sealed class GrammarMask : ITokenMask
{
    private readonly GrammarMatcher _matcher;
    private readonly int[] _stops;
    private readonly int _minTokens;
    private readonly ReasoningMask? _reasoning;
    private readonly bool _jumps;
    private int _tokens;
    private int _place;         // in the reasoning
    private bool _mayBreak;     // directly behind it

    /// <param name="matcher">At the grammar's start.</param>
    /// <param name="stops">The ids that are not drawn before <paramref name="minTokens"/>, unless the grammar admits nothing else.</param>
    /// <param name="minTokens">Tokens before a choice may end.</param>
    /// <param name="reasoning">What may come in the reasoning; null when the output does not begin in one.</param>
    /// <param name="jumps">Whether what the grammar forces may come without being drawn.</param>
    public GrammarMask(GrammarMatcher matcher, int[] stops, int minTokens, ReasoningMask? reasoning, bool jumps = false)
    {
        _jumps = jumps;
        _matcher = matcher;
        _stops = stops;
        _minTokens = minTokens;
        _reasoning = reasoning;
        _place = reasoning is null ? ReasoningMask.Ended : 0;
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
        var thinking = reasoning == ReasoningMode.Off ? null : model.ReasoningMask;
        // An id that ends the answer is text to the grammar; it is left to be drawn.
        bool jumps = options.Sampling.StopTokenIds.Count == 0;
        return _ => new GrammarMask(vocabulary.CreateMatcher(grammar), stops, options.Sampling.MinTokens, thinking, jumps);
    }

    public void Fill(Span<uint> mask)
    {
        if (_place != ReasoningMask.Ended)
        {
            _reasoning!.Fill(mask, _place);
            return;
        }
        _matcher.Fill(mask);
        if (_tokens < _minTokens)
        {
            foreach (int id in _stops) mask[id >> 5] &= ~(1u << id);
            if (!mask.ContainsAnyExcept(0u)) _matcher.Fill(mask);
        }
        if (!_mayBreak) return;
        foreach (int id in _reasoning!.Breaks) mask[id >> 5] |= 1u << id;
    }

    public bool Accept(int token)
    {
        _tokens++;
        if (_place != ReasoningMask.Ended)
        {
            _place = _reasoning!.Accept(token, _place);
            _mayBreak = _place == ReasoningMask.Ended;
            return true;
        }
        bool isBreak = _mayBreak && _reasoning!.Breaks.Contains(token);
        _mayBreak = false;
        return _matcher.Accept(token) || isBreak;
    }

    public int[] Jump(int most)
    {
        if (!_jumps || _mayBreak || _place != ReasoningMask.Ended) return [];
        int[] ids = _matcher.Jump(most);
        _tokens += ids.Length;
        return ids;
    }
}
