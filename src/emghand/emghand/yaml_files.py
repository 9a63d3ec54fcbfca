"""The one reader of YAML from users: bounded in size, in depth and in what it expands to.

A few nested aliases ("billion laughs"), or a merge of them, stand for more values than any memory
holds, and whoever walks the document walks all of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from emghand.errors import UserError, one_line

MOST_BYTES = 1 << 20
MOST_VALUES = 100_000
"""Every key and value counts as often as aliases repeat it."""
MOST_DEPTH = 64
MOST_DIGITS = 100
"""Characters of a number: the time to read one grows with the square of its length."""

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _TooMuch(yaml.YAMLError):
    """The document passes one of the limits."""


class _BoundedLoader(yaml.SafeLoader):
    """`yaml.SafeLoader` that counts while it composes, before a single value is made."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._written = 0
        self._sizes: dict[int, int] = {}
        """Values in each node that is complete, by identity; the tree keeps them alive."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node; the name is that of PyYAML."""
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise _TooMuch(f"more than {MOST_DEPTH} levels inside each other")
        # At once, not only at the end of a list: to compose takes its time.
        self._written += 1
        _check_count(self._written)
        is_alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias and id(node) not in self._sizes:
            raise _TooMuch("an alias contains itself")
        if node is not None and not is_alias:
            self._sizes[id(node)] = self._size(node)
        return node

    def _size(self, node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            if node.tag in _NUMBERS and len(node.value) > MOST_DIGITS:
                raise _TooMuch(f"a number of more than {MOST_DIGITS} characters")
            return 1
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        else:
            children = node.value
        size = 1 + sum(self._sizes[id(child)] for child in children)
        _check_count(size)
        return size


_QUICK: Any = getattr(yaml, "CSafeLoader", _BoundedLoader)


def _check_count(values: int) -> None:
    if values > MOST_VALUES:
        raise _TooMuch(f"more than {MOST_VALUES} values, those of aliases counted in full")


def parse_yaml(text: str, *, quick: bool = False) -> Any:
    """Value of a YAML text; None when it is empty.

    Parameters
    ----------
    text : str
    quick : bool
        For files that programs wrote: a text without aliases, of which nothing expands, goes
        through libyaml, ten times as fast. What it holds may then be 1000 levels deep.

    Raises
    ------
    UserError
        When it is not YAML, or passes a limit of this module.
    """
    try:
        plain = quick and "&" not in text and "*" not in text
        loader = _QUICK(text) if plain else _BoundedLoader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise UserError(one_line(error)) from error
    # PyYAML lets these through: "!!int x", "!!bool x", "!!timestamp x", 2001-99-99.
    except (ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise UserError(f"a value is not of its kind: {one_line(error)}") from error


def read_yaml(
    path: str | Path, what: str = "", *, most_bytes: int = MOST_BYTES, quick: bool = False
) -> Any:
    """Content of a YAML file in UTF-8; None when it is empty.

    Parameters
    ----------
    path : path
    what : str
        What the file is meant to be, for the message: ``task``. Without it the message does not
        name the file.
    most_bytes : int
    quick : bool
        As of `parse_yaml`.

    Raises
    ------
    UserError
        When it cannot be read, is not YAML, or passes a limit: "task PATH: cannot be read: ...".
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(most_bytes + 1)
        if len(data) > most_bytes:
            raise UserError(f"is larger than {most_bytes} bytes")
        return parse_yaml(data.decode("utf-8"), quick=quick)
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError as error:  # of `parse_yaml`, of a NUL in the path, of another encoding
        reason = one_line(error)
    raise UserError(
        f"{what} {path}: cannot be read: {reason}" if what else f"cannot be read: {reason}"
    )
