"""Where a subject stands on a date, as one thing that can be shown and sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError
from emghand.progress.levels import MEANING
from emghand.progress.status import first_reached, missing_of

if TYPE_CHECKING:
    import pandas as pd

_JSON = ("rest_offset", "resolvable", "window")
_LONG = ("criteria", "missing")
"""Columns that are told of one date only."""


@dataclass(frozen=True)
class Standing:
    """Where a subject stands.

    Parameters
    ----------
    subject : str
    day : datetime.date
        The latest one with a session.
    status, raw_status, advice : str
        As in `emghand.progress.status.StatusRow`.
    next_level : str
        The one that `missing` is about; empty: the highest is reached.
    missing : tuple of mapping
        What fails for it; see `StatusRow.missing`.
    sentences : tuple of str
        The same for people.
    criteria : mapping
        All of them; see `StatusRow.criteria`.
    reached : mapping
        Level -> first date and session id, lowest level first.
    dates : DataFrame
        All dates up to this one.
    """

    subject: str
    day: date
    status: str
    raw_status: str
    advice: str
    next_level: str
    missing: tuple[dict[str, Any], ...]
    sentences: tuple[str, ...]
    criteria: dict[str, dict[str, Any]]
    reached: dict[str, tuple[date, str]]
    dates: pd.DataFrame

    def document(self) -> dict[str, Any]:
        """As plain values for JSON; nothing known: null."""
        return {
            "subject": self.subject,
            "date": self.day.isoformat(),
            "status": self.status,
            "meaning": MEANING[self.status],
            "raw_status": self.raw_status,
            "advice": self.advice,
            "next_level": self.next_level,
            "missing": list(self.missing),
            "sentences": list(self.sentences),
            "criteria": self.criteria,
            "reached": {
                level: {"date": day.isoformat(), "session": session}
                for level, (day, session) in self.reached.items()
            },
        }


def standing(dates: pd.DataFrame, on: date | None = None) -> Standing:
    """Where a subject stands.

    Parameters
    ----------
    dates : DataFrame
        From `emghand.progress.status.compute_status`.
    on : datetime.date, optional
        As things were on this day; default: as they are.

    Raises
    ------
    UserError
        When there is no session up to then.
    """
    if dates.empty:
        raise UserError("there is no session")
    first = dates["date"].iloc[0]
    if on is not None:
        subject, dates = dates["subject"].iloc[0], dates[dates["date"] <= on]
        if dates.empty:
            raise UserError(f"subject {subject}: the first session is of {first}, after {on}")
    last = dates.iloc[-1]
    missing = json.loads(last["missing"])
    return Standing(
        subject=last["subject"],
        day=last["date"],
        status=last["status"],
        raw_status=last["raw_status"],
        advice=last["advice"],
        next_level=missing[0]["level"] if missing else "",
        missing=tuple(missing),
        sentences=tuple(missing_of(last)),
        criteria=json.loads(last["criteria"]),
        reached=first_reached(dates),
        dates=dates,
    )


def plain_dates(dates: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of dates as plain values, without their criteria."""
    rows = dates.drop(columns=list(_LONG)).astype("object")
    found = rows.where(rows.notna(), None).to_dict("records")
    return [{str(name): _value(str(name), cell) for name, cell in row.items()} for row in found]


def _value(name: str, cell: Any) -> Any:
    if isinstance(cell, date):
        return cell.isoformat()
    return json.loads(cell) if name in _JSON and cell else cell
