"""Extraction: a text in which values stand in sentences, lists or forms, and the fields that are wanted as one JSON object."""

import json
from random import Random

from . import bound, lines, words as w, written
from .kinds import KINDS, integer
from .tools import chatter

# kind -> (field names, sentence patterns). {v} is the value, {s} the subject of the text (a person), {he} a pronoun, {his}.
FIELDS = {
    "person": ("name person full_name customer author contact guest client employee patient candidate applicant buyer seller winner sender recipient owner driver tenant visitor caller reader member host speaker manager signer bidder neighbour teacher student passenger reporter", "My name is {v}.|{v} wrote to us.|This is about {v}.|The name is {v}.|I am {v}.|I'm {v}.|Name: {v}|Signed, {v}|We spoke with {v}.|{v} called this morning.|{v} is our new contact.|Meet {v}.|Regards, {v}|It was written by {v}.|{v} joined today.|From: {v}|Here is what {v} said.|It belongs to {v}.|{v} here.|Please welcome {v}.|Dear {v},"),
    "city": ("city town location place hometown destination origin branch site birthplace venue residence", "{He} lives in {v}.|I live in {v}.|based in {v}|It takes place in {v}.|It happened in {v}.|{He} comes from {v}.|{He} moved to {v}.|The office is in {v}.|City: {v}|We will meet in {v}.|Greetings from {v}.|The event is held in {v}.|{He} works in {v}.|born in {v}|It ships to {v}.|{He} is from {v}.|{He} grew up in {v}."),
    "country": ("country nation origin", "{He} comes from {v}.|The country is {v}.|made in {v}|It was produced in {v}.|Country: {v}|{He} is a citizen of {v}.|It is located in {v}.|imported from {v}"),
    "age": ("age years", "{He} is {v} years old.|I am {v} years old.|aged {v}|{He} turned {v} last week.|Age: {v}|{He} is {v}.|at the age of {v}|{He} will be {v} soon.|a {v}-year-old|{He} just turned {v}."),
    "email": ("email email_address contact_email mail", "Write to {v}.|{His} email is {v}.|Email: {v}|You can reach {him} at {v}.|Contact: {v}|Send it to {v}.|e-mail {v}|The address is {v}.|Mail me at {v}.|Questions go to {v}."),
    "phone": ("phone phone_number telephone mobile tel", "Call {v}.|{His} phone number is {v}.|Phone: {v}|Tel. {v}|You can call {him} on {v}.|Ring {v}.|{His} number is {v}.|The phone is {v}.|Reach me by phone at {v}."),
    "date": ("date day when due_date start_date deadline event_date delivery_date arrival due birthday departure expiry from until", "It takes place on {v}.|The date is {v}.|Date: {v}|It is due on {v}.|We meet on {v}.|It starts on {v}.|It happened on {v}.|scheduled for {v}|The deadline is {v}.|It arrives on {v}.|on {v}|It was signed on {v}."),
    "time": ("time start_time at hour opening boarding end_time closing", "It starts at {v}.|The time is {v}.|Time: {v}|We begin at {v}.|at {v}|Doors open at {v}.|Be there at {v}.|The appointment is at {v}."),
    "amount": ("price amount total cost sum budget fee salary reward deposit rent bid fine tip", "It costs {v} dollars.|The total is {v}.|Total: {v}|The price is {v} euros.|{He} paid {v} dollars.|for {v} euros|The amount is {v}.|Price: {v}|It was sold for {v} dollars.|The bill comes to {v}.|Amount due: {v}|{He} earns {v} a month."),
    "quantity": ("quantity count number units pieces", "{He} ordered {v} pieces.|Quantity: {v}|We need {v} of them.|There are {v} units.|{v} items in total.|The quantity is {v}.|It is a set of {v}."),
    "code": ("order_id id reference code ticket invoice_number serial tracking_number case_number invoice booking flight parcel receipt plate policy", "The order number is {v}.|Order {v}|Reference: {v}|The id is {v}.|Ticket {v}.|It has the code {v}.|(ref. {v})|Invoice {v}.|The tracking number is {v}.|No. {v}|The serial number reads {v}."),
    "company": ("company employer organization vendor supplier brand shop airline publisher sponsor maker", "{He} works at {v}.|{He} works for {v}.|Company: {v}|It was made by {v}.|from {v}|{He} is employed by {v}.|We ordered it from {v}.|The company is {v}.|a customer of {v}|on behalf of {v}"),
    "job": ("job profession occupation role position title", "{He} is a {v}.|{He} works as a {v}.|I am a {v}.|Job: {v}|{He} was hired as a {v}.|employed as a {v}|By profession {he} is a {v}.|{He} became a {v}."),
    "product": ("product item article object thing tool instrument device gift", "{He} bought a {v}.|The product is the {v}.|Product: {v}|{He} ordered the {v}.|It is about the {v}.|The item is a {v}.|We shipped the {v}.|Item: {v}|The {v} was returned."),
    "colour": ("color colour", "It is {v}.|The color is {v}.|Color: {v}|It comes in {v}.|painted {v}|{His} favourite color is {v}.|in {v}"),
    "address": ("address street delivery_address", "The address is {v}.|Address: {v}|{He} lives at {v}.|Deliver it to {v}.|It is at {v}.|Our office is at {v}.|Come to {v}."),
    "url": ("url website link", "See {v}.|The website is {v}.|Website: {v}|More at {v}|Visit {v}|The link is {v}."),
    "year": ("year founded built", "It was founded in {v}.|It was built in {v}.|Year: {v}|That was in {v}.|since {v}|It dates from {v}.|in the year {v}"),
    "weight": ("weight weight_kg", "It weighs {v} kg.|The weight is {v} kg.|Weight: {v}|{v} kilograms heavy"),
    "rating": ("rating stars score", "I give it {v} stars.|Rating: {v}|The rating is {v}.|{He} gave it a {v}.|{v} out of 10|It got {v} points."),
    "language": ("language", "{He} speaks {v}.|Language: {v}|It is written in {v}.|The language is {v}."),
    "animal": ("pet animal", "{He} has a {v}.|The pet is a {v}.|Pet: {v}|{He} brought {his} {v}."),
    "room": ("room", "It is in the {v}.|Room: {v}|We meet in the {v}.|The room is the {v}."),
    "food": ("dish food meal", "{He} ordered {v}.|Dish: {v}|{He} loves {v}.|We had {v}.|The dish was {v}."),
    "people": ("guests people participants seats players party_size", "for {v} people|There will be {v} guests.|Guests: {v}|{v} people will come.|a table for {v}|We expect {v} participants."),
    "version": ("version release", "The version is {v}.|Version: {v}|It runs version {v}.|upgraded to {v}|release {v}"),
    "title": ("title subject name book project event", 'The title is "{v}".|It is called "{v}".|Subject: {v}|The project is named "{v}".|"{v}" is the title.|Title: {v}|{He} read "{v}".'),
}
GENERICS = "The {v} {n} is here.|{v} {n}|the {v} {n}|{n} the {v}|({v} {n})|({n} {v})|New {n} is {v}.|It was the {v} {n}.|We saw the {v} {n} there.|{n} {v}|{N} {v} is ready.|They {n} the {v}.|{n} {v} and wait|with {v} {n}|a {v} {n}|one {v} {n}|{v} {n} in all|my {n} {v}|The {n} now is {v}.|{n}: {v}|The {n} is {v}.|{N}: {v}|The {n} was {v}.|Its {n} is {v}.|{n} = {v}|{v} is the {n}.|We chose {v} as the {n}.|{N} is {v}.|{His} {n} is {v}.|with {n} {v}|The {n} reads {v}.|As {n} we noted {v}.".split("|")
ASK = ("Extract {f} from this text as JSON: {t}|Extract {f} as JSON: {t}|Extract {f} as JSON from: {t}|Give me {f} as JSON. Text: {t}|Extract the fields {f} as JSON.\n\n{t}|Return a JSON object with {f}.\n\n{t}|Read the text and answer with JSON containing {f}.\n\nText: {t}|{t}\n\nExtract {f} as JSON.|{t}\n\nReturn {f} as a JSON object.|From the text below, extract {f} in JSON.\n{t}"
       "|Find {f} in this message and reply in JSON: \"{t}\"|Convert to JSON with the keys {f}: {t}|Turn this into JSON with {f}: {t}|Parse this and output JSON with {f}.\n{t}|Text: {t}\nFields: {f}\nAnswer with JSON.|Text: {t}\nJSON with {f}:|Please extract {f} (JSON only):\n\n{t}|I need {f} as JSON from this: {t}|Output {f} as JSON. Input: {t}|What are {f} here? Answer in JSON.\n\n{t}|json with {f} please: {t}"
       "|Fill in {f} as JSON for: {t}|Here is a text:\n{t}\nGive me a JSON object with the keys {f}.|Make a JSON object ({f}) out of this: {t}|Take {f} out of the following and write JSON.\n\n{t}|Analyze the text and produce JSON with fields {f}:\n\n{t}|Pull {f} from the text, in JSON: {t}|Can you extract {f} as JSON? {t}|Could you give me {f} in JSON format? {t}|Structure this as JSON with {f}: {t}|Collect {f} in a JSON object.\n{t}").split("|")
