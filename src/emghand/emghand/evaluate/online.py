"""Online measures of a trial and of many, from the positions of the hand alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.tasks.losses import LossWeights, loss
from emghand.tasks.spec import EPSILON_S, Floats, TrialSpec
from emghand.tasks.trial import CANCELLED, COMPLETED, Acquisition, TrialRun

REACTION = 0.05
"""A movement has begun when the hand is this far from where it was at the go [position]."""


@dataclass(frozen=True)
class Measures:
    """Measures of a trial; NaN where one does not apply.

    Parameters
    ----------
    outcome : str
    completion_time : float
        From the go to the begin of the dwell that completed it: the dwell is left out [s].
    reaction_time : float
        From the go to the first movement of `REACTION` [s].
    path_efficiency : float
        Straight over travelled distance, from the go to the begin of that dwell.
    overshoots : int
        Times the target was left after it was entered.
    stopping_distance : float
        Travelled during that dwell; in a hold task during the whole trial.
    longest_hold : float
        Longest stay within the target [s].
    hold_violations : int
        Excursions from a posture that was to be kept.
    index_of_difficulty : float
        log2(D / W + 1), D the Euclidean distance over the active DOFs, W = 2 radius [bit].
    throughput : float
        Index of difficulty over completion time [bit/s].
    details : mapping
        Further plain values: time in the target, losses, and what the kind of task adds.
    """

    outcome: str
    completion_time: float = math.nan
    reaction_time: float = math.nan
    path_efficiency: float = math.nan
    overshoots: int = 0
    stopping_distance: float = math.nan
    longest_hold: float = 0.0
    hold_violations: int = 0
    index_of_difficulty: float = math.nan
    throughput: float = math.nan
    details: Mapping[str, Any] = field(default_factory=dict)


NUMBERS = tuple(
    name for name in Measures.__dataclass_fields__ if name not in ("outcome", "details")
)
"""Measures that are numbers, in order."""


def measures(
    spec: TrialSpec,
    x: Floats,
    *,
    tick_rate: float = 60.0,
    stamps_ns: Sequence[int] | None = None,
    weights: LossWeights | None = None,
    acquire: Acquisition | None = None,
    void: bool = False,
) -> Measures:
    """Measures of a trial from what the hand did; ticks after its end are left out.

    Parameters
    ----------
    spec : TrialSpec
    x : ndarray, shape (n, n_dofs)
        Positions of the hand at each tick, from the start of the trial on.
    tick_rate : float
        Ticks per second, when there are no stamps [Hz].
    stamps_ns : sequence of int, optional
        Of the ticks.
    weights : LossWeights, optional
    acquire : Acquisition, optional
        `x` begins with the taking up of the start posture.
    void : bool
        See `TrialRun.cancel`.
    """
    run = TrialRun(spec, tick_rate, acquire)
    for i, position in enumerate(x):
        if run.step(position, None if stamps_ns is None else stamps_ns[i]).done:
            break
    run.cancel(void=void)
    return measures_of(run, weights)


def measures_of(run: TrialRun, weights: LossWeights | None = None) -> Measures:
    """Measures of a trial as far as it has come."""
    spec = run.spec
    if not run.times:
        return Measures(run.outcome, details={"acquired": False})
    times, x = np.array(run.times), np.array(run.positions)
    found = loss(spec, times, x, weights)
    losses = {
        "total": found.total,
        "terms": dict(found.terms),
        "weights": dict(found.weights),
    }
    base = Measures(run.outcome, hold_violations=run.violations, details={"losses": losses})
    scored = times >= spec.go - EPSILON_S
    if not scored.any():
        return base
    return _scored(run, base, times[scored], x[scored])


def _scored(run: TrialRun, base: Measures, times: Floats, x: Floats) -> Measures:
    spec = run.spec
    inside = spec.inside(x)
    stays = _stays(times, inside)
    details = dict(base.details) | {"time_in_target": float(inside.mean())}
    values = {f.name: getattr(base, f.name) for f in fields(base)} | {
        "longest_hold": max((end - start for start, end in stays), default=0.0),
        "details": details,
    }
    if spec.kind == "hold":
        return Measures(**values | {"stopping_distance": _travelled(spec, x)})
    values["index_of_difficulty"] = spec.index_of_difficulty
    values["reaction_time"] = _first(times, spec.deviation(x, x[0].tolist()) > REACTION) - spec.go
    values["overshoots"] = len(stays) - bool(inside[-1])
    if spec.kind == "motion":
        details["selection_time"] = _first(times, _selected(spec, x)) - spec.go
        details = values["details"] = _plain(details)
    if run.entered is None or run.outcome in ("", CANCELLED, "timeout"):
        return Measures(**values)
    # A violation ends as a time-out does when the dwell was not kept to its end.
    if times[-1] - run.entered < spec.dwell - EPSILON_S:
        return Measures(**values)
    entered = int(np.searchsorted(times, run.entered - EPSILON_S))
    way = x[: entered + 1]
    travelled = _travelled(spec, way)
    straight = float(spec.deviation(way[-1], way[0].tolist()))
    seconds = run.entered - spec.go
    values |= {
        "completion_time": seconds,
        # No way is shorter than the straight one but for rounding.
        "path_efficiency": min(straight / travelled, 1.0) if travelled > 0 else math.nan,
        "stopping_distance": _travelled(spec, x[entered:]),
        "throughput": spec.index_of_difficulty / seconds if seconds > 0 else math.nan,
    }
    return Measures(**values)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """NaN is no JSON."""
    return {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()
    }


def _first(times: Floats, condition: NDArray[np.bool_]) -> float:
    return float(times[np.argmax(condition)]) if condition.any() else math.nan


def _stays(times: Floats, inside: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """First and last tick of every stay in the target [s]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    return [
        (float(times[first]), float(times[after - 1]))
        for first, after in zip(edges[::2], edges[1::2], strict=True)
    ]


