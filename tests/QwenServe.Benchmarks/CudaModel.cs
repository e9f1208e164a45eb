using System.Diagnostics;
using System.Text.Json.Nodes;
using QwenServe.Compute;
using QwenServe.Compute.Cuda;
using QwenServe.Compute.Reference;

namespace QwenServe.Benchmarks;

/// <summary>
/// A geometry of the family with random weights on the CUDA device, without an engine above it: the time of each operation against the
/// bytes or operations it needs, decoding at several batch sizes with sampling and ids on the host, and prefill.
/// </summary>
internal static class CudaModel
{
    private const int BlockSize = 16;

    public static int RunOperations(string[] args)
    {
        var options = new Options(args, "cuda-ops [--geometry 7b] [--layers N] [--batches 1,8,32] [--context 600] [--long 8192] [--decode-only] [--path gemv|stream-k|cublas]");
        using var model = new Loaded(options, 8192);
        var g = model.Geometry;
        double copy = model.Device.MeasureCopy();
        Console.WriteLine($"copy rate {copy / 1e12:0.00} TB/s");
        int context = options.Integer("context") ?? 600;
        foreach (int batch in options.Integers("batches", 1, 8, 32, 64, 128, 256))
        {
            model.Begin(batch, context);
            if (options.Text("path") is { } path)
                model.Device.Ways = (_, _) => path switch { "gemv" => CudaDevice.Way.Gemv, "stream-k" => CudaDevice.Way.StreamK, _ => CudaDevice.Way.CublasLt };
            Console.WriteLine($"batch {batch}, context {context}: us a call, TB/s, share of the copy rate; norms by themselves in each");
            double step = 0;
            Line("NormQkvRopeStore", l => model.Device.NormQkvRopeStore(l, model.Layer(l).InputNorm, model.Layer(l).Qkv, model.Weights.Rope), 2.0 * g.QkvSize * g.HiddenSize, g.LayerCount);
            Line("Attend", l => model.Device.Attend(l, 0), 4.0 * batch * context * g.KvHeadCount * g.HeadDim, g.LayerCount);
            Line("OutputAdd", l => model.Device.OutputAdd(model.Layer(l).Output, model.Layer(l).MlpNorm), 2.0 * g.HeadCount * g.HeadDim * g.HiddenSize, g.LayerCount);
            if (g.ExpertCount == 0)
            {
                Line("NormGateUpSwiglu", l => model.Device.NormGateUpSwiglu(model.Layer(l).MlpNorm, model.Layer(l).GateUp!), 4.0 * g.IntermediateSize * g.HiddenSize, g.LayerCount);
                Line("DownAdd", l => model.Device.DownAdd(model.Layer(l).Down!, model.Layer(l).InputNorm), 2.0 * g.IntermediateSize * g.HiddenSize, g.LayerCount);
            }
            else
            {
                double hit = g.ExpertCount * (1 - Math.Pow(1 - (double)g.ExpertsPerToken / g.ExpertCount, batch));
                Line("NormRouteExperts", l => model.Device.NormRouteExperts(model.Layer(l).MlpNorm, model.Layer(l).Moe!), 6.0 * g.HiddenSize * (hit * g.ExpertIntermediateSize + g.SharedExpertIntermediateSize), g.LayerCount);
            }
            Line("NormLogits", _ => model.Device.NormLogits(model.Weights.FinalNorm, model.Weights.Head), 2.0 * g.VocabularySize * g.HiddenSize, 1);
            double whole = model.Device.Measure(model.Forward, 21);
            Console.WriteLine($"  whole step {whole:0.000} ms (sum of operations {step:0.000} ms)");

            void Line(string name, Action<int> operation, double bytes, int times)
            {
                double milliseconds = model.Device.Measure(() => { for (int l = 0; l < times; l++) operation(l); }, 15);
                step += milliseconds;
                double rate = bytes * times / (milliseconds / 1000);
                Console.WriteLine($"  {name,-18} {milliseconds * 1000 / times,8:0.0} us {rate / 1e12,6:0.00} TB/s {rate / copy,5:0%}");
            }
        }
        if (!options.Flag("decode-only"))
            foreach (var (batch, length) in new[] { (64, 8192), (1, 8192), (1, 32768), (8, 4096) })
            {
                if ((long)batch * length > model.Tokens) continue;
                model.Begin(batch, length);
                double ms = model.Device.Measure(() => { for (int l = 0; l < g.LayerCount; l++) model.Device.Attend(l, 0); }, 9) / g.LayerCount;
                double rate = 4.0 * batch * length * g.KvHeadCount * g.HeadDim / (ms / 1000);
                Console.WriteLine($"decode attention, batch {batch}, context {length}: {ms * 1000:0.0} us, {rate / 1e12:0.00} TB/s, {rate / copy:0%} of the copy rate");
            }
        if (options.Flag("decode-only")) return 0;
        foreach (int length in options.Integers("long", 2048, 8192, 32768))
        {
            if (length > model.Tokens) continue;
            int chunk = Math.Min(length, model.StepTokens);
            // The last chunk of the prompt: its queries see everything before it.
            double total = 0;
            for (int at = 0; at < length; at += chunk)
            {
                model.BeginPrefill(at, chunk);
                total += model.Device.Measure(() => model.Device.Attend(0, 0), 5);
            }
            double flops = 2.0 * g.HeadCount * g.HeadDim * length * (double)length;
            Console.WriteLine($"prefill attention, {length} tokens: {total:0.00} ms, {flops / (total / 1000) / 1e12:0} TFLOP/s");
        }
        model.BeginPrefill(0, model.StepTokens);
        foreach (var (name, rows, columns, operation) in new (string, double, double, Action)[]
        {
            ("qkv", g.QkvSize, g.HiddenSize, () => model.Device.NormQkvRopeStore(0, model.Layer(0).InputNorm, model.Layer(0).Qkv, model.Weights.Rope)),
            ("output", g.HiddenSize, g.HeadCount * g.HeadDim, () => model.Device.OutputAdd(model.Layer(0).Output, model.Layer(0).MlpNorm)),
            ("gate-up", 2 * g.IntermediateSize, g.HiddenSize, () => { if (g.ExpertCount == 0) model.Device.NormGateUpSwiglu(model.Layer(0).MlpNorm, model.Layer(0).GateUp!); }),
            ("down", g.HiddenSize, g.IntermediateSize, () => { if (g.ExpertCount == 0) model.Device.DownAdd(model.Layer(0).Down!, model.Layer(0).InputNorm); }),
        })
        {
            double ms = model.Device.Measure(operation, 9);
            Console.WriteLine($"{model.StepTokens} tokens, {name}: {ms:0.000} ms, {2 * rows * columns * model.StepTokens / (ms / 1000) / 1e12:0} TFLOP/s");
        }
        return 0;
    }

