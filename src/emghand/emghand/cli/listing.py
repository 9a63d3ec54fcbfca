"""What `emghand study` prints."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from emghand.cli.scoring import number_table, print_json
from emghand.cli.studies import opened
from emghand.errors import UserError
from emghand.progress.rows import PENDING

if TYPE_CHECKING:
    from emghand.progress.scan import Changes
    from emghand.progress.study import Study

_NEWS = {
    "missing": "not in the tables",
    "late": "not in the tables, earlier than others that are",
    "changed": "has changed since it was read",
    "moved": "is in another folder now",
    "deleted": "is in the tables only",
}
IN_ORDER = "in order"


def show(args: argparse.Namespace) -> int:
    """List subjects and sessions; exit status 1 when something is damaged or could not be read."""
    study = opened(args)
    subjects, sessions, damaged = contents(study, args.subject, args.verify)
    if args.json:
        print_json(
            {
                "study": str(study.path),
                "subjects": subjects,
                "sessions": sessions,
                "damaged": damaged,
            }
        )
    else:
        _print(study, subjects, sessions, damaged)
        if args.subject:
            _print_sessions(sessions)
    return 1 if damaged or any(s["state"] == PENDING for s in sessions) else 0


def contents(
    study: Study, subject: str = "", verify: bool = False
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, str]]]:
    """Subjects and sessions of a study, and folders that are damaged, as plain values.

    Raises
    ------
    UserError
        When the subject is unknown.
    """
    from emghand.progress.scan import find_changes

    changes = find_changes(study.path, study.store, study.methods.content_hash, verify=verify)
    names = changes.subjects
    if subject:
        if subject not in names:
            raise UserError(
                f"subject {subject}: has no session in {study.path}; known: "
                f"{', '.join(names) or 'nobody'}"
            )
        changes, names = changes.of(subject), [subject]
    sessions = _sessions(study, changes)
    dates = study.store.dates(subject)
    subjects = []
    for name in names:
        own = dates[dates["subject"] == name]
        there = [s for s in sessions if s["subject"] == name]
        subjects.append(
            {
                "subject": name,
                "sessions": len(there),
                "not_in_order": sum(s["what"] != IN_ORDER for s in there),
                "dates": len(own),
                "last_date": own["date"].iloc[-1].isoformat() if len(own) else None,
                "status": own["status"].iloc[-1] if len(own) else None,
                "raw_status": own["raw_status"].iloc[-1] if len(own) else None,
            }
        )
    damaged = [
        {"path": b.path, "subject": b.subject, "session": b.session_id, "reason": b.reason}
        for b in changes.corrupted
    ]
    return subjects, sessions, damaged


def _sessions(study: Study, changes: Changes) -> list[dict[str, Any]]:
    rows = study.store.sessions()
    # A session that was merged or copied may belong to two subjects.
    known = {(r["subject"], r["session_id"]): r for r in rows.to_dict("records")}
    here = {(k.subject, k.session_id): k for k in changes.known}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for key, k in here.items():
        row = known.get(key)
        found[key] = {
            "subject": k.subject,
            "session": k.session_id,
            "path": k.path,
            "date": k.date.isoformat(),
            "state": k.state,
            "place": row["place"] if row else None,
            "trials": int(row["n_trials"]) if row else None,
            "problems": [line for line in k.problems.splitlines() if line],
            "what": IN_ORDER if k.here else "was shared, its folder is elsewhere",
        }
    for what, text in _NEWS.items():
        for item in getattr(changes, what):
            entry = found.setdefault(
                (item.subject, item.session_id),
                {
                    "subject": item.subject,
                    "session": item.session_id,
                    "path": item.path,
                    "date": item.date.isoformat() if item.date else None,
                    "state": None,
                    "place": None,
                    "trials": None,
                    "problems": [],
                },
            )
            entry |= {"path": item.path, "what": text}
    for broken in changes.corrupted:
        key = (broken.subject, broken.session_id)
        if key in found and found[key]["path"] == broken.path:
            found[key]["what"] = "is damaged"
    return sorted(found.values(), key=lambda s: (s["subject"], s["date"] or "", s["path"]))


def _print(
    study: Study,
    subjects: list[dict[str, Any]],
    sessions: list[dict[str, Any]],
    damaged: list[dict[str, str]],
) -> None:
    from rich.console import Console

    from emghand.progress.levels import plain_name

    console = Console()
    table = number_table(
        f"Study {study.path}", "subject", ("sessions", "not in order", "dates", "last", "status")
    )
    for row in subjects:
        table.add_row(
            row["subject"],
            str(row["sessions"]),
            str(row["not_in_order"] or "-"),
            str(row["dates"]),
            row["last_date"] or "-",
            plain_name(row["status"]) if row["status"] else "-",
        )
    console.print(table)
    for entry in sessions:
        if entry["what"] != IN_ORDER:
            date = f" of {entry['date']}" if entry["date"] else ""
            said = f"{entry['path']}: session{date} {entry['what']}"
            console.print(said, highlight=False, markup=False, soft_wrap=True)
        for problem in entry["problems"]:
            said = f"{entry['path']}: {problem}"
            console.print(said, highlight=False, markup=False, soft_wrap=True)
    for broken in damaged:
        said = f"{broken['path']}: damaged: {broken['reason']}"
        console.print(said, highlight=False, markup=False, soft_wrap=True)
    if any(s["what"] in _NEWS.values() for s in sessions):
        console.print("emghand progress --study brings the tables up to date")


def _print_sessions(sessions: list[dict[str, Any]]) -> None:
    from rich.console import Console

    table = number_table("Sessions", "folder", ("date", "state", "place", "trials"))
    for entry in sessions:
        values = [entry[name] for name in ("date", "state", "place", "trials")]
        table.add_row(entry["path"], *("-" if v is None else str(v) for v in values))
    Console().print(table)
