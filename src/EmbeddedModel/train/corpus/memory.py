"""What is told is remembered: names and numbers across turns, and a passkey in a long text."""

from random import Random

from . import words as w
from .kinds import KINDS

THINGS = [  # (what the user calls it, how its value is drawn)
    ("name", w.person), ("first name", w.first), ("last name", w.last), ("nickname", lambda r: w.pseudo(r).capitalize()), ("city", w.city), ("hometown", w.city), ("birthplace", w.city), ("country", w.country), ("address", w.address), ("street", w.address),
    ("email", w.email), ("email address", w.email), ("phone number", w.phone), ("number", lambda r: w.digits(r, 1, 5)), ("lucky number", lambda r: w.digits(r, 1, 4)), ("favourite number", lambda r: w.digits(r, 1, 4)), ("age", lambda r: str(r.randint(5, 99))),
    ("room number", lambda r: w.digits(r, 1, 4)), ("locker code", w.code), ("code", w.code), ("password", w.code), ("wifi password", w.code), ("PIN", lambda r: w.digits(r, 4, 6)), ("order number", w.code), ("ticket number", w.code), ("flight", w.code),
    ("booking reference", w.code), ("seat", lambda r: str(r.randint(1, 60)) + r.choice("ABCDEF")), ("account number", lambda r: w.digits(r, 4, 8)), ("license plate", w.code), ("birthday", w.date), ("appointment", w.date), ("wedding day", w.date), ("deadline", w.date),
    ("favourite color", lambda r: r.choice(w.COLOUR)), ("favourite food", lambda r: r.choice(w.FOOD)), ("favourite city", w.city), ("favourite animal", lambda r: r.choice(w.ANIMAL)), ("favourite music", lambda r: r.choice(w.GENRE)),
    ("job", lambda r: r.choice(w.JOB)), ("company", w.company), ("employer", w.company), ("boss", w.person), ("teacher", w.person), ("doctor", w.person), ("best friend", w.first), ("neighbour", w.person), ("language", lambda r: r.choice(w.LANGUAGE)),
    ("shoe size", lambda r: str(r.randint(20, 50))), ("height", lambda r: f"{r.randint(120, 210)} cm"), ("hobby", lambda r: r.choice(w.TOPICS)), ("username", lambda r: w.pseudo(r) + w.digits(r, 1, 3)), ("team", lambda r: w.pseudo(r).capitalize()), ("project", w.phrase),
]
PETS = "dog cat horse rabbit parrot sister brother mother father wife husband son daughter cousin aunt uncle friend boss colleague teacher neighbour hamster boat car band company street school grandmother grandfather roommate".split()
TELL = ("My {n} is {v}.|my {n} is {v}|My {n} is {v}|Remember that my {n} is {v}.|Please remember: my {n} is {v}.|Please remember that my {n} is {v}.|Note that my {n} is {v}.|Keep in mind that my {n} is {v}.|FYI, my {n} is {v}.|Just so you know, my {n} is {v}.|Remember my {n}: {v}|Remember my {n}, it is {v}.|By the way, my {n} is {v}."
        "|Hi! My {n} is {v}.|Hello, my {n} is {v}.|Store my {n}: {v}.|{v} is my {n}.|{v} is my {n}, remember it.|I want you to remember my {n}: {v}.|Don't forget: my {n} is {v}.|For later: my {n} is {v}.|Memorize this: my {n} is {v}.|You should know that my {n} is {v}.|Let me tell you my {n}: {v}.|Save this: my {n} is {v}|I'm telling you my {n}: it's {v}.|My {n}? It's {v}.|So my {n} is {v}, okay?").split("|")
ASKQ = ("Where is my {n}?|Who is my {n}?|When is my {n}?|My {n}?|I need my {n}, what was it?|{n}?|And what about my {n}?|What about my {n}?|Tell me, what is my {n}?|What {n} did I tell you about?|Which one is my {n}?|What is my {n} now?|What is my {n}?|What's my {n}?|what is my {n}|Do you remember my {n}?|What did I say my {n} is?|Tell me my {n}|Tell me my {n} again.|Can you tell me my {n}?|What was my {n}?|What was my {n} again?|Do you know my {n}?|Which {n} did I tell you?|Remind me of my {n}.|Please repeat my {n}.|I forgot my {n}. What is it?|And my {n}?|What's my {n} again?|Say my {n}.|Do you still know my {n}?|Could you remind me what my {n} is?"
        "|What {n} did I give you?|Can you recall my {n}?|Now, what is my {n}?|So what is my {n}?|Give me my {n}|My {n} is what?|I told you my {n}. What is it?|Which is my {n}?|What {n} do I have?|Quick, what's my {n}?|Let's see if you remember my {n}.").split("|")
