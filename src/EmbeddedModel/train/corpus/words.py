"""Vocabularies of the corpus, and the makers of invented words.

Everything that a conversation must copy (names, places, codes, titles) is drawn half from these lists and half invented
letter by letter, so that the model learns to copy rather than to remember.
"""

from pathlib import Path
from random import Random

# Ten thousand common English words (from SCOWL, see english.copyright), so that any ordinary word may stand anywhere.
ENGLISH = Path(__file__).with_name("english.txt").read_text(encoding="utf-8").split()


def split(text: str) -> list[str]:
    return text.split()


FIRST = split("""
James Mary Robert Linda Michael Susan David Karen Thomas Nancy Daniel Lisa Matthew Betty Anthony Sandra Mark Ashley Steven Emily
Andrew Donna Joshua Michelle Kevin Carol Brian Amanda George Melissa Edward Laura Jason Rebecca Ryan Cynthia Jacob Kathleen Gary
Amy Eric Angela Jonathan Anna Stephen Ruth Larry Brenda Justin Pamela Scott Nicole Brandon Samantha Benjamin Katherine Samuel Emma
Frank Catherine Gregory Christine Raymond Rachel Alexander Carolyn Patrick Janet Jack Maria Dennis Olivia Jerry Heather Tyler Helen
Aaron Diane Jose Julie Adam Joyce Nathan Victoria Henry Kelly Zachary Christina Douglas Lauren Peter Joan Kyle Evelyn Noah Judith
Ahmed Fatima Omar Layla Hassan Amira Yusuf Zainab Karim Salma Ravi Priya Arjun Anjali Sanjay Deepa Vikram Meera Rahul Kavita Hiroshi
Yuki Kenji Sakura Takeshi Aiko Haruto Mei Wei Jing Ming Li Hua Xin Chen Jun Sofia Mateo Lucia Diego Valentina Carlos Camila Pablo
Elena Javier Ivan Olga Dmitri Natasha Sergei Tatiana Boris Irina Pierre Camille Luc Amelie Jean Margot Hugo Chloe Hans Greta Klaus
Heidi Jürgen Anke Lars Ingrid Sven Astrid Nils Freya Matteo Giulia Luca Chiara Marco Francesca Kofi Ama Kwame Abena Chidi Ngozi Emeka
Thandiwe Sipho Lindiwe Tom Sam Ben Kim Joe Ann Max Leo Mia Zoe Eva Ida Otto Nora Felix Clara Oscar Alice Theo Ruby Arthur Daisy
""")
LAST = split("""
Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez Wilson Anderson Taylor Moore Jackson
Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis Robinson Walker Young Allen King Wright Scott Torres Nguyen Hill
Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts Gomez Phillips Evans Turner Diaz Parker Cruz Edwards
Collins Reyes Stewart Morris Morales Murphy Cook Rogers Gutierrez Ortiz Morgan Cooper Peterson Bailey Reed Kelly Howard Ramos Kim Cox
Ward Richardson Watson Brooks Chavez Wood Bennett Gray Mendoza Ruiz Hughes Price Alvarez Castillo Sanders Patel Myers Long Ross Foster
Schmidt Schneider Fischer Weber Meyer Wagner Becker Hoffmann Koch Richter Rossi Russo Ferrari Bianchi Dubois Moreau Laurent Bernard
Tanaka Suzuki Sato Watanabe Yamamoto Kumar Singh Sharma Gupta Reddy Khan Ali Hassan Okafor Mensah Dlamini Novak Kowalski Petrov Ivanov
Larsen Hansen Nilsson Virtanen Popescu Nagy Silva Santos Costa Oliveira Wang Zhang Liu Zhao Huang Zhou
""")
CITY = split("""
London Paris Berlin Madrid Rome Vienna Tokyo Beijing Shanghai Delhi Mumbai Cairo Lagos Nairobi Sydney Melbourne Toronto Montreal
Chicago Boston Seattle Denver Houston Dallas Miami Atlanta Phoenix Portland Austin Dublin Lisbon Athens Warsaw Prague Budapest Oslo
Stockholm Helsinki Copenhagen Amsterdam Brussels Zurich Geneva Munich Hamburg Milan Naples Barcelona Seville Moscow Kyiv Istanbul
Ankara Tehran Baghdad Dubai Doha Karachi Lahore Dhaka Bangkok Hanoi Manila Jakarta Singapore Seoul Osaka Kyoto Lima Bogota Santiago
Quito Havana Caracas Recife Accra Dakar Tunis Rabat Algiers Kampala Lusaka Harare Perth Brisbane Auckland Wellington Vancouver Calgary
Leeds Bristol Glasgow Lyon Nice Turin Florence Cologne Leipzig Graz Basel Ghent Malmo Bergen Tampere Riga Vilnius Tallinn Minsk
""") + ["New York", "Los Angeles", "San Francisco", "Hong Kong", "Cape Town", "Buenos Aires", "Mexico City", "Rio de Janeiro", "Tel Aviv",
        "Kuala Lumpur", "New Orleans", "Salt Lake City", "São Paulo", "Zürich", "Málaga", "St. Louis", "The Hague", "Ho Chi Minh City"]
