"""Records as plain values, in one form only: what is hashed, stored and shared."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import typing
from collections.abc import Mapping
from datetime import date
from typing import Any, TypeVar

from emghand.errors import UserError
from emghand.progress.rows import SessionRecord, SessionRow, TrialRow

R = TypeVar("R", SessionRow, TrialRow)


def _kinds(row: type[Any]) -> dict[str, tuple[type, bool]]:
    hints = typing.get_type_hints(row)
    found = {}
    for field in dataclasses.fields(row):
        hint = hints[field.name]
        plain = [k for k in typing.get_args(hint) if k is not type(None)]
        found[field.name] = (plain[0] if plain else hint, bool(plain))
    return found


_KINDS = {kind: _kinds(kind) for kind in (SessionRow, TrialRow)}


def kinds(row: type[Any]) -> dict[str, tuple[type, bool]]:
    """Type of each column of a class of rows, and whether its value may be missing."""
    return _KINDS[row]


def values(row: SessionRow | TrialRow) -> dict[str, Any]:
    """Columns of a row with the types of Python; what is not finite is not known.

    Raises
    ------
    UserError
        When a value is of another type, or is missing and must not be.
    """
    return {
        name: _value(name, getattr(row, name), kind, may_miss)
        for name, (kind, may_miss) in kinds(type(row)).items()
    }


def from_values(kind: type[R], found: Mapping[str, Any]) -> R:
    """Row of columns that somebody else wrote; dates may be text.

    Raises
    ------
    UserError
        When a column is missing, unknown or of another type.
    """
    wanted = kinds(kind)
    there = found.keys() if isinstance(found, Mapping) else set()
    if there != wanted.keys():
        odd = ", ".join(sorted(str(name)[:40] for name in there ^ wanted.keys())[:5])
        raise UserError(f"other columns than this emghand has ({odd}); use the same version")
    plain = dict(found)
    if "date" in wanted and isinstance(plain["date"], str):
        try:
            plain["date"] = date.fromisoformat(plain["date"])
        except ValueError:
            raise UserError(f"date: {plain['date'][:40]!r} is no date") from None
    return kind(**{n: _value(n, plain[n], *wanted[n]) for n in wanted})


def normal(record: SessionRecord) -> SessionRecord:
    """The same record with values of plain types and its trials in order.

    Raises
    ------
    UserError
        When a value will not do, a trial is of another session, or is there twice.
    """
    row = SessionRow(**values(record.row))
    trials = [TrialRow(**values(t)) for t in record.trials]
    trials.sort(key=lambda t: (t.start_ns, t.protocol, t.number))
    if any(t.session_id != row.session_id for t in trials):
        raise UserError(f"session {row.path}: has trials of another session; repair it")
    if len({(t.protocol, t.number) for t in trials}) != len(trials):
        raise UserError(f"session {row.path}: has two trials of the same number; repair it")
    return SessionRecord(row, tuple(trials))


def plain(record: SessionRecord) -> dict[str, Any]:
    """A record as values of JSON."""
    row = values(record.row)
    return {
        "session": {**row, "date": row["date"].isoformat()},
        "trials": [values(t) for t in record.trials],
    }


def row_hash(record: SessionRecord) -> str:
    """SHA-256 of a normal record; where the session lies is no part of it."""
    document = plain(record)
    del document["session"]["path"]
    return digest(document)


def digest(document: Any) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(to_json(document).encode()).hexdigest()


def to_json(document: Any) -> str:
    """JSON with sorted keys: the same text for the same values."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _value(name: str, value: Any, kind: Any, may_miss: bool) -> Any:
    if hasattr(value, "item"):
        value = value.item()  # a number of NumPy
    if type(value) is int and kind is float and abs(value) < 2**63:
        value = float(value)
    if isinstance(value, float):
        # SQLite has no negative zero.
        value = value + 0.0 if math.isfinite(value) else None
    if value is None and may_miss:
        return None
    if type(value) is not kind or (kind is int and not -(2**63) <= value < 2**63):
        raise UserError(f"{name}: expected {kind.__name__}, got {str(value)[:40]!r}")
    if kind is str and not storable(value):
        raise UserError(f"{name}: {value[:40]!r} has characters that cannot be stored")
    return value


def storable(text: str) -> bool:
    """Whether every database can hold a text: no NUL, and nothing that is not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
