using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using QwenServe.Text.Grammar;

namespace QwenServe.Tests.Grammars;

/// <summary>
/// JSON schemas against ajv 8 with ajv-formats, both ways: random answers are instances; instances from a generator of its own are accepted
/// however they are cut into tokens, and mutants that ajv rejects are refused. <c>QWENSERVE_GRAMMAR_SCHEMAS=500</c> runs the whole set, with
/// Qwen2.5's vocabulary where the reference data is beside the checkout; the default is a small part of it with the embedded one.
/// </summary>
public class AjvTests
{
    private static readonly string Folder = Path.Combine(Repository.Root, "tests", "QwenServe.Tests", "Grammar", "node");

    private static readonly string[] Keywords =
    [
        "type", "enum", "const", "properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties",
        "items", "prefixItems", "minItems", "maxItems", "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "multipleOf", "anyOf", "oneOf", "allOf", "$ref", "nullable",
    ];

    [NodeFact]
    public void Answers_validate_and_instances_are_accepted_and_mutants_are_not()
    {
        var setting = Environment.GetEnvironmentVariable("QWENSERVE_GRAMMAR_SCHEMAS");
        var count = string.IsNullOrEmpty(setting) ? 70 : int.Parse(setting, CultureInfo.InvariantCulture);
        var tokens = !string.IsNullOrEmpty(setting) && Repository.Shared is not null ? GrammarTokens.Qwen : GrammarTokens.Small;
        var random = new Random(7);
        var answers = new List<(string Schema, List<string> Texts)>();
        var problems = new List<string>();
        var uses = Keywords.ToDictionary(k => k, _ => 0, StringComparer.Ordinal);
        int instances = 0, mutants = 0, unended = 0;
        foreach (var line in Node("cases.mjs", $"11 {count}", []))
        {
            using var test = JsonDocument.Parse(line);
            var schema = test.RootElement.GetProperty("schema");
            var raw = schema.GetRawText();
            foreach (var keyword in Keywords)
                if (raw.Contains($"\"{keyword}\":", StringComparison.Ordinal)) uses[keyword]++;
            Grammar grammar;
            try
            {
                grammar = Grammar.FromJsonSchema(schema);
            }
            catch (GrammarException e)
            {
                problems.Add($"refused: {e.Message} {raw}");
                continue;
            }
            foreach (var text in test.RootElement.GetProperty("valid").EnumerateArray().Select(t => t.GetString()!))
            {
                instances++;
                foreach (var ids in tokens.Tokenizations(text, random))
                    if (!tokens.Accepts(grammar, ids)) problems.Add($"not accepted: {text} of {raw}");
            }
            foreach (var text in test.RootElement.GetProperty("invalid").EnumerateArray().Select(t => t.GetString()!))
            {
                mutants++;
                if (tokens.Accepts(grammar, text)) problems.Add($"not refused: {text} of {raw}");
            }
            var bounded = test.RootElement.GetProperty("bounded").GetBoolean();
            var texts = new List<string>();
            for (var i = 0; i < 4; i++)
            {
                var answer = tokens.Answer(grammar, random, bounded ? 100_000 : 3_000);
                if (answer is not null) texts.Add(answer);
                else if (bounded) problems.Add($"does not end: {raw}");
                else unended++;
            }
            answers.Add((raw, texts));
        }
        var verdicts = Node("validate.mjs", "", answers.Select(a => $"{{\"schema\":{a.Schema},\"texts\":{JsonSerializer.Serialize(a.Texts)}}}"));
        Assert.Equal(answers.Count, verdicts.Count);
        var ended = 0;
        foreach (var ((schema, texts), verdict) in answers.Zip(verdicts))
        {
            foreach (var (text, valid) in texts.Zip(JsonSerializer.Deserialize<bool[]>(verdict)!))
            {
                ended++;
                if (!valid) problems.Add($"does not validate: {text} of {schema}");
            }
        }
        Assert.True(problems.Count == 0, $"{problems.Count} problems, the first:\n{string.Join("\n", problems.Take(10))}");
        Assert.True(instances > 10 * count && mutants > 10 * count && ended > 2 * count, $"{instances} instances, {mutants} mutants, {ended} answers, {unended} without an end");
        Assert.All(uses, use => Assert.True(use.Value * 25 >= count, $"{use.Key} is in only {use.Value} of {count} schemas"));
    }

    private static List<string> Node(string script, string arguments, IEnumerable<string> input)
    {
        using var process = Process.Start(new ProcessStartInfo("node", $"{script} {arguments}")
        {
            WorkingDirectory = Folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        var writing = Task.Run(() =>
        {
            foreach (var line in input) process.StandardInput.WriteLine(line);
            process.StandardInput.Close();
        });
        var lines = new List<string>();
        while (process.StandardOutput.ReadLine() is { } line) lines.Add(line);
        writing.Wait();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return lines;
    }

    /// <summary>Needs the packages of <c>Grammar/node</c>; their lack fails in CI and skips elsewhere.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    private sealed class NodeFactAttribute : FactAttribute
    {
        public NodeFactAttribute()
        {
            if (!Directory.Exists(Path.Combine(Folder, "node_modules")) && Environment.GetEnvironmentVariable("CI") != "true")
                Skip = $"npm ci was not run in {Folder}";
        }
    }
}
