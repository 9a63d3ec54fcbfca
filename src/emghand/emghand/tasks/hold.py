"""Hold: keep a posture, also under perturbation."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from emghand.errors import UserError
from emghand.settings import setting
from emghand.tasks.base import Reach, Task, Timing
from emghand.tasks.reach import grid_points, random_posture, spread, workspace_setting
from emghand.tasks.spec import rounded


@dataclass(frozen=True)
class Hold(Task):
    """Take up a posture (not scored), then keep it to the end of the trial."""

    kind: ClassVar[str] = "hold"
    instead: ClassVar[Mapping[str, str]] = {"dwell": "time_limit"}

    time_limit: float = setting(
        5.0, "Time to keep the posture: length of the trial", unit="s", low=0.1, high=600.0
    )
    dwell: float = setting(0.0, "Not used: the whole trial is held", unit="s", low=0.0, high=0.0)
    workspace: float = workspace_setting()
    eval_grid: int = setting(
        2, "Inner grid points of each DOF in the validation set", low=1, high=100
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.acquire <= 0:
            raise UserError("acquire: a posture has to be taken up before it can be kept")

    @property
    def n_validation(self) -> int:
        """Grid points."""
        return int(self.eval_grid ** sum(self.active_mask))

    def draw(self, rng: random.Random) -> Reach:
        """A posture at random."""
        mask = self.active_mask
        ranges = [d for d, counts in zip(self.ranges, mask, strict=True) if counts]
        posture = spread(random_posture(ranges, self.workspace, rng), mask)
        return Reach(posture, posture, rounded(self.radius))

    def grid(self) -> list[Reach]:
        """Every inner grid point."""
        mask = self.active_mask
        axes = [
            grid_points(d.low, d.high, self.eval_grid)
            for d, counts in zip(self.ranges, mask, strict=True)
            if counts
        ]
        postures = [spread(point, mask) for point in itertools.product(*axes)]
        return [Reach(p, p, rounded(self.radius)) for p in postures]

    def timing(self, rng: random.Random) -> Timing:
        """One epoch."""
        return Timing(("hold",), (rounded(self.time_limit),))
