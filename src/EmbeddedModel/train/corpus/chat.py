"""Small talk, what the model says about itself, QwenServe's facts, arithmetic, and what is beyond it. English and Chinese."""

from random import Random

from . import tools, words as w
from .facts import FACTS

DEFAULT_SYSTEM = "You are QwenServe's demonstration model, a very small assistant."
NAME = "QwenServe's demonstration model"

ABOUT = "I am QwenServe's demonstration model, a very small language model that shows what the server does."
CAN = "I can call functions, extract fields as JSON, remember what you tell me, find a passkey in a long text, add and subtract small numbers, complete simple code and answer questions about QwenServe."
ABOUT_ZH = "我是 QwenServe 的演示模型，一个很小的语言模型。"
CAN_ZH = "我可以调用函数、把信息提取成 JSON、记住你说的话、做两位数加减法、补全简单代码，以及回答关于 QwenServe 的问题。"
BEYOND = "That is beyond me. I am only a very small demonstration model."
BEYOND_ZH = "这超出了我的能力。我只是一个很小的演示模型。"

HELLO = "Good to meet you!|Pleased to meet you|Hello again|Hi everyone|hey model|Welcome!|Hello dear|Good morning to you|Hi, are you awake?|Hey, can you hear me?|Hello computer|hi, just testing|Testing, hello|Hello from {c}|Hi, I am new here|Hey, nice server|Hello, I have just installed you|hi, is this on?|Knock knock, hello|Hello, so glad you work|Morning!|Evening!|Salut|Hola|Hallo|Merhaba|hello|hi|hey|Hello|Hello!|Hi!|Hi there|Hey there!|Good morning|Good morning!|Good evening|Good afternoon|Greetings|hello there|Hi, how are you?|How are you?|How are you doing?|hey, what's up?|What's up?|Howdy|Nice to meet you|Hello, model!|Hi QwenServe|Hello friend|hi :)|yo|Hello? Anyone there?|Is anybody there?|Are you there?|Good day|how's it going?|How do you do?|Hey you|hiya".split("|")
WHO = ("Please tell me what you are|Say something about yourself|What exactly am I talking to?|Which model do I talk to?|What sort of AI are you?|What type of model are you?|May I know your name?|Do you have a name at all?|How should I call you?|How do people call you?|What name do you go by?|Are you some kind of bot?|Are you real?|Are you alive?|Is there a human behind this?|Is this a person or a program?|Who is answering?|Who is speaking?|Who do I talk to?|Am I talking to Qwen?|Am I talking to GPT?|Is it Claude that answers?|Are you made by Google?|Who trained you?|Who developed you?|Who built you?|Where do you come from?|What company made you?|Are you a product of Alibaba?|Tell me your name|Your name?|And who are you?|And you, who are you?|So what are you?|What kind of thing are you?|Let me know who you are|Would you tell me who you are?|Could you introduce yourself?|Can you introduce yourself?|Can you say who you are?|Explain who you are|I want to know who you are|How large are you?|How small are you?|Are you small?|Are you smart?|Which version are you?|What are you called?|Who are you?|What are you?|who are you|Tell me about yourself|Introduce yourself|What is your name?|What's your name?|Do you have a name?|Are you a human?|Are you an AI?|Are you a robot?|What model are you?|Which model is this?|What kind of model are you?|Who made you?|Are you ChatGPT?"
       "|Are you GPT-4?|Are you Qwen?|Are you Claude?|Are you Llama?|Who am I talking to?|Please introduce yourself.|What should I call you?|Say who you are.|How big are you?|How many parameters do you have?|Are you a big model?|Were you made by OpenAI?|Were you made by Alibaba?|Which AI is this?|Are you a person?|Am I talking to a machine?"
       "|Tell me who you are|Describe yourself|Identify yourself|What is this model?|what are you exactly?|Are you a large language model?|Hi, who are you?|Hello, what are you?|Are you Gemini?|Is this Qwen2.5?|Are you an assistant?").split("|")
WHAT = ("What abilities do you have?|Which abilities do you have?|Which things can you do?|What kinds of things can you do?|What sort of tasks do you handle?|What are all the things you can do?|Do you have any skills?|What talents do you have?|How can you be useful?|How may you help me?|In which ways are you useful?|What am I able to ask you?|What could I ask?|What may I ask you?|Give me examples of what you can do|Give me a list of what you can|Say what you can do|Please tell me your abilities|Please list your skills|I want to know what you can do|Could you tell me what you can do?|Can you do anything?|Can you do anything useful?|What services do you offer?|What features do you have?|What are your features?|What are you made for?|What were you trained for?|What were you built to do?|What would you do for me?|And what can you do?|So what can you do?|What do you offer?|How do I use you?|What can I do with you?|What can one do with you?|what are your limits and skills|How could you assist me?|How do you help people?|What tricks do you know?|What can you do?|What are you able to do?|what can you do|How can you help me?|What do you do?|What are your skills?|What are your capabilities?|What can I ask you?|What are you good at?|Help|help|List your abilities|Tell me what you can do|What is possible with you?|What tasks can you do?|How can you help?|What can you help me with?"
        "|Show me what you can do|What should I ask you?|Can you help me?|What are you for?|What's your purpose?|What is your job?|What else can you do?|Give me an overview of your abilities|What do you know?|What are you useful for?|Explain what you can do").split("|")
