using System.Diagnostics;
using System.Globalization;
using QwenServe.Compute;
using QwenServe.Compute.Cpu;
using QwenServe.Compute.Reference;

namespace QwenServe.Benchmarks;

/// <summary>
/// The CPU device on random weights of a real geometry. <c>cpu-ops</c> times every operation beside what the machine can read and
/// multiply in the same run; <c>cpu-model</c> times prefill and decode of the whole pass, sampling included.
/// </summary>
internal static class CpuBenchmark
{
    public static int Operations(string[] args)
    {
        var options = new Options(args);
        var (bandwidth, peak) = MachineLimits.Measure(options.Threads);
        bandwidth /= 1e9;
        peak /= 1e9;
        Print($"{options.Threads} threads; read bandwidth {bandwidth:0.0} GB/s, fp32 FMA peak {peak:0.0} GFLOP/s");
        foreach (int rows in options.Rows)
        {
            using var bench = new Bench(options, sequences: rows <= 64 ? rows : 1, maxTokens: Math.Max(rows, 64), rows <= 64 ? 576 : rows);
            bench.Warm(rows);
            Print($"\n{options.Geometry}, {options.Type}, {rows} tokens a step ({(rows <= 64 ? "decoding at a context of 512" : "one prompt")})");
            Print($"{"operation",-22}{"ms",9}{"GB/s",9}{"of read",9}{"GFLOP/s",10}{"of peak",9}");
            var times = new Dictionary<string, List<double>>(StringComparer.Ordinal);
            for (int run = 0; run < options.Runs; run++)
                foreach (var (name, ms) in bench.TimeOperations(rows))
                    (times.TryGetValue(name, out var list) ? list : times[name] = []).Add(ms);
            foreach (var (name, list) in times)
            {
                double ms = Median(list);
                var (bytes, flops) = bench.Cost(name, rows);
                double gbs = bytes / ms / 1e6, gflops = flops / ms / 1e6;
                Print($"{name,-22}{ms,9:0.000}{gbs,9:0.0}{gbs / bandwidth,9:0%}{gflops,10:0.0}{gflops / peak,9:0%}");
            }
        }
        return 0;
    }

    public static int Model(string[] args)
    {
        var options = new Options(args);
        var (bandwidth, peak) = MachineLimits.Measure(options.Threads);
        bandwidth /= 1e9;
        peak /= 1e9;
        using var bench = new Bench(options, options.Batch, Math.Max(options.Prompt, options.Batch), options.Prompt + options.Decode + 1);
        List<double> prefill = [], decode = [];
        for (int run = 0; run <= options.Runs; run++)
        {
            bench.Restart();
            long start = Stopwatch.GetTimestamp();
            if (options.Prompt > 0)
                for (int s = 0; s < options.Batch; s++) bench.Prefill(s, options.Prompt);
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (run > 0 && options.Prompt > 0) prefill.Add(options.Batch * options.Prompt / seconds);
            start = Stopwatch.GetTimestamp();
            for (int i = 0; i < options.Decode; i++) bench.Decode(options.Batch);
            seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (run > 0 && options.Decode > 0) decode.Add(options.Batch * options.Decode / seconds);
        }
        Print($"{options.Geometry} {options.Type}, {options.Threads} threads, batch {options.Batch}; read bandwidth {bandwidth:0.0} GB/s, fp32 FMA peak {peak:0.0} GFLOP/s");
        if (prefill.Count > 0)
            Print($"prefill {options.Prompt}: {Median(prefill):0.0} tok/s ({prefill.Min():0.0} .. {prefill.Max():0.0}), {Median(prefill) * bench.LinearFlops / 1e9:0.0} GFLOP/s in linear layers");
        if (decode.Count > 0)
        {
            double steps = Median(decode) / options.Batch;
            Print($"decode {options.Decode}: {Median(decode):0.00} tok/s ({decode.Min():0.00} .. {decode.Max():0.00}), weights at {steps * bench.ReadBytes / 1e9:0.0} GB/s = {steps * bench.ReadBytes / 1e9 / bandwidth:0%} of read");
        }
        using var process = Process.GetCurrentProcess();
        Print($"weights {bench.WeightBytes / 1e6:0} MB, peak resident {process.PeakWorkingSet64 / 1e6:0} MB");
        return 0;
    }

