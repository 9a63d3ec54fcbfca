"""Losses of a trial: named weighted terms that add up, each reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from emghand.settings import check, setting
from emghand.tasks.spec import EPSILON_S, STILL_EPOCHS, Floats, TrialSpec

DISCOUNT = 6
"""Position errors count with (t / T)^6: little while the hand is on its way, fully at the end."""


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; 0 leaves it out."""

    position: float = setting(1.0, "Distance to the goal, late ones more", low=0.0)
    fixation: float = setting(1.0, "Distance to the start while it is to be kept", low=0.0)
    final_velocity: float = setting(0.05, "Speed at the end", low=0.0)
    straightness: float = setting(0.5, "Distance to the straight line", low=0.0)
    effort: float = setting(0.01, "Commands away from rest", low=0.0)
    unintended: float = setting(0.5, "Energy of DOFs that are not asked to move", low=0.0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Loss:
    """A loss by its parts.

    Parameters
    ----------
    terms : mapping of str to float
        Values without their weights, of the terms with a weight.
    weights : mapping of str to float
    """

    terms: Mapping[str, float]
    weights: Mapping[str, float]

    @property
    def total(self) -> float:
        """Weighted sum."""
        return sum(self.weights[name] * value for name, value in self.terms.items())


def loss(
    spec: TrialSpec,
    times: Floats,
    x: Floats,
    weights: LossWeights | None = None,
    commands: Floats | None = None,
) -> Loss:
    """Loss of the course of a trial.

    With e = x - goal and d = x - start over the active DOFs, t since the go and T its last value:
    position = mean (t/T)^6 |e|²; fixation = mean |d|² while the start is to be kept;
    final_velocity = |v|² over the last step; straightness = mean squared distance of x from the
    line through start and goal; effort = mean |u|² of the commands, in a hand that is driven by
    position the contraction that holds it away from rest; unintended = mean squared distance from
    the start of all DOFs whose goal is their start.

    Parameters
    ----------
    spec : TrialSpec
    times : ndarray, shape (n,)
        Since the start of the trial [s].
    x : ndarray, shape (n, n_dofs)
    weights : LossWeights, optional
    commands : ndarray, shape (n, n_dofs), optional
        What was sent to the hand; default: `x`.

    Returns
    -------
    Loss
        Terms without a tick to look at are 0.
    """
    weights = weights or LossWeights()
    active = list(spec.active)
    start, goal = np.asarray(spec.start), np.asarray(spec.goal)
    scored = times >= spec.go - EPSILON_S
    error = (x - goal)[:, active]
    from_start = (x - start)[:, active]
    still = np.array([spec.epoch_at(t) in STILL_EPOCHS for t in times], bool)
    idle = start == goal
    values = {
        "position": _discounted(times[scored] - spec.go, error[scored]),
        "fixation": _energy(from_start[still]),
        "final_velocity": _final(times, x[:, active]),
        "straightness": _energy(_off_line(from_start[scored], (goal - start)[active])),
        "effort": _energy(x if commands is None else commands),
        "unintended": _energy((x - start)[scored][:, idle]),
    }
    given = {f.name: float(getattr(weights, f.name)) for f in fields(weights)}
    kept = {name: weight for name, weight in given.items() if weight > 0}
    return Loss({name: values[name] for name in kept}, kept)


def _energy(rows: Floats) -> float:
    return float((rows**2).sum(axis=1).mean()) if len(rows) else 0.0


def _discounted(since_go: Floats, error: Floats) -> float:
    if not len(error):
        return 0.0
    share = since_go / since_go[-1] if since_go[-1] > 0 else np.ones(len(since_go))
    return float((share**DISCOUNT * (error**2).sum(axis=1)).mean())


def _final(times: Floats, x: Floats) -> float:
    if len(x) < 2:
        return 0.0
    speed = (x[-1] - x[-2]) / (times[-1] - times[-2])
    return float((speed**2).sum())


def _off_line(from_start: Floats, line: Floats) -> Floats:
    length = np.linalg.norm(line)
    if length == 0:
        return np.zeros_like(from_start)
    along = line / length
    return from_start - (from_start @ along)[:, None] * along
