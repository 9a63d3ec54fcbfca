"""Tests with set targets from rest: Fitts, Target Achievement Control, motion test."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from emghand.errors import UserError
from emghand.settings import setting
from emghand.tasks.base import Reach, Task
from emghand.tasks.reach import directions, directions_setting, spread
from emghand.tasks.spec import rounded


def _repetitions_setting() -> Any:
    return setting(1, "How often each target comes in the validation set", low=1, high=1000)


def _drawn(targets: list[Reach], rng: random.Random) -> Reach:
    return targets[math.floor(rng.random() * len(targets))]


def _repeated(targets: list[Reach], repetitions: int, seed: int) -> list[Reach]:
    """All targets once, in an order that cannot be foreseen, then again."""
    rng = random.Random(seed)
    found = []
    for _ in range(repetitions):
        # Keys instead of a shuffle: only `random` is promised to stay as it is.
        keys = [rng.random() for _ in targets]
        found += [target for _, target in sorted(zip(keys, targets, strict=True))]
    return found


@dataclass(frozen=True)
class Fitts(Task):
    """Targets at several distances and with several widths, in every direction from rest.

    Throughput compares them: it trades the time for the index of difficulty (Fitts 1954; for
    myoelectric control Williams and Kirsch 2008, Scheme and Englehart 2013).
    """

    kind: ClassVar[str] = "fitts"
    instead: ClassVar[Mapping[str, str]] = {"radius": "radii"}

    distances: tuple[float, ...] = setting((0.5, 0.8), "Distances from rest", low=0.05, high=2.0)
    radii: tuple[float, ...] = setting((0.1, 0.2), "Radii of the targets", low=0.01, high=1.0)
    eval_directions: int = directions_setting()
    repetitions: int = _repetitions_setting()

    def _targets(self) -> list[Reach]:
        mask, ranges = self.active_mask, self.ranges
        rest = spread([0.0] * sum(mask), mask)
        found = []
        for u, d, r in itertools.product(
            directions(sum(mask), self.eval_directions), self.distances, self.radii
        ):
            goal = spread([d * v for v in u], mask)
            # A one-sided DOF has no target below rest.
            if all(f.low <= g <= f.high for f, g in zip(ranges, goal, strict=True)):
                found.append(Reach(rest, goal, rounded(r)))
        if not found:
            raise UserError("distances: no target lies within the range of the DOFs")
        return found

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.radii or not self.distances:
            raise UserError("radii, distances: each needs a number")
        if max(self.radii) >= min(self.distances):
            raise UserError("radii: rest must lie outside of every target")
        self._targets()

    def draw(self, rng: random.Random) -> Reach:
        """One of the targets."""
        return _drawn(self._targets(), rng)

    def grid(self) -> list[Reach]:
        """Every target."""
        return _repeated(self._targets(), self.repetitions, self.seed_validation)


def _postures(task: Task, sizes: tuple[int, ...], levels: tuple[float, ...]) -> Iterator[Reach]:
    """From rest to postures with some DOFs at some level, flexed or extended."""
    mask = task.active_mask
    ranges = [d for d, counts in zip(task.ranges, mask, strict=True) if counts]
    rest = spread([0.0] * len(ranges), mask)
    for size, level in itertools.product(sizes, levels):
        for moved in itertools.combinations(range(len(ranges)), size):
            for signs in itertools.product((1.0, -1.0), repeat=size):
                values = [0.0] * len(ranges)
                for i, sign in zip(moved, signs, strict=True):
                    values[i] = level * sign
                if all(d.low <= v <= d.high for d, v in zip(ranges, values, strict=True)):
                    yield Reach(rest, spread(values, mask), rounded(task.radius))


@dataclass(frozen=True)
class Tac(Task):
    """Target Achievement Control: bring every DOF within its tolerance and keep it there.

    DOFs that are not asked to move count as well (Simon et al. 2011).
    """

    kind: ClassVar[str] = "tac"

    dwell: float = setting(2.0, "Time to stay within the target", unit="s", low=0.0, high=60.0)
    time_limit: float = setting(15.0, "Length of a trial", unit="s", low=0.1, high=600.0)
    complexity: tuple[int, ...] = setting((1, 2), "Numbers of DOFs that move at once", low=1)
    levels: tuple[float, ...] = setting((0.75,), "Positions to reach", low=0.05, high=1.0)
    repetitions: int = _repetitions_setting()

    def _targets(self) -> list[Reach]:
        found = list(_postures(self, self.complexity, self.levels))
        if not found:
            raise UserError("levels: no posture lies within the range of the DOFs")
        return found

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.complexity or not self.levels:
            raise UserError("complexity, levels: each needs a number")
        if max(self.complexity) > sum(self.active_mask):
            raise UserError(f"complexity: only {sum(self.active_mask)} DOFs are active")
        if self.radius >= min(self.levels):
            raise UserError("radius: rest must lie outside of every target")
        self._targets()

    def draw(self, rng: random.Random) -> Reach:
        """One of the postures."""
        return _drawn(self._targets(), rng)

    def grid(self) -> list[Reach]:
        """Every posture."""
        return _repeated(self._targets(), self.repetitions, self.seed_validation)


@dataclass(frozen=True)
class Motion(Task):
    """Motion test: carry one movement through to its full amplitude (Kuiken et al. 2009).

    Only the DOFs of the movement count, going further is no mistake, and nothing has to be kept.
    """

    kind: ClassVar[str] = "motion"

    dwell: float = setting(0.0, "Time to stay there", unit="s", low=0.0, high=60.0)
    time_limit: float = setting(5.0, "Length of a trial", unit="s", low=0.1, high=600.0)
    radius: float = setting(0.05, "How much may be missing", low=0.001, high=0.9)
    amplitude: float = setting(0.8, "Full amplitude", low=0.05, high=1.0)
    repetitions: int = _repetitions_setting()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.radius >= self.amplitude:
            raise UserError("radius: rest must not be the full movement")
        self._targets()

    def _targets(self) -> list[Reach]:
        found = list(_postures(self, (1,), (self.amplitude,)))
        if not found:
            raise UserError("amplitude: no movement lies within the range of the DOFs")
        return [r._replace(active=tuple(g != 0.0 for g in r.goal)) for r in found]

    def draw(self, rng: random.Random) -> Reach:
        """One of the movements."""
        return _drawn(self._targets(), rng)

    def grid(self) -> list[Reach]:
        """Every movement."""
        return _repeated(self._targets(), self.repetitions, self.seed_validation)
