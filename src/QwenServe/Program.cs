using QwenServe.Hosting;
using QwenServe.Settings;

namespace QwenServe;

internal static class Program
{
    private static Task<int> Main(string[] args) => RunAsync(args, ModelLoading.LoadAsync);

    /// <summary>The whole program around any model. What ends it is one line on standard error.</summary>
    /// <returns>The exit code.</returns>
    internal static async Task<int> RunAsync(string[] args, ModelLoader loader)
    {
        var (values, health, exitCode) = CommandLine.Parse(args, Console.Out, Console.Error);
        if (values is null) return exitCode;
        try
        {
            var settings = QwenServeSettings.Load(AppContext.BaseDirectory, values, Environment.GetEnvironmentVariable);
            if (health) return await HealthCommand.RunAsync(settings.Server, Console.Out, settings.Access.SslCertFile is not null).ConfigureAwait(false);
            settings = settings with { Warnings = UnknownVariables.Warn(Environment.GetEnvironmentVariables().Keys.Cast<string>()) };
            await using var app = ServerApp.Build(settings, loader);
            return await app.RunAsync().ConfigureAwait(false);
        }
        catch (StartupException e)
        {
            await Console.Error.WriteLineAsync("qwenserve: " + e.Message).ConfigureAwait(false);
            return e.ExitCode;
        }
    }
}
