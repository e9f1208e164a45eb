using Microsoft.Extensions.Configuration;
using QwenServe.Hosting;

namespace QwenServe.Settings;

/// <summary>
/// Which models are served, under which names, and what each has of its own. A source (the file, the environment, the command line) names models by
/// <c>--model</c>, which may be repeated and say <c>NAME=DIR</c>, or by a list <c>Models</c> of objects in the file; the strongest source that names any
/// names all. Settings of the sections Model and Engine hold for every model, unless their value is <c>NAME=VALUE</c> or in a model's own object.
/// </summary>
internal sealed class ModelList
{
    private const string Location = "Model:Name";
    private const string ServedName = "Server:ServedModelName";
    private const string Objects = "Models";

    private readonly IReadOnlyList<IReadOnlyDictionary<string, string?>> _sources;
    private readonly List<Entry> _entries = [];
    private IReadOnlyDictionary<string, string?>? _namingSource;

    /// <param name="sources">Values by key, sections and elements of lists joined by colons; the stronger source later.</param>
    /// <exception cref="StartupException">The models or their names contradict one another.</exception>
    public ModelList(IReadOnlyList<IReadOnlyDictionary<string, string?>> sources)
    {
        _sources = sources;
        FindModels();
        NameThem();
        RefuseRepetition();
    }

    /// <summary>Reads what holds for each model.</summary>
    /// <param name="merged">What holds for all.</param>
    public IReadOnlyList<(ModelSettings Model, EngineSettings Engine)> Read(IReadOnlyDictionary<string, string?> merged)
    {
        var models = new List<(ModelSettings Model, EngineSettings Engine)>();
        foreach (var entry in _entries)
        {
            var values = new Dictionary<string, string?>(merged, StringComparer.OrdinalIgnoreCase) { [Location] = entry.Location };
            foreach (var definition in OfModels())
            {
                foreach (string key in values.Keys.Where(k => IsOf(k, definition.Key)).ToList()) values.Remove(key);
                foreach (var source in _sources) Apply(source, definition, entry, values);
            }
            var reader = new SettingsReader(new ConfigurationBuilder().AddInMemoryCollection(values).Build());
            try
            {
                models.Add((ModelSettings.Read(reader) with { ServedNames = entry.Served }, EngineSettings.Read(reader)));
            }
            catch (StartupException e) when (_entries.Count > 1)
            {
                throw new StartupException($"{entry.Names[0]}: {e.Message}", e.ExitCode);
            }
        }
        if (models.Count < 2) return models;
        var engines = ResourceShares.Divide([.. models.Select((m, i) => (_entries[i].Names[0], m.Engine, _entries[i].OwnUtilization))]);
        return [.. models.Select((m, i) => (m.Model, engines[i]))];
    }

    /// <summary>A key, or an element of the list under it.</summary>
    internal static bool IsOf(string key, string parent)
        => key.StartsWith(parent, StringComparison.OrdinalIgnoreCase) && (key.Length == parent.Length || key[parent.Length] == ':');

