"""What cells of tables that others may have written must hold, before anything relies on it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError
from emghand.progress.levels import LEVELS
from emghand.progress.rows import PLACES, STATES, TARGET_CLASSES

if TYPE_CHECKING:
    import pandas as pd

_CHOICES: dict[str, tuple[str, ...]] = {
    "state": STATES,
    "place": PLACES,
    "target_class": TARGET_CLASSES,
    "status": LEVELS,
    "raw_status": LEVELS,
}
_NUMBER = (int, float, type(None))
_DOCUMENTS: dict[str, tuple[type, tuple[type, ...]]] = {
    "rest_offset": (dict, _NUMBER),
    "resolvable": (dict, _NUMBER),
    "pauses": (list, (list,)),
    "criteria": (dict, (dict,)),
    "missing": (list, (dict,)),
    "window": (list, (str,)),
}
"""Columns of JSON: what it is, and what is in it."""


def check_table(table: pd.DataFrame) -> None:
    """Check a table of sessions, trials or dates.

    Raises
    ------
    UserError
        When a cell is none of the words that its column knows, or no JSON of its form.
    """
    for name in table.columns:
        check_cells(str(name), table[name])


def check_cells(name: str, cells: Iterable[Any]) -> None:
    """Check cells of one column; see `check_table`."""
    if name in _CHOICES:
        odd = set(cells) - set(_CHOICES[name])
        if odd:
            raise UserError(f"{name}: {str(odd.pop())[:40]!r} is unknown")
    elif name == "date":
        if not all(type(cell) is date for cell in cells):
            raise UserError("date: holds something else")
    elif name in _DOCUMENTS:
        for cell in set(cells):
            if not _is_document(name, cell):
                raise UserError(f"{name}: {str(cell)[:40]!r} makes no sense")


def _is_document(name: str, text: Any) -> bool:
    try:
        found: Any = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return False
    kind, inside = _DOCUMENTS[name]
    if type(found) is not kind:
        return False
    values: Any = found.values() if isinstance(found, dict) else found
    return all(isinstance(value, inside) for value in values)
