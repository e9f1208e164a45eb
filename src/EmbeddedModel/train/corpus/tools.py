"""Tool calling: declared functions, requests for them, calls, results and answers.

Two families: the everyday functions of `natural`, and functions composed from verbs, nouns and kinds of parameter, half of whose
words may be invented. A request names the function by its own words or their synonyms, and every argument is copied from the request.
"""

import json
import re
from random import Random

from . import lines, words as w, written
from .kinds import AFTER, BOOLS, ENUMS, GENERIC, KINDS, NUMBER_WORDS, PAIRS, WEIGHTED, Kind, decimal, integer, pick, same
from .natural import LINES, LINES_ZH

ZHCITY = "北京 上海 广州 深圳 成都 杭州 武汉 西安 南京 天津 重庆 苏州 长沙 青岛 厦门 大连 昆明 哈尔滨 郑州 济南 东京 巴黎 伦敦 纽约".split()
ZHNAME = [a + b for a in "王李张刘陈杨黄赵周吴徐孙" for b in ("伟", "芳", "娜", "敏", "静", "强", "磊", "洋", "艳", "明", "小红", "建国", "志强", "丽华")]


def expression(r: Random) -> str:
    a, b, c = r.randint(1, 999), r.randint(1, 999), r.randint(2, 99)
    return r.choice((f"{a} * {b}", f"{a} + {b} + {c}", f"({a} + {b}) * {c}", f"{a} / {c}", f"{a}^{c}", f"{a} - {b} * {c}", f"sqrt({a})", f"{a}*{b}"))


def sql(r: Random) -> str:
    t = w.plural(w.noun(r))
    return r.choice((f"SELECT * FROM {t}", f"SELECT COUNT(*) FROM {t}", f"SELECT name FROM {t} WHERE id = {r.randint(1, 999)}", f"DELETE FROM {t} WHERE id = {r.randint(1, 999)}"))


EXTRA = {
    "ticker": Kind("ticker", "symbol", "string", "Stock symbol", same(lambda r: "".join(r.choice(w.LETTERS) for _ in range(r.randint(2, 5)))), "{v}"),
    "word": Kind("word", "word", "string", "The word", same(lambda r: w.pseudo(r) if r.random() < .5 else w.spaced(w.noun(r))), "{v}", True),
    "phrase": Kind("phrase", "query", "string", "What to use", same(w.phrase), "{v}", True),
    "sql": Kind("sql", "query", "string", "The SQL statement", same(sql), "{v}", True),
    "expression": Kind("expression", "expression", "string", "The expression", same(expression), "{v}"),
    "count": Kind("count", "count", "integer", "How many", integer(1, 12), "{v}"),
    "first": Kind("first", "name first_name who", "string", "First name|Who it is|Name", same(w.first), "for {v}|with {v}|by {v}"),
    "thing": Kind("thing", "thing object item", "string", "The object|Which thing|Name of it", same(written.thing), "with the {v}|for the {v}|: {v}"),
    "any": Kind("any", "name kind which", "string", "Which one|Its name|Kind of it", same(written.any_word), "with {v}|: {v}|for {v}"),
    "plural2": Kind("plural2", "content goods things kind", "string", "What is in it|Kind of goods|What to send", same(lambda r: w.plural(w.spaced(w.noun(r)) if r.random() < .6 else w.word(r))), "of {v}|with {v}"),
    "two": Kind("two", "title label name", "string", "A short name|Title|Label", same(written.two), "called {v}|named {v}|under {v}"),
    "note": Kind("note", "note remark text", "string", "A short text|In a few words|Free text", same(written.note), "noting {v}|with the remark {v}|: {v}", True),
    "say": Kind("say", "text message body", "string", "The text|What to say|Words as the user gave them", same(lambda r: w.sentence(r) if r.random() < .5 else written.note(r)), "saying {v}|: {v}", True),
    "decimal": Kind("decimal", "factor amount number", "number", "A number|How much|Factor", decimal(0, 20, 1), "at {v}|of {v}|with {v}"),
    "bool": Kind("bool", "flag", "boolean", "Whether it is so|True or false", lambda r: ("yes", True), ""),
    "zhcity": Kind("zhcity", "city", "string", "城市名称|City name", pick(ZHCITY), "{v}"),
    "zhname": Kind("zhname", "name", "string", "联系人姓名|Name of the contact", pick(ZHNAME), "{v}"),
}


class Param:
    """One declared parameter: its schema and how its value is said."""

    __slots__ = ("name", "kind", "required", "schema", "values", "phrases", "slot")

    def __init__(self, name, kind, required, schema, phrases, values=None, slot=None):
        self.name, self.kind, self.required, self.schema, self.phrases, self.values, self.slot = name, kind, required, schema, phrases, values, slot

    def draw(self, r: Random):
        """(words, value)."""
        if self.values is not None:
            v = r.choice(self.values)
            return v, v
        return self.kind.make(r)

    @property
    def free(self) -> bool:
        return self.kind is not None and self.kind.free


class Tool:
    """A declared function and what is needed to ask for it."""

    __slots__ = ("name", "schema", "params", "verbs", "object", "attribute", "entity", "templates", "pair", "declared", "words", "original")

    def __init__(self):
        self.params, self.verbs, self.object, self.attribute, self.entity, self.templates, self.pair, self.declared, self.words, self.original = [], None, None, None, None, None, None, None, None, {}


def describe(r: Random, text: str, name: str) -> str:
    x = r.random()
    if x < .48:
        return text
    if x < .55:
        return text + r.choice((" to use", f" of the {w.noun(r)}", f", e.g. {w.phrase(r)}", f" ({w.word(r)})", f" for the {w.noun(r)}", f" in {w.word(r)}"))
    if x < .7:
        return text + "."
    if x < .8:
        return f"The {w.spaced(name)}"
    if x < .9:
        return text.lower()
    return f"{text} ({w.spaced(name)})"


def type_schema(r: Random, type_: str, description: str | None, values=None, items="string") -> dict:
    s = {"type": type_}
    if type_ == "array":
        s["items"] = {"type": items}
    if values is not None and r.random() < .5:
        s["enum"] = values
    if description is not None:
        s["description"] = description
    if values is not None and "enum" not in s:
        s["enum"] = values
    return s


def param_of(r: Random, kind: Kind, required: bool, name: str | None = None, bare: bool = False) -> Param:
    name = name or (r.choice(kind.names) if r.random() < .8 else (r.choice((w.noun(r), w.adjective(r))) + "_" + kind.names[0]))
    items = "integer" if kind.key in ("numbers", "ids") else "string"
    return Param(name, kind, required, type_schema(r, kind.type, None if bare else describe(r, r.choice(kind.descriptions), name), None, items), kind.phrases)


def enum_param(r: Random, bare: bool) -> Param:
    names, values, phrases = r.choice(ENUMS)
    name, values = r.choice(names.split()), values.split()
    if r.random() < .5:
        values = list(dict.fromkeys(w.pseudo(r) if r.random() < .3 else w.word(r) if r.random() < .8 else w.slug(r) for _ in range(r.randint(2, 5))))
        name = name if r.random() < .4 else w.noun(r)
        phrases = "with {n} {v}|in {v} {n}|as {v}|with {v} {n}|in {n} {v}|{v} {n}|in {v}|with {v}|on {v}|for {v}|with a {v} {n}|by {v}|on the {v} {n}"
    if r.random() < .3:
        r.shuffle(values)
    return Param(name, None, False, type_schema(r, "string", None if bare else describe(r, r.choice(("Which one", "One of the allowed values", f"The {w.spaced(name)}", f"{w.spaced(name)} to use")), name), values), phrases.split("|"), values)


class Flag(Param):
    """A boolean parameter, said by its true or its false phrases."""

    __slots__ = ("when_true", "when_false")


