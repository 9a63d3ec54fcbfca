"""Delayed reach: fixation, cue, delay, go. The target is shown in the cue and remembered."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import ClassVar

from emghand.errors import UserError
from emghand.settings import setting
from emghand.tasks.base import Reach, Task, Timing
from emghand.tasks.reach import (
    centre_out,
    centre_out_count,
    check_random,
    directions_setting,
    distance_setting,
    grid_setting,
    length_setting,
    random_reach,
    workspace_setting,
)
from emghand.tasks.spec import STILL_EPOCHS, rounded, uniform

EPOCHS = (*STILL_EPOCHS, "movement")
STEPS = (5.0, 15.0, 10.0, 20.0, 10.0, 25.0)
"""Usual ranges in simulation, with `step_rate`: whole steps, upper bounds exclusive."""


@dataclass(frozen=True)
class DelayedReach(Task):
    """Reach to a remembered target after three epochs of random length in which to keep still."""

    kind: ClassVar[str] = "delayed_reach"

    epoch_ranges: tuple[float, ...] = setting(
        (0.25, 0.75, 0.5, 1.0, 0.5, 1.25),
        "Shortest and longest fixation, cue and delay; movement is the rest of the time limit [s, "
        "or steps with step_rate]",
        low=0.0,
        high=1e6,
    )
    step_rate: float = setting(
        0.0,
        "Epochs are whole steps at this rate, the upper bounds exclusive; 0: they are in seconds",
        unit="Hz",
        low=0.0,
        high=1000.0,
    )
    workspace: float = workspace_setting()
    min_distance: float = distance_setting()
    eval_directions: int = directions_setting()
    eval_length: float = length_setting()
    eval_grid: int = grid_setting()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_random(self, self.workspace, self.min_distance)
        if len(self.epoch_ranges) != 6:
            raise UserError("epoch_ranges: expected 6 numbers, low and high of three epochs")
        for low, high in self._ranges():
            whole = low == math.floor(low) and high == math.floor(high)
            if low <= 0 or high < low or (self.step_rate and (high == low or not whole)):
                raise UserError(
                    f"epoch_ranges: {low:g} to {high:g} is no range of "
                    f"{'whole steps' if self.step_rate else 'seconds'}"
                )
        latest = sum(high for _, high in self._ranges()) / (self.step_rate or 1.0)
        if latest + self.dwell >= self.time_limit:
            raise UserError(
                f"time_limit: {self.time_limit:g} s leave no time to move after up to "
                f"{latest:g} s of waiting and {self.dwell:g} s of dwell"
            )

    def _ranges(self) -> list[tuple[float, float]]:
        return list(zip(self.epoch_ranges[::2], self.epoch_ranges[1::2], strict=True))

    @property
    def n_validation(self) -> int:
        """Directions × grid points."""
        return centre_out_count(self, self.eval_directions, self.eval_grid)

    def draw(self, rng: random.Random) -> Reach:
        """Start and goal at random."""
        return random_reach(self, rng, self.workspace, self.min_distance)

    def grid(self) -> list[Reach]:
        """Centre-out reaches."""
        return centre_out(self, self.eval_directions, self.eval_length, self.eval_grid)

    def timing(self, rng: random.Random) -> Timing:
        """Three epochs of random length, then movement."""
        ends, end = [], 0.0
        for low, high in self._ranges():
            if self.step_rate:
                # Sums of whole steps, so that bounds are those of the ticks.
                end += low + math.floor((high - low) * rng.random())
                ends.append(rounded(end / self.step_rate))
            else:
                end = rounded(end + uniform(rng, low, high))
                ends.append(end)
        return Timing(EPOCHS, (*ends, rounded(self.time_limit)))