TEMPLATED = "Fill in this JSON from the text: {j}\n\nText: {t}|Extract the information as JSON like {j}.\n\n{t}|{t}\n\nAnswer with JSON of this form: {j}|Use this format: {j}\nText: {t}|Complete the JSON {j} with the values of this text: {t}|Return JSON in the shape {j} for: {t}|Read this and fill {j}: {t}".split("|")
SYSTEM = ("You extract information and answer with JSON only.|You are an extraction engine. Answer with a JSON object.|Extract {f} from each message as JSON.|For every text, return a JSON object with {f}.|Reply only with JSON containing {f}.|The user sends texts. Answer with JSON holding {f}.|Your task is to turn messages into JSON with the fields {f}.").split("|")
HE = [("he", "his", "him"), ("she", "her", "her"), ("they", "their", "them")]
WEIGHTED = [k for k in FIELDS for _ in range(3 if k in ("person", "city", "date", "amount", "age") else 2 if k in ("email", "phone", "code", "company", "job", "product") else 1)]


ASK_WRITTEN, ASK_NULL = lines.asks()


def wanted(r: Random, names: list[str]) -> str:
    """The fields as a request names them."""
    if r.random() < .12:
        return r.choice((lambda: "; ".join(names), lambda: " / ".join(names), lambda: "[" + ", ".join(names) + "]", lambda: " + ".join(names), lambda: ",".join(names), lambda: "(" + ", ".join(names) + ")", lambda: " & ".join(names), lambda: " and ".join(names),
                         lambda: " | ".join(names), lambda: "'" + "', '".join(names) + "'", lambda: ", then ".join(names), lambda: "its " + " and its ".join(names), lambda: "the fields " + ", ".join(names), lambda: "the keys " + " and ".join(names)))()
    x = r.random()
    if x < .2:
        return ", ".join(names)
    if x < .3:
        return ", ".join(f'"{n}"' for n in names)
    if x < .36:
        return ", ".join(f"`{n}`" for n in names)
    the = "the " if x < .7 else ""
    if len(names) == 1:
        return the + names[0]
    if x > .85:
        names = [w.spaced(n) if "_" not in n else n for n in names]
    return (", ".join(the + n for n in names[:-1]) if x < .5 else the + ", ".join(names[:-1])) + " and " + (the if x < .5 else "") + names[-1]