COUNTRY = split("""
France Germany Spain Italy Portugal Greece Poland Norway Sweden Finland Denmark Ireland Scotland Austria Belgium Hungary Romania
Turkey Egypt Kenya Nigeria Ghana Morocco India China Japan Vietnam Thailand Indonesia Malaysia Australia Canada Mexico Brazil
Argentina Chile Peru Colombia Cuba Iceland Croatia Serbia Ukraine Latvia Estonia Israel Jordan Qatar Nepal Mongolia
""") + ["New Zealand", "South Korea", "South Africa", "Costa Rica", "Sri Lanka", "United States", "United Kingdom", "Saudi Arabia"]
STREET = split("Main Oak Pine Maple Cedar Elm Church Station Park High Mill Lake Hill River Spring Garden King Queen Bridge Market Castle Forest Sunset Victoria Harbour")
STREETKIND = split("Street Road Avenue Lane Drive Square Boulevard Way Court")
LANGUAGE = split("English French German Spanish Italian Portuguese Dutch Swedish Russian Polish Turkish Arabic Hindi Bengali Chinese Japanese Korean Thai Vietnamese Greek Hebrew Finnish Czech Danish")
CURRENCY = split("USD EUR GBP JPY CHF CAD AUD CNY INR SEK NOK PLN TRY BRL MXN ZAR")
COLOUR = split("red blue green yellow orange purple black white grey pink brown silver gold turquoise navy crimson beige teal")
GENRE = split("jazz rock pop classical folk blues metal techno reggae opera comedy drama thriller horror fantasy romance mystery documentary")
WEEKDAY = split("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTH = split("January February March April May June July August September October November December")
JOB = split("engineer teacher nurse doctor lawyer plumber chef baker pilot architect carpenter accountant designer librarian journalist farmer electrician photographer biologist mechanic painter barista dentist translator geologist") \
    + ["software developer", "project manager", "sales assistant", "police officer", "data analyst", "bus driver"]
ANIMAL = split("dog cat horse rabbit parrot hamster tortoise goldfish pony canary ferret gecko")
FOOD = split("pizza pasta sushi salad soup burger curry tacos bread cheese apples rice noodles pancakes steak cake coffee tea juice milk eggs bananas chocolate lasagna ramen tofu")
# (verb, what people also say for it)
VERBS = [v.split("/") for v in split("""
create/make/add/open/start delete/remove/erase/drop update/change/modify/edit get/fetch/show/give/retrieve find/search/locate/look_for
list/show/enumerate send/deliver/dispatch book/reserve cancel/call_off/abort schedule/plan/arrange/set_up order/buy/purchase
check/verify/look_up/inspect calculate/compute/work_out convert/change/turn translate play/start/put_on stop/halt/end pause/hold
start/begin/launch/kick_off open close/shut lock unlock enable/turn_on/activate/switch_on disable/turn_off/deactivate/switch_off
set/adjust/put rename/relabel move/shift/transfer copy/duplicate/clone upload download/pull save/store/keep load read print
share post/publish submit/file/hand_in approve/accept/okay reject/decline/refuse assign/give/hand register/enroll/sign_up
track/follow/trace rate/score review summarize/sum_up analyze/examine compare measure/gauge monitor/watch/observe
notify/alert/inform/tell invite/ask remind call/phone/ring email/mail message/text pay/settle refund/pay_back
transfer/move/wire withdraw/take_out deposit/pay_in rent/hire return/give_back renew/extend restart/reboot reset
install/set_up uninstall backup/back_up restore/bring_back merge/combine/join split/divide sort/order filter
export import archive tag/label/mark pin block/ban unblock mute follow join leave log/record/note_down report/flag
request/ask_for reserve/book/hold build/construct deploy/roll_out/ship scan/sweep encrypt decrypt validate/check generate/produce/create
draw/sketch paint clean/wash feed water/irrigate harvest charge/top_up refill/top_up dim brighten heat/warm cool
lend borrow donate/give recommend/suggest/propose predict/forecast estimate/guess count/tally resize crop rotate/turn flip
""")]
NOUNS = split("""
account address agenda alarm album animal answer apartment appliance appointment archive article asset auction backup badge balance
bank battery bill bike blanket blog board boat book booking bottle box branch bridge bucket budget bug building bundle bus cabin
calendar camera campaign car card cargo cart case catalog certificate channel chapter charge chart chat checklist claim class client
clinic clock cloud coach code collection comment commit company complaint component concert conference contact container contest
contract conversation coupon course court cover crop customer dashboard database deadline deal delivery department deposit desk device
diagram diet discount dish document domain door drawing drone draft driver drone duty elevator engine entry envelope event exam
exercise exhibit expense experiment factory fan farm feed fee feedback ferry field file film filter fine fish flag fleet flight floor
flower folder font forecast form forum fountain frame freight fridge fund furnace gadget gallery game garage garden gate gift goal
grade grant graph greenhouse group guest guide gym habit harvest headline heater highlight holiday home hotel house image incident
index inspection instrument insurance inventory invoice issue item job journal journey key keyboard kitchen lab label lamp laptop
lawn lease ledger lecture lesson letter level library license light link list loan locker log lottery luggage machine magazine
mailbox manual map market match meal meeting member memo menu message meter microphone milestone mirror mission mixer model module
monitor motor movie museum note notebook notice novel nursery object offer office orchard order outfit oven owner package page paper
parcel park parking parking_spot part party passport password patch path patient payment payroll permit pet photo piano picture
pipeline pizza plan plant player playlist podcast policy poll pond pool portrait position poster prescription price printer prize
product profile program project promotion property proposal puzzle quest question queue quiz quota quote race rack radio receipt
recipe record recipe reminder rental repair report request reservation resource restaurant resume reward ride road robot role roof
room route router rule salary sale sample scan scene schedule school scooter score screen script sculpture season seat sensor
server service session setting shelf shift ship shipment shirt shop show shuttle signal sink site sketch skill slide snack snapshot
sofa song speaker spreadsheet sprinkler stadium station statue step stock store storm story stove stream street studio subscription
suitcase summary supplier survey switch table tablet tank target task tax taxi team template temperature tenant tent test theater
thermostat thread ticket tile timer tool tournament tour tower toy track tractor trailer train transaction trail tree trial trip
truck tunnel tutorial umbrella uniform unit upload user vaccine valve van vehicle vendor venue version video village vineyard visa
visit visitor voice volume voucher wallet warehouse warranty washer watch watchlist website wedding weight well wheel window wine
workflow workout workshop yacht zone
""")
NOUNS = sorted(set(NOUNS))
ADJECTIVES = split("""
new old big small red blue annual monthly weekly daily local remote public private shared main spare second first last final draft
urgent internal external digital paper mobile portable outdoor indoor electric manual automatic temporary permanent active pending
recent premium basic standard custom default primary secondary backup virtual historic modern quiet loud fast slow cold warm bright
dark heavy light fresh frozen organic royal secret special regular quarterly corporate personal medical legal academic technical
""")
TOPICS = split("""
budget planning marketing strategy climate energy history football gardening cooking photography travel astronomy chemistry music
painting fitness nutrition parenting investing taxes software security robotics robots networking databases bridges volcanoes whales
dinosaurs coffee trains castles poetry philosophy economics biology fashion chess sailing hiking camping skiing yoga meditation
""")
ATTRIBUTES = split("""
status price balance schedule location owner size weight rating history details availability cost distance score population address
capacity contents deadline duration progress forecast temperature speed height length age version author summary ranking salary
inventory stock opening_hours departure_time arrival_time phone_number due_date expiry_date delivery_date total value
level quality condition members participants reviews specifications menu ingredients calories instructions altitude depth pressure humidity
""")
COMPANYEND = split("Ltd Inc Corp Group Systems Labs Industries Foods Logistics Media Partners Solutions Energy Bank Motors Studios")
DOMAINS = split("example.com mail.com example.org post.net inbox.io corp.com company.org school.edu web.de")
EXT = split("pdf txt csv docx png jpg json md zip mp3 xlsx log py html")

_ON = split("b c d f g h j k l m n p r s t v w z b d f g h k l m n p r s t v br ch cl cr dr fl fr gl gr kl kr pl pr qu sh sk sl sm sn sp st str th tr vr x y zh ts") + [""] * 3
_NU = split("a e i o u a e i o u a e i o u ai au ea ee ei ia ie io oa oo ou ue y")
_CO = split("b c ck d f g k l m n r s t x z l m n r s t ll nd ng nk nt rd rk rn sh ss st th") + [""] * 30


def word(r: Random) -> str:
    return r.choice(ENGLISH)


SHORT = [x for x in ENGLISH if len(x) < 7]


def accented(r: Random, s: str) -> str:
    i = r.randrange(len(s))
    return s[:i] + {"a": "á", "e": "é", "i": "í", "o": "ö", "u": "ü", "n": "ñ", "c": "ç", "s": "š", "z": "ž", "l": "ł"}.get(s[i], s[i]) + s[i + 1:]


def pseudo(r: Random) -> str:
    """An invented lower-case word: syllables, two English words or halves of them, or plain letters."""
    if r.random() < .08:
        return r.choice(SHORT) + r.choice(SHORT)
    x = r.random()
    if x < .35:
        a, b = r.choice(ENGLISH), r.choice(ENGLISH)
        v = a[:r.randint(1, 5)] + b[-r.randint(1, 5):]
        if len(v) > 2:
            return v if x > .02 else accented(r, v)
    elif x < .39:
        return "".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(r.randint(3, 8)))
    n = 2 if r.random() < .6 else (3 if r.random() < .6 else 1)
    w = ""
    for _ in range(n):
        w += r.choice(_ON) + r.choice(_NU) + r.choice(_CO)
    return w if len(w) > 2 else w + r.choice(_ON) + "a"