NAMETELL = "I am known as {v}.|They know me as {v}.|The others know me as {v}.|My name's {v}.|My name's {v}, nice to meet you.|Hi, my name's {v}|The neighbours call me {v}.|In my town they call me {v}.|At work everybody knows me as {v}.|To most I am {v}.|Everybody calls me {v}.|Most people say {v} to me.|My parents named me {v}.|You are talking to {v}.|Just call me {v}.|My friends call me {v}, others too.|I was baptized {v}.|I go by {v}.|It's {v} speaking.|You may address me as {v}.|I am {v}.|I'm {v}.|Call me {v}.|You can call me {v}.|This is {v}.|{v} here.|Hi, I'm {v}.|Hello, I am {v}.|Hi, {v} here.|People call me {v}.|Hey, I'm {v}!|Hi there, I'm {v} and I am testing you.|I am {v}, nice to meet you.|It's me, {v}.|They call me {v}".split("|")
NAMEASK = "By what name do I go?|What do the others call me?|What do they call me?|How do the neighbours call me?|As what am I known?|What name did I tell you?|Which name did I say?|What name did I mention?|What do people call me?|What name do I have?|Say my name please.|How should you address me?|What did my parents name me?|Which name is mine?|My name?|How am I known?|What do my friends call me?|Who am I?|What am I called?|Do you know who I am?|What should you call me?|How am I called?|Do you remember who I am?|And who am I?|Tell me who I am.|Do you remember my name?|What is my name?|What's my name?|How do people call me?|Can you say my name?|With whom are you talking?".split("|")
CITYTELL = "I live in {v}.|I'm from {v}.|I come from {v}.|I moved to {v} last year.|I am writing from {v}.|My home is in {v}.|I grew up in {v}.".split("|")
CITYASK = "Where do I live?|Where am I from?|Which city do I live in?|Where is my home?|What city am I in?|Where do I come from?|In which city do I live?".split("|")
AGETELL = "I am {v} years old.|I'm {v} years old.|I just turned {v}.|I was {v} on my last birthday.|I am {v}.".split("|")
AGEASK = "How old am I?|What is my age?|Do you know how old I am?|What age am I?|How many years old am I?".split("|")
JOBTELL = "I work as a {v}.|I am a {v} by profession.|I'm a {v}.|I earn my money as a {v}.".split("|")
JOBASK = "What do I do for a living?|What is my job?|What do I work as?|What's my profession?|What kind of work do I do?".split("|")
OTHER = "The {n} of {p} is {v}.|{p}'s {n} is {v}.|Remember: {p}'s {n} is {v}.|{p} has the {n} {v}.|For {p} the {n} is {v}.|Note {p}'s {n}: {v}.".split("|")
OTHERASK = "What is {p}'s {n}?|What is the {n} of {p}?|Tell me {p}'s {n}.|Do you remember {p}'s {n}?|And the {n} of {p}?|What's {p}'s {n} again?|Which {n} does {p} have?".split("|")
THETELL = "Our {n} is {v}.|Our {n} will be {v}, okay?|As {n} we have {v}.|The {n} is {v}.|Remember that the {n} is {v}.|Remember the {n}: {v}.|Note: the {n} is {v}.|Please remember the {n} {v}.|Keep this {n}: {v}|The {n} is {v}, remember that.|We changed the {n} to {v}.|From now on the {n} is {v}.".split("|")
THEASK = "What is our {n}?|Where is the {n}?|Where is our {n}?|What was our {n}?|Who is the {n}?|When is the {n}?|{n}?|I need the {n}.|And the {n}?|What about the {n}?|What is the {n}?|What's the {n}?|Tell me the {n}.|What was the {n} again?|Do you remember the {n}?|Which {n} did I mention?|Give me the {n}.|What {n} did I tell you?|Repeat the {n}.".split("|")


