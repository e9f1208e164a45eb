using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;

namespace QwenServe.Benchmarks;

/// <summary>
/// Writes a checkpoint of any geometry with random BF16 (or F16) weights: norms near one, biases and embeddings of a trained model's size, and
/// projections scaled so that activations stay in range. Speed does not depend on the values; numerics on such a model are meaningful.
/// </summary>
internal static class RandomCheckpoint
{
    private const long ShardBytes = 4L << 30;

    public static int Run(string[] args)
    {
        var options = new Options(args, "random-checkpoint --geometry NAME --out DIR [--layers N] [--seed N] [--type bf16|f16] [--tokenizer DIR]\n  geometries: " + string.Join(", ", Geometries.ByName.Keys));
        string output = options.Required("out");
        var config = Geometries.Get(options.Required("geometry"), options.Integer("layers"));
        if (options.Integer("max-positions") is { } positions) config["max_position_embeddings"] = positions;
        if (options.Text("type") == "f16") config["torch_dtype"] = "float16";
        Write(output, config, options.Integer("seed") ?? 1);
        if (options.Text("tokenizer") is { } tokenizer)
            foreach (string file in Directory.GetFiles(tokenizer).Where(f => Path.GetFileName(f) != "config.json" && !f.Contains(".safetensors", StringComparison.Ordinal))) File.Copy(file, Path.Combine(output, Path.GetFileName(file)), overwrite: true);
        return 0;
    }

