"""The rows of a subject as one object of a bucket: compressed JSON, read without trust."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emghand.errors import UserError
from emghand.progress import records
from emghand.progress.checks import check_cells
from emghand.progress.merging import Version
from emghand.progress.rows import SessionRecord, SessionRow, TrialRow
from emghand.progress.scan import is_id

FORMAT, VERSION = "emghand progress rows", 1
MAX_BYTES = 2**26
"""An object that is larger is not read, nor one that unpacks to more than 16 times that."""
_UNPACKED = 16 * MAX_BYTES


@dataclass(frozen=True)
class Entry:
    """A session in the bucket.

    Parameters
    ----------
    revision : int
    record : SessionRecord or None
        None: it was deleted.
    """

    revision: int
    record: SessionRecord | None

    @property
    def version(self) -> Version:
        """What is compared."""
        return Version(self.revision, records.row_hash(self.record) if self.record else "")


def to_bytes(subject: str, entries: Mapping[str, Entry]) -> bytes:
    """Content of the object: the same bytes for the same rows."""
    sessions = {}
    for session_id, entry in entries.items():
        rows = {"row_hash": entry.version.row_hash, "revision": entry.revision}
        sessions[session_id] = rows | (records.plain(entry.record) if entry.record else {})
    ours = {"format": FORMAT, "version": VERSION, "subject": subject, "sessions": sessions}
    return gzip.compress(records.to_json(ours).encode(), mtime=0)


def from_bytes(subject: str, content: bytes, where: str) -> dict[str, Entry]:
    """Sessions of a subject by id.

    Raises
    ------
    UserError
        When it is damaged, of a newer version or of another subject.
    """
    try:
        unpack = zlib.decompressobj(wbits=31)
        text = unpack.decompress(content, _UNPACKED)
        document = json.loads(text) if unpack.eof else None
    except (zlib.error, ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UserError(f"{where}: is damaged, or no table of a subject's progress")
    if document.get("version") != VERSION:
        raise UserError(f"{where}: written by another version of emghand; update")
    sessions = document.get("sessions")
    if document.get("subject") != subject or not isinstance(sessions, dict):
        raise UserError(f"{where}: is not the table of {subject}")
    try:
        return {session_id: _entry(subject, session_id, e) for session_id, e in sessions.items()}
    except UserError as error:
        raise UserError(f"{where}: is damaged: {error}") from error


def _entry(subject: str, session_id: str, found: Any) -> Entry:
    revision = found.get("revision") if isinstance(found, dict) else None
    if not is_id(session_id):
        raise UserError(f"session {session_id[:40]!r} is no id")
    if type(revision) is not int or not 0 < revision < 2**62:
        raise UserError(f"session {session_id[:40]!r} states no revision")
    if found.get("row_hash") == "":
        return Entry(revision, None)
    trials = found.get("trials")
    if not isinstance(trials, list):
        raise UserError(f"session {session_id[:40]!r} has no list of trials")
    row = records.from_values(SessionRow, found.get("session") or {})
    record = SessionRecord(row, tuple(records.from_values(TrialRow, t) for t in trials))
    if row.subject != subject or row.session_id != session_id:
        raise UserError(f"session {session_id[:40]!r} is another one")
    for name in records.kinds(SessionRow):
        check_cells(name, [getattr(row, name)])
    entry = Entry(revision, records.normal(record))
    if entry.version.row_hash != found.get("row_hash"):
        raise UserError(f"session {session_id[:40]!r} has not the hash that it states")
    return entry
