using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;

namespace QwenServe.Settings;

/// <summary>The command line: <c>qwenserve [serve] [MODEL] [options]</c>, or <c>qwenserve health [options]</c>. It yields values for <see cref="SettingsCatalog"/> and knows no defaults.</summary>
public static class CommandLine
{
    private const string Examples = """
        Examples:
          qwenserve                                         the embedded model on http://127.0.0.1:8000
          qwenserve --model Qwen/Qwen2.5-0.5B-Instruct      downloads it once, then serves it
          qwenserve --model ./my-checkpoint --port 9000 --max-model-len 8k
          qwenserve --model small=Qwen/Qwen2.5-0.5B-Instruct --model coder=./my-coder --device small=cpu --device coder=cuda:0
          qwenserve --model Qwen/Qwen2.5-7B-Instruct --device cuda --host 0.0.0.0 --api-key secret
          qwenserve health --port 9000                      whether that server is ready: exit code 0 or 1
          curl http://127.0.0.1:8000/v1/chat/completions -H 'content-type: application/json' \
            -d '{"model": "qwenserve-demo", "messages": [{"role": "user", "content": "Hello!"}]}'

        In brackets is the default. Each option is also an environment variable (--max-num-seqs: QWENSERVE_MAX_NUM_SEQS) and a setting in
        appsettings.json beside the program. The command line wins over the environment, that over the file.
        """;

    /// <summary>Parses, and answers <c>--help</c>, <c>--version</c> and mistakes itself.</summary>
    /// <param name="args">The arguments.</param>
    /// <param name="output">Takes help and version.</param>
    /// <param name="error">Takes mistakes.</param>
    /// <returns>Values by setting key, and whether a server is asked for its health in place of being one; or null with the exit code, when there is nothing to do.</returns>
    public static (IReadOnlyDictionary<string, string?>? Values, bool Health, int ExitCode) Parse(IReadOnlyList<string> args, TextWriter output, TextWriter error)
    {
        var options = SettingsCatalog.All.Select(d => (Definition: d, Option: Create(d))).ToList();
        var model = new Argument<string?>("MODEL") { Description = "The same as --model", Arity = ArgumentArity.ZeroOrOne };
        model.Validators.Add(result =>
        {
            // Without this a mistyped option would be taken for the model.
            if (result.Tokens.FirstOrDefault(t => t.Value.StartsWith('-')) is { } token) result.AddError($"Unrecognized option '{token.Value}'.");
        });
        var root = new RootCommand("QwenServe: an OpenAI-compatible server for Qwen2 and Qwen2.5 models.");
        var serve = new Command("serve", "Serves a model (the default command)");
        var health = new Command("health", "Asks the server that the same options describe whether it is ready: exit code 0 or 1");
        root.Arguments.Add(model);
        serve.Arguments.Add(model);
        foreach (var command in new Command[] { root, serve, health })
            foreach (var (_, option) in options) command.Options.Add(option);
        root.Subcommands.Add(serve);
        root.Subcommands.Add(health);

        Dictionary<string, string?>? values = null;
        bool asksHealth = false;
        int Collect(ParseResult result)
        {
            values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
            foreach (var (definition, option) in options)
            {
                var given = result.GetResult(option) is { Implicit: false } present ? present : null;
                List<string> texts = [.. given?.Tokens.Select(t => t.Value) ?? []];
                if (definition.Key == "Model:Name" && result.GetValue(model) is { } first) texts.Insert(0, first);
                if (definition.Kind == SettingKind.List || texts.Count > 1)
                {
                    for (int i = 0; i < texts.Count; i++) values[$"{definition.Key}:{i}"] = texts[i];
                    continue;
                }
                if (given is null) continue;
                values[definition.Key] = definition.Kind switch
                {
                    SettingKind.Switch => given.IdentifierToken?.Value.StartsWith("--no-", StringComparison.Ordinal) == true
                        ? given.GetValueOrDefault<bool>() ? "false" : "true"
                        : given.GetValueOrDefault<bool>() ? "true" : "false",
                    _ => texts[0],
                };
            }
            return 0;
        }
        root.SetAction(Collect);
        serve.SetAction(Collect);
        health.SetAction(result =>
        {
            asksHealth = true;
            return Collect(result);
        });
        foreach (var help in root.Options.Concat(serve.Options).OfType<HelpOption>())
            if (help.Action is HelpAction action) help.Action = new HelpWithExamples(action);

        var parsed = root.Parse(args);
        if (parsed.Errors.Count > 0)
        {
            // A mistyped option is the likelier cause than what the parser makes of the rest.
            var known = root.Options.SelectMany(o => o.Aliases.Append(o.Name)).ToHashSet(StringComparer.Ordinal);
            string? mistyped = args.Select(a => a.Split('=')[0]).FirstOrDefault(a => a.StartsWith("--", StringComparison.Ordinal) && !known.Contains(a));
            error.WriteLine("qwenserve: " + (mistyped is null ? parsed.Errors[0].Message : $"Unrecognized option '{mistyped}'.") + " (see qwenserve --help)");
            return (null, false, 2);
        }
        int exitCode = parsed.Invoke(new InvocationConfiguration { Output = output, Error = error });
        return (values, asksHealth, exitCode);
    }

    private static Option Create(SettingDefinition definition)
    {
        string help = SettingsCatalog.Defaults.TryGetValue(definition.Key, out string? value) ? $"{definition.Help} [{Written(definition, value)}]" : definition.Help;
        return definition.Kind switch
        {
            SettingKind.Switch => new Option<bool>(definition.Option, "--no-" + definition.Option[2..]) { Description = help },
            _ when definition.Kind == SettingKind.List || definition.OfModel => new Option<string[]>(definition.Option) { Description = help, HelpName = definition.Value },
            _ => new Option<string>(definition.Option) { Description = help, HelpName = definition.Value },
        };
    }

    private static string Written(SettingDefinition definition, string value) => definition.Kind != SettingKind.Switch ? value : value == "true" ? "on" : "off";

    private sealed class HelpWithExamples(HelpAction inner) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            int code = inner.Invoke(parseResult);
            parseResult.InvocationConfiguration.Output.WriteLine(Examples);
            return code;
        }
    }
}