def flag_param(r: Random, bare: bool) -> Flag:
    names, description, true, false = r.choice(BOOLS)
    name = r.choice(names.split())
    p = Flag(name, None, False, type_schema(r, "boolean", None if bare else describe(r, description, name)), [])
    p.when_true, p.when_false = true.split("|"), false.split("|")
    if r.random() < .35:
        word = w.adjective(r) if r.random() < .4 else w.word(r) if r.random() < .6 else w.spaced(w.noun(r)).split(" ")[0]
        p.name = r.choice((word, word, word, f"is_{word}", f"make_{word}"))
        n = w.spaced(p.name)
        p.schema = type_schema(r, "boolean", None if bare else describe(r, r.choice((f"Whether it is {word}", f"{word.capitalize()} or not", f"True when {word}", f"Should it be {word}", f"Make it {word}", f"Whether to do it {word}")), p.name))
        p.when_true = [word, f"and {word}", f"make it {word}", f"and do it {word}", f"and it is {word}", f"{word} please", f"and {n}: yes", f"with {n} set to true", f"and it should be {word}", f"and it must be {word}", f"this is {word}", f"as it is {word}", f"because it is {word}", f"and have it {word}", f"{n} = true", f"and yes, {word}", f", it is {w.article(word)}", f"this is {w.article(word)}", f", it's {w.article(word)}", f", do it {word}", f", and it is {w.article(word)}"]
        p.when_false = [f"not {word}", f"but not {word}", f"and {n}: no", f"with {n} set to false", f"and it should not be {word}", f"it is not {word}", f"{n} = false", f"and not {word}", f"without being {word}", f"no {word}"]
    elif r.random() < .35:
        base = w.noun(r)
        p.name = r.choice(("include_", "with_", "add_", "has_", "use_")) + base
        p.schema = type_schema(r, "boolean", None if bare else describe(r, f"Whether to include the {w.spaced(base)}", p.name))
        b = w.spaced(base)
        p.when_true, p.when_false = [f"with the {b}", f"including the {b}", f"with {b}"], [f"without the {b}", f"without {b}", f"excluding the {b}", f"with no {b}"]
    return p


LOOSE = "for {v}|of {v}|in {v}|at {v}|to {v}|on {v}|with {v}|{v}|{v}|from {v}|by {v}|about {v}|using {v}|near {v}|over {v}|around {v}|as {v}|via {v}|: {v}|, {v}".split("|")


def counted_param(r: Random, bare: bool) -> Param:
    """So many of something: the words name the thing."""
    thing = w.spaced(w.plural(w.noun(r)))
    key = thing.replace(" ", "_")
    name = r.choice((key, key, f"num_{key}", f"number_of_{key}", f"{key}_count", f"max_{key}"))
    low, high = r.choice(((1, 12), (1, 100), (10, 999)))
    whole = r.random() < .8
    make = integer(low, high) if whole else decimal(low, high, r.randint(1, 2))
    kind = Kind(name, name, "integer" if whole else "number", "", make, "")
    text = r.choice((f"How many {thing}", f"Number of {thing}", f"The number of {thing}", f"{thing.capitalize()}", f"Amount in {thing}", f"{thing.capitalize()} to use"))
    return Param(name, kind, r.random() < .7, type_schema(r, kind.type, None if bare else text),
                 [f"with {{v}} {thing}", f"{{v}} {thing}", f"for {{v}} {thing}", f"of {{v}} {thing}", f"with {{v}} {thing}", f"after {{v}} {thing}", f"in {{v}} {thing}", f"to {{v}} {thing}", f"at {{v}} {thing}", f"over {{v}} {thing}"])


def generic_param(r: Random, bare: bool) -> Param:
    """A parameter that only its own name explains."""
    name = r.choice((w.noun(r), w.noun(r), w.pseudo(r), f"{w.adjective(r)}_{w.noun(r)}", f"{w.noun(r)}_{w.noun(r)}", f"{w.noun(r)}_name"))
    f = r.choice((w.phrase, w.code, w.first, w.person, w.city, w.slug, w.name_of_work, lambda r: w.pseudo(r), lambda r: w.spaced(w.noun(r)), lambda r: w.spaced(w.noun(r)), integer, integer, decimal))
    kind = Kind(name, name, "integer", "", integer(0, 9999), "") if f is integer else Kind(name, name, "number", "", decimal(0, 500, 2), "") if f is decimal else Kind(name, name, "string", "", same(f), "", f in (w.phrase, w.name_of_work))
    text = r.choice((f"The {w.spaced(name)}", f"{w.spaced(name).capitalize()} to use", f"Value of the {w.spaced(name)}", f"Which {w.spaced(name)}", f"{w.spaced(name)}"))
    return Param(name, kind, r.random() < .6, type_schema(r, kind.type, None if bare else text), [])


def named(r: Random, verb: str, noun: str) -> str:
    """A function name in one of the usual spellings."""
    x = r.random()
    if x < .6:
        return f"{verb}_{noun}"
    camel = "".join(p.capitalize() for p in noun.split("_"))
    v = "".join(p.capitalize() for p in verb.split("_"))
    if x < .75:
        return v[:1].lower() + v[1:] + camel
    if x < .8:
        return v + camel
    if x < .87:
        return f"{noun}_{verb}"
    if x < .91:
        return f"{noun}.{verb}"
    if x < .95:
        return f"{verb}-{noun}".replace("_", "-")
    return f"{r.choice(('api', 'my', 'app', 'do', 'crm', 'svc', w.pseudo(r)))}_{verb}_{noun}"


def finish(r: Random, tool: Tool, name: str, description: str) -> Tool:
    """Write the declaration down."""
    seen, params = set(), []
    for p in tool.params:
        if p.name not in seen:
            seen.add(p.name)
            params.append(p)
    if tool.templates is None and r.random() < .3:
        r.shuffle(params)
    tool.params, tool.name = params, name
    schema = {"type": "object", "properties": {p.name: p.schema for p in params}}
    required = [p.name for p in params if p.required]
    if required or r.random() < .6:
        schema["required"] = required
    if r.random() < .08:
        schema["additionalProperties"] = False
    function = {"name": name, "description": description, "parameters": schema}
    x = r.random()
    if x < .06:
        function = {"description": description, "name": name, "parameters": schema}
    elif x < .08 and not params:
        function = {"name": name, "description": description}
    elif x < .1:
        function["strict"] = True
    tool.schema = {"type": "function", "function": function}
    return tool


def some_params(r: Random, n: int, bare: bool) -> list[Param]:
    out = []
    kinds = set()
    while len(out) < n:
        x = r.random()
        if x < .1 and n > 1:
            out.append(flag_param(r, bare))
        elif x < .22 and n > 1:
            out.append(enum_param(r, bare))
        elif x < .37:
            out.append(generic_param(r, bare))
        elif x < .45:
            out.append(counted_param(r, bare))
        else:
            kind = r.choice(WEIGHTED)
            if kind.key in kinds or (kind.free and any(p.free for p in out)):
                continue
            kinds.add(kind.key)
            out.append(param_of(r, kind, r.random() < .7, None, bare))
    if n and not any(p.required for p in out):
        out[0].required = True
    return out


DESCRIBE = ("{V} {a}|{V} {a}.|{Vs} {a}|{Vs} {a}.|{V} {the} in the system|Use this to {v} {a}|Use this function to {v} {a}.|{V} {a} for the user|{V} {the} with the given parameters|A tool to {v} {a}|{V} {pl}|Lets you {v} {a}"
            "|{V} {a}. Returns the result.|{V} {the} and return its id.|This function {vs} {a}.|{V} a single {o}|{V} {a} in the database").split("|")


def verb_s(verb: str) -> str:
    head, _, tail = verb.partition(" ")
    head = head[:-1] + "ies" if head.endswith("y") and head[-2] not in "aeo" else head + ("es" if head.endswith(("s", "x", "ch", "sh")) else "s")
    return f"{head} {tail}" if tail else head


def composed(r: Random, like: Tool | None = None) -> Tool:
    """A function made of a verb and a noun. With `like`, a near miss: the noun or the verb of that one, with another other half."""
    t = Tool()
    bare = r.random() < .12
    verbs, obj = r.choice(VERBSETS), w.noun(r) if r.random() < .55 else f"{w.adjective(r)}_{w.noun(r)}" if r.random() < .5 else f"{w.noun(r)}_{w.noun(r)}"
    if r.random() < .3:
        verbs = [w.word(r) if r.random() < .8 else w.pseudo(r)]
    if like is not None and like.verbs is not None:
        if r.random() < .25:
            obj = like.object
            for _ in range(20):
                if not set(verbs) & set(like.verbs):
                    break
                verbs = r.choice(VERBSETS)
        else:
            verbs = like.verbs
    t.verbs, t.object = verbs, obj
    n = r.choice((0, 1, 1, 1, 2, 2, 2, 3, 3, 4))
    if r.random() < .22:
        key, *names, phrases = r.choice(PAIRS)
        a, b = r.choice(names).split()
        kind = KINDS[key]
        first, second = param_of(r, kind, True, a, bare), param_of(r, kind, True, b, bare)
        if not bare:
            first.schema["description"], second.schema["description"] = describe(r, f"{w.spaced(a).capitalize()}", a), describe(r, f"{w.spaced(b).capitalize()}", b)
        t.pair = (first, second, phrases.split("|"))
        t.params = [first, second] + [p for p in some_params(r, r.choice((0, 0, 1, 2)), bare) if p.kind is None or p.kind.key != key]
    else:
        t.params = some_params(r, n, bare)
    verb = verbs[0]
    name = named(r, verb.replace(" ", "_"), obj)
    said = r.choice(verbs) if r.random() < .4 else verb
    o = w.spaced(obj)
    extra = r.choice((" ", " ", " of {n} ", " for {n} ", " in {n} ", " from {n} ", " with {n} ", " at {n} ")).replace("{n}", w.article(w.noun(r))).rstrip() if r.random() < .5 else ""
    o_said = o + extra
    description = r.choice(DESCRIBE).format(o2=o_said, V=said.capitalize(), v=said, Vs=verb_s(said).capitalize(), vs=verb_s(said), a=w.article(o_said), the="the " + o_said, o=o_said, pl=w.plural(o) + extra)
    return finish(r, t, name, description)


