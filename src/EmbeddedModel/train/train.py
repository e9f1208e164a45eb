"""Trains the embedded model on one GPU: python3 train.py OUT --steps N. About ten minutes on an H200.

Qwen2's architecture in plain PyTorch, documents packed end to end with attention inside each document only and positions from its start, so
that training sees what serving does. Hidden matrices by Muon (Jordan et al. 2024), the rest by AdamW; warm-up, plateau, linear decay to zero.
fp32 master weights, bf16 autocast. The result is written in the Hugging Face layout with BF16 weights.
"""

import argparse
import inspect
import json
import shutil
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import shards
from tokenizer import VOCABULARY

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD, INTERMEDIATE, THETA, EPS = 256, 8, 4, 2, 64, 512, 100_000.0, 1e-6

try:
    from torch.nn.attention.varlen import varlen_attn
    _PARAMETERS = set(inspect.signature(varlen_attn).parameters)
except ImportError:
    varlen_attn, _PARAMETERS = None, set()


def attention(q, k, v, cu):
    """Causal attention inside each document. q, k, v [N, heads, 64]; cu [D + 1] borders."""
    if "is_causal" in _PARAMETERS:
        return varlen_attn(q, k, v, cu, cu, shards.LENGTH, shards.LENGTH, is_causal=True)
    if "window_size" in _PARAMETERS:
        return varlen_attn(q, k, v, cu, cu, shards.LENGTH, shards.LENGTH, window_size=(-1, 0))
    return torch.ops.aten._flash_attention_forward(q, k, v, cu, cu, shards.LENGTH, shards.LENGTH, 0.0, True, False)[0]


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HIDDEN))

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * self.weight


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(HIDDEN, HEADS * HEAD)
        self.k_proj = nn.Linear(HIDDEN, KV_HEADS * HEAD)
        self.v_proj = nn.Linear(HIDDEN, KV_HEADS * HEAD)
        self.o_proj = nn.Linear(HEADS * HEAD, HIDDEN, bias=False)

    def forward(self, x, cos, sin, cu):
        def rotate(y):
            a, b = y.float().chunk(2, -1)
            return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).bfloat16()
        n = x.shape[0]
        q = rotate(self.q_proj(x).view(n, HEADS, HEAD))
        k = rotate(self.k_proj(x).view(n, KV_HEADS, HEAD)).repeat_interleave(HEADS // KV_HEADS, 1)
        v = self.v_proj(x).view(n, KV_HEADS, HEAD).bfloat16().repeat_interleave(HEADS // KV_HEADS, 1)
        return self.o_proj(attention(q, k, v, cu).reshape(n, HEADS * HEAD))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj = nn.Linear(HIDDEN, INTERMEDIATE, bias=False)
        self.up_proj = nn.Linear(HIDDEN, INTERMEDIATE, bias=False)
        self.down_proj = nn.Linear(INTERMEDIATE, HIDDEN, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm, self.self_attn, self.post_attention_layernorm, self.mlp = Norm(), Attention(), Norm(), Mlp()

    def forward(self, x, cos, sin, cu):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, cu)
        return x + self.mlp(self.post_attention_layernorm(x))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, HIDDEN)
        self.layers = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = Norm()
        for name, p in self.named_parameters():
            if p.ndim == 2:
                nn.init.zeros_(p) if "o_proj" in name or "down_proj" in name else nn.init.normal_(p, std=.02 if "embed" in name else .5 * p.shape[1] ** -.5)
            elif name.endswith("bias"):
                nn.init.zeros_(p)
        angles = torch.arange(shards.LENGTH).float()[:, None] * THETA ** (-torch.arange(0, HEAD, 2).float() / HEAD)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, tokens, positions, cu, targets, weights):
        """The weighted mean loss, and the plain loss over what the assistant says."""
        cos, sin = self.cos[positions][:, None], self.sin[positions][:, None]
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, cos, sin, cu)
        logits = F.linear(self.norm(x), self.embed_tokens.weight)
        loss = F.cross_entropy(logits.float(), targets, reduction="none")
        said = (weights == 1).float()
        return (loss * weights).sum() / weights.sum(), (loss.detach() * said).sum() / said.sum()


