"""What an EMG device is to the driver. Plain Python; `docs/devices.md` shows how to add one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emghand.devices import DeviceError, DeviceKind, EndOfData, FollowsTask, ReadableDevice
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


class Device(ReadableDevice[Stream, Reading], Protocol):
    """One source of raw EMG.

    `open` returns the description of the stream: its ``block_size`` is the device's advice for
    the size of a published block, its ``stream`` is empty, because the driver gives every opened
    stream a unique name.
    """

    speed: float
    """Device seconds per second of the steady clock: 1 for everything but playback."""
