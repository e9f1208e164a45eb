"""Compares the engine's log-probs with those of transformers on the same ids.

    qwenserve-bench logprobs --model MODEL --out RUN ...     what the engine computes, for each MODEL
    python3 logprobs.py RUN... [--out TABLE.md] [--device cuda|cpu]

The reference is transformers in fp32 (TF32 off, eager attention); the yardstick is how far its own bf16 run (SDPA) is from that, over exactly the
same entries: at each position a fixed sample of the vocabulary and the sequence's own token. Of the engine are asked: a mean |difference| of at most
1.2 times the yardstick's, a largest one of at most twice, the same most probable token at most half a point less often, and greedy text that is
fp32's up to the first step whose two best lie closer than twice the yardstick's largest difference. Exits with 1 when anything is missed.

Wants torch, NumPy and transformers 5; --self-check wants NumPy only.
"""
import argparse
import gc
import json
import os
import sys
import time
import traceback

import numpy as np

MEAN, LARGEST, TOP1 = 1.2, 2.0, 0.005
# Between the log-probs that the engine hands out and those of its own logits.
REPORTED = 1e-3
HEADER = ("| model | mode | positions | mean, ours | largest | top-1 | mean, bf16 | largest | top-1 | mean x | largest x | |\n"
          "|---|---|---|---|---|---|---|---|---|---|---|---|")


def rows_of(mode, scores):
    """The rows of a mode's positions, from scores by sequence."""
    parts = [tuple(a[s["first"] - 1:s["first"] - 1 + s["rows"]] for a in scores[tuple(s["ids"])]) for s in mode["sequences"] if s["rows"]]
    return tuple(np.concatenate(columns) for columns in zip(*parts))


def greedy_text(mode, scores, bound):
    """(steps that had to be fp32's, those that were not, steps beyond whose two best are far apart, those of them that were not fp32's)"""
    due = wrong = later = later_wrong = 0
    for s in mode["sequences"]:
        _, top, gap = scores[tuple(s["ids"])]
        near = False
        for position in range(s["first"], s["first"] + s["rows"]):
            near |= gap[position - 1] < bound
            differs = s["ids"][position] != top[position - 1]
            if not near:
                due += 1
                wrong += differs
                # After a wrong step the texts are different ones.
                if differs:
                    near = True
            elif gap[position - 1] >= bound:
                later += 1
                later_wrong += differs
    return due, wrong, later, later_wrong


def compare(mode, ours, single, half):
    """Verdict and figures of a mode. ours: [rows, entries]; single, half: scores by sequence in fp32 and bf16."""
    expected, top, _ = rows_of(mode, single)
    other, other_top, _ = rows_of(mode, half)
    if ours.shape != expected.shape:
        raise ValueError(f"{mode['name']}: {ours.shape} log-probs, {expected.shape} of the reference")
    mine, theirs = np.abs(ours.astype(np.float64) - expected), np.abs(other - expected)
    own_top = np.array(mode["top1"])
    result = dict(positions=len(ours), mean=mine.mean(), largest=mine.max(), top1=(own_top == top).mean(),
                  bf16_mean=theirs.mean(), bf16_largest=theirs.max(), bf16_top1=(other_top == top).mean(), missed=[])
    if not result["mean"] <= MEAN * result["bf16_mean"]:
        result["missed"].append("mean")
    if not result["largest"] <= LARGEST * result["bf16_largest"]:
        result["missed"].append("largest")
    if result["top1"] < result["bf16_top1"] - TOP1:
        result["missed"].append("top-1")
    if mode["reported_difference"] > REPORTED:
        result["missed"].append("log-probs handed out")
    if mode["name"] == "greedy":
        bound = LARGEST * result["bf16_largest"]
        result["greedy"] = (bound, *greedy_text(mode, single, bound))
        if result["greedy"][2]:
            result["missed"].append("greedy text")
    return result


def line(model, mode, r):
    verdict = "missed: " + ", ".join(r["missed"]) if r["missed"] else "kept"
    return (f"| {model} | {mode} | {r['positions']} | {r['mean']:.2e} | {r['largest']:.2e} | {r['top1']:.2%} | {r['bf16_mean']:.2e} | {r['bf16_largest']:.2e} | "
            f"{r['bf16_top1']:.2%} | {r['mean'] / r['bf16_mean']:.2f} | {r['largest'] / r['bf16_largest']:.2f} | {verdict} |")