    /// <summary>Searches, for each batch size, the ways of the linear layers that make the whole step shortest.</summary>
    public static int RunSweep(string[] args)
    {
        var options = new Options(args, "cuda-sweep [--geometry 7b] [--layers N] [--batches 1,8,32] [--context 600] [--steps 200]");
        using var model = new Loaded(options, 8192);
        int context = options.Integer("context") ?? 600;
        foreach (int batch in options.Integers("batches", 1, 8, 32))
        {
            model.Begin(batch, context);
            var kinds = new[] { CudaDevice.Linear.Qkv, CudaDevice.Linear.Output, CudaDevice.Linear.GateUp, CudaDevice.Linear.Down, CudaDevice.Linear.Logits };
            var ways = new Dictionary<CudaDevice.Linear, CudaDevice.Way>();
            model.Device.Ways = (linear, _) => ways.GetValueOrDefault(linear, CudaDevice.Way.CublasLt);
            // Neighbours share the norm between them, so the search starts from each way for all.
            double now = double.MaxValue;
            var best = CudaDevice.Way.CublasLt;
            foreach (var way in Enum.GetValues<CudaDevice.Way>())
            {
                if (way == CudaDevice.Way.Gemv && batch > 8) continue;
                foreach (var kind in kinds) ways[kind] = way;
                double time = model.Device.Measure(model.Forward, 9);
                Console.WriteLine($"batch {batch}: all {way} {time:0.000} ms");
                if (time < now) (now, best) = (time, way);
            }
            foreach (var kind in kinds) ways[kind] = best;
            for (int round = 0; round < 2; round++)
                foreach (var kind in kinds)
                    foreach (var way in Enum.GetValues<CudaDevice.Way>())
                    {
                        var before = ways[kind];
                        if (way == before || (way == CudaDevice.Way.Gemv && batch > 8)) continue;
                        ways[kind] = way;
                        double time = model.Device.Measure(model.Forward, 9);
                        if (time < now) now = time;
                        else ways[kind] = before;
                    }
            Console.WriteLine($"batch {batch}: {now:0.000} ms; {string.Join(", ", ways.Select(w => $"{w.Key} {w.Value}"))}");
            model.Device.DropGraphs();
            double greedy = model.Decode(batch, context - 100, options.Integer("steps") ?? 200, false), sampled = model.Decode(batch, context - 100, options.Integer("steps") ?? 200, true);
            Console.WriteLine($"batch {batch}: greedy {greedy:0.000} ms, {batch / greedy * 1000:0} tok/s; sampled {sampled:0.000} ms, {batch / sampled * 1000:0} tok/s ({sampled / greedy - 1:+0.0%;-0.0%})");
        }
        return 0;
    }

