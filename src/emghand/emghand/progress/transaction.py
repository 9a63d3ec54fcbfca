"""What can be done to the rows of the study database within one transaction."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from emghand.errors import UserError, one_line
from emghand.progress import records
from emghand.progress.checks import check_table
from emghand.progress.frames import sessions_frame, trials_frame
from emghand.progress.rows import SessionRecord, SessionRow, TrialRow
from emghand.progress.schema import (
    DATES,
    SESSIONS,
    SHARED,
    STATUS_COLUMNS,
    SUBJECTS,
    TRIALS,
)

if TYPE_CHECKING:
    import pandas as pd

_KINDS = {"int64", "Int64", "float64", "bool", "boolean", "object", "str", "string", "date"}
"""Of columns of the table of dates: types of pandas, and ``date`` for objects of that class."""


@dataclass(frozen=True)
class Known:
    """What tells whether a session is the one that is in the database.

    Parameters
    ----------
    subject, session_id, content_hash, path, state, problems : str
        As in `SessionRow`.
    date : datetime.date
    row_hash : str
        `emghand.progress.records.row_hash`.
    revision : int
        How often that changed.
    here : bool
        Whether it lies in the folder of the study.
    """

    subject: str
    session_id: str
    content_hash: str
    path: str
    state: str
    problems: str
    date: date
    row_hash: str
    revision: int
    here: bool


@dataclass(frozen=True)
class Computed:
    """Of a subject: the digest of all of its rows, and the rules by which they were computed."""

    digest: str = ""
    rules: str = ""


class Transaction:
    """Rows as they are, or will be when the transaction ends."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def subjects(self) -> list[str]:
        """Pseudonyms of all subjects that have a session."""
        return sorted(self._connection.scalars(sa.select(SESSIONS.c.subject).distinct()))

    def known(self, subject: str = "") -> list[Known]:
        """What the database has of each session, by subject and session."""
        names = Known.__dataclass_fields__
        query = _of(subject, SESSIONS, *(SESSIONS.c[name] for name in names))
        with _sound(SESSIONS):
            found = [Known(**row) for row in self._connection.execute(query).mappings()]
            return sorted(found, key=lambda k: (k.subject, k.session_id))

    def computed(self, subject: str) -> Computed:
        """What was noted when the subject's dates were written."""
        query = _of(subject, SUBJECTS, SUBJECTS.c.digest, SUBJECTS.c.rules)
        row = self._connection.execute(query).one_or_none()
        return Computed(*row) if row is not None else Computed()

    def sessions(self, subject: str = "") -> pd.DataFrame:
        """Sessions of one subject or of all: the columns of `SessionRow`."""
        with _sound(SESSIONS):
            return _checked(sessions_frame(self._rows(SESSIONS, SessionRow, subject)))

    def trials(self, subject: str = "") -> pd.DataFrame:
        """Trials of one subject or of all: the columns of `TrialRow`."""
        with _sound(TRIALS):
            return _checked(trials_frame(self._rows(TRIALS, TrialRow, subject)))

    def records(self, subject: str) -> dict[str, SessionRecord]:
        """Sessions of a subject with their trials."""
        trials: dict[str, list[TrialRow]] = {}
        with _sound(SESSIONS):
            for trial in self._rows(TRIALS, TrialRow, subject):
                trials.setdefault(trial.session_id, []).append(trial)
            return {
                row.session_id: records.normal(
                    SessionRecord(row, tuple(trials.get(row.session_id, ())))
                )
                for row in self._rows(SESSIONS, SessionRow, subject)
            }

    def put(self, record: SessionRecord, revision: int, *, here: bool) -> None:
        """Write a normal record in place of what there is of the session."""
        subject = record.row.subject
        self.remove(subject, record.row.session_id)
        row = records.values(record.row)
        row |= {"row_hash": records.row_hash(record), "revision": revision, "here": here}
        self._connection.execute(sa.insert(SESSIONS), row)
        trials = [{"subject": subject, **records.values(t)} for t in record.trials]
        if trials:
            self._connection.execute(sa.insert(TRIALS), trials)

    def remove(self, subject: str, session_id: str) -> None:
        """Delete a session and its trials."""
        for table in (TRIALS, SESSIONS):
            self._connection.execute(
                sa.delete(table).where(table.c.subject == subject, table.c.session_id == session_id)
            )

    def note(self, subject: str, session_id: str, **columns: Any) -> None:
        """Change ``path``, ``here`` or ``revision`` of a session, which change nothing else."""
        self._connection.execute(
            sa.update(SESSIONS)
            .where(SESSIONS.c.subject == subject, SESSIONS.c.session_id == session_id)
            .values(**columns)
        )

    def dates(self, subject: str = "") -> pd.DataFrame:
        """Dates of one subject or of all, with their status, as they were put."""
        with _sound(DATES):
            return _checked(self._dates(subject))

    def _dates(self, subject: str) -> pd.DataFrame:
        import pandas as pd

        described = self._connection.execute(_of(subject, SUBJECTS)).mappings().all()
        columns: dict[str, str] = {}
        for row in described:
            for name, kind in json.loads(row["date_columns"]).items():
                columns[name] = _common(columns.get(name, kind), kind)
        if not columns.keys() >= {"subject", "date", *STATUS_COLUMNS}:
            return pd.DataFrame(columns=["subject", "date", *STATUS_COLUMNS], dtype=object)
        stored = self._mappings(DATES, subject)
        found = [{**json.loads(row["combined"]), **row} for row in stored]
        found.sort(key=lambda row: (row["subject"], row["date"]))
        return pd.DataFrame(
            {name: _column([row.get(name) for row in found], k) for name, k in columns.items()}
        )

    def put_dates(self, subject: str, dates: pd.DataFrame, rules: str) -> None:
        """Write the dates of a subject; rows that are as they were are not touched."""
        columns = {str(name): _kind(dates[name]) for name in dates.columns}
        rows = {row["date"]: row for row in _plain_dates(subject, dates)}
        old = {row["date"]: row for row in self._mappings(DATES, subject)}
        for day in old.keys() - {d for d, row in rows.items() if row == old.get(d)}:
            self._connection.execute(
                sa.delete(DATES).where(DATES.c.subject == subject, DATES.c.date == day)
            )
        new = [row for day, row in rows.items() if row != old.get(day)]
        if new:
            self._connection.execute(sa.insert(DATES), new)
        self._connection.execute(sa.delete(SUBJECTS).where(SUBJECTS.c.subject == subject))
        # The order of the columns is kept, so the keys are not sorted.
        described = {"subject": subject, "rules": rules, "date_columns": json.dumps(columns)}
        digest = self._digest(subject, described["date_columns"])
        if rows:
            self._connection.execute(sa.insert(SUBJECTS), {**described, "digest": digest})

    def shared(self, place: str, subject: str) -> dict[str, tuple[int, str]]:
        """Revision and hash of each session when it was last the same here and in a bucket."""
        rows = self._mappings(SHARED, subject)
        return {
            r["session_id"]: (r["revision"], r["row_hash"]) for r in rows if r["place"] == place
        }

    def put_shared(self, place: str, subject: str, found: Mapping[str, tuple[int, str]]) -> None:
        """Note what is the same here and in a bucket."""
        self._connection.execute(
            sa.delete(SHARED).where(SHARED.c.place == place, SHARED.c.subject == subject)
        )
        rows = [
            {"place": place, "subject": subject, "session_id": i, "revision": n, "row_hash": h}
            for i, (n, h) in found.items()
        ]
        if rows:
            self._connection.execute(sa.insert(SHARED), rows)

    def _digest(self, subject: str, date_columns: str) -> str:
        sessions = [[k.session_id, k.row_hash, k.path] for k in self.known(subject)]
        dates = [{**row, "date": row["date"].isoformat()} for row in self._mappings(DATES, subject)]
        dates.sort(key=lambda row: row["date"])
        return records.digest([sessions, dates, date_columns])

    def _rows(self, table: sa.Table, kind: type[Any], subject: str) -> Iterator[Any]:
        query = _of(subject, table, *(table.c[name] for name in records.kinds(kind)))
        for row in self._connection.execute(query):
            yield kind(*row)

    def _mappings(self, table: sa.Table, subject: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self._connection.execute(_of(subject, table)).mappings()]