VERBSETS = [[w.spaced(v) for v in s] for s in w.VERBS]


def lookup(r: Random, like: Tool | None = None) -> Tool:
    """A function that tells one attribute of a named thing."""
    t = Tool()
    attribute = r.choice(w.ATTRIBUTES) if r.random() < .5 else w.noun(r) if r.random() < .7 else f"{w.noun(r)}_{w.noun(r)}"
    entity = w.noun(r)
    if like is not None and like.attribute is not None:
        if r.random() < .5:
            attribute = like.attribute
        else:
            entity = like.entity
    t.attribute, t.entity = attribute, entity
    kind = KINDS[r.choice(("code", "number_id", "title", "person", "city", "company", "username", "product", "code", "city", "city", "slug", "work", "ip", "url", "path", "country", "language"))]
    bare = r.random() < .12
    name = r.choice((kind.names[0], f"{entity}_id" if kind.key in ("code", "number_id") else f"{entity}_name", entity, r.choice(kind.names)))
    t.params = [param_of(r, kind, True, name, bare)] + [p for p in some_params(r, r.choice((0, 0, 0, 1)), bare) if p.kind is None or not p.free and p.kind.key != kind.key]
    verb = r.choice(("get", "get", "get", "fetch", "lookup", "check", "find", "query", "read", "show"))
    fname = r.choice((f"{verb}_{entity}_{attribute}", f"{verb}_{attribute}", f"{entity}_{attribute}", f"{attribute}_of_{entity}", named(r, verb, f"{entity}_{attribute}")))
    a, e = w.spaced(attribute), w.spaced(entity)
    description = r.choice((f"Get the {a} of {w.article(e)}", f"{a.capitalize()} of {w.article(e)}", f"Look up the {a} of {w.article(e)}.", f"Returns the {a} for the given {e}", f"Tells the {a} of {w.article(e)}", f"{e.capitalize()} {a}", f"Check the {a} of the {e}"))
    return finish(r, t, fname, description)


def parse_lines(text: str):
    out = []
    for line in text.strip().splitlines():
        names, descriptions, params, requests = (p.strip() for p in line.split(" ; ")) if line.count(" ; ") == 3 else (p.strip() for p in line.split(";"))
        specs = []
        for spec in params.split():
            slot, kind = spec.split("=")
            specs.append((slot.rstrip("?"), not slot.endswith("?"), kind))
        out.append((names.split("|"), descriptions.split("|"), specs, [q.strip() for q in requests.split("|")]))
    return out


NATURAL, NATURAL_ZH, DECLARED, JOINS = parse_lines(LINES), parse_lines(LINES_ZH), lines.declarations(), lines.joins()
GROUPS = {d.group: [o for o in DECLARED if o.group == d.group] for d in DECLARED}


def natural(r: Random, declared: lines.Declared | None = None) -> Tool:
    """An everyday function, of natural.py or of declarations.txt."""
    t = Tool()
    x = r.random()
    t.declared = declared or (r.choice(DECLARED) if x < .65 else None)
    d = t.declared
    swapped = {}
    names, descriptions, specs, requests = (d.names, d.descriptions, d.params, d.requests) if d else r.choice(NATURAL) if x < .98 else r.choice(NATURAL_ZH)
    if d and r.random() < .2:
        names, descriptions, requests, swapped = swap(r, names, descriptions, requests, [s for s, _, _ in specs])
    t.original = swapped
    kinds = [k for _, _, k in specs]
    bare = r.random() < .1
    for slot, required, kind in specs:
        if kind.startswith("("):
            values = kind[1:-1].split("/")
            phrases = next((p for n, v, p in ENUMS if v.split() == values), "in {v}|with {v}").split("|")
            p = Param(slot, None, required, type_schema(r, "string", None if bare else describe(r, f"The {w.spaced(slot)}", slot), values), phrases, values)
        else:
            k = EXTRA.get(kind) or KINDS[kind]
            name = slot if r.random() < .65 or len(specs) > 2 or t.declared and (k.free or kinds.count(kind) > 1 or kind in ("bool", "any", "thing")) else r.choice(k.names)
            p = param_of(r, k, required, name, bare)
            if t.declared and not bare and (r.random() < .5 or kinds.count(kind) > 1 or kind in ("bool", "any", "thing")):
                n = w.spaced(name)
                p.schema["description"] = describe(r, r.choice((f"Whether {n}", f"{n.capitalize()} or not", f"Whether it is {n}", f"Whether {n} is wanted")) if kind == "bool" else r.choice(explained(r, k, n, spoken(r.choice(names)))), name)
        p.slot = slot
        t.params.append(p)
    if len({p.name for p in t.params}) < len(t.params):
        for p in t.params:
            p.name = p.slot
    # Now and then a parameter more than the requests speak of: it is said apart or, mostly, left out of the call.
    if r.random() < .3:
        for p in some_params(r, r.choice((2, 2, 3)), bare)[1:]:
            if p.name not in {o.name for o in t.params} and (p.kind is None or not p.free and p.kind.type != "array" and not any(o.kind is not None and o.kind.type == p.kind.type and (o.kind.key == p.kind.key or not {o.kind.key, p.kind.key} & SHOWING) for o in t.params)):
                p.required, p.slot = False, "extra " + p.name
                t.params.append(p)
    t.templates = requests
    name = r.choice(names)
    verb, _, o = name.partition("_")
    if d and o and verb in SETS and "bool" not in kinds and not d.implied and r.random() < .2:
        # Asked for as the composed functions are, by the words of its name.
        t.templates, t.verbs, t.object = None, [verb] + [v for v in SETS[verb] if v != verb], o
    return finish(r, t, name, r.choice(descriptions))


SETS = {w.spaced(v): [w.spaced(x) for x in s] for s in w.VERBS for v in s}


def swap(r: Random, names: list[str], descriptions: list[str], requests: list[str], slots: list[str]):
    """The same function about something else: words that its names or descriptions share with its requests are changed for others everywhere.
    The fourth value maps the changed requests to the written ones."""
    words = {x for s in names + descriptions for x in re.findall("[a-z]{4,}", s.lower().replace("_", " "))} - GLUE
    common = sorted(x for x in words if x not in slots and any(written.whole(x).search(q) for q in requests))
    changes = {x: w.word(r) for x in common if r.random() < .6}
    if not changes:
        return names, descriptions, requests, {}

    def change(s: str) -> str:
        for a, b in changes.items():
            s = written.whole(a).sub(lambda m: b.capitalize() if m[0][:1].isupper() else b, s)
        return s
    # Requests that share no word with the function stay its requests only under its own name.
    kept = {c: q for q in requests if (c := change(q)) != q}
    if not kept:  # each word was drawn for itself
        return names, descriptions, requests, {}
    return [change(n) for n in names], [change(n) for n in descriptions], list(kept), kept


def explained(r: Random, kind: Kind, n: str, function: str) -> tuple:
    """Descriptions of a parameter called `n` of a function whose name is, in words, `function`."""
    verb, _, o = function.partition(" ")
    o = o or verb
    if kind.type in ("integer", "number"):
        return f"The {n}", n.capitalize(), f"How many {n}", f"Number of {n}", f"{n.capitalize()} as a number", f"Value of the {n}", f"{n.capitalize()} of the {o}", f"{n.capitalize()} for the {o}"
    if kind.type == "array":
        return f"The {n}", f"List of {n}", f"{n.capitalize()} to {verb}", f"{n.capitalize()}, in order", f"Which {n}", f"All the {n}"
    return (f"The {n}", n.capitalize(), f"Which {n}", f"{n.capitalize()} as the user says it", f"The {n} in question", f"Name of the {n}", f"{n.capitalize()} of the {o}", f"{n.capitalize()} to {verb}", f"{n.capitalize()} for the {o}", f"What the {n} is", f"{n.capitalize()} that is meant",
            kind.descriptions[0] if kind.key not in ("any", "thing") else f"Kind of {n}", f"{kind.descriptions[0]} ({n})" if kind.key not in ("any", "thing") else f"Some {n}")


