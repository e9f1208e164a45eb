using QwenServe.Engine;
using QwenServe.Engine.Scheduling;

namespace QwenServe.Tests.Engine;

/// <summary>The hash that <see cref="ScriptedDevice"/> computes through blocks and slots, and what it must come to without them.</summary>
internal static class ScriptedModel
{
    public const int Vocabulary = 70;

    /// <summary>In a prompt: makes the logits of every later position not finite.</summary>
    public const int Poison = 69;

    public const int Eos = 3;

    public const ulong Start = 0x1234567;
    public const ulong Poisoned = ulong.MaxValue;

    public static ulong Entry(ulong state, int token, int position)
        => state == Poisoned || token == Poison ? Poisoned : Mix(state ^ Mix(((ulong)(uint)token << 32) + (uint)position + 1)) >> 1;

    public static ulong Read(ulong state, ulong entry)
        => state == Poisoned || entry == Poisoned ? Poisoned : Mix(state * 31 + entry) >> 1;

    /// <summary>Independent of order, like penalty counts.</summary>
    public static ulong Count(ReadOnlySpan<int> tokens)
    {
        ulong sum = 0;
        foreach (int token in tokens) sum += Mix((ulong)token + 99);
        return sum;
    }

    public static int Draw(ulong logits, ulong seed, int position, ulong prompt, ulong output, HashSet<int> banned, ReadOnlySpan<uint> mask)
    {
        int token = (int)(Mix(logits ^ Mix(seed) ^ Mix((ulong)position) ^ Mix(prompt) ^ Mix(output + 5)) % Vocabulary);
        while (token == Poison || banned.Contains(token) || (!mask.IsEmpty && (mask[token / 32] >> (token % 32) & 1) == 0)) token = (token + 1) % Vocabulary;
        return token;
    }

    public static float LogProb(ulong logits, int token) => -(float)(Mix(logits + (ulong)token) % 10000) / 1000;

    /// <summary>The one element of a hidden state.</summary>
    public static float Hidden(ulong state) => state == Poisoned ? float.NaN : Mix(state + 3) % 100_000 / 1000f;

    /// <summary>Hidden states of a prompt computed alone.</summary>
    public static float[] HiddenStates(int[] prompt)
    {
        var states = new float[prompt.Length];
        ulong state = Start;
        for (int i = 0; i < prompt.Length; i++) states[i] = Hidden(state = Read(state, Entry(state, prompt[i], i)));
        return states;
    }

    public static int Top(ulong logits, int k) => (int)((logits + 7 * (ulong)k) % Vocabulary);

    /// <summary>A choice computed alone and from the start.</summary>
    public static (List<int> Tokens, List<float> LogProbs, FinishReason Finish) Generate(GenerationRequest request, int choice, int maxOutput)
    {
        var tokens = new List<int>();
        var logProbs = new List<float>();
        var sampling = request.Sampling;
        var mask = request.MaskFactory?.Invoke(choice);
        var words = new uint[(Vocabulary + 31) / 32];
        ulong seed = SequenceGroup.SeedOf((ulong)sampling.Seed!.Value, choice);
        ulong state = Start;
        for (int i = 0; i < request.Prompt.Length; i++) state = Read(state, Entry(state, request.Prompt[i], i));
        while (tokens.Count < maxOutput)
        {
            if (state == Poisoned) return (tokens, logProbs, FinishReason.Error);
            if (mask is not null && sampling.LogProbs is null && request.PromptLogProbs is null && sampling.LogitBias.Count == 0)
            {
                foreach (int forced in mask.Jump(maxOutput - tokens.Count - 1))
                {
                    state = Read(state, Entry(state, forced, request.Prompt.Length + tokens.Count));
                    tokens.Add(forced);
                    logProbs.Add(float.NaN);
                }
            }
            var banned = sampling.LogitBias.Where(b => float.IsNegativeInfinity(b.Bias)).Select(b => b.Token).ToHashSet();
            if (tokens.Count < sampling.MinTokens) banned.UnionWith([Eos, .. sampling.StopTokenIds]);
            mask?.Fill(words);
            int token = Draw(state, seed, request.Prompt.Length + tokens.Count, Count(request.Prompt), Count([.. tokens]), banned, mask is null ? default : words);
            logProbs.Add(LogProb(state, token));
            tokens.Add(token);
            if ((token == Eos && !sampling.IgnoreEos) || sampling.StopTokenIds.Contains(token)) return (tokens, logProbs, FinishReason.Stop);
            mask?.Accept(token);
            int position = request.Prompt.Length + tokens.Count - 1;
            state = Read(state, Entry(state, token, position));
        }
        return (tokens, logProbs, FinishReason.Length);
    }

    /// <summary>Log-probs of prompt tokens 1, 2, …</summary>
    public static List<float> PromptLogProbs(int[] prompt)
    {
        var logProbs = new List<float>();
        ulong state = Start;
        for (int i = 0; i + 1 < prompt.Length; i++)
        {
            state = Read(state, Entry(state, prompt[i], i));
            logProbs.Add(LogProb(state, prompt[i + 1]));
        }
        return logProbs;
    }

    private static ulong Mix(ulong x)
    {
        x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93;
        x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93;
        return x ^ (x >> 32);
    }
}

/// <summary>Admits two thirds of the ids, which ones depending on the last token.</summary>
internal sealed class ThirdsMask(int state) : ITokenMask
{
    private int _state = state;

    public void Fill(Span<uint> mask)
    {
        mask.Clear();
        for (int id = 0; id < ScriptedModel.Vocabulary; id++)
            if ((id + _state) % 3 != 0) mask[id / 32] |= 1u << (id % 32);
    }

    public bool Accept(int token)
    {
        bool admitted = (token + _state) % 3 != 0;
        _state = token;
        return admitted;
    }

    public void Move(int token) => _state = token;
}

/// <summary>As <see cref="ThirdsMask"/>, and forces a run of ids behind each one of five.</summary>
internal sealed class JumpingMask(int state) : ITokenMask
{
    private readonly ThirdsMask _thirds = new(state);
    private int _state = state;
    private int _run;

    public void Fill(Span<uint> mask) => _thirds.Fill(mask);

    public bool Accept(int token)
    {
        _state = token;
        _run = token % 5 == 1 ? 2 + token % 12 : 0;
        return _thirds.Accept(token);
    }

    public int[] Jump(int most)
    {
        int length = Math.Min(_run, most);
        _run = 0;
        if (length < 2) return [];
        int[] ids = [.. Enumerable.Range(0, length).Select(i => 10 + (_state + 7 * i) % 40)];
        _state = ids[^1];
        _thirds.Move(_state);
        return ids;
    }
}
