namespace QwenServe.Benchmarks;

/// <summary>One executable, one subcommand a benchmark: <c>qwenserve-bench NAME [options]</c>.</summary>
internal static class Program
{
    private static readonly Dictionary<string, (string Help, Func<string[], int> Run)> Benchmarks = new(StringComparer.Ordinal)
    {
        ["front"] = ("HTTP, JSON and events around a device that computes nothing: --streams N --tokens N --step-ms N --runs N", FrontBenchmark.Run),
        ["grammar"] = ("structured output: compile time, mask time and allocation with a real vocabulary", GrammarBenchmark.Run),
        ["load"] = ("load on any OpenAI-compatible server: latencies, goodput, errors (--url, --model, ...)", Load.LoadBenchmark.Run),
        ["overload"] = ("five times what a paced server can do: refusals, latencies, throughput, recovery: --seconds N --factor X --step-ms N", Endurance.OverloadBenchmark.Run),
        ["soak"] = ("clients of all kinds for long: memory flat, nothing left behind, no 5xx: --minutes N --clients N --interval SECONDS", Endurance.SoakBenchmark.Run),
        ["logprobs"] = ("log-probs of given ids through the engine, each way it can come to them, for logprobs.py: --model DIR --ids FILE --out DIR", Numerics.LogProbsCommand.Run),
        ["output"] = ("stop strings, reasoning and tool calls: throughput and allocation", OutputBenchmark.Run),
        ["scheduler"] = ("what a step costs the engine thread beside the device", SchedulerBenchmark.Run),
        ["cpu-ops"] = ("each operation of the CPU device beside the machine's limits: --geometry 0.5b|1.5b|7b --type bf16|f16|f32 --rows 1,16,512 --threads N --runs N", CpuBenchmark.Operations),
        ["cpu-model"] = ("prefill and decode on the CPU: --geometry 0.5b|1.5b|7b --type bf16 --kv f32 --prompt 512 --decode 64 --batch N --threads N --runs N", CpuBenchmark.Model),
        ["cuda-check"] = ("every operation of the CUDA device against the scalar oracle", CudaCheck.Run),
        ["cuda-model"] = ("decoding and prefill of a geometry on the CUDA device, without an engine", CudaModel.Run),
        ["cuda-ops"] = ("time and bandwidth of each operation of the CUDA device", CudaModel.RunOperations),
        ["cuda-sweep"] = ("the fastest ways of the linear layers on the CUDA device, by batch size", CudaModel.RunSweep),
        ["engine"] = ("decoding and prefill of a checkpoint through the engine, on any device: --model DIR --device auto|cpu|cuda --batches 1,8 --context 500 --steps 200", EngineBenchmark.Run),
        ["random-checkpoint"] = ("write a checkpoint of any geometry with random weights", RandomCheckpoint.Run),
        ["tokenizer"] = ("loading a vocabulary and encoding English, Chinese, code and emoji", TokenizerBenchmark.Run),
    };

    private static int Main(string[] args)
    {
        if (args.Length > 0 && Benchmarks.TryGetValue(args[0], out var benchmark))
        {
            try
            {
                return benchmark.Run(args[1..]);
            }
            catch (ArgumentException e)
            {
                Console.Error.WriteLine(e.Message);
                return 2;
            }
        }
        Console.Error.WriteLine("usage: qwenserve-bench NAME [options]");
        foreach (var (name, (help, _)) in Benchmarks.OrderBy(b => b.Key, StringComparer.Ordinal)) Console.Error.WriteLine($"  {name,-16} {help}");
        return 2;
    }
}