FRAMES = ("{C}.|{C}|{C}.|{C}|{C}!|Please {c}.|Please {c}|please {c}|{C} please|{C}, please.|Can you {c}?|Can you {c}|can you {c}?|Could you {c}?|Could you please {c}?|Would you {c}?|Will you {c} please?|I need you to {c}.|I'd like you to {c}.|I want you to {c}."
          "|I want to {c}.|I would like to {c}.|I'd like to {c}|I need to {c}.|Help me {c}.|Let's {c}.|Go ahead and {c}.|Hey, {c}.|Hi! {C} please.|Hello, can you {c}?|We need to {c}.|We should {c}.|I have to {c} now.|Quick one: {c}.|Next, {c}."
          "|My boss wants me to {c}.|Is it possible to {c}?|Are you able to {c}?|Kindly {c}.|OK, now {c}.|ok {c}|I was hoping you could {c}.|It would be great if you could {c}.|Any chance you could {c}?|Do me a favour and {c}.|Now {c}."
          "|Just {c}.|You should {c}.|{C} for me.|{C} for me please|{C} now.|{C} right away.|{C} as soon as you can.|{C}, thanks.|{C}. Thank you!|{C} quickly.|Time to {c}.|Time to {c}, I think.|So, {c}.|Then {c}.|Would it be possible to {c}?|Can we {c}?|May I ask you to {c}?|How about we {c}?"
          "|I think we should {c}.|Your task: {c}.|Task: {c}|Todo: {c}|Somebody has to {c}.|You may {c}.|I am asking you to {c}.|It's time to {c}.|The plan is to {c}.|I wonder if you could {c}.|Make sure to {c}.|Be so kind and {c}.|Don't wait, {c}.|First of all, {c}.|Again: {c}.|Right, {c}.").split("|")
CHATTER = ("I'm in a hurry.|It's been a long day.|Hope you are well.|Good morning.|Good evening!|Hi there.|Hello!|Thanks for the help so far.|I just came home.|We talked about this yesterday.|I'm a bit tired.|This is important.|Here is what I need.|I have a favour to ask."
           "|One more thing.|Sorry to bother you.|My {n} is broken.|I was talking to {p} about it.|{p} told me about this.|I love {n}s.|The {n} was great, by the way.|You are doing well.|Let me see.|I am new here.|So much to do today.|Back from lunch.|I forgot to do it earlier."
           "|I hope this works.|As discussed.|Listen.|Okay.|Hm.|No rush.|That was fun.|I met {p} in {t}.").split("|")


def chatter(r: Random) -> str:
    if r.random() < .35:
        a = w.aside(r) + " " + w.aside(r)
        return a[:1].upper() + a[1:] + r.choice(".!?.")
    s = w.fuzz(r, r.choice(CHATTER))
    return s.format(n=w.spaced(w.noun(r)), p=w.first(r), t=w.city(r)) if "{" in s else s


def quote(r: Random, v: str) -> str:
    x = r.random()
    if x < .6 or "'" in v and x < .85:
        return f'"{v}"'
    return f"'{v}'" if x < .85 else f"“{v}”"


def begins_with_value(s: str, q) -> bool:
    """Whether the first word is of an argument's value, whose case matters."""
    head = s.lstrip("\"'“(").split(" ")[0].rstrip(".,:;?!'\"”)").removesuffix("'s")
    return q is not None and any(head in str(v) for v in q.arguments.values())


def lower_first(s: str, q=None) -> str:
    return s if s[:2].isupper() or s[:2] in ("I ", "I'") or begins_with_value(s, q) else s[:1].lower() + s[1:]


def upper_first(s: str, q) -> str:
    return s if begins_with_value(s, q) else s[:1].upper() + s[1:]


PLAIN = set("person recipient email phone date time url ip path weekday month year address".split())  # kinds whose values show what they are
SHOWING = PLAIN | set("path files language".split())
PREMOD = set("colour language nationality genre food topic slug product animal job room company city weekday month version code country".split())


class Request:
    """What is asked: clauses to be framed, sentences that follow, and the call that answers it."""

    __slots__ = ("clause", "after", "framed", "name", "arguments", "before")

    def __init__(self, clause, after, framed, name, arguments, before=""):
        self.clause, self.after, self.framed, self.name, self.arguments, self.before = clause, after, framed, name, arguments, before


def say(r: Random, p: Param, quoted: bool, alone: bool = False) -> tuple[str, object, str]:
    """(the words for the value, the value, a phrase with the words in place). `alone`: no other parameter of the function is of this type, so that any preposition will do."""
    if isinstance(p, Flag):
        v = r.random() < .6
        ph = r.choice(p.when_true if v else p.when_false)
        return ("yes" if v else "no"), v, ph
    words, value = p.draw(r)
    if p.free and (quoted or r.random() < .6):
        words = quote(r, words)
    n = w.spaced(p.name)
    if p.kind is not None and "escription" in p.schema.get("description", "") or r.random() < .08:
        d = p.schema.get("description", "")
        if d and len(d) < 24:
            n = d.rstrip(".").lower()
    template = r.choice(LOOSE) if alone and r.random() < .3 or p.kind is not None and p.kind.key in SHOWING and r.random() < .2 else r.choice(p.phrases) if p.phrases and r.random() < .75 else r.choice(GENERIC)
    if p.values is not None and r.random() < .1:
        template = r.choice(("{v} please", "{v}", "make it {v}", "{v} this time", "{v} if possible", "preferably {v}", "{v} would be best", "and {v}"))
    return words, value, w.fuzz(r, template, .1, .12).format(v=words, n=n)


BEFORE = "The {n} is {v}.|{N}: {v}.|My {n} is {v}.|It is about {n} {v}.|We have {n} {v}.|I have the {n} {v}.|Take {v} as the {n}.|The {n} will be {v}.|I chose {v} as the {n}.|{v} is the {n}.|Here is the {n}: {v}.".split("|")
OBJECT = ("When do the {p} {s} {x}?|Who are some {p} {x}?|How is the {o} {x}?|What are the {p} {x}?|Which {p} are {s} {x}?|Where are the {p} {x}?|How {s} is the {o} {x}?|Is the {o} {s} {x}?|Are there any {p} {x}?|Is it {s}? What about the {o} {x}?|What does the {o} {s} {x}?|At what {s} is the {o} {x}?|Where can I {s} {a} {x}?|Show {p} {x}|{p} {x}|What is the {o} {x}?|What's the {o} {x}?|I wonder about the {o} {x}|I am out of {o} {x}|I'm {s} and need {a} {x}|Somebody {s} my {o} {x}|My {o} is {s} {x}|My {o} was {s} {x}|{s} {o} {x}|The {o} looks {s} {x}|Who can {s} {a} {x}?|Which {o} {x}?|I need {a} {x}|I'd like {a} {x}|We want {a} {x}|{O} {x}|{O} {x} please|{o} {x}|{o}: {x}|Can I have {a} {x}?|Could I get {a} {x}?|I want {a} {x}|We need {a} {x}|Is there {a} {x}?|Any {p} {x}?|Time for {a} {x}|There should be {a} {x}|How about {a} {x}?|I would love {a} {x}|Now for the {o} {x}|The {o} {x}, please|It's about the {o} {x}"
          "|My {o} {x}, can you do something?|We're looking for {a} {x}|It is time for the {o} {x}|The {o} {x} needs your attention|Please deal with the {o} {x}|I'm after {a} {x}|Do the {o} {x}|Do something about the {o} {x}|Take care of the {o} {x}|What about the {o} {x}?").split("|")