def noun(r: Random) -> str:
    x = r.random()
    return r.choice(NOUNS) if x < .45 else r.choice(ENGLISH) if x < .86 else pseudo(r)


def adjective(r: Random) -> str:
    x = r.random()
    return r.choice(ADJECTIVES) if x < .55 else r.choice(ENGLISH) if x < .9 else pseudo(r)


def verb(r: Random) -> str:
    x = r.random()
    return r.choice(VERBS)[0].replace("_", " ") if x < .5 else r.choice(ENGLISH) if x < .9 else pseudo(r)


def collided(r: Random) -> str:
    """A name that begins as a month, a day, a number or another everyday word does, and goes on otherwise."""
    head = r.choice(r.choice((MONTH, WEEKDAY, CITY, COUNTRY, LANGUAGE, ENGLISH, "One Two Three Ten Dr New Room Gate Code Order Street Mail Price Day Time Date".split())))
    return head.capitalize().split(" ")[0][:r.randint(2, 6)] + r.choice("in ia o ez elle ius er as ine ard ana etti ot us y ella ton ko ra win as is ena mund ley wick ow".split())


def first(r: Random) -> str:
    if r.random() < .06:
        return collided(r)
    x = r.random()
    return r.choice(FIRST) if x < .35 else pseudo(r).capitalize() if x < .8 else r.choice(ENGLISH).capitalize()


