"""Times Hugging Face `tokenizers` on the texts of `qwenserve-bench tokenizer`, on one thread.

    qwenserve-bench tokenizer DIRECTORY --write texts
    pip install tokenizers==0.23.2
    RAYON_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false python tokenizer_reference.py DIRECTORY texts/*.txt

DIRECTORY holds tokenizer.json, or vocab.json, merges.txt and tokenizer_config.json. Documents are cut as the benchmark
cuts them (16,384 UTF-16 units, never inside a surrogate pair). Fresh is a tokenizer's first pass, warm the best of three more.
"""
import json
import os
import sys
import time

from tokenizers import AddedToken, Regex, Tokenizer, __version__, decoders, models, normalizers, pre_tokenizers

EXPRESSION = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def load(directory):
    path = os.path.join(directory, "tokenizer.json")
    if os.path.exists(path):
        return Tokenizer.from_file(path)
    tokenizer = Tokenizer(models.BPE.from_file(os.path.join(directory, "vocab.json"), os.path.join(directory, "merges.txt")))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(EXPRESSION), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    with open(os.path.join(directory, "tokenizer_config.json"), encoding="utf-8") as f:
        added = json.load(f).get("added_tokens_decoder", {})
    for _, token in sorted(added.items(), key=lambda item: int(item[0])):
        flags = {key: token[key] for key in ("single_word", "lstrip", "rstrip", "normalized", "special")}
        (tokenizer.add_special_tokens if token["special"] else tokenizer.add_tokens)([AddedToken(token["content"], **flags)])
    return tokenizer


def documents(text, length=16 * 1024):
    units = text.encode("utf-16-le")
    start = 0
    while start < len(units):
        end = min(start + 2 * length, len(units))
        if end < len(units) and 0xDC <= units[end + 1] <= 0xDF:
            end += 2
        yield units[start:end].decode("utf-16-le")
        start = end


def main():
    directory, paths = sys.argv[1], sys.argv[2:]
    start = time.perf_counter()
    load(directory)
    print(f"tokenizers {__version__}: load {1e3 * (time.perf_counter() - start):.0f} ms")
    for path in paths:
        with open(path, encoding="utf-8", newline="") as f:
            text = f.read()
        parts, size = list(documents(text)), len(text.encode("utf-8"))
        tokenizer = load(directory)
        seconds = []
        for _ in range(4):
            start = time.perf_counter()
            count = sum(len(tokenizer.encode(part, add_special_tokens=False).ids) for part in parts)
            seconds.append(time.perf_counter() - start)
        print(f"{os.path.basename(path):16} {size / 1e6:6.2f} MB {count:9} tokens  fresh {size / seconds[0] / 1e6:6.2f} MB/s  warm {size / min(seconds[1:]) / 1e6:6.2f} MB/s")


if __name__ == "__main__":
    main()