@torch.compile(dynamic=False)
def orthogonal(g):
    """Newton-Schulz iteration towards the nearest semi-orthogonal matrix. g [B, rows, columns], rows <= columns."""
    x = g.bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x


class Muon:
    """Momentum orthogonalised, all matrices of one shape at once."""

    def __init__(self, parameters, lr, momentum=.95, decay=.02):
        self.lr, self.momentum, self.decay, self.factor = lr, momentum, decay, 1.0
        groups = {}
        for p in parameters:
            groups.setdefault(p.shape, []).append(p)
        self.groups = list(groups.values())
        self.buffers = [torch.zeros(len(g), *g[0].shape, device=g[0].device) for g in self.groups]

    @torch.no_grad()
    def step(self):
        for group, buffer in zip(self.groups, self.buffers):
            g = torch.stack([p.grad for p in group])
            buffer.lerp_(g, 1 - self.momentum)
            u = g.lerp_(buffer, self.momentum)
            tall = u.shape[1] > u.shape[2]
            u = orthogonal(u.mT.contiguous() if tall else u)
            u = (u.mT if tall else u).float()
            lr = self.lr * self.factor
            scale = lr * max(1, u.shape[1] / u.shape[2]) ** .5
            torch._foreach_mul_(group, 1 - lr * self.decay)
            torch._foreach_add_(group, list(u.unbind()), alpha=-scale)


