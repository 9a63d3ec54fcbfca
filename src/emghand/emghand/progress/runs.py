"""What was done in a session: its runs, each with its table, its bag, or both."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from emghand.errors import UserError
from emghand.storage.sessions import Session

TASK, TEST = "task", "test"
"""Activities that are measured; all others are passive."""
MAX_TABLE = 256 * 2**20
"""A table that is larger is not read [byte]."""

_BAG = re.compile(r"(bags/[\w-]+)/.+", re.ASCII)
_TABLE = re.compile(r"results/(?P<bag>[\w-]+)_trials(_\d+)?\.json", re.ASCII)
_PLAN = re.compile(r"results/[\w-]+_plan(_\d+)?\.json", re.ASCII)
_DOCUMENT = re.compile(r"results/[\w-]+\.json", re.ASCII)

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One run of an activity.

    Parameters
    ----------
    activity : str
        ``task``, ``test``, ``collect``, ``control``, ...; empty: only its bag tells.
    bag : str
        Within the session; empty: it was not recorded.
    table : str
        Within the session; empty: it left none.
    document : mapping or None
        Content of the table; None: there is none, or it cannot be read.
    problem : str
        Why there is no content of a table, or what is wrong with its bag; empty: nothing is.
    recorded : bool
        False: neither a table nor a bag can be read.
    """

    activity: str
    bag: str = ""
    table: str = ""
    document: Document | None = None
    problem: str = ""
    recorded: bool = True


def find_runs(session: Session) -> list[Run]:
    """Runs of a session by what its manifest lists: by the names of their bags, then those without.

    Bags that it does not list are told as runs that are not recorded: they are not finished.
    """
    listed = {m[1] for n in session.manifest["files"] if (m := _BAG.fullmatch(n))}
    unlisted = {f"bags/{path.name}" for path in session.bags()} - listed
    tables = [n for n in session.manifest["files"] if _TABLE.fullmatch(n)]

    def why(bag: str) -> str:
        return f"{bag}: is not finished, or not entered: emghand session repair {session.path}"

    by_bag: dict[str, Run] = {}
    alone: list[Run] = []
    # fitts_trials_10 after fitts_trials_2: the last one that speaks of a bag counts.
    for name in sorted(tables, key=lambda n: (len(n), n)):
        run = _of_table(session, name, listed | unlisted)
        if run.bag in listed:
            by_bag[run.bag] = run
            continue
        if run.bag in unlisted:
            # The recorder was lost on the way; the table is whole.
            unlisted.remove(run.bag)
            problem = "; ".join(filter(None, (run.problem, why(run.bag))))
            run = replace(run, bag="", problem=problem, recorded=run.document is not None)
        alone.append(run)
    known = {bag for bag, run in by_bag.items() if run.activity}
    activities = _activities(session) if (listed | unlisted) - known else {}
    found = []
    for bag in sorted(listed):
        run = by_bag.get(bag) or Run("", bag, problem=f"{bag}: its run left no table")
        if not run.activity:
            run = replace(run, activity=activities.get(bag, ""))
        found.append(run)
    unfinished = (
        Run(activities.get(bag, ""), problem=why(bag), recorded=False) for bag in sorted(unlisted)
    )
    return [*found, *unfinished, *alone]


def read_document(session: Session, name: str) -> Document:
    """A JSON document of a session, as its manifest lists it.

    Raises
    ------
    UserError
        When it is lost, changed, too large, or makes no sense.
    """
    entry = session.manifest["files"][name]
    path = session.path / name
    if not path.resolve().is_relative_to(session.path.resolve()):
        raise UserError(f"{name}: is not inside of the session")
    try:
        if path.stat().st_size > MAX_TABLE:
            raise UserError(f"{name}: is too large")
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{name}: is lost") from None
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror or error})") from error
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise UserError(f"{name}: has changed since it was written")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise UserError(f"{name}: is not valid JSON") from None
    if not isinstance(document, dict):
        raise UserError(f"{name}: is no table")
    return document


def check_bag(session: Session, bag: str) -> None:
    """Check that a bag is there as the manifest lists it, by the sizes of its files.

    Raises
    ------
    UserError
        When a file is lost or has another size.
    """
    for name, entry in session.manifest["files"].items():
        if not name.startswith(f"{bag}/"):
            continue
        try:
            size = (session.path / name).stat().st_size
        except OSError:
            raise UserError(f"{name}: is lost") from None
        if size != entry["bytes"]:
            raise UserError(f"{name}: has changed since it was written")


def _of_table(session: Session, name: str, bags: Collection[str]) -> Run:
    """Run of a table, with its bag where that is one of `bags`."""
    # Unless it says otherwise, a table is of the bag that it is named after.
    match = _TABLE.fullmatch(name)
    bag = f"bags/{match['bag']}" if match else ""
    problem, activity, document = "", "", None
    try:
        document = read_document(session, name)
        reference = str(document.get("bag") or "")
        bag = session.resolve(reference, name) if reference else ""
        activity = str(document.get("activity") or "")
        if not activity:
            raise UserError(f"{name}: does not say what it is of")
    except UserError as error:
        document, problem = None, str(error)
    bag = bag if bag in bags else ""
    return Run(activity, bag, name, document, problem, bool(bag) or document is not None)


def _activities(session: Session) -> dict[str, str]:
    """Activity of each bag that a plan or another document speaks of."""
    found: dict[str, str] = {}
    names = [n for n in session.manifest["files"] if _DOCUMENT.fullmatch(n)]
    for name in sorted(names, key=lambda n: not _PLAN.fullmatch(n)):
        if _TABLE.fullmatch(name):
            continue
        try:
            document = read_document(session, name)
        except UserError:
            continue  # Then the bag itself tells.
        bag, activity = document.get("bag"), document.get("activity")
        if isinstance(bag, str) and isinstance(activity, str) and bag and activity:
            found.setdefault(session.resolve(bag, name), activity)
    return found
