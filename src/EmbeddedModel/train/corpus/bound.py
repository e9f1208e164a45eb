"""Extraction from sentences of random words, in which only the construction says which value belongs to which field.

A field is named by a noun that stands before or after its value, by the verb whose object the value is, by the preposition before it, by the one
who does what a verb says, or by what the value looks like. The words being drawn from the whole dictionary, no sentence is met twice, and the
binding is all that there is to learn.
"""

from random import Random

from . import words as w, written
from .kinds import KINDS, integer, same

DETERMINERS = "the the the the a a this my our your that his her its their one another each the_same the_other".split()
PREPOSITIONS = "from to until by before after at near via since with for in on of against under through beside behind over towards without within around between along".split()
NAMING = "from to until by before after at near via since with for through against till towards".split()
BASE = [x for x in w.ENGLISH if len(x) > 2 and not x.endswith(("s", "ed", "ing", "ly", "er", "est", "ion", "ness"))]  # what may well be a verb
GLUE = "and|, and|,|;|, then|while|but|, so|because|-|, which|as|when|that|where|(and)|, also|. Then|. And|. The|, the".split("|")

TYPED = {  # kinds that are known by their look, and names that such a field may have whatever stands around it
    "email": "email mail address contact email_address write_to reply_to", "phone": "phone telephone number call mobile tel contact", "date": "date day when on due deadline", "time": "time hour at when", "url": "url link website page",
    "person": "name person who contact full_name", "address": "address street location place where", "ip": "ip address host", "company": "company firm organization",
}
WEIGHTS = "person person person thing thing thing thing any any any small num city city date time code company money email phone address title job colour year food path ver two".split()


def value(r: Random, kind: str):
    """(words, value); digits alone are a number, in every field."""
    words, v = MAKE[kind](r)
    if kind != "money" and isinstance(v, (int, float)):
        words = str(v)
    if isinstance(v, str) and v.isdigit() and v[0] != "0":
        v = int(v)
    return words, v


MAKE = dict(written.MAKE) | {"two": same(lambda r: " ".join(w.word(r) for _ in range(2))), "num": integer(1, 3000), "url": KINDS["url"].make, "ip": KINDS["ip"].make}


def noun(r: Random) -> str:
    x = r.random()
    return w.word(r) if x < .35 else w.spaced(w.noun(r)) if x < .92 else w.word(r) + " " + w.word(r)


def past(v: str) -> str:
    return v + "d" if v.endswith("e") else v[:-1] + "ied" if v.endswith("y") and v[-2] not in "aeo" else v + "ed"


def doer(v: str) -> str:
    """The one who does it: bidder, owner, writer."""
    return v + "r" if v.endswith("e") else v + (v[-1] if len(v) == 3 and v[-1] in "tpgnbdm" and v[1] in "aeiou" else "") + "er"


def the(r: Random, s: str) -> str:
    d = r.choice(DETERMINERS).replace("_", " ")
    return w.article(s) if d == "a" else d + " " + s


def verb(r: Random) -> str:
    return r.choice(BASE) if r.random() < .5 else r.choice(w.VERBS)[0].split("_")[0]


