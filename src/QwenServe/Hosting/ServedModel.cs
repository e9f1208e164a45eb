namespace QwenServe.Hosting;

/// <summary>A model that is loaded and answers.</summary>
internal sealed class ServedModel : IDisposable
{
    /// <summary>What clients may call it; the first is written in answers.</summary>
    public required IReadOnlyList<string> Names { get; init; }

    /// <summary>Tokens of the longest sequence, prompt and answer together.</summary>
    public required int MaxModelLen { get; init; }

    /// <summary>Where it came from, for people.</summary>
    public required string Root { get; init; }

    public DateTimeOffset Created { get; } = DateTimeOffset.UtcNow;

    public string Name => Names[0];

    /// <summary>The line that ends loading: what is served, where, on which device, with how much KV cache.</summary>
    public string Describe(Uri address) => $"Serving {string.Join(", ", Names)} on {address}v1";

    public void Dispose()
    {
    }
}