def noise(r: Random, s: str) -> str:
    x = r.random()
    if x < .8:
        return s
    a = w.aside(r)
    A = a[:1].upper() + a[1:]
    low = s if s[:2] in ("I ", "I'") or s[:1] == s[:1].lower() else s[:1].lower() + s[1:] if s.split()[0].rstrip(",:") in LOWER else s
    return (f"{A}, {low}" if x < .85 else f"{A}. {s}" if x < .9 else f"{s} {A}." if s[-1] in ".?!" else f"{s}, {a}" if x < .95 else f"{A}: {low}")


LOWER = set("What What's Tell Do Can Which Please Remember My The Who Where How Note Keep Could Now So And Give In For Repeat This".split())


def fuzzed(r: Random, templates: list[str]) -> str:
    t = r.choice(templates)
    return w.fuzz(r, t, .2, .35, "{n}" not in t)


class Fact:
    """A thing told: how it is told, how it is asked for, and the sentence that answers."""

    __slots__ = ("key", "tells", "asks", "subject", "value", "fields")

    def __init__(self, key, tells, asks, subject, value, **fields):
        self.key, self.tells, self.asks, self.subject, self.value, self.fields = key, tells, asks, subject, value, fields

    def tell(self, r):
        return noise(r, fuzzed(r, self.tells).format(v=self.value, **self.fields))

    def ask(self, r):
        return noise(r, fuzzed(r, self.asks).format(v=self.value, **self.fields))

    def answer(self):
        return f"{self.subject} {self.value}."


def draw(r: Random) -> Fact:
    x = r.random()
    if x < .16:
        return Fact("name", NAMETELL + TELL[:6] if r.random() < .3 else NAMETELL, NAMEASK, "Your name is", w.person(r), n="name")
    if x < .22:
        return Fact("city", CITYTELL, CITYASK, "You live in", w.city(r))
    if x < .26:
        return Fact("age", AGETELL, AGEASK, "Your age is", str(r.randint(5, 99)))
    if x < .29:
        return Fact("job", JOBTELL, JOBASK, "Your job is", r.choice(w.JOB))
    if x < .34:
        v, n = w.verb(r).split(" ")[0], r.choice((w.person, w.city, w.company, w.phrase, w.code, lambda q: w.spaced(w.noun(q))))(r)
        if r.random() < .5:
            p = w.first(r)
            return Fact(p + v, [f"{p} {v}s {{v}}.", f"{p} will {v} {{v}}.", f"Remember that {p} {v}s {{v}}.", f"{p} likes to {v} {{v}}.", f"My friend {p} {v}s {{v}}."],
                        [f"What does {p} {v}?", f"Whom does {p} {v}?", f"What will {p} {v}?", f"Tell me what {p} {v}s.", f"What is it that {p} {v}s?", f"Which one does {p} {v}?"], f"{p} {v}s", n)
        return Fact("I" + v, [f"I {v} {{v}}.", f"I will {v} {{v}}.", f"Remember that I {v} {{v}}.", f"I like to {v} {{v}}.", f"I have to {v} {{v}}."], [f"What do I {v}?", f"What will I {v}?", f"Tell me what I {v}.", f"Whom do I {v}?", f"What is it that I {v}?", f"What do I have to {v}?"], f"You {v}", n)
    if x < .38:
        p = w.first(r)
        tell, ask, said, f = r.choice((("{p} lives in {v}.|{p} moved to {v}.|{p} comes from {v}.", "Where does {p} live?|Which city does {p} live in?|Where is {p} from?", "lives in", w.city), ("{p} works for {v}.|{p} works at {v}.|{p} is employed by {v}.", "Where does {p} work?|Whom does {p} work for?|What company does {p} work for?|Who employs {p}?", "works for", w.company),
                                       ("{p} is {v} years old.|{p} turned {v}.", "How old is {p}?|What is the age of {p}?", "is", lambda q: str(q.randint(1, 99))), ("{p} is a {v}.|{p} works as a {v}.", "What is {p}'s job?|What does {p} do for a living?|What does {p} work as?", "is a", lambda q: q.choice(w.JOB) if q.random() < .5 else w.word(q)),
                                       ("{p} loves {v}.|{p} is in love with {v}.|{p} is married to {v}.", "Who does {p} love?|Whom does {p} love?|Who is with {p}?", "loves", w.person)))
        return Fact(p + said, [t.replace("{p}", p) for t in tell.split("|")], [t.replace("{p}", p) for t in ask.split("|")], f"{p} {said}", f(r))
    if x < .47:
        p = r.choice(PETS) if r.random() < .8 else w.word(r)
        return Fact(p, [t.replace("{n}", "{n}'s name") for t in TELL] + ["My {n} is called {v}.", "I have a {n} named {v}.", "I have a {n}, {v}.", "{v} is the name of my {n}."], [t.replace("{n}", "{n}'s name") for t in ASKQ] + ["What is my {n} called?", "What's the name of my {n}?", "How is my {n} called?", "Which name does my {n} have?", "What do I call my {n}?", "What name has my {n}?", "My {n} is called what?", "What did I name my {n}?", "Do you remember what my {n} is called?"], f"Your {p}'s name is", w.first(r) if r.random() < .8 else w.word(r), n=p)
    if x < .57:
        p, (n, f) = w.first(r), r.choice(THINGS)
        return Fact(p + n, OTHER, OTHERASK, f"{p}'s {n} is", f(r), n=n, p=p)
    if x < .7:
        n = r.choice((w.spaced(w.noun(r)), f"{w.adjective(r)} {w.spaced(w.noun(r))}", f"{w.spaced(w.noun(r))} {r.choice(('code', 'number', 'name', 'color', 'key', 'date'))}"))
        v = r.choice((w.code, w.first, w.city, w.date, lambda r: w.digits(r, 1, 6), w.phrase))(r)
        return Fact("the" + n, THETELL, THEASK, f"The {n} is", v, n=n)
    if x < .8:
        n = r.choice((w.spaced(w.noun(r)), f"{w.adjective(r)} {w.spaced(w.noun(r))}", f"{w.spaced(w.noun(r))} number", f"favourite {w.spaced(w.noun(r))}"))
        v = r.choice((w.code, w.first, w.city, w.date, lambda r: w.digits(r, 1, 6)))(r)
        return Fact(n, TELL, ASKQ, f"Your {n} is", v, n=n)
    n, f = r.choice(THINGS)
    return Fact(n, TELL, ASKQ, f"Your {n} is", f(r), n=n)


