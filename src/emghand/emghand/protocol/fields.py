"""Numeric fields of messages by path: `data`, `position[2]`, `position[index_flex]`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from emghand.errors import UserError

NAME_LISTS = ("name", "names", "channels", "dofs")
"""Fields beside an array that may name its elements."""

Reading = float | UserError
"""What is read from a message: a number, or why there is none."""

_PART = re.compile(r"([A-Za-z]\w*)(?:\[([^\[\]]+)\])?")


class Field:
    """Reads one number from messages.

    Parameters
    ----------
    path : str
        Names joined by dots; an element of an array by its number, or by its name where the message
        has a list of names beside it (`JointState.name`, `PortState.channels`).

    Raises
    ------
    UserError
        When it is no such path.
    """

    def __init__(self, path: str) -> None:
        if not isinstance(path, str):
            raise UserError(f"field: expected a text, got {path!r}")
        self.path = path
        self._parts: list[tuple[str, str | None]] = []
        for text in path.split("."):
            match = _PART.fullmatch(text.strip())
            if match is None:
                raise UserError(
                    f"field {path!r}: write names joined by dots, elements as name[0] or "
                    "name[index_flex]"
                )
            self._parts.append((match[1], match[2]))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the path, without elements."""
        return tuple(name for name, _ in self._parts)

    def value(self, message: Any) -> float:
        """The number in a message, which may be an object or nested mappings.

        Raises
        ------
        UserError
            When the message does not have it, or it is no number.
        """
        for name, element in self._parts:
            parent, message = message, _get(message, name)
            if message is not None and element is not None:
                message = _element(parent, message, element)
            if message is None:
                raise UserError(f"field {self.path}: the message has no such field")
        try:
            return float(message)
        except (TypeError, ValueError):
            raise UserError(f"field {self.path}: is not a number") from None

    def read(self, message: Any) -> Reading:
        """The number in a message, or why there is none."""
        try:
            return self.value(message)
        except UserError as error:
            return error


def _get(message: Any, name: str) -> Any:
    return message.get(name) if isinstance(message, Mapping) else getattr(message, name, None)


def _element(parent: Any, values: Any, element: str) -> Any:
    if isinstance(values, Mapping):
        return values.get(element)
    if element.isdigit():
        return values[int(element)] if int(element) < len(values) else None
    for name in NAME_LISTS:
        names = _get(parent, name)
        if isinstance(names, Sequence) and element in names:
            index = list(names).index(element)
            return values[index] if index < len(values) else None
    return None