def load(directory, dtype, attention, device):
    import torch
    from transformers import AutoModelForCausalLM
    options = dict(dtype=dtype, attn_implementation=attention)
    with open(os.path.join(directory, "config.json")) as f:
        if json.load(f)["model_type"].endswith("moe"):
            # The plain loop over experts: the grouped product does not take every type and size.
            options["experts_implementation"] = "eager"
    try:
        model = AutoModelForCausalLM.from_pretrained(directory, **options)
    except (TypeError, ValueError):
        if options.pop("experts_implementation", None) is None:
            raise
        model = AutoModelForCausalLM.from_pretrained(directory, **options)
    model = model.to(device).eval()
    types = {p.dtype for p in model.parameters()}
    if dtype not in types:
        raise RuntimeError(f"{directory}: asked for {dtype}, loaded {types}")
    if model.config._attn_implementation != attention:
        raise RuntimeError(f"attention is {model.config._attn_implementation}, not {attention}")
    return model


def rope_is_exact(model):
    """Whether the rotary frequencies were kept in fp32: no real table consists of bf16 numbers alone."""
    import torch
    tables = [b for name, b in model.named_buffers() if name.endswith("inv_freq")]
    return bool(tables) and all(b.dtype == torch.float32 and not torch.equal(b.bfloat16().float(), b) for b in tables)


def score(model, sequences, sample, device):
    """For each sequence (log-probs [n - 1, sample + 1], most probable id [n - 1], gap of the two best [n - 1]); row p - 1 is for token p."""
    import torch
    ids_of_sample = torch.tensor(sample, device=device)
    scores, spread = {}, []
    with torch.inference_mode():
        for ids in sequences:
            given = torch.tensor([ids[:-1]], device=device)
            logits = model(input_ids=given, use_cache=False).logits[0]
            if logits.shape[0] != len(ids) - 1:
                raise RuntimeError(f"{logits.shape[0]} rows of logits for {len(ids) - 1} ids")
            spread.append(logits.float().std(-1).mean().item())
            parts = []
            for first in range(0, len(ids) - 1, 256):
                rows = torch.log_softmax(logits[first:first + 256].double(), -1)
                own = torch.tensor(ids[first + 1:first + 1 + rows.shape[0]], device=device)
                best = torch.topk(rows, 2, -1)
                parts.append((torch.cat([rows[:, ids_of_sample], rows.gather(1, own[:, None])], 1).cpu().numpy(),
                              best.indices[:, 0].cpu().numpy(), (best.values[:, 0] - best.values[:, 1]).cpu().numpy()))
            scores[ids] = tuple(np.concatenate(columns) for columns in zip(*parts))
    return scores, float(np.mean(spread))


def widen(model):
    """Makes a model stored in bf16 one of fp32 with eager attention: the numbers of loading it anew, in a fraction of the time. False when it cannot be."""
    model.float()
    try:
        model.set_attn_implementation("eager")
    except (AttributeError, ValueError):
        return False
    return model.config._attn_implementation == "eager"


def references(directory, sequences, sample, device):
    """Scores in fp32 and in bf16, and the standard deviation of fp32's logits at a position."""
    import torch
    with open(os.path.join(directory, "config.json")) as f:
        config = json.load(f)
    model = load(directory, torch.bfloat16, "sdpa", device)
    half, _ = score(model, sequences, sample, device)
    stored = config.get("dtype", config.get("torch_dtype"))
    if not (stored == "bfloat16" and rope_is_exact(model) and widen(model)):
        del model
        gc.collect()
        model = load(directory, torch.float32, "eager", device)
    if not rope_is_exact(model):
        raise RuntimeError(f"{directory}: the rotary table was rounded")
    if model.config._attn_implementation != "eager" or {p.dtype for p in model.parameters()} != {torch.float32}:
        raise RuntimeError(f"{directory}: the reference is not fp32 with eager attention")
    single, spread = score(model, sequences, sample, device)
    del model
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    return single, half, spread