UNKNOWN = "You have not told me that."
SYSTEM = ("The user's {n} is {v}.|You are talking to {v}.|Remember: the user's {n} is {v}.|User profile: {n}: {v}.|Facts: the user's {n} is {v}.").split("|")


def recall(r: Random, filler) -> list:
    """Facts told over some turns, other talk from `filler(r)` between, then questions about them. A later value replaces an earlier one."""
    out, facts = [], []
    n = r.choice((1, 1, 2, 2, 3, 3, 4, 5))
    together = n > 1 and r.random() < .35
    keys = set()
    told = []
    while len(told) < n:
        f = draw(r)
        if f.key not in keys:
            keys.add(f.key)
            told.append(f)
    if together:
        text = told[0].tell(r)
        for f in told[1:]:
            t = f.tell(r)
            text = (text if text[-1] in ".!?" else text + ".") + " " + t[:1].upper() + t[1:] if r.random() < .7 else text.rstrip(".!") + " and " + (t[:1].lower() + t[1:] if t[:2] in ("My", "Th", "Pl", "Re", "No", "Ke") else t)
        out += [("user", text), ("assistant", "I will remember that.")]
        facts = told
    else:
        for f in told:
            out += [("user", f.tell(r)), ("assistant", "I will remember that." if "name" != f.key or r.random() < 2 else "")]
            facts.append(f)
            if r.random() < .4:
                out += filler(r)
            elif r.random() < .25 and len(facts) > 1:
                g = r.choice(facts)
                out += [("user", g.ask(r)), ("assistant", g.answer())]
    for _ in range(r.choice((0, 0, 1, 1, 2, 3))):
        out += filler(r)
    if r.random() < .12:
        f = r.choice(facts)
        v = f.value
        for _ in range(5):
            g = draw(r)
            if g.key == f.key and g.value != v:
                break
        else:
            v2 = w.pseudo(r).capitalize() if not v.isdigit() else w.digits(r, len(v), len(v))
            f.value = v2
            out += [("user", r.choice(("Wait, I was wrong. ", "Correction: ", "Sorry, ", "Actually, ", "I made a mistake. ")) + f.tell(r)), ("assistant", "I will remember that.")]
    asked = r.sample(facts, min(len(facts), r.choice((1, 2, 3))))
    for f in asked:
        out += [("user", f.ask(r)), ("assistant", f.answer())]
        if r.random() < .2:
            out += filler(r)
    if r.random() < .1:
        g = draw(r)
        if g.key not in keys and g.key not in ("name", "city", "age", "job"):
            out += [("user", g.ask(r)), ("assistant", UNKNOWN)]
    return out