def export(model: Model, folder: Path, tokenizer: Path) -> None:
    """The Hugging Face layout, BF16."""
    from safetensors.torch import save_file
    folder.mkdir(parents=True, exist_ok=True)
    state = {"model." + k: v.detach().to(torch.bfloat16).cpu().contiguous() for k, v in model.state_dict().items()}
    save_file(state, str(folder / "model.safetensors"), metadata={"format": "pt"})
    end, stop = VOCABULARY - 22, VOCABULARY - 20
    config = {
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": end, "eos_token_id": stop, "hidden_act": "silu", "hidden_size": HIDDEN, "initializer_range": 0.02,
        "intermediate_size": INTERMEDIATE, "max_position_embeddings": shards.LENGTH, "max_window_layers": LAYERS, "model_type": "qwen2", "num_attention_heads": HEADS, "num_hidden_layers": LAYERS,
        "num_key_value_heads": KV_HEADS, "rms_norm_eps": EPS, "rope_theta": THETA, "sliding_window": None, "tie_word_embeddings": True, "torch_dtype": "bfloat16", "use_cache": True,
        "use_sliding_window": False, "vocab_size": VOCABULARY}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    generation = {"bos_token_id": end, "do_sample": False, "eos_token_id": [stop, end], "max_new_tokens": 1024, "pad_token_id": end}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if tokenizer.resolve() != folder.resolve():
            shutil.copyfile(tokenizer / name, folder / name)


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("out", type=Path)
    a.add_argument("--steps", type=int, default=12000)
    a.add_argument("--decay", type=float, default=.4, help="the part of the steps over which the rate falls to zero")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates")
    a.add_argument("--tokenizer", type=Path, help="folder of tokenizer.json; trained first when absent")
    a.add_argument("--resume", type=Path, help="a checkpoint to go on from, with a fresh schedule")
    a.add_argument("--shards", type=Path, default=Path("/tmp/shards"))
    a.add_argument("--processes", type=int, default=15)
    a.add_argument("--reuse", type=int, default=1, help="how often each shard is seen; more where the generator cannot keep up")
    o = a.parse_args()

    torch.manual_seed(o.seed)
    torch.set_float32_matmul_precision("high")
    began = time.time()
    folder = o.tokenizer or o.out
    if not (folder / "tokenizer.json").exists():
        import tokenizer as t
        t.train(folder)
    need = -(-o.steps // o.reuse)
    workers = shards.start(o.shards, str(folder / "tokenizer.json"), o.seed, o.processes, 0, need)

    model = Model().cuda()
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {time.time() - began:.0f} s", flush=True)
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    muon = Muon(matrices, .02 * o.rate)
    adam = torch.optim.AdamW(others, lr=.003 * o.rate, betas=(.9, .95), eps=1e-10, weight_decay=0, fused=True)
    if o.resume:
        if o.resume.suffix == ".safetensors":
            from safetensors.torch import load_file
            model.load_state_dict({k.removeprefix("model."): v.float() for k, v in load_file(str(o.resume)).items()})
            state = {}
        else:
            state = torch.load(o.resume, map_location="cuda")
            model.load_state_dict(state["model"])
            adam.load_state_dict(state["adam"])
        for b, s in zip(muon.buffers, state.get("muon", ())):
            b.copy_(s)
        for g in adam.param_groups:
            g["lr"] = .003 * o.rate
    forward = torch.compile(model, dynamic=False)

    def batch(step):
        index = step % need
        shards.wait(o.shards, index)
        t, w, p, cu = shards.load(o.shards, index)
        t, p, cu = torch.from_numpy(t.astype("int64")), torch.from_numpy(p.astype("int64")), torch.from_numpy(cu.copy())
        w = torch.from_numpy(w.copy())
        targets, ahead = t.roll(-1), w.roll(-1)
        ends = cu[1:].long() - 1
        ahead[ends] = 255  # nothing is predicted across a border
        return [x.pin_memory().cuda(non_blocking=True) for x in (t, p, cu, targets, ahead)]

    from concurrent.futures import ThreadPoolExecutor
    pool = ThreadPoolExecutor(3)
    ahead = [pool.submit(batch, s) for s in range(6)]
    adam_rate = .003 * o.rate
    marked, seen = time.time(), 0.0
    plateau = int(o.steps * (1 - o.decay))
    for step in range(o.steps):
        if step == plateau:
            o.out.mkdir(parents=True, exist_ok=True)
            torch.save({"model": model.state_dict(), "adam": adam.state_dict()}, o.out / "plateau.pt")
        t, p, cu, targets, w8 = ahead.pop(0).result()
        if step + 6 < o.steps:
            ahead.append(pool.submit(batch, step + 6))
        progress = step / o.steps
        factor = min(1, (step + 1) / 100) * min(1, (1 - progress) / o.decay)
        context = .1 if progress < .3 and not o.resume else .03
        weights = torch.where(w8 == 1, 1.0, torch.where(w8 == 0, context, 0.0))
        with torch.autocast("cuda", torch.bfloat16):
            loss, said = forward(t, p, cu, targets, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        muon.factor = factor
        for g in adam.param_groups:
            g["lr"] = adam_rate * factor
        muon.step()
        adam.step()
        model.zero_grad(set_to_none=True)
        seen = seen + (said.detach() - seen) * .1
        if (step + 1) % 100 == 0 or step == 10:
            torch.cuda.synchronize()
            now = time.time()
            made = len(list(o.shards.glob("*.npy"))) if (step + 1) % 500 == 0 else -1
            print(f"step {step + 1} loss {float(loss.detach()):.3f} said {float(seen):.4f} rate {factor:.2f} {shards.TOKENS * (100 if step != 10 else 11) / (now - marked) / 1e6:.2f} M tokens/s {now - began:.0f} s made {made}", flush=True)
            marked = now
    export(model, o.out, folder)
    torch.save({"model": model.state_dict(), "adam": adam.state_dict(), "muon": muon.buffers}, o.out / "checkpoint.pt")
    for p in workers:
        p.terminate()
    print(f"done in {time.time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