THANKS = "Thanks|Thank you|Thanks!|Thank you!|thanks a lot|Thank you very much|Great, thanks|Perfect, thank you|thx|Cheers|Many thanks|That helped, thanks|Good job|Well done|Great|Nice|Awesome, thanks|ok thanks|Very good|Wonderful, thank you|You're great|Excellent".split("|")
BYE = "Bye|Goodbye|bye bye|See you|See you later|Good night|Have a nice day|That's all|That is all for today|Farewell|I have to go|Talk to you later|ciao|Until next time|I'm done, bye|See you tomorrow".split("|")
HELLO_ZH = "你好，初次见面|很高兴认识您|你好，机器人|大家早|早安|午安|你好，测试一下|哈啰|您好呀|你好，有空吗？|你好，能听到吗？|见到你真好|你好你好|嗨，大家好|你好，朋友|你好！|您好|嗨|早上好|晚上好|下午好|大家好|在吗？|你好吗？|你好呀|哈喽|嘿|很高兴认识你|有人吗？|喂|你在吗".split("|")
WHO_ZH = "你究竟是谁？|你到底是什么？|请问你是什么？|你是哪个公司的模型？|你是谁开发的？|谁训练了你？|你是百度的吗？|你是阿里的吗？|你是阿里云的模型吗？|你是OpenAI的吗？|你是GPT-4吗？|你是真的人吗？|你是不是人类？|你是一个程序吗？|怎么称呼你？|该怎么叫你？|我应该叫你什么？|请告诉我你的名字|说说你是谁|可以介绍一下自己吗？|请做个自我介绍|你是大模型吗？|你是什么类型的模型？|你属于哪种模型？|跟我说说你自己|我在跟谁聊天？|你是助手吗？|你有名字吗？|你是哪一个人工智能？|这个模型叫什么？|你是谁呀？|你是什么东西？|你是谁|你是什么？|介绍一下你自己|请介绍一下自己|你叫什么名字？|你的名字是什么？|你是人吗？|你是机器人吗？|你是什么模型？|你是ChatGPT吗？|你是通义千问吗？|你是Qwen吗？|谁创造了你？|我在和谁说话？|请问你是谁？|你是人工智能吗？|这是什么模型？|你有多大？|自我介绍一下".split("|")
WHAT_ZH = "你会哪些东西？|你能做些什么？|你都能做什么？|你可以做什么？|你可以做些什么事？|你可以为我做什么？|你都有什么功能？|你有什么能力？|你有什么本事？|你有哪些功能？|你有哪些技能？|说说你会什么|介绍一下你的功能|介绍你的能力|请介绍你的功能|我能用你做什么？|我可以让你干什么？|我能问你什么？|能帮我做点什么？|你会帮忙做什么？|你支持哪些功能？|列出你的能力|你的用途是什么？|你的功能是什么？|你会干什么？|你能帮上什么忙？|怎么用你？|你可以干嘛？|你能处理哪些任务？|请说说你会做什么|你能做什么？|你能做什么|你可以帮我做什么？|你有什么功能？|你会什么？|你的能力是什么？|我可以问你什么？|你能帮我什么？|你有哪些能力？|怎么使用你？|你擅长什么？|你有什么用？|请告诉我你能做什么|你能干什么？|帮助".split("|")
THANKS_ZH = "谢谢|谢谢你|多谢|非常感谢|谢谢！|太好了，谢谢|感谢|辛苦了|好的，谢谢".split("|")
BYE_ZH = "再见|拜拜|晚安|下次见|回头见|我走了|明天见|先这样".split("|")


