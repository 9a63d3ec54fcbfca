"""Servo buses, one module per protocol; each has ``make_bus(bus, servos)``, found by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError


@dataclass(frozen=True)
class BusSettings:
    """Where the servos are connected, and what they are told.

    Parameters
    ----------
    port : str
        Serial port.
    baudrate : int
    mode : {"current_position", "position"}
        Position control with or without a current limit.
    current_unit : float
        Current of one unit of the servo's registers [mA].
    watchdog_s : float
        Time without traffic after which the servos stop by themselves [s].
    """

    port: str
    baudrate: int
    mode: str
    current_unit: float
    watchdog_s: float


@dataclass(frozen=True)
class Servo:
    """One servo and its limits.

    Parameters
    ----------
    name : str
    id : int
        Its address on the bus.
    low, high : int
        Hard limits of its position [ticks].
    current : float
        Current limit [mA].
    speed : float
        Speed limit [rev/min].
    acceleration : int
        Acceleration limit in the servo's own unit; 0: none.
    """

    name: str
    id: int
    low: int
    high: int
    current: float
    speed: float
    acceleration: int = 0


@dataclass(frozen=True)
class ServoReading:
    """State of all servos, in their order.

    Parameters
    ----------
    position : ndarray, shape (n_servos,)
        Ticks.
    current : ndarray, shape (n_servos,)
        Magnitude [mA].
    temperature : ndarray, shape (n_servos,)
        Degrees Celsius, the last one read of each.
    alerts : tuple of str
        What servos report as a hardware error.
    """

    position: NDArray[np.float64]
    current: NDArray[np.float64]
    temperature: NDArray[np.float64]
    alerts: tuple[str, ...]


class ServoBus(Protocol):
    """Servos on one bus; every method raises `hand_bridge.device.HandError` when it is gone."""

    def open(self) -> None:
        """Connect and find every servo; the error names those that are missing."""

    def read(self) -> ServoReading | None:
        """State of the servos; None when an answer was missing or damaged."""

    def power_on(self) -> NDArray[np.float64]:
        """Set limits, speed and the servos' own watchdog; torque on where they are [ticks]."""

    def power_off(self) -> None:
        """Torque off."""

    def limit_current(self, fraction: float) -> None:
        """Allow this fraction of the current limit of each servo."""

    def move(self, position: NDArray[np.float64]) -> None:
        """Send goals, shape (n_servos,) [ticks]."""

    def close(self) -> None:
        """Torque off if it still can be said, then disconnect. Never raises."""


def protocols() -> list[str]:
    """Names of the protocols there are."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__))


def make_bus(protocol: str, bus: BusSettings, servos: Sequence[Servo]) -> ServoBus:
    """Bus of a protocol by its name.

    Raises
    ------
    UserError
        For an unknown protocol.
    """
    if protocol not in protocols():
        raise UserError(f"protocol {protocol!r} is unknown, choose from: {', '.join(protocols())}")
    made: ServoBus = importlib.import_module(f"{__name__}.{protocol}").make_bus(bus, servos)
    return made