def draw(r: Random, used: set):
    """(field name, words, value, statement pattern). A kind in `used` stands in the text already: a second one is said with its field's name."""
    if r.random() < .22:
        n = r.choice((w.noun(r), w.noun(r), w.pseudo(r), f"{w.adjective(r)}_{w.noun(r)}", f"{w.noun(r)}_{w.noun(r)}"))
        if r.random() < .35:
            words, value = integer(0, 9999)(r)
        else:
            words = value = r.choice((w.phrase, w.code, w.first, w.pseudo, w.city))(r)
        if words.isdigit() and words[0] != "0":
            value = int(words)  # digits alone are a number, in every field
        return n, words, value, r.choice(GENERICS)
    key = r.choice(WEIGHTED)
    names, patterns = FIELDS[key]
    name = r.choice(names.split())
    words, value = KINDS[key].make(r)
    if isinstance(value, int) and not words[-1].isdigit():
        words = str(value)
    if isinstance(value, str) and words.isdigit() and words[0] != "0":
        value = int(words)
    if r.random() < .75 and key not in used:
        used.add(key)
        return name, words, value, r.choice(patterns.split("|"))
    used.add(key)
    return name, words, value, r.choice(GENERICS)


def extraction(r: Random, system: list | None = None) -> list:
    """One exchange; `system` (a list) receives a system prompt that carries the instruction, for some."""
    x = r.random()
    if x < .6:
        return natural(r, system)
    if x < .76:
        return construed(r, system)
    n = r.choice((1, 2, 2, 3, 3, 3, 4, 4, 5, 6))
    facts, seen, used = [], set(), set()
    while len(facts) < n:
        f = draw(r, used)
        if f[0] not in seen:
            seen.add(f[0])
            facts.append(f)
    he, his, him = r.choice(HE)
    sentences = []
    if r.random() < .5:
        facts = facts[:r.choice((0, 0, 0, 1, 2))]
        seen = {f[0] for f in facts}
        used = {k for k in used if facts}
        for _ in range(1 if r.random() < .75 else 2):
            more, text = (packed if r.random() < .6 else whole)(r, seen, used)
            sentences.append((more, text))
        if not facts and not any(m for m, _ in sentences):
            return extraction(r, system)
    extra = []
    if r.random() < .4:
        for _ in range(r.randint(1, 2)):
            f = draw(r, used)
            if f[0] not in seen:
                seen.add(f[0])
                extra.append(f)
    style = r.random() if not sentences else 1
    lines = facts + extra
    r.shuffle(lines) if r.random() < .5 else None
    if style < .16:  # a form
        sep = r.choice(("\n", "\n", "; ", " | ", ", ", " / ", " - ", "\n- ", " // "))
        colon = r.choice((": ", ": ", " = ", ":", " - "))
        text = sep.join((w.spaced(f[0]).capitalize() if r.random() < .6 else f[0]) + colon + f[1] for f in lines)
    else:
        parts = []
        for f in lines:
            p = w.fuzz(r, f[3], .2, .25).format(v=f[1], n=w.spaced(f[0]), N=w.spaced(f[0]).capitalize(), he=he, his=his, him=him, He=he.capitalize(), His=his.capitalize())
            if he == "they":
                p = p.replace("They is", "They are").replace("They lives", "They live").replace("They works", "They work").replace("They has", "They have").replace("They comes", "They come").replace("they is", "they are")
            p = p[:1].upper() + p[1:]
            parts.append(p)
        for more, p in sentences:
            parts.insert(r.randint(0, len(parts)), p)
            facts = facts + more
        if r.random() < .1:
            a = w.aside(r)
            parts.insert(r.randint(0, len(parts)), a[:1].upper() + a[1:] + r.choice(".!?"))
        if r.random() < .35:
            parts.insert(r.randint(0, len(parts)), chatter(r))
        if r.random() < .12:
            parts.insert(r.randint(0, len(parts)), w.sentence(r))
        text = join(r, parts)
    if any(f[1] not in text for f in facts):
        return extraction(r, system)  # a capital was put on a value
    chosen = facts if r.random() < .85 else r.sample(facts, max(1, len(facts) - 1))
    absent = []
    if r.random() < .02:
        f = draw(r, set())
        if f[0] not in seen:
            absent = [f[0]]
    return asked(r, system, text, chosen, absent)


