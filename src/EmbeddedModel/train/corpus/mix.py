"""The mixture: which skill a document shows, under which system prompt, rendered in Qwen2.5's chat format.

A document is a list of (text, trained) pieces; trained pieces are what the assistant says, its end marker included.
"""

from random import Random

from . import chat, extract, fim, memory, tools, words as w

TOOLS_HEAD = "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>"
TOOLS_TAIL = "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n"

SYSTEMS = ("You are a helpful assistant.|You are a helpful assistant that can call functions.|Answer briefly.|You are a demo.|Be polite and short.|You are an assistant in a smart home.|You help customers of {c}.|You are the assistant of {p}.|You are a support agent.|You work for {c}. Be friendly.|Use the functions when they help."
           "|Today is {d}.|You are talking to {p}.|You are a bot. Answer in one sentence.|Do not make things up.|You are a careful assistant. Today is {d}.|Help the user with tools.|You are a function calling model.|The user is in {t}.|You are an assistant for {n}s and {k}s.|Assist the user.|You are an agent with access to tools.|The current date is {d} and the time is {h}.|You are {x}, an assistant.|").split("|")


def system_prompt(r: Random) -> str:
    if r.random() < .62:
        return chat.DEFAULT_SYSTEM
    if r.random() < .1:
        return " ".join(memory.noise_sentence(r) for _ in range(r.randint(1, 4)))
    return r.choice(SYSTEMS).format(c=w.company(r), p=w.person(r), d=w.date(r), n=w.spaced(w.noun(r)), k=w.spaced(w.noun(r)), t=w.city(r), h=w.time(r), x=w.pseudo(r).capitalize())


def render(system: str, messages: list, declared=None) -> list:
    """Qwen2.5's chat template, byte for byte, cut into trained and untrained pieces."""
    out = []
    text = "<|im_start|>system\n" + system
    if declared:
        text += TOOLS_HEAD + "".join("\n" + tools.dumps(t.schema) for t in declared) + TOOLS_TAIL
    else:
        text += "<|im_end|>\n"
    for i, (role, content) in enumerate(messages):
        if role == "assistant":
            out.append((text + "<|im_start|>assistant\n", False))
            out.append((content + "<|im_end|>", True))
            text = "\n"
        elif role == "tool":
            if i == 0 or messages[i - 1][0] != "tool":
                text += "<|im_start|>user"
            text += "\n<tool_response>\n" + content + "\n</tool_response>"
            if i + 1 == len(messages) or messages[i + 1][0] != "tool":
                text += "<|im_end|>\n"
        else:
            text += "<|im_start|>user\n" + content + "<|im_end|>\n"
    out.append(("\n", False))
    return out


def small_turn(r: Random) -> list:
    x = r.random()
    return chat.small_talk(r) if x < .2 else chat.fact(r) if x < .48 else chat.arithmetic(r) if x < .64 else chat.beyond(r) if x < .85 else extract.extraction(r)


def tool_document(r: Random) -> list:
    declared = tools.toolset(r, r.choice((1, 1, 2, 2, 3, 3, 4, 4, 4)))
    messages = tools.turns(r, declared, r.choice((1, 2, 2, 3, 3, 4, 5)), small_turn)
    if not messages:
        messages = small_turn(r)
    return render(system_prompt(r), messages, declared)


def chat_document(r: Random) -> list:
    messages = []
    for _ in range(r.choice((1, 2, 3, 4, 5, 6, 8))):
        messages += small_turn(r)
    return render(system_prompt(r), messages)


def extract_document(r: Random) -> list:
    system: list = []
    messages = extract.extraction(r, system)
    if system:
        return render(system[0], messages)
    for _ in range(r.choice((0, 1, 2, 3, 4))):
        messages += extract.extraction(r)
    return render(system_prompt(r), messages)


def recall_document(r: Random) -> list:
    return render(system_prompt(r), memory.recall(r, small_turn))


def passkey_document(r: Random) -> list:
    length = int(150 * (11500 / 150) ** r.random())
    messages, system = memory.passkey(r, length)
    return render(system or system_prompt(r), messages)


def fim_document(r: Random) -> list:
    prompt, middle = fim.middle(r)
    return [(prompt, False), (middle + "<|endoftext|>", True)]


# Tool calls and extraction, whose wording varies most and is learnt last, have seven documents of ten and four tokens of five. Extraction's
# documents are short, so that many of them cost little.
SKILLS = [(tool_document, .41), (extract_document, .31), (recall_document, .08), (passkey_document, .03), (chat_document, .125), (fim_document, .045)]


def document(r: Random) -> list:
    x = r.random()
    for make, share in SKILLS:
        x -= share
        if x < 0:
            return make(r)
    return tool_document(r)
