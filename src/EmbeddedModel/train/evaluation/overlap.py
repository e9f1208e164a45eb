"""Checks that the evaluation and the corpus have nothing in common that would make the figures flatter.

No eight words in a row of a case stand in the generator's sources or in a sample of its documents; no function of the evaluation and no
name or other value of its own is known to the generator. Ends with status 1 and a list otherwise.

    python3 src/EmbeddedModel/train/evaluation/overlap.py
"""

import re
import sys
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent.parent))

from corpus import mix  # noqa: E402
from evaluation import cases  # noqa: E402


def grams(text: str) -> set:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i:i + 8]) for i in range(len(words) - 7)}


def main() -> int:
    asked = set()
    every = cases.every("dev") + cases.every("test")
    for c in every:
        for t in c.get("turns", []) + [c.get("prompt", "")]:
            asked |= grams(t)
    sources = "\n".join(p.read_text(encoding="utf-8") for p in sorted((Path(__file__).parent.parent / "corpus").glob("*.*")) if p.suffix in (".py", ".txt"))
    shared = {g for piece in re.split(r"[|\"\n]", sources) for g in asked & grams(piece)}
    r = Random(5)
    for make in (mix.tool_document, mix.extract_document, mix.recall_document, mix.chat_document, mix.fim_document, mix.passkey_document):
        for _ in range(2500):
            # The declarations' JSON is the wire format, the same for everyone.
            shared |= asked & grams(re.sub(r"<tools>.*</tools>", " ", "".join(t for t, _ in make(r)), flags=re.S))
    problems = ["eight words: " + " ".join(g) for g in sorted(shared)]
    known = set(re.findall(r"\w+", sources.lower()))
    problems += [f"function: {t['name']}" for files in (cases.DEV, cases.TEST) for t in files.tools if t["name"] in known]
    text = sources.lower()
    for kind in ("name", "given", "city", "email", "code", "street", "company", "thing", "color", "job", "word"):
        problems += [f"{kind}: {v}" for files in (cases.DEV, cases.TEST) for v in files.values[kind] if re.search(r"(?<!\w)" + re.escape(v.lower()) + r"(?!\w)", text)]
    print(f"{len(every)} cases, {len(problems)} problems")
    print("\n".join(problems[:40]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
