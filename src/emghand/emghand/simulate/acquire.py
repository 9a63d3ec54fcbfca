"""Trials of tasks with the simulated user, and what comes of the attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.evaluate.online import Measures, measures_of
from emghand.simulate.closed_loop import ClosedLoop
from emghand.tasks.spec import TrialSpec, rounded, with_id
from emghand.tasks.trial import COMPLETED, Progress, TrialRun, play

Floats = NDArray[np.float64]

REST_S = 1.0
"""Shortest pause before a trial."""
PAUSE_S = 5.0
"""The next trial begins after this time even when the hand is not at rest."""
AT_REST = 0.1


@dataclass(frozen=True)
class Attempt:
    """What came of a trial.

    Parameters
    ----------
    spec : TrialSpec
    measures : Measures
    reach_s : float
        From the go to the first time in the target [s]; NaN: never.
    in_target : float
        Share of the ticks after the first time in the target.
    unsteadiness : float
        RMS distance of the hand from its mean in that time, over all DOFs; NaN: never there.
    """

    spec: TrialSpec
    measures: Measures
    reach_s: float
    in_target: float
    unsteadiness: float

    @property
    def completed(self) -> bool:
        """Whether the target was reached and held."""
        return self.measures.outcome == COMPLETED

    @property
    def moving(self) -> int:
        """DOFs that had to leave where they started."""
        return sum(a != b for a, b in zip(self.spec.start, self.spec.goal, strict=True))


def run_trial(loop: ClosedLoop, spec: TrialSpec) -> Attempt:
    """Let the user rest, run the trial, and see what happens. The user learns from it.

    Parameters
    ----------
    loop : ClosedLoop
    spec : TrialSpec
        Of DOFs of the person.
    """
    rate, nothing = loop.tick_rate, np.zeros(len(loop.dofs))
    for tick in range(round(PAUSE_S * rate)):
        hand = loop.step(nothing).hand
        if tick >= REST_S * rate and np.abs(hand).max() < AT_REST:
            break
    columns = [loop.dofs.index(name) for name in spec.dofs]

    def next_position(progress: Progress | None) -> Floats:
        if progress is None:
            return loop.position[columns]
        shown = nothing.copy()
        shown[columns] = progress.goal
        return loop.step(shown).hand[columns]

    run = play(TrialRun(spec, rate), next_position)
    loop.user.learn()
    return _attempt(run)


def _attempt(run: TrialRun) -> Attempt:
    spec = run.spec
    scored = np.array(run.times) >= spec.go
    times, course = np.array(run.times)[scored], np.array(run.positions)[scored]
    inside = spec.inside(course)
    entered = int(np.argmax(inside)) if inside.any() else len(course)
    after = course[entered:]
    there = bool(len(after))
    return Attempt(
        spec=spec,
        measures=measures_of(run),
        reach_s=float(times[entered] - spec.go) if there else np.nan,
        in_target=float(inside[entered:].mean()) if there else 0.0,
        unsteadiness=(
            float(np.sqrt(((after - after.mean(axis=0)) ** 2).sum(axis=1).mean()))
            if there
            else np.nan
        ),
    )


def target(
    dofs: Sequence[str],
    goal: Sequence[float],
    *,
    number: int = 0,
    radius: float = 0.15,
    dwell: float = 1.0,
    time_limit: float = 10.0,
    every: bool = False,
) -> TrialSpec:
    """Trial from rest to a posture.

    Parameters
    ----------
    dofs : sequence of str
    goal : sequence of float, shape (n_dofs,)
    number : int
        Of the trial.
    radius, dwell, time_limit : float
        As in `TrialSpec`.
    every : bool
        As in Target Achievement Control, each DOF has to be within the radius, also those at rest;
        otherwise the Euclidean distance over the DOFs that leave rest counts.
    """
    return with_id(
        TrialSpec(
            task="targets",
            kind="tac" if every else "simple_reach",
            trial=number,
            seed=0,
            dofs=tuple(dofs),
            start=(0.0,) * len(dofs),
            goal=tuple(rounded(x) for x in goal),
            active=tuple(every or x != 0.0 for x in goal),
            radius=radius,
            dwell=dwell,
            epochs=("movement",),
            bounds=(time_limit,),
        )
    )


def targets(
    dofs: Sequence[str],
    rng: np.random.Generator,
    pairs: int = 12,
    distance: float = 0.5,
    every: bool = False,
) -> list[TrialSpec]:
    """Centre-out: every DOF in both directions, and pairs of DOFs, in random order.

    Parameters
    ----------
    dofs : sequence of str
    rng : numpy.random.Generator
        Draws the pairs and the order.
    pairs : int
        Number of pairs.
    distance : float
        Euclidean distance of all targets from rest, so that all are equally difficult in the sense
        of Fitts: in a pair each DOF goes `distance` / sqrt(2).
    every : bool
        See `target`.
    """
    n = len(dofs)
    goals = [_posture(n, {i: s * distance}) for i in range(n) for s in (1.0, -1.0)]
    side = distance / np.sqrt(2.0)
    for _ in range(pairs if n > 1 else 0):
        i, j = rng.choice(n, 2, replace=False).tolist()
        a, b = (side * rng.choice([1.0, -1.0], 2)).tolist()
        goals.append(_posture(n, {i: a, j: b}))
    order = rng.permutation(len(goals)).tolist()
    return [target(dofs, goals[i], number=k, every=every) for k, i in enumerate(order)]


def _posture(n_dofs: int, moved: dict[int, float]) -> tuple[float, ...]:
    return tuple(moved.get(i, 0.0) for i in range(n_dofs))
