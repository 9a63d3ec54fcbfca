"""What a study holds, and how that differs from the database.

Sessions are told apart by the id in their manifest, and whether one has changed by the hash of its
content: a folder that was renamed is the same session.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from emghand.errors import UserError
from emghand.progress.database import Store
from emghand.progress.folder import FOLDER
from emghand.progress.records import storable
from emghand.progress.rows import PENDING
from emghand.progress.tables import clash
from emghand.progress.transaction import Known
from emghand.storage.kinds import QUARANTINE, is_unfinished
from emghand.storage.manifest import MANIFEST
from emghand.storage.sessions import Session

_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Found:
    """A session in the folder of a study.

    Parameters
    ----------
    subject, session_id : str
    content_hash : str
    path : str
        Relative to the study.
    date : datetime.date or None
        When its manifest was made, local time.
    """

    subject: str
    session_id: str
    content_hash: str
    path: str
    date: date | None


@dataclass(frozen=True)
class Broken:
    """A folder of a session that is not as it should be.

    Parameters
    ----------
    path : str
        Relative to the study.
    reason : str
    session_id, subject : str
        Empty when the manifest cannot be read.
    """

    path: str
    reason: str
    session_id: str = ""
    subject: str = ""


@dataclass(frozen=True)
class Changes:
    """How a study differs from its database.

    Parameters
    ----------
    missing : tuple of Found
        Not in the database, on the last date of their subject or after it.
    late : tuple of Found
        Not in the database, before the last date of their subject.
    changed : tuple of Found
        In the database with other content.
    moved : tuple of Found
        The same, in another folder.
    deleted : tuple of Known
        In the database only.
    corrupted : tuple of Broken
        Damaged, or a second copy. What the database has of them stays as it is.
    known : tuple of Known
        All that the database had.
    """

    missing: tuple[Found, ...] = ()
    late: tuple[Found, ...] = ()
    changed: tuple[Found, ...] = ()
    moved: tuple[Found, ...] = ()
    deleted: tuple[Known, ...] = ()
    corrupted: tuple[Broken, ...] = ()
    known: tuple[Known, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.late or self.changed or self.moved or self.deleted)

    @property
    def subjects(self) -> list[str]:
        """Those of whom anything is in the study or in the database."""
        found = (*self.missing, *self.late, *self.changed, *self.moved)
        return sorted({s.subject for s in found} | {k.subject for k in self.known})

    def of(self, subject: str) -> Changes:
        """Those of one subject."""
        kept: dict[str, Any] = {
            name: tuple(item for item in getattr(self, name) if item.subject == subject)
            for name in self.__dataclass_fields__
        }
        return Changes(**kept)


def find_sessions(
    study: str | Path, content_hash: Callable[[Any], str]
) -> tuple[list[Found], list[Broken]]:
    """Sessions below a folder, by path.

    A session within a session, a quarantine, and hidden or unfinished folders are passed over;
    links are not followed.

    Parameters
    ----------
    study : path
    content_hash : callable
        From a manifest.

    Raises
    ------
    UserError
        When the study cannot be read.
    """
    found, broken = _find(Path(study), content_hash)
    return [item for item, _ in found], broken


def _find(
    study: Path, content_hash: Callable[[Any], str]
) -> tuple[list[tuple[Found, Session]], list[Broken]]:
    sessions: list[tuple[Found, Session]] = []
    broken: list[Broken] = []
    try:
        for folder, below, files in os.walk(study, onerror=_raise):
            if MANIFEST in files and Path(folder) != study:
                below.clear()
                found = _look(study, Path(folder), content_hash)
                if isinstance(found, Broken):
                    broken.append(found)
                else:
                    sessions.append(found)
                continue
            below[:] = sorted(
                name
                for name in below
                if not (name[0] == "." or name in (QUARANTINE, FOLDER) or is_unfinished(name))
            )
    except OSError as error:
        where = error.filename or study
        raise UserError(
            f"study {study}: {where}: cannot be read: {error.strerror or error}"
        ) from error
    return sorted(sessions, key=lambda s: s[0].path), broken


def find_changes(
    study: str | Path, store: Store, content_hash: Callable[[Any], str], *, verify: bool = False
) -> Changes:
    """Compare the folder of a study with its database.

    Parameters
    ----------
    content_hash : callable
        From a manifest: what `SessionRow.content_hash` is.
    verify : bool
        Compare the hash of every file with the manifest, not only sizes; reads everything.

    Raises
    ------
    UserError
        When either cannot be read, or the study is empty and the database is not.
    """
    study = Path(study)
    sessions, broken = _find(study, content_hash)
    found = [item for item, _ in sessions]
    opened = {item.path: session for item, session in sessions}
    with store.reading() as rows:
        known = rows.known()
    if not found and any(k.here for k in known):
        raise UserError(
            f"study {study}: there is no session, but {len(known)} are in the database; look "
            "whether the disk is mounted"
        )
    there, copies = _without_copies(found, {(k.subject, k.session_id): k.path for k in known})
    broken += copies
    for item in there.values():
        broken += _damage(item, opened[item.path], verify)
    # A manifest that cannot be read any more does not say of which session it was.
    lost = {b.path: b for b in broken if not b.session_id}
    torn = {(k.subject, k.session_id): lost[k.path] for k in known if k.here and k.path in lost}
    broken = [b for b in broken if b not in torn.values()] + [
        Broken(b.path, b.reason, session_id, subject) for (subject, session_id), b in torn.items()
    ]
    by_key = {(k.subject, k.session_id): k for k in known}
    last: dict[str, date] = {}
    for k in known:
        last[k.subject] = max(k.date, last.get(k.subject, k.date))
    new = [item for key, item in there.items() if key not in by_key]
    late = [s for s in new if s.date and s.subject in last and s.date < last[s.subject]]
    same = [(item, by_key[key]) for key, item in there.items() if key in by_key]
    return Changes(
        missing=tuple(item for item in new if item not in late),
        late=tuple(late),
        changed=tuple(s for s, k in same if s.content_hash != k.content_hash),
        moved=tuple(
            s
            for s, k in same
            if s.content_hash == k.content_hash and (s.path != k.path or not k.here)
        ),
        deleted=tuple(
            k for key, k in by_key.items() if k.here and key not in there and key not in torn
        ),
        corrupted=tuple(sorted(broken, key=lambda b: b.path)),
        known=tuple(known),
    )


def earliest_date(changes: Changes) -> date | None:
    """First date whose status may be another one now; None: all stay as they are.

    Parameters
    ----------
    changes : Changes
        Of one subject.

    Notes
    -----
    Of a new session the date of its manifest is taken; `emghand.progress.upkeep.update` takes that
    of its row, which is the same unless the clock was wrong.
    """
    dates = [s.date for s in (*changes.missing, *changes.late, *changes.changed) if s.date]
    ids = {s.session_id for s in changes.changed}
    dates += [k.date for k in changes.known if k.session_id in ids]
    dates += [k.date for k in changes.deleted]
    return min(dates, default=None)


def will_do(subject: str) -> bool:
    """Whether files can be named by a subject."""
    return bool(_SUBJECT.fullmatch(subject)) and not clash(subject)


def is_id(text: str) -> bool:
    """Whether a text is the id of a session."""
    return bool(_ID.fullmatch(text))


def unread(changes: Changes) -> list[Known]:
    """Sessions in the study of which something could not be read the last time."""
    gone = {k.session_id for k in changes.deleted}
    return [
        k
        for k in changes.known
        if k.here and (k.state == PENDING or k.problems) and k.session_id not in gone
    ]


def _raise(error: OSError) -> None:
    raise error


def _look(
    study: Path, folder: Path, content_hash: Callable[[Any], str]
) -> tuple[Found, Session] | Broken:
    path = folder.relative_to(study).as_posix()
    if not storable(path):
        return Broken(ascii(path), "its name is not UTF-8; rename it")
    try:
        session = Session.open(folder)
    except UserError as error:
        return Broken(path, str(error))
    manifest = session.manifest
    subject, session_id = manifest["subject"], manifest["id"]
    if not will_do(subject):
        return Broken(path, f"the subject's name {subject[:64]!r} will not do for a table")
    if not is_id(session_id):
        return Broken(path, "its id is not 32 hexadecimal digits")
    try:
        made = datetime.fromisoformat(str(manifest.get("created"))).astimezone().date()
    except (ValueError, OverflowError):
        made = None
    return Found(subject, session_id, content_hash(manifest), path, made), session


def _without_copies(
    found: list[Found], known: dict[tuple[str, str], str]
) -> tuple[dict[tuple[str, str], Found], list[Broken]]:
    """Each session once: where the database knows it, else the first by name."""
    there: dict[tuple[str, str], Found] = {}
    copies = []
    for item in found:
        key = (item.subject, item.session_id)
        first = there.setdefault(key, item)
        if first is item:
            continue
        if known.get(key) == item.path:
            there[key], item = item, first
        reason = f"a copy of {there[key].path}, with the same id; delete one of them"
        copies.append(Broken(item.path, reason, item.session_id, item.subject))
    return there, copies


def _damage(item: Found, session: Session, verify: bool) -> list[Broken]:
    try:
        lost = _lost(session)
        if verify and not lost:
            lost = [p.path + " is changed" for p in session.check() if p.what == "changed"]
    except OSError as error:
        return [Broken(item.path, str(error), item.session_id, item.subject)]
    if not lost:
        return []
    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
    return [Broken(item.path, ", ".join(lost[:3]) + more, item.session_id, item.subject)]


def _lost(session: Session) -> list[str]:
    """What the sizes of files tell; those that no manifest lists are not looked for."""
    lost = []
    for name, entry in session.manifest["files"].items():
        try:
            there = os.stat(f"{session.path}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            lost.append(f"{name} is missing")
            continue
        if not stat.S_ISREG(there.st_mode):
            lost.append(f"{name} is missing")
        elif there.st_size != entry["bytes"]:
            lost.append(f"{name} is changed")
    return lost
