using System.Globalization;
using Microsoft.Extensions.Configuration;
using QwenServe.Hosting;

namespace QwenServe.Settings;

/// <summary>Reads settings out of the merged configuration and says, for each that is wrong, how it may be spelled and what it may be.</summary>
public sealed class SettingsReader(IConfiguration configuration)
{
    private readonly Dictionary<string, SettingDefinition> _definitions = SettingsCatalog.All.ToDictionary(d => d.Key, StringComparer.OrdinalIgnoreCase);

    private readonly Dictionary<string, string> _defaults = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>What the settings that have been read are when nobody sets them, written as they may be given; without those that then depend on the machine.</summary>
    public IReadOnlyDictionary<string, string> Defaults => _defaults;

    /// <summary>Null when not set, or set to nothing.</summary>
    public string? Text(string key)
    {
        Known(key);
        string? value = configuration[key];
        return string.IsNullOrWhiteSpace(value) ? null : value.Trim();
    }

    public string Text(string key, string fallback)
    {
        _defaults[key] = fallback;
        return Text(key) ?? fallback;
    }

    public string Choice(string key, string fallback, params ReadOnlySpan<string> choices)
    {
        _defaults[key] = fallback;
        if (Text(key) is not { } value) return fallback;
        foreach (string choice in choices)
            if (string.Equals(choice, value, StringComparison.OrdinalIgnoreCase)) return choice;
        throw Wrong(key, value, "must be one of " + string.Join(", ", choices));
    }

    public int Integer(string key, int fallback, int minimum, int maximum)
    {
        _defaults[key] = fallback.ToString(CultureInfo.InvariantCulture);
        if (Text(key) is not { } value) return fallback;
        if (int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number) && number >= minimum && number <= maximum) return number;
        throw Wrong(key, value, $"must be a whole number from {minimum} to {maximum}");
    }

    public double Number(string key, double fallback, double minimum, double maximum)
    {
        _defaults[key] = fallback.ToString(CultureInfo.InvariantCulture);
        if (Text(key) is not { } value) return fallback;
        if (double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && number >= minimum && number <= maximum) return number;
        throw Wrong(key, value, FormattableString.Invariant($"must be a number from {minimum} to {maximum}"));
    }

    public bool Switch(string key, bool fallback)
    {
        _defaults[key] = fallback ? "true" : "false";
        if (Text(key) is not { } value) return fallback;
        return value.ToUpperInvariant() switch
        {
            "TRUE" or "1" or "YES" or "ON" => true,
            "FALSE" or "0" or "NO" or "OFF" => false,
            _ => throw Wrong(key, value, "must be true or false"),
        };
    }

    /// <summary>The elements of an array in the file, or a comma-separated text.</summary>
    public IReadOnlyList<string> List(string key)
    {
        Known(key);
        var children = configuration.GetSection(key).GetChildren().Select(c => c.Value).ToList();
        if (children.Count == 0) children = Text(key)?.Split(',', StringSplitOptions.TrimEntries).ToList<string?>() ?? [];
        return [.. children.Where(c => !string.IsNullOrWhiteSpace(c)).Select(c => c!)];
    }

    /// <summary>As <see cref="List"/>, but an entry that is given must hold something: the empty value of a variable in a script would leave a server open.</summary>
    public IReadOnlyList<string> Secrets(string key)
    {
        if (configuration.GetSection(key).GetChildren().Any(c => c.Value is { } value && string.IsNullOrWhiteSpace(value))) throw Wrong(key, "", "is empty, and the server would be open; leave it out if that is meant");
        return List(key);
    }

    /// <summary>Tokens as vLLM writes them: <c>32768</c>, <c>32k</c> (thousands), <c>32K</c> (1024s); null for auto.</summary>
    public int? Tokens(string key)
    {
        if (Text(key) is not { } value || value is "auto" or "-1") return null;
        return Scaled(value, out double tokens) && tokens is >= 1 and <= int.MaxValue
            ? (int)tokens
            : throw Wrong(key, value, "must be a number of tokens such as 32768, 32k or 32K, or auto");
    }

    public int Tokens(string key, int fallback)
    {
        _defaults[key] = fallback.ToString(CultureInfo.InvariantCulture);
        return Tokens(key) ?? fallback;
    }

    /// <param name="key">The setting.</param>
    /// <param name="fallback">A whole number of KiB.</param>
    public long Bytes(string key, long fallback)
    {
        _defaults[key] = fallback % (1 << 20) == 0 ? $"{fallback >> 20}MiB" : $"{fallback >> 10}KiB";
        return Bytes(key) ?? fallback;
    }

    /// <summary>Bytes: <c>4294967296</c>, <c>4GiB</c>, <c>4G</c> (both 1024s), <c>4GB</c> (thousands); null for auto.</summary>
    public long? Bytes(string key)
    {
        if (Text(key) is not { } value || value == "auto") return null;
        double unit = 1;
        string number = value;
        if (value.EndsWith("iB", StringComparison.OrdinalIgnoreCase)) number = value[..^2].ToUpperInvariant();
        else if (value.EndsWith('B') || value.EndsWith('b')) number = value[..^1].ToLowerInvariant();
        else number = value.ToUpperInvariant();
        return Scaled(number.Replace(" ", "", StringComparison.Ordinal), out double bytes) && bytes * unit is >= 0 and <= long.MaxValue / 2
            ? (long)(bytes * unit)
            : throw Wrong(key, value, "must be an amount of memory such as 4GiB, 512MiB or a number of bytes");
    }

    /// <summary>An error that names the setting in all three of its spellings.</summary>
    public StartupException Wrong(string key, string value, string mustBe)
    {
        var definition = Known(key);
        int equals = definition.OfModel ? value.IndexOf('=', StringComparison.Ordinal) : -1;
        string hint = equals > 0 ? $"; no model is called {value[..equals]}" : "";
        return new StartupException($"{definition.Option} (setting {definition.Key}, variable {definition.Variable}): '{value}' {mustBe}{hint}", exitCode: 2);
    }

    private SettingDefinition Known(string key)
        => _definitions.TryGetValue(key, out var definition) ? definition : throw new ArgumentException("no such setting: " + key, nameof(key));

    /// <summary>A small suffix counts in thousands, a capital one in 1024s.</summary>
    private static bool Scaled(string text, out double value)
    {
        double unit = text.Length == 0 ? 1 : text[^1] switch
        {
            'k' => 1e3,
            'm' => 1e6,
            'g' => 1e9,
            't' => 1e12,
            'K' => 1L << 10,
            'M' => 1L << 20,
            'G' => 1L << 30,
            'T' => 1L << 40,
            _ => 1,
        };
        bool parsed = double.TryParse(unit == 1 ? text : text[..^1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value);
        value = Math.Floor(value * unit);
        return parsed;
    }
}
