"""Rows as tables of pandas, with a fixed type in each column."""

from __future__ import annotations

import dataclasses
import operator
import typing
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from emghand.progress.rows import SessionRow, TrialRow

if TYPE_CHECKING:
    import pandas as pd

_TYPES = {int: "int64", float: "float64", str: "object", bool: "boolean", date: "object"}
"""``boolean`` and ``float64`` have room for what is not known."""
_COLUMNS: dict[type[Any], dict[str, str]] = {}


def columns(kind: type[Any]) -> dict[str, str]:
    """Columns of a table of rows of this class, with their pandas types."""
    if kind not in _COLUMNS:
        hints = typing.get_type_hints(kind)
        _COLUMNS[kind] = {f.name: _TYPES[_plain(hints[f.name])] for f in dataclasses.fields(kind)}
    return dict(_COLUMNS[kind])


def sessions_frame(rows: Iterable[SessionRow]) -> pd.DataFrame:
    """Table of sessions, by date and begin."""
    order = ("subject", "date", "start_ns", "session_id")
    return frame_of(SessionRow, sorted(map(vars, rows), key=operator.itemgetter(*order)))


def trials_frame(rows: Iterable[TrialRow]) -> pd.DataFrame:
    """Table of trials, by session and begin."""
    order = ("session_id", "start_ns", "protocol", "number")
    return frame_of(TrialRow, sorted(map(vars, rows), key=operator.itemgetter(*order)))


def frame_of(kind: type[Any], rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table with the columns of a class, and their types."""
    import pandas as pd

    # Column by column: pandas has not to guess types that are known.
    return pd.DataFrame(
        {
            name: pd.Series([row[name] for row in rows], dtype=of)
            for name, of in columns(kind).items()
        }
    )


def _plain(hint: Any) -> type:
    """The type of a column whose values may be missing."""
    kinds = [k for k in typing.get_args(hint) if k is not type(None)]
    return kinds[0] if kinds else hint
