"""What one trial of a task asks for."""

from __future__ import annotations

import hashlib
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.settings import digest

Floats = NDArray[np.float64]

KINDS = ("simple_reach", "delayed_reach", "hold", "fitts", "tac", "motion")
STILL_EPOCHS = ("fixation", "cue", "delay")
"""Epochs in which the start posture must be kept."""
ACQUIRE = "acquire"
"""What comes before the trial: the start posture is taken up. It is not scored."""
DECIMALS = 6
"""Every number of a trial is rounded to this, so that digests agree between machines."""
EPSILON_S = 1e-6
"""Bounds are rounded to `DECIMALS`: a tick this much before one counts as at it [s]."""


@dataclass(frozen=True)
class TrialSpec:
    """A trial, as the message of the same name carries it.

    Parameters
    ----------
    task : str
        Name of the task.
    kind : str
        One of `KINDS`.
    trial : int
        Running number, starting at 0.
    seed : int
        What is random within the trial (perturbations) follows from it.
    dofs : tuple of str, shape (n_dofs,)
    start, goal : tuple of float, shape (n_dofs,)
        Postures to start from and to reach.
    active : tuple of bool, shape (n_dofs,)
        DOFs that count.
    radius : float
        Of the target [normalised position].
    dwell : float
        Time to stay within it [s].
    epochs : tuple of str, shape (k,)
        Names in order; the last one is scored.
    bounds : tuple of float, shape (k,)
        Ends of the epochs since the start of the trial [s]; the last one is the time limit.
    perturbations : tuple of str
        Labels of those in force.
    validation : bool
        Part of the frozen validation set.
    id : str
        Digest of everything that makes the trial; see `with_id`.

    Raises
    ------
    UserError
        When lengths do not fit each other, or a value is out of range or not finite.
    """

    task: str
    kind: str
    trial: int
    seed: int
    dofs: tuple[str, ...]
    start: tuple[float, ...]
    goal: tuple[float, ...]
    active: tuple[bool, ...]
    radius: float
    dwell: float
    epochs: tuple[str, ...]
    bounds: tuple[float, ...]
    perturbations: tuple[str, ...] = ()
    validation: bool = False
    id: str = ""

    def __post_init__(self) -> None:
        where = f"trial {self.trial} of task {self.task}"
        n = len(self.dofs)
        if self.kind not in KINDS:
            raise UserError(f"{where}: kind {self.kind!r}, choose from: {', '.join(KINDS)}")
        if not n or {len(self.start), len(self.goal), len(self.active)} != {n}:
            raise UserError(f"{where}: start, goal and active need one value for each DOF")
        if not any(self.active):
            raise UserError(f"{where}: no DOF is active")
        numbers = (*self.start, *self.goal, self.radius, self.dwell, *self.bounds)
        if not all(math.isfinite(v) for v in numbers) or self.radius <= 0 or self.dwell < 0:
            raise UserError(f"{where}: a number is out of range")
        ends = (0.0, *self.bounds)
        rising = all(a < b for a, b in itertools.pairwise(ends))
        if not self.epochs or len(self.epochs) != len(self.bounds) or not rising:
            raise UserError(f"{where}: epochs need ends that rise")

    def to_plain(self) -> dict[str, Any]:
        """All fields by name; their values are never changed, and are not copied."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def time_limit(self) -> float:
        """Length of the trial when nothing ends it sooner [s]."""
        return self.bounds[-1]

    @property
    def go(self) -> float:
        """Start of the last epoch: from here on the trial is scored [s]."""
        return self.bounds[-2] if len(self.bounds) > 1 else 0.0

    def epoch_at(self, t: float) -> str:
        """Epoch at `t` seconds since the start of the trial; a bound belongs to what follows."""
        for name, end in zip(self.epochs, self.bounds, strict=True):
            if t < end - EPSILON_S:
                return name
        return self.epochs[-1]

    def goal_of(self, epoch: str) -> tuple[float, ...]:
        """Posture to be in during an epoch: the start until the go, the goal from then on."""
        return self.start if epoch == ACQUIRE or epoch in STILL_EPOCHS else self.goal

    def target_on(self, epoch: str) -> bool:
        """Whether the goal is shown; a delayed reach shows it in its cue only."""
        return epoch == "cue" if self.kind == "delayed_reach" else epoch != ACQUIRE

    def hold(self, epoch: str) -> bool:
        """Whether moving is a violation."""
        return epoch in STILL_EPOCHS or self.kind == "hold"

    def deviation(self, x: Floats, posture: Sequence[float]) -> Floats:
        """Euclidean distance of postures over the active DOFs.

        Parameters
        ----------
        x : ndarray, shape (..., n_dofs)
        posture : sequence of float, shape (n_dofs,)

        Returns
        -------
        ndarray, shape (...,)
        """
        difference = (x - np.asarray(posture, np.float64))[..., list(self.active)]
        return np.sqrt((difference**2).sum(axis=-1))

    def distance(self, x: Floats) -> Floats:
        """Distance to the target: it is reached where this is at most `radius`.

        Euclidean over the active DOFs. Target Achievement Control asks for every DOF within its
        tolerance (Simon et al. 2011): the largest deviation of one DOF. A motion test asks for the
        full movement (Kuiken et al. 2009): what is missing of it, since passing it is no mistake.

        Parameters
        ----------
        x : ndarray, shape (..., n_dofs)

        Returns
        -------
        ndarray, shape (...,)
        """
        active = list(self.active)
        goal = np.asarray(self.goal)[active]
        difference = goal - x[..., active]
        if self.kind == "tac":
            return np.abs(difference).max(axis=-1)
        if self.kind == "motion":
            side = np.sign(goal - np.asarray(self.start)[active])
            difference = np.maximum(difference * side, 0.0)
        return np.sqrt((difference**2).sum(axis=-1))

    def inside(self, x: Floats) -> NDArray[np.bool_]:
        """Whether the target is reached, shape (...,); its edge belongs to it."""
        return self.reached(self.distance(x))

    def reached(self, distance: Floats) -> NDArray[np.bool_]:
        """Whether the target is reached at these distances to it, shape (...,)."""
        # Numbers of a trial are rounded, and so is what is compared with them.
        return distance <= self.radius + 10.0**-DECIMALS / 2

    @property
    def index_of_difficulty(self) -> float:
        """log2(D / W + 1) with D from start to goal over the active DOFs, W = 2 radius [bit]."""
        straight = float(self.deviation(np.asarray(self.start), self.goal))
        return math.log2(straight / (2.0 * self.radius) + 1.0)


def with_id(spec: TrialSpec, perturbations: Sequence[Any] = ()) -> TrialSpec:
    """The trial with its digest.

    Its task's name, its running number and the set it belongs to do not make a trial.

    Parameters
    ----------
    spec : TrialSpec
    perturbations : sequence of dataclass
        Settings of those in force: the same label may stand for another strength elsewhere.
    """
    values = spec.to_plain()
    for name in ("id", "task", "trial", "validation"):
        del values[name]
    values["perturbations"] = [asdict(p) for p in perturbations]
    return replace(spec, id=digest(values))


def set_digest(specs: Sequence[TrialSpec]) -> str:
    """SHA-256 of a set of trials in their order, hexadecimal."""
    return hashlib.sha256("\n".join(spec.id for spec in specs).encode()).hexdigest()


def derived_seed(seed: int, *numbers: int | str) -> int:
    """A seed of 64 bits for a part of what `seed` stands for."""
    text = "/".join(str(n) for n in (seed, *numbers))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def uniform(rng: random.Random, low: float, high: float) -> float:
    """A number from [low, high), rounded.

    Only ``Random.random`` is promised to give the same numbers in every version of Python.
    """
    return rounded(low + (high - low) * rng.random())


def rounded(value: float) -> float:
    """To `DECIMALS`, without a negative zero."""
    return round(value, DECIMALS) + 0.0
