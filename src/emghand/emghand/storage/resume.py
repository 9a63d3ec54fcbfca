"""Where an interrupted collection, test or task goes on.

A run writes its plan (``results/<bag>_plan.json``) before its first trial, its results into the bag
while it runs, and its table at the end. Whatever of that a crash has left tells which trials are
done. A plan that was resumed has several bags: its trials are counted over all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from emghand.errors import UserError
from emghand.settings import to_json
from emghand.storage.bags.messages import BagError
from emghand.storage.bags.reader import BagReader
from emghand.storage.manifest import now
from emghand.storage.sessions import Session

FORMAT = "emghand plan"
VERSION = 1
CANCELLED = "cancelled"
"""Outcome of a trial that was not brought to its end: it is not done."""


@dataclass
class Run:
    """A schedule of trials, and how far it came.

    Parameters
    ----------
    activity : str
        ``collect``, ``test``, ``task``, ...
    n_trials : int
        In the whole schedule; 0: not known.
    goal : dict
        Fields of the action's goal that make the schedule; paths relative to the session.
        Empty: it left no plan.
    started : str
        When it was started first; ISO 8601, UTC.
    bags : list of str
        Within the session, in the order of their start.
    done : set of int
        Numbers of the trials that were brought to their end.
    """

    activity: str
    n_trials: int
    goal: dict[str, Any]
    started: str
    bags: list[str] = field(default_factory=list)
    done: set[int] = field(default_factory=set)

    @property
    def first(self) -> int:
        """Number of the first trial that is not done: ``first`` of the goal that goes on."""
        number = 0
        while number in self.done:
            number += 1
        return number

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return 0 < self.n_trials <= self.first

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "activity": self.activity,
            "n_trials": self.n_trials,
            "done": sorted(self.done),
            "first": self.first,
            "complete": self.complete,
            "started": self.started,
            "bags": list(self.bags),
            "goal": dict(self.goal),
        }


def write_plan(
    session: Session, activity: str, bag: str, n_trials: int, goal: Mapping[str, Any]
) -> Path:
    """Say what a run is about to do, so that it can be resumed.

    Parameters
    ----------
    bag : str
        Its bag within the session, such as ``bags/collect``.
    goal : mapping
        Fields of the action's goal that make the schedule, without ``first``: runs with the same
        activity and goal are one. Paths should be relative to the session, see `Session.keep`.

    Raises
    ------
    UserError
        When it cannot be written.
    """
    document = {
        "format": FORMAT,
        "version": VERSION,
        "activity": activity,
        "bag": bag,
        "n_trials": n_trials,
        "started": now(),
        "goal": dict(goal),
    }
    name = session.keep(
        "results",
        f"{Path(bag).name}_plan.json",
        json.dumps(document, indent=1, sort_keys=True, allow_nan=False).encode(),
    )
    return session.path / name


def runs_of(path: str | Path, label: str = "") -> list[Run]:
    """Runs of a session in the order of their start.

    Parameters
    ----------
    label : str
        Only those of bags ``label``, ``label_2``, ...

    Raises
    ------
    UserError
        When it is no session, or a bag that is needed cannot be read.
    """
    session = Session.open(path)
    plans = _documents(session, "_plan*.json")
    tables = {
        session.resolve(str(table.get("bag")), name): table
        for name, table in _documents(session, "_trials*.json").items()
    }
    by_bag = {
        session.resolve(str(plan["bag"]), name): plan
        for name, plan in plans.items()
        if plan.get("format") == FORMAT and plan.get("version") == VERSION and plan.get("bag")
    }
    bags = [f"bags/{p.name}" for p in session.bags(label)]
    found: list[Run] = []
    for bag in bags:
        run = _run(session, bag, by_bag.get(bag), tables.get(bag))
        if run is not None:
            found.append(run)
    for bag in by_bag.keys() - set(bags) if not label else ():
        # Killed before the recorder made the bag.
        run = _from_documents(by_bag[bag], tables.get(bag))
        found.append(run)
    merged: dict[str, Run] = {}
    for run in sorted(found, key=lambda r: r.started):
        key = f"{run.activity}{to_json(run.goal)}" if run.goal else f"{run.activity}{run.bags}"
        known = merged.setdefault(key, run)
        if known is not run:
            known.bags += run.bags
            known.done |= run.done
    return list(merged.values())


def _documents(session: Session, pattern: str) -> dict[str, dict[str, Any]]:
    found = {}
    paths = (session.path / "results").glob(f"*{pattern}")
    # collect_plan_10 after collect_plan_2: the last one that speaks of a bag counts.
    for path in sorted(paths, key=lambda p: (len(p.name), p.name)):
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue  # What it says is in the bag as well.
        if isinstance(document, dict):
            found[f"results/{path.name}"] = document
    return found


def _from_documents(plan: Mapping[str, Any], table: Mapping[str, Any] | None) -> Run:
    goal = plan.get("goal")
    run = Run(
        activity=str(plan.get("activity", "")),
        n_trials=int(plan.get("n_trials", 0)),
        goal=dict(goal) if isinstance(goal, dict) else {},
        started=str(plan.get("started", "")),
    )
    if table is not None:
        run.done = _done_in(table)
    return run


def _done_in(table: Mapping[str, Any]) -> set[int]:
    rows = table.get("trials")
    return {
        int(row["trial"])
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and "trial" in row and row.get("outcome") != CANCELLED
    }


def _run(
    session: Session, bag: str, plan: Mapping[str, Any] | None, table: Mapping[str, Any] | None
) -> Run | None:
    if plan is not None:
        run = _from_documents(plan, table)
        if table is None:
            run.done = _read_bag(session.path / bag).done
    elif table is not None:
        run = _from_documents({**table, "goal": {}}, table)
        run.started = str(
            session.manifest["files"].get(f"{bag}/metadata.yaml", {}).get("added", "")
        )
    else:
        run = _read_bag(session.path / bag)
        if not run.activity or not (run.n_trials or run.done):
            return None  # A recording without trials.
    run.bags = [bag]
    return run


def _read_bag(path: Path) -> Run:
    """What a bag alone tells: results of trials, and how many there were to be."""
    run = Run("", 0, {}, "")
    try:
        with BagReader(path) as reader:
            wanted = [t for t in reader.topics if t.endswith(("/session/trial", "/session/state"))]
            run.started = datetime.fromtimestamp(reader.start_ns * 1e-9, timezone.utc).isoformat(
                timespec="seconds"
            )
            for raw in reader.messages(wanted) if wanted else ():
                message: Any = reader.decode(raw)
                if message.activity:
                    run.activity = message.activity
                if raw.topic.endswith("state"):
                    run.n_trials = max(run.n_trials, int(message.n_trials))
                elif getattr(message, "outcome", "") != CANCELLED:
                    run.done.add(int(message.trial))
    except BagError as error:
        if next(path.glob("*.mcap"), None) is None:
            return run  # Killed before its first byte.
        raise UserError(f"{error}; if it is damaged: emghand session repair") from error
    return run
