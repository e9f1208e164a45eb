using Microsoft.Extensions.Configuration;
using QwenServe.Hosting;

namespace QwenServe.Settings;

/// <summary>All settings, merged and checked.</summary>
public sealed record QwenServeSettings
{
    public ModelSettings Model { get; init; } = new();

    public ServerSettings Server { get; init; } = new();

    public EngineSettings Engine { get; init; } = new();

    public LimitSettings Limits { get; init; } = new();

    public LogSettings Log { get; init; } = new();

    /// <summary>Merges appsettings.json of <paramref name="root"/>, the environment and the command line, the later over the earlier.</summary>
    /// <exception cref="StartupException">A setting is wrong, or the file is not JSON.</exception>
    public static QwenServeSettings Load(string root, IReadOnlyDictionary<string, string?> commandLine, Func<string, string?> environment)
    {
        var variables = new Dictionary<string, string?>();
        foreach (var definition in SettingsCatalog.All)
            if (environment(definition.Variable) is { Length: > 0 } value) variables[definition.Key] = value;

        IConfiguration configuration;
        try
        {
            // An array of the file must not shine through a list given elsewhere, so lists are merged by source and not by element.
            var file = new ConfigurationBuilder().SetBasePath(root).AddJsonFile("appsettings.json", optional: true).Build();
            var merged = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
            foreach (var (key, value) in file.AsEnumerable()) merged[key] = value;
            foreach (var source in new[] { variables, commandLine })
                foreach (var (key, value) in source)
                {
                    foreach (string element in merged.Keys.Where(k => k.StartsWith(key + ":", StringComparison.OrdinalIgnoreCase)).ToList()) merged.Remove(element);
                    merged[key] = value;
                }
            configuration = new ConfigurationBuilder().AddInMemoryCollection(merged).Build();
        }
        catch (InvalidDataException e)
        {
            throw new StartupException($"{Path.Combine(root, "appsettings.json")}: {(e.InnerException ?? e).Message}", exitCode: 2);
        }

        var reader = new SettingsReader(configuration);
        return new QwenServeSettings
        {
            Model = ModelSettings.Read(reader),
            Server = ServerSettings.Read(reader),
            Engine = EngineSettings.Read(reader),
            Limits = LimitSettings.Read(reader),
            Log = LogSettings.Read(reader),
        };
    }
}
