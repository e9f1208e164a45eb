"""Fill in the middle: small functions in Python, C#, JavaScript with one piece taken out, which the surroundings settle."""

from random import Random

from . import words as w


def ident(r: Random) -> str:
    x = r.random()
    if x < .3:
        return r.choice(w.NOUNS).split("_")[0] if r.random() < .4 else w.word(r)
    if x < .5:
        return w.pseudo(r)
    if x < .65:
        return f"{r.choice(w.NOUNS).split('_')[0]}_{r.choice(w.NOUNS).split('_')[0]}"
    if x < .8:
        return r.choice(w.ADJECTIVES) + "_" + r.choice(w.NOUNS).split("_")[0]
    return r.choice("abcdefghkmnpqrstuvwxyz") if x < .93 else r.choice("abcdxyz") + str(r.randint(0, 9))


def distinct(r: Random, n: int) -> list[str]:
    out = []
    while len(out) < n:
        i = ident(r)
        if i not in out and i not in KEYWORDS:
            out.append(i)
    return out


KEYWORDS = set("def return for in if else while with as class import from is not and or int var new public private static void string let const function lambda pass try print len self this total match case".split())


def pascal(s: str) -> str:
    return "".join(p.capitalize() for p in s.split("_"))


def camel(s: str) -> str:
    p = pascal(s)
    return p[:1].lower() + p[1:]