def last(r: Random) -> str:
    if r.random() < .06:
        return collided(r)
    x = r.random()
    return r.choice(LAST) if x < .3 else pseudo(r).capitalize() if x < .75 else r.choice(ENGLISH).capitalize() if x < .93 else r.choice(("Mc", "O'", "Van ", "de ")) + pseudo(r).capitalize()


def person(r: Random) -> str:
    x = r.random()
    return first(r) if x < .4 else first(r) + " " + last(r) if x < .93 else r.choice(("Dr. ", "Mr. ", "Ms. ", "Mrs. ", "Professor ")) + last(r)


def city(r: Random) -> str:
    x = r.random()
    if x < .3:
        return r.choice(CITY)
    if x < .7:
        return pseudo(r).capitalize()
    if x < .85:
        return r.choice(ENGLISH).capitalize()
    if x < .9:
        return r.choice(ENGLISH).capitalize() + " " + r.choice((r.choice(ENGLISH), pseudo(r))).capitalize()
    return r.choice(("Port ", "New ", "San ", "Lake ", "Saint ", "El ", "North ", "Bad ")) + pseudo(r).capitalize()


def country(r: Random) -> str:
    return r.choice(COUNTRY) if r.random() < .7 else pseudo(r).capitalize() + r.choice(("", "ia", "land", "stan"))