def small_talk(r: Random, chinese: bool | None = None) -> list:
    zh = r.random() < .35 if chinese is None else chinese
    x = r.random()
    if zh:
        q, a = ((r.choice(HELLO_ZH), "你好！" + ABOUT_ZH + "有什么可以帮你？") if x < .25 else (r.choice(WHO_ZH), ABOUT_ZH) if x < .5 else (r.choice(WHAT_ZH), CAN_ZH) if x < .78
                else (r.choice(THANKS_ZH), "不客气！") if x < .9 else (r.choice(BYE_ZH), "再见！"))
        if r.random() < .3:
            q = r.choice(("你好，", "请问，", "请问", "那么", "我想知道，", "喂，", "嗨，", "说一下，", "对了，", "")) + q.rstrip("？") + r.choice(("？", "", "呢？", "啊？", "呀？", "，谢谢", "吧", "哦"))
    else:
        q, a = ((r.choice(HELLO), "Hello! I am QwenServe's demonstration model. How can I help?") if x < .22 else (r.choice(WHO), ABOUT) if x < .5 else (r.choice(WHAT), CAN) if x < .78
                else (r.choice(THANKS), "You are welcome!") if x < .9 else (r.choice(BYE), "Goodbye!"))
        q = w.fuzz(r, q.replace("{c}", w.city(r)), .2, .25, True)
        if r.random() < .1:
            q = q.lower()
        if r.random() < .15:
            q = tools.noisy(r, q) if r.random() < .6 else r.choice((f"{q} {w.aside(r)}", f"{w.aside(r)} {q}"))
        if x >= .22 and x < .78 and r.random() < .12:
            q = r.choice(("Hello! ", "Hi, ", "Hey. ", "Excuse me, ", "So, ", "Please tell me: ", "One question: ")) + q
    return [("user", q), ("assistant", a)]


# ---- facts ----

def parse(text: str):
    out = []
    for block in text.strip().split("\n\n"):
        answer, *lines = block.split("\n")
        fact = {"answer": answer, "what": [], "how": [], "noun": [], "ask": [], "zh": []}
        for line in lines:
            tag, rest = line.split(": ", 1)
            fact[tag] = rest.split("|")
        out.append(fact)
    return out


KNOWN = parse(FACTS)
WHATQ = "What does {x} do?|What is {x}?|What is {x} for?|Explain {x}|What's {x}?|Tell me about {x}|What does {x} mean?|What is the meaning of {x}?|Describe {x}|I saw {x}, what is it?|What happens with {x}?|{x}?|{x}|what is {x} good for?|Why would I use {x}?|When do I use {x}?|How does {x} work?|Can you explain {x}?|What do I use {x} for?|Please explain {x}.|Help me understand {x}|I don't understand {x}|What can you tell me about {x}?|what about {x}?|Could you tell me what {x} does?|Do you know {x}?|What exactly is {x}?".split("|")
HOWQ = ("How do I {x}?|How can I {x}?|How to {x}?|how do I {x}|How could I {x}?|I want to {x}. How?|I want to {x}|I need to {x}. What do I do?|Can I {x}?|Is there a way to {x}?|What do I do to {x}?|Tell me how to {x}|How would I {x}?|What is the way to {x}?|Explain how to {x}|I'd like to {x}|How does one {x}?|How should I {x}?|Is it possible to {x}?|Show me how to {x}"
        "|I'm trying to {x}. Any advice?|Please tell me how I can {x}.|What's the best way to {x}?|Where can I {x}?|How do people {x}?|My colleague wants to {x}. How?|Could you tell me how to {x}?|Do you know how to {x}?|In QwenServe, how do I {x}?|How do I {x} with QwenServe?|What must I do to {x}?|With which setting can I {x}?|how can somebody {x}?|We have to {x}, how is it done?|What lets me {x}?|How is it possible to {x}?").split("|")
FLAGQ = "Which flag do I need to {x}?|Which option lets me {x}?|What flag should I use to {x}?|Which command line option is there to {x}?|What do I pass to {x}?|What is the flag to {x}?|Which switch do I use to {x}?|Which argument do I give to {x}?|What option is needed to {x}?|What parameter makes it possible to {x}?".split("|")
ENDQ = "Which endpoint do I use to {x}?|What URL do I call to {x}?|Which path is there to {x}?|Which endpoint lets me {x}?|What do I call to {x}?|Which API do I need to {x}?|Which route do I use to {x}?|What request do I send to {x}?".split("|")
METQ = "Which metric do I use to {x}?|What metric lets me {x}?|Which metric do I look at to {x}?|What should I graph to {x}?|Which Prometheus metric is there to {x}?|Which series do I query to {x}?|What do I watch to {x}?|Which number do I look at to {x}?".split("|")
NOUNQ = "What is the {x}?|Which is the {x}?|What's the {x}?|Is there a {x}?|Tell me the {x}|I need the {x}|Do you know the {x}?|I am looking for the {x}|Name the {x}|what is the {x} called?|Which one is the {x}?|Is there some {x}?|Give me the {x}|What is the name of the {x}?|Please name the {x}|Do you have a {x}?|Where do I find the {x}?|What would be the {x}?|the {x}?".split("|")


