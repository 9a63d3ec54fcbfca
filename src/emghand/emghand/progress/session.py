"""What a session holds, measured: its row and its trials."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from emghand.errors import UserError
from emghand.progress import timeline
from emghand.progress.reading import RAISE, UNREADABLE, Reading
from emghand.progress.rows import FITTING, PENDING, SCORED, SessionRecord, SessionRow
from emghand.progress.summary import of_checks, of_tests, of_trials, place_of
from emghand.progress.timeline import MINUTE_NS
from emghand.progress.trials import rounded
from emghand.storage.sessions import Session

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def content_hash(manifest: Mapping[str, Any]) -> str:
    """SHA-256 over what a session holds: subject, date, and names and hashes of its files.

    The version of its manifest, its folder and its settings do not matter.

    Parameters
    ----------
    manifest : mapping
        ``manifest.json`` in its present form (`emghand.storage.manifest.parse`).
    """
    sha = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    said = {"subject": manifest["subject"], "created": manifest.get("created"), "files": sha}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read_session(
    path: str | Path,
    *,
    study: str | Path | None = None,
    force: bool = False,
    unreadable: str = RAISE,
) -> SessionRecord:
    """Measure a session. Nothing in it is changed, and each bag is read at most once.

    Trials are those of the tables of its tasks. Protocols that were chained are kept apart; passive
    ones (collections, free control) have no trials. Errors, offset and resolution are those of its
    prompted tests; latency, faults and place those of the bags of both.

    Parameters
    ----------
    path : path
    study : path, optional
        `SessionRow.path` is relative to it; default: the folder of the session.
    force : bool
        Where a table cannot be read, compute its trials anew from the bag.
    unreadable : str
        What becomes of trials that can be read neither way: `RAISE`, or `WARN` (the session is
        `PENDING` unless it has others, and `SessionRow.problems` says why).

    Raises
    ------
    UserError
        When it is no session, or as asked for.
    """
    if unreadable not in UNREADABLE:
        raise UserError(f"unreadable {unreadable!r}: choose from: {', '.join(UNREADABLE)}")
    session = Session.open(path)
    _check_identity(session)
    found = Reading(session, force, unreadable)
    found.read()
    return _record(session, found, _relative(session.path, study))


def _record(session: Session, found: Reading, path: str) -> SessionRecord:
    manifest, spans, problems = session.manifest, found.spans, list(found.problems)
    created = timeline.begin_ns(manifest)
    first = min((s.start_ns for s in spans), default=None)
    if created is None and first is None:
        raise UserError(f"session {session.path}: states no date, and has no recording")
    began = first or 0 if created is None else created
    one_clock = created is not None and timeline.same_clock(created, spans)
    start_ns = began if one_clock or first is None else first
    gaps = timeline.pauses(spans)
    taught = timeline.taught_ns(manifest, spans, one_clock=one_clock)
    tasks = [p for p in found.protocols if p.trials]
    place = place_of([p.place for p in tasks or found.protocols])
    trials = tuple(
        dataclasses.replace(
            trial,
            after_pause=protocol.place == place and timeline.retained(trial.start_ns, gaps, taught),
        )
        for protocol in tasks
        for trial in protocol.trials
    )
    if len(manifest["sources"]) > 1:
        names = ", ".join(str(s.get("name") or s["id"]) for s in manifest["sources"])
        problems.append(f"merged from {names}: where the study holds these too, trials count twice")
    begin = min((t.start_ns for t in trials), default=None)
    row = SessionRow(
        subject=session.subject,
        session_id=str(manifest["id"]),
        content_hash=content_hash(manifest),
        path=path,
        date=datetime.fromtimestamp(began // 10**9, timezone.utc).astimezone().date(),
        start_ns=start_ns,
        protocols=",".join(p.name for p in found.protocols),
        place=place,
        state=SCORED if trials else PENDING if found.pending else FITTING,
        duration=_minutes(max(s.end_ns for s in spans) - (first or 0)) if spans else 0.0,
        start_delay=None if begin is None else rounded((begin - start_ns) * 1e-9),
        **of_trials(trials),
        **of_tests([p.test for p in found.protocols if p.test], trials),
        **of_checks(found.contents, problems),
        pauses=json.dumps(
            [[_minutes(g.start_ns - start_ns), _minutes(g.end_ns - g.start_ns)] for g in gaps]
        ),
        recalibrations=0 if begin is None else sum(t > begin for t in taught),
        problems="\n".join(problems).encode(errors="replace").decode(),
    )
    return SessionRecord(row, trials)


def _check_identity(session: Session) -> None:
    """The subject becomes the name of a file, the id a key."""
    for what, text in (("subject", session.subject), ("id", str(session.manifest["id"]))):
        if not _NAME.fullmatch(text):
            raise UserError(
                f"session {session.path}: {what} {text[:80]!r} of its manifest: no name"
            )


def _relative(path: Path, study: str | Path | None) -> str:
    if study is None:
        return path.resolve().name
    try:
        return path.resolve().relative_to(Path(study).expanduser().resolve()).as_posix()
    except ValueError:
        raise UserError(f"session {path}: does not lie in the study {study}") from None


def _minutes(ns: int) -> float:
    return round(ns / MINUTE_NS, 6) + 0.0
