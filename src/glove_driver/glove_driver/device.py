"""What a data glove is to the driver. Plain Python; `docs/devices.md` shows how to add one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from emghand.devices import DeviceError, DeviceKind, EndOfData

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


class Device(Protocol):
    """One source of hand kinematics. All calls come from the acquisition thread."""

    def open(self) -> tuple[str, ...]:
        """Connect and start to stream; returns the names of the DOFs.

        Raises
        ------
        DeviceError
            When it cannot be done now; the driver tries again.
        """

    def read(self, timeout_s: float) -> Reading | None:
        """Next reading, or None when there is none within the time-out.

        Raises
        ------
        DeviceError
            When the device went away.
        EndOfData
            When a recording has been played.
        """

    def close(self) -> None:
        """Stop and disconnect; never raises, may be called twice."""

    def counters(self) -> Mapping[str, int]:
        """Cumulative counts for the diagnostics, such as junk bytes."""


@runtime_checkable
class FollowsTask(Protocol):
    """A device that is driven by the task's `x_d`, as the synthetic glove is."""

    def set_intention(self, values: Mapping[str, float]) -> None:
        """Intended DOFs from now on, by name. Called from the node's thread."""


@runtime_checkable
class FollowsEmg(Protocol):
    """A device that keeps in step with the EMG, as the playback of a recording does."""

    def emg_arrived(self, sample: int, time_ns: int) -> None:
        """Tell when this sample of the EMG was taken, steady time. From the node's thread."""