    private void FindModels()
    {
        foreach (var source in _sources.Reverse())
        {
            var texts = Texts(source, Location);
            int objects = Enumerable.Range(0, int.MaxValue).TakeWhile(i => source.Keys.Any(k => IsOf(k, $"{Objects}:{i}"))).Count();
            if (texts.Count == 0 && objects == 0) continue;
            if (texts.Count > 0 && objects > 0) throw Wrong($"appsettings.json has both {Location} and {Objects}; one of them names the models");
            _namingSource = source;
            for (int i = 0; i < objects; i++) _entries.Add(ReadObject(source, $"{Objects}:{i}"));
            if (texts is [{ } whole] && Directory.Exists(whole)) _entries.Add(new Entry(whole, null));
            else
            {
                foreach (string text in texts.SelectMany(t => source.ContainsKey(Location) ? t.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) : [t]))
                {
                    int equals = Directory.Exists(text) ? -1 : text.IndexOf('=', StringComparison.Ordinal);
                    if (equals == 0 || equals == text.Length - 1) throw Wrong($"--model {text}: is not NAME=DIR or NAME=ORG/NAME");
                    _entries.Add(equals < 0 ? new Entry(text, null) : new Entry(text[(equals + 1)..], text[..equals]));
                }
            }
            return;
        }
        _entries.Add(new Entry(null, null));
    }

    private static Entry ReadObject(IReadOnlyDictionary<string, string?> source, string path)
    {
        foreach (string key in source.Keys.Where(k => IsOf(k, path) && k.Length > path.Length))
        {
            string leaf = key[(path.Length + 1)..].Split(':')[0];
            if (!leaf.Equals("Name", StringComparison.OrdinalIgnoreCase) && !leaf.Equals("ServedModelName", StringComparison.OrdinalIgnoreCase) && !OfModels().Any(d => IsLeaf(d, leaf)))
                throw Wrong($"appsettings.json, {path}: a model has no setting '{leaf}', but Name, ServedModelName, {string.Join(", ", OfModels().Select(d => d.Key[(d.Key.IndexOf(':', StringComparison.Ordinal) + 1)..]))}");
        }
        var entry = new Entry(source.GetValueOrDefault(path + ":Name") is { Length: > 0 } name ? name : null, null) { Path = path };
        entry.Served.AddRange(Texts(source, path + ":ServedModelName").SelectMany(t => t.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)));
        return entry;
    }

    private void NameThem()
    {
        var source = _sources.Reverse().FirstOrDefault(s => Texts(s, ServedName).Count > 0);
        if (source is null) return;
        var names = Texts(source, ServedName).SelectMany(t => source.ContainsKey(ServedName) ? t.Split(',', StringSplitOptions.TrimEntries) : [t]).Where(n => n.Length > 0).ToList();
        if (_entries.Count == 1)
        {
            _entries[0].Served.AddRange(names);
            return;
        }
        var aliases = names.Where(n => Owner(n) is not null).ToList();
        var plain = names.Except(aliases).ToList();
        if (plain.Count > 0 && plain.Count != _entries.Count)
            throw Wrong($"--served-model-name: {plain.Count} names for {_entries.Count} models; give one for each, in their order, or MODEL=NAME");
        foreach (string alias in aliases) Owner(alias)!.Served.Add(alias[(alias.IndexOf('=', StringComparison.Ordinal) + 1)..]);
        for (int i = 0; i < plain.Count; i++) _entries[i].Served.Insert(_entries[i].Named ? 1 : 0, plain[i]);
    }

    private void RefuseRepetition()
    {
        for (int i = 0; i < _entries.Count; i++)
        {
            for (int k = 0; k < i; k++)
            {
                if (_entries[i].Identity == _entries[k].Identity)
                    throw Wrong($"{_entries[i].Names[0]}: the model {_entries[i].Location ?? ModelLoading.EmbeddedName} is given twice; one may have several names, --served-model-name");
                if (_entries[i].Names.Intersect(_entries[k].Names).FirstOrDefault() is { } name)
                    throw Wrong($"two models are called {name}: {_entries[k].Location} and {_entries[i].Location}; name them, --model NAME={_entries[i].Location}");
            }
        }
    }

    /// <summary>Puts what a source says of one model over what weaker ones say; its own value over that of all.</summary>
    private void Apply(IReadOnlyDictionary<string, string?> source, SettingDefinition definition, Entry entry, Dictionary<string, string?> values)
    {
        string? shared = null, own = null;
        foreach (string text in Texts(source, definition.Key))
        {
            string[] parts = text.Split(',', StringSplitOptions.TrimEntries);
            foreach (string part in parts.Any(p => Owner(p) is not null) ? parts : [text])
            {
                var owner = Owner(part);
                if (owner is null) shared = part;
                else if (owner == entry) own = part[(part.IndexOf('=', StringComparison.Ordinal) + 1)..];
            }
        }
        if (entry.Path is { } path && source == _namingSource)
            own ??= source.FirstOrDefault(v => v.Value is { Length: > 0 } && IsOf(v.Key, path) && v.Key.Length > path.Length && IsLeaf(definition, v.Key[(path.Length + 1)..])).Value;
        if ((own ?? shared) is not { } value) return;
        values[definition.Key] = value;
        if (definition.Key == "Engine:GpuMemoryUtilization") entry.OwnUtilization = own is not null;
    }

    /// <summary>The model of <c>NAME=VALUE</c>; null for a value of all models.</summary>
    private Entry? Owner(string text)
    {
        if (_entries.Count == 1 && !_entries[0].Named) return null;
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        return equals < 1 ? null : _entries.FirstOrDefault(e => e.Names.Contains(text[..equals]));
    }

    /// <summary>A value, or the elements of a list.</summary>
    private static List<string> Texts(IReadOnlyDictionary<string, string?> source, string key)
    {
        if (source.GetValueOrDefault(key) is { } text) return string.IsNullOrWhiteSpace(text) ? [] : [text.Trim()];
        return [.. Enumerable.Range(0, int.MaxValue).Select(i => source.GetValueOrDefault($"{key}:{i}")).TakeWhile(t => t is not null).Where(t => !string.IsNullOrWhiteSpace(t)).Select(t => t!.Trim())];
    }

    private static IEnumerable<SettingDefinition> OfModels()
        => SettingsCatalog.All.Where(d => d.OfModel && d.Kind != SettingKind.List);

    private static bool IsLeaf(SettingDefinition definition, string leaf) => definition.Key.EndsWith(":" + leaf, StringComparison.OrdinalIgnoreCase);

    private static StartupException Wrong(string message) => new(message, exitCode: 2);

    /// <summary>A model as it was asked for.</summary>
    private sealed class Entry
    {
        public Entry(string? location, string? name)
        {
            Location = location is null || (location == ModelLoading.EmbeddedName && !Directory.Exists(location)) ? null : location;
            Named = name is not null;
            if (name is not null) Served.Add(name);
        }

        /// <summary>Null for the embedded model.</summary>
        public string? Location { get; }

        /// <summary>Whether it was given as NAME=….</summary>
        public bool Named { get; }

        /// <summary>Names it was given; none: those it has of itself.</summary>
        public List<string> Served { get; } = [];

        /// <summary>Of its object in the file.</summary>
        public string? Path { get; init; }

        public bool OwnUtilization { get; set; }

        public IReadOnlyList<string> Names => new ModelSettings { Name = Location, ServedNames = Served }.Names;

        public string Identity => Location is null ? "" : Directory.Exists(Location) ? System.IO.Path.GetFullPath(Location).TrimEnd('/') : Location;
    }
}