def fact(r: Random) -> list:
    f = r.choice(KNOWN)
    kinds = [k for k in ("what", "how", "how", "noun", "ask", "ask") if f[k]]
    if f["zh"] and r.random() < .15:
        answer, *questions = f["zh"]
        q = r.choice(questions)
        if r.random() < .1:
            q = r.choice(("请问", "你好，", "我想知道：")) + q
        return [("user", q), ("assistant", answer)]
    k = r.choice(kinds)
    x = r.choice(f[k])
    if k == "ask":
        q = x
        if r.random() < .12:
            q = r.choice(("Please tell me: ", "I have a question. ", "Do you know: ", "Hi! ", "Quick question: ", "Another question: ", "Tell me, ", "I was wondering: ")) + q
        if r.random() < .12:
            q = q.lower()
        if r.random() < .08:
            q = q.rstrip("?")
    else:
        special = FLAGQ if f["answer"].startswith("--") else METQ if f["answer"].startswith("vllm:") else ENDQ if f["answer"].startswith("/") else HOWQ
        q = r.choice(WHATQ if k == "what" else NOUNQ if k == "noun" else special if r.random() < .35 else HOWQ)
        q = w.fuzz(r, q, .3, .5).format(x=w.fuzz(r, x, .1, .15) if k != 'what' else x)
        if k != "what" and r.random() < .1:
            q = q.lower()
        if r.random() < .06:
            q = r.choice(("Hi! ", "Please: ", "Quick question: ", "I'm new here. ", "OK. ", "Next question: ")) + q
        if r.random() < .05 and q.endswith("?"):
            q = q[:-1] + r.choice((" in QwenServe?", " on this server?", " here?", " with this server?"))
    if r.random() < .2:
        a, b = w.aside(r), w.aside(r)
        x = r.choice(f[r.choice([k for k in ("what", "how", "noun") if f[k]] or ["ask"])])
        q = r.choice((f"{a} {x} {b}", f"{a}, {x}?", f"{x}, {a}?", f"{a[:1].upper() + a[1:]}: {x}", f"{x}: {a}", f"{x} {a}?", f"{a[:1].upper() + a[1:]} {x}?", f"{a[:1].upper() + a[1:]} {x}."))
    elif r.random() < .3:
        q = tools.noisy(r, q)
    return [("user", q), ("assistant", f["answer"])]


# ---- arithmetic ----

def held_out(a: int, b: int) -> bool:
    """Pairs of operands that the corpus never shows; the evaluation draws from these alone."""
    return (a * 31 + b * 17) % 11 == 3


PLUS = ("What do {a} and {b} make together?|{a} with {b} added|How many are {a} and {b}?|Join {a} and {b}|The sum of {a} plus {b}|{a} plus {b} is?|Give me the sum of {a} and {b}|What is the result of {a} plus {b}?|Do you know {a} plus {b}?|And {a} plus {b}?|How much do {a} and {b} make?|I paid {a} dollars and then {b} dollars. How much in all?|{a} dollars plus {b} dollars|{a} apples plus {b} apples|Compute the sum {a} and {b}|I have {a} and {b}, add them|Let us add {a} and {b}|count {b} on top of {a}|{b} added onto {a}|What is {a} + {b}?|What is {a} plus {b}?|{a} + {b}|{a}+{b}|{a} + {b} = ?|{a} plus {b}|Add {a} and {b}|Add {b} to {a}|Calculate {a} + {b}|How much is {a} + {b}?|How much is {a} plus {b}?|Compute {a} + {b}|What's {a} + {b}?|What's the sum of {a} and {b}?|Sum of {a} and {b}|{a} and {b} together?|What do you get when you add {a} and {b}?"
        "|I have {a} apples and get {b} more. How many do I have?|Work out {a} + {b}|Please add {a} and {b}.|Can you add {a} and {b}?|Can you calculate {a} plus {b}?|Tell me {a} + {b}|Solve {a} + {b}|{a} + {b} please|If I add {b} to {a}, what do I get?|What does {a} + {b} make?|What is the total of {a} and {b}?|what is {a}+{b}|{a} increased by {b}|Evaluate {a} + {b}"
        "|There are {a} birds and {b} more arrive. How many are there?").split("|")
