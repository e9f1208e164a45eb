"""Writes the fixtures of reward models, and of a bare Qwen2Model: small random checkpoints with a tokenizer of bytes, and what a second implementation
computes from them.

    python3 make_pooling_fixtures.py      (numpy; seconds; run beside the fixtures of make_fixtures.py)

The forward pass below is written from the paper and the model cards, apart from the server's. Before anything is written it computes the dense
fixtures that transformers made, from their files, and must agree with transformers' log-probs to 1e-4 everywhere. The heads follow the code that is
published with Qwen2.5-Math-RM-72B and Qwen2.5-Math-PRM-7B: Linear, ReLU, Linear; the last token, or softmax at the step token and class 1.
"""
import json
import pathlib
import re
import struct

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
SPECIAL = {"<|endoftext|>": 256, "<|im_start|>": 257, "<|im_end|>": 258, "<extra_0>": 259}
STEP_TOKEN = SPECIAL["<extra_0>"]
TEMPLATE = "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
QUESTION = {"role": "user", "content": "What is 12 + 30 - 2?"}
STEPS = ["12 + 30 = 42.", "42 - 2 = 40.", "The answer is 40."]


def read_safetensors(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        raw = data[8 + size + begin:8 + size + end]
        if entry["dtype"] == "BF16":
            values = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(raw, {"F32": np.float32, "F16": np.float16}[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"]).astype(np.float64)
    return tensors


def write_safetensors(path, tensors):
    """As BF16; the tensors hold values that BF16 has."""
    header, blobs, at = {}, [], 0
    for name, values in tensors.items():
        raw = (values.astype(np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": "BF16", "shape": list(values.shape), "data_offsets": [at, at + len(raw)]}
        blobs.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def round_bf16(values):
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)


def hidden_states(config, weights, ids, root="model."):
    """[tokens, hidden] after the last norm."""
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    d = config.get("head_dim") or config["hidden_size"] // heads
    theta = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
    n = len(ids)

    def norm(x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + config["rms_norm_eps"]) * weights[name]

    angles = np.arange(n)[:, None] * theta ** (-np.arange(0, d, 2) / d)[None, :]
    cos, sin = np.cos(angles)[:, None, :], np.sin(angles)[:, None, :]

    def rotate(x):
        a, b = x[..., :d // 2], x[..., d // 2:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    h = weights[root + "embed_tokens.weight"][ids]
    for layer in range(config["num_hidden_layers"]):
        at = f"{root}layers.{layer}."

        def project(x, name, bias=True):
            y = x @ weights[at + name + ".weight"].T
            return y + weights[at + name + ".bias"] if bias else y

        x = norm(h, at + "input_layernorm.weight")
        q = rotate(project(x, "self_attn.q_proj").reshape(n, heads, d))
        k = np.repeat(rotate(project(x, "self_attn.k_proj").reshape(n, kv_heads, d)), heads // kv_heads, 1)
        v = np.repeat(project(x, "self_attn.v_proj").reshape(n, kv_heads, d), heads // kv_heads, 1)
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(d)
        scores[:, np.triu(np.ones((n, n), bool), 1)] = -np.inf
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        h = h + project(np.einsum("hqk,khd->qhd", scores, v).reshape(n, heads * d), "self_attn.o_proj", False)
        x = norm(h, at + "post_attention_layernorm.weight")
        gate = project(x, "mlp.gate_proj", False)
        h = h + project(gate / (1 + np.exp(-gate)) * project(x, "mlp.up_proj", False), "mlp.down_proj", False)
    return norm(h, root + "norm.weight")


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def check_against_transformers(name):
    folder = HERE / name
    config = json.loads((folder / "config.json").read_text())
    weights = {}
    for file in sorted(folder.glob("*.safetensors")):
        weights.update(read_safetensors(file))
    ids = json.loads((folder / "tokens.json").read_text())["prompt"]
    head = weights["model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"]
    ours = log_softmax(hidden_states(config, weights, ids) @ head.T)
    theirs = np.frombuffer((folder / "logprobs.f32").read_bytes(), "<f4").reshape(ours.shape)
    worst = np.abs(ours - theirs).max()
    print(f"{name}: at most {worst:.1e} from transformers' log-probs")
    assert worst < 1e-4


def score(weights, hidden):
    if "score.weight" in weights:
        return hidden @ weights["score.weight"].T
    inner = np.maximum(hidden @ weights["score.0.weight"].T + weights["score.0.bias"], 0)
    return inner @ weights["score.2.weight"].T + weights["score.2.bias"]


def encode(text):
    """Each byte is the token of its number."""
    pieces = re.split("(" + "|".join(re.escape(s) for s in SPECIAL) + ")", text)
    return np.array([i for piece in pieces for i in ([SPECIAL[piece]] if piece in SPECIAL else piece.encode())])


def render(messages):
    return "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)


def write_tokenizer(folder, ends):
    """vocab.json, merges.txt and tokenizer_config.json; bytes are spelled as in GPT-2."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    spelled = {(chr(b) if b in printable else chr(256 + others.index(b))): b for b in range(256)}
    (folder / "vocab.json").write_text(json.dumps(spelled) + "\n")
    (folder / "merges.txt").write_text("")
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "added_tokens_decoder": {str(i): {"content": s, **flags} for s, i in SPECIAL.items()}, "chat_template": TEMPLATE,
        "eos_token": "<|endoftext|>" if ends else "<|im_end|>", "add_eos_token": ends, "tokenizer_class": "Qwen2Tokenizer",
    }, indent=2) + "\n")


def make(name, architecture, seed, heads_of, root="model."):
    random = np.random.default_rng(seed)
    hidden, inner, vocabulary, layers, heads, kv_heads, d = 32, 48, 264, 2, 2, 1, 16
    config = {
        "architectures": [architecture], "model_type": "qwen2", "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "vocab_size": vocabulary, "max_position_embeddings": 512, "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_sliding_window": False,
    }
    weights = {}

    def matrix(key, rows, columns, scale=1.2):
        weights[key] = round_bf16(scale * random.standard_normal((rows, columns)) / np.sqrt(columns))

    def vector(key, size, mean):
        weights[key] = round_bf16(mean + 0.3 * random.standard_normal(size))

    matrix(root + "embed_tokens.weight", vocabulary, hidden, 2.4)
    for layer in range(layers):
        at = f"{root}layers.{layer}."
        vector(at + "input_layernorm.weight", hidden, 1)
        for part, rows in (("q", heads * d), ("k", kv_heads * d), ("v", kv_heads * d)):
            matrix(f"{at}self_attn.{part}_proj.weight", rows, hidden)
            vector(f"{at}self_attn.{part}_proj.bias", rows, 0)
        matrix(at + "self_attn.o_proj.weight", hidden, heads * d)
        vector(at + "post_attention_layernorm.weight", hidden, 1)
        matrix(at + "mlp.gate_proj.weight", inner, hidden)
        matrix(at + "mlp.up_proj.weight", inner, hidden)
        matrix(at + "mlp.down_proj.weight", hidden, inner)
    vector(root + "norm.weight", hidden, 1)
    if heads_of == "classes":
        matrix("score.weight", 3, hidden)
    elif heads_of:
        matrix("score.0.weight", hidden, hidden)
        vector("score.0.bias", hidden, 0)
        matrix("score.2.weight", heads_of, hidden)
        vector("score.2.bias", heads_of, 0)

    golden = {}
    if heads_of:
        answer = "".join(s + "<extra_0>" for s in STEPS) if architecture == "Qwen2ForProcessRewardModel" else " ".join(STEPS)
        golden["messages"] = [QUESTION, {"role": "assistant", "content": answer}]
        ids = encode(render(golden["messages"]))
    else:
        golden["text"] = "A text of which the vector is wanted: 你好."
        ids = encode(golden["text"] + "<|endoftext|>")
    states = hidden_states(config, weights, ids, root)
    golden.update(prompt=ids.tolist(), last=states[-1].tolist(), mean=states.mean(0).tolist())
    if heads_of:
        scores = score(weights, states)
        if architecture == "Qwen2ForProcessRewardModel":
            golden["step_token"] = STEP_TOKEN
            golden["steps"] = np.exp(log_softmax(scores))[ids == STEP_TOKEN, 1].tolist()
        else:
            golden["scores"] = scores[-1].tolist()
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "pooled.json").write_text(json.dumps(golden) + "\n")
    write_tokenizer(folder, ends=not heads_of)
    if not heads_of:
        kinds = ("Transformer", "Pooling", "Normalize")
        modules = [{"idx": i, "name": str(i), "path": f"{i}_{k}" if i else "", "type": "sentence_transformers.models." + k} for i, k in enumerate(kinds)]
        (folder / "modules.json").write_text(json.dumps(modules, indent=2) + "\n")
        (folder / "1_Pooling").mkdir(exist_ok=True)
        modes = {f"pooling_mode_{m}": m == "mean_tokens" for m in ("cls_token", "mean_tokens", "max_tokens", "lasttoken")}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": hidden, **modes}, indent=2) + "\n")
    write_safetensors(folder / "model.safetensors", weights)


for fixture in ("dense-tied-64", "dense-untied-128", "dense-f16"):
    check_against_transformers(fixture)
make("reward", "Qwen2ForRewardModel", 1, 1)
make("process-reward", "Qwen2ForProcessRewardModel", 2, 2)
make("classification", "Qwen2ForSequenceClassification", 3, "classes")
make("embedding", "Qwen2Model", 4, None, root="")
