"""What an activity tells: how far it is, and what came of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from emghand.storage.recording import PeriodKind


@dataclass(frozen=True)
class Step:
    """How far an activity is.

    Parameters
    ----------
    what : str
        What is going on, in a few words.
    fraction : float
        Done, 0 to 1; NaN: not known.
    remaining : float
        Time to the end [s]; NaN: not known.
    """

    what: str
    fraction: float = math.nan
    remaining: float = math.nan


@dataclass(frozen=True)
class Done:
    """What came of an activity; what does not apply is empty.

    Parameters
    ----------
    success : bool
        False only where Ctrl-C ended it before its time.
    message : str
        One sentence for a person.
    session, bag, uri : str
        Directory of the session; of the recording; what was written otherwise.
    trials, ticks : int
        Finished trials of a collection, test or task; estimates of a replay.
    completed : int
        Trials of a task in which the target was reached and held.
    report : mapping
        Integrity report of the recording.
    values : mapping
        What a job or a calibration found; the measures of a task over all of its trials.
    """

    success: bool
    message: str
    session: str = ""
    bag: str = ""
    uri: str = ""
    trials: int = 0
    ticks: int = 0
    completed: int = 0
    report: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, result: Any) -> Done:
        """From the result of an action."""
        texts = (getattr(result, name, "") for name in ("values", "result", "measures"))
        values = next(filter(None, texts), "")
        report = getattr(result, "report", "")
        fields = ("success", "message", "session", "bag", "uri", "trials", "ticks", "completed")
        return cls(
            **{name: getattr(result, name) for name in fields if hasattr(result, name)},
            report=json.loads(report) if report else {},
            values=json.loads(values) if values else {},
        )


def of_trials(f: Any) -> Step:
    """From the feedback of a prompted activity."""
    what = f"{f.movement} {PeriodKind(f.period).name.lower()}".strip()
    fraction = f.trial / f.n_trials if f.n_trials else math.nan
    return Step(f"{what} ({f.trial}/{f.n_trials})", fraction, f.remaining)


def of_task(f: Any) -> Step:
    """From the feedback of a task."""
    fraction = f.trial / f.n_trials if f.n_trials else math.nan
    return Step(f"{f.epoch} ({f.trial}/{f.n_trials}), {f.completed} completed", fraction)


def of_time(f: Any) -> Step:
    """From the feedback of what lasts."""
    total = f.elapsed + f.remaining
    fraction = f.elapsed / total if total > 0.0 else math.nan
    return Step(f"{f.elapsed:.0f} s", fraction, f.remaining)


def of_calibration(f: Any) -> Step:
    """From the feedback of a calibration."""
    return Step(f.period, math.nan, f.remaining)


def of_job(f: Any) -> Step:
    """From the feedback of a job."""
    return Step(f.stage, f.fraction, f.remaining)


TRIALS: Mapping[str, tuple[str, str, Callable[[Any], Step]]] = {
    "collect": ("CollectTrials", "/session/collect_trials", of_trials),
    "test": ("RunTest", "/session/run_test", of_trials),
    "task": ("RunTask", "/session/run_task", of_task),
}
"""Activities that can be resumed, by their names: action, its topic, how to read its feedback."""
