"""Writes the golden fixtures: small random Qwen2 checkpoints and what transformers computes from them.

    python3 make_fixtures.py OUT        (transformers 5.17, torch 2.11; CPU; seconds)

Parameters are drawn in fp32, every bias and norm included (transformers leaves them at 0 and 1, which would hide their absence), rounded to
the stored type, saved, and loaded again; references are computed in fp32 from the saved files. Each fixture is a folder with the checkpoint,
tokens.json (prompt, greedy continuation, and how far transformers' own bf16 run is from its fp32 run) and logprobs.f32: little-endian
[positions, vocabulary] log-probabilities of the prompt.
"""
import json
import math
import os
import shutil
import sys

import torch
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen2MoeConfig, Qwen2MoeForCausalLM

VOCAB = 256
COMMON = dict(vocab_size=VOCAB, max_position_embeddings=512, rms_norm_eps=1e-6, bos_token_id=None, eos_token_id=None, pad_token_id=None)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=48)

# name: (config, stored type, prompt length, spelling, shard size)
FIXTURES = {
    # The 0.5B's shape in small: tied, heads of 64, seven queries a key.
    "dense-tied-64": (Qwen2Config(hidden_size=96, num_hidden_layers=3, num_attention_heads=7, num_key_value_heads=1, head_dim=64, intermediate_size=200,
                                  tie_word_embeddings=True, rope_parameters=dict(rope_type="default", rope_theta=1e6), **COMMON), torch.bfloat16, 96, "new", None),
    # The 14B's: untied, heads of 128, five queries a key.
    "dense-untied-128": (Qwen2Config(hidden_size=80, num_hidden_layers=2, num_attention_heads=5, num_key_value_heads=1, head_dim=128, intermediate_size=144,
                                     tie_word_embeddings=False, rope_parameters=dict(rope_type="default", rope_theta=1e6), **COMMON), torch.bfloat16, 96, "old", "200KB"),
    # No head_dim key, six queries a key, 16-bit floats.
    "dense-f16": (Qwen2Config(hidden_size=192, num_hidden_layers=2, num_attention_heads=12, num_key_value_heads=2, intermediate_size=96,
                              tie_word_embeddings=True, rope_parameters=dict(rope_type="default", rope_theta=10000.0), **COMMON), torch.float16, 64, "old", None),
    # Past the original length, with the frequencies of YaRN.
    "yarn": (Qwen2Config(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=64, intermediate_size=96,
                         tie_word_embeddings=False, rope_parameters=YARN, **{**COMMON, "max_position_embeddings": 48}), torch.float32, 160, "new", None),
    "yarn-old-spelling": (Qwen2Config(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, head_dim=32, intermediate_size=64,
                                      tie_word_embeddings=True, rope_parameters=YARN, **{**COMMON, "max_position_embeddings": 48}), torch.bfloat16, 160, "old", None),
    # Layers 1 and 2 see 16 keys.
    "sliding-window": (Qwen2Config(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=1, head_dim=32, intermediate_size=96,
                                   use_sliding_window=True, sliding_window=16, max_window_layers=1, tie_word_embeddings=False,
                                   rope_parameters=dict(rope_type="default", rope_theta=10000.0), **COMMON), torch.bfloat16, 96, "old", None),
    # The shipped mixtures: every layer sparse, weights not renormalised.
    "moe": (Qwen2MoeConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4, intermediate_size=96, moe_intermediate_size=32,
                           shared_expert_intermediate_size=80, num_experts=8, num_experts_per_tok=3, norm_topk_prob=False, decoder_sparse_step=1,
                           tie_word_embeddings=False, rope_parameters=dict(rope_type="default", rope_theta=1e6), **COMMON), torch.bfloat16, 64, "old", None),
    # Every second layer sparse, layer 3 held dense, weights renormalised.
    "moe-mixed": (Qwen2MoeConfig(hidden_size=64, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, intermediate_size=96, moe_intermediate_size=48,
                                 shared_expert_intermediate_size=64, num_experts=6, num_experts_per_tok=2, norm_topk_prob=True, decoder_sparse_step=2, mlp_only_layers=[3],
                                 tie_word_embeddings=False, rope_parameters=dict(rope_type="default", rope_theta=1e6), **COMMON), torch.bfloat16, 64, "new", None),
}


def randomise(model, generator):
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.data = 1 + 0.3 * torch.randn(parameter.shape, generator=generator)
        elif name.endswith("bias"):
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
        elif "embed_tokens" in name or "lm_head" in name:
            parameter.data = 0.6 * torch.randn(parameter.shape, generator=generator) / math.sqrt(parameter.shape[-1]) * 4
        else:
            parameter.data = 1.2 * torch.randn(parameter.shape, generator=generator) / math.sqrt(parameter.shape[-1])


def old_spelling(path):
    """config.json as transformers 4 wrote it."""
    with open(path) as f:
        config = json.load(f)
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    if rope["rope_type"] != "default":
        rope["type"] = rope.pop("rope_type")
        config["rope_scaling"] = rope
    config["torch_dtype"] = config.pop("dtype")
    config.pop("layer_types", None)
    with open(path, "w") as f:
        json.dump(config, f, indent=2)


def check_inverse_frequencies(model, config):
    rope = config.rope_parameters
    if rope["rope_type"] == "default":
        dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        expected = rope["rope_theta"] ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
        assert torch.allclose(model.model.rotary_emb.inv_freq.double(), expected, rtol=1e-6), "the rotary table was rounded"


def make(name, out):
    config, stored, length, spelling, shard = FIXTURES[name]
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    model = (Qwen2MoeForCausalLM if isinstance(config, Qwen2MoeConfig) else Qwen2ForCausalLM)(config)
    randomise(model, generator)
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(stored)
    model.config.dtype = stored
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    if os.path.exists(os.path.join(folder, "generation_config.json")):
        os.remove(os.path.join(folder, "generation_config.json"))

    load = lambda dtype: AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
    model = load(torch.float32)
    check_inverse_frequencies(model, model.config)
    prompt = torch.randint(0, VOCAB, (1, length), generator=generator)
    with torch.no_grad():
        logprobs = torch.log_softmax(model(prompt).logits[0].double(), -1).float()
        half = torch.log_softmax(load(torch.bfloat16)(prompt).logits[0].double(), -1).float()
        tokens, gaps = prompt, []
        for _ in range(24):
            logits = model(tokens).logits[0, -1]
            top = torch.topk(logits, 2).values
            gaps.append(float(top[0] - top[1]))
            tokens = torch.cat([tokens, logits.argmax().view(1, 1)], 1)
    difference = (half - logprobs).abs()
    with open(os.path.join(folder, "tokens.json"), "w") as f:
        json.dump({"prompt": prompt[0].tolist(), "greedy": tokens[0, length:].tolist(), "greedy_gaps": [round(g, 5) for g in gaps],
                   "bf16_mean": float(difference.mean()), "bf16_max": float(difference.max()),
                   "bf16_top1": float((half.argmax(-1) == logprobs.argmax(-1)).float().mean())}, f)
    logprobs.numpy().astype("<f4").tofile(os.path.join(folder, "logprobs.f32"))
    if spelling == "old":
        old_spelling(os.path.join(folder, "config.json"))
    size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
    print(f"{name}: {size / 1e3:.0f} kB, bf16 mean {difference.mean():.2e} max {difference.max():.2e}, smallest greedy gap {min(gaps):.4f}")


if __name__ == "__main__":
    torch.set_num_threads(4)
    for fixture in FIXTURES:
        make(fixture, sys.argv[1])