def ask(r: Random, t: Tool, quoted: bool = False, only: bool = False) -> Request:
    """A request for the function, saying its required and some of its optional parameters. `only`: no other declared function is about
    the same object, so that the object alone may stand for the function."""
    chosen = [p for p in t.params if p.required or r.random() < .45]
    values = {}
    if t.templates is not None:
        return ask_natural(r, t, chosen, quoted)
    pair = t.pair
    phrases, last, after, before = [], [], [], ""
    if pair and pair[0] in t.params and pair[1] in t.params:
        a, b = pair[0].draw(r), pair[1].draw(r)
        if pair[0].free:
            a, b = (quote(r, a[0]), a[1]), (quote(r, b[0]), b[1])
        values[pair[0].name], values[pair[1].name] = a[1], b[1]
        phrases.append(r.choice(pair[2]).format(a=a[0], b=b[0]) if r.random() < .8 else f"with {w.spaced(pair[0].name)} {a[0]} and {w.spaced(pair[1].name)} {b[0]}")
        chosen = [p for p in chosen if p is not pair[0] and p is not pair[1]]
    key = t.params[0] if t.attribute else None
    style = r.random()
    listing = style < .05 and t.attribute is None
    for p in chosen:
        if p is key:
            continue
        words, value, ph = say(r, p, quoted, not isinstance(p, Flag) and sum(q.schema["type"] == p.schema["type"] and (q.kind is None or q.kind.key not in PLAIN) for q in t.params) == 1)
        values[p.name] = value
        n = w.spaced(p.name)
        if not listing and not before and not isinstance(p, Flag) and r.random() < .06:
            before = w.fuzz(r, r.choice(BEFORE), .2, .2).format(n=n, N=n.capitalize(), v=words) + " "
        elif listing:
            after.append(f"\n{r.choice((n, p.name, n.capitalize()))}: {words if not isinstance(p, Flag) else ('yes' if value else 'no')}")
        elif not isinstance(p, Flag) and r.random() < .2:
            after.append(" " + w.fuzz(r, r.choice(AFTER), .2, .2).format(n=n, N=n.capitalize(), v=words))
        elif p.free and not words.startswith(('"', "'", "“")):
            last.append(ph)
        else:
            phrases.append(ph)
    if r.random() < .6:
        r.shuffle(phrases)
    if t.attribute is not None:
        words, value = key.draw(r)
        if key.free:
            words = quote(r, words)
        values[key.name] = value
        clause, framed = question(r, t, words)
        if phrases + last:
            if clause.endswith("?"):
                clause = clause[:-1] + " " + joined(r, phrases + last) + "?"
            else:
                clause += " " + joined(r, phrases + last)
    else:
        o = w.spaced(t.object)
        parts = phrases + last
        if only and r.random() < .22:
            if " " in o and r.random() < .4:
                o = r.choice(o.split(" "))
            if r.random() < .2:
                o = r.choice((gerund, gerund, past, w.plural, lambda v: v + "er", lambda v: v.rstrip("e") + "ing", lambda v: v.rstrip("y") + "ic"))(o)
            clause = w.fuzz(r, r.choice(OBJECT), .2, .3).format(s=w.stray(r), a=w.article(o), o=o, O=o.capitalize(), p=w.plural(o), x=joined(r, parts) if parts else "now")
            arguments = {p.name: values[p.name] for p in t.params if p.name in values}
            return Request(clause, "".join(after), False, t.name, arguments, before)
        obj = r.choice((w.article(o), w.article(o), "the " + o, "the " + o, "my " + o, o, "a new " + o, "this " + o, "our " + o, w.plural(o)))
        verb = r.choice(t.verbs) if r.random() < .45 else t.verbs[0]
        clause, framed = f"{verb} {obj}", True
        alone_verb = only and " " not in verb
        if " " in o and only and r.random() < .25:
            o = r.choice(o.split(" "))
            obj = f"{obj.split(' ')[0]} {o}" if obj.split(" ")[0] in ("a", "an", "the", "my", "this", "our") else o
            clause = f"{verb} {obj}"
        number = next((p for p in chosen if p.name in values and p.kind is not None and p.kind.key in ("limit", "quantity") and not after), None)
        if number is not None and len(parts) and r.random() < .5:
            v = str(values[number.name])
            i = next((i for i, ph in enumerate(parts) if v in ph), None)
            if i is not None and parts is not None:
                parts = parts[:i] + parts[i + 1:]
                clause = f"{verb} {r.choice(('the next ', 'the first ', '', '', 'the top ', 'another ', 'the last '))}{v} {w.plural(o)}"
        x = r.random()
        front = [p for p in chosen if p.name in values and isinstance(values[p.name], str) and not p.free and not isinstance(p, Flag) and (p.kind is None or p.kind.key in PREMOD or p.kind.key == p.name)]
        if front and r.random() < .25 and number is None:
            p = r.choice(front)
            v = values[p.name]
            rest = [ph for ph in parts if v not in ph]
            if len(rest) == len(parts) - 1 and " " not in v.strip():
                parts = rest
                mod = r.choice((v, v, f"{v} {w.spaced(p.name)}", f"{w.spaced(p.name)} {v}")) if r.random() < .4 else v
                obj = r.choice((w.article(f"{mod} {o}"), f"the {mod} {o}", f"{mod} {o}", f"{mod} {w.plural(o)}", f"my {mod} {o}", f"the {o} of the {mod}", f"the {o} on the {mod}", f"the {o} in the {mod}"))
                clause = f"{verb} {obj}"
                o = f"{mod} {o}"
        if x > .9 and parts and number is None:
            det = r.choice(("my ", "the ", "our ", "", "a "))
            clause = f"{r.choice(('put', 'add', 'enter', 'write', 'note', 'place', 'have', verb))} {joined(r, parts)} {r.choice(('on', 'in', 'into', 'to', 'for', 'at', 'under'))} {det}{o}"
            parts = []
        elif x > .84 and alone_verb and t.object not in verb:
            head = next((p for p in chosen if p.name in values and isinstance(values[p.name], str) and not isinstance(p, Flag)), None)
            if head is not None:
                v = values[head.name]
                rest = [ph for ph in parts if v not in ph]
                if len(rest) == len(parts) - 1:
                    v = quote(r, v) if head.free else v
                    clause, parts = f"{verb} {r.choice(('', '', 'the ', 'my ', w.spaced(head.name) + ' ', 'this ' + w.spaced(head.name) + ' '))}{v}", rest
        person = next((p for p in chosen if p.name in values and p.kind is not None and p.kind.key in ("person", "recipient", "company", "username", "slug", "code", "path", "room", "title", "work")), None)
        if person is not None and x < .22 and any(str(values[person.name]) in ph for ph in parts):
            v = str(values[person.name])
            rest = [ph for ph in parts if v not in ph]
            if len(rest) == len(parts) - 1:
                tail = joined(r, rest) if rest else ""
                n = w.spaced(person.name)
                if person.kind.key in ("person", "recipient", "company", "username"):
                    clause = r.choice(("{p} needs {a} {x}", "{p} wants {a} {x}", "{p} would like to {v} {o} {x}", "{p} asked for {a} {x}", "{p} wants to {v} {o} {x}", "{p} is looking for {a} {x}", "{p} has to {v} {o} {x}", "{p} should get {a} {x}", "I want {p} to have {a} {x}",
                                       "{p} wishes to {v} {o} {x}, please arrange it", "{p} needs to {v} {o} {x}, do it", "{p} would love {a} {x}", "Let {p} {v} {o} {x}", "{p} and {a}: {v} it {x}", "Give {p} {a} {x}", "{p} called about {o}, please {v} it {x}")).format(p=v, a=w.article(o), o=obj, v=verb, x=tail)
                else:
                    clause = r.choice(("The {p} is {s}, {v} the {o} {x}", "The {p} is full of {s}, have the {o} {v} it {x}", "{p} has too many {s}s, {v} the {o} {x}", "Is {p} {s} {s2}? {V} the {o} {x}", "{p} looks {s}. {V} the {o} {x}", "I thought about {p}. {V} the {o} {x}", "{p} again! {V} the {o} {x}", "It is {p} that needs the {o} {x}", "Do you know {p}? {V} the {o} {x}", "The {n} {p} is {s}, {v} the {o} {x}", "{p} is {s}, please {v} {o} {x}", "My {n} {p} needs {a} {x}", "The {n} {p} needs {a} {x}", "I have {p} here, {v} the {o} {x}", "{p} has to be {s}, {v} {o} {x}", "This {n} {p} is {s} {s2}. {V} the {o} {x}",
                                       "For {p}, {v} {a} {x}", "{p}: {v} {o} {x}", "About {p}: {v} {o} {x}", "The {n} {p} is driving me {s}, {v} the {o} {x}", "Look at {p} and {v} {o} {x}", "{p} and its {o}: {v} it {x}")).format(
                        n=n, p=v if not person.free else quote(r, v), a=w.article(o), o=o, v=verb, V=verb.capitalize(), x=tail, s=w.stray(r), s2=w.stray(r))
                framed = False
                parts = []
                clause = clause.strip()
        elif x < .32 and " " not in verb:
            tail = joined(r, parts) if parts else ""
            clause = r.choice(("the {o} should be {d} {x}", "I want the {o} {d} {x}", "the {o} needs {g} {x}", "{g} the {o} {x} would be great", "how about {g} {a} {x}?", "would you mind {g} the {o} {x}?", "{a} has to be {d} {x}", "please have the {o} {d} {x}", "I feel like {g} {a} {x}",
                               "let's get the {o} {d} {x}", "the {o} must be {d} {x}", "have {a} {d} {x}", "I'd like to have {a} {d} {x}", "is it possible to have {a} {d} {x}?", "the {o} wants {g} {x}", "{x}, {g} of {a}" if False else "I need {a} {d} {x}")).format(
                o=o, a=w.article(o), d=past(verb), g=gerund(verb), x=tail).replace(" ?", "?").strip()
            clause = clause[:1].upper() + clause[1:]
            framed, parts = False, []
        pairs = [(a, b) for a in chosen for b in chosen if framed and number is None and a is not b and not front_used(clause, values, a, b) and bindable(a, b)]
        if pairs and r.random() < .35:
            a, b = r.choice(pairs)
            va, vb = str(values[a.name]), str(values[b.name])
            rest = [ph for ph in parts if va not in ph and vb not in ph]
            if len(rest) == len(parts) - 2:
                qa, qb = quote(r, va) if a.free else va, quote(r, vb) if b.free else vb
                clause = r.choice(BINARY).format(v=verb, V=verb.capitalize(), d=past(verb.split(" ")[0]), o=o, a_o=w.article(o), os=w.plural(o), A=qa, B=qb, n=w.spaced(b.name), an=w.spaced(a.name), s=w.stray(r), w=w.word(r))
                framed, parts = clause.startswith(verb), rest
        if len(parts) and not last and r.random() < .06 and not parts[0].startswith(("and ", ":", ",")):
            clause = f"{parts[0]}, {clause}"
            parts = parts[1:]
        if parts:
            clause += " " + joined(r, parts)
    arguments = {p.name: values[p.name] for p in t.params if p.name in values}
    return Request(clause.replace(" , ", ", ").replace(" : ", ": "), "".join(after), framed, t.name, arguments, before)


