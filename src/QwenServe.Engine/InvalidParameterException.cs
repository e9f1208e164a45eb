namespace QwenServe.Engine;

/// <summary>A request asks for something out of range.</summary>
/// <param name="parameter">The parameter as the wire spells it, such as <c>top_p</c>.</param>
/// <param name="message">A sentence for the client.</param>
public sealed class InvalidParameterException(string parameter, string message) : Exception(message)
{
    /// <summary>The parameter as the wire spells it, such as <c>top_p</c>.</summary>
    public string Parameter { get; } = parameter;
}
