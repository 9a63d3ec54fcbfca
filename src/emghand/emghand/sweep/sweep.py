"""What a sweep is, and how one is read from a file."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from emghand.errors import UserError
from emghand.sweep.task import Task
from emghand.yaml_files import read_yaml

Row = dict[str, Any]

KINDS = {
    "crossval": "emghand.sweep.crossval:CrossvalSweep",
    "actions": "emghand.actions.sweep:ActionSweep",
    "users": "emghand.simulate.ensemble:UserSweep",
}
"""Class of each kind of sweep; it has ``from_document(document, folder)`` beside what `Sweep`
says."""

MOST_SUBJECTS = 10_000
"""Simulated people of one sweep."""


class Sweep(Protocol):
    """A list of tasks, and a table made of their results."""

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        ...

    def plain(self) -> dict[str, Any]:
        """All settings as plain values."""
        ...

    def tasks(self, results: Mapping[str, dict[str, Any]]) -> list[Task]:
        """All tasks that can be named, given the results there are by key.

        The list only grows with the results, and ends to when all are there.
        """
        ...

    def table(self, results: Mapping[str, dict[str, Any]], errors: Mapping[str, str]) -> list[Row]:
        """Rows of plain values; a task that failed shows as ``error``."""
        ...


def load_sweep(path: str | Path) -> Sweep:
    """Read the description of a sweep from YAML (`docs/sweeps.md` describes the file).

    Raises
    ------
    UserError
        When the file cannot be read, or holds something unknown or of no use.
    """
    document = read_yaml(path, "sweep")
    if not isinstance(document, Mapping):
        raise UserError(f"sweep {path}: expected a mapping with the key 'kind'")
    try:
        return make_sweep(document, Path(path).parent)
    except UserError as error:
        raise UserError(f"sweep {path}: {error}") from error


def make_sweep(document: Mapping[str, Any], folder: str | Path = ".") -> Sweep:
    """Sweep from the content of its file.

    Parameters
    ----------
    document : mapping
        With ``kind``; the other keys are those of the kind.
    folder : path
        What paths in the document are relative to.
    """
    kind = document.get("kind")
    if str(kind) not in KINDS:
        raise UserError(f"kind {kind!r}: unknown, choose from: {', '.join(KINDS)}")
    module, name = KINDS[str(kind)].split(":")
    cls = getattr(importlib.import_module(module), name)
    rest = {k: v for k, v in document.items() if k != "kind"}
    return cls.from_document(rest, Path(folder))


def check_keys(document: Mapping[str, Any], known: Mapping[str, type | tuple[type, ...]]) -> None:
    """Check keys and types of a mapping in a sweep file.

    Raises
    ------
    UserError
        Names the key and what is allowed.
    """
    for key, value in document.items():
        if key not in known:
            raise UserError(f"{key}: unknown, choose from: {', '.join(known)}")
        if not isinstance(value, known[key]) or isinstance(value, bool):
            raise UserError(f"{key}: {value!r} is not of the right type")
