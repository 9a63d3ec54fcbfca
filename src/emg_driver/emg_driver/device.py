"""What an EMG device is to the driver. Plain Python; `docs/devices.md` shows how to add one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from emghand.devices import DeviceError, DeviceKind, EndOfData
from emghand.storage.recording import Stream

__all__ = ["Device", "DeviceError", "DeviceKind", "EndOfData", "FollowsTask", "Reading"]


@dataclass(frozen=True)
class Reading:
    """Successive samples of a device.

    Parameters
    ----------
    first_sample : int
        Index of the first sample on the device's counter; a jump means that samples were lost.
    samples : ndarray, shape (n_samples, n_channels), float32
        In the unit of the stream.
    arrival_ns : int
        When the last sample arrived, on the steady clock [ns].
    """

    first_sample: int
    samples: NDArray[np.float32]
    arrival_ns: int


class Device(Protocol):
    """One source of raw EMG. All calls come from the acquisition thread."""

    speed: float
    """Device seconds per second of the steady clock: 1 for everything but playback."""

    def open(self) -> Stream:
        """Connect and start to stream.

        ``block_size`` of the stream is the device's advice for the size of a published block,
        ``stream`` is empty: the driver gives every opened stream a unique name.

        Raises
        ------
        DeviceError
            When it cannot be done now; the driver tries again.
        """

    def read(self, timeout_s: float) -> Reading | None:
        """Next samples, or None when there are none within the time-out.

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
    """A device that is driven by the task's `x_d`, as the synthetic person is."""

    def set_intention(self, values: Mapping[str, float]) -> None:
        """Intended DOFs from now on, by name. Called from the node's thread."""