# Two arguments in one clause. {A} shows by its looks what it is (a person, a date, a file ...), so that {B} is the other.
BINARY = ("{v} {A} with {a_o} of {B}|{v} {o} of {B} for {A}|{v} {B} {o} for {A}|{v} {B} {o} to {A}|{v} {B} {os} to {A}|{v} {a_o} of {B} to {A}|{v} {A} the {B} {o}|{v} {A} {a_o} called {B}|have {a_o} of {B} {d} to {A}|have the {B} {o} {d} for {A}|{v} {A} and the {o} {B}|{v} {B} for {A}"
          "|{v} {A}, {o} {B}|{A} needs {B} {o}, {v} it|{A} needs the {B} {o}|{A} wants {a_o} of {B}|I'd love to {s} {A} with {a_o} of {B}|{s} {A} with {B} {os}|{A}: {v} {B} {o}|{A} should have {B} as {o}|{A} would like {B}, {v} the {o}|{A} has asked for {B}, please {v} the {o}|for {A}, {v} the {o} {B}"
          "|the {o} of {A} must be {B}|{A} with the {o} {B}|{v} {a_o} for {A}: {B}|{v} the {o} {B} with {A}|{v} {a_o} {s} {B} for {A}|{v} {A} in {B} {o}|{v} {A} at the {B} {o}|put {B} {o} on {A}|give {A} {B} {o}|give the {o} {B} to {A}|let {A} have {B} {o}|{v} {A} to {B}|{v} {B} {o} {w} {A}|{v} {A} from {B}|{v} {A} {w} {B}").split("|")
EVIDENT = set("person recipient email phone date time url ip path address".split())


def bindable(a: Param, b: Param) -> bool:
    """Whether `a` shows what it is and `b`, a word of another kind, cannot be taken for it."""
    return a.kind is not None and a.kind.key in EVIDENT and not isinstance(b, Flag) and b.kind is not None and b.kind.type == "string" and b.kind.key not in EVIDENT | {"username", "company", "city", "country"}


def front_used(clause: str, values: dict, a: Param, b: Param) -> bool:
    return a.name not in values or b.name not in values or str(values[a.name]) in clause or str(values[b.name]) in clause


def joined(r: Random, phrases: list[str]) -> str:
    out = phrases[0]
    for i, p in enumerate(phrases[1:], 2):
        if p.startswith("and "):
            out += " " + p
        else:
            out += (r.choice((" and ", ", and ", " ", " and ")) if i == len(phrases) else r.choice((" ", ", ", " "))) + p
    return out


QUESTIONS = ("Give me the {v} {a}|The {v} {e} {a}|What's the {v} {a}?|I want the {v} {e} {a}|Is {v} {s}? What is the {a}?|How about {v}? I need the {a}|{v}: {a}?|Tell me about the {a} in {v}|How is the {a} at {v}?|How's the {a} in {v}?|What {a} is there in {v}?|When is the {a} at {v}?|At what {s} is the {a} of {v}?|What does the {a} of {v} look like?|I am going to {v}, what is the {a}?|I'm at {v}, what's the {a}?|{a} {v}|{a} for {v}?|{v} {a} please|Is the {a} of {v} {s}?|How bad is the {a} of {v}?|How {s} is the {a} in {v}?|How did {e} {v} do, what is the {a}?|Is the {a} in {v} okay for {s}?|Do you have the {a} of {v}?|What is the {a} of {e} {v}?|What's the {a} of {e} {v}?|What is the {a} for {e} {v}?|What's the {a} of {v}?|What is the {a} of {v}?|Tell me the {a} of {e} {v}|Show me the {a} of {e} {v}|Show the {a} for {v}|Give me the {a} for {e} {v}|{a} of {v}|{e} {v} {a}"
             "|I want to know the {a} of {e} {v}|I need the {a} of {v}|Do you know the {a} of {e} {v}?|Check the {a} of {e} {v}|Could you check {a} for {v}?|Look up the {a} of {e} {v}|How about the {a} of {e} {v}?|Can you tell me the {a} of {e} {v}?|Find the {a} for {e} {v}"
             "|For {e} {v}, what is the {a}?|And the {a} of {e} {v}?|Which {a} does {e} {v} have?|I'd like to see the {a} of {v}|Let me know the {a} for {e} {v}|Any idea of the {a} of {v}?|what {a} has the {e} {v}|Find out the {a} of the {e} {v}|The {a} of the {e} {v}, please").split("|")


def past(v: str) -> str:
    return v + "d" if v.endswith("e") else v[:-1] + "ied" if v.endswith("y") and v[-2:-1] not in "aeo" else v + "ed"


def gerund(v: str) -> str:
    return v[:-1] + "ing" if v.endswith("e") and not v.endswith("ee") else v + "ing"


def question(r: Random, t: Tool, v: str):
    return w.fuzz(r, r.choice(QUESTIONS), .12, .3).format(a=w.spaced(t.attribute), e=w.spaced(t.entity), v=v, s=w.stray(r)), False


def ask_natural(r: Random, t: Tool, chosen, quoted, forced: dict | None = None) -> Request:
    """`forced`: parameter name -> (words, value) in place of drawn ones."""
    plain = r.choice(t.templates)
    template = w.fuzz(r, plain, .12, .3)
    implied = t.declared.implied.get(t.original.get(plain, plain), {}) if t.declared else {}
    values, slots, extra = {}, {}, []
    enums = set()
    for p in t.params:
        slot = "{" + p.slot + "}"
        if p.slot in implied:
            values[p.name] = implied[p.slot]
        elif p.kind is not None and p.kind.key == "bool":
            continue
        elif forced and p.name in forced:
            slots[p.slot], values[p.name] = forced[p.name]
        elif slot in template:
            words, value = p.draw(r)
            while isinstance(value, str) and value in enums:
                words, value = p.draw(r)
            if p.values is not None:
                enums.add(value)
            while isinstance(value, str) and p.kind is not None and sum(o.kind is p.kind for o in t.params) > 1 and value in values.values():
                words, value = p.draw(r)
            if p.free and '"' not in template and (not template.endswith((slot, slot + "?")) or quoted or r.random() < .5) and (quoted or not p.kind.key not in ("note", "work") or r.random() < .8):
                words = quote(r, words)
            slots[p.slot], values[p.name] = words, value
        elif p in chosen and (t.declared is None and not p.slot.startswith("extra ") or r.random() < .5):
            words, value, ph = say(r, p, True)
            values[p.name] = value
            extra.append(ph)
    text = template.format(**slots)
    if extra:
        end = text[-1] if text[-1] in "?!." else ""
        text = (text[:-1] if end else text) + " " + joined(r, extra) + end
    arguments = {p.name: values[p.name] for p in t.params if p.name in values}
    after = ""
    if not forced and r.random() < .07 and t.name.isascii() and text.isascii():  # a second sentence about the same thing asks for nothing more
        o = spoken(t.name).partition(" ")
        after = " " + r.choice(ELABORATE).replace("{o}", o[2] or o[0]).replace("{s}", w.stray(r))
    return Request(text, after, False, t.name, arguments)