    public static void Write(string directory, JsonObject config, int seed)
    {
        Directory.CreateDirectory(directory);
        foreach (string stale in Directory.GetFiles(directory, "model*.safetensors*")) File.Delete(stale);
        File.WriteAllText(Path.Combine(directory, "config.json"), config.ToJsonString(new() { WriteIndented = true }));

        var shards = new List<List<(string Name, long[] Shape)>> { new() };
        long filled = 0, total = 0;
        foreach (var tensor in Tensors(config))
        {
            long bytes = Bytes(tensor.Shape);
            if (filled > 0 && filled + bytes > ShardBytes) { shards.Add([]); filled = 0; }
            shards[^1].Add(tensor);
            filled += bytes;
            total += bytes;
        }

        var map = new JsonObject();
        for (int i = 0; i < shards.Count; i++)
        {
            string file = shards.Count == 1 ? "model.safetensors" : string.Create(CultureInfo.InvariantCulture, $"model-{i + 1:00000}-of-{shards.Count:00000}.safetensors");
            WriteShard(Path.Combine(directory, file), shards[i], seed + i * 1000, (string?)config["torch_dtype"] == "float16");
            foreach (var (name, _) in shards[i]) map[name] = file;
        }
        if (shards.Count > 1)
            File.WriteAllText(Path.Combine(directory, "model.safetensors.index.json"),
                new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = total }, ["weight_map"] = map }.ToJsonString());
        Console.WriteLine($"{directory}: {total / 1e9:0.00} GB in {shards.Count} file(s)");
    }

    /// <summary>Names and shapes of every tensor of a Qwen2 or Qwen2-MoE model.</summary>
    public static IEnumerable<(string Name, long[] Shape)> Tensors(JsonObject config)
    {
        long Size(string name) => (long)config[name]!;
        long hidden = Size("hidden_size"), heads = Size("num_attention_heads"), head = (long?)config["head_dim"] ?? hidden / heads, kv = Size("num_key_value_heads") * head;
        yield return ("model.embed_tokens.weight", [Size("vocab_size"), hidden]);
        for (int i = 0; i < Size("num_hidden_layers"); i++)
        {
            string layer = $"model.layers.{i}.";
            yield return (layer + "input_layernorm.weight", [hidden]);
            yield return (layer + "post_attention_layernorm.weight", [hidden]);
            foreach (var (projection, rows) in new[] { ("q", heads * head), ("k", kv), ("v", kv) })
            {
                yield return ($"{layer}self_attn.{projection}_proj.weight", [rows, hidden]);
                yield return ($"{layer}self_attn.{projection}_proj.bias", [rows]);
            }
            yield return (layer + "self_attn.o_proj.weight", [hidden, heads * head]);
            if (config.ContainsKey("num_experts") && (i + 1) % Size("decoder_sparse_step") == 0 && config["mlp_only_layers"]?.AsArray().Any(l => (int)l! == i) != true)
            {
                yield return (layer + "mlp.gate.weight", [Size("num_experts"), hidden]);
                yield return (layer + "mlp.shared_expert_gate.weight", [1, hidden]);
                foreach (var tensor in Mlp(layer + "mlp.shared_expert.", Size("shared_expert_intermediate_size"), hidden)) yield return tensor;
                for (int e = 0; e < Size("num_experts"); e++)
                    foreach (var tensor in Mlp($"{layer}mlp.experts.{e}.", Size("moe_intermediate_size"), hidden)) yield return tensor;
            }
            else
                foreach (var tensor in Mlp(layer + "mlp.", Size("intermediate_size"), hidden)) yield return tensor;
        }
        yield return ("model.norm.weight", [hidden]);
        if (config["tie_word_embeddings"]?.GetValue<bool>() != true) yield return ("lm_head.weight", [Size("vocab_size"), hidden]);
    }

    private static IEnumerable<(string Name, long[] Shape)> Mlp(string prefix, long width, long hidden) =>
    [
        (prefix + "gate_proj.weight", [width, hidden]),
        (prefix + "up_proj.weight", [width, hidden]),
        (prefix + "down_proj.weight", [hidden, width]),
    ];

    private static long Bytes(long[] shape) => 2 * shape.Aggregate(1L, (a, b) => a * b);

    private static void WriteShard(string path, List<(string Name, long[] Shape)> tensors, int seed, bool half)
    {
        var header = new JsonObject { ["__metadata__"] = new JsonObject { ["format"] = "pt" } };
        long offset = 0;
        var ranges = new List<long>();
        foreach (var (name, shape) in tensors)
        {
            ranges.Add(offset);
            header[name] = new JsonObject
            {
                ["dtype"] = half ? "F16" : "BF16",
                ["shape"] = new JsonArray([.. shape.Select(s => (JsonNode)s)]),
                ["data_offsets"] = new JsonArray(offset, offset += Bytes(shape)),
            };
        }
        // Spaces behind the header, so that tensors lie on addresses that other readers can map.
        string json = header.ToJsonString();
        byte[] text = Encoding.UTF8.GetBytes(json.PadRight((json.Length + 7) & ~7)), length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, text.Length);
        using var file = File.OpenHandle(path, FileMode.Create, FileAccess.Write, preallocationSize: 8 + text.Length + offset);
        RandomAccess.Write(file, [.. length, .. text], 0);
        Parallel.For(0, tensors.Count, i => Fill(file, 8 + text.Length + ranges[i], tensors[i].Name, tensors[i].Shape, seed + i, half));
    }

    private static void Fill(Microsoft.Win32.SafeHandles.SafeFileHandle file, long offset, string name, long[] shape, int seed, bool half)
    {
        bool norm = name.EndsWith("norm.weight", StringComparison.Ordinal), bias = name.EndsWith("bias", StringComparison.Ordinal);
        bool table = name is "model.embed_tokens.weight" or "lm_head.weight";
        double scale = norm ? 0.1 : bias ? 0.2 : table ? 2 / Math.Sqrt(shape[^1]) : 0.8 / Math.Sqrt(shape[^1]), mean = norm ? 1 : 0;
        // One of 65,536 quantiles of the normal distribution for each 16 random bits.
        var quantiles = new ushort[65536];
        for (int i = 0; i < quantiles.Length; i++)
        {
            double value = mean + scale * NormalQuantile((i + 0.5) / quantiles.Length);
            quantiles[i] = half ? BitConverter.HalfToUInt16Bits((Half)value) : BFloat16(value);
        }

        ulong state = 0x9E3779B97F4A7C15UL * (ulong)(seed + 1) | 1;
        var buffer = new ushort[1 << 20];
        for (long left = Bytes(shape) / 2; left > 0;)
        {
            int count = (int)Math.Min(left, buffer.Length);
            for (int i = 0; i < count; i += 4)
            {
                state ^= state << 13; state ^= state >> 7; state ^= state << 17;
                ulong bits = state * 0x2545F4914F6CDD1DUL;
                for (int j = i; j < Math.Min(i + 4, count); j++, bits >>= 16) buffer[j] = quantiles[(ushort)bits];
            }
            RandomAccess.Write(file, MemoryMarshal.AsBytes(buffer.AsSpan(0, count)), offset);
            offset += 2L * count;
            left -= count;
        }
    }

    private static ushort BFloat16(double value)
    {
        uint bits = BitConverter.SingleToUInt32Bits((float)value);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>Acklam's rational approximation, relative error 1e-9: far below bf16.</summary>
    private static double NormalQuantile(double p)
    {
        if (p > 0.5) return -NormalQuantile(1 - p);
        if (p < 0.02425)
        {
            double t = Math.Sqrt(-2 * Math.Log(p));
            return (((((-7.784894002430293e-03 * t - 3.223964580411365e-01) * t - 2.400758277161838) * t - 2.549732539343734) * t + 4.374664141464968) * t + 2.938163982698783)
                / ((((7.784695709041462e-03 * t + 3.224671290700398e-01) * t + 2.445134137142996) * t + 3.754408661907416) * t + 1);
        }
        double q = p - 0.5, r = q * q;
        return (((((-3.969683028665376e+01 * r + 2.209460984245205e+02) * r - 2.759285104469687e+02) * r + 1.383577518672690e+02) * r - 3.066479806614716e+01) * r + 2.506628277459239) * q
            / (((((-5.447609879822406e+01 * r + 1.615858368580409e+02) * r - 1.556989798598866e+02) * r + 6.680131188771972e+01) * r - 1.328068155288572e+01) * r + 1);
    }
}
