"""Reaches between random postures; centre-out reaches on a grid as the validation set."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from emghand.dofs import Dof
from emghand.errors import UserError
from emghand.settings import setting
from emghand.tasks.base import Reach, Task
from emghand.tasks.spec import rounded, uniform


def workspace_setting() -> Any:
    """Part of the range of each DOF that random postures are drawn from."""
    return setting(0.8, "Part of the range of each DOF that is used", low=0.1, high=1.0)


def distance_setting() -> Any:
    """Shortest random reach."""
    return setting(0.3, "Shortest random reach", low=0.0, high=1.0)


def directions_setting() -> Any:
    """Directions of the validation set."""
    return setting(
        0, "Directions of the validation set: signed axes, then pairs; 0: all", low=0, high=10_000
    )


def length_setting() -> Any:
    """Length of the reaches of the validation set."""
    return setting(0.5, "Length of the reaches of the validation set", low=0.01, high=2.0)


def grid_setting() -> Any:
    """Grid of the validation set."""
    return setting(1, "Inner grid points of each DOF in the validation set", low=1, high=100)


def directions(n: int, count: int = 0) -> list[tuple[float, ...]]:
    """Unit vectors: the signed axes, then the signed pairs of axes.

    Parameters
    ----------
    n : int
        Dimensions.
    count : int
        The first so many; 0: all 2n + 2n(n - 1).

    Raises
    ------
    UserError
        When there are not so many.
    """
    found = []
    for size in (1, 2):
        for axes in itertools.combinations(range(n), size):
            for signs in itertools.product((1.0, -1.0), repeat=size):
                vector = [0.0] * n
                for axis, sign in zip(axes, signs, strict=True):
                    vector[axis] = sign / math.sqrt(size)
                found.append(tuple(vector))
    if count > len(found):
        raise UserError(f"eval_directions: {n} active DOFs have {len(found)}, not {count}")
    return found[: count or None]


def grid_points(low: float, high: float, n: int) -> list[float]:
    """`n` evenly spaced points between the bounds, without them: linspace(low, high, n+2)[1:-1]."""
    return [low + (high - low) * (i + 1) / (n + 1) for i in range(n)]


def centre_out(task: Task, count: int, length: float, grid: int) -> list[Reach]:
    """Reaches of one length from every grid point, in every direction of `directions`.

    There are directions × grid^(active DOFs). Points lie between the bounds of the range of each
    active DOF; others stay at rest.
    """
    mask = task.active_mask
    ranges = [d for d, counts in zip(task.ranges, mask, strict=True) if counts]
    axes = [grid_points(d.low, d.high, grid) for d in ranges]
    found = []
    for centre in itertools.product(*axes):
        for direction in directions(len(ranges), count):
            goal = [c + length * u for c, u in zip(centre, direction, strict=True)]
            found.append(Reach(spread(centre, mask), spread(goal, mask), rounded(task.radius)))
    return found


def centre_out_count(task: Task, count: int, grid: int) -> int:
    """How many reaches `centre_out` makes."""
    n = sum(task.active_mask)
    return len(directions(n, count)) * grid**n


def spread(values: Sequence[float], mask: Sequence[bool]) -> tuple[float, ...]:
    """Values of the active DOFs as a posture of all, the others at rest; rounded."""
    given = iter(values)
    return tuple(rounded(next(given)) if counts else 0.0 for counts in mask)


def random_posture(ranges: Sequence[Dof], part: float, rng: random.Random) -> list[float]:
    """One value for each DOF, uniform in a part of its range about its middle."""
    values = []
    for dof in ranges:
        middle, half = (dof.low + dof.high) / 2, part * (dof.high - dof.low) / 2
        values.append(uniform(rng, middle - half, middle + half))
    return values


def random_reach(
    task: Task, rng: random.Random, part: float, least: float, *, from_rest: bool = False
) -> Reach:
    """Uniform start and goal at least `least` apart."""
    mask = task.active_mask
    ranges = [d for d, counts in zip(task.ranges, mask, strict=True) if counts]
    start = [0.0] * len(ranges) if from_rest else random_posture(ranges, part, rng)
    goal = random_posture(ranges, part, rng)
    while math.dist(start, goal) < least:
        goal = random_posture(ranges, part, rng)
    return Reach(spread(start, mask), spread(goal, mask), rounded(task.radius))


def check_random(task: Task, part: float, least: float) -> None:
    """Refuse a shortest reach that is not possible from everywhere.

    Raises
    ------
    UserError
        Names the longest that is.
    """
    widths = [
        part * (d.high - d.low)
        for d, counts in zip(task.ranges, task.active_mask, strict=True)
        if counts
    ]
    # Half of it, so that a goal is found soon.
    limit = max(widths) / 4
    if least > limit:
        raise UserError(f"min_distance: {least:g} is too long here, use at most {limit:g}")


@dataclass(frozen=True)
class SimpleReach(Task):
    """Reach from one random posture to another."""

    kind: ClassVar[str] = "simple_reach"

    from_rest: bool = setting(False, "Random trials start at rest")
    workspace: float = workspace_setting()
    min_distance: float = distance_setting()
    eval_directions: int = directions_setting()
    eval_length: float = length_setting()
    eval_grid: int = grid_setting()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_random(self, self.workspace, self.min_distance)

    @property
    def n_validation(self) -> int:
        """Directions × grid points."""
        return centre_out_count(self, self.eval_directions, self.eval_grid)

    def draw(self, rng: random.Random) -> Reach:
        """Start and goal at random."""
        part, least = self.workspace, self.min_distance
        return random_reach(self, rng, part, least, from_rest=self.from_rest)

    def grid(self) -> list[Reach]:
        """Centre-out reaches."""
        return centre_out(self, self.eval_directions, self.eval_length, self.eval_grid)
