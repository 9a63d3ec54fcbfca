"""Targets to be reached and held, and what comes of the attempts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.simulate.closed_loop import ClosedLoop

Floats = NDArray[np.float64]

REST_S = 1.0
"""Shortest pause before a trial."""
PAUSE_S = 5.0
"""The next trial begins after this time even when the hand is not at rest."""
AT_REST = 0.1


@dataclass(frozen=True)
class Target:
    """Reach a posture and stay there.

    Parameters
    ----------
    goal : tuple of float, shape (n_dofs,)
    radius : float
    dwell_s, time_limit_s : float
        [s]
    rule : str
        ``active``: the Euclidean distance over the DOFs that leave rest is at most the radius.
        ``every``: as in Target Achievement Control, each DOF is that near, also those at rest.
    """

    goal: tuple[float, ...]
    radius: float = 0.15
    dwell_s: float = 1.0
    time_limit_s: float = 10.0
    rule: str = "active"

    def distance(self, x: Floats) -> Floats:
        """Distance of postures, shape (..., n_dofs), in the sense of the rule; shape (...)."""
        goal = np.array(self.goal)
        away = x - goal
        if self.rule == "every":
            return np.asarray(np.abs(away).max(axis=-1))
        return np.asarray(np.linalg.norm(away[..., goal != 0.0], axis=-1))

    @property
    def moving(self) -> int:
        """DOFs that have to leave rest."""
        return sum(x != 0.0 for x in self.goal)


@dataclass(frozen=True)
class Attempt:
    """What came of a target.

    Parameters
    ----------
    completed : bool
    reach_s : float
        From the go to the first time in the target [s]; NaN: never.
    time_s : float
        From the go to the begin of the dwell that completed it [s]; NaN: not completed.
    efficiency : float
        Straight over travelled distance until then; NaN: not completed.
    overshoots : int
        Times the target was left.
    in_target : float
        Share of the ticks after the first time in the target.
    unsteadiness : float
        RMS distance of the hand from its mean in that time, over all DOFs; NaN: never there.
    error : float
        Distance at the end.
    """

    target: Target
    completed: bool
    reach_s: float
    time_s: float
    efficiency: float
    overshoots: int
    in_target: float
    unsteadiness: float
    error: float


def run_trial(loop: ClosedLoop, target: Target) -> Attempt:
    """Let the user rest, show the target, and see what happens. The user learns from it."""
    rate, nothing = loop.tick_rate, np.zeros(len(loop.dofs))
    for tick in range(round(PAUSE_S * rate)):
        hand = loop.step(nothing).hand
        if tick >= REST_S * rate and np.abs(hand).max() < AT_REST:
            break
    goal = np.array(target.goal)
    course, held = [loop.position], 0
    dwell = round(target.dwell_s * rate)
    for _ in range(round(target.time_limit_s * rate)):
        course.append(loop.step(goal).hand)
        held = held + 1 if target.distance(course[-1]) <= target.radius else 0
        if held > dwell:
            break
    loop.user.learn()
    return _attempt(target, np.array(course), held > dwell, held, rate)


def _attempt(target: Target, course: Floats, completed: bool, held: int, rate: float) -> Attempt:
    distance = target.distance(course)
    inside = distance <= target.radius
    entered = int(np.argmax(inside)) if inside.any() else -1
    begin = len(course) - held
    travelled = float(np.linalg.norm(np.diff(course[: begin + 1], axis=0), axis=1).sum())
    straight = float(np.linalg.norm(course[begin] - course[0])) if completed else np.nan
    after = course[entered:] if entered >= 0 else course[:0]
    return Attempt(
        target=target,
        completed=completed,
        reach_s=entered / rate if entered >= 0 else np.nan,
        time_s=begin / rate if completed else np.nan,
        efficiency=straight / travelled if completed and travelled > 0.0 else np.nan,
        overshoots=int((inside[:-1] & ~inside[1:]).sum()),
        in_target=float(inside[entered:].mean()) if entered >= 0 else 0.0,
        unsteadiness=(
            float(np.sqrt(((after - after.mean(axis=0)) ** 2).sum(axis=1).mean()))
            if len(after)
            else np.nan
        ),
        error=float(distance[-1]),
    )


def targets(
    n_dofs: int, rng: np.random.Generator, pairs: int = 12, distance: float = 0.5
) -> list[Target]:
    """Centre-out: every DOF in both directions, and pairs of DOFs, in random order.

    Parameters
    ----------
    n_dofs : int
    rng : numpy.random.Generator
        Draws the pairs and the order.
    pairs : int
        Number of pairs.
    distance : float
        Euclidean distance of all targets from rest, so that all are equally difficult in the sense
        of Fitts: in a pair each DOF goes `distance` / sqrt(2).
    """
    goals = [_posture(n_dofs, {i: s * distance}) for i in range(n_dofs) for s in (1.0, -1.0)]
    side = distance / np.sqrt(2.0)
    for _ in range(pairs if n_dofs > 1 else 0):
        i, j = rng.choice(n_dofs, 2, replace=False).tolist()
        a, b = (side * rng.choice([1.0, -1.0], 2)).tolist()
        goals.append(_posture(n_dofs, {i: a, j: b}))
    return [Target(goals[i]) for i in rng.permutation(len(goals)).tolist()]


def _posture(n_dofs: int, moved: dict[int, float]) -> tuple[float, ...]:
    return tuple(moved.get(i, 0.0) for i in range(n_dofs))