def natural(r: Random, system: list | None) -> list:
    """One exchange about a text of texts*.txt, now and then two texts, or one between words that do not matter."""
    seen: set = set()
    kinds: set = set()
    facts, text = written.text(r, seen, kinds)
    x = r.random()
    if x < .12:
        more, second = written.text(r, seen, kinds)
        facts, text = facts + more, text + (r.choice((" ", "\n", "\n\n")) if text[-1] in ".!?" else "\n") + second
    elif x < .26:
        text = chatter(r) + " " + text
    elif x < .36:
        text += (" " if text[-1] in ".!?" else "\n") + chatter(r)
    elif x < .42:
        text += r.choice((" ", "\n")) + w.sentence(r)
    if r.random() < .04:
        text = text.lower()
        facts = [(n, words.lower(), value.lower() if isinstance(value, str) else [v.lower() if isinstance(v, str) else v for v in value] if isinstance(value, list) else value) for n, words, value in facts]
    if r.random() < .05:
        facts = [("".join(p.capitalize() if i else p for i, p in enumerate(n.split("_"))), words, value) for n, words, value in facts]
    most = min(len(facts), 7)
    chosen = facts if len(facts) <= 7 and r.random() < .6 else sorted(r.sample(facts, r.randint(min(2, most), most)), key=facts.index)
    absent = []
    if r.random() < .03:
        n = written.missing(r, seen, kinds)
        absent = [n] if n else []
    return asked(r, system, text, chosen, absent)


def construed(r: Random, system: list | None) -> list:
    """One exchange about sentences of random words."""
    seen: set = set()
    for _ in range(20):
        facts, text = bound.sentence(r, seen)
        if facts:
            break
        seen.clear()
    if r.random() < .2:
        more, second = bound.sentence(r, seen)
        if all(a[0] not in second and b[0] not in text for a in facts for b in more) and not {b[1] for b in more} & {a[1] for a in facts}:
            facts, text = facts + more, text + r.choice((" ", "\n")) + second
    if r.random() < .15:
        text = chatter(r) + " " + text
    chosen = facts if r.random() < .7 else r.sample(facts, r.randint(1, len(facts)))
    return asked(r, system, text, chosen, [])


