"""What collecting and testing share: the plan made from a goal, and what is left on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emghand.errors import UserError
from emghand.storage.files import write_file
from emghand.storage.sessions import MANIFEST, Session
from emghand.tasks.movements import MovementSet, Schedule, load_movement_set


@dataclass
class Plan:
    """One activity, ready to run.

    Parameters
    ----------
    activity : str
        ``collect`` or ``test``.
    bag : Path or None
        Where to record; None: nowhere.
    """

    activity: str
    session: Session
    movement_set: MovementSet
    schedule: Schedule
    bag: Path | None
    conditions: dict[str, Any]
    trials: list[dict[str, Any]] = field(default_factory=list)

    def finish(self, report: dict[str, Any], finished: bool) -> Path:
        """Write the trials and the integrity report; enter everything into the manifest.

        Returns
        -------
        Path
            The file written, in ``results/`` of the session.
        """
        stem = self.bag.name if self.bag else self.activity
        path = self.session.new_file_path("results", stem, ".json")
        document = {
            "activity": self.activity,
            "finished": finished,
            "bag": str(self.bag.relative_to(self.session.path)) if self.bag else "",
            **self.conditions,
            "trials": self.trials,
            "recording": report,
        }
        write_file(path, json.dumps(document, indent=1).encode())
        # Somebody else may have added a model meanwhile.
        self.session = Session.open(self.session.path)
        if self.bag is not None and self.bag.is_dir():
            self.session.add_file(self.bag.resolve())
        self.session.add_file(path.resolve())
        return path


def make_plan(activity: str, goal: Any, settings: dict[str, Any]) -> Plan:
    """Plan from a goal of `CollectTrials` or `RunTest`.

    The session is created when it does not exist.

    Parameters
    ----------
    settings : dict
        Kept in the manifest of a new session.

    Raises
    ------
    UserError
        When the goal cannot be met; nothing has been written then.
    """
    if not goal.session:
        raise UserError("no session was named: give its directory")
    if not goal.movement_set:
        raise UserError("no movement set was named: give its YAML file")
    movement_set = load_movement_set(Path(goal.movement_set).expanduser())
    schedule = Schedule(
        movement_set, goal.repetitions or None, shuffle=goal.shuffle, seed=goal.seed
    )
    path = Path(goal.session).expanduser().absolute()
    if (path / MANIFEST).exists():
        session = Session.open(path)
        if goal.subject and goal.subject != session.subject:
            raise UserError(
                f"session {path}: is of subject {session.subject}, not {goal.subject}; "
                "choose another directory"
            )
    elif not goal.subject:
        raise UserError(f"session {path}: is new, name the subject (a pseudonym)")
    else:
        session = Session.create(path, goal.subject, settings)
    bag = session.new_bag_path(goal.label or activity) if goal.record else None
    conditions = {
        "movement_set": movement_set.name,
        "movement_file": str(goal.movement_set),
        "repetitions": len({t.repetition for t in schedule.trials}),
        "shuffle": bool(goal.shuffle),
        "seed": int(goal.seed),
    }
    return Plan(activity, session, movement_set, schedule, bag, conditions)
