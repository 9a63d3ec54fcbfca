"""`manifest.json` of a session: its form, its versions, and how old ones become new ones.

Version 2 added what several sessions in one need: an ``id`` that stays when the directory is
renamed, the ``sources`` it was merged from, and for each file its ``kind`` and, where it came from
another session, its ``origin``. A directory and an archive of a session hold the same manifest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Any

from emghand.errors import UserError
from emghand.storage.kinds import kind_of
from emghand.version import code_version

FORMAT = "emghand session"
VERSION = 2
MANIFEST = "manifest.json"
MAX_BYTES = 64 * 2**20
"""A manifest that is larger is not read."""

Manifest = dict[str, Any]
_SHA = frozenset("0123456789abcdef")


class DamagedManifest(UserError):
    """It makes no sense."""


class NewerManifest(UserError):
    """It is of a version that this program does not know."""


_clock: ContextVar[Callable[[], datetime] | None] = ContextVar("_clock", default=None)


def now() -> str:
    """Date and time as manifests hold them: ISO 8601, UTC."""
    read = _clock.get()
    moment = datetime.now(timezone.utc) if read is None else read()
    return moment.isoformat(timespec="seconds")


@contextlib.contextmanager
def clock(read: Callable[[], datetime]) -> Iterator[None]:
    """In this block `now` reads another clock, in UTC: that of a simulated session."""
    token = _clock.set(read)
    try:
        yield
    finally:
        _clock.reset(token)


def new_manifest(subject: str, settings: Any = None, id: str = "") -> Manifest:
    """Manifest of a session that begins now; without an id it gets a random one."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "id": id or secrets.token_hex(16),
        "subject": subject,
        "created": now(),
        "code_version": code_version(),
        "settings": settings or {},
        "sources": [],
        "files": {},
    }


def to_bytes(manifest: Manifest) -> bytes:
    """Content of the file."""
    return json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False).encode()


def parse(content: bytes) -> tuple[Manifest, int]:
    """Manifest of the present version, and the version that was read.

    Raises
    ------
    DamagedManifest, NewerManifest
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedManifest("is not valid JSON") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DamagedManifest("is not the manifest of a session")
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DamagedManifest("states no version")
    if version > VERSION:
        raise NewerManifest(
            f"written by a newer emghand (format {version}, this one reads up to {VERSION}); update"
        )
    _check_common(document)
    for old in range(version, VERSION):
        document = _MIGRATIONS[old](document)
    _check(document)
    return document, version


def _from_1(document: Manifest) -> Manifest:
    """Version 1 had no id: this one is the same however often the old file is read."""
    said = {k: document.get(k) for k in ("subject", "created", "code_version", "settings")}
    text = json.dumps(said, sort_keys=True)
    files = {name: {**entry, "kind": kind_of(name)} for name, entry in document["files"].items()}
    return {
        **document,
        "version": 2,
        "id": hashlib.sha256(text.encode()).hexdigest()[:32],
        "sources": [],
        "files": files,
    }


_MIGRATIONS: dict[int, Callable[[Manifest], Manifest]] = {1: _from_1}


def _check_common(document: Manifest) -> None:
    files = document.get("files")
    if not isinstance(document.get("subject"), str) or not isinstance(files, dict):
        raise DamagedManifest("is incomplete")
    for name, entry in files.items():
        sha = entry.get("sha256") if isinstance(entry, dict) else None
        if not name or not isinstance(sha, str) or len(sha) != 64 or not _SHA.issuperset(sha):
            raise DamagedManifest(f"states no hash of {name[:80]!r}")


def _check(document: Manifest) -> None:
    if not isinstance(document.get("id"), str) or not isinstance(document.get("sources"), list):
        raise DamagedManifest("is incomplete")
    if not all(isinstance(s, dict) and isinstance(s.get("id"), str) for s in document["sources"]):
        raise DamagedManifest("names sources that make no sense")
    left_out = document.get("left_out", [])
    if not isinstance(left_out, list) or not all(isinstance(n, str) and n for n in left_out):
        raise DamagedManifest("names lost files that make no sense")
    for name, entry in document["files"].items():
        if not isinstance(entry.get("bytes"), int) or entry["bytes"] < 0:
            raise DamagedManifest(f"states no size of {name[:80]!r}")
        if not isinstance(entry.get("origin") or {}, dict):
            raise DamagedManifest(f"states no origin of {name[:80]!r}")
        if "kind" not in entry:
            entry["kind"] = kind_of(name)
