"""Keep the database of a study as its sessions are: nothing more is computed than has to be.

What is new or changed is read first, without any lock: that may take long. Then one transaction per
subject writes the sessions and computes their date and every later one anew. If another process was
faster meanwhile, the comparison is made again; what was read already is not read twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from emghand.errors import UserError
from emghand.progress import records
from emghand.progress.database import Store
from emghand.progress.rows import SessionRecord
from emghand.progress.scan import Broken, Changes, Found, find_changes, unread
from emghand.progress.tables import follow
from emghand.progress.transaction import Transaction
from emghand.steps import part, step

if TYPE_CHECKING:
    import pandas as pd

TRIES = 20
"""So often another process may be faster."""


class Read(Protocol):
    """Row and trials of a session folder: `emghand.progress.session.read_session`."""

    def __call__(
        self, path: Path, /, *, study: Path, force: bool, unreadable: str
    ) -> SessionRecord:
        """Read one session."""


class Compute(Protocol):
    """Dates of one subject with their status, from the begin or from `since` on.

    `emghand.progress.status.compute_status` with the criteria. `before` are the rows of the dates
    before `since`; what is returned has them, too.
    """

    def __call__(
        self,
        sessions: pd.DataFrame,
        trials: pd.DataFrame,
        /,
        *,
        since: date | None,
        before: pd.DataFrame | None,
    ) -> pd.DataFrame:
        """Compute all dates."""


@dataclass(frozen=True)
class Methods:
    """How sessions are read and dates are computed.

    Parameters
    ----------
    read : Read
    content_hash : callable
        From the manifest of a session.
    compute : Compute
    rules : str
        Tells which criteria `compute` goes by; where it is another one, all dates are computed
        anew.
    """

    read: Read
    content_hash: Callable[[Any], str]
    compute: Compute
    rules: str


@dataclass(frozen=True)
class Edit:
    """What becomes of the sessions of a subject in one transaction.

    Parameters
    ----------
    put : tuple of SessionRecord
        New, or in place of what there was.
    remove : tuple of str
        Ids.
    moved : mapping
        Id -> path of sessions that lie in the study.
    here : bool
        Whether those of `put` were found in the study; where not, the place of one that lies
        there stays.
    revisions : mapping
        Id -> revision of the row from now on, where it is not the next one.
    """

    put: tuple[SessionRecord, ...] = ()
    remove: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    here: bool = True
    revisions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Update:
    """What an update of a subject did.

    Parameters
    ----------
    subject : str
    put, removed, moved : tuple of str
        Ids of sessions whose row is new or another one, is gone, or has another path only.
    since : datetime.date or None
        First date that was computed anew; None: none was.
    dates : int
        How many were computed anew.
    problems : tuple of str
        Of the sessions that were read, one sentence each.
    corrupted : tuple of Broken
        Sessions whose rows were left as they are.
    files : bool
        Whether the Parquet tables were written.
    """

    subject: str
    put: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    since: date | None = None
    dates: int = 0
    problems: tuple[str, ...] = ()
    corrupted: tuple[Broken, ...] = ()
    files: bool = False

    def __bool__(self) -> bool:
        return bool(self.put or self.removed or self.moved or self.dates or self.files)


class Outdated(Exception):
    """Another process changed the subject since the comparison."""


def update(
    study: str | Path,
    store: Store,
    subject: str = "",
    *,
    methods: Methods,
    force: bool = False,
    unreadable: str = "raise",
) -> list[Update]:
    """Bring database and Parquet tables to what the sessions of a study say.

    Parameters
    ----------
    study : path
    store : Store
        Of this study.
    subject : str
        Only this one; empty: all.
    force : bool
        Trials that are in no table are taken from the bags again, also of sessions where that
        failed before.
    unreadable : str
        What to do with a session that cannot be read: ``raise``, or ``warn``: its row is kept as
        pending, with the reason.

    Returns
    -------
    list of Update
        Per subject that is in the study or the database.

    Raises
    ------
    UserError
        When the subject is unknown, or a session cannot be read. Subjects that were done already
        stay done; of the one it belongs to nothing is changed.
    """
    study = Path(study)
    changes = find_changes(study, store, methods.content_hash)
    names = [subject] if subject else changes.subjects
    if subject and subject not in changes.subjects:
        raise UserError(
            f"subject {subject}: has no session in {study}; known: "
            f"{', '.join(changes.subjects) or 'nobody'}"
        )
    updates = []
    for number, name in enumerate(names):
        done: dict[tuple[str, str], SessionRecord] = {}
        for _ in range(TRIES):
            try:
                of_name = changes.of(name)
                with part(number / len(names), (number + 1) / len(names)):
                    updates.append(
                        _update(study, store, name, of_name, methods, force, unreadable, done)
                    )
                break
            except Outdated:
                changes = find_changes(study, store, methods.content_hash)
        else:
            raise UserError(f"subject {name}: other processes change it all the time; try again")
    return updates


def _update(
    study: Path,
    store: Store,
    subject: str,
    changes: Changes,
    methods: Methods,
    force: bool,
    unreadable: str,
    done: dict[tuple[str, str], SessionRecord],
) -> Update:
    """One comparison and one transaction; `done` keeps what was read for the next try."""
    wanted = {s.path: s.content_hash for s in (*changes.missing, *changes.late, *changes.changed)}
    if force:
        paths = {s.session_id: s.path for s in changes.moved}
        wanted |= {paths.get(k.session_id, k.path): k.content_hash for k in unread(changes)}
    for number, (path, content) in enumerate(sorted(wanted.items())):
        step(f"reading {path}", number / (len(wanted) + 1))
        if (path, content) not in done:
            record = methods.read(study / path, study=study, force=force, unreadable=unreadable)
            if record.row.subject != subject:
                raise UserError(f"session {path}: is not of subject {subject} any more; try again")
            done[path, content] = records.normal(record)
    step(f"progress of {subject}", len(wanted) / (len(wanted) + 1))
    read = [done[key] for key in sorted(wanted.items())]
    edit = Edit(
        put=tuple(read),
        remove=tuple(k.session_id for k in changes.deleted),
        moved=_moved(changes, {r.row.session_id for r in read}),
    )
    with store.writing(subject) as rows:
        if tuple(rows.known(subject)) != changes.known:
            raise Outdated
        result = apply(rows, subject, edit, methods)
    return replace(
        result,
        problems=tuple(
            f"{r.row.path}: {line}" for r in read for line in r.row.problems.splitlines() if line
        ),
        corrupted=changes.corrupted,
        files=follow(store, subject),
    )


def _moved(changes: Changes, read: set[str]) -> dict[str, str]:
    moved: tuple[Found, ...] = changes.moved
    return {s.session_id: s.path for s in moved if s.session_id not in read}


def apply(rows: Transaction, subject: str, edit: Edit, methods: Methods) -> Update:
    """Change sessions of a subject, and compute anew the dates that this may change.

    Raises
    ------
    UserError
        When a row cannot be kept.
    """
    known = {k.session_id: k for k in rows.known(subject)}
    touched: list[date] = []
    put, removed, moved = [], [], []
    for record in edit.put:
        row = record.row
        old = known.get(row.session_id)
        here = edit.here or (old is not None and old.here)
        if old is not None and not edit.here:
            record = replace(record, row=replace(row, path=old.path))
        if old is not None and old.row_hash == records.row_hash(record):
            rows.note(subject, row.session_id, path=record.row.path, here=here)
            moved += [row.session_id] if record.row.path != old.path else []
            continue
        following = old.revision + 1 if old is not None else 1
        rows.put(record, edit.revisions.get(row.session_id, following), here=here)
        touched += [row.date] + ([old.date] if old else [])
        put.append(row.session_id)
    for session_id in edit.remove:
        if session_id in known:
            rows.remove(subject, session_id)
            touched.append(known[session_id].date)
            removed.append(session_id)
    for session_id, path in edit.moved.items():
        rows.note(subject, session_id, path=path, here=True)
        moved.append(session_id)
    since, n_dates = _recompute(rows, subject, min(touched, default=None), bool(moved), methods)
    return Update(subject, tuple(put), tuple(removed), tuple(moved), since, n_dates)


def _recompute(
    rows: Transaction, subject: str, since: date | None, noted: bool, methods: Methods
) -> tuple[date | None, int]:
    """First date that was computed anew, and how many were."""
    computed = rows.computed(subject)
    anew = computed.rules != methods.rules
    if since is None and not anew:
        if noted:
            # The digest speaks of paths, too.
            rows.put_dates(subject, rows.dates(subject), computed.rules)
        return None, 0
    sessions, dates = rows.sessions(subject), rows.dates(subject)
    if sessions.empty:
        # Of a subject who has no session any more nothing is left.
        rows.put_dates(subject, dates.iloc[:0], "")
        return since, 0
    before = dates[dates["date"] < since] if since is not None and not anew else dates.iloc[:0]
    partly = not before.empty
    dates = methods.compute(
        sessions,
        rows.trials(subject),
        since=since if partly else None,
        before=before.reset_index(drop=True) if partly else None,
    )
    rows.put_dates(subject, dates, methods.rules)
    first = since if partly else sessions["date"].min()
    return first, int((dates["date"] >= first).sum())