ELABORATE = ("I need the {o}.|I want to see the {o}.|It is about the {o}.|The {o} would be nice.|A {o}, that is.|I mean the {o}.|That's for my {o}.|I'd like the {o}.|The {o} is what I need.|I am asking for the {o}.|It is for my {s}.|I have to know.|It's urgent.|That would help me a lot.|Do it now.|Please do that.|Get it done.|Show me.|Tell me.|Take care of it."
             "|It is {s}.|My {s} wants it so.|Only the {o}, please.|We need that {o} badly.|Use the {o} for it.|I hope the {o} works.|I'm curious about the {o}.|This {o} is for {s}.").split("|")


def spoken(name: str) -> str:
    """A function's name as words."""
    return "".join(" " + c.lower() if c.isupper() else c for c in name).replace("_", " ").replace(".", " ").replace("-", " ").strip()


def single(r: Random, q: Request) -> str:
    """The user's words for one request."""
    if q.framed:
        s = w.fuzz(r, r.choice(FRAMES), .25, .3).format(c=q.clause, C=upper_first(q.clause, q))
    else:
        s = q.clause
        if r.random() < .15:
            s = lower_first(s, q)
        if s[-1] not in "?!." and r.random() < .3:
            s += "."
    if q.after:
        if s[-1] not in "?!.:" and not q.after.startswith("\n"):
            s += "."
        s += q.after
    s = q.before + s
    return noisy(r, s, q)


def noisy(r: Random, s: str, q: Request | None = None) -> str:
    """Now and then some words before or after that do not matter."""
    x = r.random()
    if x < .06:
        s = chatter(r) + " " + s
    elif x < .09 and s[-1] in "?!.":
        s += " " + chatter(r)
    elif x < .13:
        a = w.aside(r)
        s = (a[:1].upper() + a[1:] if r.random() < .7 else a) + r.choice((", ", ". ", ": ", ", ", " - ", "! ")) + (lower_first(s, q) if r.random() < .5 else s)
    elif x < .15 and s[-1] in "?!.":
        a = w.aside(r)
        s += " " + a[:1].upper() + a[1:] + r.choice((".", "!", ""))
    elif x < .165 and s[-1] not in "?!.\"'":
        s += ", " + w.aside(r)
    return s


def sentence(r: Random, q: Request) -> str:
    """The request with a mark at its end, and what follows it."""
    s = q.clause if q.clause[-1] in "?.!" else q.clause + r.choice("....!")
    if q.framed and r.random() < .4:
        s = r.choice(FRAMES).format(c=q.clause.rstrip("."), C=upper_first(q.clause.rstrip("."), q))
        s = s if s[-1] in "?.!" else s + "."
    return q.before + s + q.after


def double(r: Random, a: Request, b: Request) -> str:
    """The user's words for two requests in one message."""
    if a.framed and b.framed and not a.after and not b.after and not a.before and not b.before and r.random() < .4:
        verb, _, rest = b.clause.partition(" ")
        if a.clause.startswith(verb + " ") and rest:  # the verb is said once
            text = a.clause.rstrip(".") + r.choice((" and ", " and also ", ", and ", ", ", " as well as ", " plus ", "; also ", " and then ")) + rest.rstrip(".")
            return r.choice(FRAMES).format(c=text, C=upper_first(text, a))
    one, two = sentence(r, a), sentence(r, b)
    join = r.choice(JOINS["two"])
    small, large = lower_first(two, b), upper_first(two, b)
    text = join.replace("{s}", w.aside(r)) if "{s}" in join else w.fuzz(r, join, .15, .2)
    for slot, s in (("{A}", upper_first(one, a)), ("{a}", lower_first(one, a)), ("{A-}", upper_first(one, a).rstrip("?.!")), ("{a-}", lower_first(one, a).rstrip("?.!")), ("{B}", large), ("{b}", small), ("{B-}", large.rstrip("?.!")), ("{b-}", small.rstrip("?.!"))):
        text = text.replace(slot, s)
    return text


def again(r: Random, t: Tool, q: Request):
    """'… and the same for Rome': the text and the second request, which is the first with one other value."""
    change = [p for p in t.params if p.name in q.arguments and p.slot is not None and not isinstance(p, Flag) and (p.values is not None or p.kind.type in ("string", "integer") and p.kind.key not in ("bool", "say"))]
    if not change:
        return None
    p = r.choice(change)
    words, value = p.draw(r)
    if value == q.arguments[p.name]:
        return None
    if p.free:
        words = quote(r, words)
    # Where the value does not show whose it is, the parameter is named.
    alike = [o for o in t.params if o is not p and o.name in q.arguments and (o.kind is not None) == (p.kind is not None) and (o.kind is None or o.kind.key == p.kind.key or o.kind.type == p.kind.type and not {o.kind.key, p.kind.key} & SHOWING)]
    line = r.choice([x for x in JOINS["same"] if "{n}" in x] if alike else JOINS["same"])
    text = sentence(r, q) + " " + w.fuzz(r, line, .1, .15).replace("{v}", words).replace("{n}", w.spaced(p.name))
    return text, q, Request("", "", False, t.name, {**q.arguments, p.name: value})


def both(r: Random, t: Tool, chosen):
    """'… in Paris and Rome': one request with two values of one parameter, two calls."""
    change = [p for p in t.params if p.slot is not None and p.required and (p.kind is not None and p.kind.key in TWOFOLD)]
    if not change:
        return None
    p = r.choice(change)
    x, y = p.draw(r), p.draw(r)
    if x[1] == y[1]:
        return None
    q = ask_natural(r, t, chosen, False, {p.name: (r.choice(JOINS["both"]).replace("{v1}", x[0]).replace("{v2}", y[0]), x[1])})
    if x[0] not in q.clause:
        return None
    return q.clause, q, Request("", "", False, t.name, {**q.arguments, p.name: y[1]})


TWOFOLD = set("city person first date code slug food thing any country language weekday animal room company email ticker number_id topic".split())


def dumps(v) -> str:
    return json.dumps(v, ensure_ascii=False)


def call_text(q: Request) -> str:
    return f'<tool_call>\n{{"name": "{q.name}", "arguments": {dumps(q.arguments)}}}\n</tool_call>'


def any_tool(r: Random, like: Tool | None = None) -> Tool:
    x = r.random()
    if like is not None and like.templates is None and x < .35:
        return lookup(r, like) if like.attribute else composed(r, like)
    if like is not None and like.declared is not None and x < .6:
        return natural(r, r.choice(GROUPS[like.declared.group]))
    return natural(r) if x < .58 else composed(r) if x < .86 else lookup(r)


def rivals(a: Tool, b: Tool) -> bool:
    """Whether one request could mean either."""
    if a.name == b.name or a.declared is not None and a.declared is b.declared:
        return True
    for x, y in ((a, b), (b, a)):
        if x.declared and set(x.declared.apart) & words_of(y) and not (y.declared and y.declared.group == x.declared.group):
            return True
    if a.templates is not None and b.templates is not None:
        return a.templates is b.templates or (len(a.templates[0]) and a.schema["function"]["description"] == b.schema["function"]["description"])
    if a.verbs and b.verbs:
        return a.object == b.object and bool(set(a.verbs) & set(b.verbs))
    if a.attribute and b.attribute:
        return a.attribute == b.attribute and (a.entity == b.entity or w.spaced(a.attribute) in "")
    return False


def toolset(r: Random, n: int, first: Tool | None = None) -> list[Tool]:
    tools = [first or any_tool(r)]
    for _ in range(50):
        if len(tools) >= n:
            break
        t = any_tool(r, r.choice(tools) if r.random() < .35 else None)
        if not any(rivals(t, o) for o in tools):
            tools.append(t)
    return tools


# ---- results ----

ERRORS = "not found|timeout|permission denied|invalid argument|service unavailable|no such {n}|rate limit exceeded|unknown {n}|connection refused|{n} is not available".split("|")
RESULTKEYS = "status temperature condition price total id count message city date time name result humidity wind balance currency seats available confirmed delivered eta duration distance location rating score size state code value unit level email owner updated".split()


