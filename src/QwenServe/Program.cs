using QwenServe;
using QwenServe.Hosting;
using QwenServe.Settings;

bool health = args is [HealthCommand.Name, ..];
var (values, exitCode) = CommandLine.Parse(health ? args[1..] : args, Console.Out, Console.Error);
if (values is null) return exitCode;
try
{
    var settings = QwenServeSettings.Load(AppContext.BaseDirectory, values, Environment.GetEnvironmentVariable);
    if (health) return await HealthCommand.RunAsync(settings.Server, Console.Out, settings.Access.SslCertFile is not null);
    await using var app = ServerApp.Build(settings);
    return await app.RunAsync();
}
catch (StartupException e)
{
    Console.Error.WriteLine("qwenserve: " + e.Message);
    return e.ExitCode;
}
