"""Extraction from the texts of texts*.txt: hand-written variety in which the names of fields are roles, verbs and nouns of the text."""

import functools
import re
from random import Random

from . import lines, words as w
from .kinds import KINDS, decimal, integer, listed, same


def money(r: Random):
    """An amount as it is written with its currency, and the number."""
    words, value = KINDS["amount"].make(r)
    if isinstance(value, int) and value >= 1000 and r.random() < .2:
        words = f"{value:,}"
    return r.choice(("${v}", "${v}", "{v} dollars", "{v} dollars", "{v} euros", "{v} euros", "€{v}", "£{v}", "{v} pounds", "{v} EUR", "USD {v}", "{v} francs", "{v}€", "{v} USD")).format(v=words), value


def any_word(r: Random) -> str:
    return w.word(r) if r.random() < .6 else w.pseudo(r) if r.random() < .8 else w.pseudo(r).capitalize()


def thing(r: Random) -> str:
    x = r.random()
    return w.spaced(w.noun(r)) if x < .75 else w.word(r) + " " + w.spaced(w.noun(r)) if x < .85 else w.word(r)


def two(r: Random) -> str:
    """A short name of one to three words."""
    return " ".join(w.word(r) if r.random() < .8 else w.pseudo(r) for _ in range(r.choice((1, 2, 2, 3))))


def note(r: Random) -> str:
    """Two to six words without a full stop."""
    return " ".join(w.word(r) if r.random() < .5 else w.stray(r) for _ in range(r.randint(2, 6)))


def title(r: Random):
    t = w.name_of_work(r) if r.random() < .6 else w.phrase(r)
    return r.choice(('"{t}"', "'{t}'", "{t}", "“{t}”") if "'" not in t else ('"{t}"', "{t}")).format(t=t), t


def span(r: Random) -> str:
    """A stretch of time in short, which is no number: 2h 15m, 40s, 3d."""
    a, b = r.randint(1, 23), r.randint(1, 59)
    return r.choice((f"{a}h {b}m", f"{a}h{b:02}", f"{a}h", f"{b}m", f"{b}min", f"{b}s", f"{a}d", f"{a}w {b % 6 + 1}d"))


def ordinal(r: Random) -> str:
    v = r.randint(1, 120)
    return f"{v}{'th' if 10 < v % 100 < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(v % 10, 'th')}"


def size(r: Random) -> str:
    """Of clothes, sheets and screws: what begins with a letter or holds a sign."""
    return r.choice(("XS", "S", "M", "L", "XL", "XXL", f"A{r.randint(0, 7)}", f"M{r.randint(2, 20)}", f"{r.randint(2, 90)}x{r.randint(2, 90)}", f"{r.randint(1, 9)}/{r.choice((2, 4, 8))}", f"{r.randint(20, 50)}-{r.randint(20, 50)}"))


def plate(r: Random) -> str:
    """Of a car."""
    letters = lambda n: "".join(r.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(n))  # noqa: E731
    return r.choice((f"{letters(2)}-{r.randint(100, 999)}-{letters(2)}", f"{letters(1)}-{letters(2)} {r.randint(10, 9999)}", f"{letters(2)}{r.randint(10, 99)} {letters(3)}", f"{letters(3)} {r.randint(100, 999)}", f"{r.randint(1, 9)}{letters(3)}{r.randint(100, 999)}"))


MAKE = {k: KINDS[v].make for k, v in {"person": "person", "city": "city", "country": "country", "address": "address", "email": "email", "phone": "phone", "date": "date", "time": "time", "amount": "amount", "age": "age", "code": "code", "company": "company",
                                      "job": "job", "colour": "colour", "food": "food", "animal": "animal", "room": "room", "lang": "language", "weekday": "weekday", "month": "month", "year": "year", "kg": "weight", "km": "distance", "deg": "degrees", "pct": "percent",
                                      "path": "path", "url": "url", "ip": "ip", "user": "username", "slug": "slug", "ver": "version"}.items()}
