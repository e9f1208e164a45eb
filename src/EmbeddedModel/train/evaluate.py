"""Asks a running server the evaluation's cases over HTTP, at temperature 0, tool_choice auto, no grammar; standard library only.

    python3 src/EmbeddedModel/train/evaluate.py [--base http://localhost:8000] [--set dev|test] [--skill "passkey"] [--failures failures.jsonl]

Ends with status 0 when every skill meets its target.
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from evaluation import cases, scoring


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    for attempt in range(20):
        try:
            with urllib.request.urlopen(request, timeout=600) as r:
                return json.load(r)
        except urllib.error.HTTPError as e:
            if e.code not in (429, 503):
                raise RuntimeError(f"{url}: {e.code} {e.read().decode(errors='replace')}") from e
            time.sleep(float(e.headers.get("Retry-After") or 1))
    raise RuntimeError(f"{url}: still refused after {attempt + 1} attempts")


def ask(base: str, model: str, case: dict):
    """(content, calls) of the last turn."""
    if "prompt" in case:
        a = post(base + "/v1/completions", {"model": model, "prompt": case["prompt"], "max_tokens": 64, "temperature": 0})
        return a["choices"][0]["text"], []
    messages = [{"role": "system", "content": case["system"]}] if "system" in case else []
    for m in case.get("history", []):
        if m.get("tool_calls"):
            m = {**m, "tool_calls": [{**c, "function": {"name": c["function"]["name"], "arguments": json.dumps(c["function"]["arguments"], ensure_ascii=False)}} for c in m["tool_calls"]]}
        messages.append(m)
    answer = None
    for turn in case["turns"] or [None]:
        if turn is not None:
            messages.append({"role": "user", "content": turn})
        body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 128}
        if case.get("tools"):
            body |= {"tools": case["tools"], "tool_choice": "auto"}
        answer = post(base + "/v1/chat/completions", body)["choices"][0]["message"]
        messages.append(answer)
    try:
        calls = [{"name": c["function"]["name"], "arguments": json.loads(c["function"]["arguments"])} for c in answer.get("tool_calls") or []]
    except ValueError:
        calls = None
    return answer.get("content") or "", calls


def main() -> int:
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--base", default="http://localhost:8000")
    a.add_argument("--set", choices=("dev", "test"), default="dev", help="the set that the corpus was developed against, or the one that is looked at once")
    a.add_argument("--skill", help="only this skill")
    a.add_argument("--every", type=int, default=1, help="only every n-th case")
    a.add_argument("--parallel", type=int, default=16)
    a.add_argument("--failures", type=Path)
    o = a.parse_args()
    chosen = [c for c in cases.every(o.set) if o.skill in (None, c["skill"])][::o.every]
    with urllib.request.urlopen(o.base + "/v1/models", timeout=60) as r:
        model = json.load(r)["data"][0]["id"]
    began = time.time()
    with ThreadPoolExecutor(o.parallel) as pool:
        answers = list(pool.map(lambda c: ask(o.base, model, c), chosen))
    met = scoring.report(chosen, answers, o.failures)
    print(f"{len(chosen)} cases in {time.time() - began:.0f} s, served as {model}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
