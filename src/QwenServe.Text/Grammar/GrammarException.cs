namespace QwenServe.Text.Grammar;

/// <summary>A grammar that is malformed, that admits nothing, or that uses something which cannot be enforced while decoding.</summary>
public sealed class GrammarException : Exception
{
    public GrammarException(string message)
        : base(message)
    {
    }

    public GrammarException(string message, Exception inner)
        : base(message, inner)
    {
    }

    public GrammarException(string keyword, string path, string reason)
        : base($"'{keyword}' at {path} {reason}")
    {
        Keyword = keyword;
        Path = path;
    }

    public GrammarException()
    {
    }

    /// <summary>The JSON schema keyword that cannot be enforced; null for other grammars.</summary>
    public string? Keyword { get; }

    /// <summary>Where the keyword stands, as a JSON pointer fragment (<c>#/properties/name</c>); null for other grammars.</summary>
    public string? Path { get; }
}
