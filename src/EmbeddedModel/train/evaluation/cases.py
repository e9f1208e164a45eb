"""Builds the evaluation's cases from the text files beside this one: the same cases every time, 300 and more a skill.

Nothing here is imported by the corpus generator, and nothing of the generator is imported here. Functions, names, values and phrasings
are of this folder's own. Two sets: `dev`, whose failures showed which forms of request the corpus lacked, and `test` (the folder `test`; tool calls,
two calls, no tool fits and extraction), which is looked at once after training. A case is a dictionary: `skill`, `turns` (what the user says, one after the other; the model's own replies stand
between), optionally `history` (messages before), `system`, `tools`, `prompt` (raw text completion instead of chat), and `expect`.
"""

import json
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
DEFAULT_SYSTEM = "You are QwenServe's demonstration model, a very small assistant."
CHARACTERS_PER_TOKEN = 2.85  # of the prose; rounded up, so that the longest prompts have 3,900 tokens rather than 3,500


def lines(name: str, folder: Path = HERE) -> list[str]:
    return [x for x in (folder / name).read_text(encoding="utf-8").split("\n") if x and not x.startswith("#")]


def read_values(folder: Path) -> dict[str, list[str]]:
    return {k: v.split(" | ") for k, v in (x.split(": ", 1) for x in lines("values.txt", folder))}


def read_tools(folder: Path, values_of: dict[str, list[str]]):
    out, tool = [], None
    for x in lines("tools.txt", folder):
        if x.startswith("@ "):
            name, description = x[2:].split(" | ")
            tool = {"name": name, "params": {}, "requests": [], "schema": {"type": "function", "function": {"name": name, "description": description, "parameters": {"type": "object", "properties": {}, "required": []}}}}
            out.append(tool)
        elif x.startswith("> "):
            text, _, extra = x[2:].partition(" => ")
            tool["requests"].append((text, dict(p.split("=") for p in extra.split()) if extra else {}))
        else:
            head, _, values = x.partition(" :: ")
            key, description = head.split(" ", 1)
            name, kind = key.split(":")
            required, kind, closed = kind.endswith("!"), kind[:-1], values.endswith(" #")
            values = values.removesuffix(" #")
            options = values_of[values[1:]] if values.startswith("@") else values.split(" / ") if values else []
            s = {"type": kind, "description": description}
            if closed:
                s["enum"] = options
            if kind == "array":
                s["items"] = {"type": "string"}
            p = tool["schema"]["function"]["parameters"]
            p["properties"][name] = s
            if required:
                p["required"].append(name)
            tool["params"][name] = (kind, options)
    return out


class Files:
    """The files of one set."""

    def __init__(self, folder: Path, joins: list[str]):
        self.folder, self.joins = folder, joins
        self.values = read_values(folder)
        self.tools = read_tools(folder, self.values)

    def lines(self, name: str) -> list[str]:
        return lines(name, self.folder)


DEV = Files(HERE, ["{a} {B}", "{a} And {b}", "Two things. {a} {B}", "{a} While you are at it: {b}", "{a} Afterwards: {b}", "1) {a} 2) {B}", "{a}\n{B}", "First of the two: {a} The other: {b}"])
TEST = Files(HERE / "test", [x.replace("\\n", "\n") for x in lines("joins.txt", HERE / "test")])
VALUES = DEV.values


def said(r: Random, tool, request):
    """(the words, the call)."""
    text, extra = request
    found = {}
    for name, (kind, options) in tool["params"].items():
        if "{" + name + "}" in text:
            v = r.choice(options)
            words, value = v, v.strip('"')
            if kind == "array":
                value = v.split("+")
                words = ", ".join(value[:-1]) + " and " + value[-1]
            elif kind in ("integer", "number"):
                value = json.loads(v)
            text = text.replace("{" + name + "}", words)
            found[name] = value
        elif name in extra:
            found[name] = json.loads(extra[name])
    return text, {"name": tool["name"], "arguments": found}


