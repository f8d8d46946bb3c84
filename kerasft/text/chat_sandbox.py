"""The sandbox that chat templates run in: Jinja's own, in which no operation makes a text of any length besides.

Time is not bounded.
"""

from __future__ import annotations

import functools
import json
import re
from types import GeneratorType
from typing import Any

from jinja2.compiler import CodeGenerator
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_MADE = 1 << 27
"""Characters, or items, of what one operation makes."""
_MAX_REPEATED = 1 << 20
"""The same, of a text that is repeated."""
_MAX_INDENT = 100
_METHODS = (
    "center",
    "expandtabs",
    "format",
    "format_map",
    "join",
    "ljust",
    "replace",
    "rjust",
    "translate",
    "zfill",
)
_FILTERS = ("indent", "join", "replace")
"""What may make a text much longer than those that it is given."""
_LEFT_OUT = (
    "center",
    "filesizeformat",
    "format",
    "pprint",
    "random",
    "truncate",
    "urlize",
    "wordwrap",
    "xmlattr",
)
"""Filters of Jinja that no conversation needs."""
_WIDTH = re.compile(r"\d{5}")


class RefusedConversation(Exception):
    """The template calls `raise_exception`."""


def build_environment() -> Any:
    """As Hugging Face's libraries set it up, without the time.

    Source: `transformers.utils.chat_template_utils`.
    """
    environment = _Environment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"], autoescape=False
    )
    environment.globals["raise_exception"] = _refuse
    environment.filters["tojson"] = _write_json
    for name in _LEFT_OUT:
        del environment.filters[name]
    for name in _FILTERS:
        environment.filters[name] = _bound(environment.filters[name])
    return environment


class _Generator(CodeGenerator):
    def visit_Concat(self, node: Any, frame: Any) -> None:
        """`a ~ b`, by `_Environment.join_texts`."""
        self.write("environment.join_texts((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(["*", "**", "+", "%"])
    code_generator_class = _Generator

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        sizes = [len(side) for side in (left, right) if isinstance(side, str | list | tuple)]
        counts = [abs(side) for side in (left, right) if isinstance(side, int | float)]
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise SecurityError(f"it computes with {operator}")
        if operator == "*" and sizes and max(counts, default=0) * sizes[0] > _MAX_REPEATED:
            raise SecurityError("it computes with numbers that are too large")
        _check(sum(sizes))
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        method = getattr(__obj, "__wrapped__", __obj)  # as Jinja's sandbox wraps `format`
        text, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(text, str) and name in _METHODS:
            if name.startswith("format") and _WIDTH.search(text):
                raise SecurityError("it computes with numbers that are too large")
            args = tuple(list(each) if isinstance(each, GeneratorType) else each for each in args)
            _check((len(text) + 1) * max(map(_measure, [*args, *kwargs.values()]), default=1))
        return super().call(__context, __obj, *args, **kwargs)

    def join_texts(self, parts: tuple[Any, ...]) -> str:
        """`a ~ b`."""
        texts = [str(part) for part in parts]
        _check(sum(map(len, texts)))
        return "".join(texts)


def _bound(function: Any) -> Any:
    """A filter that refuses to make too long a text."""

    @functools.wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        args = tuple(list(each) if isinstance(each, GeneratorType) else each for each in args)
        given = [
            each for each in (*args, *kwargs.values()) if isinstance(each, int | float | str | list | tuple)
        ]
        size, *others = map(_measure, given)
        _check((size + 1) * max(others, default=1))
        return function(*args, **kwargs)

    return bounded


def _check(size: float) -> None:
    if size > MAX_MADE:
        raise SecurityError("it makes a text that is too long")


def _measure(value: Any) -> float:
    """Characters of a text, or of all texts of a list; or a number."""
    if isinstance(value, int | float):
        return abs(value)
    if isinstance(value, list | tuple | dict):
        parts = value.values() if isinstance(value, dict) else value
        return len(value) + sum(map(_measure, parts))
    return len(value) if isinstance(value, str) else 1


def _refuse(message: Any) -> None:
    raise RefusedConversation(str(message))


def _write_json(value: Any, **settings: Any) -> str:
    indent = settings.get("indent") or 0
    if (len(indent) if isinstance(indent, str) else indent) > _MAX_INDENT:
        raise SecurityError("it indents by too much")
    return json.dumps(value, ensure_ascii=False, **settings)
