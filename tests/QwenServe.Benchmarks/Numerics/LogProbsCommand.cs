using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using QwenServe.Compute;
using QwenServe.Compute.Cpu;
using QwenServe.Compute.Cuda;
using QwenServe.Engine;
using QwenServe.Engine.Execution;
using QwenServe.Engine.Model;

namespace QwenServe.Benchmarks.Numerics;

/// <summary>
/// The log-probs that the engine computes for given ids, each way it can come to them: whole prompts, chunks, prompts together, decoding at several
/// batch sizes, after a prefix hit, greedy text. <c>logprobs.py</c> compares them with transformers. Also whether recorded graphs and overlapped
/// steps change a bit.
/// </summary>
internal static class LogProbsCommand
{
    private const string Usage = "logprobs --model DIR --out DIR [--device cuda|cpu] [--ids FILE] [--lengths 9,40,...] [--seed 1] [--sample 1024] [--decode 24] " +
        "[--batches 1,4,8,32] [--chunks 64,17] [--modes whole,batch,decode,greedy,chunked,prefix,bits] [--threads N]\n" +
        "  --ids: JSON, a list of lists of ids, or an object with one list named prompt; --lengths: random prompts of these lengths beside them";

    // Positions whose logits one step may give follow the number of sequences: prompts up to this length are one chunk.
    private const int WholeRows = 512;