def asked(r: Random, system: list | None, text: str, chosen: list, absent: list[str]) -> list:
    """The question for the chosen facts (name, words, value, ...) and for `absent` fields, whose value is null, and its answer."""
    names = [f[0] for f in chosen]
    values = {f[0]: f[2] for f in chosen}
    for n in absent:
        names.insert(r.randint(0, len(names)), n)
        values[n] = None
    if r.random() < .4:
        r.shuffle(names)
    answer = json.dumps({k: values[k] for k in names}, ensure_ascii=False)
    x = r.random()
    if system is not None and x < .3:
        s = r.choice(SYSTEM)
        system.append(s.format(f=wanted(r, names)))
        if "{f}" in s:
            return [("user", text), ("assistant", answer)]
    if x > .88:
        empty = r.choice(('""', "null", '"..."'))
        j = "{" + ", ".join(f'"{k}": {empty}' for k in names) + "}"
        return [("user", w.fuzz(r, r.choice(TEMPLATED)).replace("{j}", j).replace("{t}", text)), ("assistant", answer)]
    if r.random() < (.8 if absent else .02):
        ask = r.choice(ASK_NULL)
    else:
        y = r.random()
        ask = composed(r) if y < .4 else w.fuzz(r, r.choice(ASK), .3, .4) if y < .6 else w.fuzz(r, r.choice(ASK_WRITTEN), .12, .3)
    return [("user", ask.replace("{f}", wanted(r, names)).replace("{t}", text)), ("assistant", answer)]


SUBJECTS = "{p}|{p}|The {j} {p}|Our {j} {p}|My {n}|The {n}|A {a} {n}|We|I|The {a} {n}|Somebody|Our {n}|They".split("|")
PAST = "ordered|bought|sold|returned|wants|needs|reported|booked|lost|found|sent|received|opened|left|paid for|asked for|repaired|reserved|owns|built|won|started|moved|closed|painted|delivered|will get|is waiting for|wrote about|has|checked|cancelled|registered|brought|collected|rented|called about".split("|")
LINK = ("person city date time amount code company product address email phone age job colour people weight year country quantity").split()
PHRASES = {"age": "aged {v}|at the age of {v}|{v} years old|({v})", "quantity": "{v} times|{v} pieces|{v} in all", "job": "as a {v}|with a {v}|for the {v}", "product": "with a {v}|for a {v}|about the {v}|including the {v}", "colour": "in {v}|painted {v}|in {v} color"}


