"""Where an interrupted collection, test or task goes on.

A run writes its plan (``results/<bag>_plan.json``) before its first trial, its results into the bag
while it runs, and its table at the end. Whatever of that a crash has left tells which trials are
done. A plan that was resumed has several bags: its trials are counted over all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
_PROMPTED = ("movement_set", "repetitions", "shuffle", "seed", "label")
GOALS = {
    "collect": _PROMPTED,
    "test": _PROMPTED,
    "task": ("task", "trials", "validation", "seed", "perturbations", "label"),
}
"""Fields of the goals of each activity that make the schedule; the first one names a file."""


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


def goal_of(path: str | Path, run: Run) -> dict[str, Any]:
    """Fields of the action's goal that goes on with a run of the session at `path`.

    Raises
    ------
    UserError
        When the run left no plan.
    """
    fields = GOALS.get(run.activity, ())
    if not fields or not run.goal.keys() >= set(fields):
        raise UserError(
            f"{run.activity}: left no plan, so start it by hand; its next trial is {run.first}"
        )
    path = Path(path).expanduser().absolute()
    goal = {name: run.goal[name] for name in fields}
    goal[fields[0]] = str(path / str(goal[fields[0]]))
    return {**goal, "session": str(path), "record": True, "first": run.first}


def last_unfinished(runs: Sequence[Run]) -> Run | None:
    """The last run that is not complete; None: there is none."""
    return next((r for r in reversed(runs) if not r.complete), None)


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
        if isinstance(document, dict) and _has_numbers(document):
            found[f"results/{path.name}"] = document
    return found


def _has_numbers(document: Mapping[str, Any]) -> bool:
    rows = document.get("trials")
    rows = [r for r in rows if isinstance(r, dict)] if isinstance(rows, list) else []
    numbers = [document.get("n_trials", 0), *(r.get("trial", 0) for r in rows)]
    return all(isinstance(n, int) for n in numbers)


def _from_documents(plan: Mapping[str, Any], table: Mapping[str, Any] | None) -> Run:
    goal = plan.get("goal")
    run = Run(
        activity=str(plan.get("activity", "")),
        n_trials=int(plan.get("n_trials", 0)),
        goal=dict(goal) if isinstance(goal, dict) else {},
        started=str(plan.get("started", "")),
    )
    if table is not None and _was_recorded(table):
        run.done = _done_in(table)
    return run


def _was_recorded(table: Mapping[str, Any]) -> bool:
    """False where the recorder was lost on the way: the bag then tells which trials it holds."""
    return not table.get("bag") or table.get("recording", True) is not None


def _done_in(table: Mapping[str, Any]) -> set[int]:
    rows = table.get("trials")
    found = [
        (int(row["trial"]), str(row.get("outcome", "")))
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and "trial" in row
    ]
    return {n for n, _ in found} if table.get("status") == "complete" else _brought_to_end(found)


def _brought_to_end(found: list[tuple[int, str]]) -> set[int]:
    """Of trials with their outcomes, in order: what was interrupted can only be the last one.

    A trial before it that was cancelled was never taken up by the subject, and the run went on.
    """
    if found and found[-1][1] == CANCELLED:
        found = found[:-1]
    return {number for number, _ in found}


def _run(
    session: Session, bag: str, plan: Mapping[str, Any] | None, table: Mapping[str, Any] | None
) -> Run | None:
    if plan is not None:
        run = _from_documents(plan, table)
        if table is None or not _was_recorded(table):
            run.done = _read_bag(session.path / bag).done
    elif table is not None and _was_recorded(table):
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
            found: list[tuple[int, str]] = []
            ended = False
            for raw in reader.messages(wanted) if wanted else ():
                message: Any = reader.decode(raw)
                is_state = raw.topic.endswith("state")
                if message.activity:
                    if is_state and (ended or message.activity != run.activity):
                        # States are latched: the first ones are of what was done before.
                        run.n_trials = 0
                    run.activity = message.activity
                if is_state:
                    ended = not message.activity
                    run.n_trials = max(run.n_trials, int(message.n_trials))
                else:
                    found.append((int(message.trial), str(getattr(message, "outcome", ""))))
            run.done = _brought_to_end(found)
    except BagError as error:
        if next(path.glob("*.mcap"), None) is None:
            return run  # Killed before its first byte.
        raise UserError(f"{error}; if it is damaged: emghand session repair") from error
    return run
