using Microsoft.Extensions.Configuration;
using QwenServe.Hosting;

namespace QwenServe.Settings;

/// <summary>All settings, merged and checked.</summary>
public sealed record QwenServeSettings
{
    /// <summary>The model, or the first of several.</summary>
    public ModelSettings Model { get; init; } = new();

    public ServerSettings Server { get; init; } = new();

    /// <summary>The engine of the model, or of the first.</summary>
    public EngineSettings Engine { get; init; } = new();

    /// <summary>The models after the first.</summary>
    public IReadOnlyList<(ModelSettings Model, EngineSettings Engine)> MoreModels { get; init; } = [];

    /// <summary>The settings as each model has them, in the order of loading.</summary>
    public IReadOnlyList<QwenServeSettings> EachModel
        => [this with { MoreModels = [] }, .. MoreModels.Select(m => this with { Model = m.Model, Engine = m.Engine, MoreModels = [] })];

    public AccessSettings Access { get; init; } = new();

    public LimitSettings Limits { get; init; } = new();

    public LogSettings Log { get; init; } = new();

    public TelemetrySettings Telemetry { get; init; } = new();

    /// <summary>What is not wrong but hardly meant, one line each, for the log.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Merges appsettings.json of <paramref name="root"/>, the environment and the command line, the later over the earlier.</summary>
    /// <exception cref="StartupException">A setting is wrong, or the file is not JSON.</exception>
    public static QwenServeSettings Load(string root, IReadOnlyDictionary<string, string?> commandLine, Func<string, string?> environment)
    {
        var variables = new Dictionary<string, string?>();
        foreach (var definition in SettingsCatalog.All)
            if (environment(definition.Variable) is { Length: > 0 } value) variables[definition.Key] = value;

        IConfiguration configuration;
        IReadOnlyList<(ModelSettings Model, EngineSettings Engine)> all;
        try
        {
            // An array of the file must not shine through a list given elsewhere, so lists are merged by source and not by element.
            var file = new ConfigurationBuilder().SetBasePath(root).AddJsonFile("appsettings.json", optional: true).Build();
            var merged = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
            foreach (var (key, value) in file.AsEnumerable()) merged[key] = value;
            if (merged.FirstOrDefault(pair => pair.Value is not null && !SettingsCatalog.Knows(pair.Key)).Key is { } unknown)
                throw new StartupException($"{Path.Combine(root, "appsettings.json")}: there is no setting {unknown} (see qwenserve --help)", exitCode: 2);
            var models = new ModelList([new Dictionary<string, string?>(merged, StringComparer.OrdinalIgnoreCase), variables, commandLine]);
            foreach (var source in new[] { variables, commandLine })
            {
                foreach (var definition in SettingsCatalog.All.Where(d => source.Keys.Any(k => ModelList.IsOf(k, d.Key))))
                    foreach (string key in merged.Keys.Where(k => ModelList.IsOf(k, definition.Key)).ToList()) merged.Remove(key);
                foreach (var (key, value) in source) merged[key] = value;
            }
            all = models.Read(merged);
            configuration = new ConfigurationBuilder().AddInMemoryCollection(merged).Build();
        }
        catch (InvalidDataException e)
        {
            throw new StartupException($"{Path.Combine(root, "appsettings.json")}: {(e.InnerException ?? e).Message}", exitCode: 2);
        }

        var reader = new SettingsReader(configuration);
        return new QwenServeSettings
        {
            Model = all[0].Model,
            Server = ServerSettings.Read(reader),
            Engine = all[0].Engine,
            MoreModels = [.. all.Skip(1)],
            Access = AccessSettings.Read(reader),
            Limits = LimitSettings.Read(reader),
            Log = LogSettings.Read(reader),
            Telemetry = TelemetrySettings.Read(reader, environment),
        };
    }
}
