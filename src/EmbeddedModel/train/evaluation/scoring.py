"""Marks an answer right or wrong, and prints the table."""

import collections
import json
import re
from pathlib import Path

TARGETS = {"tool call": 95, "two calls": 95, "no tool fits": 95, "tool result": 95, "JSON extraction": 95, "recall across turns": 97, "passkey": 97, "addition and subtraction": 90, "fill in the middle": 90,
           "questions about QwenServe": 90, "beyond it": 90, "says what it is": 90}


def parse(text: str):
    """(content, calls) of raw model output; calls is None when a call is no valid JSON."""
    calls = []
    for m in re.findall(r"<tool_call>\n?(.*?)\n?</tool_call>", text, flags=re.S):
        try:
            calls.append(json.loads(m))
        except ValueError:
            return text, None
    return re.sub(r"<tool_call>.*?</tool_call>\n?", "", text, flags=re.S).strip(), calls


def right(case: dict, content: str, calls) -> bool:
    e = case["expect"]
    if calls is None or "calls" not in e and calls:
        return False
    if "calls" in e and calls != e["calls"]:
        return False
    if "contains" in e and not all(v in content for v in e["contains"]):
        return False
    if "any" in e and not any(v in content for v in e["any"]):
        return False
    if "never" in e and re.search(e["never"], content):
        return False
    if "exactly" in e and content.strip() != e["exactly"].strip():
        return False
    if "number" in e:
        numbers = re.findall(r"-?\d+", content)
        if not numbers or int(numbers[-1]) != e["number"]:
            return False
    if "json" in e:
        try:
            if json.loads(content) != e["json"]:
                return False
        except ValueError:
            return False
    return True


def report(cases: list[dict], answers: list[tuple], failures: Path | None = None, shown: int = 0) -> bool:
    """`answers` are (content, calls) pairs. Prints one line a skill; returns whether every target is met."""
    total, good, bad = collections.Counter(), collections.Counter(), []
    for c, (content, calls) in zip(cases, answers):
        total[c["skill"]] += 1
        if right(c, content, calls):
            good[c["skill"]] += 1
        else:
            bad.append({"skill": c["skill"], "asked": c.get("prompt") or (c.get("turns") or ["(tool result)"])[-3:], "tools": [t["function"]["name"] for t in c.get("tools", [])], "expect": c["expect"], "content": content, "calls": calls})
    met = True
    for skill, n in total.items():
        share = 100 * good[skill] / n
        ok = share >= TARGETS[skill]
        met &= ok
        print(f"{skill:28} {good[skill]:4}/{n:<4} {share:6.1f}%  target {TARGETS[skill]}%{'' if ok else '  MISSED'}", flush=True)
    if failures:
        failures.write_text("\n".join(json.dumps(b, ensure_ascii=False) for b in bad) + "\n", encoding="utf-8")
    return met