TEXTS = """
{person}, a {job} living in {city}, has won.
{person}, {age}, a {job} from {city}, found it.
I am a {job} living in {country}, aged {age}, name of {person}.
Lost one {colour} {product}, reward {amount}, mail {email}.
Missing: a {colour} {product}. Write to {email}. We pay {amount} euros.
One {product} at {amount} dollars, bought by {person}.
Receipt {code}: {product}, {amount} euros, paid by {person}.
Account {code}, mail {email}, lives in {city}.
Deliver the {product} to {address} on {date}.
To {company}: please bring the {product} to {address} by {date}.
We are moving to {address} at {time}, take your {product} along.
Parcel {code} went from {city} to {person}, {address}.
{person} played the {product} until {time}.
Patient {person}, {time} on {date}, {weight} kg.
The {colour} {product} made {amount} pounds, {person} paid it.
{person} from {company} rang, call back {phone} before {time}.
Seen by {person} at {time} on {date}.
Ticket {code} from {email} is about a {colour} {product}.
Sir, my {product} (number {code}) stopped after {quantity} days. Yours, {person}
Greetings, {person} here. My {product}, serial {code}, is broken.
{person}, {age}, works as a {job} in {city}.
{person} and the {job} from {company} met in {city} on {date}.
On {date} {person} bought a {product} for {amount} dollars.
For sale: {colour} {product}, {amount} euros, call {phone}.
Wanted: {job} for our shop in {city}, starting {date}. Mail to {email}.
Order {code}: {quantity} x {product}, ship to {address}.
{company} opened a new office at {address}, {city}.
The {product} was founded in {year} by {person} of {company}.
Hello, this is {person} from {company}. My number is {phone}.
I am {person} ({email}) and I have a question about order {code}.
Train {code} leaves {city} at {time}.
Your appointment with {person} is on {date} at {time}.
{person} ({age}) from {city} lost a {colour} {product}.
Delivery for {person}: {product}, {weight} kg, {address}.
Our customer {person} gave {rating} stars to the {product}.
In {year} the {job} {person} moved from {country} to {city}.
Case {code}: {person} reports a broken {product}.
Dear {person}, your {product} will arrive on {date}. {company}
{person} paid {amount} euros on {date}, reference {code}.
Concert on {date} in {city}, doors at {time}, tickets {amount} dollars.
The {colour} {product} in the {room} weighs {weight} kg.
Table for {people} on {date} at {time}, name {person}.
{person} speaks {language} and lives in {city}.
{person} has a {animal} and works at {company}.
Contact {person} at {email} or {phone}.
We ordered {quantity} {product} from {company}; total {amount}.
Release {version} of {title} came out on {date}.
This is a reminder for {person}: pay {amount} dollars by {date}.
{city}, {date}. The {job} {person} was elected.
Visitor {person}, {company}, arrived {time}, left with a {product}.
Policy {code}, holder {person}, valid until {date}.
Reported by {email}: the {product} in {room} does not work.
Member {person} joined in {year}, id {code}.
A {job} named {person} found the {product} near {address}.
Game on {date}: {people} players, {city}.
Car {code}, {colour}, owned by {person}, parked at {address}.
Thanks for the {product}! Regards, {person}, {city}
{person} will stay in room {quantity} until {date}.
Please send the {product} to {address}, attention {person}.
The meeting with {company} is at {time} in the {room}.
{product} / {colour} / {amount} / {city}
{person} | {job} | {email} | {phone}
{person} - {company} - {city}
From {city} with {company}, departure {time}, seat {code}.
{company} sold {quantity} {product} in {year}.
Guest {person} wants {food} at {time}.
{person} ordered {food} and paid {amount}.
{animal} found in {city}! Call {phone}.
Mr {person} from {country} booked the {room} for {date}.
Score of {person}: {rating} points, rank {quantity}.
Yours sincerely, {person}, {job} at {company}
Dear Madam, the {product} you sold me on {date} is broken. Best, {person}
Dear Mr {person}, we confirm {code} for {date}. {company}
Good morning, I am {person} and I would like the {colour} {product} for {amount} euros.
{person} left {city} at {time} with {quantity} bags.
Package {code} from {company} goes to {city}, to {person}.
Shipment {code} was taken from {city} to {country}.
The winner is {person} with {rating} points, from {city}.
A {product} of {weight} kg was found by the {job} {person}.
My {animal} ran away near {address}, call {phone} please, {person}.
The neighbour {person} plays until {time}.
Sold to {person}: one {product}, {amount} dollars.
{person} will give a talk about {product} in {city} on {date} at {time}.
We moved! {company}, {address}, {city}, phone {phone}.
New address of {person}: {address}, {city}.
Bus {code} to {city} at {time}, platform {quantity}.
Gate {quantity}, flight {code}, boarding {time}, to {city}.
The {job} of {company}, {person}, lives at {address}.
{company} is looking for a {job}; write to {email} before {date}.
Room {quantity} wants {food} at {time}.
{food} for room {quantity}, please.
Your {food} is ready, {person}. That is {amount} euros.
Bill {code} of {date}: {amount} dollars, payable to {company}.
{company} asks {amount} euros for invoice {code}, due {date}.
Username {email}, born {date}, living in {city}, {country}.
Born in {city} in {year}, {person} became a {job}.
She comes from {city}, works for {company} and is {age}.
He turned {age} on {date}; his name is {person}.
Lost in {city}: {animal}, {colour}. Reward {amount}. {phone}
Found: {product}. Ask {person}, {phone}.
The patient {person}, {age} years, {weight} kg, came at {time}.
Doctor {person} sees you on {date}, {time}, {address}.
The auction for the {product} ended at {amount} dollars, sold to {person} of {city}.
The {colour} {product} went to {person} for {amount}.
Race result: {person}, {country}, {rating} points.
Bring the {product} to {address} at {time}, says {person}.
Meeting: {date}, {time}, {address}. Bring your {product}.
The {title} starts at {time} in {city}.
{person} wrote "{title}" in {year}.
Suite {code} for {person} from {date}.
Stay: {person}, {quantity} nights, arriving {date}.
The {job} can be reached at {phone} or {email}.
{person} can be reached by {email}.
Ask for {person}: {phone}.
{person}, tel. {phone}, wants {quantity} of the {colour} {product}.
Ticket {code} by {person}: {product} does not start.
Opened by {email} on {date}: the {product} is {colour}.
Order number {code}. Buyer {person}. Item {product}. Price {amount}.
serial {code}, product {product}, bought {date}
({code}) {person} {date}
plate {code}, colour {colour}, parked {address}
{person} of {company} bought our {product} in {year} and paid {amount}.
The flat in {address}, {city}, costs {amount} a month.
It costs {amount}, says {company}.
Version {version} is out, writes {person} of {company}.
After {quantity} days my {product} broke. {person}
After {year} the {job} moved to {city}.
Attention {job}s: {company} pays {amount}.
Greetings from {person} and the {animal}!
{person} is {age} and has a {animal} and a {colour} {product}.
To {person}, {address}, {city}
From: {email} Subject: {title} Date: {date}
Caller {person}, {company}, wants a call back at {time} on {phone}.
{person} rang at {time} and asked for {product}.
Tell the {job} that the {product} arrives {date}.
""".strip().split("\n")


