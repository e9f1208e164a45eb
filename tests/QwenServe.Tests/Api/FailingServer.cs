namespace QwenServe.Tests.Api;

/// <summary>
/// The test assembly as a program: the whole server around a device that fails once a prompt says so, for tests that look at how the process ends.
/// The first argument says where the device fails; the rest is the server's.
/// </summary>
internal static class FailingServer
{
    /// <summary>While a step is laid out.</summary>
    public const string InAStep = "in-a-step";

    /// <summary>When the engine's thread next asks it for its memory, between two steps.</summary>
    public const string BetweenSteps = "between-steps";

    /// <summary>What a prompt says that breaks the device.</summary>
    public const string Word = "break";

    public const string Message = "the device has fallen off the bus";

    /// <summary>What <see cref="ServerProcess"/> starts.</summary>
    public static string[] Program(string where) => ["QwenServe.Tests.dll", where];

    private static Task<int> Main(string[] args)
    {
        if (args is not [InAStep or BetweenSteps, ..])
        {
            Console.Error.WriteLine($"tests are run by dotnet test; this starts a server whose device fails: {InAStep}|{BetweenSteps} [the server's options]");
            return Task.FromResult(2);
        }
        bool broken = false;
        var model = ScriptedModel.Saying(prompt =>
        {
            broken |= prompt.Contains(Word, StringComparison.Ordinal);
            return broken && args[0] == InAStep ? throw new InvalidOperationException(Message) : string.Concat(Enumerable.Repeat("one two three ", 400));
        });
        model.Device.Memory = () => broken ? throw new InvalidOperationException(Message) : long.MaxValue;
        model.Device.StepTime = TimeSpan.FromMilliseconds(20);
        return QwenServe.Program.RunAsync(args[1..], model.LoadAsync);
    }
}