# Patterns of code: ⟦ and ⟧ enclose the middle. a, b, c, d are identifiers, A..D their PascalCase, m, n camelCase of a, b; f names the function.
PATTERNS = r'''
def add_{f}({a}, {b}):
    return ⟦{a} + {b}⟧
===
def sum_{f}({a}, {b}):
    return ⟦{a} + {b}⟧
===
def subtract_{f}({a}, {b}):
    return ⟦{a} - {b}⟧
===
def multiply_{f}({a}, {b}):
    return ⟦{a} * {b}⟧
===
def divide_{f}({a}, {b}):
    return ⟦{a} / {b}⟧
===
def add({a}, {b}):
    return ⟦{a} + {b}⟧
===
def subtract({a}, {b}):
    return ⟦{a} - {b}⟧
===
def multiply({a}, {b}):
    return ⟦{a} * {b}⟧
===
def divide({a}, {b}):
    return ⟦{a} / {b}⟧
===
def add({a}, {b}, {c}):
    return ⟦{a} + {b} + {c}⟧
===
def square({a}):
    return ⟦{a} * {a}⟧
===
def double({a}):
    return ⟦{a} * 2⟧
===
def triple({a}):
    return ⟦{a} * 3⟧
===
def is_even({a}):
    return ⟦{a} % 2 == 0⟧
===
def is_odd({a}):
    return ⟦{a} % 2 == 1⟧
===
def is_positive({a}):
    return ⟦{a} > 0⟧
===
def is_negative({a}):
    return ⟦{a} < 0⟧
===
def is_empty({a}):
    return ⟦len({a}) == 0⟧
===
def first({a}):
    return ⟦{a}[0]⟧
===
def last({a}):
    return ⟦{a}[-1]⟧
===
def max_{f}({a}, {b}):
    if {a} > {b}:
        return ⟦{a}⟧
    return {b}
===
def min_{f}({a}, {b}):
    if {a} < {b}:
        return {a}
    return ⟦{b}⟧
===
def largest({a}, {b}):
    if {a} > {b}:
        return ⟦{a}⟧
    else:
        return {b}
===
def total_{f}({a}):
    total = 0
    for {b} in {a}:
        total += ⟦{b}⟧
    return total
===
def total_{f}({a}):
    {c} = 0
    for {b} in ⟦{a}⟧:
        {c} += {b}
    return {c}
===
def total_{f}({a}):
    {c} = 0
    for {b} in {a}:
        {c} += {b}
    return ⟦{c}⟧
===
def count_{f}({a}):
    count = 0
    for {b} in {a}:
        ⟦count += 1⟧
    return count
===
class {A}:
    def __init__(self, {b}, {c}, {d}):
        self.{b} = ⟦{b}⟧
        self.{c} = {c}
        self.{d} = {d}
===
class {A}:
    def __init__(self, {b}, {c}, {d}):
        self.{b} = {b}
        self.{c} = ⟦{c}⟧
        self.{d} = {d}
===
class {A}:
    def __init__(self, {b}, {c}, {d}):
        self.{b} = {b}
        self.{c} = {c}
        self.{d} = ⟦{d}⟧
===
class {A}({B}):
    def __init__(self, {b}, {c}):
        self.{b} = ⟦{b}⟧
        self.{c} = {c}
===
class {A}({B}):
    def __init__(self, {a}, {b}, {c}, {d}):
        self.{a} = {a}
        self.{b} = {b}
        self.{c} = ⟦{c}⟧
        self.{d} = {d}
===
class {A}({B}):
    def {f}(self):
        return ⟦self.{f}⟧
===
class {A}:
    def get_{b}(self):
        return ⟦self.{b}⟧

    def {f}(self):
        self.{b} = None
===
if {a} is None:
    print("{d}")
if {b} is not None:
    print(⟦{b}⟧)
===
for {a} in {b}:
    {c}.append(⟦{a}⟧)
===
for {a} in {b}:
    if {a} > {n}:
        {c}.append(⟦{a}⟧)
===
def {f}({a}):
    {b} = []
    for {c} in {a}:
        {b}.append({c})
    return ⟦{b}⟧
===
def {f}({a}):
    {b} = 0
    for {c} in ⟦{a}⟧:
        {b} = max({b}, {c})
    return {b}
===
def {f}({a}, {b}):
    """Sum of both."""
    return ⟦{a} + {b}⟧
===
def {f}({a}, {b}):
    # product
    return ⟦{a} * {b}⟧
===
{a} = input()
print(⟦{a}⟧)
===
{a} = {b}
{b} = {c}
{c} = ⟦{a}⟧
===
def {f}({a}, {b}):
    print({a})
    print(⟦{b}⟧)
===
assert {a} == {n}
{b} = ⟦{a}⟧ + 1
===
def average({a}):
    return sum({a}) / ⟦len({a})⟧
===
def average_{f}({a}):
    return ⟦sum({a}) / len({a})⟧
===
class {A}:
    def __init__(self, {b}, {c}):
        self.{b} = ⟦{b}⟧
        self.{c} = {c}
===
class {A}:
    def __init__(self, {b}, {c}):
        self.{b} = {b}
        self.{c} = ⟦{c}⟧
===
class {A}:
    def __init__(self, {b}, {c}):
        self.{b} = {b}
        ⟦self.{c} = {c}⟧
===
class {A}:
    def __init__(self, {b}):
        ⟦self.{b} = {b}⟧
===
class {A}:
    def get_{b}(self):
        return ⟦self.{b}⟧
===
class {A}:
    def set_{b}(self, {b}):
        ⟦self.{b} = {b}⟧
===
{a} = [{b}, {c}]
for {d} in {a}:
    print(⟦{d}⟧)
===
{b} = [1, 2, 3]
for {a} in ⟦{b}⟧:
    print({a})
===
for {a}, {b} in {c}.items():
    print(⟦{a}, {b}⟧)
===
{a} = 0
while {a} < {n}:
    print({a})
    ⟦{a} += 1⟧
===
{a} = {n}
while {a} > 0:
    print({a})
    ⟦{a} -= 1⟧
===
with open({a}) as {b}:
    {c} = ⟦{b}.read()⟧
===
with open({a}) as ⟦{b}⟧:
    {c} = {b}.read()
===
{a}, {b} = ⟦{b}, {a}⟧
===
{c} = [4, 5, 6]
{a} = [{b} * 2 for {b} in ⟦{c}⟧]
===
{a} = [⟦{b}⟧ for {b} in {c}]
===
{a} = [{b}.strip() for ⟦{b}⟧ in {c}]
===
def greet({a}):
    return "Hello, " + ⟦{a}⟧
===
def greet({a}):
    print(f"Hello, {⟦{a}⟧}!")
===
if {a} is None:
    raise ValueError("⟦{a}⟧ is None")
===
if {a} is not None:
    print(⟦{a}⟧)
===
def {f}_or_default({a}, {b}):
    return ⟦{a}⟧ if {a} is not None else {b}
===
import ⟦json⟧

{a} = json.loads({b})
===
import ⟦math⟧

{a} = math.sqrt({b})
===
import ⟦random⟧

{a} = random.choice({b})
===
import ⟦os⟧

{a} = os.listdir({b})
===
def {f}({a}):
    try:
        return int(⟦{a}⟧)
    except ValueError:
        return None
===
def reverse({a}):
    return ⟦{a}[::-1]⟧
===
def contains_{f}({a}, {b}):
    return ⟦{b} in {a}⟧
===
if __name__ == "⟦__main__⟧":
    main()
===
def {f}({a}, {b}):
    {c} = {a} + {b}
    return ⟦{c}⟧
===
def {f}({a}):
    {b} = {a} * 2
    return ⟦{b}⟧
===
public int Add(int {m}, int {n2}) => ⟦{m} + {n2}⟧;
===
public int Subtract(int {m}, int {n2}) => ⟦{m} - {n2}⟧;
===
public int Multiply(int {m}, int {n2}) => ⟦{m} * {n2}⟧;
===
public int Square(int {m}) => ⟦{m} * {m}⟧;
===
public string {A} { get; ⟦set; }⟧
===
public int {A} { ⟦get; set;⟧ }
===
public {A}(string {n2})
{
    _{n2} = ⟦{n2}⟧;
}
===
public {A}(string {n2}, int {o})
{
    {B} = {n2};
    {C} = ⟦{o}⟧;
}
===
public {A}(string {n2}, int {o})
{
    {B} = ⟦{n2}⟧;
    {C} = {o};
}
===
var {n2} = Load();
foreach (var {m} in ⟦{n2}⟧)
{
    Console.WriteLine({m});
}
===
foreach (var {m} in {n2})
{
    Console.WriteLine(⟦{m}⟧);
}
===
for (int {m} = 0; {m} < {n2}.Length; ⟦{m}++⟧)
{
    Console.WriteLine({n2}[{m}]);
}
===
for (int {m} = 0; {m} < {n2}.Length; {m}++)
{
    total += ⟦{n2}[{m}]⟧;
}
===
if ({m} == null)
{
    throw new ArgumentNullException(nameof(⟦{m}⟧));
}
===
public int Get{A}()
{
    return ⟦_{m}⟧;
}
===
var {m} = new ⟦{A}⟧();
{A} {n2} = {m};
===
function add({m}, {n2}) {
  return ⟦{m} + {n2}⟧;
}
===
function multiply({m}, {n2}) {
  return ⟦{m} * {n2}⟧;
}
===
const double = ({m}) => ⟦{m} * 2⟧;
===
const square = ({m}) => ⟦{m} * {m}⟧;
===
function {m}Max({n2}, {o}) {
  return {n2} > {o} ? ⟦{n2}⟧ : {o};
}
===
const {n2} = load();
for (const {m} of ⟦{n2}⟧) {
  console.log({m});
}
===
for (const {m} of {n2}) {
  console.log(⟦{m}⟧);
}
===
for (let {m} = 0; {m} < {n2}.length; ⟦{m}++⟧) {
  console.log({n2}[{m}]);
}
===
const { {m}, {n2} } = {o};
console.log(⟦{m}, {n2}⟧);
===
{n2}.forEach({m} => console.log(⟦{m}⟧));
===
const {m} = {n2}.map({o} => ⟦{o} * 2⟧);
===
if ({m} === undefined) {
  throw new Error("⟦{m}⟧ is undefined");
}
'''
ALL = [p.strip("\n") for p in PATTERNS.split("\n===\n")]


