using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenServe.Tests.Engine.Model;

/// <summary>Writes safetensors files, well-formed or spoiled by the caller in header or data.</summary>
internal static class SafetensorsWriter
{
    /// <summary>F32 tensors of the given shapes, filled from a seed.</summary>
    public static void Write(string path, IEnumerable<(string Name, long[] Shape)> tensors, Action<JsonObject>? spoil = null, int seed = 1)
    {
        var header = new JsonObject();
        long offset = 0;
        foreach (var (name, shape) in tensors)
        {
            long bytes = 4 * shape.Aggregate(1L, (a, b) => a * b);
            header[name] = new JsonObject
            {
                ["dtype"] = "F32",
                ["shape"] = new JsonArray([.. shape.Select(s => JsonValue.Create(s))]),
                ["data_offsets"] = new JsonArray(offset, offset + bytes),
            };
            offset += bytes;
        }
        spoil?.Invoke(header);
        var random = new Random(seed);
        var data = new byte[offset];
        for (int i = 0; i < data.Length; i += 4) BinaryPrimitives.WriteSingleLittleEndian(data.AsSpan(i), (float)(random.NextDouble() - 0.5));
        WriteRaw(path, header.ToJsonString(), data);
    }

    public static void WriteRaw(string path, string header, byte[] data, long? claimedHeaderBytes = null)
    {
        byte[] text = Encoding.UTF8.GetBytes(header), length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, claimedHeaderBytes ?? text.Length);
        File.WriteAllBytes(path, [.. length, .. text, .. data]);
    }

    /// <summary>A complete tiny dense checkpoint: hidden 8, one layer, two heads of 4, one key-value head, vocabulary 16.</summary>
    public static void WriteTinyCheckpoint(string directory, Action<List<(string Name, long[] Shape)>>? change = null, string config = TinyConfig)
    {
        File.WriteAllText(Path.Combine(directory, "config.json"), config);
        List<(string Name, long[] Shape)> tensors =
        [
            ("model.embed_tokens.weight", [16, 8]), ("model.norm.weight", [8]), ("lm_head.weight", [16, 8]),
            ("model.layers.0.input_layernorm.weight", [8]), ("model.layers.0.post_attention_layernorm.weight", [8]),
            ("model.layers.0.self_attn.q_proj.weight", [8, 8]), ("model.layers.0.self_attn.q_proj.bias", [8]),
            ("model.layers.0.self_attn.k_proj.weight", [4, 8]), ("model.layers.0.self_attn.k_proj.bias", [4]),
            ("model.layers.0.self_attn.v_proj.weight", [4, 8]), ("model.layers.0.self_attn.v_proj.bias", [4]),
            ("model.layers.0.self_attn.o_proj.weight", [8, 8]),
            ("model.layers.0.mlp.gate_proj.weight", [12, 8]), ("model.layers.0.mlp.up_proj.weight", [12, 8]), ("model.layers.0.mlp.down_proj.weight", [8, 12]),
        ];
        change?.Invoke(tensors);
        Write(Path.Combine(directory, "model.safetensors"), tensors);
    }

    public const string TinyConfig = """
        {"architectures":["Qwen2ForCausalLM"],"model_type":"qwen2","hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,
         "intermediate_size":12,"vocab_size":16,"max_position_embeddings":64,"rms_norm_eps":1e-6,"rope_theta":10000.0,"tie_word_embeddings":false}
        """;
}
