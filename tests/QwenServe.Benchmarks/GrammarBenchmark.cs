using System.Diagnostics;
using System.Numerics;
using System.Text.Json;
using QwenServe.Text.Grammar;
using QwenServe.Text.Tokenization;

namespace QwenServe.Benchmarks;

/// <summary>
/// Structured output with a real vocabulary: time to prepare it, to compile a schema of 30 properties, and to fill the mask of a step while
/// random answers are drawn. "first" is the first answer under a fresh grammar, "kept" the answers that follow under the same one. Last, how many
/// steps of a model the answers take when what the grammar forces is computed together.
/// </summary>
internal static class GrammarBenchmark
{
    private const string Usage = "grammar --tokenizer DIR [--answers 20] [--fresh 20]";

    internal static int Run(string[] args)
    {
        var options = new Options(args, Usage);
        var tokenizer = Tokenizer.Load(options.Required("tokenizer"));
        var clock = Stopwatch.StartNew();
        var end = tokenizer.FindAddedToken("<|im_end|>") ?? throw new ArgumentException("the tokenizer has no <|im_end|>");
        var vocabulary = new GrammarVocabulary(tokenizer, [end]);
        Console.WriteLine($"vocabulary of {tokenizer.VocabularySize:N0} tokens prepared in {clock.ElapsedMilliseconds} ms");
        foreach (var closed in (ReadOnlySpan<bool>)[true, false])
        {
            var schema = Schema(closed);
            var compile = new List<double>();
            var first = new Figures();
            var kept = new Figures();
            Grammar? grammar = null;
            for (var i = 0; i < (options.Integer("fresh") ?? 20); i++)
            {
                var start = Stopwatch.GetTimestamp();
                grammar = Grammar.FromJsonSchema(schema);
                compile.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                Answer(vocabulary, tokenizer, grammar, end, new Random(i), first);
            }
            for (var i = 0; i < (options.Integer("answers") ?? 20); i++) Answer(vocabulary, tokenizer, grammar!, end, new Random(100 + i), kept);
            Console.WriteLine($"30 properties, {(closed ? "closed" : "open")}: compiled first {compile[0]:F1} ms, median {Quantile(compile, 0.5):F1} ms, worst {compile[^1]:F1} ms");
            first.Print("first");
            kept.Print("kept");
            Jump(vocabulary, tokenizer, grammar!, end, options.Integer("answers") ?? 20);
        }
        return 0;
    }

    private static JsonElement Schema(bool closed)
    {
        string[] kinds =
        [
            """{"type":"string"}""", """{"type":"integer","minimum":0,"maximum":150}""", """{"type":"number"}""", """{"type":"boolean"}""",
            """{"enum":["red","green","blue"]}""", """{"type":"array","items":{"type":"string","maxLength":20},"maxItems":5}""",
            """{"type":"string","format":"date-time"}""", """{"type":["string","null"]}""",
            """{"type":"object","properties":{"lat":{"type":"number"},"lon":{"type":"number"}},"required":["lat","lon"],"additionalProperties":false}""",
            """{"type":"string","minLength":1,"maxLength":40}""",
        ];
        var names = Enumerable.Range(0, 30).Select(i => $"property_{(char)('a' + (i % 26))}{i}").ToArray();
        var properties = names.Select((n, i) => $"\"{n}\":{kinds[i % kinds.Length]}");
        var required = names.Where((_, i) => i % 3 != 2).Select(n => $"\"{n}\"");
        return JsonElement.Parse($$"""
            {"type":"object","properties":{{{string.Join(',', properties)}}},"required":[{{string.Join(',', required)}}],"additionalProperties":{{(closed ? "false" : "true")}}}
            """);
    }

    private static void Answer(GrammarVocabulary vocabulary, Tokenizer tokenizer, Grammar grammar, int end, Random random, Figures figures)
    {
        var matcher = vocabulary.CreateMatcher(grammar);
        var mask = new uint[(tokenizer.VocabularySize + 31) / 32];
        var quote = tokenizer.Encode("\"")[0];
        for (var step = 0; step < 1_000; step++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            var start = Stopwatch.GetTimestamp();
            matcher.Fill(mask);
            figures.Fill.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
            var id = Draw(mask, random);
            if (random.Next(3) == 0 && (mask[quote >> 5] >> quote & 1) != 0) id = quote;
            if (id == end) return;
            start = Stopwatch.GetTimestamp();
            if (!matcher.Accept(id)) throw new InvalidOperationException($"token {id} is in the mask and not accepted");
            figures.Accept.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
            figures.Bytes += GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    private static void Jump(GrammarVocabulary vocabulary, Tokenizer tokenizer, Grammar grammar, int end, int answers)
    {
        var mask = new uint[(tokenizer.VocabularySize + 31) / 32];
        var quote = tokenizer.Encode("\"")[0];
        long steps = 0, tokens = 0, forced = 0, ticks = 0;
        for (var i = 0; i < answers; i++)
        {
            var random = new Random(200 + i);
            var matcher = vocabulary.CreateMatcher(grammar);
            for (var step = 0; step < 1_000; step++)
            {
                steps++;
                var start = Stopwatch.GetTimestamp();
                var ids = matcher.Jump(1_000);
                ticks += Stopwatch.GetTimestamp() - start;
                forced += ids.Length;
                tokens += ids.Length;
                if (ids.Length > 0) continue;
                matcher.Fill(mask);
                var id = Draw(mask, random);
                if (random.Next(3) == 0 && (mask[quote >> 5] >> quote & 1) != 0) id = quote;
                tokens++;
                if (id == end) break;
                matcher.Accept(id);
            }
        }
        Console.WriteLine($"  jump-ahead: {tokens:N0} tokens, {forced:N0} of them forced, in {steps:N0} steps; {(double)ticks / Stopwatch.Frequency * 1e6 / steps:F1} µs a step to look");
    }

    private static int Draw(uint[] mask, Random random)
    {
        var left = random.Next(mask.Sum(BitOperations.PopCount));
        for (var w = 0; ; w++)
        {
            var bits = mask[w];
            var count = BitOperations.PopCount(bits);
            if (left >= count)
            {
                left -= count;
                continue;
            }
            for (; left > 0; left--) bits &= bits - 1;
            return (w * 32) + BitOperations.TrailingZeroCount(bits);
        }
    }

    private static double Quantile(List<double> values, double at)
    {
        values.Sort();
        return values[Math.Min(values.Count - 1, (int)(values.Count * at))];
    }

    private sealed class Figures
    {
        public List<double> Fill { get; } = [];
        public List<double> Accept { get; } = [];
        public long Bytes { get; set; }

        public void Print(string name) => Console.WriteLine(
            $"  {name,-6} {Fill.Count,7:N0} steps  mask median {Quantile(Fill, 0.5),6:F1} µs  p99 {Quantile(Fill, 0.99),7:F1}  worst {Quantile(Fill, 1),8:F1}"
            + $"  accept median {Quantile(Accept, 0.5),5:F2} µs  p99 {Quantile(Accept, 0.99),5:F2}  {Bytes / Fill.Count:N0} bytes a step");
    }
}