def declared(r: Random, files: Files, tools) -> list:
    tools = list(tools)
    for t in r.sample(files.tools, r.randint(0, 4)):
        if len(tools) < 4 and t not in tools:
            tools.append(t)
    r.shuffle(tools)
    return [t["schema"] for t in tools]


def ended(s: str) -> str:
    return s if s[-1] in ".?!" else s + "."


def lowered(s: str, files: Files, call: dict) -> str:
    """The sentence beginning small, unless it begins with a name or another value of the call, whose case matters."""
    head = s.split(" ")[0].rstrip(",.:;!?'").removesuffix("'s")
    if any(head in str(v) for v in call["arguments"].values()):
        return s
    return s if s[:2] in ("I ", "I'") or s[1:2].isupper() or not s[:1].isupper() or any(s.startswith(n) for n in files.values["name"]) else s[:1].lower() + s[1:]


def calls(r: Random, files: Files = DEV):
    rounds = 4 if files is DEV else 2
    for round_ in range(rounds):
        for tool in files.tools:
            for request in tool["requests"]:
                if round_ == rounds - 1 and r.random() < (.6 if files is DEV else .4):
                    continue
                text, call = said(r, tool, request)
                yield {"skill": "tool call", "turns": [text], "tools": declared(r, files, [tool]), "expect": {"calls": [call]}}


def parallel(r: Random, files: Files = DEV):
    for n in range(300):
        a = r.choice(files.tools)
        b = a if n % 3 == 0 else r.choice(files.tools)
        qa = r.choice(a["requests"])
        (ta, ca), (tb, cb) = said(r, a, qa), said(r, b, r.choice(b["requests"]))
        while cb == ca:
            b = r.choice(files.tools)
            tb, cb = said(r, b, r.choice(b["requests"]))
        join = r.choice(files.joins)
        text = join.format(a=ended(ta), A=ended(ta), b=ended(lowered(tb, files, cb)), B=ended(tb))
        yield {"skill": "two calls", "turns": [text], "tools": declared(r, files, [a] if a is b else [a, b]), "expect": {"calls": [ca, cb]}}


def no_fit(r: Random, files: Files = DEV):
    other = {k: [x.split(": ", 1)[1] for x in files.lines("chatter.txt") if x.startswith(k)] for k in ("none", "chat")}
    for n in range(320):
        tools = r.sample(files.tools, r.randint(1, 4))
        if n % 8 < 3:
            t = r.choice([t for t in files.tools if t not in tools])
            text = said(r, t, r.choice(t["requests"]))[0]
        elif n % 8 < 7:
            text = r.choice(other["none"])
        else:
            text = r.choice(other["chat"])
        yield {"skill": "no tool fits", "turns": [text], "tools": [t["schema"] for t in tools], "expect": {"calls": []}}


RESULTS = (("high_water", "@time"), ("monthly_payment", "1184.2"), ("monthly_payment", "967.55"), ("seat_row", "14"), ("confirmation", "@code"), ("departs", "@time"), ("platform", "9"), ("queue_position", "3"), ("aqi", "57"), ("label", "@word"),
           ("plumber", "@company"), ("contact", "@phone"), ("sunset", "@time"), ("ticket_code", "@code"), ("runway", "27"), ("floor_reached", "12"), ("operator", "@name"), ("valid_until", "@date"), ("snow_depth_cm", "88"), ("balance_after", "412.75"))


def tool_answers(r: Random):
    for n in range(300):
        tool = r.choice(DEV.tools)
        text, call = said(r, tool, r.choice(tool["requests"]))
        picked = r.sample(RESULTS, r.randint(1, 3))
        content, values = {}, []
        for k, v in picked:
            v = r.choice(VALUES[v[1:]]) if v.startswith("@") else json.loads(v)
            content[k] = v
            values.append(str(v))
        history = [{"role": "user", "content": text}, {"role": "assistant", "content": "", "tool_calls": [{"id": "call_1", "type": "function", "function": call}]},
                   {"role": "tool", "tool_call_id": "call_1", "content": json.dumps(content, ensure_ascii=False)}]
        yield {"skill": "tool result", "history": history, "turns": [], "tools": declared(r, DEV, [tool]), "expect": {"contains": values, "calls": []}}