    public static int Run(string[] args)
    {
        var options = new Options(args, "cuda-model [--geometry 7b] [--layers N] [--batches 1,8,32,256] [--context 500] [--steps 200] [--prefill 8192]");
        using var model = new Loaded(options, 8192);
        int context = options.Integer("context") ?? 500, steps = options.Integer("steps") ?? 200;
        foreach (int batch in options.Integers("batches", 1, 8, 32, 64, 128, 256))
        {
            double greedy = model.Decode(batch, context, steps, false), sampled = model.Decode(batch, context, steps, true);
            Console.WriteLine($"decode, batch {batch}, context {context}..{context + steps}: greedy {greedy:0.000} ms a step, {batch / greedy * 1000:0} tok/s; " +
                $"temperature 0.7 top_p 0.8 top_k 20 repetition 1.05 {sampled:0.000} ms, {batch / sampled * 1000:0} tok/s ({sampled / greedy - 1:+0.0%;-0.0%})");
        }
        foreach (int length in options.Integers("prefill", 512, 2048, 8192))
        {
            double ms = model.Prefill(length);
            Console.WriteLine($"prefill {length}: {ms:0.0} ms, {length / ms * 1000:0} tok/s");
        }
        return 0;
    }

    private sealed class Loaded : IDisposable
    {
        private readonly StepInputs _inputs;
        private readonly SamplingInputs _sampling;
        private readonly SamplingResults _results = new(256);
        private readonly int _blocksPerSequence, _blocks;
        private readonly HostMemory _memory;

