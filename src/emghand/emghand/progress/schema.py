"""Tables of the study database, made from the classes of `emghand.progress.rows`.

    sessions     a row per session: the columns of `SessionRow`, and two of book-keeping
    trials       a row per scored trial: the columns of `TrialRow`, and the subject
    dates        a row per subject and date: status, and the combined columns as one JSON document
    level_dates  a view: the first date of each status of a subject
    subjects     digest of all rows of a subject, and how the dates were computed
    shared       what was last read from or written to a bucket

The migrations build the same tables step by step; a test compares them. JSON is kept as text with
sorted keys, so that SQLite and PostgreSQL hold the same bytes.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa

from emghand.progress.records import kinds
from emghand.progress.rows import SessionRow, TrialRow

HEAD = "1"
"""Version of the tables: the last of the migrations."""

STATUS_COLUMNS = ("status", "raw_status", "advice", "criteria", "missing", "window")
"""Columns of the table of dates that are columns of the database, too: text or JSON."""

_TYPES: dict[type, type[sa.types.TypeEngine[Any]]] = {
    int: sa.BigInteger,
    float: sa.Double,
    str: sa.Text,
    bool: sa.Boolean,
    date: sa.Date,
}

METADATA = sa.MetaData()


def _columns(row: type[Any], keys: tuple[str, ...]) -> list[sa.Column[Any]]:
    return [
        sa.Column(name, _TYPES[kind](), primary_key=name in keys, nullable=may_miss)
        for name, (kind, may_miss) in kinds(row).items()
    ]


SESSIONS = sa.Table(
    "sessions",
    METADATA,
    *_columns(SessionRow, ("subject", "session_id")),
    # Hash over the row without its path, and its trials; how often that changed.
    sa.Column("row_hash", sa.Text(), nullable=False),
    sa.Column("revision", sa.BigInteger(), nullable=False),
    # Whether the session lies in the folder of this study; others came from a bucket.
    sa.Column("here", sa.Boolean(), nullable=False),
)

TRIALS = sa.Table(
    "trials",
    METADATA,
    sa.Column("subject", sa.Text(), primary_key=True),
    *_columns(TrialRow, ("session_id", "protocol", "number")),
    sa.ForeignKeyConstraint(
        ["subject", "session_id"],
        ["sessions.subject", "sessions.session_id"],
        name="trials_session",
        ondelete="CASCADE",
    ),
)

DATES = sa.Table(
    "dates",
    METADATA,
    sa.Column("subject", sa.Text(), primary_key=True),
    sa.Column("date", sa.Date(), primary_key=True),
    *(sa.Column(name, sa.Text()) for name in STATUS_COLUMNS),
    sa.Column("combined", sa.Text(), nullable=False),
)

SUBJECTS = sa.Table(
    "subjects",
    METADATA,
    sa.Column("subject", sa.Text(), primary_key=True),
    sa.Column("digest", sa.Text(), nullable=False),
    # By which criteria, and the columns of the table of dates with their types as JSON.
    sa.Column("rules", sa.Text(), nullable=False),
    sa.Column("date_columns", sa.Text(), nullable=False),
)

SHARED = sa.Table(
    "shared",
    METADATA,
    sa.Column("place", sa.Text(), primary_key=True),
    sa.Column("subject", sa.Text(), primary_key=True),
    sa.Column("session_id", sa.Text(), primary_key=True),
    sa.Column("revision", sa.BigInteger(), nullable=False),
    # Empty where the session was deleted.
    sa.Column("row_hash", sa.Text(), nullable=False),
)
