using QwenServe;
using QwenServe.Hosting;
using QwenServe.Settings;

var (values, exitCode) = CommandLine.Parse(args, Console.Out, Console.Error);
if (values is null) return exitCode;
try
{
    await using var app = ServerApp.Build(QwenServeSettings.Load(AppContext.BaseDirectory, values, Environment.GetEnvironmentVariable));
    return await app.RunAsync();
}
catch (StartupException e)
{
    Console.Error.WriteLine("qwenserve: " + e.Message);
    return e.ExitCode;
}