def company(r: Random) -> str:
    x = r.random()
    name = pseudo(r).capitalize() if x < .6 else r.choice(LAST) if x < .8 else r.choice(ADJECTIVES).capitalize()
    if r.random() < .3:
        name = r.choice(ENGLISH).capitalize()
    y = r.random()
    if y < .25:
        return name
    if y < .4:
        return name + r.choice((" & ", " and ", " & ")) + r.choice((pseudo(r), r.choice(ENGLISH))).capitalize()
    if y < .55:
        return name + " " + r.choice(ENGLISH).capitalize()
    return name + " " + (r.choice(COMPANYEND) if r.random() < .8 else r.choice(NOUNS).split("_")[0].capitalize() + "s")


def digits(r: Random, low: int, high: int) -> str:
    """A number of between low and high digits that does not begin with a zero."""
    n = r.randint(low, high)
    return str(r.randint(10 ** (n - 1), 10 ** n - 1))


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def code(r: Random) -> str:
    """An identifier such as AB-1234, 48213, INV-2024-17, x7f3q."""
    x = r.random()
    if x < .2:
        return digits(r, 3, 7)
    if x < .3:
        return "".join(r.choice(LETTERS + "0123456789") for _ in range(r.randint(3, 7))) + r.choice(("", "", "-" + digits(r, 1, 3)))
    if x < .5:
        return "".join(r.choice(LETTERS) for _ in range(r.randint(1, 4))) + "-" + digits(r, 2, 6)
    if x < .62:
        return "".join(r.choice(LETTERS) for _ in range(r.randint(1, 3))) + digits(r, 2, 5)
    if x < .72:
        return "".join(r.choice(LETTERS) for _ in range(2, 5)) + "-" + digits(r, 4, 4) + "-" + digits(r, 1, 3)
    if x < .82:
        return pseudo(r) + "-" + digits(r, 1, 4)
    if x < .9:
        return "#" + digits(r, 2, 6)
    return "".join(r.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(r.randint(4, 9)))