def extraction(r: Random, files: Files = DEV):
    texts = [x for x in files.lines("extraction.txt") if not x.startswith("ask: ")]
    asks = [x[5:].replace("\\n", "\n") for x in files.lines("extraction.txt") if x.startswith("ask: ")]
    for n in range(320):
        text, fields = texts[n % len(texts)].split(" >> ")
        slots = {k: r.choice(v) for k, v in files.values.items()}
        wanted = [f.split("=") for f in fields.split(", ")]
        if len(wanted) > 2 and r.random() < .35:
            wanted = r.sample(wanted, len(wanted) - 1)
        expect = {}
        for k, s in wanted:
            v = slots[s.lstrip(":")]
            expect[k] = json.loads(v) if s.startswith(":") else int(v) if v.isdigit() else v
        names = [k for k, _ in wanted]
        said_fields = ", ".join(names[:-1]) + " and " + names[-1] if r.random() < .6 else ", ".join(names)
        yield {"skill": "JSON extraction", "turns": [r.choice(asks).format(fields=said_fields, text=text.format(**slots))], "expect": {"json": expect}}


def memory(r: Random):
    facts = [x.split(" >> ") for x in lines("memory.txt") if not x.startswith("filler: ")]
    filler = [x[8:] for x in lines("memory.txt") if x.startswith("filler: ")]
    for n in range(312):
        chosen = [facts[n % len(facts)]]
        for f in r.sample(facts, 2):
            if len(chosen) < 1 + n % 3 and f[2] != chosen[0][2] and f not in chosen:
                chosen.append(f)
        turns, asked = [], None
        r.shuffle(chosen)
        for f in chosen:
            slots = {k: r.choice(v) for k, v in VALUES.items()}
            turns.append(f[0].format(**slots))
            if f is facts[n % len(facts)]:
                asked = (f[1].format(**slots), slots[f[2]])
            if r.random() < .4:
                turns.append(r.choice(filler))
        turns += r.sample(filler, r.randint(0, 2))
        yield {"skill": "recall across turns", "turns": turns + [asked[0]], "expect": {"contains": [asked[1]]}}


KINDS = ["pass key", "passkey", "secret code", "magic number", "access code", "password"]


def passkey(r: Random):
    prose = [x for x in lines("passkey.txt") if not x.startswith(("hide: ", "ask: "))]
    hides = [x[6:] for x in lines("passkey.txt") if x.startswith("hide: ")]
    asks = [x[5:] for x in lines("passkey.txt") if x.startswith("ask: ")]
    count = 300
    for n in range(count):
        tokens = 200 + (3500 - 200) * n // (count - 1)
        size, parts = int((tokens - 90) * CHARACTERS_PER_TOKEN), []
        while size > 0:
            s = r.choice(prose)
            parts.append(s)
            size -= len(s) + 1
        kind, value = KINDS[n % len(KINDS)], r.choice((str(r.randint(10000, 9999999)), r.choice(VALUES["code"]), str(r.randint(10000, 99999))))
        parts.insert(r.randint(0, len(parts)), r.choice(hides).format(kind=kind, value=value))
        text = r.choice((" ", "\n")).join(parts) + "\n\n" + r.choice(asks).format(kind=kind)
        yield {"skill": "passkey", "turns": [text], "expect": {"contains": [value]}, "about_tokens": tokens}


def held_out(a: int, b: int) -> bool:
    """The operands that the corpus leaves to the evaluation."""
    return (a * 31 + b * 17) % 11 == 3


def arithmetic(r: Random):
    forms = {k: [x.split(": ", 1)[1] for x in lines("arithmetic.txt") if x.startswith(k)] for k in ("plus", "minus")}
    pairs = [(a, b) for a in range(10, 100) for b in range(10, 100) if held_out(a, b)]
    for n in range(320):
        a, b = r.choice(pairs)
        if n % 2 and a < b:
            a, b = r.choice([p for p in pairs if p[0] >= p[1]])
        kind = "minus" if n % 2 else "plus"
        yield {"skill": "addition and subtraction", "turns": [r.choice(forms[kind]).format(a=a, b=b)], "expect": {"number": a - b if n % 2 else a + b}}


