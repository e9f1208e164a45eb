"""Training shards: documents encoded and packed end to end, one batch a shard, made by worker processes ahead of the trainer.

A shard holds `tokens` uint16 [N], `weights` uint8 [N] (1 where the token is to be predicted at full weight), `positions` uint16 [N] and the
document borders `cu` int32 [D + 1], all of them whole documents; the tail is padding of weight 255.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import numpy as np

from corpus import mix

TOKENS = 131072  # in a shard, which is one optimizer step
DOCUMENTS = 640  # at most, in a shard
LENGTH = 4096


def make(tokenizer, seed: int, index: int):
    r = Random(seed * 10_000_019 + index)
    tokens = np.zeros(TOKENS, np.uint16)
    weights = np.full(TOKENS, 255, np.uint8)
    positions = np.zeros(TOKENS, np.uint16)
    borders, at = [0], 0
    while True:
        documents = [mix.document(r) for _ in range(48)]
        pieces = [p for d in documents for p in d]
        encoded = tokenizer.encode_batch_fast([p[0] for p in pieces], add_special_tokens=False)
        i = 0
        for d in documents:
            ids, trained = [], []
            for _, target in d:
                e = encoded[i].ids
                i += 1
                ids += e
                trained += [1 if target else 0] * len(e)
            n = len(ids)
            if n > LENGTH:
                continue
            if at + n > TOKENS or len(borders) >= DOCUMENTS:
                if at < TOKENS:
                    borders.append(TOKENS)
                    for s in range(at, TOKENS, LENGTH):  # padding in pieces no longer than a document
                        e = min(s + LENGTH, TOKENS)
                        positions[s:e] = np.arange(e - s)
                        if s > at:
                            borders.insert(-1, s)
                return tokens, weights, positions, np.array(borders + [TOKENS] * (DOCUMENTS + 40 - len(borders)), np.int32)
            tokens[at:at + n], weights[at:at + n], positions[at:at + n] = ids, trained, np.arange(n)
            at += n
            borders.append(at)


def path(folder: Path, index: int) -> Path:
    return folder / f"{index:06}.npy"


def worker(folder: Path, tokenizer_file: str, seed: int, rank: int, ranks: int, start: int, count: int) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(tokenizer_file)
    for index in range(start + rank, start + count, ranks):
        target = path(folder, index)
        if target.exists():
            continue
        t, w, p, cu = make(tokenizer, seed, index)
        raw = np.concatenate([t.view(np.uint8), w, p.view(np.uint8), cu.view(np.uint8)])
        part = target.with_suffix(".part")
        raw.tofile(part)
        os.replace(part, target)


def load(folder: Path, index: int):
    raw = np.fromfile(path(folder, index), np.uint8)
    a, b, c = 2 * TOKENS, 3 * TOKENS, 5 * TOKENS
    return raw[:a].view(np.uint16), raw[a:b], raw[b:c].view(np.uint16), raw[c:].view(np.int32)


def start(folder: Path, tokenizer_file: str, seed: int, processes: int, first: int, count: int):
    """Worker processes that fill `folder` in order; they end with their work, or when the returned handles are terminated."""
    folder.mkdir(parents=True, exist_ok=True)
    return [subprocess.Popen([sys.executable, __file__, str(folder), tokenizer_file, *map(str, (seed, k, processes, first, count))]) for k in range(processes)]


def wait(folder: Path, index: int, timeout: float = 120) -> None:
    end = time.time() + timeout
    while not path(folder, index).exists():
        if time.time() > end:
            sys.exit(f"shard {index} was not made in {timeout} s")
        time.sleep(.01)


if __name__ == "__main__":
    worker(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:8]))