def ordinal(n: int) -> str:
    return f"{n}{'th' if 10 < n < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def date(r: Random) -> str:
    x = r.random()
    if x < .3:
        return f"{r.randint(1980, 2035)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}"
    if x < .5:
        return f"{r.choice(MONTH)} {r.randint(1, 31)}"
    if x < .58:
        return f"{r.randint(1, 31)} {r.choice(MONTH)}"
    if x < .63:
        return f"{r.randint(1, 31)} {r.choice(MONTH)} {r.randint(1985, 2035)}"
    if x < .69:
        return f"{r.choice(MONTH)} {r.randint(1, 31)}, {r.randint(1990, 2035)}"
    if x < .76:
        return r.choice(WEEKDAY)
    if x < .84:
        return "next " + r.choice(WEEKDAY)
    if x < .92:
        return r.choice(("tomorrow", "today", "tonight", "next week", "this weekend", "next month"))
    if x < .97:
        d, m = ordinal(r.randint(1, 31)), r.choice(MONTH)
        return r.choice((f"{m} {d}", f"the {d} of {m}", f"{d} of {m}", f"{m} the {d}", f"the {d}"))
    return f"{r.randint(1, 31):02}/{r.randint(1, 12):02}/{r.randint(2000, 2030)}"


def time(r: Random) -> str:
    x = r.random()
    if x < .45:
        return f"{r.randint(0, 23):02}:{r.randint(0, 59):02}" if r.random() < .5 else f"{r.randint(0, 23):02}:{r.choice(('00', '15', '30', '45'))}"
    if x < .7:
        return f"{r.randint(1, 12)} {r.choice(('am', 'pm', 'AM', 'PM'))}"
    if x < .8:
        return f"{r.randint(1, 12)}{r.choice(('am', 'pm'))}"
    if x < .9:
        return f"{r.randint(1, 12)}:{r.choice(('00', '15', '30', '45'))} {r.choice(('am', 'pm', 'AM', 'PM'))}"
    if x < .93:
        return r.choice(("noon", "midnight"))
    return r.choice(("half past ", "quarter to ", "quarter past ", "ten to ", "twenty past ")) + r.choice("one two three four five six seven eight nine ten eleven twelve".split())


def email(r: Random) -> str:
    name = (r.choice(FIRST) if r.random() < .5 else pseudo(r)).lower()
    x = r.random()
    if x < .35:
        name += "." + (r.choice(LAST) if r.random() < .5 else pseudo(r)).lower()
    elif x < .55:
        name += digits(r, 1, 3)
    elif x < .65:
        name = r.choice("abcdefghijklmnoprstvw") + "." + name
    elif x < .7:
        name += "." + r.choice("abcdefghijklmnoprstvw")
    domain = r.choice(DOMAINS) if r.random() < .4 else (pseudo(r) if r.random() < .6 else r.choice(ENGLISH)) + r.choice((".com", ".org", ".net", ".io", ".co", ".de", ".fr", ".uk", ".eu", ".dev", ".pl", ".mx", ".ie", ".at", ".no"))
    return name + "@" + domain


def phone(r: Random) -> str:
    x = r.random()
    if x < .1:
        return f"{digits(r, 3, 3)}-{r.randint(0, 9999):04}"
    if x < .2:
        return r.choice((f"+{digits(r, 1, 2)} {digits(r, 2, 3)} {digits(r, 6, 7)}", f"+{digits(r, 2, 3)} {r.randint(1, 9)} {digits(r, 3, 3)} {r.randint(0, 9999):04}", f"0{digits(r, 2, 3)} {digits(r, 3, 3)} {r.randint(0, 9999):04}", f"+{digits(r, 2, 2)} {r.randint(1, 99)} {digits(r, 4, 4)} {r.randint(0, 9999):04}"))
    if x < .4:
        return f"{digits(r, 3, 3)}-{digits(r, 4, 4)}" if r.random() < .5 else f"{digits(r, 3, 3)}-{digits(r, 3, 3)}-{digits(r, 4, 4)}"
    if x < .7:
        return f"+{digits(r, 1, 2)} {digits(r, 3, 3)} {digits(r, 3, 4)} {digits(r, 3, 4)}"
    return f"+{digits(r, 9, 12)}" if x < .85 else "0" + digits(r, 8, 10)