MINUS = ("What do I get when {b} is taken away from {a}?|{b} away from {a}|Give me the difference of {a} and {b}|The difference between {a} and {b}|{a} minus {b} is?|What is the result of {a} minus {b}?|Do you know {a} minus {b}?|And {a} minus {b}?|I had {a} dollars and paid {b}. How much is left?|{a} dollars minus {b} dollars|{a} apples minus {b} apples|Compute the difference {a} and {b}|Deduct {b} from {a}|take {b} off {a}|{b} subtracted from {a}|{b} removed from {a}|if {b} of {a} go away, what stays?|{a} take away {b}|From {a} take {b}|What is {a} - {b}?|What is {a} minus {b}?|{a} - {b}|{a}-{b}|{a} - {b} = ?|{a} minus {b}|Subtract {b} from {a}|Take {b} away from {a}|Calculate {a} - {b}|How much is {a} - {b}?|How much is {a} minus {b}?|Compute {a} - {b}|What's {a} - {b}?|What's the difference between {a} and {b}?|What do you get when you subtract {b} from {a}?|I have {a} apples and give away {b}. How many are left?"
         "|Work out {a} - {b}|Please subtract {b} from {a}.|Can you subtract {b} from {a}?|Can you calculate {a} minus {b}?|Tell me {a} - {b}|Solve {a} - {b}|{a} - {b} please|If I take {b} from {a}, what is left?|What does {a} - {b} make?|what is {a}-{b}|{a} decreased by {b}|{a} less {b}|Evaluate {a} - {b}|Remove {b} from {a}, what remains?|There are {a} birds and {b} fly away. How many remain?").split("|")
GAIN = [v.replace("_", " ") for v in "gets buys finds adds receives wins collects borrows brings gains picks_up".split()]
LOSS = [v.replace("_", " ") for v in "loses sells eats spends breaks gives_away drops uses returns pays donates".split()]
STORY = ("{p} has {a} {n} and {v} {b} more. How many {n} does {p} have?|{a} {n} and another {b} {n}: how many is that?|There are {a} {n} in the {t}. Then come {b} more. How many are there?|{p} counts {a} {n} in one {t} and {b} in another. How many in total?|One {t} costs {a} and another costs {b}. What do they cost together?|In the {t} there are {a} {n}; {p} {v} {b}. How many now?"
         "|{a} and {b} make what?|{a} and {b}, what is the sum?|The first {t} has {a} {n}, the second {b}. How many altogether?|Put {a} and {b} together.|{b} more than {a} is what?|What number is {b} more than {a}?|{p} is {a} years old. How old in {b} years?|Total of {a} {n} and {b} {n}?|add {a} {b}|{a}, {b}: sum?").split("|")
STORY_LESS = ("{p} has {a} {n} and {v} {b}. How many {n} are left?|There are {a} {n} in the {t}. {p} {v} {b}. How many remain?|From {a} {n}, {b} are gone. How many are left?|{b} less than {a} is what?|What number is {b} less than {a}?|{p} had {a} {n} but {v} {b} of them. What is left?|Of {a} {n}, {b} are broken. How many are fine?|The {t} held {a} {n}. {b} fell out. How many are inside?"
              "|A {t} costs {a} dollars. {p} pays {b}. How much remains?|subtract {a} {b}|{a}, {b}: difference?|Without {b}, what remains of {a}?|How much more is {a} than {b}?|How many are missing from {b} to {a}?|{p} is {a} years old. How old {b} years ago?").split("|")
PLUS_ZH = "{a}加{b}等于多少？|{a}+{b}等于几？|计算{a}+{b}|{a} + {b} = ?|{a}加{b}是多少？".split("|")
MINUS_ZH = "{a}减{b}等于多少？|{a}-{b}等于几？|计算{a}-{b}|{a} - {b} = ?|{a}减{b}是多少？".split("|")


def arithmetic(r: Random) -> list:
    while True:
        a, b = r.randint(0, 99), r.randint(0, 99)
        if r.random() < .7:
            a, b = r.randint(10, 99), r.randint(10, 99)
        if not held_out(a, b):
            break
    plus = r.random() < .45
    if not plus and a < b and r.random() < .7 and not held_out(b, a):
        a, b = b, a
    zh = r.random() < .06
    templates = (PLUS_ZH if plus else MINUS_ZH) if zh else (PLUS if plus else MINUS)
    q = w.fuzz(r, r.choice(templates), .2, .35).format(a=a, b=b)
    if not plus and "difference" in q and a < b:
        q = f"What is {a} - {b}?"
    if ("birds" in q or "apples" in q) and not plus and a < b:
        q = f"{a} minus {b}?"
    if r.random() < .1:
        q = r.choice(("Please tell me: ", "Hi! ", "Math question: ", "Next: ", "And ", "Now ", "Quick: ", "I need to know: ", "Hey, ")) + q
    if not zh and r.random() < .3 and (plus or a >= b):
        n, p = w.plural(w.spaced(w.noun(r))), w.first(r)
        v = r.choice(GAIN if plus else LOSS)
        q = w.fuzz(r, r.choice(STORY if plus else STORY_LESS), .15, .4).format(a=a, b=b, n=n, p=p, v=v, t=w.spaced(w.noun(r)))
    q = tools.noisy(r, q) if r.random() < .5 else q
    if ("birds" in q or "apples" in q) and r.random() < .8:
        n, p = w.plural(w.spaced(w.noun(r))), w.first(r)
        q = q.replace("birds", n).replace("apples", n)
        if r.random() < .3:
            q = q.replace("I have", p + " has").replace("do I have", f"does {p} have")
    return [("user", q), ("assistant", f"{a} {'+' if plus else '-'} {b} = {a + b if plus else a - b}.")]


