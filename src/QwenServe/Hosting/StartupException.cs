namespace QwenServe.Hosting;

/// <summary>What keeps the server from serving; its message is the one line that goes to standard error before the process ends.</summary>
public sealed class StartupException : Exception
{
    public StartupException(string message, int exitCode = 1) : base(message) => ExitCode = exitCode;

    public StartupException(string message, Exception inner, int exitCode = 1) : base(message, inner) => ExitCode = exitCode;

    /// <summary>2 for a wrong command line or setting, 1 for everything else.</summary>
    public int ExitCode { get; }
}