def whole(r: Random, seen: set, used: set):
    """A text whose values all stand in one sentence: (facts, text)."""
    import re
    facts, out, subject = [], w.fuzz(r, r.choice(TEXTS), .2, .5), {}
    for key in re.findall(r"{(\w+)}", out):
        words, value = KINDS[key].make(r)
        if key == "product" and r.random() < .8:
            words = value = w.word(r) if r.random() < .6 else w.spaced(w.noun(r)).split(" ")[0]
        if not isinstance(value, str) and not words[-1].isdigit():
            words = str(value)
        if isinstance(value, str) and words.isdigit() and words[0] != "0":
            value = int(words)
        subject[key] = words
        used.add(key)
        n = r.choice(FIELDS[key][0].split())
        if r.random() < .85 and n not in seen:
            seen.add(n)
            facts.append((n, words, value, None))
    return facts, out.format(**subject)


def past(r: Random) -> str:
    v = w.word(r)
    return r.choice((v, v + "s", v + "ed", "has " + v, "is " + v, f"{v} and {w.word(r)}", f"will {v}", f"can be {v}"))


def packed(r: Random, seen: set, used: set):
    """One sentence that holds several values: (facts without patterns, the sentence)."""
    p = w.person(r)
    s = r.choice(SUBJECTS).format(p=p, j=r.choice(w.JOB), n=w.spaced(w.noun(r)), a=w.adjective(r))
    facts = []
    s = w.fuzz(r, s.replace(p, "{p}"), .2, .3).replace("{p}", p)
    if p in s and "person" not in used:
        n = r.choice(FIELDS["person"][0].split())
        if n not in seen:
            seen.add(n)
            used.add("person")
            facts.append((n, p, p, None))
    s += " " + (r.choice(PAST) if r.random() < .6 else past(r))
    product = w.spaced(w.noun(r)).split(" ")[0] if r.random() < .85 else f"{w.adjective(r)} {w.spaced(w.noun(r))}"
    s += " " + r.choice(("a ", "the ", "the ", "my ", "one "))
    if " " not in product and "colour" not in used and r.random() < .35:
        colour = KINDS["colour"].make(r)[0]
        c = r.choice(("color", "colour"))
        if c not in seen:
            seen.add(c)
            used.add("colour")
            facts.append((c, colour, colour, None))
            s += colour + " "
    s += product
    n = r.choice(FIELDS["product"][0].split())
    if r.random() < .6 and n not in seen:
        seen.add(n)
        facts.append((n, product, product, None))
    for key in r.sample(LINK, r.randint(1, 4)):
        if key == "product" or key == "person" and facts and facts[0][1] == p:
            continue
        n = r.choice(FIELDS[key][0].split())
        if n in seen:
            continue
        seen.add(n)
        words, value = KINDS[key].make(r)
        if not isinstance(value, str) and not words[-1].isdigit():
            words = str(value)
        if isinstance(value, str) and words.isdigit() and words[0] != "0":
            value = int(words)
        phrases = PHRASES[key].split("|") if key in PHRASES else KINDS[key].phrases
        s += r.choice((" ", " ", " ", ", ", ", ")) + (r.choice(phrases).format(v=words, n=n) if r.random() < .8 and key not in used else r.choice(("({n}: {v})", "({n} {v})", "with {n} {v}", "{n} {v}", "under {n} {v}")).format(v=words, n=w.spaced(n)))
        used.add(key)
        facts.append((n, words, value, None))
        if r.random() < .15:
            s += " " + w.aside(r)
    if r.random() < .25:
        s += r.choice((" ", ", ", "; ")) + w.aside(r)
    return facts, s + r.choice((".", ".", ".", "", "!"))


def join(r: Random, parts: list[str]) -> str:
    x = r.random()
    if x < .12:
        return "\n".join(parts)
    out = ""
    for p in parts:
        if out:
            if x > .7 and out[-1] == "." and r.random() < .4:
                out = out[:-1] + r.choice((" and ", ", ", ", and ", "; ")) + (p[:1].lower() + p[1:] if p[:2] not in ("I ", "I'") and not p[:2].isupper() and p.split()[0].rstrip(":,.") in LOWERABLE else p)
                continue
            if out[-1] not in ".!?,:":
                out += r.choice((".", ",", ";", "."))
            out += " "
        out += p
    return out


