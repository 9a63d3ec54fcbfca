"""What goes into and comes out of the safety core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum

import numpy as np
from numpy.typing import NDArray


class State(IntEnum):
    """State of a bridge; the values of ``HandStatus.state``."""

    DISARMED = 0
    ARMED = 1
    FAULT = 2
    ESTOP = 3


class Power(Enum):
    """What the actuators shall do."""

    OFF = "off"
    """Disarmed: a servo has no torque, a simulated hand stays as it is."""
    ON = "on"
    """Go to `Drive.position`."""
    LIMP = "limp"
    """No torque, whatever the device."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it arrived, nothing checked yet.

    Parameters
    ----------
    publisher : str
        Identity of the sender.
    names, position : sequences
        DOFs and their normalised positions; should be of the same length.
    stamp_ns, age_ns : int
        Stamp of the command on the clock of its sender, and how old it is on that clock [ns].
    """

    publisher: str
    names: Sequence[str]
    position: Sequence[float]
    stamp_ns: int
    age_ns: int


@dataclass(frozen=True)
class Drive:
    """What the device is told in one step.

    Parameters
    ----------
    power : Power
    position : ndarray, shape (n_dofs,)
        Normalised target. Where the power is not on: the position last read.
    current : float
        Fraction of the device's current limit that may be used, in (0, 1].
    """

    power: Power
    position: NDArray[np.float64]
    current: float = 1.0


@dataclass(frozen=True)
class Reading:
    """What the device reports in one step.

    Parameters
    ----------
    position : ndarray, shape (n_dofs,)
        Normalised measured position; outside of [-1, 1] when the hand is bent beyond its range.
    current : ndarray, shape (n_actuators,), optional
        Magnitude of the motor currents [mA].
    temperature : ndarray, shape (n_actuators,), optional
        Motor temperatures [deg C].
    alerts : tuple of str
        One sentence per error the device reports itself.
    """

    position: NDArray[np.float64]
    current: NDArray[np.float64] | None = None
    temperature: NDArray[np.float64] | None = None
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Status:
    """One moment of the core, for display. `revision` changes with everything but the counts."""

    revision: int
    state: State
    fault: str
    fault_action: str
    reason: str
    commander: str
    accepted: int
    clipped: int
    refusals: Mapping[str, int]

    @property
    def refused(self) -> int:
        """Commands refused, cumulative."""
        return sum(self.refusals.values())
