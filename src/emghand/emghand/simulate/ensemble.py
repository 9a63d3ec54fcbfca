"""An ensemble of simulated users: distributions instead of one number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emghand.control.settings import OutputSettings
from emghand.errors import UserError
from emghand.simulate.acquire import Attempt, targets
from emghand.simulate.unattended import DRIFT, Subject, scrambled, summary
from emghand.sweep.sweep import MOST_SUBJECTS, Row, check_keys
from emghand.sweep.task import Task, code_digest
from emghand.tasks.spec import TrialSpec

CONDITIONS = (
    "default",
    "practised",
    "far",
    "every DOF",
    "plain latch",
    "leaky latch",
    "scrambled",
    "drifted",
    "adapted",
)
USUAL = CONDITIONS[:7]
FAR = 0.75
KINDS = {1: "single", 2: "pair"}
MEASURES = ("reach_s", "time_s", "efficiency", "overshoots", "in_target", "unsteadiness")


def run(settings: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Task: one user through the conditions; summaries by condition and kind of target.

    Conditions but ``practised`` start with a user who has just collected. All use the same targets.
    """
    seed, pairs = int(settings["seed"]), int(settings["pairs"])
    subject = Subject(seed, int(settings["repetitions"]))
    asked = set(settings["conditions"])

    def goals(distance: float = 0.5, every: bool = False) -> list[TrialSpec]:
        rng = np.random.default_rng([seed, 84])
        return targets(subject.person.dofs, rng, pairs, distance, every)

    def latched(kind: str) -> list[Attempt]:
        own = subject.apart()
        return own.test(own.loop(1, output=OutputSettings(latch=(kind,))), goals())

    found: dict[str, list[Attempt]] = {}
    if asked & {"default", "practised"}:
        own = subject.apart()
        found["default"] = own.test(own.loop(1), goals())
        if "practised" in asked:
            own.test(own.loop(2), goals())
            found["practised"] = own.test(own.loop(1), goals())
    if "far" in asked:
        own = subject.apart()
        found["far"] = own.test(own.loop(1), goals(FAR))
    if "every DOF" in asked:
        own = subject.apart()
        found["every DOF"] = own.test(own.loop(1), goals(every=True))
    if "plain latch" in asked:
        found["plain latch"] = latched("plain")
    if "leaky latch" in asked:
        found["leaky latch"] = latched("leaky")
    if "scrambled" in asked:
        own = subject.apart()
        loop = own.loop(1, scrambled(subject.model, seed))
        # Each of them lasts to its time limit: half of them tell enough.
        found["scrambled"] = own.test(loop, goals()[::2])
    if asked & {"drifted", "adapted"}:
        own = subject.apart()
        found["drifted"] = own.test(own.loop(3, drift=DRIFT), goals())
        own = subject.apart()
        model, _ = own.adapt(DRIFT)
        found["adapted"] = own.test(own.loop(3, model, drift=DRIFT), goals())
    return {
        condition: {
            name: summary([a for a in attempts if a.moving == moving])
            for moving, name in KINDS.items()
        }
        for condition, attempts in found.items()
    }


@dataclass(frozen=True)
class UserSweep:
    """Users x conditions; one task per user.

    Parameters
    ----------
    seeds : tuple of int
        One per user.
    conditions : tuple of str
        Of `CONDITIONS`.
    repetitions : int
        Of each movement of the collection.
    pairs : int
        Two-DOF targets.
    """

    seeds: tuple[int, ...]
    conditions: tuple[str, ...] = USUAL
    repetitions: int = 5
    pairs: int = 12
    kind = "users"

    @classmethod
    def from_document(cls, document: Mapping[str, Any], folder: Path) -> UserSweep:
        """Sweep from the content of its file; its keys are the parameters, ``users`` their number.

        Raises
        ------
        UserError
            When a key or a condition is unknown, or a number is out of range.
        """
        known = {"users": int, "conditions": list, "repetitions": int, "pairs": int}
        check_keys(document, known)
        numbers = {"users": 20, "repetitions": 5, "pairs": 12}
        numbers |= {k: int(v) for k, v in document.items() if k in numbers}
        # The default decoder is chosen by leaving one repetition out.
        ranges = {"users": (1, MOST_SUBJECTS), "repetitions": (2, 100), "pairs": (0, 1000)}
        for name, value in numbers.items():
            low, high = ranges[name]
            if not low <= value <= high:
                raise UserError(f"{name}: must be from {low} to {high}, got {value}")
        conditions = tuple(map(str, document.get("conditions", USUAL)))
        for condition in conditions:
            if condition not in CONDITIONS:
                raise UserError(
                    f"condition {condition!r}: unknown, choose from: {', '.join(CONDITIONS)}"
                )
        seeds = tuple(range(1, numbers["users"] + 1))
        return cls(seeds, conditions, numbers["repetitions"], numbers["pairs"])

    def plain(self) -> dict[str, Any]:
        """All settings as plain values."""
        return {
            "seeds": list(self.seeds),
            "conditions": list(self.conditions),
            "repetitions": self.repetitions,
            "pairs": self.pairs,
        }

    def tasks(self, results: Mapping[str, dict[str, Any]]) -> list[Task]:
        """One task per user; none depends on results."""
        shared = {k: v for k, v in self.plain().items() if k != "seeds"}
        return [
            Task(f"{__name__}:run", shared | {"seed": seed}, (), code_digest())
            for seed in self.seeds
        ]

    def table(self, results: Mapping[str, dict[str, Any]], errors: Mapping[str, str]) -> list[Row]:
        """Per condition and kind of target: mean completion, its distribution over users, measures.

        Measures are medians over users of each user's mean.
        """
        tasks = self.tasks(results)
        done = [results[t.key] for t in tasks if t.key in results]
        rows: list[Row] = [
            {"condition": f"seed {t.settings['seed']}", "error": errors.get(t.key, "did not run")}
            for t in tasks
            if t.key not in results
        ]
        for condition in CONDITIONS:
            for kind in KINDS.values():
                users = [r[condition][kind] for r in done if condition in r]
                users = [u for u in users if u["trials"]]
                if users:
                    rows.append({"condition": condition, "targets": kind} | _distribution(users))
        return rows


def _distribution(users: Sequence[Mapping[str, Any]]) -> Row:
    completed = np.array([u["completed"] for u in users])
    row: Row = {
        "users": len(users),
        "trials": sum(u["trials"] for u in users),
        "completed": float(completed.mean()),
    }
    for name, share in (("worst", 0.0), ("p25", 0.25), ("median", 0.5), ("p75", 0.75)):
        row[f"completed_{name}"] = float(np.quantile(completed, share))
    for measure in MEASURES:
        known = [u[measure] for u in users if u[measure] is not None]
        row[measure] = float(np.median(known)) if known else None
    return row
