"""Rows as tables of pandas, with a fixed type in each column."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any

from emghand.progress.rows import SessionRow, TrialRow

if TYPE_CHECKING:
    import pandas as pd

_TYPES = {int: "int64", float: "float64", str: "object", bool: "boolean", date: "object"}
"""``boolean`` and ``float64`` have room for what is not known."""


def columns(kind: type[Any]) -> dict[str, str]:
    """Columns of a table of rows of this class, with their pandas types."""
    hints = typing.get_type_hints(kind)
    return {f.name: _TYPES[_plain(hints[f.name])] for f in dataclasses.fields(kind)}


def sessions_frame(rows: Iterable[SessionRow]) -> pd.DataFrame:
    """Table of sessions, by date and begin."""
    frame = _frame(SessionRow, rows)
    return frame.sort_values(["subject", "date", "start_ns", "session_id"], ignore_index=True)


def trials_frame(rows: Iterable[TrialRow]) -> pd.DataFrame:
    """Table of trials, by session and begin."""
    frame = _frame(TrialRow, rows)
    order = ["session_id", "start_ns", "protocol", "number"]
    return frame.sort_values(order, ignore_index=True)


def _frame(kind: type[Any], rows: Iterable[Any]) -> pd.DataFrame:
    import pandas as pd

    names = columns(kind)
    values = [tuple(getattr(row, name) for name in names) for row in rows]
    return pd.DataFrame(values, columns=list(names)).astype(names)


def _plain(hint: Any) -> type:
    """The type of a column whose values may be missing."""
    kinds = [k for k in typing.get_args(hint) if k is not type(None)]
    return kinds[0] if kinds else hint
