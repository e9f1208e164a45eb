namespace QwenServe.Text.Chat.Jinja;

/// <summary>
/// An error of the language while rendering (Python's TypeError, UndefinedError and so on); the rendering adds the line.
/// </summary>
internal class JinjaException(string message, bool raisedByTemplate = false) : Exception(message)
{
    /// <summary>True for raise_exception(message).</summary>
    public bool RaisedByTemplate { get; } = raisedByTemplate;
}

/// <summary>Python's TypeError or ValueError, which the filters int and float answer with their default.</summary>
internal sealed class ConversionException(string message) : JinjaException(message);

/// <summary>The template text itself is wrong.</summary>
internal sealed class JinjaSyntaxException(string message, int line) : Exception(message)
{
    public int Line { get; } = line;
}

/// <summary>A limit of the sandbox was reached: never caught by a filter.</summary>
internal sealed class SandboxLimitException(string message) : JinjaException(message);