    private static double Median(List<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[sorted.Length / 2 - 1] + sorted[sorted.Length / 2]) / 2;
    }

    private static void Print(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    private sealed class Options
    {
        public Options(string[] args)
        {
            for (int i = 0; i < args.Length; i += 2)
            {
                string value = i + 1 < args.Length ? args[i + 1] : throw new ArgumentException($"{args[i]} wants a value");
                switch (args[i])
                {
                    case "--geometry": Geometry = value; break;
                    case "--type": Type = Enum.Parse<DType>(value, ignoreCase: true); break;
                    case "--kv": Kv = Enum.Parse<DType>(value, ignoreCase: true); break;
                    case "--prompt": Prompt = Int(value); break;
                    case "--decode": Decode = Int(value); break;
                    case "--batch": Batch = Int(value); break;
                    case "--threads": Threads = Int(value); break;
                    case "--runs": Runs = Int(value); break;
                    case "--rows": Rows = [.. value.Split(',').Select(Int)]; break;
                    default: throw new ArgumentException($"unknown option {args[i]}");
                }
            }
        }

        public string Geometry { get; } = "0.5b";

        public DType Type { get; } = DType.BF16;

        public DType Kv { get; } = DType.F32;

        public int Prompt { get; } = 512;

        public int Decode { get; } = 64;

        public int Batch { get; } = 1;

        public int Threads { get; } = Environment.ProcessorCount;

        public int Runs { get; } = 5;

        public int[] Rows { get; } = [1, 16, 512];

        private static int Int(string value) => int.Parse(value, CultureInfo.InvariantCulture);
    }

    private sealed class Bench : IDisposable
    {
        private const int BlockSize = 16;
        private readonly ModelGeometry _geometry;
        private readonly CpuDevice _device;
        private readonly LoadedModel _model;
        private readonly StepDriver _driver;
        private readonly DrivenSequence[] _sequences;
        private readonly SamplingInputs _sampling;
        private readonly SamplingResults _results;
        private readonly (DrivenSequence, int)[] _work;

        public Bench(Options options, int sequences, int maxTokens, int context)
        {
            _geometry = options.Geometry switch
            {
                "0.5b" => Geometry(896, 24, 14, 2, 64, 4864),
                "1.5b" => Geometry(1536, 28, 12, 2, 128, 8960),
                "7b" => Geometry(3584, 28, 28, 4, 128, 18944),
                "tiny" => Geometry(256, 6, 4, 2, 64, 1024) with { VocabularySize = 8192 },
                _ => throw new ArgumentException($"geometry {options.Geometry}: 0.5b, 1.5b, 7b or tiny"),
            };
            _device = new CpuDevice(new CpuOptions { Threads = options.Threads });
            _model = new RandomModel(_geometry, options.Type, tied: options.Geometry != "7b", seed: 1).Load(_device);
            int blocks = (context + BlockSize) / BlockSize;
            _driver = new StepDriver(
                _device, _geometry, new StepLimits(maxTokens, sequences, sequences, context + BlockSize), blocks * sequences, BlockSize, options.Kv,
                () => _model.Forward(0));
            var random = new Random(1);
            _sequences = new DrivenSequence[sequences];
            for (int s = 0; s < sequences; s++)
            {
                int[] tokens = [.. Enumerable.Range(0, context + 1).Select(_ => random.Next(_geometry.VocabularySize))];
                _sequences[s] = new DrivenSequence(tokens, s, [.. Enumerable.Range(s * blocks, blocks)]);
            }
            _sampling = new SamplingInputs(sequences, _geometry.VocabularySize);
            _results = new SamplingResults(sequences);
            _work = new (DrivenSequence, int)[sequences];
            Restart();
        }

        public long WeightBytes => _model.Bytes;

        /// <summary>Weights that a decoding step reads: everything, the table once, as the head.</summary>
        public long ReadBytes => _model.Bytes - (ReferenceEquals(_model.Head, _model.Embedding) ? 0 : _model.Embedding.Bytes);

        /// <summary>Of a token, the head left out.</summary>
        public double LinearFlops => _geometry.LayerCount * 2.0 * _geometry.HiddenSize
            * (_geometry.QkvSize + _geometry.HeadCount * _geometry.HeadDim + 3.0 * _geometry.IntermediateSize);

        public void Restart()
        {
            for (int s = 0; s < _sequences.Length; s++)
            {
                _sequences[s].Computed = 0;
                _device.AssignSlot(s, [], []);
            }
        }

        public void Prefill(int sequence, int tokens)
        {
            _driver.StepLast((_sequences[sequence], tokens));
            Sample(1, sequence);
        }

        public void Decode(int batch)
        {
            for (int s = 0; s < batch; s++) _work[s] = (_sequences[s], 1);
            _driver.StepLast(_work.AsSpan(0, batch));
            Sample(batch, 0);
        }

        public void Warm(int rows)
        {
            for (int i = 0; i < 3; i++) foreach (var _ in TimeOperations(rows)) { }
        }

        public List<(string Name, double Milliseconds)> TimeOperations(int rows)
        {
            bool decoding = rows <= 64;
            for (int s = 0; s < _sequences.Length; s++) _sequences[s].Computed = decoding ? 511 : 0;
            if (decoding) for (int s = 0; s < rows; s++) _work[s] = (_sequences[s], 1);
            else _work[0] = (_sequences[0], rows);
            _driver.StepLast(_work.AsSpan(0, decoding ? rows : 1));

            var times = new List<(string, double)>();
            void Time(string name, Action<LoadedLayer, int> operation)
            {
                long start = Stopwatch.GetTimestamp();
                for (int i = 0; i < _model.Layers.Length; i++) operation(_model.Layers[i], i);
                times.Add((name, Stopwatch.GetElapsedTime(start).TotalMilliseconds));
            }
            Time("NormQkvRopeStore", (l, i) => _device.NormQkvRopeStore(i, l.InputNorm, l.Qkv, _model.Rope));
            Time("Attend", (_, i) => _device.Attend(i, 0));
            Time("OutputAdd", (l, _) => _device.OutputAdd(l.Output, l.MlpNorm));
            Time("NormGateUpSwiglu", (l, _) => _device.NormGateUpSwiglu(l.MlpNorm, l.GateUp!));
            Time("DownAdd", (l, _) => _device.DownAdd(l.Down!, l.InputNorm));
            long begin = Stopwatch.GetTimestamp();
            _device.NormLogits(_model.FinalNorm, _model.Head);
            times.Add(("NormLogits", Stopwatch.GetElapsedTime(begin).TotalMilliseconds));
            foreach (bool greedy in new[] { true, false })
            {
                begin = Stopwatch.GetTimestamp();
                Sample(decoding ? rows : 1, 0, greedy);
                times.Add((greedy ? "Sample greedy" : "Sample T, top-k, top-p", Stopwatch.GetElapsedTime(begin).TotalMilliseconds));
            }
            return times;
        }

        public (double Bytes, double Flops) Cost(string name, int rows)
        {
            var l = _model.Layers[0];
            int n = _model.Layers.Length;
            double heads = (double)_geometry.HeadCount * _geometry.HeadDim;
            bool decoding = rows <= 64;
            double keys = decoding ? rows * 512.0 : rows * (rows + 1) / 2.0;
            (double bytes, double flops) = name switch
            {
                "NormQkvRopeStore" => (n * l.Qkv.Bytes, 2.0 * n * rows * _geometry.QkvSize * _geometry.HiddenSize),
                "Attend" => (n * (decoding ? keys : rows) * 8.0 * _geometry.KvHeadCount * _geometry.HeadDim, 4.0 * n * keys * heads),
                "OutputAdd" => (n * l.Output.Bytes, 2.0 * n * rows * heads * _geometry.HiddenSize),
                "NormGateUpSwiglu" => (n * l.GateUp!.Bytes, 4.0 * n * rows * _geometry.IntermediateSize * _geometry.HiddenSize),
                "DownAdd" => (n * l.Down!.Bytes, 2.0 * n * rows * _geometry.IntermediateSize * _geometry.HiddenSize),
                "NormLogits" => (_model.Head.Bytes, 2.0 * (decoding ? rows : 1) * _geometry.VocabularySize * _geometry.HiddenSize),
                _ => ((decoding ? rows : 1) * 4.0 * _geometry.VocabularySize, 0),
            };
            return (bytes, flops);
        }

        public void Dispose()
        {
            _model.Dispose();
            _device.Dispose();
        }

        private void Sample(int rows, int firstSlot, bool greedy = true)
        {
            _sampling.Count = rows;
            for (int i = 0; i < rows; i++)
            {
                _sampling.Rows[i] = greedy
                    ? new SamplingRow { LogitRow = i, Slot = firstSlot + i, Target = -1, TopP = 1, RepetitionPenalty = 1, TopLogProbs = -1, MaskRow = -1 }
                    : new SamplingRow
                    {
                        LogitRow = i,
                        Slot = firstSlot + i,
                        Target = -1,
                        Temperature = 0.7f,
                        TopP = 0.8f,
                        TopK = 20,
                        RepetitionPenalty = 1.05f,
                        TopLogProbs = -1,
                        MaskRow = -1,
                        Seed = 1,
                        Position = 1,
                    };
            }
            _device.Sample(_sampling);
            _device.Complete(_results);
        }

        private static ModelGeometry Geometry(int hidden, int layers, int heads, int kvHeads, int headDim, int intermediate) => new()
        {
            HiddenSize = hidden,
            LayerCount = layers,
            HeadCount = heads,
            KvHeadCount = kvHeads,
            HeadDim = headDim,
            IntermediateSize = intermediate,
            VocabularySize = hidden == 3584 ? 152064 : 151936,
            RmsNormEpsilon = 1e-6f,
        };
    }
}
