"""Tables of one subject as Parquet files, for anybody who wants to look at them.

    SUBJECT.parquet         sessions
    SUBJECT_trials.parquet
    SUBJECT_dates.parquet

They follow the database: each states the digest of the subject's rows there, and is written anew
when that is another one. What is written anew from the same rows has the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError, one_line
from emghand.progress.checks import check_table
from emghand.progress.database import Store
from emghand.progress.extras import need
from emghand.progress.frames import columns
from emghand.progress.records import kinds
from emghand.progress.rows import SessionRow, TrialRow
from emghand.progress.schema import STATUS_COLUMNS
from emghand.steps import whole
from emghand.storage.files import TEMPORARY_PREFIX, in_use, locked, new_file

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMAT, VERSION = "emghand progress table", 1
SUFFIXES = {"sessions": "", "trials": "_trials", "dates": "_dates"}
MAX_BYTES = 2**30
"""A table that is larger is not read."""
_KEY = b"emghand"


@dataclass(frozen=True)
class Tables:
    """What the files of a subject hold.

    Parameters
    ----------
    sessions, trials, dates : pandas.DataFrame
    digest : str
        Of the rows of the database they were written from.
    """

    sessions: pd.DataFrame
    trials: pd.DataFrame
    dates: pd.DataFrame
    digest: str


def table_path(folder: str | Path, subject: str, table: str) -> Path:
    """File of one of a subject's tables: ``sessions``, ``trials`` or ``dates``."""
    return Path(folder) / f"{subject}{SUFFIXES[table]}.parquet"


def clash(subject: str) -> bool:
    """Whether the files of a subject of this name could be taken for those of another."""
    return subject.endswith(tuple(s for s in SUFFIXES.values() if s))


@whole()
def follow(store: Store, subject: str) -> bool:
    """Write the files of a subject anew where they are behind the database, or damaged.

    Returns
    -------
    bool
        Whether anything was written or deleted.

    Raises
    ------
    UserError
        When they cannot be written.
    """
    need("pyarrow", "progress", "a Parquet table")
    paths = {name: table_path(store.folder, subject, name) for name in SUFFIXES}
    try:
        return _follow(store, subject, paths)
    except OSError as error:
        where = error.filename or store.folder
        raise UserError(f"{where}: cannot be written: {error.strerror or error}") from error


def _follow(store: Store, subject: str, paths: dict[str, Path]) -> bool:
    # In turn with other processes: who reads the database later writes later.
    with locked(store.folder):
        for left in store.folder.glob(f"{TEMPORARY_PREFIX}*"):
            if not in_use(left):
                left.unlink()  # Of a process that was killed.
        with store.reading() as rows:
            digest = rows.computed(subject).digest
            if digest and all(_digest(path, subject, n) == digest for n, path in paths.items()):
                return False
            tables = {
                "trials": _table(rows.trials(subject), TrialRow),
                "dates": _table(rows.dates(subject)),
                "sessions": _table(rows.sessions(subject), SessionRow),
            }
        if not digest:
            there = [path for path in paths.values() if path.exists()]
            for path in there:
                path.unlink()
            return bool(there)
        for name, table in tables.items():
            _write(paths[name], table, name, subject, digest)
        return True


def read_tables(folder: str | Path, subject: str) -> Tables:
    """Read the files of a subject.

    Parameters
    ----------
    folder : path
        Where they are: ``STUDY/progress``.

    Raises
    ------
    UserError
        When one is missing, damaged, of a newer version or of another subject, or they were not
        written together.
    """
    need("pyarrow", "progress", "a Parquet table")
    frames, digests = {}, set()
    for name in SUFFIXES:
        path = table_path(folder, subject, name)
        frames[name], digest = _read(path, subject, name)
        digests.add(digest)
    if len(digests) != 1:
        raise UserError(
            f"{table_path(folder, subject, 'sessions')}: an update of these tables was cut short; "
            "run it again"
        )
    return Tables(**frames, digest=digests.pop())


def _table(frame: pd.DataFrame, kind: type[Any] | None = None) -> pa.Table:
    import pyarrow as pa

    if kind is None:
        table = pa.Table.from_pandas(frame, preserve_index=False)
        # A column of which nothing is known yet has no type; one of text can be read by all.
        for i, field in enumerate(table.schema):
            if pa.types.is_null(field.type):
                table = table.set_column(i, field.name, table.column(i).cast(pa.string()))
        return table
    types = {int: "int64", float: "float64", str: "string", bool: "bool"}
    schema = pa.schema(
        [
            pa.field(name, types.get(of, "date32"), nullable=may_miss)
            for name, (of, may_miss) in kinds(kind).items()
        ]
    )
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False)


def _write(path: Path, table: pa.Table, name: str, subject: str, digest: str) -> None:
    import pyarrow.parquet as pq

    ours = {"format": FORMAT, "version": VERSION, "table": name}
    said = json.dumps({**ours, "subject": subject, "digest": digest}, sort_keys=True)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: said.encode()})
    with new_file(path, replace=True) as file:
        pq.write_table(table, file)


def _read(path: Path, subject: str, name: str) -> tuple[pd.DataFrame, str]:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = {"sessions": SessionRow, "trials": TrialRow}.get(name)
    try:
        digest = _said(path, subject, name)
        table = pq.read_table(path)
        frame = table.to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read: {one_line(error)[:200]}") from error
    names = list(columns(wanted)) if wanted else ["subject", "date", *STATUS_COLUMNS]
    if (wanted and list(frame.columns) != names) or not set(names) <= set(frame.columns):
        raise UserError(f"{path}: has other columns than this emghand knows; run an update")
    try:
        frame = frame.astype(columns(wanted)) if wanted else frame
        check_table(frame)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: is damaged: {one_line(error)[:200]}") from error
    for column, of in frame.dtypes.items():
        # Of pandas 3; before, text is a column of objects.
        if isinstance(of, pd.StringDtype):
            frame[column] = frame[column].astype(object).where(frame[column].notna(), None)
    return frame, digest


def _digest(path: Path, subject: str, name: str) -> str:
    """Digest that a file states; empty where there is none that could be read."""
    import pyarrow as pa

    try:
        return _said(path, subject, name)
    except (OSError, pa.ArrowException, UserError):
        return ""


def _said(path: Path, subject: str, name: str) -> str:
    """Digest that a file states, after a look at all that it says of itself."""
    import pyarrow.parquet as pq

    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path}: is too large")
    try:
        said = json.loads((pq.read_schema(path).metadata or {}).get(_KEY, b""))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise UserError(f"{path}: is not a table of a subject's progress")
    if said.get("version") != VERSION:
        raise UserError(f"{path}: written by another version of emghand; run an update")
    if said.get("subject") != subject or said.get("table") != name:
        raise UserError(f"{path}: is the table of another subject; run an update")
    return str(said.get("digest"))