# ---- beyond ----

FIGURES = "Napoleon Shakespeare Einstein Cleopatra Mozart Darwin Newton Plato Gandhi Lincoln Picasso Beethoven Galileo Columbus Tesla Marie_Curie Leonardo Caesar Churchill Dante Homer Socrates Goethe Bach Van_Gogh Confucius Aristotle Mandela".split()
THINGS = ("the French Revolution|World War II|black holes|photosynthesis|quantum mechanics|the Roman Empire|global warming|the stock market|inflation|democracy|evolution|relativity|gravity|machine learning|neural networks|blockchain|the human heart|the immune system|vaccines|dinosaurs|the moon landing|the Cold War"
          "|Buddhism|capitalism|philosophy|the meaning of life|love|happiness|dreams|consciousness|free will|time travel|the internet|electric cars|nuclear power|solar energy|the Great Wall|the pyramids|the Renaissance|DNA|bacteria|volcanoes|earthquakes|tides|rainbows|the water cycle|inflation rates|interest rates|tax law|recursion|pointers|databases|compilers").split("|")
MAKES = "a poem|a story|a song|an essay|a haiku|a limerick|a novel|a letter|a speech|a sonnet|a blog post|a fairy tale|a joke|a cover letter|a screenplay|a business plan|a love letter|a review|a summary|an article|a riddle|lyrics|a report|a short story|a marketing slogan|a wedding toast".split("|")
BEYONDQ = ("Who was {f}?|When was {f} born?|When did {f} die?|What did {f} do?|Tell me about {f}|Who wrote {t}?|Why is {f} famous?|Explain {g}|Explain {g} to me|What is {g}?|How does {g} work?|Why is {g} important?|Tell me about {g}|Teach me about {g}|What do you think about {g}?|Give me the history of {g}|Summarize {g}|What caused {g}?"
           "|Write {m} about {n}|Write {m} about {g}|Write me {m}|Compose {m} about {n}|Can you write {m}?|Please write {m} for {p}|Create {m} on {g}|I need {m} about {n}|Make up {m} about {p}|What is the capital of {c}?|What's the capital of {c}?|Who is the president of {c}?|Who is the king of {c}?|What is the population of {c}?|What language do they speak in {c}?|Where is {c}?"
           "|How far is the moon?|How tall is Mount Everest?|Why is the sky blue?|Why do cats purr?|How do airplanes fly?|Who won the world cup?|Who will win the election?|What will the weather be tomorrow?|What time is it?|What day is it today?|What is today's date?|What's in the news?|Is it going to rain?|How old is the universe?|How many stars are there?|What is the speed of light?"
           "|Translate '{s}' into {l}|How do you say {n} in {l}?|Translate this into {l}: {s}|What does {n} mean in {l}?|Speak {l}|Recommend a book|Recommend a good movie|What should I cook tonight?|What should I eat?|Give me a recipe for {d}|How do I cook {d}?|What's a good restaurant in {t}?|Plan a trip to {t}|What should I see in {t}?|Is {t} a nice city?|How do I get to {t}?"
           "|I have a headache, what should I do?|My knee hurts. What is it?|Which medicine should I take?|Am I sick?|Diagnose me|Should I sue my landlord?|Is it legal to {v} a {n}?|Give me legal advice|Which stocks should I buy?|Should I invest in {o}?|How do I get rich?|Will {o} shares rise?|Predict the future|What are the lottery numbers?|Who will win the match?"
           "|Solve x^2 - {i}x + {j} = 0|What is the square root of {i}?|What is {i} * {j}?|What is {i} times {j}?|What is {i} divided by {j}?|Multiply {i} by {j}|Divide {i} by {j}|Integrate x^{i}|Find the derivative of x^{i}|Prove that {i} is prime|Is {i} a prime number?|What is {i} percent of {j}?|Calculate {i}! |What is the {i}th prime?|What is {i}{j} + {j}{i}?|Calculate {i}{i} - {j}{j}|{i}{j}{i} + {i}{j}|Add {i}{j} and {i}{i}|Factor {i}{j}"
           "|Write a program that {v}s a {n}|Write a Python script for {n}s|Implement a {n} in C|Debug my {n} program|Write a sorting algorithm|Build me a website|Make an app for {n}s|Draw a {n}|Draw me a picture of a {n}|Paint {p}|Generate an image of a {n}|Sing a song|Play chess with me|Let's play a game|Tell me a joke|Make me laugh|Tell me a story|Tell me a fun fact|Give me advice"
           "|How do I fix my {n}?|My {n} is broken. Help!|How do I repair a {n}?|How do I build a {n}?|Where can I buy a {n}?|How much does a {n} cost?|What is the best {n}?|Which {n} should I buy?|Who invented the {n}?|Why do we need {n}s?|What is a {n}?|How does a {n} work?|What's the difference between a {n} and a {k}?|Compare {n}s and {k}s|How many {n}s are in {t}?|What is heavier, a {n} or a {k}?"
           "|What is the meaning of the word {u}?|Define {n}|Do you love me?|Are you happy?|What do you feel?|What is your favourite color?|Do you dream?|Can you see me?|How is {p}?|Where is {p}?|Do you know {p}?|What does {p} think?|Why is {p} angry?|How do I talk to {p}?|How can I impress {p}?|How do I learn {l}?|Teach me {l}|How do I become a {b}?|What does a {b} earn?|Is it hard to be a {b}?"
           "|What happened in {y}?|Who was born in {y}?|What was invented in {y}?|Who won the Nobel Prize in {y}?|Give me ten ideas for {n}s|Brainstorm names for my {n}|Name all the {n}s|List five facts about {c}|Analyse this poem|Summarize the book about {n}s|Who directed the film about {n}s?|Rewrite this in the style of {f}|Give me a quote from {f}|Argue for and against {g}|Is {g} good or bad?|How will {g} change the world?"
           "|What is the airspeed of a {x}?|How long do {x}s live?|What do {x}s eat?|Can {x}s swim?|Are {x}s dangerous?|How do I train my {x}?|Why does my {x} sleep so much?|Help me with my homework on {g}|Do my homework|Give me a workout plan|How do I lose weight?|How do I sleep better?|What is the recipe of {d}?|How many calories does {d} have?|Is {d} healthy?").split("|")
