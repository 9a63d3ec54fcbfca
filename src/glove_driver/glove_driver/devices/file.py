"""Playback of the kinematics of a recording, in step with its EMG."""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.settings import check, setting
from emghand.storage.datasets import FORMATS, read_any
from emghand.storage.recording import Recording, Series
from glove_driver.device import DeviceKind, EndOfData, Reading

_BACKLOG = 1000


@dataclass(frozen=True)
class Settings:
    """Which recording, and whether its EMG is being played."""

    path: str = setting("", "Recording with x_d: npz, csv, bag or data set", live=False)
    format: str = setting("auto", "Kind of the recording", choices=FORMATS, live=False)
    rate: float = setting(
        0.0,
        "Samples per second of a csv file, or of the JHU grid; as for the EMG",
        unit="Hz",
        low=0.0,
        high=100000.0,
        live=False,
    )
    follow_emg: bool = setting(
        True, "Follow the sample counter of /emg/raw; otherwise play at real time", live=False
    )
    readings_hz: float = setting(
        60.0, "Readings per second when not following", unit="Hz", low=1.0, high=1000.0, live=False
    )

    def __post_init__(self) -> None:
        check(self)


class FileGlove:
    """Kinematics of a recording.

    The EMG driver plays a recording on the recording's own sample counter. The counter of each
    block that arrives therefore says where the playback is, whatever its speed, loops, pauses and
    losses, and both stay in step without a word between the two drivers.
    """

    def __init__(self, settings: Settings, block_size: int = 0) -> None:
        if not settings.path:
            raise UserError("file.path: name the recording to play")
        recording = read_any(settings.path, settings.format, rate=settings.rate)
        if recording.x_d is None or not len(recording.x_d.stamps_ns):
            raise UserError(f"{settings.path}: holds no kinematics (x_d)")
        self._settings = settings
        self._kinematics = Kinematics(recording, recording.x_d)
        self._arrived: queue.Queue[tuple[int, int]] = queue.Queue(_BACKLOG)
        self._overflows = 0
        self._start_ns = 0
        self._next = 0

    def emg_arrived(self, sample: int, time_ns: int) -> None:
        """The playback of the EMG is at this sample of the recording."""
        try:
            self._arrived.put_nowait((sample, time_ns))
        except queue.Full:
            self._overflows += 1

    def open(self) -> tuple[str, ...]:
        """Start to play now, or when the EMG does."""
        self._start_ns = time.monotonic_ns()
        self._next = 0
        return self._kinematics.names

    def read(self, timeout_s: float) -> Reading | None:
        """Posture at the first sample of the next block of EMG."""
        if not self._settings.follow_emg:
            return self._read_paced(timeout_s)
        try:
            sample, time_ns = self._arrived.get(timeout=timeout_s)
        except queue.Empty:
            return None
        return Reading(self._kinematics.at(self._kinematics.time_ns(sample)), time_ns)

    def close(self) -> None:
        """Nothing to close."""

    def counters(self) -> Mapping[str, int]:
        """Blocks of EMG that came faster than they were used."""
        return {"overflows": self._overflows}

    def _read_paced(self, timeout_s: float) -> Reading | None:
        since_ns = round(self._next * 1e9 / self._settings.readings_hz)
        due = self._start_ns + since_ns
        if self._kinematics.start_ns + since_ns > self._kinematics.end_ns:
            raise EndOfData(f"{self._settings.path}: played to its end")
        wait_s = (due - time.monotonic_ns()) * 1e-9
        if wait_s > 0:
            time.sleep(min(wait_s, timeout_s))
            if wait_s > timeout_s:
                return None
        self._next += 1
        return Reading(self._kinematics.at(self._kinematics.start_ns + since_ns), due)


class Kinematics:
    """The x_d of a recording at any time and at any sample of its EMG."""

    def __init__(self, recording: Recording, x_d: Series) -> None:
        self.names = x_d.names
        self.start_ns = int(x_d.stamps_ns[0])
        self.end_ns = int(x_d.stamps_ns[-1])
        self._x_d = x_d
        # Relative times: nanoseconds since 1970 do not fit a double.
        self._since_s = (x_d.stamps_ns - self.start_ns) * 1e-9
        self._rate = recording.stream.rate
        self._firsts = np.array([b.first_sample for b in recording.blocks])
        self._stamps = [b.stamp_ns for b in recording.blocks]

    def time_ns(self, sample: int) -> int:
        """Time of a sample of the EMG on the recording's clock [ns]."""
        i = max(int(np.searchsorted(self._firsts, sample, side="right")) - 1, 0)
        return self._stamps[i] + round((sample - int(self._firsts[i])) * 1e9 / self._rate)

    def at(self, time_ns: int) -> NDArray[np.float64]:
        """Posture at a time, linear between the rows, held before the first and after the last."""
        since_s = (time_ns - self.start_ns) * 1e-9
        return np.array([np.interp(since_s, self._since_s, v) for v in self._x_d.values.T])


DEVICE = DeviceKind("Kinematics of a recording, in step with its EMG", Settings, FileGlove)
