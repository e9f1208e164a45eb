"""Trains the byte-level BPE vocabulary and writes tokenizer.json and tokenizer_config.json.

Two stages. First, merges over words without their leading space or underscore, so that a name is cut into the same pieces wherever it
stands (" Zorvan", "\"Zorvan\"", "_zorvan"): copying an argument is then copying tokens. Second, one more merge for each of the commonest
lower-case words with its space (" the"), which keeps ordinary sentences short. Applied by rank this is plain BPE under Qwen2.5's pre-tokenizer.
"""

import collections
import json
import re
from multiprocessing import Pool
from pathlib import Path
from random import Random

from corpus import mix

QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LETTERS_ALONE = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>",
           "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
ORDINARY = ["<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"]
VOCABULARY, SPACED_WORDS, SEED = 4096, 800, 20_000_000


def sample(seed: int) -> list[str]:
    r = Random(SEED + seed)
    texts = []
    for _ in range(700):
        text = "".join(t for t, _ in mix.document(r))
        for token in SPECIAL + ORDINARY:
            text = text.replace(token, "\n")
        texts.append(text)
    return texts


def train(folder: Path, processes: int = 16, parts: int = 24) -> None:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    with Pool(processes) as pool:
        texts = [t for part in pool.map(sample, range(parts)) for t in part]
    added = len(SPECIAL) + len(ORDINARY)
    first = Tokenizer(models.BPE())
    first.normalizer = normalizers.NFC()
    first.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LETTERS_ALONE), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    # The words of the tool schemas repeat so often that pieces of the text proper would get no room: the repeated head and tail count once.
    thin = [t.replace(mix.TOOLS_HEAD, "\n").replace(mix.TOOLS_TAIL.replace("<tool_call>", "\n").replace("</tool_call>", "\n"), "\n") for t in texts]
    first.train_from_iterator(thin, trainers.BpeTrainer(vocab_size=VOCABULARY - added - SPACED_WORDS, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    model = json.loads(first.to_str())["model"]
    merges = [m if isinstance(m, list) else m.split(" ") for m in model["merges"]]
    vocabulary = [t for t, _ in sorted(model["vocab"].items(), key=lambda x: x[1])]

    counts = collections.Counter()
    for t in thin:
        counts.update(re.findall(r" ([a-z]{2,})(?![a-zA-Z])", t))
    known = set(vocabulary)
    for word, _ in counts.most_common():
        if len(vocabulary) == VOCABULARY - added:
            break
        if word in known:
            merges.append(["Ġ", word])
            vocabulary.append("Ġ" + word)
    assert len(vocabulary) == VOCABULARY - added and len(set(vocabulary)) == len(vocabulary)

    tokens = [{"id": len(vocabulary) + i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": t in SPECIAL} for i, t in enumerate(SPECIAL + ORDINARY)]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    document = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": QWEN}, "behavior": "Isolated", "invert": False}, level]},
        "post_processor": level, "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
                  "ignore_merges": False, "vocab": {t: i for i, t in enumerate(vocabulary)}, "merges": [" ".join(m) for m in merges]}}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    config = {
        "add_bos_token": False, "add_prefix_space": False,
        "added_tokens_decoder": {str(t["id"]): {k: t[k] for k in ("content", "lstrip", "normalized", "rstrip", "single_word", "special")} for t in tokens},
        "bos_token": None, "clean_up_tokenization_spaces": False, "eos_token": "<|im_end|>", "errors": "replace", "model_max_length": 4096, "pad_token": "<|endoftext|>",
        "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer", "unk_token": None}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    whole = Tokenizer.from_file(str(folder / "tokenizer.json"))
    size = sum(len(t) for t in texts)
    count = sum(len(e.ids) for e in whole.encode_batch(texts))
    print(f"tokenizer: {VOCABULARY} tokens, {size / count:.2f} characters a token over {size / 1e6:.1f} MB")


if __name__ == "__main__":
    import sys
    train(Path(sys.argv[1]))
