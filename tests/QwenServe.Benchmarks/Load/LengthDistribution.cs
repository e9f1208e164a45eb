namespace QwenServe.Benchmarks.Load;

/// <summary>How long prompts and answers are.</summary>
internal sealed class LengthDistribution
{
    private readonly Func<Random, (int Input, int Output)> _draw;

    private LengthDistribution(string description, Func<Random, (int Input, int Output)> draw)
    {
        Description = description;
        _draw = draw;
    }

    public string Description { get; }

    public static LengthDistribution Fixed(int input, int output) => new($"fixed {input} in, {output} out", _ => (input, output));

    /// <summary>
    /// Lognormal, in the shape of ShareGPT's conversations: μ = ln 70, σ = 1.2 in and μ = ln 220, σ = 0.9 out. What is shorter than 4 or
    /// longer than 1024 in or 2048 altogether is drawn again, the cut of vLLM's sampler.
    /// </summary>
    public static LengthDistribution ShareGpt() => new("lognormal like ShareGPT (in: ln 70, 1.2; out: ln 220, 0.9; 4 <= in <= 1024, in + out <= 2048)", random =>
    {
        while (true)
        {
            int input = (int)Math.Round(Math.Exp(Math.Log(70) + 1.2 * Normal(random)));
            int output = (int)Math.Round(Math.Exp(Math.Log(220) + 0.9 * Normal(random)));
            if (input is >= 4 and <= 1024 && output >= 4 && input + output <= 2048) return (input, output);
        }
    });

    public (int Input, int Output) Draw(Random random) => _draw(random);

    /// <summary>Box and Muller.</summary>
    private static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
