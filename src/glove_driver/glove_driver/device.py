"""What a data glove is to the driver. Plain Python; `docs/devices.md` shows how to add one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from emghand.devices import DeviceError, DeviceKind, EndOfData, FollowsTask, ReadableDevice

__all__ = [
    "Device",
    "DeviceError",
    "DeviceKind",
    "EndOfData",
    "FollowsEmg",
    "FollowsTask",
    "Reading",
]


@dataclass(frozen=True)
class Reading:
    """Posture of the hand at one moment.

    Parameters
    ----------
    values : ndarray, shape (n_dofs,), float64
        Normalised DOFs, in the order that `Device.open` returned.
    time_ns : int
        When it was measured, on the steady clock [ns].
    """

    values: NDArray[np.float64]
    time_ns: int


Device = ReadableDevice[tuple[str, ...], Reading]
"""One source of hand kinematics; `open` returns the names of its DOFs."""


@runtime_checkable
class FollowsEmg(Protocol):
    """A device that keeps in step with the EMG, as the playback of a recording does."""

    def emg_arrived(self, sample: int, time_ns: int) -> None:
        """Tell when this sample of the EMG was taken, steady time. From the node's thread."""