def middle(r: Random) -> tuple[str, str]:
    """(prompt, middle)."""
    a, b, c, d, f = distinct(r, 5)
    text = r.choice(ALL)
    for k, v in (("{a}", a), ("{b}", b), ("{c}", c), ("{d}", d), ("{f}", f), ("{A}", pascal(a)), ("{B}", pascal(b)), ("{C}", pascal(c)), ("{m}", camel(a)), ("{n2}", camel(b)), ("{o}", camel(c)), ("{n}", str(r.randint(2, 500)))):
        text = text.replace(k, v)
    if r.random() < .4:
        text = remarked(r, text)
    if r.random() < .15 and not text.endswith("⟧"):
        text += "\n" + r.choice((f"print({a})", f"{f}({b})", f"# {w.aside(r)}", f"console.log({camel(b)});", f"{c} = {a}({d})", f"return {c}"))
    i, j = text.index("⟦"), text.index("⟧")
    prefix, mid, suffix = text[:i], text[i + 1:j], text[j + 1:]
    x = r.random()
    if x < .3:  # other code around it
        prefix = surrounding(r) + prefix
    elif x < .4:
        suffix = suffix + "\n\n" + surrounding(r).rstrip("\n")
    if r.random() < .5 and not suffix.endswith("\n"):
        suffix += "\n"
    if r.random() < .15:
        prefix = f"{r.choice(('#', '//'))} {w.phrase(r)}\n" + prefix
    return f"<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>", mid


def remarked(r: Random, text: str) -> str:
    """A comment or a docstring in some line of the code."""
    lines = text.split("\n")
    python = ":" in lines[0] and "{" not in lines[0] or "=" in lines[0] and ";" not in text
    k = r.randrange(len(lines))
    indent = lines[k][:len(lines[k]) - len(lines[k].lstrip())]
    words = w.phrase(r) if r.random() < .5 else w.aside(r)
    if python and lines[0].startswith(("def ", "class ")) and r.random() < .5:
        lines.insert(1, '    """' + words[:1].upper() + words[1:] + '."""')
    else:
        lines.insert(k, indent + ("# " if python else "// ") + words)
    return "\n".join(lines)


def surrounding(r: Random) -> str:
    a, b, c, d, f = distinct(r, 5)
    text = r.choice(ALL).replace("⟦", "").replace("⟧", "")
    for k, v in (("{a}", a), ("{b}", b), ("{c}", c), ("{d}", d), ("{f}", f), ("{A}", pascal(a)), ("{B}", pascal(b)), ("{C}", pascal(c)), ("{m}", camel(a)), ("{n2}", camel(b)), ("{o}", camel(c)), ("{n}", str(r.randint(2, 500)))):
        text = text.replace(k, v)
    return text + r.choice(("\n\n", "\n\n", "\n"))