        public Loaded(Options options, int stepTokens)
        {
            Device = CudaDevice.TryOpen(0, out string reason) ?? throw new ArgumentException(reason);
            string name = options.Text("geometry") ?? "7b";
            var config = Geometries.Get(name, options.Integer("layers"));
            Geometry = Sizes(config);
            StepTokens = options.Integer("step-tokens") ?? stepTokens;
            var g = Geometry;
            var clock = Stopwatch.StartNew();
            Device.Configure(g, null);
            Console.WriteLine($"{Device.Description}; {name}, {g.LayerCount} layers; kernels ready in {Device.KernelLoadTime.TotalSeconds:0.00} s");
            long largest = Math.Max((long)g.VocabularySize * g.HiddenSize, 2L * g.IntermediateSize * g.HiddenSize);
            _memory = RandomBf16(largest);
            clock.Restart();
            Weights = new LoadedModel(Device)
            {
                Embedding = Device.LoadEmbedding(Tensor(g.VocabularySize, g.HiddenSize), true),
                Head = Device.LoadLinear([Tensor(g.VocabularySize, g.HiddenSize)], []),
                FinalNorm = Device.LoadVector(Tensor(1, g.HiddenSize)),
                Rope = Device.LoadRope([.. Enumerable.Range(0, g.HeadDim / 2).Select(i => (float)Math.Pow(1e6, -2.0 * i / g.HeadDim))], 1, 40960),
                Layers = [.. Enumerable.Range(0, g.LayerCount).Select(_ => new LoadedLayer
                {
                    InputNorm = Device.LoadVector(Tensor(1, g.HiddenSize)),
                    Qkv = Device.LoadLinear([Tensor(g.QkvSize, g.HiddenSize)], [Tensor(1, g.QkvSize)]),
                    Output = Device.LoadLinear([Tensor(g.HiddenSize, g.HeadCount * g.HeadDim)], []),
                    MlpNorm = Device.LoadVector(Tensor(1, g.HiddenSize)),
                    GateUp = g.ExpertCount > 0 ? null : Device.LoadGateUp(Tensor(g.IntermediateSize, g.HiddenSize), Tensor(g.IntermediateSize, g.HiddenSize)),
                    Down = g.ExpertCount > 0 ? null : Device.LoadLinear([Tensor(g.HiddenSize, g.IntermediateSize)], []),
                    Moe = g.ExpertCount == 0 ? null : Device.LoadMoe(new MoeSource
                    {
                        Router = Tensor(g.ExpertCount, g.HiddenSize),
                        Experts = [.. Enumerable.Range(0, g.ExpertCount).Select(_ => (Tensor(g.ExpertIntermediateSize, g.HiddenSize), Tensor(g.ExpertIntermediateSize, g.HiddenSize), Tensor(g.HiddenSize, g.ExpertIntermediateSize)))],
                        SharedExpert = (Tensor(g.SharedExpertIntermediateSize, g.HiddenSize), Tensor(g.SharedExpertIntermediateSize, g.HiddenSize), Tensor(g.HiddenSize, g.SharedExpertIntermediateSize)),
                        SharedExpertGate = Tensor(1, g.HiddenSize),
                    }),
                })],
            };
            double gigabytes = Weights.Bytes / 1e9;
            Console.WriteLine($"weights: {gigabytes:0.0} GB in {clock.Elapsed.TotalSeconds:0.00} s, {gigabytes / clock.Elapsed.TotalSeconds:0.0} GB/s");
            var limits = new StepLimits(StepTokens, 256, 256, 40960);
            Device.AllocateStep(limits);
            _blocks = (int)Math.Min(64 * 8192 / BlockSize + 1024, Device.KvCacheBudget(0.9) / (BlockSize * g.KvElementsPerToken * 2));
            Device.AllocateKvCache(_blocks, BlockSize, DType.BF16);
            _blocksPerSequence = (limits.ContextLength + BlockSize - 1) / BlockSize;
            _inputs = new StepInputs(limits, _blocksPerSequence);
            _sampling = new SamplingInputs(256, g.VocabularySize);
        }

        public CudaDevice Device { get; }

        public ModelGeometry Geometry { get; }

        public LoadedModel Weights { get; }

        public int StepTokens { get; }

        public long Tokens => (long)_blocks * BlockSize;

        public LoadedLayer Layer(int index) => Weights.Layers[index];

        public void Forward() => Weights.Forward(0);

        public void Begin(int batch, int context, int token = 17)
        {
            _inputs.TokenCount = _inputs.SequenceCount = _inputs.LogitCount = batch;
            int blocks = (context + BlockSize - 1) / BlockSize, each = Math.Max(_blocks / batch, 1);
            for (int s = 0; s < batch; s++)
            {
                _inputs.TokenIds[s] = token == StepInputs.SampledInSlot ? token : token + s;
                _inputs.Positions[s] = context - 1;
                _inputs.QueryStarts[s] = s;
                _inputs.ContextLengths[s] = context;
                _inputs.Slots[s] = s;
                _inputs.LogitTokens[s] = s;
                // Blocks of a sequence are scattered over the cache.
                for (int b = 0; b < blocks; b++) _inputs.BlockTables[s * _blocksPerSequence + b] = (int)((s + (long)b * batch) * 7919 % _blocks);
            }
            _inputs.QueryStarts[batch] = batch;
            Device.Begin(_inputs);
        }

        public void BeginPrefill(int start, int count)
        {
            _inputs.TokenCount = count;
            _inputs.SequenceCount = _inputs.LogitCount = 1;
            for (int t = 0; t < count; t++)
            {
                _inputs.TokenIds[t] = (start + t) * 31 % 50000;
                _inputs.Positions[t] = start + t;
            }
            _inputs.QueryStarts[0] = 0;
            _inputs.QueryStarts[1] = count;
            _inputs.ContextLengths[0] = start + count;
            _inputs.Slots[0] = 0;
            _inputs.LogitTokens[0] = count - 1;
            for (int b = 0; b < (start + count + BlockSize - 1) / BlockSize; b++) _inputs.BlockTables[b] = (int)(b * 7919L % _blocks);
            Device.Begin(_inputs);
        }

