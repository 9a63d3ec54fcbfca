"""Trials of tasks from a bag alone: what was asked, what the hand did, what came of it."""

from __future__ import annotations

import bisect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emghand.errors import UserError
from emghand.evaluate.online import Measures, measures, measures_of
from emghand.settings import SettingsError, from_mapping
from emghand.storage.bags import BagReader
from emghand.tasks.losses import LossWeights
from emghand.tasks.spec import Floats, TrialSpec
from emghand.tasks.trial import CANCELLED, TrialRun

SPEC_TOPIC, RESULT_TOPIC, HAND_TOPIC = "/session/spec", "/session/trial", "/hand/state"
MAX_TICKS = 10_000_000
LATE_S = 0.5
"""A trial without a result is read this much beyond its time limit."""


@dataclass(frozen=True)
class BagTrial:
    """One trial of a bag.

    Parameters
    ----------
    spec : TrialSpec
    start_ns : int
        Stamp of its first tick.
    times : ndarray, shape (n,)
        Of its ticks, since then [s].
    x : ndarray, shape (n, n_dofs)
        Positions of the hand.
    measures : Measures
        Computed here.
    recorded : mapping of str to Any, optional
        Fields of the recorded `TrialResult`; None: the recording ends before.
    """

    spec: TrialSpec
    start_ns: int
    times: Floats
    x: Floats
    measures: Measures
    recorded: Mapping[str, Any] | None


def trial_of(run: TrialRun, weights: LossWeights | None = None) -> BagTrial:
    """A trial that was run here, in simulation, as if it came from a bag: to draw it."""
    x = np.array(run.positions).reshape(-1, len(run.spec.dofs))
    found = measures_of(run, weights)
    return BagTrial(run.spec, run.start_ns or 0, np.array(run.times), x, found, None)


def read_trials(path: str | Path, hand_topic: str = HAND_TOPIC) -> list[BagTrial]:
    """Trials of the tasks in a bag, in order, with their measures.

    Only ``/session/spec``, ``/session/trial`` and the positions of the hand are read. Measures are
    computed from the positions by what computed them live; a trial that was cancelled, or whose
    recording was cut short, is cancelled.

    Raises
    ------
    UserError
        When the bag cannot be read, has no trials of a task, or no positions of the hand.
    """
    gathered = TrialMessages(path, hand_topic)
    with BagReader(path) as reader:
        for message in reader.messages([SPEC_TOPIC, RESULT_TOPIC, hand_topic]):
            gathered.take(message.topic, reader.decode(message))
    return gathered.trials()


class TrialMessages:
    """What a bag says of the trials of tasks, message by message.

    Parameters
    ----------
    path : str or Path
        Of the bag, for error messages.
    hand_topic : str
        Where the positions of the hand are.
    """

    def __init__(self, path: str | Path, hand_topic: str = HAND_TOPIC) -> None:
        self._path = path
        self._hand_topic = hand_topic
        self._specs: list[tuple[int, TrialSpec]] = []
        self._results: list[Mapping[str, Any]] = []
        self._stamps: list[int] = []
        self._rows: list[tuple[tuple[str, ...], Floats]] = []

    def take(self, topic: str, message: Any) -> None:
        """Take a decoded message; those of other topics are passed over.

        Raises
        ------
        UserError
            When a trial makes no sense, or there are too many positions.
        """
        if topic == SPEC_TOPIC:
            self._specs.append(_spec(message))
        elif topic == RESULT_TOPIC:
            self._results.append(_result(message))
        elif topic == self._hand_topic:
            stamp = _ns(message.header.stamp)
            if self._stamps and stamp <= self._stamps[-1]:
                return  # as live: time does not go back
            self._stamps.append(stamp)
            self._rows.append((tuple(message.name), np.array(message.position, np.float64)))
            if len(self._rows) > MAX_TICKS:
                raise UserError(f"bag {self._path}: more than {MAX_TICKS} positions of the hand")

    def trials(self) -> list[BagTrial]:
        """The trials, in order, with their measures.

        Raises
        ------
        UserError
            When there are no trials of a task, or no positions of the hand.
        """
        path, specs = self._path, self._specs
        if not specs and any(r["id"] for r in self._results):
            raise UserError(f"bag {path}: in none of its trials was the start posture taken up")
        if not specs:
            raise UserError(f"bag {path}: holds no trial of a task ({SPEC_TOPIC})")
        if not self._rows:
            raise UserError(f"bag {path}: holds no positions of the hand on {self._hand_topic}")
        ends = [start for start, _ in specs[1:]] + [2**63 - 1]
        return [
            self._trial(spec, start, end) for (start, spec), end in zip(specs, ends, strict=True)
        ]

    def _trial(self, spec: TrialSpec, start_ns: int, next_ns: int) -> BagTrial:
        recorded = _matching(self._results, spec, start_ns)
        return _trial(self._path, spec, start_ns, next_ns, self._stamps, self._rows, recorded)


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def _spec(m: Any) -> tuple[int, TrialSpec]:
    spec = TrialSpec(
        task=m.task,
        kind=m.kind,
        trial=int(m.trial),
        seed=int(m.seed),
        dofs=tuple(m.dofs),
        start=tuple(float(v) for v in m.start),
        goal=tuple(float(v) for v in m.goal),
        active=tuple(bool(v) for v in m.active),
        radius=float(m.radius),
        dwell=float(m.dwell),
        epochs=tuple(m.epochs),
        bounds=tuple(float(v) for v in m.bounds),
        perturbations=tuple(m.perturbations),
        validation=bool(m.validation),
        id=m.id,
    )
    return _ns(m.header.stamp), spec