LEAD = ("Extract|Give me|Find|Pick|List|Write down|Get|Tell me|Show|Take|Collect|Note|Identify|Search for|Determine|Return|Report|Read off|Fetch|Send me|I want|I need|I'd like|We need|Could I have|Can I get|May I have|Please find|Please give me|Please extract|Select|Copy|Hand over|Look for|Grab|Filter out|Let me have|Deliver|Gather|Detect|Spot|Name|State|Provide|Output|Print|Draw|Choose|Sort out|Figure out|Discover"
        "|hand back|pick out|hand me|bring me|pull out|spell out|read out|lift out|single out|point out|carry over|set down|lay out|sum up"
        "|Your job is to find|Would you get|Could you find|Can you tell me|I am after|I am interested in|All I need is|What I need is|Only|Just").split("|")
WHERE = ["", "", "", "", " from this", " from the text", " of the following", " in the message", " out of this", " below", " found here", " given here", " mentioned there", " of it", " out of the text", " from this note", " from the mail", " in it", " that you see", " you find", " that it names", " from that", " of this text", " contained in this"]
THEN = ["", "", "", " and {v} them", " and {v} it", " and {v} everything", " and {v} them {m}", " and {v} it {m}", ", then {v} them", " and {v} all of it {m}", " and {v} the result", " and {v} that {m}", ", {v} them {m}"]
ADVERB = "to me|for me|down|back|up|neatly|quickly|over|out|here|again|in order|to us|together".split("|")
FORM = [" as JSON", " as JSON", " in JSON", " as a JSON object", " as one JSON object", ", as one JSON object", ", JSON please", " JSON", " in JSON format", ", JSON only", " as json", ", in JSON", " as single JSON", ", as JSON", " (JSON)", " into JSON", " using JSON", ", all in JSON", " in a JSON object", " as valid JSON", " - JSON", ". JSON please", ". Use JSON", ". Answer in JSON", ". Answer with JSON"]
QUESTION = "Which {f} does it give{w}|Which {f} are mentioned{w}|What {f} do you see{w}|What are {f}{w}|What is said about {f}{w}|Which {f} can you find{w}|What does it say about {f}{w}|Do you see {f}{w}|Where are {f}{w}|Which {f} does the text have{w}|What {f} are there{w}".split("|")
AROUND = ("{a}: {t}|{a}:\n{t}|{a}.\n\n{t}|{a}. {t}|{a}\n{t}|{t}\n\n{a}.|{t}\n{a}|{t} {a}.|\"{t}\" - {a}|\"{t}\"\n{a}|{a}: \"{t}\"|Text: {t}\n{a}|{a}.\nText: {t}|Note: {t} {a}.|Here is something: {t} {a}.|Message: {t}\n\n{a}.|{a}, please.\n{t}|{t}\n\n{a} please|Look at this: {t} {a}.|Given is: {t} {a}|A mail came: {t}\n{a}.|{a}. Mail: {t}|{a}.\nNote:\n{t}|This came in: {t}\n\n{a}").split("|")


def composed(r: Random) -> str:
    """A request put together from its parts: who wants which fields, from where, in which form, before or after the text."""
    x = r.random()
    if x < .75:
        lead = r.choice(LEAD)
        if r.random() < .25:
            lead = r.choice(("Please read", "Read", "Look at", "Go through", "Take", "Study", "See", w.verb(r).capitalize(), "Please " + w.verb(r))) + " the " + r.choice("note text mail message letter paper form line report entry".split()) + r.choice((" and ", " and ", ", then ", " below and ", " to ")) + (lead[:1].lower() + lead[1:] if lead[:2] not in ("I ", "I'") else "extract")
        ask = lead + " {f}" + r.choice(WHERE) + r.choice(THEN).format(v=w.verb(r) if r.random() < .4 else r.choice("give write put send show return bring print list pass".split()), m=r.choice(ADVERB)) + r.choice(FORM)
    elif x < .88:
        ask = r.choice(QUESTION).replace("{w}", r.choice(WHERE)) + "?" + r.choice((" JSON please", " Answer in JSON", " Give JSON", " JSON", " In JSON please", " Reply in JSON", " Write JSON", " As JSON"))
    else:
        ask = r.choice(("JSON with {f}", "json: {f}", "JSON of {f}", "A JSON object with {f}", "One JSON object with {f}", "JSON object, keys {f}", "json, fields {f}", "JSON keys: {f}", "{f} as JSON", "{f}, JSON", "I want JSON that has {f}", "JSON ({f})", "the JSON for {f}", "JSON holding {f} please"))
    if r.random() < .15:
        ask = w.aside(r) + " " + ask
    if r.random() < .15:
        ask = ask[:1].lower() + ask[1:]
    return r.choice(AROUND).replace("{a}", ask)


LOWERABLE = set("He She They It The We You Its His Her Their There At On In For Since From Based Born Aged Scheduled".split())