def address(r: Random) -> str:
    street = r.choice(STREET) if r.random() < .35 else pseudo(r).capitalize() if r.random() < .5 else r.choice(ENGLISH).capitalize()
    return f"{r.randint(1, 399)} {street} {r.choice(STREETKIND) if r.random() < .6 else r.choice(ENGLISH).capitalize()}"


def url(r: Random) -> str:
    host = (noun(r).replace("_", "") if r.random() < .5 else pseudo(r)) + r.choice((".com", ".org", ".net", ".io"))
    if r.random() < .2:
        host = r.choice(ENGLISH) + "." + r.choice(("io", "net", "org", "fr", "de", "co", "eu", "dev", "uk"))
    return r.choice(("https://", "http://", "https://www.", "")) + host + r.choice(("", "/" + pseudo(r), "/" + noun(r) + "/" + digits(r, 1, 4)))


def path(r: Random) -> str:
    name = r.choice((noun(r), pseudo(r), noun(r) + "_" + digits(r, 1, 4), adjective(r) + "-" + noun(r)))
    return r.choice(("", "", "/home/" + pseudo(r) + "/", "/data/", "docs/", "/var/" + noun(r) + "/", "C:/" + pseudo(r) + "/")) + name + "." + r.choice(EXT)


def spaced(name: str) -> str:
    return name.replace("_", " ")


def phrase(r: Random) -> str:
    """Two to five words, as a title, a note or a search."""
    x = r.random()
    if x < .3:
        p = f"{adjective(r)} {spaced(noun(r))}"
    elif x < .45:
        p = f"{spaced(noun(r))} {spaced(noun(r))}"
    elif x < .55:
        p = f"{r.choice(TOPICS)} {spaced(noun(r))}"
    elif x < .65:
        p = f"{adjective(r)} {spaced(noun(r))} {r.choice(('for', 'of', 'with', 'and', 'in', 'about'))} {r.choice((spaced(noun(r)), first(r), city(r), r.choice(TOPICS)))}"
    elif x < .75:
        p = f"{r.choice(VERBS)[0]} the {spaced(noun(r))}"
    elif x < .85:
        p = " ".join(r.choice((pseudo(r), spaced(noun(r)))) for _ in range(r.randint(1, 4)))
    elif x < .93:
        p = f"{first(r)}'s {spaced(noun(r))}"
    else:
        p = f"{r.choice(TOPICS)} {r.randint(2, 2030)}"
    y = r.random()
    return p if y < .5 else p[:1].upper() + p[1:] if y < .75 else p.title().replace("'S", "'s")


def name_of_work(r: Random) -> str:
    """As books and films are called: The Salt Garden, House of Rain."""
    a, b = (spaced(noun(r)).title() if r.random() < .8 else pseudo(r).capitalize() for _ in range(2))
    return r.choice((f"The {a}", f"The {adjective(r).title()} {a}", f"{a} of {b}", f"{a} and {b}", f"A {a} of {b}", f"The {a}'s {b}", f"{adjective(r).title()} {plural(a)}", f"{plural(a)} from {city(r)}", f"The {a} in the {b}", f"My {adjective(r).title()} {a}"))


def slug(r: Random) -> str:
    """A short technical name: tide-clock, auth_2, main-db."""
    a, b = (noun(r).replace("_", "") if r.random() < .6 else pseudo(r) for _ in range(2))
    return r.choice((f"{a}-{b}", f"{a}-{b}", f"{a}_{b}", a, f"{a}{r.randint(1, 99)}", f"{a}-{r.randint(1, 30)}", f"{a}.{b}", f"{b}-{a}-{r.randint(1, 9)}"))


def ip(r: Random) -> str:
    return ".".join(str(r.randint(1, 254)) for _ in range(4))