def _result(m: Any) -> Mapping[str, Any]:
    try:
        details = json.loads(m.details) if m.details else {}
    except ValueError:
        details = {}
    return {
        "end_ns": _ns(m.header.stamp),
        "start_ns": _ns(m.start),
        "trial": int(m.trial),
        "id": m.id,
        "outcome": m.outcome,
        "completion_time": float(m.completion_time),
        "reaction_time": float(m.reaction_time),
        "path_efficiency": float(m.path_efficiency),
        "overshoots": int(m.overshoots),
        "stopping_distance": float(m.stopping_distance),
        "longest_hold": float(m.longest_hold),
        "hold_violations": int(m.hold_violations),
        "index_of_difficulty": float(m.index_of_difficulty),
        "throughput": float(m.throughput),
        "details": details if isinstance(details, dict) else {},
    }


def _matching(
    results: Sequence[Mapping[str, Any]], spec: TrialSpec, start_ns: int
) -> Mapping[str, Any] | None:
    for result in results:
        same = result["id"] == spec.id and result["trial"] == spec.trial
        if same and result["start_ns"] == start_ns:
            return result
    return None


def _trial(
    path: str | Path,
    spec: TrialSpec,
    start_ns: int,
    next_ns: int,
    stamps: Sequence[int],
    rows: Sequence[tuple[tuple[str, ...], Floats]],
    recorded: Mapping[str, Any] | None,
) -> BagTrial:
    end_ns = min(next_ns - 1, start_ns + round((spec.time_limit + LATE_S) * 1e9))
    if recorded is not None:
        end_ns = recorded["end_ns"]
    first, after = bisect.bisect_left(stamps, start_ns), bisect.bisect_right(stamps, end_ns)
    kept, positions = [], []
    for stamp, (names, position) in zip(stamps[first:after], rows[first:after], strict=True):
        if len(names) != len(position) or not np.isfinite(position).all():
            continue
        if not set(spec.dofs) <= set(names):
            missing = sorted(set(spec.dofs) - set(names))
            raise UserError(f"bag {path}: the hand does not report {', '.join(missing)}")
        kept.append(stamp)
        positions.append(position[[names.index(d) for d in spec.dofs]])
    x = np.array(positions).reshape(-1, len(spec.dofs))
    # Live, more was known of it than the hand: its raw EMG may have been lost.
    void = recorded is not None and recorded["outcome"] == CANCELLED
    found = measures(spec, x, stamps_ns=kept, weights=_weights(recorded), void=void)
    times = np.array([(stamp - start_ns) * 1e-9 for stamp in kept], np.float64)
    return BagTrial(spec, start_ns, times, x, found, recorded)


def _weights(recorded: Mapping[str, Any] | None) -> LossWeights | None:
    """Those that the trial was scored with; its spec does not carry them."""
    losses = (recorded or {}).get("details", {}).get("losses")
    given = losses.get("weights") if isinstance(losses, dict) else None
    if not isinstance(given, dict):
        return None
    try:
        return from_mapping(LossWeights, {name: 0.0 for name in _NAMES} | given)
    except SettingsError:
        return None


_NAMES = tuple(LossWeights.__dataclass_fields__)
