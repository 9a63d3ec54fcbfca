"""Stages that wait."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from emghand.errors import UserError
from emghand.protocol.context import Context
from emghand.protocol.stage import Stage
from emghand.settings import setting


@dataclass(frozen=True)
class Delay(Stage):
    """Waits for a time."""

    seconds: float = setting(1.0, "Time to wait.", unit="s", low=0.0)

    async def do_trial(self, context: Context) -> None:
        """Wait."""
        await context.sleep(self.seconds)


@dataclass(frozen=True)
class UniformRandomDelay(Stage):
    """Waits for a time drawn evenly from an interval; the draw is recorded."""

    low: float = setting(0.0, "Shortest time.", unit="s", low=0.0)
    high: float = setting(1.0, "Longest time.", unit="s", low=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_interval(self.name, self.low, self.high)

    async def do_trial(self, context: Context) -> None:
        """Draw and wait."""
        seconds = self.low + (self.high - self.low) * context.random("delay").random()
        context.log("draw", "delay", seconds)
        await context.sleep(seconds)


@dataclass(frozen=True)
class GaussianRandomDelay(Stage):
    """Waits for a normally distributed time, kept within an interval; the draw is recorded."""

    mean: float = setting(1.0, "Mean time.", unit="s", low=0.0)
    deviation: float = setting(0.1, "Standard deviation.", unit="s", low=0.0)
    low: float = setting(0.0, "A draw below it becomes it.", unit="s", low=0.0)
    high: float = setting(math.inf, "A draw above it becomes it.", unit="s", low=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_interval(self.name, self.low, self.high)

    async def do_trial(self, context: Context) -> None:
        """Draw and wait."""
        # By the inverse distribution: one even draw, whose stream Python guarantees.
        even = max(context.random("delay").random(), 2.0**-53)
        seconds = self.mean + self.deviation * NormalDist().inv_cdf(even)
        seconds = min(max(seconds, self.low), self.high)
        context.log("draw", "delay", seconds)
        await context.sleep(seconds)


def _check_interval(name: str, low: float, high: float) -> None:
    if low > high:
        raise UserError(f"stage {name}: low ({low:g} s) is above high ({high:g} s)")