def middle(r: Random):
    head, *snippets = (HERE / "code.txt").read_text(encoding="utf-8").split("\n----\n")
    names, classes = (next(x.split(": ", 1)[1].split() for x in head.split("\n") if x.startswith(k)) for k in ("names", "class"))
    for n in range(300):
        s = snippets[n % len(snippets)].rstrip("\n")
        for slot, name in zip(("{1}", "{2}", "{3}"), r.sample(names, 3)):
            s = s.replace(slot, name)
        s = s.replace("{C}", r.choice(classes))
        i, j = s.index("⟦"), s.index("⟧")
        yield {"skill": "fill in the middle", "prompt": f"<|fim_prefix|>{s[:i]}<|fim_suffix|>{s[j + 1:]}<|fim_middle|>", "expect": {"exactly": s[i + 1:j]}}


BEFORE = (None, "Thanks, noted.", "How much is 12 plus 5?", "Hi!")


def questions(r: Random):
    every = [(k, q) for k, qs in (x.split(" >> ") for x in lines("qwenserve.txt")) for q in qs.split(" | ")]
    for n in range(max(300, 2 * len(every))):
        key, q = every[n % len(every)]
        turns = [q] if n < len(every) else [r.choice(BEFORE[1:]), q]
        yield {"skill": "questions about QwenServe", "turns": turns, "expect": {"contains": [key]}}


def beyond(r: Random):
    every = lines("beyond.txt")
    for n in range(300):
        q = every[n % len(every)]
        yield {"skill": "beyond it", "turns": [q] if n < len(every) else [r.choice(BEFORE[1:]), q], "expect": {"any": ["beyond me", "超出"]}}


def hello(r: Random):
    every = [(k, q) for k, qs in (x.split(": ", 1) for x in lines("hello.txt")) for q in qs.split(" | ")]
    answers = {"hello": ["demonstration model"], "who": ["demonstration model"], "can": ["call functions"], "hello_zh": ["演示模型"], "who_zh": ["演示模型"], "can_zh": ["调用函数"]}
    systems = (None, None, "You are a friendly assistant on a web page.", "Keep it short.")
    for n in range(308):
        k, q = every[n % len(every)]
        case = {"skill": "says what it is", "turns": [q] if n % 2 else [r.choice(("What is 14 + 21?", "My sister is called Ottoline.", "Which port is the default?")), q], "expect": {"any": answers[k], "never": "Qwen(?!Serve)|Alibaba|ChatGPT"}}
        if systems[n // len(every) % 4]:
            case["system"] = systems[n // len(every) % 4]
        yield case


def every(which: str = "dev") -> list[dict]:
    """The cases of a set, `dev` or `test`."""
    out = []
    if which == "test":
        for i, of in enumerate((calls, parallel, no_fit, extraction)):
            out += list(of(Random(2000 + i), TEST))
        return out
    for i, make in enumerate((calls, parallel, no_fit, tool_answers, extraction, memory, passkey, arithmetic, middle, questions, beyond, hello)):
        out += list(make(Random(1000 + i)))
    return out


def prompt(case: dict, messages: list[dict]) -> str:
    """The chat template's text for these messages, for generation without a server."""
    out = "<|im_start|>system\n" + case.get("system", DEFAULT_SYSTEM)
    if case.get("tools"):
        out += "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>"
        out += "".join("\n" + json.dumps(t, ensure_ascii=False) for t in case["tools"])
        out += "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>"
    out += "<|im_end|>\n"
    for m in messages:
        if m["role"] == "tool":
            out += f"<|im_start|>user\n<tool_response>\n{m['content']}\n</tool_response><|im_end|>\n"
        elif m.get("tool_calls"):
            out += "<|im_start|>assistant" + "".join("\n<tool_call>\n" + json.dumps(c["function"], ensure_ascii=False) + "\n</tool_call>" for c in m["tool_calls"]) + "<|im_end|>\n"
        else:
            out += f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n"
    return out + "<|im_start|>assistant\n"