# ---- the passkey ----

KEYNAMES = "pass key|passkey|pass key|passkey|secret code|secret number|magic number|access code|secret word|password|hidden number|key|code word|vault code|secret key|special number|passphrase|PIN|security code|safe combination|launch code".split("|")
HIDE = ("The {n} that you will need later on is {v}.|The {n} has been set, and it is {v}.|The {n}, as agreed, is {v}.|{v}, that is the {n}.|They settled on {v} for the {n}.|{v} was picked as the {n}.|You will be asked about the {n}, and it is {v}.|As for the {n}, it is {v}.|What matters is the {n}, namely {v}.|Somebody wrote {v} down as the {n}.|If anyone wants the {n}: it is {v}.|Let it be known that {v} is the {n}."
        "|To repeat, {v} is the {n}.|Our {n} for today is {v}, do not share it.|The {n} was changed; now it is {v}.|The {n} which everybody looks for is {v}.|{v} serves as the {n}.|One more detail: {v} is the {n} to use.|Use {v} when they ask for the {n}.|When asked for the {n}, say {v}.|The {n} you asked me for is {v}.|Quietly she said that the {n} was {v}.|It reads: {n} {v}.|Between us, the {n} is {v}.|Here {v} stands for the {n}.|Listen, {v} is going to be the {n}.|The answer to the question about the {n} is {v}."
        "|The {n} has always been {v}.|The {n} must be kept; it is {v}.|The {n} was drawn and turned out to be {v}.|The {n} is {v}. Remember it. {v} is the {n}.|The {n} is {v}.|The {n} is {v}. Remember it.|Remember this: the {n} is {v}.|Important: the {n} is {v}.|Here is the {n}: {v}.|Note that the {n} is {v}.|{v} is the {n}.|Do not forget that the {n} is {v}.|Attention, the {n} is {v}. Keep it.|The {n} you need is {v}.|By the way, the {n} is {v}.|We set the {n} to {v}.|Please note the {n} {v}.|This is the {n}: {v}"
        "|[{n}: {v}]|{N}: {v}|The {n} that opens the door is {v}.|Nobody knows that the {n} is {v}.").split("|")
SEEK = ("Having finished the text, what is the {n}?|Please look it up: the {n}?|Then what is the {n}?|I am looking for the {n} of the text.|Be so kind and tell me the {n}.|The text mentions a {n}. Which?|Where the text says {n}, what does it say?|Which {n} appears in the text?|In the lines above, what is the {n}?|I want the {n} from above.|Recall the {n}.|Name the {n} that was given above.|Did you see the {n}? Which one is it?|What {n} did the text give?|What is the {n}?|What is the {n} in the text?|What's the {n}?|Find the {n} in the text above.|Tell me the {n}.|Which {n} is mentioned in the text?|What is the {n} hidden in the text?|The text contains a {n}. What is it?|Give me the {n}.|Can you find the {n}?|Look for the {n} and tell it to me.|What was the {n}?|Read the text and tell me the {n}.|Do you remember the {n}?|Now tell me: what is the {n}?|What is the {n} that the text mentions?"
        "|Somewhere above there is a {n}. Which one?|Answer only this: what is the {n}?|Which is the {n}?").split("|")
INTRO = "There is important information hidden in the text below. Find it and remember it.|Read the following text carefully.|Below is a long text. Answer the question at the end.|Here is a document.|Find the {n} in this text.|I will give you a long text with a {n} in it.|Remember the {n} that is hidden here.||||What is the {n} in this text?|A text follows.|Text:|Please read this.".split("|")
CLASSIC = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."