        /// <summary>The median time of a step, the next being prepared while one runs.</summary>
        public double Decode(int batch, int context, int steps, bool sampled)
        {
            for (int s = 0; s < batch; s++) Device.AssignSlot(s, [1, 2, 3], []);
            var times = new List<double>();
            long last = 0;
            for (int step = 0; step < steps + 10; step++)
            {
                Begin(batch, context + step, step == 0 ? 17 : StepInputs.SampledInSlot);
                Device.Run(Forward);
                Draw(batch, context + step, sampled);
                if (step == 0) continue;
                Device.Complete(_results);
                long now = Stopwatch.GetTimestamp();
                if (step > 10) times.Add(Stopwatch.GetElapsedTime(last, now).TotalMilliseconds);
                last = now;
            }
            Device.Complete(_results);
            times.Sort();
            return times[times.Count / 2];
        }

        public double Prefill(int length)
        {
            double best = double.MaxValue;
            for (int round = 0; round < 4; round++)
            {
                long start = Stopwatch.GetTimestamp();
                for (int at = 0; at < length; at += StepTokens)
                {
                    BeginPrefill(at, Math.Min(StepTokens, length - at));
                    Device.Run(Forward);
                    Draw(1, length, false);
                }
                for (int at = 0; at < length; at += StepTokens) Device.Complete(_results);
                if (round > 0) best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
            return best;
        }

        private void Draw(int rows, int position, bool sampled)
        {
            _sampling.Count = rows;
            for (int r = 0; r < rows; r++)
                _sampling.Rows[r] = new SamplingRow
                {
                    LogitRow = r,
                    Slot = r,
                    Target = -1,
                    Temperature = sampled ? 0.7f : 0,
                    TopK = sampled ? 20 : 0,
                    TopP = sampled ? 0.8f : 1,
                    RepetitionPenalty = sampled ? 1.05f : 1,
                    Seed = (ulong)r,
                    Position = position,
                    TopLogProbs = -1,
                    MaskRow = -1,
                };
            Device.Sample(_sampling);
        }

        private HostTensor Tensor(long rows, long columns) => new("random", DType.BF16, rows, columns, _memory, 0);

        private static ModelGeometry Sizes(JsonObject config)
        {
            int Get(string key) => config[key]?.GetValue<int>() ?? 0;
            return new ModelGeometry
            {
                HiddenSize = Get("hidden_size"),
                LayerCount = Get("num_hidden_layers"),
                HeadCount = Get("num_attention_heads"),
                KvHeadCount = Get("num_key_value_heads"),
                HeadDim = Get("hidden_size") / Get("num_attention_heads"),
                IntermediateSize = Get("intermediate_size"),
                VocabularySize = Get("vocab_size"),
                RmsNormEpsilon = 1e-6f,
                ExpertCount = Get("num_experts"),
                ExpertsPerToken = Get("num_experts_per_tok"),
                ExpertIntermediateSize = Get("moe_intermediate_size"),
                SharedExpertIntermediateSize = Get("shared_expert_intermediate_size"),
            };
        }

        /// <summary>Normal numbers of deviation 0.02, a million of them repeated.</summary>
        private static HostMemory RandomBf16(long count)
        {
            ushort[] values = new ushort[1000003];
            var random = new Random(1);
            for (int i = 0; i < values.Length; i++)
            {
                double x = 0.02 * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
                values[i] = (ushort)(BitConverter.SingleToUInt32Bits((float)x) >> 16);
            }
            // Through a file: the largest matrices are more than a managed array takes.
            string path = Path.Combine(Path.GetTempPath(), $"qwenserve-random-{Environment.ProcessId}");
            try
            {
                using (var file = File.OpenHandle(path, FileMode.Create, FileAccess.Write))
                    for (long at = 0; at < count; at += values.Length)
                        RandomAccess.Write(file, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan(0, (int)Math.Min(values.Length, count - at))), 2 * at);
                return HostMemory.MapFile(path);
            }
            finally
            {
                File.Delete(path);
            }
        }

        public void Dispose()
        {
            Weights.Dispose();
            Device.Dispose();
            _memory.Dispose();
        }
    }
}
