"""Renders chat templates with Jinja2, configured as transformers configures it.

  make_template_vectors.py            writes template_vectors.json beside this file from the cases in template_cases.py
  make_template_vectors.py --serve    answers requests on standard input, one JSON a line: {"template": ..., "variables": {...}}
                                      with {"text": ...} or {"error": ...}

Needs Jinja2 3.1 (Debian: python3-jinja2) and nothing else.
"""

import datetime
import json
import os
import sys
import warnings

import jinja2
import jinja2.ext
import jinja2.sandbox
from jinja2 import nodes

# Templates of the fuzz test compare and index what they like; Python's remarks on that are no news.
warnings.simplefilter("ignore")


class Generation(jinja2.ext.Extension):
    """{% generation %}: marks the assistant's text in training; renders its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(format):
        return datetime.datetime(2025, 3, 7, 14, 5, 9).strftime(format)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


def render(env, template, variables):
    try:
        return {"text": env.from_string(template).render(**variables)}
    except Exception as error:  # every failure counts as the same answer: there is no text
        return {"error": f"{type(error).__name__}: {error}"}


def serve():
    env = environment()
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(render(env, request["template"], request["variables"])), flush=True)


def write_vectors():
    from template_cases import CASES

    env = environment()
    vectors = []
    for name, template, variables in CASES:
        vectors.append({"name": name, "template": template, "variables": variables, **render(env, template, variables)})
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "template_vectors.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(vectors, file, indent=1, ensure_ascii=True)
        file.write("\n")
    print(f"{len(vectors)} vectors, {sum('error' in v for v in vectors)} of them errors")


if __name__ == "__main__":
    serve() if "--serve" in sys.argv else write_vectors()