@contextlib.contextmanager
def _sound(table: sa.Table) -> Iterator[None]:
    """Say in one sentence that rows are not as they were written; SQLite keeps any value."""
    try:
        yield
    except (UserError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"database: its table of {table.name} is damaged ({one_line(error)[:200]}); move "
            "the database away, a new one is made from the sessions"
        ) from error


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    check_table(table)
    return table


def _of(subject: str, table: sa.Table, *columns: sa.Column[Any]) -> sa.Select[Any]:
    query = sa.select(*(columns or (table,)))
    return query.where(table.c.subject == subject) if subject else query


def _plain_dates(subject: str, dates: pd.DataFrame) -> Iterator[dict[str, Any]]:
    names = [str(name) for name in dates.columns]
    for cells in dates.itertuples(index=False, name=None):
        row = {name: _plain(cell) for name, cell in zip(names, cells, strict=True)}
        if row.pop("subject") != subject:
            raise ValueError(f"dates of another subject than {subject}")
        day = date.fromisoformat(row.pop("date"))
        status = {name: row.pop(name) for name in STATUS_COLUMNS}
        yield {"subject": subject, "date": day, **status, "combined": records.to_json(row)}


def _plain(cell: Any) -> Any:
    """A cell of a table as a value of JSON."""
    import pandas as pd

    if isinstance(cell, date):
        return cell.isoformat()
    if pd.api.types.is_scalar(cell):
        if pd.isna(cell):
            return None
        cell = cell.item() if hasattr(cell, "item") else cell
        if isinstance(cell, float) and not math.isfinite(cell):
            return None
        if isinstance(cell, bool | int | float | str):
            return cell
    raise TypeError(f"{type(cell).__name__} cannot be kept in the table of dates")


def _kind(column: pd.Series[Any]) -> str:
    kind = str(column.dtype)
    known = [cell for cell in column if _plain(cell) is not None]
    if kind == "object" and known and all(isinstance(cell, date) for cell in known):
        kind = "date"
    if kind not in _KINDS:
        raise TypeError(f"column {column.name}: {kind} cannot be kept in the table of dates")
    return kind


def _common(one: str, other: str) -> str:
    """Kind of a column that holds the cells of two subjects; one may know none of a date."""
    if one == other:
        return one
    return {frozenset({"object", "date"}): "date", frozenset({"int64", "float64"}): "float64"}.get(
        frozenset({one, other}), "object"
    )


def _column(cells: Iterable[Any], kind: str) -> pd.Series[Any]:
    import pandas as pd

    if kind not in _KINDS:
        raise UserError(f"database: has a column of dates of unknown type {kind[:40]!r}; update")
    if kind == "date":
        days = [date.fromisoformat(c) if isinstance(c, str) else c for c in cells]
        return pd.Series(days, dtype=object)
    return pd.Series(list(cells), dtype=kind)
