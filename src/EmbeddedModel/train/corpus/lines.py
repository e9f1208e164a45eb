"""The written part of the corpus: texts, questions, functions and joins in text files beside this one, read into what the generators draw from."""

import json
import re
from pathlib import Path


def lines(name: str) -> list[str]:
    """The lines of a file without its comments (which begin with "# "); \\n and \\t are what they say."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return [x.replace("\\n", "\n").replace("\\t", "\t") for x in text.split("\n") if not x.startswith("# ")]


class Slot:
    """A value of a text: its kind, the names its field may have (none: not asked for), whether a list, or the words of a truth."""

    __slots__ = ("kind", "names", "many", "truth")

    def __init__(self, spec: str):
        self.truth = None
        if spec.startswith("?"):
            names, words = spec[1:].split(":")
            self.kind, self.many, self.truth = "truth", False, words.split("~")
        else:
            kind, _, names = spec.partition("=")
            self.kind, self.many = kind.rstrip("*"), kind.endswith("*")
        self.names = names.split("/") if names else []


def texts() -> list[tuple[str, list[Slot]]]:
    """Of every texts*.txt: (the text with {0}, {1} … where values stand, their slots)."""
    out = []
    for line in filter(None, (x for p in sorted(Path(__file__).parent.glob("texts*.txt")) for x in lines(p.name))):
        slots = []

        def number(m):
            slots.append(Slot(m[1]))
            return "{%d}" % (len(slots) - 1)
        out.append((re.sub(r"{([^{}]+)}", number, line), slots))
    return out


def asks() -> tuple[list[str], list[str]]:
    """(ways of asking, ways that also say that null stands for what is missing)."""
    every = list(filter(None, lines("asks.txt")))
    return [x for x in every if not x.endswith(" !null")], [x.removesuffix(" !null") for x in every if x.endswith(" !null")]


class Declared:
    """A function of the declarations*.txt. `group` numbers its matter, `apart` are words of other functions that might serve the same requests."""

    __slots__ = ("names", "descriptions", "params", "requests", "implied", "group", "apart")


def declarations() -> list[Declared]:
    out, group, apart = [], 0, ()
    for line in (x for p in sorted(Path(__file__).parent.glob("declarations*.txt")) for x in [*lines(p.name), ""]):
        if not line:
            group, apart = group + 1, ()
        elif line.startswith("! "):
            apart = line[2:].split()
        elif line.startswith("@ "):
            d = Declared()
            names, descriptions, params = (x.strip() for x in (line[2:] + " ").split(" ; "))
            d.names, d.descriptions, d.requests, d.implied, d.group, d.apart = names.split("|"), descriptions.split("|"), [], {}, group, apart
            d.params = [(s.split("=")[0].rstrip("?"), "?=" not in s, s.split("=")[1]) for s in params.split()]
            out.append(d)
        else:
            request, _, implied = line.partition(" => ")
            out[-1].requests.append(request)
            if implied:
                key, value = implied.split("=")
                out[-1].implied[request] = {key: json.loads(value)}
    return out


def joins() -> dict[str, list[str]]:
    """Ways to put two requests into one message: `two` of two requests, `same` repeating one with another value, `both` joining two values."""
    out = {"two": [], "same": [], "both": []}
    for line in filter(None, lines("joins.txt")):
        kind, _, rest = line.partition(": ")
        if kind in ("same", "both"):
            out[kind].append(rest)
        else:
            out["two"].append(line)
    return out
