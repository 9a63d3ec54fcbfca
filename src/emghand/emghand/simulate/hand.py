"""The hand of a closed loop in one process: as fast as its bridge lets it be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emghand.settings import check, setting

Floats = NDArray[np.float64]


class Hand(Protocol):
    """Something that follows commands, tick by tick."""

    def step(self, command: Floats | None) -> Floats:
        """Position of the DOFs one tick later; None: there was no command."""
        ...


@dataclass(frozen=True)
class HandSettings:
    """The armed hand; the limits are those of the simulated hand's bridge."""

    rate: float = setting(125.0, "Steps per second of the bridge", unit="Hz", low=10.0, high=1000.0)
    speed_limit: float = setting(6.0, "Largest speed of a DOF", unit="1/s", low=0.01, high=100.0)
    lag_s: float = setting(0.012, "Time constant of the motors", unit="s", low=0.0, high=1.0)
    watchdog_s: float = setting(
        0.096, "Without a command for so long the hand goes to rest", unit="s", low=0.01, high=10.0
    )
    ramp_speed: float = setting(
        1.0, "Speed at which it goes there", unit="1/s", low=0.01, high=10.0
    )

    def __post_init__(self) -> None:
        check(self)


class SimulatedHand:
    """An armed hand behind the limits of its bridge, without physics.

    What a bridge does at the start (arming, ramp-in) is over.

    Parameters
    ----------
    settings : HandSettings
    n_dofs : int
    tick_rate : float
        Commands per second [Hz].
    """

    def __init__(self, settings: HandSettings, n_dofs: int, tick_rate: float) -> None:
        self.settings = settings
        self._steps = max(1, round(settings.rate / tick_rate))
        self._dt = 1.0 / (self._steps * tick_rate)
        self._keep = float(np.exp(-self._dt / settings.lag_s)) if settings.lag_s else 0.0
        self._goal = np.zeros(n_dofs)
        self._drive = np.zeros(n_dofs)
        self.position = np.zeros(n_dofs)
        self._silent = 0.0

    def step(self, command: Floats | None) -> Floats:
        """See `Hand`."""
        if command is not None:
            self._goal = np.clip(command, -1.0, 1.0)
            self._silent = 0.0
        for _ in range(self._steps):
            self._silent += self._dt
            lost = self._silent > self.settings.watchdog_s
            speed = self.settings.ramp_speed if lost else self.settings.speed_limit
            goal = np.zeros_like(self._goal) if lost else self._goal
            reach = speed * self._dt
            self._drive = self._drive + np.clip(goal - self._drive, -reach, reach)
            self.position = self._drive + self._keep * (self.position - self._drive)
        return self.position.copy()
