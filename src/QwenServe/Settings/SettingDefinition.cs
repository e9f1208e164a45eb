namespace QwenServe.Settings;

/// <summary>
/// One thing that can be set, three ways: <c>--max-num-seqs 64</c>, <c>QWENSERVE_MAX_NUM_SEQS=64</c>, or
/// <c>{"Engine": {"MaxNumSeqs": 64}}</c> in appsettings.json. The command line wins over the environment, that over the file.
/// </summary>
/// <param name="Key">Path in appsettings.json, sections separated by colons.</param>
/// <param name="Option">Name on the command line, with its dashes; vLLM's where vLLM has one.</param>
/// <param name="Help">One line for <c>--help</c>.</param>
/// <param name="Value">What stands for the value in <c>--help</c>.</param>
/// <param name="Kind">How the option is given.</param>
public sealed record SettingDefinition(string Key, string Option, string Help, string Value, SettingKind Kind = SettingKind.Single)
{
    /// <summary>The environment variable: <c>--max-num-seqs</c> is <c>QWENSERVE_MAX_NUM_SEQS</c>.</summary>
    public string Variable { get; } = "QWENSERVE_" + Option.TrimStart('-').Replace('-', '_').ToUpperInvariant();

    /// <summary>Whether each of several models may have a value of its own, written <c>NAME=VALUE</c>.</summary>
    public bool OfModel { get; } = Key.StartsWith("Model:", StringComparison.Ordinal) || Key.StartsWith("Engine:", StringComparison.Ordinal);
}

public enum SettingKind
{
    /// <summary>One value.</summary>
    Single,

    /// <summary>Several values: the option repeated, the variable separated by commas, an array in the file.</summary>
    List,

    /// <summary><c>--x</c> or <c>--no-x</c>; true or false elsewhere.</summary>
    Switch,
}