def phrase(r: Random, words: str, kind: str):
    """(field name, the words in a phrase from which the name follows)."""
    x = r.random()
    n = noun(r)
    key = n.replace(" ", "_")
    if kind in TYPED and x < .3:
        return r.choice(TYPED[kind].split()), r.choice((f"{r.choice(PREPOSITIONS)} {words}", f"{verb(r)} {r.choice(PREPOSITIONS)} {words}", f"({words})", f"{verb(r)} {words}", f"{words}", f"{past(verb(r))} {r.choice(PREPOSITIONS)} {words}"))
    if kind == "thing" and x < .3:
        return r.choice("item object thing article product what".split()), r.choice((f"the {noun(r)} of {the(r, words)}", f"{the(r, words)} {past(verb(r))}", f"{verb(r)} {the(r, words)}", f"{the(r, noun(r))} for {the(r, words)}", f"{the(r, r.choice(w.COLOUR))} {words}", f"one {words}", f"{the(r, words)} {r.choice(PREPOSITIONS)} {the(r, noun(r))}"))
    if x < .5:  # the noun after its value
        return key, r.choice(("{d} {v} {n}", "{d} {v} {n}", "{v} {n}", "{d} {v} {n} {p} {d2}", "{p} {d} {v} {n}", "{p} {v} {n}", "{q} {d} {v} {n}", "({v} {n})", "{d} {v}-{n}" if " " not in words and " " not in n else "{d} {v} {n}", "{q} {v} {n}", "{v} as {d} {n}", "{v}, {d} {n},", "{v} is {d} {n}")).format(
            d=r.choice(DETERMINERS).replace("_", " "), d2=the(r, noun(r)), v=words, n=n, p=r.choice(PREPOSITIONS), q=verb(r))
    if x < .68:  # the noun before it
        return key, r.choice(("{d} {n} {v}", "{p} {n} {v}", "{p} {d} {n} {v}", "{n} {v}", "{n} no. {v}" if words.isdigit() else "{n} {v}", "{n}: {v}", "{d} {n} is {v}", "{d} new {n} is {v}", "{d} {n} of {v}", "{d} {n} called {v}", "({n} {v})", "({n}: {v})", "{d} {n} ({v})", "{d} {n} {q} is {v}", "{d} {n} - {v} -", "{n} = {v}", "{d} {n} was {v}", "{q} {n} {v}",
                              "{n} of {d2}: {v}", "{d} {n} {p} {d2} is {v}", "{n} {p} {d2}: {v}", "{d} {q} {n} was {v}", "{d} {n}, {v}, {q}")).format(d=r.choice(DETERMINERS).replace("_", " "), d2=the(r, noun(r)), v=words, n=n, p=r.choice(PREPOSITIONS), q=verb(r))
    if x < .8:  # the verb whose object it is
        q = verb(r)
        form = r.choice((q, q, q, past(q), q + "s", q if q.endswith("e") else q + "ing"))
        object_ = r.choice((words, "the " + words, "the " + words, "a " + words, "my " + words, "their " + words, "your " + words)) if kind in ("thing", "any", "food", "job", "two") else words
        return r.choice((q, q, form)), r.choice(("{q} {v}", "{q} {v}", "{q} {v}", "please {q} {v}", "and {q} {v}", "to {q} {v}", "will {q} {v}", "they {q} {v}", "{q} {v} {p} {d2}", "don't forget to {q} {v}", "has to {q} {v}")).format(q=form, v=object_, p=r.choice(PREPOSITIONS), d2=the(r, noun(r)))
    if x < .9:  # who does or did it
        q = verb(r)
        return r.choice((doer(q), doer(q), past(q) + "_by")), r.choice(("{q2} by {v}", "{v} {q2} it", "{v} {q}s", "{v} {q2} {d2}", "{q2} by {v} {p} {d2}", "{v}, who {q2} {d2}", "it was {v} who {q2} {d2}", "{d2} {q2} by {v}", "{v} will {q} it", "the {r} {v}", "{d} {r}, {v}", "the {w} {r} was {v}", "{r}: {v}")).format(
            q=q, q2=past(q), r=doer(q), v=words, d=r.choice(DETERMINERS).replace("_", " "), d2=the(r, noun(r)), p=r.choice(PREPOSITIONS), w=w.adjective(r).replace("_", " "))
    p = r.choice(NAMING)  # the preposition before it
    return p, r.choice(("{p} {v}", "{p} {v}", "{q} {p} {v}", "{p} {v} {q}", "{n} {p} {v}")).format(p=p, v=words, q=verb(r), n=the(r, n))


def sentence(r: Random, seen: set):
    """(facts as (name, words, value), a text of one to three sentences)."""
    facts, parts, said, kinds, names = [], [], set(), set(), set()
    count = r.choice((2, 2, 3, 3, 4, 4, 5))
    for i in range(count):
        kind = r.choice(WEIGHTS)
        words, v = value(r, kind)
        if words in said or kind in kinds and r.random() < .5:
            continue
        name, text = phrase(r, words, kind)
        typed = kind in TYPED and name in TYPED[kind].split() or name in ("item", "object", "thing", "article", "product", "what")
        if name in names or typed and (kind in kinds or kind == "company" and "any" in kinds or name in ("contact", "address", "who", "what", "where", "place", "location", "when") and len(kinds) > 1 and r.random() < .7):
            continue
        if name in NAMING and any(f" {name} " in f" {p} " for p in parts):
            continue
        names.add(name)
        said.add(words)
        kinds.add(kind)
        parts.append(text)
        if name not in seen and r.random() < .85:
            seen.add(name)
            facts.append((name, words, v))
    # A field named by what its value looks like, or by a preposition, must have no rival.
    text = " ".join(parts)
    facts = [f for f in facts if not (f[0] in NAMING and len([1 for x in text.split() if x == f[0]]) > 1)]
    out = ""
    for i, p in enumerate(parts):
        if i == 0:
            x = r.random()
            out = p if x < .4 else r.choice(("We", "I", "They", "It", "He", "She", "You", "There is", "This is", "Please", "Hello,", "The " + noun(r), "Our " + noun(r), verb(r), "Today", "Here")) + (" " + verb(r) if r.random() < .5 else "") + " " + p
        elif r.random() < .4 and out[-1] not in ",-":
            out += r.choice((". ", ". ", "; ", "! ", "\n", ": ", " / ")) + (upper(p) if r.random() < .6 else p)
        else:
            g = r.choice(GLUE) if r.random() < .6 else "" if r.random() < .6 else verb(r)
            out += ("" if g and g[0] in ",;." else " ") + g + (" " if g else "") + p
    out = out.replace(",,", ",").replace(", ,", ",").replace(",.", ".").rstrip(" ,-")
    out += r.choice((".", ".", ".", "", "!")) if out[-1] not in ".!" else ""
    facts = [f for f in facts if f[1] in out]
    return facts, upper(out) if all(not out.startswith(f[1]) for f in facts) else out


def upper(s: str) -> str:
    head = s.split(" ")[0]
    return s[:1].upper() + s[1:] if head in DETERMINERS or head in PREPOSITIONS else s