    public static int Run(string[] args)
    {
        var options = new Options(args, Usage);
        string model = options.Required("model"), output = options.Required("out");
        Directory.CreateDirectory(output);
        var config = QwenConfig.Load(model);
        bool cuda = (options.Text("device") ?? "cuda") != "cpu";
        if (cuda && CudaDevice.WhyUnsupported(config.Geometry, null) is { } reason)
        {
            Console.WriteLine($"{model}: refused, {reason}");
            File.WriteAllText(Path.Combine(output, "run.json"), new JsonObject { ["model"] = Path.GetFullPath(model), ["refused"] = reason }.ToJsonString());
            return 0;
        }
        using var run = new EngineRuns(model, config, options, cuda);
        var modes = new JsonArray();
        var bits = new JsonArray();
        var failed = new JsonArray();
        string[] wanted = (options.Text("modes") ?? "whole,batch,decode,greedy,chunked,prefix,bits").Split(',');
        foreach (string mode in wanted)
        {
            switch (mode)
            {
                case "whole":
                    Keep(mode, rows => run.Prompts(rows, EngineRuns.Whole(), together: false));
                    break;
                case "batch":
                    Keep(mode, rows => run.Prompts(rows, EngineRuns.Whole(), together: true));
                    break;
                case "chunked":
                    foreach (int chunk in options.Integers("chunks", 64, 17))
                        Keep($"chunked-{chunk}", rows => run.Prompts(rows, EngineRuns.Chunked(chunk), together: true));
                    break;
                case "decode":
                    foreach (int batch in options.Integers("batches", 1, 4, 8, 32).Select(b => Math.Min(b, run.LongPrompts)).Where(b => b > 0).Distinct())
                        Keep($"decode-{batch}", rows => run.Decode(rows, batch));
                    break;
                case "prefix":
                    Keep(mode, run.Prefix);
                    break;
                case "greedy":
                    Keep(mode, run.Greedy);
                    break;
                case "bits":
                    Try(mode, () => Compare(options.Integers("batches", 1, 4, 8, 32)));
                    break;
                default:
                    throw new ArgumentException($"no mode '{mode}'\nusage: qwenserve-bench {Usage}");
            }
        }
        File.WriteAllText(Path.Combine(output, "run.json"), new JsonObject
        {
            ["model"] = Path.GetFullPath(model),
            ["device"] = run.Description,
            ["vocabulary"] = config.Geometry.VocabularySize,
            ["sample"] = new JsonArray([.. run.Sample.Select(id => (JsonNode)id)]),
            ["modes"] = modes,
            ["bits"] = bits,
            ["failed"] = failed,
        }.ToJsonString());
        return failed.Count == 0 && bits.All(b => (bool)b!["equal"]!) ? 0 : 1;

        void Compare(int[] batches)
        {
            foreach (var (batch, name, equal, tokens) in run.Bits(batches))
            {
                Console.WriteLine($"bits, batch {batch}, {name}: {(equal ? "equal" : "DIFFERENT")} over {tokens} tokens with 20 log-probs each");
                bits.Add(new JsonObject { ["batch"] = batch, ["name"] = name, ["equal"] = equal, ["tokens"] = tokens });
            }
        }

        void Keep(string name, Action<RecordedRows> fill) => Try(name, () => Record(name, fill));

        // What one mode meets shall not take the figures of the others along.
        void Try(string name, Action measure)
        {
            try
            {
                measure();
            }
#pragma warning disable CA1031 // It is written down, and the exit code tells.
            catch (Exception e)
#pragma warning restore CA1031
            {
                Console.WriteLine($"{name}: failed, {e}");
                failed.Add($"{name}: {e.Message}");
                run.Forget();
            }
        }

        void Record(string name, Action<RecordedRows> fill)
        {
            long start = Stopwatch.GetTimestamp();
            var rows = new RecordedRows(run.Sample);
            fill(rows);
            var written = rows.Write(output, name);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{name}: {written["top1"]!.AsArray().Count} positions, {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s; log-probs of the engine and of its logits differ by {(double)written["reported_difference"]!:0.0e+0}"));
            modes.Add(written);
        }
    }

    /// <summary>One device with the model on it, and an engine above it at a time.</summary>
    private sealed class EngineRuns : IDisposable
    {
        private readonly IDevice _device;
        private readonly ProbeDevice _probe;
        private readonly QwenModel _model;
        private readonly QwenConfig _config;
        private readonly int[][] _prompts;
        private readonly int _decode;
        private readonly int _length;
        private readonly bool _overlap;
        private InferenceEngine? _engine;
        private EngineOptions? _running;

        public EngineRuns(string directory, QwenConfig config, Options options, bool cuda)
        {
            _config = config;
            _decode = options.Integer("decode") ?? 24;
            int vocabulary = config.Geometry.VocabularySize;
            var random = new Random(options.Integer("seed") ?? 1);
            var prompts = options.Text("ids") is { } file ? Read(file) : [];
            prompts.AddRange(options.Integers("lengths").Select(length => Enumerable.Range(0, length).Select(_ => random.Next(vocabulary)).ToArray()));
            _prompts = [.. prompts];
            if (_prompts.Length == 0) throw new ArgumentException($"--ids or --lengths is needed\nusage: qwenserve-bench {Usage}");
            int most = Math.Min(options.Integer("sample") ?? 1024, vocabulary);
            Sample = [.. Enumerable.Range(0, most).Select(i => (int)((long)i * vocabulary / most))];
            _length = _prompts.Max(p => p.Length) + _decode + 1;

            _device = cuda ? CudaDevice.TryOpen(0, out string reason) ?? throw new ArgumentException(reason) : new CpuDevice(new CpuOptions { Threads = options.Integer("threads") ?? 0 });
            _overlap = cuda;
            _probe = new ProbeDevice(_device);
            using var checkpoint = Checkpoint.Open(directory);
            _model = QwenModel.Load(checkpoint, _probe, null, _length);
            uint[] everyId = new uint[(vocabulary + 31) / 32];
            for (int id = 0; id < vocabulary; id++) everyId[id / 32] |= 1u << (id % 32);
            _probe.SetVocabulary(everyId);
        }

        public int[] Sample { get; }

        /// <summary>Prompts from which all tokens to be forced can be taken.</summary>
        public int LongPrompts => _prompts.Count(p => p.Length > _decode);

        public string Description => _device.Description;

        public static EngineOptions Whole() => new() { MaxModelLength = 1, MaxNumSeqs = WholeRows, MaxNumBatchedTokens = 8192, EnablePrefixCaching = false, JumpAhead = false };

        public static EngineOptions Chunked(int chunk) => Whole() with { MaxNumSeqs = Math.Min(chunk, 64), MaxNumBatchedTokens = chunk };

        /// <summary>Log-probs of the prompts themselves.</summary>
        public void Prompts(RecordedRows rows, EngineOptions options, bool together)
        {
            Start(options with { OverlapSteps = _overlap });
            var all = _prompts.Where(p => p.Length > 1).Select(p => (rows.Add(p, p), new GenerationRequest { Id = "prompt", Prompt = p, MaxTokens = 0, PromptLogProbs = 0 })).ToArray();
            Recorded(rows, all, together ? all.Length : 1);
        }

        /// <summary>The last tokens of the prompts, forced one at a time, so many sequences at once.</summary>
        public void Decode(RecordedRows rows, int batch)
        {
            Start(Whole() with { OverlapSteps = _overlap });
            var all = _prompts.Where(p => p.Length > _decode).Select(p => Forced(rows, p)).ToArray();
            Recorded(rows, all, batch);
        }

        /// <summary>The same, the prompts' first two thirds being in the prefix cache.</summary>
        public void Prefix(RecordedRows rows)
        {
            Start(Whole() with { OverlapSteps = _overlap, EnablePrefixCaching = true });
            var all = _prompts.Where(p => p.Length - _decode > 32).Select(p => Forced(rows, p)).ToArray();
            foreach (var (sequence, _) in all)
                Read(_engine!.Submit(new() { Id = "first", Prompt = sequence.Prompt[..(2 * sequence.Prompt.Length / 3)], MaxTokens = 1, Sampling = new() { Temperature = 0, IgnoreEos = true } }));
            Recorded(rows, all, all.Length);
            if (all.Any(a => a.Item1.CachedTokens == 0)) throw new InvalidOperationException("a prompt found nothing in the prefix cache");
        }

        /// <summary>Greedy text after each prompt, all together.</summary>
        public void Greedy(RecordedRows rows)
        {
            Start(Whole() with { OverlapSteps = _overlap });
            var all = _prompts.Select(p => (rows.Add(p, p), new GenerationRequest
            {
                Id = "greedy",
                Prompt = p,
                MaxTokens = _decode,
                Sampling = new() { Temperature = 0, LogProbs = 0, IgnoreEos = true },
            })).ToArray();
            Recorded(rows, all, all.Length);
        }

        /// <summary>
        /// The same requests with and without recorded graphs and overlapped steps, at several batch sizes: tokens and 20 log-probs each, bit for bit
        /// as the first time.
        /// </summary>
        public List<(int Batch, string Name, bool Equal, int Tokens)> Bits(int[] batches)
        {
            var results = new List<(int, string, bool, int)>();
            var first = new Dictionary<int, string>();
            foreach (bool overlap in new[] { true, false })
            {
                Start(Whole() with { OverlapSteps = overlap });
                foreach (bool graphs in _device is CudaDevice ? new[] { true, false } : [false])
                {
                    if (_device is CudaDevice device) device.UseGraphs = graphs;
                    string name = $"overlap {(overlap ? "on" : "off")}{(_device is CudaDevice ? graphs ? ", graphs on" : ", graphs off" : "")}";
                    foreach (int batch in batches)
                    {
                        // Twice: a shape is recorded the second time it is seen, so the first requests begin without a record and the second have one.
                        for (int round = 1; round <= 2; round++)
                        {
                            string text = string.Join('\n', _engine!.SubmitAll(SameEnd(batch)).Select(s => string.Join(' ', Read(s).Select(Text))));
                            bool equal = !first.TryGetValue(batch, out string? before) || text == before;
                            first.TryAdd(batch, text);
                            results.Add((batch, $"{name}, round {round}", equal, batch * _decode));
                        }
                    }
                }
            }
            if (_device is CudaDevice last) last.UseGraphs = true;
            return results;
        }

        /// <summary>
        /// Requests, greedy and drawn with a seed, that begin in one step and end in one step: every step has the same padded batch, whether steps overlap
        /// or not.
        /// </summary>
        private GenerationRequest[] SameEnd(int batch) => [.. Enumerable.Range(0, batch).Select(i => new GenerationRequest
        {
            Id = "bits",
            Prompt = [i, .. _prompts[i % _prompts.Length].Take(48).Skip(1)],
            MaxTokens = _decode,
            Sampling = i % 2 == 0 ? new() { Temperature = 0, LogProbs = 20, IgnoreEos = true }
                : new() { Seed = i, Temperature = 0.7f, TopP = 0.8f, TopK = 20, RepetitionPenalty = 1.05f, LogProbs = 20, IgnoreEos = true },
        })];

        public void Dispose()
        {
            Stop();
            _model.Dispose();
            _device.Dispose();
        }

        private (RecordedRows.Sequence, GenerationRequest) Forced(RecordedRows rows, int[] ids)
        {
            int known = ids.Length - _decode;
            var sequence = rows.Add(ids[..known], ids);
            return (sequence, new GenerationRequest
            {
                Id = "forced",
                Prompt = sequence.Prompt,
                MaxTokens = _decode,
                MaskFactory = _ => new ForcedTokens(ids[known..]),
                Sampling = new() { Temperature = 0, LogProbs = 0, IgnoreEos = true },
            });
        }

        private void Recorded(RecordedRows rows, (RecordedRows.Sequence Sequence, GenerationRequest Request)[] all, int atOnce)
        {
            _probe.Record = rows.Take;
            foreach (var together in all.Chunk(Math.Max(1, atOnce)))
            {
                var streams = _engine!.SubmitAll([.. together.Select(t => t.Request)]);
                foreach (var (stream, (sequence, _)) in streams.Zip(together))
                {
                    foreach (var one in Read(stream))
                    {
                        if (one.PromptLogProbs is { } prompt)
                            for (int p = 1; p < prompt.Count; p++) sequence.Reported[p] = prompt[p]!.LogProb;
                        if (one.Token < 0) continue;
                        int position = sequence.Prompt.Length + sequence.Reported.Count;
                        sequence.Reported[position] = one.LogProb;
                        if (position == sequence.Ids.Length) sequence.Ids = [.. sequence.Ids, one.Token];
                        else if (sequence.Ids[position] != one.Token) throw new InvalidOperationException($"token {one.Token} was drawn where {sequence.Ids[position]} was forced");
                    }
                    sequence.CachedTokens = stream.CachedTokens;
                }
            }
            _probe.Record = null;
        }

        private static List<TokenEvent> Read(GenerationStream stream)
        {
            var events = new List<TokenEvent>();
            while (stream.MoveNextAsync().AsTask().GetAwaiter().GetResult())
            {
                if (stream.Current.Error is { } error) throw new InvalidOperationException(error);
                events.Add(stream.Current);
            }
            return events;
        }

        private static string Text(TokenEvent one)
            => $"{one.Token}:{BitConverter.SingleToInt32Bits(one.LogProb):x}[{string.Join(',', one.TopLogProbs.Select(t => $"{t.Token}:{BitConverter.SingleToInt32Bits(t.LogProb):x}"))}]";

        private void Start(EngineOptions options)
        {
            if (_running == options) return;
            Stop();
            _running = options;
            var geometry = _config.Geometry;
            long tokens = _prompts.Sum(p => (long)p.Length + _decode + 32) + 64L * (_decode + 96);
            options = options with
            {
                MaxModelLength = _length,
                KvCacheBytes = 2 * tokens * geometry.KvElementsPerToken * _probe.DefaultKvType.Size(),
                MaxQueuedTokens = long.MaxValue,
            };
            _engine = InferenceEngine.StartAsync(options, () => ModelRunner.Create(_probe, geometry, _model.Forward, options)).GetAwaiter().GetResult();
        }

        /// <summary>After a failure: the next mode begins with an engine of its own.</summary>
        public void Forget()
        {
            _probe.Record = null;
            _running = null;
        }

        private void Stop()
        {
            _engine?.StopAsync(TimeSpan.Zero).GetAwaiter().GetResult();
            _engine = null;
        }

        private static List<int[]> Read(string file)
        {
            var node = JsonNode.Parse(File.ReadAllText(file))!;
            return node is JsonObject one ? [Ids(one["prompt"]!)] : [.. node.AsArray().Select(list => Ids(list!))];

            static int[] Ids(JsonNode list) => [.. list.AsArray().Select(id => (int)id!)];
        }
    }
}
