using System.Globalization;
using QwenServe.Settings;
using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Json;

namespace QwenServe.Hosting;

/// <summary>The log: readable lines or JSON objects on standard output, each of a request with its id and its trace's. Answers and keys are never logged, prompts only where a setting asks for it.</summary>
internal static class Logging
{
    public static Logger Create(LogSettings settings)
    {
        var level = settings.Level switch
        {
            "verbose" => LogEventLevel.Verbose,
            "debug" => LogEventLevel.Debug,
            "warning" => LogEventLevel.Warning,
            "error" => LogEventLevel.Error,
            _ => LogEventLevel.Information,
        };
        var configuration = new LoggerConfiguration()
            .MinimumLevel.Is(level)
            .MinimumLevel.Override("Microsoft", level < LogEventLevel.Warning ? LogEventLevel.Warning : level)
            // A server that cannot start says so in one line; the host would log the same failure with its stack.
            .MinimumLevel.Override("Microsoft.Extensions.Hosting.Internal.Host", LogEventLevel.Fatal)
            .Enrich.FromLogContext();
        configuration = settings.Json
            ? configuration.WriteTo.Console(new JsonFormatter(renderMessage: true, formatProvider: CultureInfo.InvariantCulture))
            : configuration.WriteTo.Console(outputTemplate: "{Timestamp:HH:mm:ss} {Level:u3} {Message:lj} {RequestId} {TraceId} {Tenant}{NewLine}{Exception}", formatProvider: CultureInfo.InvariantCulture);
        return configuration.CreateLogger();
    }
}