NATION_END = "ese ian ish i an".split()


def nationality(r: Random) -> str:
    return r.choice("French German Spanish Italian Greek Polish Swedish Danish Irish Dutch Turkish Egyptian Kenyan Indian Chinese Japanese Thai Canadian Mexican Brazilian".split()) if r.random() < .5 else pseudo(r).capitalize() + r.choice(NATION_END)


# Ordinary words that no template needs: they stand for the unknown words of real requests.
STRAY = split("""
honestly actually perhaps maybe somehow again simply truly rather quite almost already lately usually apparently hopefully finally suddenly soon later
afterwards meanwhile anyway besides though although because since until while whether unless despite without within across behind beneath beyond along
folks buddy mate dear pal friend everyone somebody nobody anybody guys team boss love crazy lovely horrible awful brilliant silly strange funny weird
amazing terrible beautiful hungry thirsty tired bored busy late early ready sure certain afraid glad sorry proud curious grateful worried upset
think guess suppose believe hear wonder hope wish mean feel seem appear happen turn keep let try use take bring hold leave stay wait look sound
quick short tiny huge great good bad better best worse nice fine clear exact right wrong true real whole full empty next last other another same such
thing stuff bit lot kind sort way place side part end start point moment minute while day week morning evening night noon matter case deal fact
grandma cousin neighbour kitchen garden street window coffee breakfast weather rain snow sun wind sea river mountain forest bird fish tree
""")


def aside(r: Random) -> str:
    """Some words that have nothing to do with the request."""
    return " ".join(stray(r) for _ in range(r.randint(1, 6)))


def stray(r: Random) -> str:
    x = r.random()
    return r.choice(ENGLISH) if x < .55 else r.choice(STRAY) if x < .9 else pseudo(r)


KEEP = set("json { } [ ] plus minus not no without difference sum subtract add left".split())


def fuzz(r: Random, template: str, rate: float = .15, chance: float = .3, soft: bool = False) -> str:
    """The template with some of its words replaced, left out or joined by others; {slots} and what carries the sense stay. `soft`: only joined."""
    if r.random() > chance or "\n" in template:
        return template
    out = []
    for t in template.split(" "):
        x = r.random()
        if "{" in t or t.lower().strip(".,:?!") in KEEP or not t[:1].isalpha():
            out.append(t)
        elif soft:
            out += [t, stray(r)] if x < rate * .5 and t[-1] not in ".,:?!" else [t]
        elif x < rate * .5:
            s = stray(r)
            out.append(s.capitalize() if t[:1].isupper() else s)
            if t[-1] in ".,:?!":
                out[-1] += t[-1]
        elif x < rate * .75:
            out += [t, stray(r)] if t[-1] not in ".,:?!" else [stray(r), t]
        elif x < rate:
            continue
        else:
            out.append(t)
    return " ".join(out) or template


def sentence(r: Random) -> str:
    """A short message body."""
    n, m, p = spaced(noun(r)), spaced(noun(r)), first(r)
    x = r.randrange(14)
    s = (f"The {n} is ready", f"Please bring the {n}", f"I will be late for the {n}", f"We need more {n}s", f"See you at the {m}", f"The {n} of the {m} has changed",
         f"Can you call {p} back", f"Do not forget the {n}", f"Thanks for the {adjective(r)} {n}", f"{p} is waiting at the {m}", f"Meet me in {city(r)} {date(r)}",
         f"Happy birthday {p}", f"Your {n} has arrived", f"The {m} starts at {time(r)}")[x]
    if r.random() < .2:
        s += f" and {r.choice(VERBS)[0]} the {spaced(noun(r))}"
    if r.random() < .3:
        s = s[:1].lower() + s[1:]
    return s + r.choice(("", "", "", ".", "!"))


def article(word: str) -> str:
    return ("an " if word[:1].lower() in "aeiou" else "a ") + word


def plural(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh", "z")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in ("a", "e", "o", "u"):
        return word[:-1] + "ies"
    return word + "s"