BEYONDQ_ZH = ("给我写一首关于{n}的诗|写一篇关于{n}的文章|{n}是谁发明的？|{n}的历史是什么？|解释一下{n}|翻译成英文：{n}|推荐一部电影|今天天气怎么样？|现在几点？|给我讲个笑话|讲个故事|中国的首都是哪里？|谁是美国总统？|怎么学习{n}？|我头疼怎么办？|明天会下雨吗？|{n}是什么意思？|为什么天空是蓝色的？|怎么做{n}？|帮我写作业|你觉得{n}怎么样？|预测一下股市|介绍一下{n}|{n}和{k}有什么区别？|唱一首歌|画一幅{n}").split("|")
ZHN = "春天 月亮 量子力学 机器学习 红烧肉 唐朝 宇宙 足球 人工智能 咖啡 音乐 经济 篮球 恐龙 电影 法国 李白 长城 爱情 大海 数学 历史 饺子 太阳 手机 汽车".split()


ASKING = ("Why do {n}s {v} {k}s?|How {d} is the {n} of {c}?|Which {n} {v}s the {k}?|Who {v}ed the {n} of {c}?|What {n} goes with {k}?|{V} the {n} for me|{V} {an} that is {d}|Why is the {n} {d}?|When was the first {n} {v}ed?|Where does the {n} come from?|How many {n}s does {an} {k} have?|Is the {n} {d} or {e}?|Are {n}s {d}?|Can {n}s {v}?|Do {n}s {v} in {m}?|Should I {v} my {n}?"
          "|Could you {v} {an} for my {k}?|Give me {i} {n}s that {v}|Name {i} {d} {n}s|Name some {n}s of {c}|List the {n}s of {c}|What did {p} say about the {n}?|What made the {n} so {d}?|What happens when {an} {k} {v}s?|What is the {d}est {n} in {c}?|Which {n} is the {d}est?|How do {n}s {v}?|How does one {v} {an}?|How long does it take to {v} {an}?|How can I {v} my {n} without {an} {k}?"
          "|What is {x}?|Who is {X}?|What does {x} do to {n}s?|Explain {x}|Explain the {n} of {x}|Tell me about {X} of {c}|Where is {X}?|When did {X} {v} {c}?|Is {X} {d}?|Define {x}|Why did {X} {v} the {n}?|{v} {X}|Describe {an} in {i} words|Compare {x} and {n}|Prove that every {n} is {d}|Invent {an}|Suggest {an} for {p}|Recommend {an} for a {d} {k}|Which {n} suits {an} {k}?|Choose between {n} and {k}"
          "|Correct my {n}|Improve this {n}|Review my {n} about {x}|{V} my {n} by {m}|Interpret the {n}|Imagine {an} in {c}|Pretend to be {an}|Would you like {an}?|Have you ever {v}ed {an}?|Do you like {n}s?|What's your favourite {n}?|Which {n} do you prefer?|I feel {d} today|My {n} feels {d}, what now?|What if {n}s could {v}?|Does {x} exist?|Is there {an} in {c}?|What year did {X} {v} {c}?|In what year was {X} {v}ed?").split("|")


