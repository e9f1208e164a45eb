namespace QwenServe.Engine.Model;

/// <summary>A checkpoint that cannot be served. The message is one line that names the file, what is wrong and, where there is one, the way out.</summary>
public sealed class CheckpointException : Exception
{
    public CheckpointException(string message) : base(message) { }

    public CheckpointException(string message, Exception inner) : base(message, inner) { }

    public CheckpointException() { }
}
