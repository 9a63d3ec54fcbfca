"""`$(...)` substitutions of launch files."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from emghand.launchfile.context import Context, LaunchError, find_prefix
from emghand.launchfile.expression import evaluate_expression

TRUE = ("true", "1")
FALSE = ("false", "0")
_NAME = re.compile(r"[\w-]*")


@dataclass(frozen=True)
class Call:
    """One ``$(name argument ...)``; arguments are templates."""

    name: str
    arguments: tuple[Template, ...]


Template = tuple["str | Call", ...]
"""Text and substitutions in turn."""


class _Reader:
    """Recursive descent over the grammar of `launch`'s substitutions."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(self, what: str) -> LaunchError:
        return LaunchError(f"{self.text!r}: {what}")

    def template(self, stops: str) -> Template:
        """Up to one of the characters `stops`, which is not consumed."""
        parts: list[str | Call] = []
        text: list[str] = []
        while self.at < len(self.text) and self.text[self.at] not in stops:
            if self.text.startswith("$(", self.at):
                if text:
                    parts.append("".join(text))
                    text = []
                parts.append(self.call())
                continue
            if self.text[self.at] == "\\" and self.at + 1 < len(self.text):
                self.at += 1
            text.append(self.text[self.at])
            self.at += 1
        if text:
            parts.append("".join(text))
        return tuple(parts)

    def call(self) -> Call:
        """From ``$(`` to the matching ``)``."""
        self.at += 2
        start = self.at
        while self.at < len(self.text) and (
            self.text[self.at].isalnum() or self.text[self.at] in "_-"
        ):
            self.at += 1
        name = self.text[start : self.at]
        arguments: list[Template] = []
        while self.at < len(self.text) and self.text[self.at] == " ":
            self.at += 1
            arguments.append(self.argument())
        if not name or self.at >= len(self.text) or self.text[self.at] != ")":
            raise self.fail("a $( is not closed, or holds something unexpected")
        self.at += 1
        _check_call(name, len(arguments))
        return Call(name, tuple(arguments))

    def argument(self) -> Template:
        quote = self.text[self.at] if self.at < len(self.text) else ""
        if quote in ("'", '"') and quote:
            self.at += 1
            value = self.template(quote)
            if self.at >= len(self.text):
                raise self.fail("a quote is not closed")
            self.at += 1
            return value
        value = self.template(" )('\"")
        if not value:
            raise self.fail("an argument is empty or starts with something unexpected")
        return value


def parse_template(text: str) -> Template:
    """Split a text into plain parts and substitutions.

    Raises
    ------
    LaunchError
        For broken syntax, or a substitution that is not in the subset.
    """
    return _Reader(text).template("")


def perform(template: Template, context: Context) -> str:
    """Text of a template.

    Raises
    ------
    LaunchError
        When something it refers to is not there.
    """
    return "".join(p if isinstance(p, str) else _perform_call(p, context) for p in template)


def to_text(template: Template) -> str:
    """A template as it is written."""
    return "".join(
        part
        if isinstance(part, str)
        else f"$({' '.join([part.name, *map(to_text, part.arguments)])})"
        for part in template
    )


def is_true(text: str, where: str) -> bool:
    """Truth of a condition: true, 1, false or 0 in any case.

    Raises
    ------
    LaunchError
        For anything else.
    """
    word = text.strip().lower()
    if word not in TRUE + FALSE:
        raise LaunchError(f"{where}: expected true or false, got {text!r}")
    return word in TRUE


def _var(context: Context, name: str, default: str | None = None) -> str:
    value = context.variables.get(name, default)
    if value is None:
        raise LaunchError(f"$(var {name}): no such argument or variable")
    return value


def _env(context: Context, name: str, default: str | None = None) -> str:
    value = context.environment.get(name, default)
    if value is None:
        raise LaunchError(f"$(env {name}): is not set in the environment")
    return value


def _equals(context: Context, left: str, right: str) -> str:
    words = (left.lower(), right.lower())
    if all(word in TRUE + FALSE for word in words):
        return _text((words[0] in TRUE) == (words[1] in TRUE))
    try:
        return _text(math.isclose(float(left), float(right)))
    except ValueError:
        return _text(left == right)


def _truths(name: str, values: tuple[str, ...]) -> list[bool]:
    return [is_true(v, f"$({name})") for v in values]


def _text(value: bool) -> str:
    return "true" if value else "false"


_CALLS: dict[str, tuple[int, int, Callable[..., str]]] = {
    "var": (1, 2, _var),
    "env": (1, 2, _env),
    "dirname": (0, 0, lambda c: str(c.file.parent)),
    "filename": (0, 0, lambda c: str(c.file)),
    "find-pkg-prefix": (1, 1, lambda c, p: str(find_prefix(p, c.environment))),
    "find-pkg-share": (1, 1, lambda c, p: str(find_prefix(p, c.environment) / "share" / p)),
    "eval": (1, 1, lambda c, text: evaluate_expression(text)),
    "equals": (2, 2, _equals),
    "not-equals": (2, 2, lambda c, a, b: _text(_equals(c, a, b) == "false")),
    "not": (1, 1, lambda c, a: _text(not _truths("not", (a,))[0])),
    "and": (2, 2, lambda c, *v: _text(all(_truths("and", v)))),
    "or": (2, 2, lambda c, *v: _text(any(_truths("or", v)))),
}


def _check_call(name: str, count: int) -> None:
    if name not in _CALLS:
        raise LaunchError(
            f"$({name}) is not known here, known are {', '.join(_CALLS)}; use: ros2 launch"
        )
    least, most, _ = _CALLS[name]
    if not least <= count <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise LaunchError(f"$({name}): takes {wanted} arguments, got {count}; quote spaces")


def _perform_call(call: Call, context: Context) -> str:
    # The name of a variable may be followed by a default, which is only evaluated when needed.
    arguments = list(call.arguments)
    if call.name == "var" and len(arguments) == 2:
        name = perform(arguments[0], context)
        if name in context.variables:
            return context.variables[name]
    return _CALLS[call.name][2](context, *(perform(a, context) for a in arguments))