MAKE |= {"money": money, "title": title, "first": same(w.first), "any": same(any_word), "thing": same(thing), "plural": same(lambda r: w.plural(w.spaced(w.noun(r)))), "small": integer(1, 30), "num": integer(1, 2000)}
MAKE |= {"two": same(two), "note": same(note), "span": same(span), "ord": same(ordinal), "size": same(size), "plate": same(plate), "handle": same(lambda r: "@" + KINDS["username"].make(r)[0])}
MANY = {"firsts": "first", "things": "thing", "foods": "food", "cities": "city", "langs": "lang", "colours": "colour", "animals": "animal", "weekdays": "weekday", "words": "any", "nums": "num"}
MANY = {k: listed(lambda r, f=MAKE[v]: f(r)[1], 2, 5 if v == "num" else 4) for k, v in MANY.items()} | {"files": KINDS["files"].make}

TEXTS = lines.texts()


def draw(r: Random, slot: lines.Slot):
    """(words, value)."""
    if slot.truth:
        v = r.random() < .5
        return slot.truth[0 if v else 1], v
    words, value = (MANY if slot.many else MAKE)[slot.kind](r)
    if slot.kind != "money" and isinstance(value, (int, float)):
        words = str(value)  # digits, not number words
    if isinstance(value, str) and value.isdigit() and value[0] != "0":
        value = int(value)
    return words, value


def text(r: Random, seen: set, kinds: set):
    """(facts as (name, words, value), the text). Names in `seen` are not used again; `kinds` receives the kinds of the text's values."""
    template, slots = r.choice(TEXTS)
    if "\n" not in template and r.random() < .2:
        template = w.fuzz(r, template, .1, 1)
    facts, said, values, swapped = [], [], set(), {}
    if r.random() < .35:
        template, swapped = swap(r, template, slots)
    for slot in slots:
        kinds.add(ALIKE.get(slot.kind, slot.kind))
        words, value = draw(r, slot)
        for _ in range(20):
            if slot.truth or words not in values:
                break
            words, value = draw(r, slot)
        values.add(words)
        said.append(words)
        names = [n for n in slot.names if n not in seen]
        if names:
            n = next((swapped[n] for n in names if n in swapped), None) or r.choice(names)
            if n in seen:
                continue
            seen.add(n)
            facts.append((n, words, value))
    out = template.format(*said)
    return facts, out


@functools.cache
def whole(word: str) -> re.Pattern:
    """The word by itself, outside of {slots}."""
    return re.compile(rf"(?<![A-Za-z{{]){word}(?![A-Za-z}}])(?![^{{}}]*}})", re.I)


def swap(r: Random, template: str, slots: list):
    """The template with some of the words that name fields changed for any others, and the fields' new names: only where a word stands says what it names."""
    changed: dict = {}
    for slot in slots:
        for n in slot.names:
            if n in changed or slot.truth or r.random() < .4 or sum(n in o.names for o in slots) > 1 or len(whole(n).findall(template)) != 1:
                continue
            new = w.spaced(w.noun(r)) if r.random() < .6 else w.word(r)
            if new.replace(" ", "_") in changed.values() or new in template:
                continue
            template = whole(n).sub(lambda m: new.capitalize() if m[0][:1].isupper() else new, template)
            changed[n] = new.replace(" ", "_")
            break
    return template, changed


ABSENT = "email phone date time company money address job animal country colour food url".split()
ALIKE = {"first": "person", "firsts": "person", "amount": "money", "weekday": "date", "month": "date", "year": "date", "weekdays": "date", "foods": "food", "animals": "animal", "colours": "colour", "any": "", "thing": "", "path": "url", "user": "email"}


def missing(r: Random, seen: set, kinds: set) -> str | None:
    """The name of a field that the text says nothing of: of a kind that is none of the text's."""
    for _ in range(20):
        slot = r.choice(r.choice(TEXTS)[1])
        names = [n for n in slot.names if n not in seen]
        if names and slot.kind in ABSENT and slot.kind not in kinds:
            return r.choice(names)
    return None