def result_value(r: Random):
    x = r.random()
    if x < .2:
        return r.randint(0, 9999)
    if x < .3:
        return round(r.uniform(0, 999), r.randint(1, 2))
    if x < .36:
        return r.random() < .5
    if x < .5:
        return r.choice(("ok", "confirmed", "sunny", "cloudy", "rainy", "done", "pending", "sent", "open", "closed", "active", "shipped", "created", "success"))
    return r.choice((w.person, w.city, w.code, w.date, w.time, w.phrase, w.company, lambda r: w.pseudo(r)))(r)


def shown(v) -> str:
    if v is True:
        return "yes"
    if v is False:
        return "no"
    if v is None:
        return "none"
    if isinstance(v, list):
        return ", ".join(shown(x) for x in v) if v else "none"
    if isinstance(v, dict):
        return ", ".join(f"{w.spaced(k)} {shown(x)}" for k, x in v.items())
    return str(v)


def result(r: Random) -> tuple[str, str]:
    """(what the tool returns, how it is told)."""
    x = r.random()
    if x < .08:
        e = r.choice(ERRORS).format(n=w.noun(r))
        if r.random() < .3:
            e = w.sentence(r)
        return dumps({"error": e}) if r.random() < .7 else dumps({"status": "error", "message": e}), f"failed: {e}"
    if x < .18:
        s = r.choice((w.phrase, w.sentence, w.code, lambda r: str(r.randint(0, 9999)), lambda r: f"{r.randint(-10, 40)} degrees", w.city))(r)
        return s, s
    if x < .26:
        xs = [r.choice((w.phrase, w.first, w.city))(r) for _ in range(r.randint(1, 4))]
        return dumps(xs), ", ".join(xs)
    d = {}
    for _ in range(r.choice((1, 1, 2, 2, 3, 4))):
        k = r.choice(RESULTKEYS) if r.random() < .6 else r.choice((w.noun(r), r.choice(w.ATTRIBUTES), f"{w.noun(r)}_id", w.pseudo(r)))
        d[k] = result_value(r) if r.random() < .93 else [w.first(r), w.city(r)]
    y = r.random()
    raw = dumps(d) if y < .75 else json.dumps(d, ensure_ascii=False, separators=(",", ":")) if y < .9 else json.dumps(d, ensure_ascii=False, indent=2)
    return raw, ", ".join(f"{w.spaced(k)} {shown(v)}" for k, v in d.items())


def told(results: list[str]) -> str:
    """The answer from what the tools returned."""
    if len(results) == 1:
        s = results[0]
        if s.startswith("failed: "):
            return "The call " + s + ("" if s[-1] in ".!?" else ".")
        return "Here is the result: " + s + ("" if s[-1] in ".!?" else ".")
    out = "Here are the results."
    for i, s in enumerate(results, 1):
        out += f" {i}: " + s + ("" if s[-1] in ".!?" else ".")
    return out


def complete(text: str, q: Request) -> bool:
    """Whether every argument stands in the words of the request (small numbers may be spelled out)."""
    return all(isinstance(v, bool) or str(v) in text or isinstance(v, int) and 0 <= v <= 12 and NUMBER_WORDS[v] in text for a in q.arguments.values() for v in (a if isinstance(a, list) else [a]))


NOFIT = "None of the functions I was given can do that."


def turns(r: Random, tools: list[Tool], budget: int, others) -> list[tuple]:
    """Messages of a conversation with these tools: calls, their results, requests that fit none, and small talk from `others`."""
    out = []
    for _ in range(budget):
        x = r.random() * .95
        if x < .46:
            t = r.choice(tools)
            q = ask(r, t, False, alone(t, tools))
            text = single(r, q)
            if not complete(text, q):
                continue
            out += [("user", text), ("assistant", call_text(q))]
            if r.random() < .3:
                raw, text = result(r)
                out += [("tool", raw), ("assistant", told([text]))]
            elif _ + 1 < budget:
                out += [("tool", '{"status": "ok"}'), ("assistant", told(["status ok"]))]
        elif x < .8:
            a = r.choice(tools)
            b = a if r.random() < .4 else r.choice([t for t in tools if a.verbs and t.verbs == a.verbs] if r.random() < .3 else tools or [a]) if a.verbs else r.choice(tools)
            qa, qb = ask(r, a, True, alone(a, tools)), ask(r, b, True, alone(b, tools))
            text = double(r, qa, qb)
            y = r.random()
            if a.templates is not None and a is b and y < .75:
                chosen = [p for p in a.params if p.required or r.random() < .45]
                text, qa, qb = (two_values(r, a) if y < .15 else again(r, a, ask_natural(r, a, chosen, True)) if y < .5 else both(r, a, chosen)) or (text, qa, qb)
            if qa.arguments == qb.arguments and qa.name == qb.name or not complete(text, qa) or not complete(text, qb):
                continue
            out += [("user", text), ("assistant", call_text(qa) + "\n" + call_text(qb))]
            if r.random() < .2:
                (raw1, t1), (raw2, t2) = result(r), result(r)
                out += [("tool", raw1), ("tool", raw2), ("assistant", told([t1, t2]))]
            elif _ + 1 < budget:
                out += [("tool", '{"status": "ok"}'), ("tool", '{"status": "ok"}'), ("assistant", told(["status ok", "status ok"]))]
        elif x < .84:
            for _ in range(20):
                t = any_tool(r, r.choice(tools) if r.random() < .12 else None)
                if all(apart(t, o) for o in tools):
                    break
            else:
                continue
            out += [("user", single(r, ask(r, t))), ("assistant", NOFIT)]
        else:
            out += others(r)
    return out


def apart(a: Tool, b: Tool) -> bool:
    """Whether no request for `a` could be met by `b`: another function of its group, or nothing like it."""
    if a.declared and b.declared and a.declared.group == b.declared.group:
        return a.declared is not b.declared
    return not (rivals(a, b) or close(a, b) or shares(a, b))


def close(a: Tool, b: Tool) -> bool:
    """Whether a request for `a` might reasonably be met by `b` (so that it is no example of a request that fits nothing)."""
    if a.templates is not None and b.templates is not None:
        wa, wb = words_of(a), words_of(b)
        return bool(wa & wb)
    if a.attribute and b.attribute:
        return a.attribute == b.attribute or (a.attribute in b.attribute or b.attribute in a.attribute)
    if a.verbs and b.verbs:
        return a.object in b.object and a.verbs[0] == b.verbs[0] or b.object in a.object and bool(set(a.verbs) & set(b.verbs)) or a.object in b.object and bool(set(a.verbs) & set(b.verbs))
    return bool((words_of(a) & words_of(b)) - GLUE)


def shares(a: Tool, b: Tool) -> bool:
    """Whether the objects (or the verbs, where these alone may stand for a function) have a word in common."""
    oa, ob = set((a.object or "").split("_")) - {""}, set((b.object or "").split("_")) - {""}
    return bool(oa & ob) or bool(a.verbs and b.verbs and set(a.verbs) & set(b.verbs)) or bool(oa & words_of(b)) or bool(ob & words_of(a))


GLUE = set("a an the of to in for get set find create check list show from with and or by into is make send add new current look up it".split())


def words_of(t: Tool) -> set:
    """The words of the function's name and description, less those that many have."""
    if t.words is None:
        t.words = split_words(t)
    return t.words


def split_words(t: Tool) -> set:
    f = t.schema["function"]
    return set((spoken(f["name"]) + " " + f["description"].lower().rstrip(".")).split()) - GLUE


def alone(t: Tool, tools: list[Tool]) -> bool:
    """Whether no other declared function has a word of this one's object in its name."""
    if not t.object:
        return False
    words = set(t.object.split("_"))
    return not any(words & words_of(o) or o.verbs and set(o.verbs) & set(t.verbs) or o.object and set(o.object.split("_")) & words_of(t) for o in tools if o is not t)


def two_values(r: Random, t: Tool):
    """'… in Paris and Rome?': one template, one scalar parameter, two values, two calls."""
    if len(t.params) != 1 or isinstance(t.params[0], Flag) or t.params[0].free:
        return None
    p = t.params[0]
    a, b = p.draw(r), p.draw(r)
    if a[1] == b[1]:
        return None
    templates = [q for q in t.templates if "{" + p.slot + "}" in q]
    if not templates:
        return None
    template = r.choice(templates)
    text = template.format(**{p.slot: f"{a[0]}{r.choice((' and ', ' and ', ' and also ', ' and for ')) if p.kind and p.kind.key != 'zhcity' else '和'}{b[0]}"})
    return text, Request("", "", False, t.name, {p.name: a[1]}), Request("", "", False, t.name, {p.name: b[1]})
