using System.Globalization;

namespace QwenServe.Benchmarks;

/// <summary>The <c>--name value</c> and <c>--flag</c> arguments of a benchmark.</summary>
internal sealed class Options
{
    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal);
    private readonly string _usage;

    public Options(string[] args, string usage)
    {
        _usage = usage;
        for (int i = 0; i < args.Length; i++)
        {
            if (!args[i].StartsWith("--", StringComparison.Ordinal)) throw new ArgumentException($"unexpected '{args[i]}'\nusage: qwenserve-bench {usage}");
            bool flag = i + 1 == args.Length || args[i + 1].StartsWith("--", StringComparison.Ordinal);
            _values[args[i][2..]] = flag ? "true" : args[++i];
        }
    }

    public string? Text(string name) => _values.GetValueOrDefault(name);

    public string Required(string name) => Text(name) ?? throw new ArgumentException($"--{name} is needed\nusage: qwenserve-bench {_usage}");

    public int? Integer(string name) => Text(name) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;

    public int[] Integers(string name, params int[] otherwise)
        => Text(name) is { } text ? [.. text.Split(',').Select(t => int.Parse(t, CultureInfo.InvariantCulture))] : otherwise;

    public bool Flag(string name) => _values.ContainsKey(name);
}