def noise_sentence(r: Random) -> str:
    x = r.randrange(24)
    if x >= 16:
        return prose(r)
    if x >= 12:
        return " ".join(r.choice((w.aside(r), w.spaced(w.noun(r)), "the", "of the", "and", "was", "in a", w.adjective(r), w.spaced(r.choice(w.VERBS)[0]))) for _ in range(r.randint(3, 8))).capitalize() + r.choice((".", ".", ", and that was that.", "!"))
    n, m, a, p, c = w.spaced(w.noun(r)), w.spaced(w.noun(r)), w.adjective(r), w.first(r), w.city(r)
    v = w.spaced(r.choice(w.VERBS)[0])
    return (f"The {n} in {c} was {a} and {r.choice(w.ADJECTIVES)}.", f"{p} wanted to {v} the {m} before the {n} arrived.", f"There were {r.randint(2, 900)} {n}s near the {a} {m}.", f"It was a {a} day, and the {n} had to {v} a {m}.",
            f"Nobody in {c} could {v} the {n}.", f"{w.sentence(r).rstrip('.!')}.", f"In {r.randint(1200, 2030)} the {a} {n} of {c} was moved to the {m}.", f"\"{w.sentence(r).rstrip('.!')},\" said {p}, looking at the {n}.", f"A {a} {n} and a {m} stood in the {w.spaced(w.noun(r))}.",
            f"Every {n} needs a {m}, but {p} only had a {a} one.", " ".join(w.pseudo(r) for _ in range(r.randint(4, 10))).capitalize() + ".", f"The {n} number {w.digits(r, 1, 4)} belongs to {p}.")[x]


GLUE = "the a of to in and was by with on for that his her from had it as at were which but not they one when who would could their been into there if more than then two only some over after before because through under while where about".split()


def prose(r: Random) -> str:
    """A sentence of English words in no particular order, numbers and names among them."""
    out = []
    for _ in range(r.randint(5, 18)):
        x = r.random()
        out.append(r.choice(GLUE) if x < .42 else w.word(r) if x < .9 else w.pseudo(r) if x < .93 else w.first(r) if x < .96 else w.digits(r, 1, 4) if x < .975 else r.choice(w.STRAY))
        if r.random() < .06:
            out[-1] += ","
    s = " ".join(out)
    return s[:1].upper() + s[1:].rstrip(",") + r.choice((".", ".", ".", ".", "!", "?", ";"))


def passkey(r: Random, budget: int) -> tuple[list, str | None]:
    """(messages, system prompt or None); the text is about `budget` characters long."""
    count = 1 if r.random() < .72 else r.randint(2, 4)
    if count == 1:
        named = [(r.choice(KEYNAMES), None)]
    else:
        base = r.choice(KEYNAMES)
        owners = [r.choice((w.city, w.first))(r) for _ in range(count)]
        named = [(f"{base} {r.choice(('of', 'for'))} {o}", base) for o in dict.fromkeys(owners)]
    needles = []
    for n, _ in named:
        x = r.random()
        v = w.digits(r, 3, 7) if x < .5 else w.code(r) if x < .94 or not n.startswith(("secret word", "password", "code word", "passphrase")) else w.pseudo(r) if x < .98 else w.pseudo(r) + "-" + w.pseudo(r)
        needles.append((n, v, w.fuzz(r, r.choice(HIDE), .25, .35).format(n=n, N=n[:1].upper() + n[1:], v=v)))
    style = r.random()
    parts, size = [], 0
    pool = [noise_sentence(r) for _ in range(r.randint(8, 30))]
    classic = CLASSIC if r.random() < .4 else " ".join(noise_sentence(r) for _ in range(r.randint(2, 6)))
    facts = [w.sentence(r).rstrip(".!") + "." for _ in range(30)] if style > .9 else None
    while size < budget:
        if style < .3:
            s = classic
        elif style < .5:
            s = CLASSIC if r.random() < .3 else noise_sentence(r)
        elif style < .7:
            s = noise_sentence(r)
        elif style < .9:
            s = r.choice(pool)
        else:
            s = r.choice(facts)
        parts.append(s)
        size += len(s) + 1
    for _, _, text in needles:
        parts.insert(r.randint(0, len(parts)), text)
    text = r.choice((" ", " ", " ", "\n", "\n\n")).join(parts)
    ask, value, _ = r.choice(needles)
    intro = w.fuzz(r, r.choice(INTRO), .3, .5).format(n=ask)
    question = w.fuzz(r, r.choice(SEEK), .3, .5).format(n=ask)
    answer = f"The {ask} is {value}."
    x = r.random()
    if x < .72:
        return [("user", (intro + r.choice(("\n\n", "\n", " ")) if intro else "") + text + r.choice(("\n\n", "\n\n", "\n", " ")) + question), ("assistant", answer)], None
    if x < .85:
        return [("user", (intro + "\n\n" if intro else "") + text), ("assistant", "I have read the text."), ("user", question), ("assistant", answer)], None
    return [("user", question), ("assistant", answer)], text