def check_run(folder, device, write):
    """Writes the lines of a run; true when all is kept."""
    with open(os.path.join(folder, "run.json")) as f:
        run = json.load(f)
    name = os.path.basename(run["model"].rstrip("/"))
    if "refused" in run:
        write(f"| {name} | refused: {run['refused']} " + "| " * 10 + "|")
        return True, []
    begun = time.time()
    sequences = list(dict.fromkeys(tuple(s["ids"]) for mode in run["modes"] for s in mode["sequences"] if s["rows"]))
    single, half, spread = references(run["model"], sequences, run["sample"], device)
    kept, notes = True, []
    for mode in run["modes"]:
        ours = np.fromfile(os.path.join(folder, mode["name"] + ".f32"), "<f4").reshape(-1, len(run["sample"]) + 1)
        if len(ours) == 0:
            continue
        result = compare(mode, ours, single, half)
        kept &= not result["missed"]
        write(line(name, mode["name"], result))
        if "greedy" in result:
            bound, due, wrong, later, later_wrong = result["greedy"]
            notes.append(f"{name}, greedy: bound {bound:.2e}; {due - wrong} of {due} steps before the first closer one are fp32's; "
                         f"given the engine's own text, {later - later_wrong} of {later} later steps whose two best are further apart")
        if mode["name"] == "prefix":
            notes.append(f"{name}, prefix: {sum(s['cached'] for s in mode['sequences'])} of {sum(s['first'] for s in mode['sequences'])} prompt tokens came from the cache")
    for failure in run["failed"]:
        kept = False
        notes.append(f"{name}: failed, {failure}")
    different = [b for b in run["bits"] if not b["equal"]]
    kept &= not different
    if run["bits"]:
        notes.append(f"{name}, bits: " + ("; ".join(f"batch {b['batch']}, {b['name']}: DIFFERENT" for b in different) if different
                                          else f"equal in all {len(run['bits'])} runs ({', '.join(dict.fromkeys(b['name'].rsplit(',', 1)[0] for b in run['bits']))}; batches {', '.join(dict.fromkeys(str(b['batch']) for b in run['bits']))})"))
    notes.append(f"{name}: {run['device']}; {len(sequences)} sequences, {len(run['sample']) + 1} entries a position; standard deviation of the logits {spread:.2f}; "
                 f"the log-probs handed out differ from those of the logits by at most {max(m['reported_difference'] for m in run['modes']) if run['modes'] else 0:.1e}; reference {time.time() - begun:.0f} s")
    return kept, notes


def self_check():
    """The comparison on numbers whose outcome is known."""
    random = np.random.default_rng(1)
    ids = [tuple(int(i) for i in random.integers(0, 50, 12)) for _ in range(3)]
    single, half = {}, {}
    for sequence in ids:
        exact = -np.abs(random.normal(size=(11, 9))) - 1
        single[sequence] = exact, np.array(sequence[1:]), np.full(11, 5.0)
        half[sequence] = exact + 0.1 * np.sign(random.normal(size=exact.shape)), np.array(sequence[1:]), np.full(11, 5.0)
    mode = dict(name="greedy", reported_difference=0.0, top1=[t for s in ids for t in s[4:10]], sequences=[dict(ids=list(s), first=4, rows=6, cached=0) for s in ids])
    exact = np.concatenate([single[s][0][3:9] for s in ids]).astype(np.float32)
    outcome = lambda ours: compare(mode, ours.astype(np.float32), single, half)["missed"]
    assert outcome(exact) == [] and outcome(exact + 0.11) == []
    assert outcome(exact + 0.13) == ["mean"]
    spike = exact.copy()
    spike[7, 3] += 0.21
    assert outcome(spike) == ["largest"]
    spike[7, 3] = np.nan
    assert outcome(spike) == ["mean", "largest"]
    mode["top1"][3] += 1
    assert outcome(exact) == ["top-1"]
    mode["top1"][3] -= 1
    # A token that is not fp32's, where the two best are far apart; then nearer than 0.2; then behind such a step.
    single[ids[1]][1][5] += 1
    mode["top1"][8] += 1
    assert outcome(exact) == ["greedy text"]
    single[ids[1]][2][5] = 0.19
    assert outcome(exact) == []
    single[ids[1]][2][5] = 5
    single[ids[1]][2][3] = 0.19
    assert outcome(exact) == []
    assert compare(mode, exact, single, half)["greedy"][1:] == (12, 0, 5, 1)
    mode["reported_difference"] = 0.1
    assert outcome(exact) == ["log-probs handed out"]
    print("the comparison holds")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--out")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--self-check", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_check:
        self_check()
        return 0
    import torch
    torch.set_float32_matmul_precision("highest")

    out = open(arguments.out, "w") if arguments.out else None

    def write(text):
        print(text, flush=True)
        if out:
            print(text, file=out, flush=True)

    write(HEADER)
    kept, notes = True, []
    for folder in arguments.runs:
        try:
            fine, more = check_run(folder, arguments.device, write)
        except Exception as problem:
            traceback.print_exc()
            fine, more = False, [f"{folder}: not compared, {type(problem).__name__}: {problem}"]
        kept &= fine
        notes += more
    write("\n" + "\n".join(f"- {note}" for note in notes))
    write("\n" + ("All is kept." if kept else "Not all is kept."))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
