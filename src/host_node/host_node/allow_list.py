"""What may be created on a host: kinds of nodes, and what a caller may choose about them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emghand.errors import UserError, one_line
from emghand.yaml_files import read_yaml

TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
}
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
LONGEST_ARGUMENTS = 10_000
LARGEST = 2**63 - 1
"""Of a parameter of type int; and nothing that a float is needed for is larger."""


@dataclass(frozen=True)
class Argument:
    """A parameter that the caller may choose.

    Parameters
    ----------
    type : str
        ``bool``, ``int``, ``float`` or ``str``; a text needs choices, so that no path and no
        command ever comes from outside.
    low, high : float
        Inclusive range of a number.
    choices : tuple
        Allowed values; empty: all.
    """

    type: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[Any, ...] = ()

    def check(self, where: str, value: Any) -> Any:
        """The value, converted.

        Raises
        ------
        UserError
            When it is not allowed.
        """
        is_bool = isinstance(value, bool)
        if is_bool != (self.type == "bool") or not isinstance(value, TYPES[self.type]):
            raise UserError(f"{where}: expected {self.type}, got {value!r}")
        if self.choices and value not in self.choices:
            known = ", ".join(str(c) for c in self.choices)
            raise UserError(f"{where}: {value!r} is not allowed, choose from: {known}")
        if self.type in ("int", "float"):
            # First, since some of JSON's numbers are none of a computer's.
            if not -LARGEST <= value <= LARGEST:
                raise UserError(f"{where}: is no number that a parameter can have")
            if not self.low <= value <= self.high:
                raise UserError(f"{where}: {value!r} is not between {self.low:g} and {self.high:g}")
        return float(value) if self.type == "float" else value


@dataclass(frozen=True)
class Kind:
    """A node that may be created.

    Parameters
    ----------
    package, executable : str
        As for ``ros2 run``.
    parameters : mapping
        ROS parameters that it always gets.
    arguments : mapping of str to Argument
        ROS parameters that the caller may choose.
    text : str
    """

    package: str
    executable: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    text: str = ""

    def resolve(self, arguments: str) -> dict[str, Any]:
        """All parameters of the node.

        Parameters
        ----------
        arguments : str
            What the caller chooses, a JSON mapping; empty: nothing.

        Raises
        ------
        UserError
            For anything that is not allowed.
        """
        if len(arguments) > LONGEST_ARGUMENTS:
            raise UserError(f"arguments: longer than {LONGEST_ARGUMENTS} characters")
        try:
            chosen = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError) as error:
            raise UserError(f"arguments: not JSON: {one_line(error)}") from error
        if not isinstance(chosen, dict):
            raise UserError("arguments: expected a JSON mapping of names to values")
        for name in chosen:
            if name not in self.arguments:
                known = ", ".join(self.arguments) or "none"
                raise UserError(f"arguments: {name!r} cannot be chosen, only: {known}")
        checked = {n: self.arguments[n].check(f"arguments: {n}", v) for n, v in chosen.items()}
        return {**self.parameters, **checked}


def check_name(name: str) -> str:
    """A name of a node.

    Raises
    ------
    UserError
        When it is none.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"name {name!r}: expected a small letter, then up to 39 of a-z, 0-9 and _")
    return name


def load_allow_list(path: str | Path) -> dict[str, Kind]:
    """Kinds by name, from a YAML file.

    Raises
    ------
    UserError
        Names the file and what is wrong with it.
    """
    document = read_yaml(path, "allow-list")
    where = f"allow-list {path}"
    _check_keys(where, document, {"kinds"}, {"kinds"})
    kinds = document["kinds"] or {}
    if not isinstance(kinds, dict):
        raise UserError(f"{where}: kinds: expected a mapping of names to kinds")
    for name in kinds:
        if not NAME.fullmatch(str(name)):
            raise UserError(f"{where}: kind {name!r}: expected a small letter, then a-z, 0-9, _")
    return {str(name): _kind(f"{where}: {name}", item) for name, item in kinds.items()}


def _kind(where: str, item: Any) -> Kind:
    known = {"package", "executable", "parameters", "arguments", "text"}
    _check_keys(where, item, known, {"package", "executable"})
    for key in ("package", "executable"):
        # The path of the program is joined from these: no separators, no parent folders.
        if not isinstance(item[key], str) or not PROGRAM.fullmatch(item[key]):
            raise UserError(f"{where}: {key}: expected a plain name, got {item[key]!r}")
    parameters, arguments = item.get("parameters") or {}, item.get("arguments") or {}
    for key, value in (("parameters", parameters), ("arguments", arguments)):
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            raise UserError(f"{where}: {key}: expected a mapping")
    return Kind(
        item["package"],
        item["executable"],
        parameters,
        {name: _argument(f"{where}: {name}", value) for name, value in arguments.items()},
        str(item.get("text", "")),
    )


def _argument(where: str, item: Any) -> Argument:
    _check_keys(where, item, {"type", "low", "high", "choices"}, {"type"})
    if not isinstance(item["type"], str) or item["type"] not in TYPES:
        raise UserError(f"{where}: type: {item['type']!r}, choose from: {', '.join(TYPES)}")
    limits = {}
    for key in ("low", "high"):
        if key in item:
            value = item[key]
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise UserError(f"{where}: {key}: expected a number, got {value!r}")
            limits[key] = float(value)
    choices = item.get("choices", [])
    if not isinstance(choices, list):
        raise UserError(f"{where}: choices: expected a list")
    if item["type"] == "str" and not choices:
        raise UserError(f"{where}: a text needs choices")
    return Argument(item["type"], choices=tuple(choices), **limits)


def _check_keys(where: str, item: Any, known: set[str], needed: set[str]) -> None:
    if not isinstance(item, dict):
        raise UserError(f"{where}: expected a mapping")
    for key in item:
        if key not in known:
            raise UserError(f"{where}: {key!r} is unknown, choose from: {', '.join(sorted(known))}")
    if missing := needed - item.keys():
        raise UserError(f"{where}: {', '.join(sorted(missing))} missing")
