"""Templates of our own for template_vectors.json: (name, template, variables)."""

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "  What's the weather in \"Paris\"?\n"},
    {"role": "assistant", "content": "<think>\nhmm\n</think>\n\nLet me look.", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris", "days": 2, "units": None}}},
        {"id": "c2", "type": "function", "function": {"name": "get_time", "arguments": {}}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "{\"t\": 21.5}"},
    {"role": "tool", "tool_call_id": "c2", "content": "12:00"},
    {"role": "assistant", "content": "It is 21.5 °C."},
    {"role": "user", "content": "谢谢 😀"},
]
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather <now> & later", "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "description": "City's name"},
                                         "days": {"type": "integer", "enum": [1, 2, 3]}}, "required": ["city"]}}},
    {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}},
]
CHAT = {"messages": MESSAGES, "tools": TOOLS, "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}

HERMES = """{%- macro json_to_python_type(json_spec) %}
{%- set basic_type_map = {
    "string": "str",
    "number": "float",
    "integer": "int",
    "boolean": "bool"
} %}

{%- if basic_type_map[json_spec.type] is defined %}
    {{- basic_type_map[json_spec.type] }}
{%- elif json_spec.type == "array" %}
    {{- "list[" + json_to_python_type(json_spec|items) + "]" }}
{%- elif json_spec.type == "object" %}
    {{- "dict" }}
{%- else %}
    {{- "Any" }}
{%- endif %}
{%- endmacro %}

{{- bos_token }}
{{- '<|im_start|>system\\nYou are a function calling model: <tools> ' }}
{%- for tool in tools %}
    {%- if tool.function is defined %}
        {%- set tool = tool.function %}
    {%- endif %}
    {{- '{"type": "function", "function": ' }}
    {{- '{"name": "' + tool.name + '", ' }}
    {{- '"description": "' + tool.name + '(' }}
    {%- for param_name, param_fields in tool.parameters.properties|items %}
        {{- param_name + ": " + json_to_python_type(param_fields) }}
        {%- if not loop.last %}
            {{- ", " }}
        {%- endif %}
    {%- endfor %}
    {{- ")" }}
    {%- if tool.return is defined %}
        {{- " -> " + json_to_python_type(tool.return) }}
    {%- endif %}
    {{- " - " + (tool.description or '') + "\\n\\n" }}
    {{- '", "parameters": ' }}
    {%- if tool.parameters.properties | length == 0 %}
        {{- "{}" }}
    {%- else %}
        {{- tool.parameters|tojson }}
    {%- endif %}
    {{- "}" }}
    {%- if not loop.last %}
        {{- "\\n" }}
    {%- endif %}
{%- endfor %}
{{- " </tools>" }}
{%- for message in messages %}
    {%- if message.role == "user" or message.role == "system" or (message.role == "assistant" and message.tool_calls is not defined) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
    {%- for tool_call in message.tool_calls %}
       {{- '\\n<tool_call>\\n' }}
           {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '{' }}
            {{- '"name": "' }}
            {{- tool_call.name }}
            {{- '"' }}
            {%- if tool_call.arguments is defined %}
                {{- ', ' }}
                {{- '"arguments": ' }}
                {{- tool_call.arguments|tojson }}
            {%- endif %}
            {{- '}' }}
            {{- '\\n</tool_call>' }}
    {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.previtem and loop.previtem.role != "tool" %}
            {{- '<|im_start|>tool\\n' }}
        {%- endif %}
        {{- '<tool_response>\\n' }}
        {{- message.content }}
        {%- if not loop.last %}
            {{- '\\n</tool_response>\\n' }}
        {%- else %}
            {{- '\\n</tool_response>' }}
        {%- endif %}
        {%- if not loop.last and loop.nextitem.role != "tool" %}
            {{- '<|im_end|>' }}
        {%- elif loop.last %}
            {{- '<|im_end|>' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

THINKING = """{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or reasoning) %}
            {{- '[a]<think>' + reasoning.strip('\\n') + '</think>' + content.lstrip('\\n') }}
        {%- else %}
            {{- '[a]' + content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls or [] %}
            {%- if (loop.first and content) or (not loop.first) %}{{- '|' }}{%- endif %}
            {{- tool_call.function.name ~ ':' ~ (tool_call.function.arguments if tool_call.function.arguments is string else tool_call.function.arguments | tojson) }}
        {%- endfor %}
    {%- else %}
        {{- '[' ~ message.role[0] ~ ']' ~ content }}
    {%- endif %}
{%- endfor %}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think></think>' }}{%- endif %}"""

CODER = """{% macro render_extra_keys(json_dict, handled_keys) %}
    {%- if json_dict is mapping %}
        {%- for json_key in json_dict if json_key not in handled_keys %}
            {%- if json_dict[json_key] is mapping or (json_dict[json_key] is sequence and json_dict[json_key] is not string) %}
                {{- '\\n<' ~ json_key ~ '>' ~ (json_dict[json_key] | tojson | safe) ~ '</' ~ json_key ~ '>' }}
            {%- else %}
                {{-'\\n<' ~ json_key ~ '>' ~ (json_dict[json_key] | string) ~ '</' ~ json_key ~ '>' }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
{% endmacro %}
{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}{%- set tools = [] %}{%- endif %}
{%- if system_message is defined %}{{- system_message | trim }}{%- endif %}
{%- if tools is iterable and tools | length > 0 %}
    {{- "<tools>" }}
    {%- for tool in tools %}
        {%- if tool.function is defined %}{%- set tool = tool.function %}{%- endif %}
        {{- "\\n<function>\\n<name>" ~ tool.name ~ "</name>" }}
        {%- if tool.description is defined %}{{- '\\n<description>' ~ (tool.description | trim) ~ '</description>' }}{%- endif %}
        {%- if tool.parameters is defined and tool.parameters is mapping and tool.parameters.properties is defined and tool.parameters.properties is mapping %}
            {%- for param_name, param_fields in tool.parameters.properties|items %}
                {{- '\\n<parameter>' ~ param_name }}
                {%- set handled_keys = ['name', 'description'] %}
                {{- render_extra_keys(param_fields, handled_keys) }}
            {%- endfor %}
        {%- endif %}
        {% set handled_keys = ['type', 'properties'] %}
        {{- render_extra_keys(tool.parameters, handled_keys) }}
    {%- endfor %}
{%- endif %}
{%- for message in loop_messages %}
    {%- if message.role == "assistant" and message.tool_calls is defined and message.tool_calls is iterable and message.tool_calls | length > 0 %}
        {%- for tool_call in message.tool_calls %}
            {%- for args_name, args_value in tool_call.function.arguments|items %}
                {{- '<' + args_name + '>\\n' }}
                {%- set args_value = args_value if args_value is string else args_value | tojson %}
                {{- args_value }}
            {%- endfor %}
        {%- endfor %}
    {%- elif message.role == "tool" %}
        {%- if loop.previtem and loop.previtem.role != "tool" %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n' ~ message.content }}
        {%- if not loop.last and loop.nextitem.role != "tool" %}{{- '<|im_end|>\\n' }}{%- elif loop.last %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- else %}
        {{- message.role + message.content }}
    {%- endif %}
{%- endfor %}
"""

LLAMA = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "Today: " + date_string + "\\n" + system_message }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|h|>' + message['role'] + '\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 2 %}
            {{- raise_exception("This model only supports two tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {%- for arg_name, arg_val in tool_call.arguments | items %}
            {{- arg_name + '="' ~ arg_val ~ '"' }}
            {%- if not loop.last %}, {% endif %}
        {%- endfor %}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson(indent=4) }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
"""

ALTERNATE = """{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}
{{ message.content }}
{% endfor %}"""

# Expressions, each printed alone.
EXPRESSIONS = r"""
1 + 2 * 3 - 4 / 2
7 // 2 ~ ' ' ~ -7 // 2 ~ ' ' ~ -7 % 3 ~ ' ' ~ 7 % -3 ~ ' ' ~ 7.5 // 2 ~ ' ' ~ -7.5 % 2
2 ** 10 ~ ' ' ~ 2 ** -1 ~ ' ' ~ 2 ** 100 ~ ' ' ~ -2 ** 2 ~ ' ' ~ 2 ** 3 ** 2
1e20 ~ ' ' ~ 1e-7 ~ ' ' ~ 1.0 ~ ' ' ~ 1e15 ~ ' ' ~ 1e16 ~ ' ' ~ 123456789.123 ~ ' ' ~ 0.0001 ~ ' ' ~ 0.00001 ~ ' ' ~ 1e400 ~ ' ' ~ -0.0
(9223372036854775807 + 1, -9223372036854775807 - 3, 3037000500 * 3037000500, 9223372036854775807 // -1)
10 / 3
1 == 1.0 == true
1 < 2 < 3 and not 3 < 2 < 1
'a' 'b' "c"
'\x41\u00e9\U0001F600\101\d\'\"\n|'
0x1F ~ ' ' ~ 0b101 ~ ' ' ~ 0o17 ~ ' ' ~ 1_000 ~ ' ' ~ 1_0.5e1_0
[1, 'two', 3.0, none, true, [], {}, (), (1,), (1, 2), {'k': "it's", 2: 'q"', 3: '\'"', 4: 'tab\t\\nl\n\x00\x7f\u00ad\u200b é 😀'}]
{'a': 1}.items() ~ {'a': 1}.keys() ~ {'a': 1}.values()
missing ~ '|' ~ (missing is defined) ~ (missing == other) ~ (missing|default('d')) ~ (''|default('e', true)) ~ (0|d('f', boolean=true))
missing.attribute
missing + 1
missing()
none.attribute is defined
none.a.b
'abc'[1] ~ 'abc'[-1] ~ 'abc'[5] ~ 'abcdef'[1:4] ~ 'abcdef'[::-1] ~ 'abcdef'[::2] ~ 'abcdef'[-3:-1] ~ 'abcdef'[4:1:-1] ~ 'abc'[10:]
'a😀b'[1] ~ 'a😀b'|length ~ 'a😀b'[::-1] ~ 'a😀b'.find('b') ~ 'a😀b'[1:2]
[1, 2, 3, 4][1:] ~ [1, 2, 3][:-1] ~ (1, 2, 3)[::-1] ~ [1,2,3][::2]
'x' in 'xyz' and 'q' not in 'xyz' and 1 in [1, 2] and 'k' in {'k': 0} and 3 in range(5)
1 in 'abc'
'a' if false
'a' if false else 'b' if true else 'c'
('a' if true) ~ (missing or 'fallback') ~ (0 or [] or 'x') ~ ('' and 'y') ~ (1 and 2)
not missing
' x y '.strip() ~ '|' ~ 'xxaxx'.strip('x') ~ '|' ~ ' a '.lstrip() ~ '|' ~ ' a '.rstrip() ~ '|' ~ 'abcba'.strip('ab')
'a,b,,c'.split(',') ~ ' a  b '.split() ~ 'a,b,c'.split(',', 1) ~ 'a,b,c'.rsplit(',', 1) ~ 'a b c'.split(none, 1) ~ 'a b c'.rsplit(maxsplit=1) ~ ''.split() ~ ''.split(',')
'a\nb\r\nc\x0bd\u2028e\n'.splitlines() ~ 'a\nb'.splitlines(true)
'hello'.startswith('he') ~ 'hello'.startswith(('x', 'h')) ~ 'hello'.endswith('lo', 2) ~ 'hello'.startswith('l', 2, 3)
'aXbXc'.replace('X', '-') ~ 'aXbXc'.replace('X', '-', 1) ~ 'abc'.replace('', '.') ~ 'abc'|replace('b', 1) ~ 'aaa'|replace('a', 'b', 2)
'straße ǅ ﬁ'.upper() ~ 'ÀÉ İ ΑΣ ΑΣΑ'.lower() ~ 'hello wORLD-foo it\'s'.title() ~ 'hELLO'.capitalize() ~ 'aBc'.swapcase()
'hello wORLD-foo it\'s (a) [b] {c} <d>'|title ~ 'hELLO wo'|capitalize ~ 'ß'|title
'hello'.find('l') ~ 'hello'.rfind('l') ~ 'hello'.index('e') ~ 'hello'.count('l') ~ 'hello'.find('z') ~ 'hello'.count('')
'hello'.index('z')
','.join(['a', 'b']) ~ ','.join('abc')
','.join([1, 2])
'{} {1}'.format(1, 2)
'{} {}'.format(1, 'a') ~ '{1}{0}'.format('a', 'b') ~ '{x.y} {x[z]}'.format(x={'y': 1, 'z': 2}) ~ '{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')
'{:.2f} {:5d} {:05d} {:,} {:x} {:e} {:%} {:g} {!r} {:+}'.format(3.14159, 42, 42, 1234567, 255, 12345.678, 0.25, 1e10, 'q', 5)
'%s %d %5.2f %-5s| %05d %x %r %% %e %g' % ('a', 42, 3.14159, 'b', 42, 255, 'q', 12345.678, 0.0001)
'%(a)s-%(b)d' % {'a': 1, 'b': 2}
'%s' % [1, 2] ~ '%s %s' % (1, 2)
'%s %s' % 1
'%s, %s!' | format('Hello', 'World') ~ '%(x)s'|format(x=1)
'42'.zfill(5) ~ '-42'.zfill(5) ~ 'a'.center(4, '*') ~ 'ab'.center(5) ~ 'a'.ljust(3, '.') ~ 'a'.rjust(3)
'123'.isdigit() ~ 'a1'.isalnum() ~ 'abc'.isalpha() ~ ' '.isspace() ~ 'A'.isupper() ~ 'Ab'.islower() ~ ''.isdigit() ~ 'Ab Cd'.istitle() ~ '½'.isnumeric()
'a-b-c'.partition('-') ~ 'a-b-c'.rpartition('-') ~ 'abc'.removeprefix('a') ~ 'abc'.removesuffix('c')
[1, 2, 1].index(1) ~ [1, 2, 1].count(1) ~ {'a': 1}.get('a') ~ {'a': 1}.get('b') ~ {'a': 1}.get('b', 'z')
[1].append(2)
{'a': 1}.update({'b': 2})
{'items': 5}['items'] ~ {'get': 1}.get('get') ~ {'x': {'y': [7]}}.x.y[0] ~ {'x': {'y': [7]}}.x.y.0
''.__class__ ~ [].__init__ is defined
''.__class__.__mro__
range(5)|list ~ range(1, 10, 3)|list ~ range(5, 0, -2)|list ~ range(3) ~ range(10)[2] ~ range(0)|length
range(200000)
dict(a=1, b=2) ~ dict([('x', 1)]) ~ dict({'q': 1}, r=2)
[3, 1, 2]|sort ~ [3, 1, 2]|sort(reverse=true) ~ ['b', 'A', 'c']|sort ~ ['b', 'A', 'c']|sort(case_sensitive=true) ~ [{'a': 2}, {'a': 1}]|sort(attribute='a')
[1, 'a']|sort
[1, 2, 3]|reverse|list ~ 'abc'|reverse
[1, 2, 3]|sum ~ [{'v': 1}, {'v': 2}]|sum(attribute='v') ~ []|sum ~ [0.1, 0.2]|sum(start=1)
[1, 2, 3]|first ~ [1, 2, 3]|last ~ []|first ~ 'abc'|first ~ 'abc'|last
[1, 2, 3]|join(', ') ~ [{'n': 'a'}, {'n': 'b'}]|join('-', attribute='n') ~ [1, none]|join
[1, 2, 3]|min ~ [1, 2, 3]|max ~ ['b', 'A']|min ~ []|max ~ [{'a': 5}, {'a': 2}]|min(attribute='a')
['a', 'b']|map('upper')|list ~ [{'n': 1}, {}]|map(attribute='n', default='none')|list ~ [{'n': {'m': 1}}]|map(attribute='n.m')|join ~ [' a ']|map('trim')|join ~ ['ab']|map('replace', 'a', 'c')|list
[1, 2, 3, 4]|select('odd')|list ~ [1, 2, 3, 4]|reject('odd')|list ~ [0, 1, '']|select|list ~ [1, 2, 3]|select('gt', 1)|list ~ [1, 2]|select('in', [2])|list
[{'r': 'u', 'n': 1}, {'r': 'a'}]|selectattr('r', 'equalto', 'u')|list ~ [{'r': 'u', 'n': 1}, {'r': 'a'}]|rejectattr('n', 'defined')|list ~ [{'n': 0}, {'n': 1}]|selectattr('n')|list
[1, 2, 2, 'A', 'a']|unique|list ~ [{'k': 1}, {'k': 1}]|unique(attribute='k')|list
[1, 2, 3, 4, 5]|batch(2)|list ~ [1, 2, 3]|batch(2, 'x')|list ~ [1, 2, 3, 4, 5]|slice(2)|list ~ [1, 2, 3]|slice(2, 'x')|list
[{'t': 'b', 'n': 1}, {'t': 'a', 'n': 2}, {'t': 'b', 'n': 3}]|groupby('t')
{'b': 1, 'A': 2}|dictsort ~ {'b': 1, 'a': 2}|dictsort(by='value') ~ {'b': 1, 'a': 2}|dictsort(reverse=true) ~ {'b': 1}|items|list ~ missing|items|list
'a b c'|wordcount ~ 'x'|center(5) ~ '  t '|trim ~ 'xtx'|trim('x') ~ 'UP'|lower ~ 'up'|upper ~ 'a\nb\n\nc'|indent ~ 'a\nb'|indent(2, true) ~ 'a\n\nb'|indent('> ', blank=true)
'hello big world'|truncate(9) ~ 'hello big world'|truncate(9, true) ~ 'hello big world'|truncate(9, false, '..', 0) ~ 'short'|truncate(3)
'42'|int ~ '4.7'|int ~ 'x'|int ~ 'x'|int(7) ~ '0x1f'|int(base=16) ~ 4.9|int ~ none|int ~ ' 5 '|int ~ '1_000'|int ~ true|int ~ '1e3'|int
'4.5'|float ~ 'x'|float ~ 'x'|float(1.5) ~ 3|float ~ 'inf'|float ~ 'nan'|float ~ '1e5'|float
4.5|round ~ 5.5|round ~ 2.675|round(2) ~ 42.55|round(1, 'floor') ~ 42.51|round(1, 'ceil') ~ 5|round ~ 1234|round(-2) ~ 0.5|round|int
-3|abs ~ -3.5|abs ~ true|abs ~ (3)|string ~ [1]|string ~ 'abc'|list ~ {'a': 1}|list ~ 'abc'|length ~ {'a': 1}|count
5|length
1 is number ~ 1 is integer ~ 1.0 is float ~ true is integer ~ true is number ~ true is boolean ~ 's' is string ~ {} is mapping ~ [] is sequence ~ [] is iterable ~ 5 is iterable ~ none is none ~ 's' is sequence ~ {} is sequence
2 is even ~ 3 is odd ~ 9 is divisibleby 3 ~ 9 is divisibleby(2) ~ 1 is eq 1 ~ 1 is ne(2) ~ 1 is lt 2 ~ 2 is ge 2 ~ 1 is in [1] ~ range is callable ~ 'a' is lower ~ 'A' is upper ~ none is sameas none ~ 'upper' is filter ~ 'odd' is test
(1 is not none, not 1 is none, 1 is string or 2 is number)
x is defined and x.y is not defined
{'a': 1.0, 'b': [1e20, 1e-7, 12345678901234567890], 'c': 'é"\\\n\t\b\f\x01\x7f😀/', 'd': none, 'e': true, 'f': {}, 'g': [], 1: 2, none: 3, true: 4, 1.5: 5}|tojson
{'a': [1, {'b': 2}], 'c': [], 'd': {}}|tojson(indent=2)
{'b': 1, 'a': [1, 2]}|tojson(sort_keys=true) ~ {'a': [1, 2]}|tojson(separators=(',', ':')) ~ 'é'|tojson(ensure_ascii=true) ~ (1, 2)|tojson ~ [1]|tojson(indent='\t')
missing|tojson
range|tojson
('nan'|float)|tojson ~ ('inf'|float)|tojson ~ (-1e400)|tojson
'<a href="x">\'&'|e ~ '<b>'|safe ~ ('<b>'|e)|length
'<' + ('<b>'|safe) + '>' ~ '<'
'a b/c?d=é'|urlencode ~ {'a b': 1, 'c': '&'}|urlencode
1234|filesizeformat ~ 1|filesizeformat ~ 1500000|filesizeformat(true)
[[1, 2], [3]]|map('first')|list ~ [[1, 2], [3]]|map('length')|list ~ ['1', '2']|map('int')|sum
('a' * 3, 3 * 'a', [1] * 2, 'a' * -1, (1,) * 2, true + true)
'a' + 1
1 + 'a'
([1] + [2], (1,) + (2,), [] + [])
[1] + (2,)
([1, 2] < [1, 3], 'a' < 'b', (1, 2) >= (1,), 'Z' < 'a', '😀' > '\uffff')
1 < 'a'
({'a': 1} == {'a': 1.0}, [1, [2]] == [1, [2]], (1,) == [1], 'a' == 'a', none == false, 0 == false)
{[]: 1}
{1: 'a', true: 'b', 1.0: 'c'}
1 / 0
1 % 0
true and 'x' ~ 'y'
namespace(a=1).a ~ namespace(a=1).b
cycler('a', 'b').next() ~ joiner('|')()
strftime_now('%Y-%m-%d %H:%M:%S %A %b %j %-d %p %%')
raise_exception('no')
'%d' % 3.99 ~ '%s' % none ~ '%c' % 65 ~ '%5s|%-5s|' % ('a', 'b') ~ '%+d % d' % (1, 2) ~ '%.3s' % 'abcdef' ~ '%o' % 8 ~ '%X' % 255 ~ '%#x' % 255
'abc' is string and 'abc'.upper is callable
(1, 2)|last ~ ((1, 2)) ~ (1) ~ ()
1 if 2 is even else 3
[1,2,3][true] ~ [1,2,3][-3] ~ [1,2,3][3] is defined ~ {'a':1}['b'] is defined ~ [1][1.0] is defined
'a'['upper']() ~ {'a': 1}['keys']()|list
[none, true, 1]|string
'a'.join(['x', 'y'])|upper ~ ('a' ~ 'b')|upper ~ 'a' ~ 'b'|upper
(-1|abs, -1.5|round|int, 2 - -2, - 3, +3)
12345678901234567890123 // 7 ~ ' ' ~ 12345678901234567890123 % 7 ~ ' ' ~ -12345678901234567890123 // 7 ~ ' ' ~ 12345678901234567890123 / 7
1e308 * 10 ~ ' ' ~ (1e308 * 10 - 1e308 * 10) ~ ' ' ~ 0.1 + 0.2 ~ ' ' ~ 100.0 ~ ' ' ~ 1e22 ~ ' ' ~ 5e-324 ~ ' ' ~ 1.7976931348623157e308
"""

STATEMENTS = {
    "trim and lstrip blocks": "  {% if true %}\n  a\n  {% endif %}\n b {% if true %} c {% endif %} \n{% if true %}\n\nd\n{% endif %}\n\n",
    "minus strips": "a \n {%- if true -%} \n b \n {%- endif -%} \n c {{- 1 -}} d {#- note -#} e",
    "plus keeps": "  {%+ if true %}\nx\n  {%+ endif +%}\ny {#+ c +#}\nz",
    "comments": "a{# one #}\n  {# two\n lines #}\nb {# {{ x }} {% if %} #} c",
    "raw": "{% raw %}{{ x }} {% if %}{% endraw %}\nb {%- raw -%}  {{ y }}  {%- endraw -%}  c\n  {% raw %}\n  r\n  {% endraw %}\nz",
    "crlf": "a\r\n{% if true %}\r\nb\r{% endif %}\r\nc\r\n",
    "trailing newlines": "a\n\n",
    "one newline": "\n",
    "empty": "",
    "white space only": "  \n  {% if true %}  \n  {% endif %}  ",
    "unicode space": "a\u00a0\u2003{%- if true %}x{% endif -%}\u3000b\n\u00a0{% if true %}y{% endif %}",
    "braces in text": "{ } {a} { {x} } %} }} #} {",
    "nested dict in print": "{{ {'a': {'b': 1}} }}{{ {'a':{'b':2}}['a']['b']}}",
    "string with delimiters": "{{ '}}' }}{{ '%}' }}{% set x = '{% x %}' %}{{ x }}{{ \"{{\" }}",
    "for": "{% for x in [1, 2, 3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('a', 'b') }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}",
    "for else": "{% for x in [] %}{{ x }}{% else %}none{% endfor %}{% for x in [1] %}{{ x }}{% else %}none{% endfor %}",
    "for filter": "{% for x in range(10) if x is odd %}{{ x }}{{ loop.last }}{{ loop.index }} {% endfor %}{% for x in [1] if x > 1 %}x{% else %}e{% endfor %}{% for x in range(5) if x > 2 %}{{ loop.length }}{% endfor %}",
    "for unpack": "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }},{% endfor %}{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% for a, b in ['xy', 'zw'] %}{{ b }}{{ a }}{% endfor %}",
    "for unpack wrong": "{% for a, b in [(1, 2, 3)] %}{% endfor %}",
    "for over text, dict and undefined": "{% for c in 'a😀' %}[{{ c }}]{% endfor %}{% for k in {'x': 1} %}{{ k }}{% endfor %}{% for z in nothing %}{{ z }}{% endfor %}",
    "for over none": "{% for z in none %}{{ z }}{% endfor %}",
    "for recursive": "{% for n in [{'v': 1, 'c': [{'v': 2, 'c': [{'v': 3, 'c': []}]}]}, {'v': 4, 'c': []}] recursive %}{{ loop.depth }}:{{ n.v }}{% if n.c %}({{ loop(n.c) }}){% endif %}{% endfor %}",
    "for changed": "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }}{% endfor %}",
    "break and continue": "{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "nested loops": "{% for a in 'xy' %}{% set o = loop %}{% for b in 'pq' %}{{ o.index }}{{ loop.index }}{{ a }}{{ b }} {% endfor %}{{ loop.index }}{% endfor %}",
    "loop scope": "{% set x = 0 %}{% for i in [1, 2, 3] %}{{ x }}{% set x = i %}{{ x }},{% endfor %}{{ x }}{% for i in [9] %}{% endfor %}{{ i }}",
    "if scope": "{% if true %}{% set x = 1 %}{% endif %}{{ x }}{% if false %}{% set y = 1 %}{% endif %}{{ y }}",
    "elif": "{% for i in range(4) %}{% if i == 0 %}zero{% elif i == 1 %}one{% elif i == 2 %}two{% else %}many{% endif %}{% endfor %}",
    "set forms": "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = a, b %}{{ c }}{% set d = (3) %}{{ d }}{% set (e, f) = [5, 6] %}{{ e }}{{ f }}",
    "set block": "{% set x %}a{{ 1 }}b{% endset %}[{{ x }}]{% set y | upper | replace('B', '_') %}abc{% endset %}{{ y }}{% set z %}{% set inner = 1 %}{% endset %}{{ inner is defined }}",
    "namespace": "{% set ns = namespace(n=0, found=false) %}{% for i in range(5) %}{% set ns.n = ns.n + i %}{% if i == 3 %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.n }}{{ ns.found }}{{ ns.missing is defined }}{% set ns.new %}block{% endset %}{{ ns.new }}",
    "namespace from dict": "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{{ ns['a'] is defined }}",
    "set on a dict": "{% set d = {} %}{% set d.x = 1 %}",
    "macro": "{% macro m(a, b=2, c=b) %}[{{ a }},{{ b }},{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m() }}{{ m.name }}{{ m.arguments }}",
    "macro varargs": "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}{{ m(*[1, 2], **{'z': 3}) }}",
    "macro too many": "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "macro unknown keyword": "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
    "macro recursion": "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "macro closure": "{% set x = 1 %}{% macro m() %}{{ x }}{% set x = 5 %}{{ x }}{% endmacro %}{{ m() }}{% set x = 2 %}{{ m() }}{{ x }}",
    "macro white space": "{% macro m() %}\n  a\n{% endmacro %}\n[{{ m() }}]\n{%- macro n() -%}\n  b\n{%- endmacro -%}\n[{{ n() }}]",
    "call block": "{% macro wrap(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call wrap('b') %}in {{ 1 + 1 }}{% endcall %}",
    "call with arguments": "{% macro each(items) %}{% for i in items %}{{ caller(i, loop.index) }};{% endfor %}{% endmacro %}{% call(x, n=0) each([7, 8]) %}{{ x }}@{{ n }}{% endcall %}",
    "filter block": "{% filter upper | replace('B', '!') %}abc {{ 'd' }}{% endfilter %}",
    "with": "{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}{{ b is defined }}{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}",
    "block": "a{% block body %}b{{ 1 }}{% endblock %}c{% block other %}d{% endblock other %}",
    "generation": "{% for m in ['x', 'y'] %}{% generation %}\n<{{ m }}>{% endgeneration %}\n{% endfor %}",
    "include": "{% include 'x' %}",
    "import": "{% import 'x' as y %}",
    "unknown tag": "{% do x %}",
    "unknown filter in a branch not taken": "{% if false %}{{ x|nothing }}{{ x is nothing }}{% endif %}y",
    "unknown filter": "{{ x|nothing }}",
    "unknown test": "{{ x is nothing }}",
    "unclosed": "{% if x %}",
    "unclosed print": "{{ x",
    "unclosed comment": "{# x",
    "stray end": "{% endif %}",
    "print statement": "{% print 1 + 1 %}",
    "lookahead does not lose items": "{% for x in [1, 2, 3]|map('string') %}{{ loop.last }}{{ x }}{{ loop.nextitem }}{% endfor %}",
    "iterator is used up": "{% set m = [1, 2]|map('string') %}{{ m|list }}{{ m|list }}",
    "loop filter sees the namespace": "{% set ns = namespace(stop=false) %}{% for x in [1, 2, 3] if not ns.stop %}{{ x }}{% if x == 2 %}{% set ns.stop = true %}{% endif %}{% endfor %}",
    "data beside tags": "x{% if true %}y{% endif %}z\n{% set a = 1 %}\n{{ a }}\n{{ a }}\n",
    "loop in parentheses": "{% for x in ([1, 2]) %}{{ x }}{% endfor %}{% for x in 1, 2 %}{{ x }}{% endfor %}{% for x in (1 if true else 2,) %}{{ x }}{% endfor %}",
    "inline for condition": "{% for x in [1, 2] if x == 1 or x == 2 recursive %}{{ x }}{% endfor %}",
    "global shadowed": "{% set range = 5 %}{{ range }}",
    "line in string": "{{ 'a\nb' }}{{ \"c\n\nd\" }}",
}

CASES = [
    ("hermes", HERMES, CHAT),
    ("hermes without tools", HERMES, {**CHAT, "tools": [], "add_generation_prompt": False}),
    ("thinking", THINKING, CHAT),
    ("thinking off", THINKING, {**CHAT, "enable_thinking": False}),
    ("thinking, history", THINKING, {"messages": MESSAGES[1:6]}),
    ("coder", CODER, CHAT),
    ("coder without tools", CODER, {"messages": MESSAGES[1:2]}),
    ("llama", LLAMA, CHAT),
    ("llama raises", LLAMA, {"messages": [{"role": "assistant", "tool_calls": []}], "bos_token": ""}),
    ("alternate", ALTERNATE, {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}),
    ("alternate raises", ALTERNATE, {"messages": [{"role": "assistant", "content": "b"}]}),
]
CASES += [("expression: " + e, "{{ " + e + " }}", {"x": {}}) for e in EXPRESSIONS.strip().splitlines()]
CASES += [("statement: " + n, t, {}) for n, t in STATEMENTS.items()]