def _travelled(spec: TrialSpec, x: Floats) -> float:
    return float(spec.deviation(np.diff(x, axis=0), [0.0] * len(spec.dofs)).sum())


def _selected(spec: TrialSpec, x: Floats) -> NDArray[np.bool_]:
    """The movement asked for is the largest one, and in its sense."""
    moved = x - np.asarray(spec.start)
    asked = np.asarray(spec.goal) - np.asarray(spec.start)
    largest = np.abs(moved).argmax(axis=1)
    size = np.abs(moved).max(axis=1)
    rows = np.arange(len(x))
    return (size > REACTION) & (np.sign(moved[rows, largest]) == np.sign(asked[largest]))


@dataclass(frozen=True)
class Summary:
    """Measures over many trials.

    Parameters
    ----------
    trials : int
        Those that were scored: without the cancelled ones.
    cancelled : int
    completion_rate : float
        Completed over scored trials; a trial with a violation is not completed.
    throughput : float
        Mean over the completed trials [bit/s].
    medians : mapping of str to float
        Of every measure, over the trials that have it; those of times and paths over completed
        trials alone.
    hold_violations : int
        In all.
    """

    trials: int
    cancelled: int
    completion_rate: float
    throughput: float
    medians: Mapping[str, float]
    hold_violations: int

    def to_plain(self) -> dict[str, Any]:
        """As plain values for JSON: None for NaN."""
        values = asdict(self) | {"medians": _plain(self.medians)}
        return _plain(values)


def summary(found: Sequence[Measures]) -> Summary:
    """Summary of the measures of several trials."""
    scored = [m for m in found if m.outcome not in ("", CANCELLED)]
    done = [m for m in scored if m.outcome == COMPLETED]
    of_all = ("longest_hold", "overshoots", "reaction_time", "hold_violations")
    medians = {
        name: _median([float(getattr(m, name)) for m in (scored if name in of_all else done)])
        for name in NUMBERS
    }
    rates = [m.throughput for m in done if math.isfinite(m.throughput)]
    return Summary(
        trials=len(scored),
        cancelled=len(found) - len(scored),
        completion_rate=len(done) / len(scored) if scored else math.nan,
        throughput=sum(rates) / len(rates) if rates else math.nan,
        medians=medians,
        hold_violations=sum(m.hold_violations for m in scored),
    )


def _median(values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return float(np.median(known)) if known else math.nan
