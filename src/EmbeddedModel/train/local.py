"""Greedy generation with transformers on the GPU, for measuring a checkpoint right after training.

`python3 local.py MODEL` asks the evaluation's cases (`evaluation/cases.py`), scored as `evaluate.py` scores them over HTTP;
`python3 local.py MODEL --corpus` asks fresh documents of the generator and prints exact matches by skill.
"""

import argparse
import json
import time
from pathlib import Path
from random import Random

import torch


class Generator:
    def __init__(self, folder: Path):
        from tokenizers import Tokenizer
        from transformers import Qwen2ForCausalLM
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32).cuda().eval()
        self.stops = json.loads((folder / "generation_config.json").read_text())["eos_token_id"]

    @torch.inference_mode()
    def answers(self, prompts: list[str], limit: int = 160, budget: int = 600_000) -> list[str]:
        """Greedy continuations, special tokens left out."""
        torch.set_float32_matmul_precision("high")
        ids = [self.tokenizer.encode(p, add_special_tokens=False).ids for p in prompts]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out = [""] * len(ids)
        while order:
            longest = len(ids[order[-1]]) + limit
            part, order = order[-max(1, budget // longest):], order[:-max(1, budget // longest)]
            width = max(len(ids[i]) for i in part)
            x = torch.full((len(part), width), self.stops[1], dtype=torch.long)
            mask = torch.zeros_like(x)
            for row, i in enumerate(part):
                x[row, width - len(ids[i]):] = torch.tensor(ids[i])
                mask[row, width - len(ids[i]):] = 1
            y = self.model.generate(input_ids=x.cuda(), attention_mask=mask.cuda(), max_new_tokens=limit, do_sample=False, eos_token_id=self.stops, pad_token_id=self.stops[1])
            for row, i in enumerate(part):
                new = y[row, width:].tolist()
                for k, t in enumerate(new):
                    if t in self.stops:
                        new = new[:k]
                        break
                out[i] = self.tokenizer.decode(new, skip_special_tokens=True)
        return out


def corpus(generator: Generator, count: int, shown: int) -> None:
    from corpus import mix
    r = Random(987_654_321)
    for make, _ in mix.SKILLS:
        prompts, wanted = [], []
        while len(prompts) < count:
            d = make(r)
            targets = [i for i, (_, t) in enumerate(d) if t]
            k = r.choice(targets)
            prompts.append("".join(t for t, _ in d[:k]))
            wanted.append(d[k][0].replace("<|im_end|>", "").replace("<|endoftext|>", ""))
            if len(generator.tokenizer.encode(prompts[-1], add_special_tokens=False).ids) > 3900:
                prompts.pop()
                wanted.pop()
        got = generator.answers(prompts)
        right = sum(a == b for a, b in zip(got, wanted))
        print(f"{make.__name__}: {right}/{count}")
        bad = [(p, a, b) for p, a, b in zip(prompts, got, wanted) if a != b]
        for p, a, b in bad[:shown]:
            print("   ...", repr(p[-300:]), "\n      got ", repr(a), "\n      want", repr(b))


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("model", type=Path)
    a.add_argument("--corpus", action="store_true")
    a.add_argument("--count", type=int, default=200)
    a.add_argument("--shown", type=int, default=4)
    a.add_argument("--set", choices=("dev", "test"), default="dev")
    a.add_argument("--failures", type=Path)
    o = a.parse_args()
    began = time.time()
    g = Generator(o.model)
    if o.corpus:
        corpus(g, o.count, o.shown)
    else:
        from evaluation import cases
        from evaluation.scoring import parse, report
        every = cases.every(o.set)
        messages = [list(c.get("history", [])) for c in every]
        answers = [None] * len(every)
        for turn in range(max(len(c.get("turns", [])) for c in every)):
            asked = [i for i, c in enumerate(every) if turn == 0 or turn < len(c.get("turns", []))]
            for i in asked:
                if every[i].get("turns"):
                    messages[i].append({"role": "user", "content": every[i]["turns"][turn]})
            got = g.answers([every[i].get("prompt") or cases.prompt(every[i], messages[i]) for i in asked])
            for i, text in zip(asked, got):
                answers[i] = (text, []) if "prompt" in every[i] else parse(text)
                messages[i].append({"role": "assistant", "content": text})
        report(every, answers, o.failures)
        lengths = sorted(len(g.tokenizer.encode(c["turns"][0], add_special_tokens=False).ids) for c in every if c["skill"] == "passkey")
        print("passkey prompts:", lengths[0], "to", lengths[-1], "tokens")
    print(f"{time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
