namespace QwenServe.Text.Chat;

/// <summary>A chat template could not be compiled or rendered.</summary>
public sealed class ChatTemplateException : Exception
{
    public ChatTemplateException(string message, int line, bool raisedByTemplate = false, Exception? inner = null)
        : base(message, inner)
    {
        Line = line;
        RaisedByTemplate = raisedByTemplate;
    }

    /// <summary>Line of the template, from 1; 0 where no line is to blame.</summary>
    public int Line { get; }

    /// <summary>
    /// True where the template itself refused the conversation with raise_exception: the message is the template's own, and the fault
    /// is the client's.
    /// </summary>
    public bool RaisedByTemplate { get; }
}