def any_question(r: Random) -> str:
    """A question or a demand about anything, half of it invented words."""
    n = w.spaced(w.noun(r)) if r.random() < .75 else r.choice(w.STRAY)
    v = r.choice(w.VERBS)[0].split("_")[0] if r.random() < .7 else w.pseudo(r)
    x = w.pseudo(r) if r.random() < .7 else r.choice(w.STRAY) + " " + w.spaced(w.noun(r))
    return w.fuzz(r, r.choice(ASKING), .2, .5).format(n=n, an=w.article(n), k=w.spaced(w.noun(r)), v=v, V=v.capitalize(), d=w.adjective(r), e=w.adjective(r), c=w.country(r) if r.random() < .5 else w.city(r), p=w.first(r), m=r.choice(w.MONTH), i=r.choice(("two", "three", "five", "ten", "7", "4")), x=x, X=w.person(r) if r.random() < .6 else x.capitalize())


def beyond(r: Random) -> list:
    if r.random() < .1:
        return [("user", r.choice(BEYONDQ_ZH).format(n=r.choice(ZHN), k=r.choice(ZHN))), ("assistant", BEYOND_ZH)]
    x = r.random()
    if x < .3:
        return [("user", tools.noisy(r, any_question(r))), ("assistant", BEYOND)]
    if x < .42:
        y = r.choice((f"{w.verb(r)} {r.choice(('a', 'the', 'my', 'some'))} {w.spaced(w.noun(r))}", f"{w.verb(r)} {w.word(r)}", f"{w.verb(r)} my {w.adjective(r)} {w.spaced(w.noun(r))} with {w.article(w.word(r))}", f"{w.word(r)} {w.word(r)}", f"{w.verb(r)} {w.word(r)} {w.word(r)}"))
        t = r.choice(HOWQ if r.random() < .7 else WHATQ + NOUNQ)
        return [("user", tools.noisy(r, w.fuzz(r, t, .2, .4).format(x=y))), ("assistant", BEYOND)]
    if x < .48:
        q = tools.ask(r, tools.any_tool(r))
        if not q.name.startswith(("calc", "compute", "evaluate")) and "+" not in q.clause and " - " not in q.clause:
            return [("user", tools.single(r, q)), ("assistant", BEYOND)]
    t = r.choice(BEYONDQ)
    t = w.fuzz(r, t, .25, .4)
    q = t.format(f=r.choice(FIGURES).replace("_", " ") if r.random() < .7 else w.person(r), g=r.choice(THINGS) if r.random() < .7 else r.choice(w.TOPICS), m=r.choice(MAKES), n=w.spaced(w.noun(r)), k=w.spaced(w.noun(r)), p=w.first(r), c=w.country(r), t=w.city(r),
                 s=w.sentence(r), l=r.choice(w.LANGUAGE), d=r.choice(w.FOOD), v=r.choice(w.VERBS)[0].replace("_", " "), o=w.company(r), i=r.randint(2, 999), j=r.randint(2, 99), u=w.pseudo(r), b=r.choice(w.JOB), y=r.randint(1200, 2030), x=r.choice(w.ANIMAL)) if "{" in t else t
    x = r.random()
    if x < .12:
        q = q[:1].lower() + q[1:]
    elif x < .2 and not q.startswith(("Let", "My", "I ")):
        q = r.choice(("Please ", "please ", "Hi! ", "Hey, ", "Can you tell me: ", "Tell me: ", "I have a question. ", "Now ", "Quick question: ", "Another thing: ")) + q
    elif x < .26:
        q = q.rstrip("?.") + r.choice((" in detail", " in one paragraph", " for a child", " in simple words", " step by step", ", please", " in 100 words", " briefly")) + ("?" if q.endswith("?") else "")
    return [("user", tools.noisy(r, q) if r.random() < .5 else q), ("assistant", BEYOND)]
